"""One cluster's API as an aiohttp application: authenticate, authorise, serve.

The answers' Content-Type is ``application/json`` and nothing more: some clients take no charset.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from aiohttp import web

from clusterkit_sandbox.kube import discovery, request_info, reviews
from clusterkit_sandbox.kube.accounts import TokenIssuer
from clusterkit_sandbox.kube.authentication import Authenticator
from clusterkit_sandbox.kube.changing import Changer, Outcome
from clusterkit_sandbox.kube.controllers.builds import Builds
from clusterkit_sandbox.kube.controllers.drivers import DRIVERS, Drivers
from clusterkit_sandbox.kube.interfaces import TokenReview
from clusterkit_sandbox.kube.paths import Asked
from clusterkit_sandbox.kube.rbac import Attributes, Authorizer, denied
from clusterkit_sandbox.kube.reading import Reader
from clusterkit_sandbox.kube.refusals import Refusal, forbidden_path, no_such_path
from clusterkit_sandbox.kube.request_info import Call
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.streams import Streams
from clusterkit_sandbox.kube.subresources import Subresources, scale
from clusterkit_sandbox.kube.write_options import WriteOptions
from clusterkit_sandbox.kube.writes import Writer

_LOG = logging.getLogger(__name__)
_LARGEST = 3 * 1024 * 1024  # apiserver's MaxRequestBodyBytes
_HEALTH = ("/healthz", "/livez", "/readyz")
_POSTED = ("binding", "eviction", "token")


class Endpoint:
    """Serves one cluster."""

    def __init__(
        self,
        state: ClusterState,
        writer: Writer,
        issuer: TokenIssuer,
        review: TokenReview,
        bookmark_seconds: float,
        builds: Builds,
        drivers: Drivers,
    ) -> None:
        self._state = state
        self._issuer = issuer
        self._authorizer = Authorizer(state)
        self._authenticator = Authenticator(issuer, review, self._authorizer)
        self._discovery = discovery.Discovery(state)
        self._reader = Reader(state, bookmark_seconds)
        self._changer = Changer(state, writer, self._reader)
        self._reviewer = reviews.Reviewer(self._authenticator, self._authorizer)
        self._subresources = Subresources(state, writer, issuer)
        self._streams = Streams(state, builds)
        self._drivers = drivers

    def application(self) -> web.Application:
        """The aiohttp application."""
        found = web.Application(client_max_size=_LARGEST)
        found.router.add_route("*", "/{path:.*}", self._handle)
        return found

    def close(self) -> None:
        """End all watches, logs and connections to containers."""
        self._streams.close()
        self._reader.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._serve(request)
        except Refusal as refusal:
            return _json(refusal.status(), refusal.code)
        except web.HTTPException:
            raise
        except Exception as error:
            _LOG.exception("%s %s", request.method, request.path)
            trouble = Refusal(500, "InternalError", f"Internal error occurred: {error!r}", {})
            return _json(trouble.status(), trouble.code)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        user = await self._authenticator.identify(request)
        asked = Asked.of(request.method, request.path, request.query)
        if asked is None:
            wanted = Attributes(request.method.lower(), path=request.path)
            if not self._authorizer.allowed(user, wanted):
                raise forbidden_path(user.username, wanted.verb, request.path)
            return self._document(request)
        call = request_info.parse(request, asked, user, self._state.catalogue)
        if not self._authorizer.allowed(user, call.attributes):
            raise denied(user, call.resource, call.attributes)
        if call.resource.group in reviews.GROUPS:
            return _json(await self._reviewer.review(call), 201)
        return await self._resource(call)

    async def _resource(self, call: Call) -> web.StreamResponse:
        if call.resource.key == DRIVERS:
            await self._drivers.look()
        match call.verb:
            case "watch":
                return await self._reader.watch(call)
            case "list":
                return _json(self._reader.list(call))
            case "get":
                if call.subresource == "log":
                    return await self._streams.log(call)
                if call.subresource == "attach":
                    return await self._streams.attach(call)
                return self._get(call)
            case "create" if call.subresource == "attach":
                return await self._streams.attach(call)
            case "create" if call.subresource in _POSTED:
                body, code = await self._subresources.post(call)
                return _json(body, code)
            case "create" if not call.subresource:
                return _changed(await self._changer.create(call))
            case "update":
                return _changed(await self._changer.update(call))
            case "patch":
                return _changed(await self._changer.patch(call))
            case "delete" | "deletecollection" if not call.subresource:
                return _changed(await self._changer.delete(call))
            case _:
                raise no_such_path()

    def _get(self, call: Call) -> web.Response:
        match call.subresource:
            case "scale":
                return _json(scale(call.resource, self._reader.get(call)))
            case "" | "status":
                return _json(call.shape.one(call.resource, self._reader.get(call)))
            case _:
                raise no_such_path()

    def _document(self, request: web.Request) -> web.Response:
        path = request.path.rstrip("/") or "/"
        if path in _HEALTH or path.startswith(tuple(f"{known}/" for known in _HEALTH)):
            return web.Response(text="ok")
        match path:
            case "/":
                return _json(self._discovery.paths())
            case "/version":
                return _json(discovery.version(self._state))
            case "/openid/v1/jwks":
                return _json(self._issuer.keys())
            case "/.well-known/openid-configuration":
                return _json(self._issuer.discovery())
            case "/openapi/v3":
                return _json(self._discovery.openapi_index())
            case "/api" | "/apis":
                version = discovery.aggregated(request.headers.get("Accept", ""))
                if version:
                    body, kind = self._discovery.group_list(version, core=path == "/api")
                    return _json(body, content_type=kind, headers={"Vary": "Accept"})
            case _:
                pass
        if path.startswith("/openapi/v3/"):
            document = self._discovery.openapi(path.removeprefix("/openapi/v3/"))
            if document:
                headers = {"Content-Type": "application/json", "ETag": f'"{document[1]}"'}
                return web.Response(body=document[0], headers=headers)
        found = self._discovery.plain(path, request.host)
        if found is not None:
            return _json(found)
        return web.Response(status=404, text="404 page not found\n")


def _changed(outcome: Outcome) -> web.Response:
    body, code, options = outcome
    return _json(body, code, warnings=options)


def _json(
    body: Any,
    code: int = 200,
    *,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
    warnings: WriteOptions | None = None,
) -> web.Response:
    text = json.dumps(body, separators=(",", ":")).encode()
    response = web.Response(body=text, status=code, headers={"Content-Type": content_type})
    response.headers.update(headers or {})
    for warning in warnings.warnings if warnings else ():
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response

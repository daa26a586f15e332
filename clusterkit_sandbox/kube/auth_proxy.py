"""A TLS proxy in front of a real API server, for ``--kube envtest``.

The cloud's clients expect a certificate for the cloud's host name and send the cloud's tokens. The
proxy has the one, knows the others, and passes each request on as the user it stands for
(Kubernetes documentation, "Authenticating", user impersonation). Tokens the cloud does not know are
the API server's own; it is asked about them with a TokenReview.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from clusterkit_sandbox.kube.authentication import ANONYMOUS, certified
from clusterkit_sandbox.kube.interfaces import Identity, TokenReview
from clusterkit_sandbox.kube.rbac import MASTERS
from clusterkit_sandbox.kube.refusals import Refusal, unauthorized

_LARGEST = 3 * 1024 * 1024  # apiserver's MaxRequestBodyBytes
_EVERYTHING = ("create", "rbac.authorization.k8s.io", "clusterrolebindings")
"""Who may do this may do everything."""
_PER_CONNECTION = {
    "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length",
    "host", "authorization",
}  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A real API server."""

    base: str
    """its URL"""
    session: aiohttp.ClientSession
    """reaches it as an administrator"""


class AuthProxy:
    """Forwards the requests of one cluster."""

    def __init__(self, review: TokenReview, server: Future[Server]) -> None:
        """Requests wait for ``server``; if it fails, they are answered with its reason (503)."""
        self._review = review
        self._server = server

    def application(self) -> web.Application:
        """What the listener runs."""
        found = web.Application(client_max_size=_LARGEST)
        found.router.add_route("*", "/{path:.*}", self._handle)
        return found

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if "upgrade" in request.headers.get("Connection", "").lower():
                message = "exec, attach and port-forward do not pass through the sandbox"
                raise Refusal(501, "NotImplemented", message, {})
            server = await asyncio.shield(asyncio.wrap_future(self._server))
            return await self._pass(server, request, await self._identify(server, request))
        except Refusal as refusal:
            return web.json_response(refusal.status(), status=refusal.code)
        except (aiohttp.ClientError, RuntimeError, OSError) as error:
            message = f"the API server behind the sandbox does not answer: {error}"
            down = Refusal(503, "ServiceUnavailable", message, {})
            return web.json_response(down.status(), status=down.code)

    async def _identify(self, server: Server, request: web.Request) -> Identity:
        own = certified(request)
        if own is not None:
            return own
        header = request.headers.get("Authorization", "")
        if not header:
            return ANONYMOUS
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer":
            raise unauthorized()
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, self._review, token.strip())
        if found is not None and found.may is not None and found.may(*_EVERYTHING):
            # the API server behind this one knows only RBAC
            return replace(found, groups=(*found.groups, MASTERS))
        return found or await self._own(server, token.strip())

    async def _own(self, server: Server, token: str) -> Identity:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        url = f"{server.base}/apis/authentication.k8s.io/v1/tokenreviews"
        async with server.session.post(url, json=body) as response:
            status: Mapping[str, Any] = (await response.json()).get("status") or {}
        if not status.get("authenticated"):
            raise unauthorized()
        user = status["user"]
        extra = {key: tuple(values) for key, values in (user.get("extra") or {}).items()}
        groups = tuple(user.get("groups") or ())
        return Identity(user["username"], groups, user.get("uid", ""), extra)

    async def _pass(
        self, server: Server, request: web.Request, user: Identity
    ) -> web.StreamResponse:
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _PER_CONNECTION
        ]
        if not any(name.lower().startswith("impersonate-") for name, _ in headers):
            headers += _impersonation(user)
        elif MASTERS not in user.groups:
            message = f'User "{user.username}" cannot impersonate through the sandbox'
            raise Refusal(403, "Forbidden", message, {})
        url = f"{server.base}{request.raw_path}"
        body = await request.read()
        async with server.session.request(
            # an empty body would get a Content-Type, which a real server refuses for a GET (415)
            request.method,
            url,
            data=body or None,
            headers=headers,
            allow_redirects=False,
        ) as found:
            response = web.StreamResponse(status=found.status, reason=found.reason)
            for name, value in found.headers.items():
                if name.lower() not in _PER_CONNECTION:
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in found.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


def _impersonation(user: Identity) -> list[tuple[str, str]]:
    headers = [("Impersonate-User", user.username)]
    headers += [("Impersonate-Group", group) for group in user.groups]
    headers += [("Impersonate-Uid", user.uid)] if user.uid else []
    for key, values in user.extra.items():
        # a key such as authentication.kubernetes.io/pod-name is no name of a header
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return headers

"""Azure's own SDK for AKS, azure-mgmt-containerservice, with what leaves and returns in our hands.

It knows paths, versions and bodies of clusters and agent pools. Requests go through the REST client
of everything else, so that proxy, authorities, time-outs, observer and errors are the same. Its
policies are off: retries and polling are the engine's, and its own registration of providers does
not work for calls that go on (azure-mgmt-core 1.6, ``ARMAutoResourceProviderRegistrationPolicy``
reads an answer that is not there yet). Imported at the first call.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol

from clusterkit.aks import ids
from clusterkit.engine.rest import Reply, RestClient

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

VERSION = "2026-08-01"
"""``api-version`` of Microsoft.ContainerService; the SDK is asked for the same"""
MISSING = "*"
"""the ``etag`` of what must not be there yet"""
CONDITIONS = ("If-Match", "If-None-Match")
KEPT = ("Azure-AsyncOperation", "Location", "Retry-After", "x-ms-request-id", "ETag")


class HasSdk(Protocol):
    """Makes the SDK's client at the first call."""

    @property
    def sdk(self) -> Any:
        """``ContainerServiceClient``"""


def call(connections: HasSdk, method: str, *arguments: Any) -> dict[str, Any]:
    """The answer's JSON; a list's is under ``value``, to the last page."""
    answer = _method(connections, method)(*arguments)
    if hasattr(answer, "as_dict"):
        return _json(answer)
    return {"value": [_json(each) for each in answer]}


def begin(
    connections: HasSdk, method: str, *arguments: Any, etag: str | None = None
) -> tuple[Reply, str]:
    """The first answer to a call that goes on, and the operation's name."""
    from azure.core import MatchConditions

    seen: list[Any] = []
    options: dict[str, Any] = {"polling": False, "raw_response_hook": seen.append}
    if etag == MISSING:
        options |= {"etag": etag, "match_condition": MatchConditions.IfMissing}
    elif etag:
        options |= {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    _method(connections, method)(*arguments, **options)
    request, answer = seen[0].http_request, seen[0].http_response
    reply = Reply(answer.status_code, None, answer.headers)
    return reply, ids.operation(request.method, ids.relative(request.url))


def _method(connections: HasSdk, name: str) -> Any:
    return reduce(getattr, name.split("."), connections.sdk)


def _json(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = model.as_dict()
    return found


def client(arm: RestClient, subscription: str) -> Any:
    """``ContainerServiceClient`` over ``arm``."""
    from azure.core.pipeline.policies import CustomHookPolicy
    from azure.core.pipeline.transport import RequestsTransport
    from azure.mgmt.containerservice import ContainerServiceClient
    from requests import Session
    from requests.adapters import BaseAdapter

    class Adapter(BaseAdapter):
        """Sends what the SDK has prepared through our client, which raises the refusals."""

        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            method, url = str(request.method), str(request.url)
            path = ids.relative(url)
            body: Any = request.body
            sent: Any = request.headers
            reply = arm.send(
                ids.operation(method, path),
                method,
                url,
                json.loads(body) if body else None,
                mutating=ids.changes(method, path),
                headers={name: sent[name] for name in CONDITIONS if name in sent},
            )
            return _response(request, reply)

        def close(self) -> None:
            """The connections are not its own."""

    session = Session()
    session.trust_env = False
    session.mount("https://", Adapter())
    nobody: Any = object()  # who asks is in the headers of ``arm``
    return ContainerServiceClient(
        nobody,
        subscription,
        api_version=VERSION,
        authentication_policy=nobody,
        policies=[CustomHookPolicy()],
        transport=RequestsTransport(session=session, session_owner=False),
    )


def _response(request: PreparedRequest, reply: Reply) -> Response:
    from requests import Response

    made = Response()
    made.status_code = reply.status
    made.raw = io.BytesIO(b"" if reply.body is None else json.dumps(reply.body).encode())
    made.headers.update(_kept(reply.headers))
    made.headers["Content-Type"] = "application/json"
    made.request, made.url = request, str(request.url)
    return made


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in KEPT if headers.get(name)}


def writable(model: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    """A thing as it is shown, without what only the service writes."""
    from azure.mgmt.containerservice import models

    found: dict[str, Any] = getattr(models, model)(shown).as_dict(exclude_readonly=True)
    return found

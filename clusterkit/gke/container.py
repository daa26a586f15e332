"""Google's own SDK for GKE, google-cloud-container, with what leaves and comes back in our hands.

It knows the bodies of clusters and node pools, and refuses a field that does not exist. Requests go
through the REST client of everything else, so that proxy, authorities, time-outs, observer and
errors are the same; its retries are off, because the engine owns them. Imported at the first call:
it takes a quarter of a second.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from clusterkit.engine.rest import READ_TIMEOUT, RestClient

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

METHODS = {
    "create_cluster": "clusters.create",
    "create_node_pool": "clusters.nodePools.create",
    "delete_cluster": "clusters.delete",
    "delete_node_pool": "clusters.nodePools.delete",
    "get_cluster": "clusters.get",
    "get_node_pool": "clusters.nodePools.get",
    "get_operation": "operations.get",
    "get_server_config": "getServerConfig",
    "list_clusters": "clusters.list",
    "set_labels": "clusters.setResourceLabels",
    "set_node_pool_autoscaling": "clusters.nodePools.setAutoscaling",
    "set_node_pool_management": "clusters.nodePools.setManagement",
    "set_node_pool_size": "clusters.nodePools.setSize",
    "update_cluster": "clusters.update",
    "update_node_pool": "clusters.nodePools.update",
}
"""methods of the SDK, and what the API's discovery document (container v1) calls them under
``container.projects.locations.``"""
OPERATION = "x-clusterkit-operation"
"""header by which a request of the SDK tells which method it is of; it is not sent"""


class HasContainer(Protocol):
    """Makes the SDK's client at the first call."""

    @property
    def container(self) -> Any:
        """``ClusterManagerClient``"""


def operation(method: str) -> str:
    """The id of a method of the SDK in the API's discovery document, without the service."""
    return f"projects.locations.{METHODS[method]}"


def call(connections: HasContainer, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's JSON; ``ValueError`` for a request with a field that the API does not have."""
    json_format: Any = import_module("google.protobuf.json_format")
    types: Any = import_module("google.cloud.container_v1.types.cluster_service")
    client = connections.container
    name = "".join(word.capitalize() for word in method.split("_"))
    message = getattr(types, f"{name}Request")()
    json_format.ParseDict(request, type(message).pb(message))
    headers = ((OPERATION, operation(method)),)
    ask = getattr(client, method)
    answer = ask(request=message, retry=None, timeout=READ_TIMEOUT, metadata=headers)
    found: dict[str, Any] = json_format.MessageToDict(type(answer).pb(answer))
    return found


def client(rest: RestClient, reads: tuple[str, ...]) -> Any:
    """``ClusterManagerClient`` over ``rest``; ``reads`` is how the last words of operations begin
    that change nothing.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.container_v1 import ClusterManagerClient
    from google.cloud.container_v1.services.cluster_manager.transports import (
        ClusterManagerRestTransport,
    )
    from requests.adapters import BaseAdapter

    class Adapter(BaseAdapter):
        """Sends what the SDK has prepared through our client, which raises the refusals."""

        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            asked = str(request.headers[OPERATION])
            body: Any = request.body
            found = rest.call(
                asked,
                str(request.method),
                str(request.url),
                json.loads(body) if body else None,
                mutating=not asked.rpartition(".")[2].startswith(reads),
            )
            if isinstance(found, dict) and isinstance(found.get("error"), dict):
                # of a type that the SDK may not know, at which it fails
                found["error"].pop("details", None)
            return _response(request, found)

        def close(self) -> None:
            """The connections are not its own."""

    anonymous: Any = AnonymousCredentials  # who asks is in the headers of ``rest``
    transport = ClusterManagerRestTransport(credentials=anonymous())
    transport._session.trust_env = False
    transport._session.mount("https://", Adapter())
    return ClusterManagerClient(transport=transport)


def _response(request: PreparedRequest, found: Any) -> Response:
    from requests import Response

    made = Response()
    made.status_code = 200
    made.raw = io.BytesIO(json.dumps(found or {}).encode())
    made.request, made.url = request, str(request.url)
    return made

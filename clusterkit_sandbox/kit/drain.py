"""Nodes are emptied before they go: cordoned, and their pods evicted, through the Kubernetes API.

As ``kubectl drain`` does it, and the managed services: pods of DaemonSets and those that have
finished stay, and where the API server minds PodDisruptionBudgets it says so with 429.
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from clusterkit_sandbox.kit.life import Clock

if TYPE_CHECKING:
    from clusterkit_sandbox.kube.interfaces import KubeCluster

_LOG = logging.getLogger(__name__)
_SECONDS = 10
"""Timeout of one call in seconds."""
_LIFETIME = 600
_NAME, _GROUPS = "system:cloud-controller-manager", ("system:masters",)
_LOOKS = (0.05, 5.0)
"""Seconds between checks of a drain, growing; pods take real time to stop, at any pace."""
_PATCH = {"Content-Type": "application/merge-patch+json"}
_BODY = {"Content-Type": "application/json"}
_OVER = ("Succeeded", "Failed")


class Unreachable(Exception):
    """The API server does not answer, or not as expected."""


class Drainer:
    """A client of one cluster's API server, as administrator; close it after use. It empties nodes,
    and says whose a token is.
    """

    def __init__(self, endpoint: KubeCluster, host: str) -> None:
        """``host`` is a name the endpoint's certificate is for."""
        certificate, key = endpoint.client_certificate(_NAME, _GROUPS, _LIFETIME)
        context = ssl.create_default_context(cadata=endpoint.ca_pem)
        # the ssl module takes keys from files only
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "client.pem"
            path.write_text(certificate + key)
            context.load_cert_chain(path)
        self._connection = _Connection(host, endpoint.address, context)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def cordon(self, node: str) -> None:
        """Cordon the node, if it exists."""
        self.ask("PATCH", f"/api/v1/nodes/{quote(node)}", {"spec": {"unschedulable": True}}, _PATCH)

    def evict(self, node: str) -> list[str]:
        """Evict the node's pods; return those that are still there."""
        selector = quote(f"spec.nodeName={node}")
        _, listed = self.ask("GET", f"/api/v1/pods?fieldSelector={selector}")
        staying = []
        for pod in listed.get("items") or []:
            metadata = pod["metadata"]
            if _may_stay(pod):
                continue
            staying.append(f"{metadata['namespace']}/{metadata['name']}")
            if not metadata.get("deletionTimestamp"):
                self._evict(metadata["namespace"], metadata["name"])
        return staying

    def reviewed(self, token: str, audience: str) -> str:
        """The user whose token for this audience it is; empty if it is not good."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        _, found = self.ask("POST", path, body)
        status = found.get("status") or {}
        return str(status["user"]["username"]) if status.get("authenticated") else ""

    def _evict(self, namespace: str, name: str) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}/eviction"
        self.ask("POST", path, body)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = _BODY,
    ) -> tuple[int, dict[str, Any]]:
        """Status and body; 404 (it is gone) and 429 (not now) are answers, all else is not."""
        data = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, data, dict(headers))
            answer = self._connection.getresponse()
            found = json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"{method} {path}: {error}") from error
        if answer.status >= 300 and answer.status not in (404, 429):
            raise Unreachable(f"{method} {path}: {answer.status} {found.get('message', '')}")
        return answer.status, found


def drain(
    clock: Clock,
    connect: Callable[[], Drainer | None],
    nodes: Sequence[str],
    patience: float,
    *,
    evict: bool,
    then: Callable[[], None],
    failed: Callable[[Sequence[str]], None],
    wanted: Callable[[], bool],
) -> None:
    """Empty nodes, looking again and again, ``then`` go on; ``failed`` gets the pods that are still
    there after so many real seconds.

    All are called by the clock. It ends when it is not ``wanted`` any more, and goes on at once
    where no API server answers; without ``evict`` the nodes are only cordoned.
    """
    until, wait = clock.now + patience, _LOOKS[0]

    def look() -> None:
        nonlocal wait
        if not wanted():
            return
        staying = _empty(connect, nodes, evict=evict)
        if not staying:
            then()
        elif clock.now < until:
            clock.after(wait, look)
            wait = min(wait * 1.5, _LOOKS[1])
        else:
            failed(staying)

    clock.after(0, look)


def _empty(
    connect: Callable[[], Drainer | None], nodes: Sequence[str], *, evict: bool
) -> list[str]:
    """Cordon the nodes and evict their pods; return the pods that are still there."""
    drainer = connect() if nodes else None
    if drainer is None:
        return []
    try:
        for node in nodes:
            drainer.cordon(node)
        return [pod for node in nodes for pod in drainer.evict(node)] if evict else []
    except Unreachable as error:
        _LOG.warning("nodes are not drained: %s", error)
        return []
    finally:
        drainer.close()


class _Connection(http.client.HTTPSConnection):
    """A TLS connection to a loopback address, verified against the certificate's name."""

    def __init__(self, host: str, address: tuple[str, int], context: ssl.SSLContext) -> None:
        # without a context it would read the system's authorities
        super().__init__(host, timeout=_SECONDS, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        """Open the connection."""
        plain = socket.create_connection(self._address, _SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _may_stay(pod: Mapping[str, Any]) -> bool:
    metadata = pod["metadata"]
    owners = [owner.get("kind") for owner in metadata.get("ownerReferences") or ()]
    mirror = "kubernetes.io/config.mirror" in (metadata.get("annotations") or {})
    return "DaemonSet" in owners or mirror or (pod.get("status") or {}).get("phase") in _OVER

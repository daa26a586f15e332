"""Docker config Secrets: how pods log in to a registry whose passwords do not last."""

from __future__ import annotations

import base64
import json
from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from clusterkit.engine.resource import Change, Ctx, Resource
from clusterkit.kube import ownership
from clusterkit.kube.api import HasKube, Object

EXPIRES = "clusterkit.dev/expires"
"""annotation: when the password ends (RFC 3339)"""


@dataclass(frozen=True)
class Login:
    """A user name and password for registries."""

    servers: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    expires: datetime
    """UTC"""


@dataclass(frozen=True)
class DockerConfigState:
    """A Secret of ours, without what is in it."""

    namespace: str
    name: str
    expires: datetime | None
    servers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DockerConfig(Resource[HasKube, DockerConfigState]):
    """A Secret of type ``kubernetes.io/dockerconfigjson``; ``name`` is ``NAMESPACE/NAME``, and the
    namespace belongs in ``after``.

    An expired password is a difference, so that each ``up`` renews it.
    """

    dies_with: ClassVar[str | None] = "cluster"
    best_effort: ClassVar[bool] = True

    servers: tuple[str, ...]

    def wanted(self, cx: Ctx[Any]) -> tuple[str, ...]:
        """The registries it is for; for a cloud that tells them only once a repository is there."""
        return self.servers

    @abstractmethod
    def login(self, cx: Ctx[Any]) -> Login:
        """A fresh password."""

    @classmethod
    def owned(cls, cx: Ctx[HasKube]) -> dict[str, DockerConfigState]:
        found = cx.clients.kube.list("/api/v1/secrets", labels=ownership.selector(cx))
        states = (_state(item) for item in found if item.get("type") == _TYPE)
        return {f"{state.namespace}/{state.name}": state for state in states}

    def create(self, cx: Ctx[HasKube]) -> None:
        ownership.make(cx, self.key, _path(self.name), self._body(cx))

    def _body(self, cx: Ctx[HasKube]) -> Object:
        namespace, _, name = self.name.partition("/")
        login = self.login(cx)
        pair = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        config = json.dumps({"auths": {server: {"auth": pair} for server in login.servers}})
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": ownership.labels(cx, self.name),
                "annotations": {
                    EXPIRES: login.expires.isoformat(timespec="seconds"),
                    _SERVERS: ",".join(login.servers),
                },
            },
            "type": _TYPE,
            "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
        }

    def diff(self, cx: Ctx[HasKube], have: DockerConfigState) -> list[Change]:
        changes = []
        if have.expires is None or have.expires <= datetime.now(UTC):
            changes.append(Change("password", "expired", "renewed"))
        if have.servers != self.wanted(cx):
            changes.append(Change("servers", have.servers, self.wanted(cx)))
        return changes

    def update(self, cx: Ctx[HasKube], have: DockerConfigState, changes: list[Change]) -> None:
        cx.clients.kube.apply(_path(self.name), self._body(cx))

    @classmethod
    def delete(cls, cx: Ctx[HasKube], have: DockerConfigState) -> None:
        cx.clients.kube.delete(_path(f"{have.namespace}/{have.name}"))


_TYPE = "kubernetes.io/dockerconfigjson"
_SERVERS = "clusterkit.dev/servers"


def _state(item: Object) -> DockerConfigState:
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    try:
        expires = datetime.fromisoformat(annotations.get(EXPIRES, ""))
    except ValueError:
        expires = None
    servers = tuple(filter(None, annotations.get(_SERVERS, "").split(",")))
    return DockerConfigState(metadata["namespace"], metadata["name"], expires, servers)


def _path(name: str) -> str:
    namespace, _, secret = name.partition("/")
    return f"/api/v1/namespaces/{namespace}/secrets/{secret}"

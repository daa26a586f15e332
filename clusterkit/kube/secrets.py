"""Docker config Secrets: how pods log in to a registry whose passwords do not last."""

from __future__ import annotations

import base64
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from clusterkit.engine.dates import utc
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env
from clusterkit.engine.scope import Scope
from clusterkit.kube.api import HasKube, Object
from clusterkit.kube.manifest import Manifest, ManifestState, selector

EXPIRES = "clusterkit.dev/expires"
"""annotation: when the password expires (RFC 3339)"""
_SERVERS = "clusterkit.dev/servers"
_TYPE = "kubernetes.io/dockerconfigjson"


@dataclass(frozen=True)
class Login:
    """A user name and password for registries."""

    servers: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    expires: datetime
    """UTC"""


class DockerConfig(Manifest):
    """A Secret of type ``kubernetes.io/dockerconfigjson``; ``name`` is ``NAMESPACE/NAME``, and the
    namespace belongs in ``after``.

    An expired password is a difference, so that each ``up`` renews it. Its content is never
    compared, so that no password is ever shown.
    """

    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "secrets"
    namespaced: ClassVar[bool] = True

    servers: tuple[str, ...]

    @abstractmethod
    def login(self, env: Env[Any]) -> Login:
        """A fresh password."""

    def wanted(self, env: Env[Any]) -> tuple[str, ...]:
        """The registries it is for, where the cloud tells them only once a repository exists."""
        return self.servers

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        found = scope.client.kube.list(f"{cls.group}/{cls.plural}", selector(scope.cluster))
        return [cls.state(item) for item in found if item.get("type") == _TYPE]

    @classmethod
    def state(cls, item: Object) -> ManifestState:
        return super().state({key: value for key, value in item.items() if key != "data"})

    def body(self, env: Env[HasKube]) -> Object:
        login = self.login(env)
        pair = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        config = json.dumps({"auths": {server: {"auth": pair} for server in login.servers}})
        whole = super().body(env)
        whole["metadata"]["annotations"] = {
            EXPIRES: login.expires.isoformat(timespec="seconds"),
            _SERVERS: ",".join(login.servers),
        }
        data = {".dockerconfigjson": base64.b64encode(config.encode()).decode()}
        return {"apiVersion": "v1", "kind": "Secret", **whole, "type": _TYPE, "data": data}

    def edits(self, env: Env[HasKube], have: ManifestState) -> Iterator[Edit]:
        annotations = have.body["metadata"].get("annotations") or {}

        def renew() -> None:
            self._apply(env)

        expires = utc(annotations.get(EXPIRES, ""))
        if expires is None or expires <= datetime.now(UTC):
            yield Edit("password", "expired", "renewed", renew)
        servers = tuple(filter(None, annotations.get(_SERVERS, "").split(",")))
        yield from edit("servers", servers, self.wanted(env), renew)

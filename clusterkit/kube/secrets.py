"""Docker config Secrets: how pods log in to registries with a user name and password."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from clusterkit.engine.dates import utc
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import UserLogin
from clusterkit.errors import UsageError
from clusterkit.kube.api import HasKube, Object
from clusterkit.kube.manifest import Manifest, ManifestState, selector

EXPIRES = "clusterkit.dev/expires"
"""annotation: when the password expires (RFC 3339)"""
SERVERS = "clusterkit.dev/servers"
"""annotation: the registries it is for, and ``HOST=HELPER`` for those with a credential helper"""
TYPE = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"


@dataclass(frozen=True)
class Login:
    """A user name and password for registries."""

    servers: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    expires: datetime | None = None
    """UTC; None: not by itself"""


HELD = "held"
"""key of a state: the hosts for which the config has something"""


class DockerConfig(Manifest):
    """A Secret of type ``kubernetes.io/dockerconfigjson``; ``name`` is ``NAMESPACE/NAME``, and the
    namespace belongs in ``after``.

    An expired password is a difference, so that each ``up`` renews it; so is a login the user gives
    that is not the one there. No password is ever shown, nor part of a state.
    """

    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "secrets"
    namespaced: ClassVar[bool] = True

    servers: tuple[str, ...] = ()
    """those that ``login`` is for"""
    given: str = ""
    """the registry whose login the user gives (``CloudConnection.registry_login``)"""

    def login(self, env: Env[Any]) -> Login | None:
        """A fresh password; None where the cloud has none to give."""
        return None

    def wanted(self, env: Env[Any]) -> tuple[str, ...]:
        """The registries of ``login``, where the cloud tells them only once one exists."""
        return self.servers

    def helpers(self, env: Env[Any]) -> Mapping[str, str]:
        """Host to credential helper, of registries that need no password."""
        return {}

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        found = scope.client.kube.list(f"{cls.group}/{cls.plural}", selector(scope.cluster))
        return [cls.state(item) for item in found if item.get("type") == TYPE]

    @classmethod
    def state(cls, item: Object) -> ManifestState:
        shown = {key: value for key, value in item.items() if key != "data"}
        config = decoded(item)
        parts = (config.get("auths"), config.get("credHelpers"))
        # the hosts only: no password becomes part of a state
        held = sorted(host for part in parts if isinstance(part, dict) for host in part)
        return super().state({**shown, HELD: held})

    def taken(self, env: Env[HasKube]) -> ManifestState | None:
        if self.given and not given_login(env):
            raise no_login(self.given, self.key)
        return super().taken(env)

    def body(self, env: Env[HasKube]) -> Object:
        logins = [login] if (login := self.login(env)) is not None else []
        auths: dict[str, Any] = {
            key: value for each in logins for key, value in entries(each).items()
        }
        if self.given:
            auths[self.given] = self._given(env)
        whole = super().body(env)
        servers = tuple(server for each in logins for server in each.servers)
        annotations = {SERVERS: ",".join(self._names(env, servers))}
        if ends := [each.expires for each in logins if each.expires]:
            annotations[EXPIRES] = min(ends).isoformat(timespec="seconds")
        whole["metadata"]["annotations"] = annotations
        data = {KEY: encoded(auths, self.helpers(env))}
        return {"apiVersion": "v1", "kind": "Secret", **whole, "type": TYPE, "data": data}

    def _names(self, env: Env[Any], servers: tuple[str, ...]) -> tuple[str, ...]:
        given = (self.given,) if self.given else ()
        helped = (f"{host}={helper}" for host, helper in self.helpers(env).items())
        return (*servers, *given, *helped)

    def _given(self, env: Env[HasKube]) -> Mapping[str, str]:
        """The entry of the user's registry: what is given now, or was before."""
        login = given_login(env)
        there = self._there(env)
        if login is not None:
            [entry] = entries(Login((self.given,), login.user, login.password)).values()
            return entry
        if there is None:
            raise no_login(self.given, self.key)
        return there

    def _there(self, env: Env[HasKube]) -> Mapping[str, str] | None:
        """The entry of the user's registry as it is in the cluster."""
        found = env.client.kube.get(self.path(self.name)) or {}
        auths = decoded(found).get("auths")
        entry = auths.get(self.given) if isinstance(auths, dict) else None
        return entry if isinstance(entry, dict) else None

    def edits(self, env: Env[HasKube], have: ManifestState) -> Iterator[Edit]:
        annotations = have.body["metadata"].get("annotations") or {}
        names = tuple(filter(None, annotations.get(SERVERS, "").split(",")))

        def renew() -> None:
            self._apply(env)

        wanted = self.wanted(env)
        if wanted and expired(annotations):
            yield Edit("password", "expired", "renewed", renew)
        named = self._names(env, wanted)
        yield from edit("servers", names, named, renew)
        hosts = {*wanted, *self.helpers(env), *((self.given,) if self.given else ())}
        lost = sorted(hosts - {*have.body.get(HELD, ())}) if names == named else []
        yield from edit("logins that are missing", lost, [], renew)
        if self.given and self._given(env) != self._there(env):
            yield Edit("login", "another", "as given", renew)


def given_login(env: Env[Any]) -> UserLogin | None:
    """The login to a registry that the user gives to this run."""
    found: UserLogin | None = env.client.wire.registry_login
    return found


def no_login(server: str, where: str) -> UsageError:
    """That the user has to give one."""
    return UsageError(
        f"no user and password for {server}",
        where=where,
        hint="give --registry-user NAME and --registry-password-stdin, or set "
        "CLUSTERKIT_REGISTRY_USER and CLUSTERKIT_REGISTRY_PASSWORD",
    )


def expired(annotations: Mapping[str, str], early: timedelta = timedelta()) -> bool:
    """Whether the password of a Secret is good no longer, or will not be ``early`` before its end;
    also if nothing says until when it is.
    """
    expires = utc(annotations.get(EXPIRES, ""))
    return expires is None or expires - early <= datetime.now(UTC)


def entries(login: Login) -> dict[str, dict[str, str]]:
    """The entries of ``auths`` in a docker config: base64 without a newline."""
    pair = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    return {server: {"auth": pair} for server in login.servers}


def encoded(auths: Mapping[str, Any], helpers: Mapping[str, str]) -> str:
    """A docker config as a Secret holds it."""
    config: dict[str, Any] = {"auths": dict(auths)} if auths else {}
    if helpers:
        config["credHelpers"] = dict(helpers)
    return base64.b64encode(json.dumps(config).encode()).decode()


def decoded(secret: Mapping[str, Any]) -> dict[str, Any]:
    """The docker config in a Secret; empty if it holds none."""
    try:
        found = json.loads(base64.b64decode((secret.get("data") or {}).get(KEY) or ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def text(secret: Mapping[str, Any], key: str) -> str:
    """One key of a Secret; empty if it has none, or what is no text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except ValueError:
        return ""

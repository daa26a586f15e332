"""The hosts of Container Registry, and its token service.

Of an enterprise instance: ``NAME-registry[-vpc].REGION.cr.aliyuncs.com``; of the personal edition
``registry[-vpc|-internal].REGION.aliyuncs.com`` and, since September 2024,
``crpi-ID[-vpc].REGION.personal.cr.aliyuncs.com``. The challenge names ``dockerauth.REGION`` and a
service with the instance in it (recorded: kubernetes/minikube#13782, facts/alibaba.tsv). Users
and passwords are those of GetAuthorizationToken; RAM's actions are PullRepository and
PushRepository (vendor: Container Registry, "RAM authentication").

A push makes the repository where its namespace says so (``AutoCreateRepo``). The personal edition
has no names of more than two parts (vendor: "Limits" of the personal edition).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from clusterkit_sandbox.alibaba.models import Namespace, RegistryInstance, Repository
from clusterkit_sandbox.alibaba.personal import own_id
from clusterkit_sandbox.alibaba.registry import USER, content_key
from clusterkit_sandbox.alibaba.signature import AccessKey
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.content import Content, Manifest
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.bearer import (
    Granted,
    Scope,
    allows,
    basic,
    challenge,
    credentials,
    narrowed,
    scopes,
    token_answer,
    unauthorized,
)
from clusterkit_sandbox.registry.service import DELETE, PULL, PUSH, Asked, Refusal, place

_AUTH = re.compile(r"dockerauth(?:-vpc)?\.(?P<region>[a-z0-9-]+)\.aliyuncs\.com")
_ENTERPRISE = re.compile(
    r"(?P<name>[a-z0-9-]+?)-registry(?P<vpc>-vpc)?\.(?P<region>[a-z0-9-]+)\.cr\.aliyuncs\.com"
)
_PERSONAL = re.compile(
    r"registry(?:(?P<vpc>-vpc)|-internal)?\.(?P<region>[a-z0-9-]+)\.aliyuncs\.com"
)
_OWN = re.compile(
    r"(?P<id>crpi-[a-z0-9]+?)(?P<vpc>-vpc)?\.(?P<region>[a-z0-9-]+)\.personal\.cr\.aliyuncs\.com"
)
_SERVICE = re.compile(
    r"registry\.aliyuncs\.com:(?P<region>[a-z0-9-]+):(?:\d+|china:(?P<instance>[a-z0-9-]+))"
)
_LIFE = 600
"""Seconds that a token is good (one is quoted in canonical/microk8s#3221)."""
_ACTIONS = {PULL: "cr:PullRepository", PUSH: "cr:PushRepository", DELETE: "cr:PushRepository"}


@dataclass(frozen=True)
class _Edition:
    """One registry: an enterprise instance, or the personal one of a region."""

    region: str
    instance: str = ""
    vpc: str = ""

    @property
    def key(self) -> str:
        return content_key(self.instance, self.region)

    @property
    def service(self) -> str:
        kind = f"china:{self.instance}" if self.instance else "26842"
        return f"registry.aliyuncs.com:{self.region}:{kind}"

    @property
    def where(self) -> str:
        """The region that its namespaces and repositories have in the store."""
        return "" if self.instance else self.region


class AliyunRegistry:
    """Implements ``registry.service.Service``."""

    name = "aliyun"
    throttled = "Request was denied due to user flow control."
    made = False

    def __init__(self, store: Store, content: Content) -> None:
        self._store = store
        self._content = content
        self._tokens = Granted[tuple[str, tuple[Scope, ...]]]()

    def claims(self, host: str) -> bool:
        """The hosts of both editions and of the token service, in every region."""
        return any(one.fullmatch(host) for one in (_AUTH, _ENTERPRISE, _OWN, _PERSONAL))

    def operation(self, request: Request) -> str:
        """``Token`` for everything on the host of the token service."""
        return "Token" if _AUTH.fullmatch(request.host) else ""

    def clear(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    # -- who ---------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """A token for as much of what is asked for as the caller, or anybody, may do."""
        query = {**dict(request.query), **request.form}
        found = _SERVICE.fullmatch(query.get("service", ""))
        if request.path != "/auth" or found is None or query.get("scope") == "":
            # containerd/nerdctl#717: an empty scope is refused like this
            kind = (("Content-Type", "application/json"),)
            return Answer(400, kind, json.dumps({"error": "bad request"}).encode())
        edition = _Edition(found["region"], found["instance"] or "")
        with self._store.lock:
            key = self._login(request, edition)
            granted = narrowed(
                scopes(request), lambda one, action: self._may(edition, key, one, action)
            )
        return token_answer(self._tokens.issue((edition.key, granted), _LIFE), _LIFE)

    def _login(self, request: Request, edition: _Edition) -> AccessKey | None:
        """Whose password is sent; None for anybody. ``Refusal`` of a bad one."""
        given, form = basic(request), request.form
        if form.get("grant_type") == "password":
            given = form.get("username", ""), form.get("password", "")
        if given is None:
            return None
        owner = self._store.passwords.read(given[1])
        if given[0] != USER or owner is None or owner[0] != edition.key:
            raise Refusal(401, "UNAUTHORIZED", "authentication required")
        return owner[1]

    def _may(self, edition: _Edition, key: AccessKey | None, scope: Scope, action: str) -> bool:
        namespace, repository = self._find(edition, scope.name)
        if scope.kind != "repository" or namespace is None:
            return False
        if key is None:
            return action == PULL and repository is not None and repository.kind == "PUBLIC"
        needed = _ACTIONS.get(action)
        if needed is None or (key.permissions and key.permissions.missing((needed,))):
            return False
        # a push that is to make its repository begins with a look at what is there
        return repository is not None or (PUSH in scope.actions and namespace.auto_create)

    def _find(self, edition: _Edition, name: str) -> tuple[Namespace | None, Repository | None]:
        """The namespace and the repository that a name means, as far as they are there."""
        above, _, below = name.partition("/")
        if not below or (not edition.instance and "/" in below):
            return None, None
        home = (edition.instance, edition.where)
        namespace = None
        for space in self._store.all(Namespace):
            if (space.instance, space.region, space.name) == (*home, above):
                namespace = space
        for one in self._store.all(Repository):
            if (one.instance, one.region, one.namespace, one.name) == (*home, above, below):
                return namespace, one
        return namespace, None

    # -- what --------------------------------------------------------------------------------------

    def _edition(self, host: str) -> _Edition:
        """The registry behind a host."""
        instances = {one.name: one.id for one in self._store.all(RegistryInstance)}
        for pattern in (_ENTERPRISE, _PERSONAL, _OWN):
            if (found := pattern.fullmatch(host)) is None:
                continue
            given = found.groupdict()
            region, vpc = given["region"], given["vpc"] or ""
            if pattern is _ENTERPRISE and given["name"] in instances:
                return _Edition(region, instances[given["name"]], vpc)
            if pattern is _PERSONAL or (pattern is _OWN and given["id"] == own_id(region)):
                return _Edition(region, "", vpc)
        raise Refusal(404, "NAME_UNKNOWN", f"there is no registry {host}")

    def admit(self, asked: Asked) -> str:
        """Everybody with a token for it."""
        with self._store.lock:
            edition = self._edition(asked.host)
        scheme, token = credentials(asked.request)
        found = self._tokens.read(token) if scheme == "bearer" else None
        granted = found[1] if found is not None and found[0] == edition.key else None
        if granted is None or not allows(granted, asked):
            realm = f"https://dockerauth{edition.vpc}.{edition.region}.aliyuncs.com/auth"
            error = "" if granted is None else "insufficient_scope"
            headers = challenge(realm, edition.service, asked.scope, error)
            raise unauthorized(asked, headers, "authentication required")
        return place(edition.key, asked.repository) if asked.repository else ""

    def check(self, asked: Asked, place: str, manifest: Manifest, tag: str) -> None:
        """Tags may be moved."""

    def changed(self, asked: Asked, place: str) -> None:
        """Make the repository that a push was to, if its namespace does so."""
        with self._store.lock:
            edition = self._edition(asked.host)
            namespace, repository = self._find(edition, asked.repository)
            if namespace is None or repository is not None:
                return
            personal = not edition.instance
            new = self._store.new_number() if personal else f"crr-{self._store.new_hex(16)}"
            self._store.add(
                Repository(
                    id=new,
                    region=edition.where,
                    name=asked.repository.partition("/")[2],
                    instance=edition.instance,
                    namespace=namespace.name,
                    kind=namespace.default_type,
                    summary="",
                    detail="",
                )
            )

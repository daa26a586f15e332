"""Repositories in the account's Container Registry Personal Edition.

Its interface is the one of 2016-06-07; the package ``aliyun-python-sdk-cr`` has its paths, the
bodies are those of terraform-provider-alicloud (``service_alicloud_cr.go``,
``resource_alicloud_cr_repo.go``): a summary has at most 100 characters. Nothing takes tags: a
repository is marked in its summary. A namespace cannot be marked at all, so one that is missing is
created and none is ever deleted (docs/decisions.md, 32).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.engine.kind import Edit, Env, Kind, Tags, edit
from clusterkit.engine.scope import Scope
from clusterkit.errors import Finding, Gone, Rejected
from clusterkit.kube.secrets import Login
from clusterkit.naming import mark, read_mark

NOT_OPENED = (
    "open the Personal Edition in the console of Container Registry in this region, as the account "
    "or RAM user of these credentials, and set its password there, which no call does; or name an "
    "Enterprise Edition instance"
)
"""https://www.alibabacloud.com/help/en/acr/user-guide/grant-ram-user-system-policy"""


@dataclass(frozen=True)
class PersonalRepositoryState:
    """A repository as GetRepo shows it."""

    id: str
    """``NAMESPACE/REPOSITORY``"""
    tags: Tags
    """what its summary stands for"""
    keep: bool
    servers: tuple[str, ...] = ()
    """the registry's host names as the cloud tells them, the one inside a VPC first"""
    status: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonalRepository(Kind[Clients, PersonalRepositoryState]):
    """A private repository; ``name`` is ``NAMESPACE/REPOSITORY``."""

    kind: ClassVar[str] = "personal-repository"
    taggable: ClassVar[bool] = False
    keep: bool = True

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[PersonalRepositoryState]:
        try:
            return [_state(scope, shown) for shown in scope.client.every("GetRepoList")]
        except Gone:
            return []  # the Personal Edition was never opened here, so nothing of ours is in it

    def taken(self, env: Env[Clients]) -> PersonalRepositoryState | None:
        try:
            found = env.client.personal("GetRepo", "GET", f"/repos/{self.name}")
        except Gone:
            return None
        return _state(env, found["repo"]) if found.get("repo") else None

    def create(self, env: Env[Clients]) -> None:
        namespace, _, name = self.name.partition("/")
        _provide(env.client, namespace)
        body = {"RepoNamespace": namespace, "RepoName": name, **_body(env, self.keep)}
        env.client.personal("CreateRepo", "PUT", "/repos", {"Repo": body})

    def edits(self, env: Env[Clients], have: PersonalRepositoryState) -> Iterator[Edit]:
        yield from edit("keep", have.keep, self.keep, lambda: _write(env, have.id, self.keep))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: PersonalRepositoryState) -> None:
        scope.client.personal("DeleteRepo", "DELETE", f"/repos/{have.id}")

    @classmethod
    def kept(cls, have: PersonalRepositoryState) -> str | None:
        if have.keep:
            return "the profile keeps the registry (registry.keep); the Personal Edition is free"
        return None

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        _write(scope, identifier, keep=True)


def namespaces(clients: Clients) -> frozenset[str]:
    """The account's namespaces in the region; ``Rejected`` where the Personal Edition is not
    opened.
    """
    found = clients.personal("GetNamespaceList", "GET", "/namespace")
    return frozenset(item["namespace"] for item in found.get("namespaces") or ())


def check(clients: Clients) -> Iterator[Finding]:
    """Whether there is a Personal Edition to use."""
    try:
        namespaces(clients)
    except Rejected as error:
        what = f"the Personal Edition of Container Registry cannot be used here: {error}"
        yield Finding(what, "registry", NOT_OPENED)


def servers(region: str, host: str | None) -> tuple[str, ...]:
    """The host names that go with the one of the profile, the one inside a VPC first.

    ``crpi-ID[-vpc].REGION.personal.cr.aliyuncs.com`` since 2024-09-09; older accounts have
    ``registry[-vpc].REGION.aliyuncs.com``, which is what is taken without one.
    """
    first, _, rest = (host or f"registry.{region}.aliyuncs.com").partition(".")
    first = first.removesuffix("-vpc")
    return (f"{first}-vpc.{rest}", f"{first}.{rest}")


def password(clients: Clients, servers: tuple[str, ...]) -> Login:
    """What logs in for an hour."""
    found = clients.personal("GetAuthorizationToken", "GET", "/tokens")
    until = datetime.fromtimestamp(int(found["expireDate"]) / 1000, UTC)
    return Login(servers, found["tempUserName"], found["authorizationToken"], until)


def _provide(clients: Clients, namespace: str) -> None:
    """Create the namespace if there is none of this name, closed to repositories made by a push."""
    if namespace in namespaces(clients):
        return
    body = {"Namespace": {"Namespace": namespace}}
    try:
        clients.personal("CreateNamespace", "PUT", "/namespace", body)
    except Rejected as error:
        there = namespaces(clients)
        if namespace in there:
            return  # created for another repository of ours in the meantime
        error.hint = (
            "the older registries share namespaces among all accounts, and an account has three: "
            f"name one of yours in registry.name ({', '.join(sorted(there)) or '-'})"
        )
        raise
    closed = {"Namespace": {"AutoCreate": False, "DefaultVisibility": "PRIVATE"}}
    clients.personal("UpdateNamespace", "POST", f"/namespace/{namespace}", closed)


def _body(scope: Scope[Clients], keep: bool) -> dict[str, str]:
    return {"RepoType": "PRIVATE", "Summary": mark(scope.region, scope.cluster, keep=keep)}


def _write(scope: Scope[Clients], name: str, keep: bool) -> None:
    scope.client.personal("UpdateRepo", "POST", f"/repos/{name}", {"Repo": _body(scope, keep)})


def _state(scope: Scope[Clients], shown: Any) -> PersonalRepositoryState:
    """What is shown of a repository, ours or not."""
    name = f"{shown['repoNamespace']}/{shown['repoName']}"
    tags, keep = read_mark(shown.get("summary"), scope.region, name)
    hosts = shown.get("repoDomainList") or {}
    servers = tuple(host for kind in ("vpc", "public") if (host := hosts.get(kind)))
    return PersonalRepositoryState(name, tags, keep, servers)

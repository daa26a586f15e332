"""Repositories in the account's Container Registry Personal Edition or in an existing Enterprise
Edition instance, and the login to either.

Neither namespaces nor repositories take tags: a repository is marked in its summary, which
CreateRepository requires anyway. A namespace cannot be marked at all, so one that is missing is
created and none is ever deleted; it is opened to repositories that a push makes, which Jenkins X
needs, only while all repositories in it are clusterkit's (docs/decisions.md, 32 and 98).

The interface of the Personal Edition is the one of 2016-06-07; the package
``aliyun-python-sdk-cr`` has its paths, the bodies are those of terraform-provider-alicloud
(``service_alicloud_cr.go``, ``resource_alicloud_cr_repo.go``): a summary has at most 100
characters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, cast

from clusterkit.alibaba.client import Clients
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Env, Kind, Record, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Finding, Gone, QuotaExceeded, Rejected
from clusterkit.kube.secrets import Login
from clusterkit.naming import CLUSTER, mark, read_mark

NOT_ALONE = (
    "repositories of others are in it: let it create repositories automatically in the console of "
    "Container Registry, or choose another namespace in registry.name"
)
NOT_OPENED = (
    "open the Personal Edition in the console of Container Registry in this region, as the account "
    "or RAM user of these credentials, and set its password there, which no call does; or name an "
    "Enterprise Edition instance"
)
"""https://www.alibabacloud.com/help/en/acr/user-guide/grant-ram-user-system-policy"""


NO_PASSWORD = (
    "set the registry's password in the console of Container Registry in this region (Access "
    "Credential), as the account or RAM user of these credentials"
)


class Space(NamedTuple):
    """A namespace of either edition."""

    open: bool
    """whether a push makes the repository that it names"""
    shared: bool
    """whether somebody else's repositories are in it"""


PUBLIC = "PUBLIC"
"""type of a repository from which everybody may pull"""


class RepositoryState(Record):
    """A repository of either edition."""

    id: str
    """with the Personal Edition its name"""
    name: str
    """``NAMESPACE/REPOSITORY``"""
    tags: Tags
    """what its summary stands for"""
    keep: bool
    private: bool = True
    """whether only the account may pull from it"""
    instance: str = ""
    """of the Enterprise Edition"""
    servers: tuple[str, ...] = ()
    """the Personal Edition's host names as the cloud tells them, the one inside a VPC first"""
    status: str = ""


class Summarized(Kind[Clients, RepositoryState]):
    """A private repository, marked in its summary; ``name`` is ``NAMESPACE/REPOSITORY``."""

    taggable: ClassVar[bool] = False
    costs: ClassVar[str]
    """what images go on costing"""
    keep: bool = True
    open: bool = False
    """a push to its namespace makes repositories, private ones"""

    @classmethod
    @abstractmethod
    def write(cls, scope: Scope[Clients], have: RepositoryState, keep: bool) -> None:
        """Write the mark, and make it private."""

    @classmethod
    @abstractmethod
    def admit(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        """Let pushes make repositories in the namespace."""

    def edits(self, env: Env[Clients], have: RepositoryState) -> Iterator[Edit]:
        def write() -> None:
            self.write(env, have, self.keep)

        yield from edit("keep", have.keep, self.keep, write)
        yield from edit("private", have.private, True, write)
        there = space(env, self.name.partition("/")[0], have.instance) if self.open else None
        if there and there.shared:
            yield from fixed("repositories by push", there.open, True, NOT_ALONE)
        elif there:
            yield from edit("repositories by push", there.open, True, lambda: self.admit(env, have))

    @classmethod
    def kept(cls, have: RepositoryState) -> str | None:
        return f"the profile keeps the registry (registry.keep); {cls.costs}" if have.keep else None

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        for have in cast("Iterable[RepositoryState]", cls.list(scope)):
            if have.id == identifier:
                cls.write(scope, have, keep=True)
                return
        raise Gone(f"there is no repository {identifier} in this region", where=cls.kind)


class PersonalRepository(Summarized):
    """A repository of the Personal Edition."""

    kind: ClassVar[str] = "personal-repository"
    costs: ClassVar[str] = "the Personal Edition is free"

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RepositoryState]:
        try:
            return [_state(scope, shown) for shown in scope.client.every("GetRepoList")]
        except Gone:
            return []  # the Personal Edition was never opened here, so nothing of ours is in it

    def taken(self, env: Env[Clients]) -> RepositoryState | None:
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

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        scope.client.personal("DeleteRepo", "DELETE", f"/repos/{have.id}")

    @classmethod
    def write(cls, scope: Scope[Clients], have: RepositoryState, keep: bool) -> None:
        repo = {"Repo": _body(scope, keep)}
        scope.client.personal("UpdateRepo", "POST", f"/repos/{have.id}", repo)

    @classmethod
    def admit(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        _set_space(scope.client, have.name.partition("/")[0], open=True)


def namespaces(clients: Clients) -> frozenset[str]:
    """The account's namespaces in the region; ``Rejected`` where the Personal Edition is not
    opened.
    """
    found = clients.personal("GetNamespaceList", "GET", "/namespace")
    return frozenset(item["namespace"] for item in found.get("namespaces") or ())


def check_personal(clients: Clients) -> Iterator[Finding]:
    """Whether there is a Personal Edition to use, and a password: until one is set, a token is
    refused with USER_NOT_EXIST (aliyun/aliyun-cli#232, aliyun/acr-login#19).
    """
    try:
        namespaces(clients)
    except Rejected as error:
        what = f"the Personal Edition of Container Registry cannot be used here: {error}"
        yield Finding(what, "registry", NOT_OPENED)
        return
    try:
        _token(clients)
    except Denied:
        return  # up needs it only if it is to make a Secret
    except (Gone, Rejected) as error:
        what = f"nobody can log in to the Personal Edition of Container Registry yet: {error}"
        yield Finding(what, "registry", NO_PASSWORD)


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
    found = _token(clients)
    until = datetime.fromtimestamp(int(found["expireDate"]) / 1000, UTC)
    return Login(servers, found["tempUserName"], found["authorizationToken"], until)


def _token(clients: Clients) -> Any:
    return clients.personal("GetAuthorizationToken", "GET", "/tokens")


def _provide(clients: Clients, namespace: str) -> None:
    """Create the namespace if there is none of this name, closed to repositories made by a push."""
    if namespace in namespaces(clients):
        return
    body = {"Namespace": {"Namespace": namespace}}
    try:
        clients.personal("CreateNamespace", "PUT", "/namespace", body)
    except (QuotaExceeded, Rejected) as error:
        there = namespaces(clients)
        if namespace in there:
            return  # created for another repository of ours in the meantime
        error.hint = (
            "the older registries share namespaces among all accounts, and an account has three: "
            f"name one of yours in registry.name ({', '.join(sorted(there)) or '-'})"
        )
        raise
    _set_space(clients, namespace, open=False)


def _set_space(clients: Clients, namespace: str, *, open: bool) -> None:
    body = {"Namespace": {"AutoCreate": open, "DefaultVisibility": "PRIVATE"}}
    clients.personal("UpdateNamespace", "POST", f"/namespace/{namespace}", body)


def _shared(namespace: str, there: Iterable[RepositoryState]) -> bool:
    """Whether a repository in it has no mark of clusterkit's."""
    inside = (one for one in there if one.name.partition("/")[0] == namespace)
    return any(CLUSTER not in one.tags for one in inside)


def _body(scope: Scope[Clients], keep: bool) -> dict[str, str]:
    return {"RepoType": "PRIVATE", "Summary": mark(scope.region, scope.cluster, keep=keep)}


def _state(scope: Scope[Clients], shown: Any) -> RepositoryState:
    """What is shown of a repository, ours or not."""
    name = f"{shown['repoNamespace']}/{shown['repoName']}"
    tags, keep = read_mark(shown.get("summary"), scope.region, name)
    hosts = shown.get("repoDomainList") or {}
    servers = tuple(host for kind in ("vpc", "public") if (host := hosts.get(kind)))
    private = shown.get("repoType") != PUBLIC
    common: Any = {"id": name, "name": name, "tags": tags, "keep": keep, "private": private}
    return RepositoryState(**common, servers=servers)


class Repository(Summarized):
    """A repository of an Enterprise Edition instance."""

    kind: ClassVar[str] = "repository"
    costs: ClassVar[str] = "images cost by the GB and month"
    instance: str

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RepositoryState]:
        for instance in scope.client.every("ListInstance"):
            if instance.get("InstanceStatus") == "RUNNING":
                yield from _repositories(scope, instance["InstanceId"])

    def taken(self, env: Env[Clients]) -> RepositoryState | None:
        found = _repositories(env, self.instance)
        return next((one for one in found if one.name == self.name), None)

    def create(self, env: Env[Clients]) -> None:
        namespace, _, name = self.name.partition("/")
        cr, refused = env.client.cr, None
        if _namespace(env, self.instance, namespace) is None:
            try:
                wanted = {"NamespaceName": namespace, "DefaultRepoType": "PRIVATE"}
                cr("CreateNamespace", InstanceId=self.instance, AutoCreateRepo=False, **wanted)
            except Rejected as error:
                refused = error  # maybe created for another repository of ours, and not listed yet
        wanted = {"RepoNamespaceName": namespace, "RepoName": name, **_body(env, self.keep)}
        try:
            cr("CreateRepository", InstanceId=self.instance, **wanted)
        except Gone as error:
            raise refused or error from None

    def edits(self, env: Env[Clients], have: RepositoryState) -> Iterator[Edit]:
        why = "delete the repositories there first, or change the profile back"
        yield from fixed("instance", have.instance, self.instance, why)
        yield from super().edits(env, have)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        scope.client.cr("DeleteRepository", InstanceId=have.instance, RepoId=have.id)

    @classmethod
    def write(cls, scope: Scope[Clients], have: RepositoryState, keep: bool) -> None:
        repository = {"InstanceId": have.instance, "RepoId": have.id}
        scope.client.cr("UpdateRepository", **repository, **_body(scope, keep))

    @classmethod
    def admit(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        namespace = have.name.partition("/")[0]
        wanted = {"NamespaceName": namespace, "DefaultRepoType": "PRIVATE", "AutoCreateRepo": True}
        scope.client.cr("UpdateNamespace", InstanceId=have.instance, **wanted)


def _repositories(scope: Scope[Clients], instance: str) -> Iterator[RepositoryState]:
    for item in scope.client.every("ListRepository", InstanceId=instance, RepoStatus="ALL"):
        identifier, name = item["RepoId"], f"{item['RepoNamespaceName']}/{item['RepoName']}"
        tags, keep = read_mark(item.get("Summary"), scope.region, name)
        common: Any = {"id": identifier, "name": name, "tags": tags, "keep": keep}
        private = item.get("RepoType") != PUBLIC
        yield RepositoryState(**common, private=private, instance=instance)


def _namespace(scope: Scope[Clients], instance: str, name: str) -> Any:
    """What is shown of the instance's namespace of this name; None if there is none."""
    listed = scope.client.every("ListNamespace", InstanceId=instance, NamespaceName=name)
    return next((item for item in listed if item["NamespaceName"] == name), None)


def space(scope: Scope[Clients], name: str, instance: str | None) -> Space | None:
    """The namespace of this name; None if there is none. ``Rejected`` where the Personal Edition is
    not opened.
    """
    if instance:
        shown = _namespace(scope, instance, name)
        opens = shown and shown.get("AutoCreateRepo")
    else:
        try:
            answer = scope.client.personal("GetNamespace", "GET", f"/namespace/{name}")
        except Gone:
            return None
        shown = answer.get("namespace")
        opens = shown and shown.get("autoCreate")
    return Space(bool(opens), _shared(name, repositories(scope, instance))) if shown else None


def repositories(scope: Scope[Clients], instance: str | None) -> Iterable[RepositoryState]:
    """Every repository of the edition, whosever."""
    return _repositories(scope, instance) if instance else PersonalRepository.list(scope)


def domains(clients: Clients, instance: str) -> tuple[str, ...]:
    """The instance's host names that are switched on, the one inside VPCs first.

    GetInstanceEndpoint knows the public one only (``EndpointType``: internet).
    """
    inside = clients.cr("GetInstanceVpcEndpoint", InstanceId=instance, ModuleName="Registry")
    outside = clients.cr("GetInstanceEndpoint", InstanceId=instance, EndpointType="internet")
    found = [str(host) for host in inside.get("Domains") or ()] if inside.get("Enable") else []
    if outside.get("Enable"):
        found += [item["Domain"] for item in outside.get("Domains") or ()]
    return tuple(found)


def instance_login(clients: Clients, instance: str, hosts: tuple[str, ...]) -> Login:
    """What logs in to an instance for an hour."""
    found = clients.cr("GetAuthorizationToken", InstanceId=instance)
    until = datetime.fromtimestamp(int(found["ExpireTime"]) / 1000, UTC)
    return Login(hosts, found["TempUsername"], found["AuthorizationToken"], until)

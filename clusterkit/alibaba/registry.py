"""Repositories in an existing Container Registry Enterprise Edition instance, and the login to a
registry of either edition.

Neither namespaces nor repositories take tags: a repository's mark is its summary, which
CreateRepository wants anyway. A namespace is made with the first repository in it and goes with the
last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.personal_registry import password
from clusterkit.alibaba.personal_registry import servers as personal_servers
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.engine.scope import Env
from clusterkit.errors import Rejected
from clusterkit.kube.secrets import DockerConfig, Login

PAGE = 100
_SUMMARY = re.compile(r"clusterkit (?P<region>\S+)/(?P<cluster>\S+)/(?P<name>\S+) (?P<keep>\w+)")


@dataclass(frozen=True)
class RepositoryState:
    """A repository."""

    instance: str
    namespace: str
    name: str
    id: str
    keep: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Repository(Resource[Clients, RepositoryState]):
    """A private repository; ``name`` is ``NAMESPACE/REPOSITORY``."""

    kind: ClassVar[str] = "repository"
    instance: str
    keep: bool = True

    def _summary(self, cx: Ctx[Clients]) -> str:
        keep = "keep" if self.keep else "remove"
        return f"clusterkit {cx.clients.region}/{cx.cluster}/{self.name.replace('/', ':')} {keep}"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, RepositoryState]:
        found = []
        for instance in _instances(cx):
            listed = _pages(
                cx, "ListRepository", "Repositories", InstanceId=instance, RepoStatus="ALL"
            )
            for item in listed:
                mark = _SUMMARY.fullmatch(item.get("Summary") or "")
                if mark and (mark["region"], mark["cluster"]) == (cx.clients.region, cx.cluster):
                    namespace, name = item["RepoNamespaceName"], item["RepoName"]
                    keep = mark["keep"] == "keep"
                    state = RepositoryState(instance, namespace, name, item["RepoId"], keep)
                    found.append((f"{namespace}/{name}", state))
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        namespace, _, name = self.name.partition("/")
        if not _has_namespace(cx, self.instance, namespace):
            try:
                cx.clients.cr(
                    "CreateNamespace",
                    InstanceId=self.instance,
                    NamespaceName=namespace,
                    AutoCreateRepo=False,
                    DefaultRepoType="PRIVATE",
                )
            except Rejected:  # made for another repository of ours in the meantime?
                if not _has_namespace(cx, self.instance, namespace):
                    raise
        cx.clients.cr(
            "CreateRepository",
            InstanceId=self.instance,
            RepoNamespaceName=namespace,
            RepoName=name,
            RepoType="PRIVATE",
            Summary=self._summary(cx),
        )

    def diff(self, cx: Ctx[Clients], have: RepositoryState) -> list[Change]:
        changes = []
        if have.instance != self.instance:
            why = "remove the repositories there first, or change the profile back"
            changes.append(Change("instance", have.instance, self.instance, "refuse", why))
        if have.keep != self.keep:
            changes.append(Change("keep", have.keep, self.keep))
        return changes

    def update(self, cx: Ctx[Clients], have: RepositoryState, changes: list[Change]) -> None:
        cx.clients.cr(
            "UpdateRepository",
            InstanceId=have.instance,
            RepoId=have.id,
            RepoType="PRIVATE",
            Summary=self._summary(cx),
        )

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: RepositoryState) -> None:
        gone_is_fine(cx.clients.cr, "DeleteRepository", InstanceId=have.instance, RepoId=have.id)
        left = _pages(
            cx,
            "ListRepository",
            "Repositories",
            InstanceId=have.instance,
            RepoNamespaceName=have.namespace,
            RepoStatus="ALL",
        )
        if not any(item["RepoNamespaceName"] == have.namespace for item in left):
            gone_is_fine(
                cx.clients.cr,
                "DeleteNamespace",
                InstanceId=have.instance,
                NamespaceName=have.namespace,
            )

    @classmethod
    def kept(cls, have: RepositoryState) -> str | None:
        if have.keep:
            return "the profile keeps the registry (registry.keep); images cost by the GB and month"
        return None


def _instances(cx: Ctx[Clients]) -> list[str]:
    """The instances there are in the region, asked once per process."""

    def read() -> list[str]:
        found = _pages(cx, "ListInstance", "Instances")
        return [item["InstanceId"] for item in found if item.get("InstanceStatus") == "RUNNING"]

    return cx.clients.recall("registry instances", read)


def _has_namespace(cx: Ctx[Clients], instance: str, name: str) -> bool:
    listed = _pages(cx, "ListNamespace", "Namespaces", InstanceId=instance, NamespaceName=name)
    return any(item["NamespaceName"] == name for item in listed)


def _pages(cx: Ctx[Clients], action: str, key: str, **parameters: Any) -> Iterator[Any]:
    clients = cx.clients
    return clients.pages(clients.cr, action, key, number="PageNo", size=PAGE, **parameters)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class RegistryLogin(DockerConfig):
    """The docker config of a registry; its password lives for an hour, and each ``up`` renews it.

    Pods whose service account has the push role do without (docs/alibaba.md, "Pushing images").
    """

    kind: ClassVar[str] = "registry-login"
    instance: str | None = None
    """None: the Personal Edition"""
    repository: Any = None
    """of the Personal Edition: it tells the host names, unless the profile has"""

    def wanted(self, env: Env[Any]) -> tuple[str, ...]:
        if self.repository is None or self.servers:
            return self.servers
        return env[self.repository].servers or personal_servers(env.region, None)

    def login(self, env: Env[Any]) -> Login:
        if self.instance is None:
            return password(env.client, self.wanted(env))
        found = env.client.cr("GetAuthorizationToken", InstanceId=self.instance)
        until = datetime.fromtimestamp(int(found["ExpireTime"]) / 1000, UTC)
        user, secret = found["TempUsername"], found["AuthorizationToken"]
        return Login(self.servers, user, secret, until)

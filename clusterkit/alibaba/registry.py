"""Repositories in an existing Container Registry Enterprise Edition instance, and the login to a
registry of either edition.

Neither namespaces nor repositories take tags: a repository is marked in its summary, which
CreateRepository requires anyway. A namespace is created with the first repository in it and deleted
with the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.personal_registry import RepositoryState, Summarized, password
from clusterkit.alibaba.personal_registry import servers as personal_servers
from clusterkit.engine.kind import Edit, Env, Kind, fixed
from clusterkit.engine.scope import Scope
from clusterkit.errors import Rejected
from clusterkit.kube.secrets import DockerConfig, Login
from clusterkit.naming import mark, read_mark


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
        if not _has_namespace(env, self.instance, namespace):
            try:
                env.client.cr(
                    "CreateNamespace",
                    InstanceId=self.instance,
                    NamespaceName=namespace,
                    AutoCreateRepo=False,
                    DefaultRepoType="PRIVATE",
                )
            except Rejected:  # created for another repository of ours in the meantime?
                if not _has_namespace(env, self.instance, namespace):
                    raise
        env.client.cr(
            "CreateRepository",
            InstanceId=self.instance,
            RepoNamespaceName=namespace,
            RepoName=name,
            RepoType="PRIVATE",
            Summary=mark(env.region, env.cluster, keep=self.keep),
        )

    def edits(self, env: Env[Clients], have: RepositoryState) -> Iterator[Edit]:
        why = "delete the repositories there first, or change the profile back"
        yield from fixed("instance", have.instance, self.instance, why)
        yield from super().edits(env, have)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        scope.client.cr("DeleteRepository", InstanceId=have.instance, RepoId=have.id)
        namespace, rest = have.name.partition("/")[0], _repositories(scope, have.instance)
        if not any(one.name.startswith(f"{namespace}/") for one in rest):
            scope.client.cr("DeleteNamespace", InstanceId=have.instance, NamespaceName=namespace)

    @classmethod
    def write(cls, scope: Scope[Clients], have: RepositoryState, keep: bool) -> None:
        scope.client.cr(
            "UpdateRepository",
            InstanceId=have.instance,
            RepoId=have.id,
            RepoType="PRIVATE",
            Summary=mark(scope.region, scope.cluster, keep=keep),
        )


def _repositories(scope: Scope[Clients], instance: str) -> Iterator[RepositoryState]:
    for item in scope.client.every("ListRepository", InstanceId=instance, RepoStatus="ALL"):
        identifier, name = item["RepoId"], f"{item['RepoNamespaceName']}/{item['RepoName']}"
        tags, keep = read_mark(item.get("Summary"), scope.region, name)
        yield RepositoryState(id=identifier, name=name, tags=tags, keep=keep, instance=instance)


def _has_namespace(scope: Scope[Clients], instance: str, name: str) -> bool:
    listed = scope.client.every("ListNamespace", InstanceId=instance, NamespaceName=name)
    return any(item["NamespaceName"] == name for item in listed)


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


class RegistryLogin(DockerConfig):
    """The docker config of a registry; its password lives for an hour, and each ``up`` renews it.

    Pods whose service account has the push role do without (docs/alibaba.md, "Pushing images").
    """

    kind: ClassVar[str] = "registry-login"
    instance: str | None = None
    """None: the Personal Edition"""
    repository: Kind[Any, RepositoryState] | None = None
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

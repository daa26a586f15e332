"""Kubernetes service accounts as Google knows them (Workload Identity Federation for GKE).

https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, State, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.gke import policies
from clusterkit.gke.client import Clients
from clusterkit.gke.iam import IamServiceAccount
from clusterkit.gke.policies import EFFECT, Grant, Holder, workload_pool
from clusterkit.gke.registry import WRITER, GcrRepository, Repository, pusher
from clusterkit.kube import manifest
from clusterkit.kube.api import HasKube, Object
from clusterkit.naming import CLUSTER, NAME

ACT_AS = "iam.gke.io/gcp-service-account"
"""annotation that names the service account of Google's that the pods act as"""
USER = "roles/iam.workloadIdentityUser"
HOLDERS = (Repository, GcrRepository, IamServiceAccount)


def principal(project: str, number: str, account: str) -> str:
    """The Kubernetes service account ``NAMESPACE/NAME`` itself as a member of policies."""
    namespace, _, name = account.partition("/")
    pools = f"//iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools"
    return f"principal:{pools}/{workload_pool(project)}/subject/ns/{namespace}/sa/{name}"


def user(project: str, account: str) -> str:
    """The same as a member that may act as a service account of Google's."""
    return f"serviceAccount:{workload_pool(project)}[{account}]"


class AccessState(Record):
    """Who of the pool has access to something."""

    id: str
    """a repository's full name, or an account's email address"""
    tags: Tags
    members: frozenset[str]
    status: str = ""


class WorkloadAccess(Kind[Clients, AccessState]):
    """Which pods may push to a repository of ours, or act as an account of ours: a part of its
    policy, which takes no member of the pool before a cluster of the project has made that.
    """

    kind: ClassVar[str] = "workload-access"
    taggable: ClassVar[bool] = False
    takes: ClassVar[Durations] = Durations(create=EFFECT)
    uses: ClassVar[tuple[str, ...]] = tuple(kind.kind for kind in HOLDERS)
    holder: Kind[Clients, State]
    cluster: Kind[Clients, State]
    members: tuple[str, ...]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[AccessState]:
        for kind in HOLDERS:
            for have in kind.list(scope):
                tags = have.tags or {}
                # the nodes' account has no users
                if tags.get(CLUSTER) == scope.cluster and tags.get(NAME) != "nodes":
                    grants = _holder(scope, have.id).grants(scope.client)
                    ours = partial(_ours, scope, have.id, tags)
                    if members := frozenset(each.member for each in grants if ours(each)):
                        name = f"{kind.kind}-{tags.get(NAME)}"
                        yield AccessState(id=have.id, tags={**tags, NAME: name}, members=members)

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        return self._grant(env, frozenset())

    def _grant(self, env: Env[Clients], there: frozenset[str]) -> Operation[Clients]:
        holder, effect = _holder(env, env[self.holder].id), EFFECT if {*self.members} - there else 0
        role = USER if holder.service == "iam" else WRITER
        wanted = frozenset(Grant(role, member) for member in self.members)
        have = env[self.holder]
        ours = partial(_ours, env, have.id, have.tags or {})
        return policies.changed(
            env, holder, wanted, lambda each: ours(each) and each not in wanted, effect=effect
        )

    def edits(self, env: Env[Clients], have: AccessState) -> Iterator[Edit]:
        grant = partial(self._grant, env, have.members)
        yield from edit("members", have.members, frozenset(self.members), grant)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AccessState) -> None:
        ours = partial(_ours, scope, have.id, have.tags)
        _holder(scope, have.id).change(scope.client, drop=ours)


def _holder(scope: Scope[Clients], identifier: str) -> Holder:
    if identifier.startswith("projects/"):
        return policies.repository(identifier)
    path = f"projects/{scope.client.project}/serviceAccounts/{identifier}"
    return Holder("iam", "projects.serviceAccounts", path)


def _ours(scope: Scope[Clients], holder: str, tags: Tags, grant: Grant) -> bool:
    """Whether a grant is of a member of the pool, and clusterkit's: all that may act as an account
    of ours, and who may push to a repository as far as its labels tell.
    """
    if workload_pool(scope.client.project) not in grant.member:
        return False
    if not holder.startswith("projects/"):
        return grant.role == USER
    return grant.role == WRITER and pusher(grant.member) in tags


class ServiceAccount(manifest.ServiceAccount):
    """A Kubernetes service account, whose pods may act as a service account of Google's."""

    account: Kind[Any, State] | None = None
    content: Mapping[str, Any] = field(default_factory=manifest.account_content)

    def body(self, env: Env[HasKube]) -> Object:
        body = super().body(env)
        if self.account is not None:
            body["metadata"]["annotations"] = {ACT_AS: env[self.account].id}
        return body

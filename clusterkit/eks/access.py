"""Who administers the cluster: access entries, in place of the aws-auth ConfigMap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import InCluster, in_cluster
from clusterkit.eks.errors import pages
from clusterkit.engine.kind import Edit, Env, Found, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Exists
from clusterkit.naming import CLUSTER, KEEP, NAME, RUN, digest


@dataclass(frozen=True)
class AccessState:
    """An access entry; ``id`` is the principal's ARN."""

    id: str
    arn: str = ""
    policies: frozenset[str] = frozenset()
    status: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class AccessEntry(InCluster[AccessState]):
    """An IAM principal that administers the cluster.

    https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html

    EKS itself makes an entry for who creates the cluster
    (``bootstrapClusterCreatorAdminPermissions``), and whoever is listed under ``admins`` may be
    that principal (terraform-aws-modules/terraform-aws-eks#2969, #3293). An entry that exists is
    taken over: it lies in our cluster, and the profile says who administers that. One that made its
    principal an administrator before is given back, not deleted, when the profile drops it.
    """

    kind: ClassVar[str] = "access-entry"
    dies_with: ClassVar[str | None] = "cluster"
    principal: str

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Found]:
        return map(Found, in_cluster(scope, "list_access_entries", "accessEntries"))

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> AccessState:
        eks, principal = scope.client.eks, found.id
        answer = eks.describe_access_entry(clusterName=scope.cluster, principalArn=principal)
        shown = answer["accessEntry"]
        state = AccessState(found.id, shown["accessEntryArn"], tags=shown.get("tags") or {})
        if state.tags.get(CLUSTER) != scope.cluster:
            return state
        return replace(state, policies=_policies(scope, found.id))

    def create(self, env: Env[Clients]) -> AccessState:
        tags = self.marks(env)
        try:
            made = env.client.eks.create_access_entry(
                clusterName=env.cluster,
                principalArn=self.principal,
                clientRequestToken=env.token(self),
                tags=tags,
            )
        except Exists:
            policies = _policies(env, self.principal)
            if _admin(env) in policies:
                tags[KEEP] = "true"
            self.label(env, self.principal, tags)
            return AccessState(self.principal, policies=policies, tags=tags)
        return AccessState(self.principal, made["accessEntry"]["accessEntryArn"], tags=tags)

    def edits(self, env: Env[Clients], have: AccessState) -> Iterator[Edit]:
        policy = _admin(env)

        def associate() -> None:
            env.client.eks.associate_access_policy(
                clusterName=env.cluster,
                principalArn=have.id,
                policyArn=policy,
                accessScope={"type": "cluster"},
            )

        if policy not in have.policies:
            yield Edit("policies", have.policies, have.policies | {policy}, associate)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AccessState) -> None:
        eks = scope.client.eks
        if have.tags.get(KEEP) == "true":
            eks.untag_resource(resourceArn=have.arn, tagKeys=[CLUSTER, NAME, RUN, KEEP, "Name"])
        else:
            eks.delete_access_entry(clusterName=scope.cluster, principalArn=have.id)


def entry_name(principal: str) -> str:
    """The resource's name for a principal."""
    return digest(principal)


def _policies(scope: Scope[Clients], principal: str) -> frozenset[str]:
    listed = pages(
        scope.client.eks,
        "list_associated_access_policies",
        "associatedAccessPolicies",
        clusterName=scope.cluster,
        principalArn=principal,
    )
    return frozenset(policy["policyArn"] for policy in listed)


def _admin(scope: Scope[Clients]) -> str:
    partition = scope.client.partition
    return f"arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

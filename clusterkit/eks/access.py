"""Who administers the cluster: access entries, in place of the aws-auth ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import ClusterState
from clusterkit.eks.errors import Gone, call, gone_is_fine, pages
from clusterkit.eks.tags import Marked, Tags, retags
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.naming import CLUSTER, NAME, digest


@dataclass(frozen=True)
class AccessState:
    """An access entry."""

    principal: str
    policies: frozenset[str]
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class AccessEntry(Marked[Clients, AccessState]):
    """An IAM principal that administers the cluster.

    https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
    """

    kind: ClassVar[str] = "access-entry"
    dies_with: ClassVar[str | None] = "cluster"
    cluster: Resource[Clients, ClusterState]
    principal: str

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, AccessState]:
        eks, name = cx.clients.eks, cx.cluster
        found = []
        try:
            for principal in pages(eks, "list_access_entries", "accessEntries", clusterName=name):
                entry = call(eks.describe_access_entry, clusterName=name, principalArn=principal)
                tags = entry["accessEntry"].get("tags", {})
                if tags.get(CLUSTER) != name:
                    continue
                listed = pages(
                    eks,
                    "list_associated_access_policies",
                    "associatedAccessPolicies",
                    clusterName=name,
                    principalArn=principal,
                )
                policies = frozenset(policy["policyArn"] for policy in listed)
                found.append((tags.get(NAME, principal), AccessState(principal, policies, tags)))
        except Gone:
            return {}
        return one_each(found)

    @staticmethod
    def _policy(cx: Ctx[Clients]) -> str:
        partition = cx.clients.partition
        return f"arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

    def create(self, cx: Ctx[Clients]) -> None:
        call(
            cx.clients.eks.create_access_entry,
            clusterName=cx.cluster,
            principalArn=self.principal,
            clientRequestToken=cx.token(self),
            tags=self.wanted_tags(cx),
        )
        self.finish(cx, AccessState(self.principal, frozenset(), self.wanted_tags(cx)))

    def diff(self, cx: Ctx[Clients], have: AccessState) -> list[Change]:
        policy = self._policy(cx)
        missing = [] if policy in have.policies else [Change("policy", None, policy)]
        return self.tag_changes(have.tags) + missing

    def update(self, cx: Ctx[Clients], have: AccessState, changes: list[Change]) -> None:
        policy = self._policy(cx)
        if policy not in have.policies:
            call(
                cx.clients.eks.associate_access_policy,
                clusterName=cx.cluster,
                principalArn=self.principal,
                policyArn=policy,
                accessScope={"type": "cluster"},
            )
        if retags(changes):
            arn = call(
                cx.clients.eks.describe_access_entry,
                clusterName=cx.cluster,
                principalArn=self.principal,
            )["accessEntry"]["accessEntryArn"]
            call(cx.clients.eks.tag_resource, resourceArn=arn, tags=dict(self.tags))

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: AccessState) -> None:
        delete = cx.clients.eks.delete_access_entry
        gone_is_fine(delete, clusterName=cx.cluster, principalArn=have.principal)


def entry_name(principal: str) -> str:
    """The resource's name for a principal."""
    return digest(principal)

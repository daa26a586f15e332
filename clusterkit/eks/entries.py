"""Who may administer the cluster: access entries of EKS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.cluster import Calls, InCluster
from clusterkit.eks.tags import AwsState
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env, Found
from clusterkit.engine.scope import Scope
from clusterkit.errors import Exists
from clusterkit.naming import CLUSTER, KEEP, NAME, RUN


class AccessState(AwsState):
    """An access entry; ``id`` is the principal's ARN."""

    policies: frozenset[str] = frozenset()


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
    calls: ClassVar = Calls(
        "access_entry", "list_access_entries", "accessEntries", "accessEntry", "principalArn"
    )
    dies_with: ClassVar[str | None] = "cluster"
    principal: str

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> AccessState:
        state = AccessState(**cls.common(found.id, cls.shown(scope, found.id)))
        if (state.tags or {}).get(CLUSTER) != scope.cluster:
            return state
        return replace(state, policies=_policies(scope, found.id))

    def create(self, env: Env[Clients]) -> AccessState:
        tags = self.marks(env)
        try:
            env.client.eks.create_access_entry(
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
            return AccessState(id=self.principal, policies=policies, tags=tags)
        return AccessState(id=self.principal, tags=tags)

    def edits(self, env: Env[Clients], have: AccessState) -> Iterator[Edit]:
        policy = _admin(env)

        associate = partial(
            env.client.eks.associate_access_policy,
            clusterName=env.cluster,
            principalArn=have.id,
            policyArn=policy,
            accessScope={"type": "cluster"},
        )
        if policy not in have.policies:
            yield Edit("policies", have.policies, have.policies | {policy}, associate)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AccessState) -> None:
        if (have.tags or {}).get(KEEP) == "true":
            tags = [CLUSTER, NAME, RUN, KEEP, "Name"]
            scope.client.eks.untag_resource(resourceArn=have.arn, tagKeys=tags)
        else:
            super().delete(scope, have)


def _policies(scope: Scope[Clients], principal: str) -> frozenset[str]:
    operation, items = "list_associated_access_policies", "associatedAccessPolicies"
    of = {"clusterName": scope.cluster, "principalArn": principal}
    listed = pages(scope.client.eks, operation, items, **of)
    return frozenset(policy["policyArn"] for policy in listed)


def _admin(scope: Scope[Clients]) -> str:
    partition = scope.client.partition
    return f"arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

"""EKS add-ons and pod identity associations.

The pod identity agent, vpc-cni and kube-proxy are made before the nodes, coredns and the EBS CSI
driver after them: without nodes those two are DEGRADED, which EKS's own waiter counts as failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import Calls, InCluster, in_cluster, update
from clusterkit.eks.iam import RoleState
from clusterkit.eks.tags import AwsState
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Found, Kind
from clusterkit.engine.scope import Scope

EBS_ACCOUNT = "ebs-csi-controller-sa"
"""the service account of the EBS CSI driver
(https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html)"""


class AddonState(AwsState):
    """An add-on as DescribeAddon shows it; ``id`` is its name."""

    version: str
    linked: bool = False
    """whether a service account of it has a role by pod identity"""


class Addon(InCluster[AddonState]):
    """One add-on; its name is EKS's."""

    kind: ClassVar[str] = "addon"
    calls: ClassVar = Calls("addon", "list_addons", "addons", "addon", "addonName")
    usable: ClassVar[frozenset[str]] = frozenset({"ACTIVE"})
    failed: ClassVar[frozenset[str]] = frozenset({"CREATE_FAILED", "DELETE_FAILED"})
    unhealthy: ClassVar[frozenset[str]] = frozenset({"DEGRADED", "UPDATE_FAILED"})
    leaving: ClassVar[frozenset[str]] = frozenset({"DELETING"})
    patience: ClassVar[float] = 1200.0
    """as terraform-provider-aws (internal/service/eks/addon.go)"""
    takes: ClassVar[Durations] = Durations(create=20, delete=5)
    dies_with: ClassVar[str | None] = "cluster"

    version: str
    compatible: tuple[str, ...] = ()
    """versions that also fit the cluster: one that is there is not changed for a newer default"""
    account: str = ""
    """the service account that gets ``role`` by pod identity"""
    role: Kind[Clients, RoleState] | None = None

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> AddonState:
        return cls.state(found.id, cls.shown(scope, found.id))

    @classmethod
    def state(cls, identifier: str, shown: Any) -> AddonState:
        """What EKS shows of one."""
        linked = bool(shown.get("podIdentityAssociations"))
        common = cls.common(identifier, shown)
        return AddonState(**common, version=shown["addonVersion"], linked=linked)

    @classmethod
    def name_of(cls, have: AddonState) -> str:
        return have.id

    def create(self, env: Env[Clients]) -> AddonState:
        more = self._role(env)
        made = env.client.eks.create_addon(
            clusterName=env.cluster,
            addonName=self.name,
            addonVersion=self.version,
            resolveConflicts="OVERWRITE",
            clientRequestToken=env.token(self),
            tags=self.marks(env),
            **more,
        )
        return self.state(self.name, made["addon"])

    def _role(self, env: Env[Clients]) -> Any:
        if self.role is None:
            return {}
        association = {"serviceAccount": self.account, "roleArn": env[self.role].arn}
        return {"podIdentityAssociations": [association]}

    def edits(self, env: Env[Clients], have: AddonState) -> Iterator[Edit]:
        fits = have.version in (self.version, *self.compatible)
        version = have.version if fits else self.version
        call, of = env.client.eks.update_addon, {"addonName": have.id}
        # what people have set with kubectl stays
        more = {"addonVersion": version, "resolveConflicts": "PRESERVE", **self._role(env)}
        change = update(call, of, clusterName=env.cluster, **more)
        if self.role is not None:
            yield from edit("role of its service account", have.linked, True, change)
        yield from edit("version", have.version, version, change)

    def taken(self, env: Env[Clients]) -> AddonState:
        return self.read(env, Found(self.name))


class PodIdentityState(AwsState):
    """A pod identity association."""

    role: str


class PodIdentity(InCluster[PodIdentityState]):
    """A service account that gets a role: no keys, no node role.

    https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html
    """

    kind: ClassVar[str] = "pod-identity"
    calls: ClassVar = Calls(
        "pod_identity_association",
        "list_pod_identity_associations",
        "associations",
        "association",
        "associationId",
    )
    dies_with: ClassVar[str | None] = "cluster"

    account: str
    """``namespace/name``"""
    role: Kind[Clients, RoleState]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Found]:
        found = in_cluster(scope, *cls.calls[1:3])
        # one with an owner is part of an add-on
        return [Found(each["associationId"]) for each in found if not each.get("ownerArn")]

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> PodIdentityState:
        return cls.state(cls.shown(scope, found.id))

    @classmethod
    def state(cls, shown: Any) -> PodIdentityState:
        """What EKS shows of one."""
        return PodIdentityState(**cls.common(shown["associationId"], shown), role=shown["roleArn"])

    def create(self, env: Env[Clients]) -> PodIdentityState:
        namespace, _, name = self.account.partition("/")
        made = env.client.eks.create_pod_identity_association(
            clusterName=env.cluster,
            namespace=namespace,
            serviceAccount=name,
            roleArn=env[self.role].arn,
            clientRequestToken=env.token(self),
            tags=self.marks(env),
        )
        return self.state(made["association"])

    def edits(self, env: Env[Clients], have: PodIdentityState) -> Iterator[Edit]:
        role, call = env[self.role].arn, env.client.eks.update_pod_identity_association
        change = partial(call, clusterName=env.cluster, associationId=have.id, roleArn=role)
        yield from edit("role", have.role, role, change)

    def taken(self, env: Env[Clients]) -> PodIdentityState | None:
        # a service account has one association
        for each in in_cluster(env, *self.calls[1:3]):
            if f"{each['namespace']}/{each['serviceAccount']}" == self.account:
                return self.read(env, Found(each["associationId"]))
        return None

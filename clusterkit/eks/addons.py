"""EKS add-ons and pod identity associations.

The pod identity agent, vpc-cni and kube-proxy are made before the nodes, coredns and the EBS CSI
driver after them: without nodes those two are DEGRADED, which EKS's own waiter counts as failed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import ClusterState
from clusterkit.eks.errors import Gone, call, gone_is_fine, pages
from clusterkit.eks.iam import RoleState
from clusterkit.eks.tags import Marked, Tags, retags
from clusterkit.eks.updates import update
from clusterkit.engine.resource import Change, Ctx, Durations, Resource, one_each
from clusterkit.errors import Rejected
from clusterkit.naming import CLUSTER, NAME


@dataclass(frozen=True)
class AddonState:
    """An add-on as DescribeAddon shows it."""

    name: str
    arn: str
    phase: str
    version: str
    configuration: str
    issues: str = ""
    tags: Tags = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The phase, with EKS's reason when there is one."""
        return f"{self.phase}: {self.issues}" if self.issues else self.phase


@dataclass(frozen=True, kw_only=True, eq=False)
class Addon(Marked[Clients, AddonState]):
    """One add-on; its name is EKS's."""

    kind: ClassVar[str] = "addon"
    patience: ClassVar[float] = 1200.0
    takes: ClassVar[Durations] = Durations(create=20, delete=5)
    dies_with: ClassVar[str | None] = "cluster"

    cluster: Resource[Clients, ClusterState]
    version: str
    compatible: tuple[str, ...] = ()
    """versions that also fit the cluster: one that is there is not changed for a newer default"""
    configuration: tuple[tuple[str, Any], ...] = ()
    account: str = ""
    """the service account that gets ``role`` by pod identity"""
    role: Resource[Clients, RoleState] | None = None

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, AddonState]:
        eks, found = cx.clients.eks, {}
        try:
            for name in list(pages(eks, "list_addons", "addons", clusterName=cx.cluster)):
                key = f"addon {name}"
                state = cx.clients.recall(key, partial(_shown, cx, name))
                if state is None:
                    continue
                found[name] = state
                if state.phase != "ACTIVE":
                    cx.clients.forget(key)
        except Gone:
            return found
        return found

    def create(self, cx: Ctx[Clients]) -> None:
        more: dict[str, Any] = {}
        if self.role is not None:
            more["podIdentityAssociations"] = [
                {"serviceAccount": self.account, "roleArn": cx[self.role].arn}
            ]
        if self.configuration:
            more["configurationValues"] = json.dumps(dict(self.configuration), sort_keys=True)
        cx.clients.forget(f"addon {self.name}")
        call(
            cx.clients.eks.create_addon,
            clusterName=cx.cluster,
            addonName=self.name,
            addonVersion=self.version,
            resolveConflicts="OVERWRITE",
            clientRequestToken=cx.token(self),
            tags=self.wanted_tags(cx),
            **more,
        )

    @classmethod
    def ready(cls, have: AddonState) -> bool:
        if have.phase == "CREATE_FAILED":
            raise Rejected(have.issues or "the add-on failed", code=have.phase, remake=True)
        if have.phase in ("DELETE_FAILED", "UPDATE_FAILED"):
            raise Rejected(have.issues or "the add-on failed", code=have.phase)
        return have.phase == "ACTIVE"

    def diff(self, cx: Ctx[Clients], have: AddonState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        if have.version != self.version and have.version not in self.compatible:
            changes.append(Change("version", have.version, self.version))
        wanted = dict(self.configuration)
        if wanted and json.loads(have.configuration or "{}") != wanted:
            changes.append(Change("configuration", have.configuration, json.dumps(wanted)))
        return changes

    def update(self, cx: Ctx[Clients], have: AddonState, changes: list[Change]) -> None:
        fields = {change.field for change in changes}
        cx.clients.forget(f"addon {self.name}")
        if retags(changes):
            call(cx.clients.eks.tag_resource, resourceArn=have.arn, tags=dict(self.tags))
        if fields & {"version", "configuration"}:
            more: dict[str, Any] = {}
            if self.configuration:
                more["configurationValues"] = json.dumps(dict(self.configuration), sort_keys=True)
            update(
                cx,
                self.key,
                cx.clients.eks.update_addon,
                clusterName=cx.cluster,
                addonName=self.name,
                addonVersion=self.version if "version" in fields else have.version,
                resolveConflicts="OVERWRITE",
                **more,
            )

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: AddonState) -> None:
        if have.phase != "DELETING":
            cx.clients.forget(f"addon {have.name}")
            delete = cx.clients.eks.delete_addon
            gone_is_fine(delete, clusterName=cx.cluster, addonName=have.name)


def _shown(cx: Ctx[Clients], name: str) -> AddonState | None:
    """The add-on; None if it is gone or not ours."""
    describe = cx.clients.eks.describe_addon
    try:
        shown = call(describe, clusterName=cx.cluster, addonName=name)["addon"]
    except Gone:
        return None
    return _state(shown) if shown.get("tags", {}).get(CLUSTER) == cx.cluster else None


def _state(shown: Any) -> AddonState:
    issues = shown.get("health", {}).get("issues", [])
    return AddonState(
        name=shown["addonName"],
        arn=shown["addonArn"],
        phase=shown["status"],
        version=shown["addonVersion"],
        configuration=shown.get("configurationValues", ""),
        issues="; ".join(f"{i.get('code')}: {i.get('message')}" for i in issues),
        tags=shown.get("tags", {}),
    )


@dataclass(frozen=True)
class PodIdentityState:
    """A pod identity association."""

    id: str
    account: str
    """``namespace/name``"""
    role: str
    arn: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class PodIdentity(Marked[Clients, PodIdentityState]):
    """A service account that gets a role: no keys, no node role.

    https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html
    """

    kind: ClassVar[str] = "pod-identity"
    dies_with: ClassVar[str | None] = "cluster"

    cluster: Resource[Clients, ClusterState]
    account: str
    """``namespace/name``"""
    role: Resource[Clients, RoleState]

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, PodIdentityState]:
        eks, found = cx.clients.eks, []
        try:
            listed = pages(
                eks, "list_pod_identity_associations", "associations", clusterName=cx.cluster
            )
            for item in list(listed):
                if item.get("ownerArn"):
                    continue  # part of an add-on
                shown = call(
                    eks.describe_pod_identity_association,
                    clusterName=cx.cluster,
                    associationId=item["associationId"],
                )["association"]
                tags = shown.get("tags", {})
                if tags.get(CLUSTER) != cx.cluster:
                    continue
                account = f"{shown['namespace']}/{shown['serviceAccount']}"
                state = PodIdentityState(
                    shown["associationId"],
                    account,
                    shown["roleArn"],
                    shown["associationArn"],
                    tags,
                )
                found.append((tags.get(NAME, account), state))
        except Gone:
            return {}
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        namespace, _, name = self.account.partition("/")
        call(
            cx.clients.eks.create_pod_identity_association,
            clusterName=cx.cluster,
            namespace=namespace,
            serviceAccount=name,
            roleArn=cx[self.role].arn,
            clientRequestToken=cx.token(self),
            tags=self.wanted_tags(cx),
        )

    def diff(self, cx: Ctx[Clients], have: PodIdentityState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        if have.role != cx[self.role].arn:
            changes.append(Change("role", have.role, cx[self.role].arn))
        return changes

    def update(self, cx: Ctx[Clients], have: PodIdentityState, changes: list[Change]) -> None:
        if have.role != cx[self.role].arn:
            call(
                cx.clients.eks.update_pod_identity_association,
                clusterName=cx.cluster,
                associationId=have.id,
                roleArn=cx[self.role].arn,
            )
        if retags(changes):
            call(cx.clients.eks.tag_resource, resourceArn=have.arn, tags=dict(self.tags))

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: PodIdentityState) -> None:
        delete = cx.clients.eks.delete_pod_identity_association
        gone_is_fine(delete, clusterName=cx.cluster, associationId=have.id)

"""The ACK managed cluster, made without nodes: pools are their own kind (``nodes.py``).

``profile`` and ``cluster_spec`` are always sent, because their defaults
have changed. An empty cluster of edition pro has been seen to take 160 to 219 s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from clusterkit.alibaba import api_acl
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster_state import ClusterState, listed, minor, ours, read
from clusterkit.alibaba.errors import cure, gone_is_fine
from clusterkit.alibaba.network import VpcState, VSwitchState
from clusterkit.alibaba.security_group import SecurityGroupState, remember
from clusterkit.alibaba.tags import REFUSED, Marked, Tags, retags, write_cs_tags
from clusterkit.engine.marked import mark
from clusterkit.engine.resource import Change, Ctx, Durations, Resource
from clusterkit.errors import Finding, NotOurs, Rejected

RETAINED_BY_DEFAULT = ("SLB", "ALB", "SLS_Data", "SLS_ControlPlane", "PrivateZone")
"""``resource_type`` of DeleteCluster's ``delete_options``: all but the first stay if not named"""
BIND = (
    "ACK takes only an address of yours for it: bind one in the console (Cluster Information, API "
    "server Public Endpoint), and up goes on"
)
SPECS = {"pro": "ack.pro.small", "standard": "ack.standard"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Cluster(Marked[Clients, ClusterState]):
    """The control plane."""

    kind: ClassVar[str] = "cluster"
    patience: ClassVar[float] = 3600.0
    takes: ClassVar[Durations] = Durations(create=200, delete=240)

    version: str
    """what ACK creates: ``1.35.7-aliyun.1``; a cluster of this minor version keeps its patch"""
    spec: str
    vpc: Resource[Clients, VpcState]
    vswitches: tuple[Resource[Clients, VSwitchState], ...]
    pod_vswitches: tuple[Resource[Clients, VSwitchState], ...] = ()
    """with Terway"""
    security_group: Resource[Clients, SecurityGroupState]
    pods: str | None = None
    """with Flannel"""
    services: str
    public: bool = True
    allowed: tuple[str, ...] = ()
    """ranges that may reach the public address; empty: everywhere"""
    rrsa: bool = False
    addons: tuple[str, ...] = ()
    protected: bool = False

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, ClusterState]:
        found = ours(cx.clients, cx.cluster)
        if len(found) > 1:
            ids = " and ".join(shown["cluster_id"] for shown in found)
            raise NotOurs(
                f"two clusters claim to be {cx.cluster!r}: {ids}",
                hint="delete the one that is not in use, or remove its clusterkit-cluster tag",
            )
        return {cx.cluster: read(cx, found[0])} if found else {}

    def create(self, cx: Ctx[Clients]) -> None:
        if ours(cx.clients, cx.cluster):
            return  # the answer to an earlier try was lost
        if there := listed(cx.clients, cx.cluster):
            raise NotOurs(
                f"a cluster {cx.cluster!r} is there already without our mark",
                where=self.key,
                hint=f"choose another name, or --adopt {self.key}={there[0]['cluster_id']}",
            )
        network: dict[str, Any] = {"container_cidr": self.pods} if self.pods else {}
        if self.pod_vswitches:
            # deprecated, and refused without: MissingPodVswitchIds
            network["pod_vswitch_ids"] = [cx[vswitch].id for vswitch in self.pod_vswitches]
        body = {
            "name": cx.cluster,
            "region_id": cx.clients.region,
            "cluster_type": "ManagedKubernetes",
            "profile": "Default",
            "cluster_spec": self.spec,
            "kubernetes_version": self.version,
            "vpcid": cx[self.vpc].id,
            "vswitch_ids": [cx[vswitch].id for vswitch in self.vswitches],
            "security_group_id": cx[self.security_group].id,
            "service_cidr": self.services,
            **network,
            "endpoint_public_access": self.public,
            "snat_entry": False,
            "rrsa_config": {"enabled": self.rrsa},
            "addons": [_addon(name) for name in self.addons],
            "deletion_protection": self.protected,
            "tags": write_cs_tags(self.wanted_tags(cx)),
            "client_token": cx.token(self),
        }
        made = cx.clients.cs("CreateCluster", "POST", "/clusters", body)
        remember(cx, made["cluster_id"])

    @classmethod
    def ready(cls, have: ClusterState) -> bool:
        if have.status == "failed":
            what = have.issues or "the cluster failed"
            raise Rejected(what, hint=cure(what), code="failed", remake=True)
        if have.status in ("delete_failed", "inactive", "unavailable"):
            what = have.issues or f"the cluster is {have.status}"
            raise Rejected(what, hint=cure(what), code=have.status)
        return have.status == "running"

    def diff(self, cx: Ctx[Clients], have: ClusterState) -> list[Change]:
        changes = self.tag_changes(have.tags) + _version_changes(have.version, self.version)
        ids = frozenset(cx[vswitch].id for vswitch in self.vswitches)
        pairs: list[tuple[str, object, object]] = [
            ("vswitches", sorted(have.vswitches), sorted(ids)),
            ("deletion protection", have.protected, self.protected),
            ("remembered", have.recorded, True),
            ("allowed", sorted(have.allowed), sorted(self._allowed(cx))),
        ]
        if have.public and not self.public:
            pairs.append(("public endpoint", True, False))
        if self.rrsa and not have.oidc_arn:
            pairs.append(("RRSA", False, True))
        changes += [Change(what, is_, want) for what, is_, want in pairs if is_ != want]
        if have.spec and have.spec != self.spec:
            back = self.spec == SPECS["standard"]
            why = "ACK does not go back: edition: pro" if back else ""
            how = Change("edition", have.spec, self.spec, "refuse" if back else "update", why)
            changes.append(how)
        if self.public and not have.public:
            changes.append(Change("public endpoint", False, True, "refuse", BIND))
        fixed = [("services", have.services, self.services), ("vpc", have.vpc, cx[self.vpc].id)]
        fixed.append(("pods", have.pods, self.pods or ""))
        return changes + [
            Change(what, is_, want, "refuse", REFUSED)
            for what, is_, want in fixed
            if is_ != want and is_
        ]

    def _allowed(self, cx: Ctx[Clients]) -> frozenset[str]:
        """With the nodes and pods, who come from inside; an existing VPC may have more ranges than
        its first.
        """
        if not self.allowed:
            return frozenset()
        inside = {cx[vswitch].cidr for vswitch in (*self.vswitches, *self.pod_vswitches)}
        inside |= {cx[self.vpc].cidr, *((self.pods,) if self.pods else ())}
        return frozenset({*self.allowed, *api_acl.ALWAYS, *inside})

    def update(self, cx: Ctx[Clients], have: ClusterState, changes: list[Change]) -> None:
        """One call for what ModifyCluster changes; an upgrade only when nothing else is to do."""
        cs, fields = cx.clients.cs, {change.field for change in changes}
        if "remembered" in fields:
            remember(cx, have.id)
        if retags(changes):
            _tag(cx, have.id, dict(self.tags))
        if "allowed" in fields and self.allowed:
            acl = api_acl.restrict(cx, have.balancer, self._allowed(cx))
            _tag(cx, have.id, {api_acl.ACL: acl})
        elif "allowed" in fields:
            api_acl.open_up(cx, have.acl, have.balancer)
            _tag(cx, have.id, {api_acl.ACL: ""})
        change: dict[str, Any] = {}
        if "deletion protection" in fields:
            change["deletion_protection"] = self.protected
        if "public endpoint" in fields:
            change["api_server_eip"] = self.public
        if "RRSA" in fields:
            change["enable_rrsa"] = True
        if "edition" in fields:
            change["cluster_spec"] = self.spec
        if "vswitches" in fields:
            change["vswitch_ids"] = [cx[vswitch].id for vswitch in self.vswitches]
        if change:
            cs("ModifyCluster", "PUT", f"/api/v2/clusters/{have.id}", change)
        elif "version" in fields:
            wanted = {"next_version": self.version, "master_only": False}
            cs("UpgradeCluster", "POST", f"/api/v2/clusters/{have.id}/upgrade", wanted)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: ClusterState) -> None:
        if have.status == "deleting":
            return
        if not have.recorded:
            remember(cx, have.id)
        if acl := have.acl or api_acl.find(cx):
            api_acl.open_up(cx, acl, have.balancer)
        options = [{"resource_type": kind, "delete_mode": "delete"} for kind in RETAINED_BY_DEFAULT]
        gone_is_fine(
            cx.clients.cs,
            "DeleteCluster",
            "DELETE",
            f"/clusters/{have.id}",
            delete_options=json.dumps(options),
            retain_all_resources=False,
        )

    @classmethod
    def guarded(cls, have: ClusterState) -> Finding | None:
        if not have.protected:
            return None
        cure = "set deletion_protection: false in the profile, run up, then destroy"
        return Finding("deletion protection is on", hint=cure)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        _tag(cx, identifier, mark(cx, name))


def _tag(cx: Ctx[Clients], identifier: str, tags: Tags) -> None:
    body = {
        "region_id": cx.clients.region,
        "resource_type": "CLUSTER",
        "resource_ids": [identifier],
        "tags": write_cs_tags(tags),
    }
    cx.clients.cs("TagResources", "PUT", "/tags", body)


def _addon(name: str) -> dict[str, Any]:
    # the ingress controller would bring a load balancer nobody asked for
    return {"name": name.removeprefix("!"), **({"disabled": True} if name[0] == "!" else {})}


def _version_changes(have: str, want: str) -> list[Change]:
    is_, to = minor(have), minor(want)
    if is_ == to:
        return []
    if to < is_:
        why = f"ACK does not go back: set kubernetes to '{is_[0]}.{is_[1]}' or newer"
        return [Change("version", have, want, "refuse", why)]
    if to[1] > is_[1] + 1:
        why = f"one minor version at a time: set kubernetes to '{is_[0]}.{is_[1] + 1}' first"
        return [Change("version", have, want, "refuse", why)]
    return [Change("version", have, want)]

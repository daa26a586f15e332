"""The ACK managed cluster, made without nodes: pools are their own kind (``nodes.py``).

Container Service has no call that lists by tag: clusters are listed by name, which is not unique,
and told apart by our tag. ``profile`` and ``cluster_spec`` are always sent, because their defaults
have changed. An empty cluster of edition pro has been seen to take 160 to 219 s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from clusterkit.alibaba.clients import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.events import reason
from clusterkit.alibaba.marks import REFUSED, Marked, Tags, read_cs_tags, retags, write_cs_tags
from clusterkit.alibaba.network import VpcState, VSwitchState
from clusterkit.alibaba.securitygroup import (
    CLUSTER_ID,
    SecurityGroupState,
    remember,
    remembered,
)
from clusterkit.core.errors import NotOurs, Rejected
from clusterkit.core.marked import mark
from clusterkit.core.names import CLUSTER
from clusterkit.core.resource import Change, Ctx, Resource, Takes

FINISHED = "deleted"
"""the state of what is only history"""
RETAINED_BY_DEFAULT = ("SLB", "ALB", "SLS_Data", "SLS_ControlPlane", "PrivateZone")
"""``resource_type`` of DeleteCluster's ``delete_options``: all but the first stay if not named"""
SPECS = {"pro": "ack.pro.small", "standard": "ack.standard"}


@dataclass(frozen=True)
class ClusterState:
    """A cluster as DescribeClustersV1 and DescribeClusterDetail show it."""

    id: str
    status: str
    version: str
    """``1.35.7-aliyun.1``"""
    spec: str
    vpc: str
    vswitches: frozenset[str]
    security_group: str
    pods: str
    services: str
    public: bool
    protected: bool
    recorded: bool = True
    """whether our security group remembers the cluster's id"""
    oidc_arn: str = ""
    """of the provider by which pods get roles (RRSA); empty while that is off"""
    issuer: str = ""
    issues: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cluster(Marked[Clients, ClusterState]):
    """The control plane."""

    kind: ClassVar[str] = "cluster"
    patience: ClassVar[float] = 3600.0
    takes: ClassVar[Takes] = Takes(create=200, delete=240)

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
    rrsa: bool = False
    addons: tuple[str, ...] = ()
    protected: bool = False

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, ClusterState]:
        found = [shown for shown in listed(cx) if read_cs_tags(shown).get(CLUSTER) == cx.cluster]
        if len(found) > 1:
            ids = " and ".join(shown["cluster_id"] for shown in found)
            raise NotOurs(
                f"two clusters claim to be {cx.cluster!r}: {ids}",
                hint="delete the one that is not in use, or remove its clusterkit-cluster tag",
            )
        return {cx.cluster: _state(cx, found[0])} if found else {}

    def create(self, cx: Ctx[Clients]) -> None:
        if there := listed(cx):
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
            raise Rejected(have.issues or "the cluster failed", code="failed", remake=True)
        if have.status in ("delete_failed", "inactive", "unavailable"):
            what = have.issues or f"the cluster is {have.status}"
            raise Rejected(what, code=have.status)
        return have.status == "running"

    def diff(self, cx: Ctx[Clients], have: ClusterState) -> list[Change]:
        changes = self.tag_changes(have.tags) + _version_changes(have.version, self.version)
        ids = frozenset(cx[vswitch].id for vswitch in self.vswitches)
        pairs: list[tuple[str, object, object]] = [
            ("vswitches", sorted(have.vswitches), sorted(ids)),
            ("public endpoint", have.public, self.public),
            ("deletion protection", have.protected, self.protected),
            ("remembered", have.recorded, True),
        ]
        if self.rrsa and not have.oidc_arn:
            pairs.append(("RRSA", False, True))
        changes += [Change(what, is_, want) for what, is_, want in pairs if is_ != want]
        if have.spec and have.spec != self.spec:
            back = self.spec == SPECS["standard"]
            why = "ACK does not go back: edition: pro" if back else ""
            how = Change("edition", have.spec, self.spec, "refuse" if back else "update", why)
            changes.append(how)
        fixed = [("services", have.services, self.services), ("vpc", have.vpc, cx[self.vpc].id)]
        fixed.append(("pods", have.pods, self.pods or ""))
        return changes + [
            Change(what, is_, want, "refuse", REFUSED)
            for what, is_, want in fixed
            if is_ != want and is_
        ]

    def update(self, cx: Ctx[Clients], have: ClusterState, changes: list[Change]) -> None:
        """One call for what ModifyCluster changes; an upgrade only when nothing else is to do."""
        cs, fields = cx.clients.cs, {change.field for change in changes}
        cx.clients.forget(f"detail {have.id}")
        if "remembered" in fields:
            remember(cx, have.id)
        if retags(changes):
            body = {
                "region_id": cx.clients.region,
                "resource_type": "CLUSTER",
                "resource_ids": [have.id],
                "tags": write_cs_tags(dict(self.tags)),
            }
            cs("TagResources", "PUT", "/tags", body)
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
        if have.protected:
            raise Rejected(
                "deletion protection is on",
                hint="set deletion_protection: false in the profile, run up, then destroy",
            )
        if not have.recorded:
            remember(cx, have.id)
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
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        body = {
            "region_id": cx.clients.region,
            "resource_type": "CLUSTER",
            "resource_ids": [identifier],
            "tags": write_cs_tags(mark(cx, name)),
        }
        cx.clients.cs("TagResources", "PUT", "/tags", body)


def listed(cx: Ctx[Clients]) -> list[Any]:
    """Every cluster of this very name in the region, whoever's: the API's own filter is fuzzy."""
    found: list[Any] = []
    number = 1
    while True:
        page = cx.clients.cs(
            "DescribeClustersV1",
            "GET",
            "/api/v1/clusters",
            name=cx.cluster,
            region_id=cx.clients.region,
            page_number=number,
            page_size=50,
        )
        items = page.get("clusters") or []
        found += items
        if not items or number * 50 >= int((page.get("page_info") or {}).get("total_count") or 0):
            break
        number += 1
    return [item for item in found if item["name"] == cx.cluster and item["state"] != FINISHED]


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


def minor(version: str) -> tuple[int, int]:
    """``1.35.7-aliyun.1`` is (1, 35)."""
    first, second, *_ = version.split(".")
    return int(first), int(second.partition("-")[0])


def _detail(cx: Ctx[Clients], identifier: str) -> Any:
    return cx.clients.cs("DescribeClusterDetail", "GET", f"/clusters/{identifier}")


def _state(cx: Ctx[Clients], shown: Any) -> ClusterState:
    identifier, status = shown["cluster_id"], shown["state"]
    if status == "running":
        read = partial(_detail, cx, identifier)
        detail: dict[str, Any] = cx.clients.recall(f"detail {identifier}", read)
        shown = {**shown, **detail}
        shown["state"] = status
    else:
        cx.clients.forget(f"detail {identifier}")
    rrsa = shown.get("rrsa_config") or {}
    tags = remembered(cx)
    return ClusterState(
        id=identifier,
        status=status,
        version=shown.get("current_version") or shown.get("init_version") or "0.0",
        spec=shown.get("cluster_spec") or "",
        vpc=shown.get("vpc_id") or "",
        vswitches=frozenset(shown.get("vswitch_ids") or ()),
        security_group=shown.get("security_group_id") or "",
        pods=shown.get("container_cidr") or shown.get("subnet_cidr") or "",
        services=shown.get("service_cidr") or "",
        public=bool(_endpoints(shown.get("master_url")).get("api_server_endpoint")),
        protected=bool(shown.get("deletion_protection")),
        recorded=tags is None or tags.get(CLUSTER_ID) == identifier,
        oidc_arn=(rrsa.get("oidc_arn") or "") if rrsa.get("enabled") else "",
        issuer=(rrsa.get("issuer") or "") if rrsa.get("enabled") else "",
        issues=reason(cx, identifier) if status in ("failed", "delete_failed") else "",
        tags=read_cs_tags(shown),
    )


def _endpoints(text: object) -> dict[str, str]:
    """``master_url`` is JSON in a string."""
    try:
        found = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The ACK managed cluster, created without nodes: pools are their own kind (``nodes.py``).

``profile`` and ``cluster_spec`` are always sent, because their defaults have changed, and so is
the mode of kube-proxy: ACK's own default, ipvs, is deprecated since Kubernetes 1.35. An empty
cluster of edition pro has been seen to take 160 to 219 s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.alibaba import addons, autoscaling, network
from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.errors import cure
from clusterkit.alibaba.tags import (
    REPLACE,
    AlibabaState,
    of_group,
    read_cs_tags,
    tag_cluster,
    write_cs_tags,
)
from clusterkit.alibaba.tasks import Task, begin, reason, task
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.ownership import untagged
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import upgrade
from clusterkit.errors import Absent
from clusterkit.naming import CLUSTER, HOME

RETAINED_BY_DEFAULT = ("SLB", "ALB", "SLS_Data", "SLS_ControlPlane", "PrivateZone")
"""``resource_type`` of DeleteCluster's ``delete_options``: all but the first stay if not named"""
BIND = (
    "ACK takes only an address of yours for it: bind one in the console (Cluster Information, API "
    "server Public Endpoint), then run up again"
)
REACHABLE = ("running", "updating", "upgrading", "scaling", "draining", "removing")
"""states in which the API server answers"""
PROXY_MODE = "iptables"
"""nftables, which the vendor advises from 1.35 on, wants Linux 5.13 or newer
(kubernetes.io/docs/reference/node/kernel-version-requirements); Alibaba Cloud Linux 3 has 5.10"""
SPECS = {"pro": "ack.pro.small", "standard": "ack.standard"}


def _details(version: str, spec: str, pods: str, services: str) -> dict[str, str]:
    found = {"Kubernetes": version, "edition": spec, "pods": pods, "services": services}
    return {key: value for key, value in found.items() if value}


class ClusterState(AlibabaState):
    """A cluster as DescribeClustersV1 and DescribeClusterDetail show it."""

    name: str
    version: str
    """``1.35.7-aliyun.1``"""
    spec: str
    vswitches: frozenset[str]
    security_group: str
    pods: str
    services: str
    public: bool
    """whether the API server has a public address"""
    protected: bool
    balancer: str = ""
    """of the API server"""
    recorded: bool = True
    """whether our VPC and security group know the cluster's id"""
    oidc_arn: str = ""
    """of the provider by which pods get roles (RRSA); empty while that is off"""
    issuer: str = ""
    addons: frozenset[str] = frozenset()
    """installed ones"""
    reason: str = ""

    @property
    def details(self) -> Mapping[str, str]:
        """Its version, edition and ranges."""
        return _details(self.version, self.spec, self.pods, self.services)

    @property
    def hint(self) -> str:
        """What to do about the reason."""
        return cure(self.reason)


class Cluster(Kind[Clients, ClusterState]):
    """The control plane."""

    kind: ClassVar[str] = "cluster"
    usable: ClassVar[frozenset[str]] = frozenset({"running"})
    failed: ClassVar[frozenset[str]] = frozenset({"failed", "delete_failed"})
    unhealthy: ClassVar[frozenset[str]] = frozenset({"inactive", "unavailable"})
    leaving: ClassVar[frozenset[str]] = frozenset({"deleting"})
    serial: ClassVar[bool] = True
    patience: ClassVar[float] = 3600.0
    takes: ClassVar[Durations] = Durations(create=190, delete=347)
    uses: ClassVar[tuple[str, ...]] = (
        "security-group",
        "vswitch",
        "vpc",
        # what is left behind is removed only after the cluster (``leftovers.py``)
        "application-load-balancers",
        "network-load-balancers",
        "classic-load-balancers",
        "network-interfaces",
        "security-groups",
        "disks",
    )

    version: str
    """what ACK creates: ``1.35.7-aliyun.1``; a cluster of this minor version keeps its patch"""
    spec: str
    vpc: Kind[Any, network.VpcState]
    vswitches: tuple[Kind[Any, network.VSwitchState], ...]
    pod_vswitches: tuple[Kind[Any, network.VSwitchState], ...] = ()
    """with Terway"""
    security_group: Kind[Any, network.SecurityGroupState]
    pods: str | None = None
    """with Flannel"""
    services: str
    public: bool = True
    rrsa: bool = False
    addons: tuple[str, ...] = ()
    """those that begin with ``!`` are not installed, though ACK would"""
    protected: bool = False
    scales: bool = False
    """whether a pool scales by itself"""

    @property
    def details(self) -> Mapping[str, str]:
        return _details(self.version, self.spec, self.pods or "", self.services)

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[ClusterState]:
        """``NotOurs`` if the cluster that VPC and security group remember has lost its tags: the
        network must not be taken away from under it.
        """
        for there in clusters(scope.client):
            named, ours = there.name == scope.cluster, there.tags.get(CLUSTER) == scope.cluster
            if named and not ours and there.id in network.remembered_clusters(scope):
                raise untagged(cls, scope.cluster, there.id)
            yield there

    @classmethod
    def read(cls, scope: Scope[Clients], found: ClusterState) -> ClusterState:
        """RRSA and add-ons, which the list leaves out, whether the network's tags name the cluster,
        and why it does not work.
        """
        why = reason(scope, found.id) if found.status in cls.failed | cls.unhealthy else ""
        if found.status not in cls.usable | cls.unhealthy:
            return replace(found, reason=why)
        shown = _state(scope.client.cs("DescribeClusterDetail", "GET", f"/clusters/{found.id}"))
        return replace(
            shown,
            status=found.status,
            reason=why,
            recorded=network.remembers(scope, found.id),
            addons=addons.installed(scope, found.id),
        )

    @classmethod
    def within(cls, have: ClusterState) -> Tags:
        network = {} if have.tags.get(HOME) == have.vpc else {"vpc": have.vpc}
        return {**network, "security-group": have.security_group}

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: ClusterState) -> Iterator[Occupant]:
        """Node pools of others with machines in them, which would go with the cluster."""
        path = f"/clusters/{have.id}/nodepools"
        found = scope.client.cs("DescribeClusterNodePools", "GET", path) or {}
        for pool in found.get("nodepools") or ():
            info, machines = pool["nodepool_info"], at_path(pool, "status.total_nodes")
            if machines and read_cs_tags(pool["scaling_group"]).get(CLUSTER) != scope.cluster:
                name, cure = str(info.get("name") or ""), "aliyun cs DeleteClusterNodepool --force"
                cure += f" true --ClusterId {have.id} --NodepoolId {info['nodepool_id']}"
                cure += f" --region {scope.region}"
                yield Occupant("node pool", info["nodepool_id"], name, cure)

    def taken(self, env: Env[Clients]) -> ClusterState | None:
        return next((there for there in clusters(env.client) if there.name == env.cluster), None)

    def create(self, env: Env[Clients]) -> Task | None:
        # deprecated, and refused without: MissingPodVswitchIds
        pods = env.ids(self.pod_vswitches)
        ranges = {"pod_vswitch_ids": pods} if pods else {"container_cidr": self.pods}
        body = {
            "name": env.cluster,
            "region_id": env.region,
            "cluster_type": "ManagedKubernetes",
            "profile": "Default",
            "cluster_spec": self.spec,
            "kubernetes_version": self.version,
            "vpcid": env[self.vpc].id,
            "vswitch_ids": env.ids(self.vswitches),
            "security_group_id": env[self.security_group].id,
            "service_cidr": self.services,
            **ranges,
            "endpoint_public_access": self.public,
            "snat_entry": False,
            "proxy_mode": PROXY_MODE,
            "rrsa_config": {"enabled": self.rrsa},
            "addons": [addons.wish(name) for name in self.addons],
            "deletion_protection": self.protected,
            "tags": write_cs_tags(self.marks(env)),
            "client_token": env.token(self),
            **cs_group(env),
        }
        created = env.client.cs("CreateCluster", "POST", "/clusters", body)
        network.remember(env, created["cluster_id"])
        return task("CreateCluster", created)

    def edits(self, env: Env[Clients], have: ClusterState) -> Iterator[Edit]:
        yield from edit("remembered", have.recorded, True, lambda: network.remember(env, have.id))
        yield from of_group(env, have.group)
        yield from fixed("vpc", have.vpc or env[self.vpc].id, env[self.vpc].id, REPLACE)
        yield from fixed("services", have.services or self.services, self.services, REPLACE)
        pods = self.pods or ""
        yield from fixed("pods", have.pods or pods, pods, REPLACE)
        body: dict[str, Any] = {}
        modify = partial(self._modify, env, have, body)
        ids = env.ids(self.vswitches)
        rrsa, protect = bool(have.oidc_arn), self.protected
        for what, there, wanted, key, value in (
            ("vswitches", have.vswitches, frozenset(ids), "vswitch_ids", ids),
            ("deletion protection", have.protected, protect, "deletion_protection", protect),
            ("RRSA", rrsa, rrsa or self.rrsa, "enable_rrsa", True),
        ):
            if there != wanted:
                body[key] = value
                yield Edit(what, there, wanted, modify)
        if have.public and not self.public:
            body["api_server_eip"] = False
            yield Edit("public endpoint", True, False, modify)
        else:
            yield from fixed("public endpoint", have.public, self.public, BIND)
        if have.spec and self.spec == SPECS["standard"]:
            yield from fixed("edition", have.spec, self.spec, "ACK has no way back: edition: pro")
        elif have.spec:
            # with another change in the same call ACK forgets that one
            promote = partial(self._modify, env, have, {"cluster_spec": self.spec})
            yield from edit("edition", have.spec, self.spec, promote)
        wanted = frozenset(name for name in self.addons if name[0] != "!")
        install = partial(self._install, env, have, wanted - have.addons)
        yield from edit("add-ons", have.addons & wanted, wanted, install)
        if self.scales:
            configured, configure = have.tags.get(autoscaling.TAG), partial(_configure, env, have)
            yield from edit("autoscaling", configured, autoscaling.CONFIGURED, configure)

        path, to = f"/api/v2/clusters/{have.id}/upgrade", {"next_version": self.version}
        move_on = partial(begin, env, "UpgradeCluster", "POST", path, {**to, "master_only": False})
        yield from upgrade("ACK", have.version, self.version, move_on)

    def _modify(self, env: Env[Clients], have: ClusterState, body: Any) -> Task | None:
        return begin(env, "ModifyCluster", "PUT", f"/api/v2/clusters/{have.id}", body)

    def _install(self, env: Env[Clients], have: ClusterState, names: frozenset[str]) -> Task | None:
        return task("InstallClusterAddons", addons.install(env, have.id, names))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: ClusterState) -> Task | None:
        network.remember(scope, have.id)
        options = [{"resource_type": kind, "delete_mode": "delete"} for kind in RETAINED_BY_DEFAULT]
        query = {"delete_options": json.dumps(options), "retain_all_resources": False}
        return begin(scope, "DeleteCluster", "DELETE", f"/clusters/{have.id}", **query)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        tag_cluster(scope, identifier, labels)


def _configure(env: Env[Clients], have: ClusterState) -> autoscaling.Configuring:
    path, body = f"/cluster/{have.id}/autoscale/config/", dict(autoscaling.SETTINGS)
    begun = begin(env, "CreateAutoscalingConfig", "POST", path, body)
    return autoscaling.Configuring(begun, have.id)


def cs_group(env: Env[Clients]) -> dict[str, str]:
    """The field that puts a cluster, or a pool's machines, into the profile's resource group."""
    home = env.client.target.home
    return {"resource_group_id": home} if home else {}


def clusters(client: Clients) -> list[ClusterState]:
    """Every cluster in the region, ours or not."""
    found = client.every("DescribeClustersV1", region_id=client.region)
    return [_state(shown) for shown in found if shown["state"] != "deleted"]


def owned(client: Clients, name: str) -> list[ClusterState]:
    """The clusters that carry the tag of this one: at most one, unless somebody tagged another."""
    return [state for state in clusters(client) if state.tags.get(CLUSTER) == name]


def running(client: Clients, name: str) -> ClusterState:
    """The cluster that carries the tag of this one, in detail; ``Absent`` if there is none."""
    for there in owned(client, name):
        if there.status in REACHABLE:
            return _state(client.cs("DescribeClusterDetail", "GET", f"/clusters/{there.id}"))
    raise Absent(name)


def _state(shown: Any) -> ClusterState:
    rrsa = shown.get("rrsa_config") or {}
    rrsa = rrsa if rrsa.get("enabled") else {}
    return ClusterState(
        id=shown["cluster_id"],
        name=shown["name"],
        status=shown["state"],
        version=shown.get("current_version") or shown.get("init_version") or "0.0",
        spec=shown.get("cluster_spec") or "",
        group=shown.get("resource_group_id") or "",
        vpc=shown.get("vpc_id") or "",
        vswitches=frozenset(shown.get("vswitch_ids") or ()),
        security_group=shown.get("security_group_id") or "",
        pods=shown.get("container_cidr") or shown.get("subnet_cidr") or "",
        services=shown.get("service_cidr") or "",
        public=_public(str(shown.get("master_url") or "{}")),
        protected=bool(shown.get("deletion_protection")),
        balancer=shown.get("external_loadbalancer_id") or "",
        oidc_arn=rrsa.get("oidc_arn") or "",
        # several are told with commas between them, of which the first counts
        issuer=(rrsa.get("issuer") or "").partition(",")[0].strip(),
        tags=read_cs_tags(shown),
    )


def _public(master_url: str) -> bool:
    """``master_url`` is JSON in a string."""
    try:
        found = json.loads(master_url)
    except ValueError:
        return False
    return isinstance(found, dict) and bool(found.get("api_server_endpoint"))

"""CS 2015-12-15: create, modify, upgrade and delete clusters.

``ErrorClusterNotFound``, ``ClusterNameAlreadyExist``, ``MissingPodVswitchIds``,
and ``DependencyViolation.Resource`` have been seen in public; the code for deletion protection is
that of ECS.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.activation import require_account
from clusterkit_sandbox.alibaba.birth import new_cluster, take_snat
from clusterkit_sandbox.alibaba.catalogue import REGIONS, upgrade_of
from clusterkit_sandbox.alibaba.clusterlife import made_by
from clusterkit_sandbox.alibaba.clusterrules import (
    addons,
    check_group,
    check_kind,
    check_name,
    check_quota,
    networks,
    switches,
    version,
)
from clusterkit_sandbox.alibaba.failure import bad, not_emulated
from clusterkit_sandbox.alibaba.models import Cluster, Eip, NatGateway, NodePool, Task
from clusterkit_sandbox.alibaba.nodepools import check_new, new_pool
from clusterkit_sandbox.alibaba.poolrules import Home
from clusterkit_sandbox.alibaba.service import (
    Accepted,
    Call,
    as_tags,
    check_tags,
    find_cluster,
    operation,
)

_KEEPS = ("ALB", "SLS_Data", "SLS_ControlPlane", "PrivateZone")
"""What delete_options can name besides SLB, and is kept unless it says otherwise (vendor:
DeleteCluster); none of it is emulated.
"""
_MODIFIED = {
    "api_server_eip",
    "api_server_eip_id",
    "client_token",
    "cluster_name",
    "deletion_protection",
    "enable_rrsa",
    "vswitch_ids",
}


@operation("cs:CreateCluster")
def _create(call: Call) -> object:
    if call["region_id"] not in REGIONS:
        raise bad("InvalidRegionId.NotFound", "The specified RegionId does not exist.")
    check_kind(call)
    require_account(call)
    tags = as_tags(call.get("tags", []), "key", "value")
    check_tags(tags)

    def make() -> object:
        check_name(call, call["name"])
        check_quota(call)
        wanted = version(call)
        vpc, found = switches(call, call["region_id"])
        installed = addons(call)
        service, pods = networks(call, vpc, installed)
        if call.get("security_group_id"):
            check_group(call, call["security_group_id"], vpc.id)
        spec = call.get("cluster_spec", "ack.standard")
        home = Home("", call["region_id"], vpc.id, spec, installed)
        check_new(call, home, call.get("nodepools", []))
        if call.get("snat_entry", False) and any(
            nat.vpc == vpc.id for nat in call.store.all(NatGateway)
        ):
            raise bad("RouterEntryConflict.Duplicated", "0.0.0.0/0 route entry already exist")
        cluster = new_cluster(call, vpc, found, wanted, (service, pods), installed, tags)
        if call.get("snat_entry", False):
            take_snat(call.store, cluster, found)
        task = call.store.tasks.start("cluster_create", cluster)
        pools: list[tuple[NodePool, Task]] = []
        for body in call.get("nodepools", []):
            pool = new_pool(call.store, cluster, body)
            pools.append((pool, call.store.tasks.start("nodepool_create", cluster, pool.id)))
        call.clusters.create(cluster, task, pools, call.terminal())
        return _accepted(call, cluster, task)

    return call.once(make, "client_token")


def _accepted(call: Call, cluster: Cluster, task: Task) -> Accepted:
    return Accepted({"cluster_id": cluster.id, "request_id": call.request_id, "task_id": task.id})


def require_state(cluster: Cluster, *states: str) -> None:
    """Refuse an operation that the cluster's state does not allow."""
    if cluster.state not in states:
        raise bad(
            "InvalidStatus.Forbidden",
            f"The state of cluster {cluster.id} is {cluster.state}, it must be"
            f" {' or '.join(states)}.",
        )


@operation("cs:DeleteCluster")
def _delete(call: Call) -> object:
    cluster = find_cluster(call)
    if cluster.body.get("deletion_protection", False):
        raise bad(
            "InvalidOperation.DeletionProtection",
            f"Deletion protection of cluster {cluster.id} is enabled.",
        )
    require_state(cluster, "running", "failed", "delete_failed", "unavailable", "inactive")
    for pool in call.store.all(NodePool):
        if pool.cluster == cluster.id and pool.state in ("scaling", "updating"):
            raise bad(
                "DependencyViolation.Resource",
                f"The node pool {pool.id} of the cluster is {pool.state}.",
            )
    balancers = True
    for option in call.get("delete_options", []):
        mode, kind = option.get("delete_mode"), option.get("resource_type")
        if mode not in ("delete", "retain"):
            raise bad("InvalidParameter", "delete_mode must be delete or retain.")
        if kind == "SLB":
            balancers = mode == "delete"
        elif kind not in _KEEPS:
            raise bad("InvalidParameter", f"resource_type {kind!r} is not valid.")
    if call.get("keep_slb", False):
        balancers = False
    retained = set(call.get("retain_resources", []))
    if call.get("retain_all_resources", False):
        retained = {thing.id for thing in made_by(call.store, cluster)}
    cluster.retained = retained
    task = call.store.tasks.start("cluster_delete", cluster)
    call.clusters.delete(cluster, task, balancers)
    return _accepted(call, cluster, task)


@operation("cs:ModifyCluster")
def _modify(call: Call) -> object:
    cluster = find_cluster(call)
    others = sorted(call.parameters.keys() - _MODIFIED)
    if others:
        raise not_emulated(f"a change of {', '.join(others)}")
    require_state(cluster, "running")
    name = call.get("cluster_name", cluster.name)
    if name != cluster.name:
        check_name(call, name)
    moved = cluster.vswitches
    if call.get("enable_rrsa") is False and cluster.body["rrsa_config"]["enabled"]:
        # vendor: RRSA cannot be disabled; the code is not documented
        raise bad("InvalidParameter", "RRSA cannot be disabled.")
    if call.get("vswitch_ids") is not None:
        vpc, found = switches(call, cluster.region)
        if vpc.id != cluster.vpc:
            raise bad("InvalidVSwitchId.NotFound", f"The vSwitches are not in {cluster.vpc}.")
        moved = [vswitch.id for vswitch in found]
    address = _address(call, cluster)
    cluster.name, cluster.vswitches = name, moved
    if call.get("deletion_protection") is not None:
        cluster.body["deletion_protection"] = call["deletion_protection"]
    if call.get("enable_rrsa", False):
        cluster.body["rrsa_config"] = {"enabled": True}
    if call.get("api_server_eip") is not None:
        _expose(call, cluster, address)
    task = call.store.tasks.start("cluster_modify", cluster)
    call.clusters.change(cluster, task, "cluster/update")
    return _accepted(call, cluster, task)


def _address(call: Call, cluster: Cluster) -> Eip | None:
    """The free address that the API server is to get; an address must be given, as an operator
    met it in 2026 (``InvalidParameter.ApiServerEipId``), though its description calls it optional.
    """
    if not call.get("api_server_eip", False) or cluster.public:
        return None
    eip = call.store.get(Eip, call.get("api_server_eip_id", ""))
    if eip is None or eip.region != cluster.region or eip.instance or call.store.pending(eip):
        raise bad("InvalidParameter.ApiServerEipId", "api_server_eip_id must be a free address.")
    return eip


def _expose(call: Call, cluster: Cluster, address: Eip | None) -> None:
    if address is not None:
        address.instance, address.instance_type = cluster.load_balancer, "SlbInstance"
        cluster.public_address = address.address
        cluster.endpoint_eip, cluster.public = address.id, True
        call.clusters.renamed(cluster)
    elif not call["api_server_eip"] and cluster.public:
        for eip in call.store.all(Eip):
            if eip.id == cluster.endpoint_eip and eip.owner == cluster.id:
                call.store.remove(eip)
            elif eip.id == cluster.endpoint_eip:
                eip.instance = eip.instance_type = ""
        cluster.public, cluster.endpoint_eip = False, ""


@operation("cs:UpgradeCluster")
def _upgrade(call: Call) -> object:
    cluster = find_cluster(call)
    require_state(cluster, "running")
    wanted = call.get("next_version") or call.get("version") or upgrade_of(cluster.version)
    if not wanted or wanted != upgrade_of(cluster.version):
        # the code is not documented
        raise bad(
            "InvalidParameter",
            f"{cluster.version} can be upgraded to {upgrade_of(cluster.version) or 'nothing'}.",
        )

    def upgraded() -> None:
        cluster.version = wanted

    task = call.store.tasks.start("cluster_upgrade", cluster)
    call.clusters.change(cluster, task, "cluster/upgrade", "upgrading", upgraded)
    return _accepted(call, cluster, task)

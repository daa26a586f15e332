"""What Container Engine refuses of a node pool, in the words that users have met.

- ``Invalid machine type … GCE_NOT_FOUND``: keras-team/kinetic#305;
- ``Auto_upgrade and auto_repair cannot be false``: rancher/rancher#32282;
- ``The user does not have access to service account``, for one that is not there, is disabled or
  not yet known, or that the caller may not act as: rancher/rancher#10553;
- ``Insufficient regional quota``: hashicorp-education/learn-terraform-provision-gke-cluster#22.

Reserved keys of metadata, least disks and limits that exclude each other: the API's own description
of ``NodeConfig`` and ``NodePoolAutoscaling``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusterkit_sandbox.google.accounts import Identities, default_account
from clusterkit_sandbox.google.authorization import may
from clusterkit_sandbox.google.catalogue import DISK_TYPES, offered
from clusterkit_sandbox.google.clusterbodies import pool_body, region_of
from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool
from clusterkit_sandbox.google.clusterrules import (
    bad,
    check_free,
    check_labels,
    check_name,
    check_zones,
    node_version,
)
from clusterkit_sandbox.google.failure import Failure, Json, rpc
from clusterkit_sandbox.google.machines import usage, wanted
from clusterkit_sandbox.google.nodes import machines_of, spec_of
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store

_RESERVED = (
    "cluster-location", "cluster-name", "cluster-uid", "configure-sh", "containerd-configure-sh",
    "enable-os-login", "gci-ensure-gke-docker", "gci-metrics-enabled", "gci-update-strategy",
    "instance-template", "kube-env", "startup-script", "user-data", "disable-address-manager",
    "windows-startup-script-ps1", "common-psm1", "k8s-node-setup-psm1", "install-ssh-psm1",
    "user-profile-psm1",
)  # fmt: skip
_LEAST = 12
"""GB of a boot disk"""
_LIMITS = (("minNodeCount", "maxNodeCount"), ("totalMinNodeCount", "totalMaxNodeCount"))


def new_pool(call: Call, cluster: Cluster, asked: Json) -> NodePool:
    """A pool as it is asked for, not yet kept."""
    store = call.store
    check_name(str(asked.get("name") or ""), "node_pool")
    taken = store.get(NodePool, f"{cluster.id}/nodePools/{asked['name']}", cluster.id)
    where = ("clusters", cluster.name, "nodePools", asked["name"])
    check_free(taken, cluster.project, cluster.location, *where)
    master = cluster.shown["currentMasterVersion"]
    version = node_version(str(asked.get("version") or ""), master, cluster.channel)
    shown = pool_body({**asked, "version": version}, cluster.shown)
    check_management(shown["management"], cluster.channel)
    check_autoscaling(shown.get("autoscaling") or {})
    check_zones(region_of(cluster.location), shown["locations"])
    pool = NodePool(shown, cluster=cluster.id)
    check_config(call, cluster, shown)
    pool.sizes = sizes(shown)
    shown["status"] = "PROVISIONING"
    return pool


def check_config(call: Call, cluster: Cluster, shown: Json) -> None:
    """Refuse what machines cannot be made of."""
    config = shown["config"]
    if not cluster.autopilot:
        check_machine(config["machineType"], shown["locations"])
    if config["diskType"] not in DISK_TYPES:
        raise bad(f'Invalid disk type "{config["diskType"]}".')
    if config["diskSizeGb"] < _LEAST:
        raise bad(f"Disk size {config['diskSizeGb']} GB is smaller than {_LEAST} GB.")
    reserved = [key for key in config["metadata"] if key in _RESERVED]
    if reserved:
        raise bad(f'Metadata key "{reserved[0]}" is reserved.')
    check_labels(config.get("resourceLabels") or {})
    account = config["serviceAccount"]
    email = default_account(cluster.project) if account == "default" else account
    if not _may_act_as(call, email):
        raise bad(
            f'The user does not have access to service account "{account}". Ask a project owner'
            " to grant you the iam.serviceAccountUser role on the service account."
        )


def _may_act_as(call: Call, email: str) -> bool:
    """Whether the caller may make machines that run as this account."""
    identities = Identities(call.store)
    found = identities.usable(email)
    if found is None:
        return identities.uid(email) == ""
    return may(call.store, call.caller, "iam.serviceAccounts.actAs", found.policy)


def check_machine(kind: str, zones: Sequence[str]) -> None:
    """Refuse a machine type that some zone lacks."""
    for zone in zones:
        if kind not in [machine.name for machine in offered(zone)]:
            raise bad(f'Invalid machine type "{kind}" in zone "{zone}": GCE_NOT_FOUND')


def check_management(management: Mapping[str, object], channel: str) -> None:
    """Refuse to switch off what a release channel needs."""
    if channel and not (management.get("autoUpgrade") and management.get("autoRepair")):
        raise bad(
            f"Auto_upgrade and auto_repair cannot be false when release_channel {channel} is set."
        )


def check_autoscaling(asked: Mapping[str, int]) -> None:
    """Refuse limits that cannot be."""
    if not asked.get("enabled"):
        return
    both = [low for low, high in _LIMITS if asked.get(low) or asked.get(high)]
    if len(both) > 1:
        raise bad("Node counts per location and total node counts are mutually exclusive.")
    for low, high in _LIMITS:
        if asked.get(low, 0) > asked.get(high, 0):
            raise bad(f"autoscaling.{low} must not be greater than autoscaling.{high}.")


def sizes(shown: Json) -> dict[str, int]:
    """How many nodes each zone is to have at first: what is asked for, but not fewer than an
    autoscaler would leave.
    """
    zones, count = shown["locations"], int(shown.get("initialNodeCount") or 0)
    found = dict.fromkeys(zones, count)
    return grown(found, shown.get("autoscaling") or {})


def grown(found: dict[str, int], autoscaling: Mapping[str, int]) -> dict[str, int]:
    """At least as many nodes as autoscaling asks for."""
    if not autoscaling.get("enabled"):
        return found
    least = int(autoscaling.get("minNodeCount") or 0)
    found = {zone: max(size, least) for zone, size in found.items()}
    while sum(found.values()) < int(autoscaling.get("totalMinNodeCount") or 0):
        smallest = min(found, key=lambda zone: found[zone])
        found[smallest] += 1
    return found


def check_quota(store: Store, cluster: Cluster, pools: Sequence[NodePool]) -> None:
    """Refuse what would take more than the region's quotas leave."""
    if cluster.autopilot:
        return
    used = usage(store, cluster.project, region_of(cluster.location))
    needs: dict[str, float] = {}
    for pool in pools:
        more = max(0, sum(pool.sizes.values()) - len(machines_of(store, pool)))
        for name, amount in wanted(spec_of(store, cluster, pool), more).items():
            needs[name] = needs.get(name, 0) + amount
    for name, need in needs.items():
        limit = float(store.conditions.region_quotas[name])
        free = max(0.0, limit - used[name])
        if need > free:
            raise _short(cluster.project, name, need, limit, free)


def _short(project: str, name: str, need: float, limit: float, free: float) -> Failure:
    return rpc(
        "PERMISSION_DENIED",
        f'Insufficient regional quota to satisfy request: resource "{name}": request requires'
        f" '{float(need)}' and is short '{need - free}'. project has a quota of '{limit}' with"
        f" '{free}' available. View and manage quotas at"
        f" https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={project}.",
    )

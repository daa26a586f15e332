"""The nodes of a pool: the machines that are made for them, and what Kubernetes sees of those.

Labels of nodes: vendor, "Node labels applied by GKE", and public outputs of ``kubectl get nodes``.
Why a pool gets no nodes is told inside the finished operation, in the words of
hashicorp/terraform-cdk#1964, tranquilitybase-io/tb-gcp#589 and terraform-google-kubernetes-engine
#649 (facts/gcp.tsv); ``features are not compatible`` is Compute Engine's: DataBiosphere/dsub#301.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterkit_sandbox.google.accounts import default_account
from clusterkit_sandbox.google.catalogue import MACHINE_TYPES, ZONES
from clusterkit_sandbox.google.clusterbodies import hyperdisk_only
from clusterkit_sandbox.google.clusterrecords import Cluster, Condition, NodePool
from clusterkit_sandbox.google.failure import Json
from clusterkit_sandbox.google.machines import (
    add_manager,
    members,
    remove_instance,
    remove_manager,
    resize,
)
from clusterkit_sandbox.google.resources import (
    Instance,
    InstanceGroupManager,
    MachineSpec,
    Subnetwork,
    link_to,
)
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.operations import Error
from clusterkit_sandbox.kube.interfaces import Node

_SHOWN = {"ZONE_RESOURCE_POOL_EXHAUSTED": "GCE_STOCKOUT", "QUOTA_EXCEEDED": "GCE_QUOTA_EXCEEDED"}
"""Compute Engine's code to that of a condition"""
_EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
    "NO_EXECUTE": "NoExecute",
}
_AUTOPILOT = ("ek-standard-8", 8, 32768)
"""The machine of an Autopilot cluster that has just been made (recorded traffic), which the
project does not see (vendor: "Autopilot overview"): CPUs and MiB.
"""


@dataclass(frozen=True)
class Trouble:
    """Why an operation failed."""

    code: str
    """the canonical one"""
    message: str
    condition: Condition | None = None
    some: bool = False
    """whether some of the nodes came up"""


INTERNAL = Trouble("INTERNAL", "Internal error. The sandbox was asked to let this fail.")


def node_tag(cluster: Cluster) -> str:
    """The tag of the cluster's machines (vendor: "Automatically created firewall rules")."""
    return f"gke-{cluster.name}-{cluster.hash}-node"


def managers_of(store: Store, pool: NodePool) -> dict[str, InstanceGroupManager]:
    """The pool's groups of machines, by zone."""
    found = {}
    for zone, path in pool.managers.items():
        manager = store.get(InstanceGroupManager, path)
        if manager is not None:
            found[zone] = manager
    return found


def machines_of(store: Store, pool: NodePool) -> list[Instance]:
    """The pool's machines, oldest first in each zone."""
    managers = managers_of(store, pool).values()
    return [one for manager in managers for one in members(store, manager.path)]


def zone_of(machine: Instance) -> str:
    """``europe-west1-b``"""
    return machine.place.partition("/")[2]


def spec_of(store: Store, cluster: Cluster, pool: NodePool) -> MachineSpec:
    """What the pool's machines are made of now."""
    config, network = pool.shown["config"], pool.shown["networkConfig"]
    subnetwork = store.get(Subnetwork, network["subnetwork"])
    assert subnetwork is not None
    account = config["serviceAccount"]
    labels = {
        "goog-gke-node": "",
        "goog-k8s-cluster-name": cluster.name,
        "goog-k8s-cluster-location": cluster.location,
        "goog-k8s-node-pool-name": pool.name,
        **cluster.shown.get("resourceLabels", {}),
        **config.get("resourceLabels", {}),
    }
    metadata = {"cluster-name": cluster.name, "cluster-location": cluster.location}
    return MachineSpec(
        cluster=cluster.name,
        pool=pool.name,
        owner=cluster.id,
        machine_type=config["machineType"],
        disk_type=config["diskType"],
        disk_size=config["diskSizeGb"],
        network=cluster.shown["networkConfig"]["network"],
        subnetwork=subnetwork,
        pods=network["podRange"],
        pod_block=pool.shown["podIpv4CidrSize"],
        public=not network.get("enablePrivateNodes", False),
        spot=bool(config.get("spot") or config.get("preemptible")),
        service_account=default_account(cluster.project) if account == "default" else account,
        scopes=config["oauthScopes"],
        labels=labels,
        tags=[node_tag(cluster), *config.get("tags", [])],
        metadata={**metadata, **config.get("metadata", {})},
    )


def settle(
    store: Store,
    cluster: Cluster,
    pool: NodePool,
    *,
    doomed: bool = False,
    surge: Mapping[str, int] | None = None,
) -> Trouble | None:
    """Make or remove machines until the pool has as many as it should, and ``surge`` more; say why
    it could not. If it is ``doomed`` the zones have none.
    """
    if cluster.autopilot:
        return None
    spec, errors, missing = spec_of(store, cluster, pool), [], 0
    for zone, manager in managers_of(store, pool).items():
        if zone not in pool.sizes:
            remove_manager(store, manager)
            del pool.managers[zone]
    for zone in pool.sizes:
        if zone not in pool.managers:
            pool.managers[zone] = add_manager(store, cluster.project, zone, spec).path
    before = {machine.name for machine in machines_of(store, pool)}
    for zone, manager in managers_of(store, pool).items():
        manager.spec = spec
        wanted = pool.sizes[zone] + (surge or {}).get(zone, 0)
        error = _unfit(spec, manager, wanted - len(members(store, manager.path)))
        error = error or (_sold_out(spec, zone) if doomed else resize(store, manager, wanted))
        if error is not None:
            errors.append(error)
            missing += wanted - len(members(store, manager.path))
    pool.shown["instanceGroupUrls"] = [link_to(path) for path in pool.managers.values()]
    pool.shown["locations"] = list(pool.sizes)
    have = machines_of(store, pool)
    if errors:
        return _no_machines(errors[0], missing, len(have))
    new = [machine.name for machine in have if machine.name not in before]
    if new and not store.conditions.joining:
        pool.lost.update(new)
        return _no_nodes(len(have) - len(pool.lost & {m.name for m in have}), len(have))
    return None


def _unfit(spec: MachineSpec, manager: InstanceGroupManager, more: int) -> Error | None:
    """Why no machine with this disk can be made."""
    hyper = spec.disk_type.startswith("hyperdisk")
    if more <= 0 or hyper == hyperdisk_only(spec.machine_type):
        return None
    if hyper and not spec.machine_type.startswith(("e2-", "n1-", "n2-", "n2d-", "t2a-", "t2d-")):
        return None
    text = (
        f"Instance '{manager.shown['baseInstanceName']}-0000' creation failed: [{spec.disk_type},"
        f" {spec.machine_type}] features are not compatible for creating instance."
    )
    return "UNSUPPORTED_OPERATION", text


def _sold_out(spec: MachineSpec, zone: str) -> Error:
    text = (
        f"The zone 'projects/{spec.subnetwork.project}/zones/{zone}' does not have enough"
        " resources available to fulfill the request.  Try a different zone, or try again later."
    )
    return "ZONE_RESOURCE_POOL_EXHAUSTED", text


def _no_machines(error: Error, missing: int, have: int) -> Trouble:
    code = _SHOWN.get(error[0], error[0])
    text = (
        f"Google Compute Engine: Not all instances running in IGM after 24.3s. Expected"
        f" {have + missing}, running {have}, transitioning {missing}. Current errors: [{code}]:"
        f" {error[1]}"
    )
    if code not in _SHOWN.values():
        return Trouble("FAILED_PRECONDITION", text, some=have > 0)
    condition = {"code": code, "message": text, "canonicalCode": "RESOURCE_EXHAUSTED"}
    return Trouble("RESOURCE_EXHAUSTED", text, condition, some=have > 0)


def _no_nodes(have: int, of: int) -> Trouble:
    text = (
        f"All cluster resources were brought up, but: only {have} nodes out of {of} have"
        " registered; cluster may be unhealthy."
    )
    return Trouble("INTERNAL", text, some=True)


def remove_machine(store: Store, pool: NodePool, machine: Instance) -> None:
    """Remove one machine, which is not replaced."""
    if store.get(Instance, machine.path) is machine:
        remove_instance(store, machine)
    for manager in managers_of(store, pool).values():
        manager.target = len(members(store, manager.path))


def remove_groups(store: Store, pool: NodePool) -> None:
    """Remove the pool's groups with what is in them."""
    for manager in managers_of(store, pool).values():
        remove_manager(store, manager)
    pool.managers.clear()


def nodes_of(store: Store, cluster: Cluster, pool: NodePool) -> list[Node]:
    """The pool's nodes as Kubernetes shows them."""
    if cluster.autopilot:
        return _autopilot(cluster, pool)
    machines = machines_of(store, pool)
    return [_node(cluster, pool, one) for one in machines if one.name not in pool.lost]


def _node(cluster: Cluster, pool: NodePool, machine: Instance) -> Node:
    kind = MACHINE_TYPES[machine.shown["machineType"].rpartition("/")[2]]
    address = machine.shown["networkInterfaces"][0]["networkIP"]
    where = (machine.name, zone_of(machine), address)
    return _made(cluster, pool, where, (kind.name, kind.cpus, kind.memory), arm=kind.arm)


def template(cluster: Cluster, pool: NodePool, zone: str) -> Node:
    """A node as the next one in a zone would be."""
    kind = MACHINE_TYPES[pool.shown["config"]["machineType"]]
    where = (f"template-node-for-{pool.name}-{zone}", zone, "10.0.0.1")
    return _made(cluster, pool, where, (kind.name, kind.cpus, kind.memory), arm=kind.arm)


def _autopilot(cluster: Cluster, pool: NodePool) -> list[Node]:
    found = []
    for zone, size in pool.sizes.items():
        base = f"gk3-{cluster.name[:19]}-{pool.name[:19]}-{cluster.hash}"
        for number in range(size):
            last = 2 + 16 * ord(zone[-1]) % 200 + number
            where = (f"{base}-{zone[-1]}{number:03}", zone, f"10.128.0.{last}")
            found.append(_made(cluster, pool, where, _AUTOPILOT))
    return found


def _made(
    cluster: Cluster,
    pool: NodePool,
    where: tuple[str, str, str],
    machine: tuple[str, int, int],
    *,
    arm: bool = False,
) -> Node:
    name, zone, address = where
    config, pods = pool.shown["config"], pool.shown["maxPodsConstraint"]["maxPodsPerNode"]
    spot = bool(config.get("spot"))
    labels = {
        "cloud.google.com/gke-boot-disk": config["diskType"],
        "cloud.google.com/gke-container-runtime": "containerd",
        "cloud.google.com/gke-cpu-scaling-level": str(machine[1]),
        "cloud.google.com/gke-logging-variant": "DEFAULT",
        "cloud.google.com/gke-max-pods-per-node": pods,
        "cloud.google.com/gke-memory-gb-scaling-level": str(machine[2] // 1024),
        "cloud.google.com/gke-nodepool": pool.name,
        "cloud.google.com/gke-os-distribution": "cos",
        "cloud.google.com/gke-provisioning": "spot" if spot else "standard",
        "cloud.google.com/gke-stack-type": "IPV4",
        "cloud.google.com/machine-family": machine[0].partition("-")[0],
        "cloud.google.com/private-node": "true"
        if pool.shown["networkConfig"].get("enablePrivateNodes")
        else "false",
        "topology.gke.io/zone": zone,
        **({"cloud.google.com/gke-spot": "true"} if spot else {}),
        **config.get("labels", {}),
    }
    if (config.get("workloadMetadataConfig") or {}).get("mode") == "GKE_METADATA":
        labels["iam.gke.io/gke-metadata-server-enabled"] = "true"
    taints: Sequence[Json] = config.get("taints") or ()
    return Node(
        name=name,
        provider_id=f"gce://{cluster.project}/{zone}/{name}",
        instance_type=machine[0],
        zone=zone,
        region=ZONES[zone],
        cpu=machine[1],
        memory=machine[2],
        architecture="arm64" if arm else "amd64",
        internal_ip=address,
        labels=labels,
        taints=tuple((one["key"], one.get("value", ""), _EFFECTS[one["effect"]]) for one in taints),
    )

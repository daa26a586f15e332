"""Instances, instance groups and their managers: the machines of node pools.

They are made by Kubernetes Engine only; clients read them. Names of groups and of machines are as
the vendor makes them: ``gke-CLUSTER-POOL-HASH-grp`` and ``gke-CLUSTER-POOL-HASH-XXXX``, with the
names cut so that they are not too long (seen in public outputs of ``kubectl get nodes``).
"""

from __future__ import annotations

import random
import string
from ipaddress import IPv4Network

from clusterkit_sandbox.google.addresses import private_address, public_address
from clusterkit_sandbox.google.catalogue import MACHINE_TYPES, ZONES, offered
from clusterkit_sandbox.google.changes import begin, change, settled
from clusterkit_sandbox.google.computing import find, insert, make, referred, serve
from clusterkit_sandbox.google.disks import add_disk, gigabytes, metric
from clusterkit_sandbox.google.failure import Json, invalid, not_emulated, not_found
from clusterkit_sandbox.google.resources import (
    Change,
    Collection,
    Disk,
    Instance,
    InstanceGroup,
    InstanceGroupManager,
    MachineSpec,
    Resource,
    Subnetwork,
    link_to,
    path_of,
)
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.operations import Error

_LETTERS = string.ascii_lowercase + string.digits
_PART = 19
"""How much of the name of a cluster or a pool is in the name of a machine."""


def _show_instance(store: Store, instance: Resource) -> Json:
    assert isinstance(instance, Instance)
    running = instance.ready <= store.clock.now
    return {**instance.shown, "status": "RUNNING" if running else "STAGING"}


INSTANCES = serve(
    Collection("instances", Instance, "zones", "instance", fingerprinted=True, labelled=True),
    show=_show_instance,
    delete=False,
)


def _show_group(store: Store, group: Resource) -> Json:
    size = len(members(store, group.path.replace("/instanceGroups/", "/instanceGroupManagers/")))
    return {**group.shown, "size": size}


GROUPS = serve(
    Collection("instanceGroups", InstanceGroup, "zones", "instanceGroup", fingerprinted=True),
    show=_show_group,
    delete=False,
)


def _show_manager(store: Store, manager: Resource) -> Json:
    assert isinstance(manager, InstanceGroupManager)
    have = len(members(store, manager.path))
    return {
        **manager.shown,
        "targetSize": manager.target,
        "currentActions": {"none": have, "creating": max(0, manager.target - have)},
        "status": {"isStable": have == manager.target},
    }


_MANAGER = "instanceGroupManager"
MANAGERS = serve(
    Collection(f"{_MANAGER}s", InstanceGroupManager, "zones", _MANAGER, fingerprinted=True),
    show=_show_manager,
    delete=False,
)


def members(store: Store, manager: str) -> list[Instance]:
    """The machines of a manager, oldest first."""
    return [one for one in store.all(Instance) if one.manager == manager]


def add_manager(store: Store, project: str, zone: str, spec: MachineSpec) -> InstanceGroupManager:
    """Make the group of a node pool in a zone, without machines."""
    base = f"gke-{spec.cluster[:_PART]}-{spec.pool[:_PART]}-{store.new_hex(8)}"
    shown: Json = {"name": f"{base}-grp", "network": link_to(spec.network)}
    group = make(store, GROUPS, project, zone, shown, spec.owner)
    body: Json = {
        "name": f"{base}-grp",
        "baseInstanceName": base,
        "instanceGroup": link_to(group.path),
    }
    made = make(store, MANAGERS, project, zone, body, spec.owner)
    assert isinstance(made, InstanceGroupManager)
    made.spec = spec
    return made


def resize(store: Store, manager: InstanceGroupManager, size: int) -> Error | None:
    """Add or remove machines, the newest first, until there are so many. Returns why it cannot be,
    as the vendor's operations say it (facts/gcp.tsv): then those that could be made are there.
    """
    manager.target = size
    have = members(store, manager.path)
    for instance in have[size:]:
        remove_instance(store, instance)
    for _ in range(size - len(have)):
        if (error := add_instance(store, manager)) is not None:
            return error
    return None


def remove_manager(store: Store, manager: InstanceGroupManager) -> None:
    """Remove a group with its machines."""
    resize(store, manager, 0)
    group = store.get(InstanceGroup, path_of(manager.shown["instanceGroup"], manager.project))
    if group is not None:
        store.remove(group)
    store.remove(manager)


def remove_instance(store: Store, instance: Instance) -> None:
    """Remove a machine with its boot disk."""
    for path in list(instance.needs()):
        disk = store.get(Disk, path)
        if disk is not None and disk.name == instance.name:
            store.remove(disk)
    store.remove(instance)


def add_instance(store: Store, manager: InstanceGroupManager) -> Error | None:
    """Make one machine of a group, or say why there is none."""
    spec, zone = manager.spec, manager.place.partition("/")[2]
    assert spec is not None
    if (error := _refusal(store, spec, zone)) is not None:
        return error
    address = private_address(store, spec.subnetwork)
    pods = free_pods(store, spec)
    base = manager.shown["baseInstanceName"]
    name = f"{base}-{''.join(random.choices(_LETTERS, k=4))}"
    if address is None or pods is None:
        where = spec.subnetwork.path
        text = f"Instance '{name}' creation failed: IP space of '{where}' is exhausted."
        return "IP_SPACE_EXHAUSTED", text
    project, labels = manager.project, {"labels": spec.labels}
    form = (spec.disk_type, spec.disk_size)
    disk = add_disk(store, project, zone, name, *form, spec.owner, labels)
    alias = {"ipCidrRange": str(pods), "subnetworkRangeName": spec.pods}
    interface = _interface(spec.subnetwork, address) | {"aliasIpRanges": [alias]}
    if spec.public:
        access = {"name": "external-nat", "type": "ONE_TO_ONE_NAT", "networkTier": "PREMIUM"}
        interface["accessConfigs"] = [access | {"natIP": public_address(store)}]
    items = [{"key": key, "value": value} for key, value in spec.metadata.items()]
    body: Json = {
        "name": name,
        "machineType": link_to(f"projects/{project}/zones/{zone}/machineTypes/{spec.machine_type}"),
        "networkInterfaces": [interface],
        "disks": [_attached(disk)],
        "serviceAccounts": [{"email": spec.service_account, "scopes": spec.scopes}],
        "labels": spec.labels,
        "tags": {"items": spec.tags},
        "metadata": {"items": items},
        "scheduling": {"provisioningModel": "SPOT" if spec.spot else "STANDARD"},
    }
    made = make(store, INSTANCES, project, zone, body, spec.owner)
    assert isinstance(made, Instance)
    made.manager = manager.path
    made.ready = store.clock.due("compute/instance/start")
    return None


def _interface(subnetwork: Resource, address: str) -> Json:
    links = {"network": subnetwork.shown["network"], "subnetwork": link_to(subnetwork.path)}
    return {"name": "nic0", "networkIP": address, **links}


def _attached(disk: Resource) -> Json:
    return {"boot": True, "autoDelete": True, "source": link_to(disk.path), "type": "PERSISTENT"}


def pods_of(instance: Instance) -> IPv4Network | None:
    """The range of a machine's pods; None for one that is no node."""
    interface = instance.shown["networkInterfaces"][0]
    aliases = interface.get("aliasIpRanges")
    return IPv4Network(aliases[0]["ipCidrRange"]) if aliases else None


def free_pods(store: Store, spec: MachineSpec) -> IPv4Network | None:
    """A range for the pods of one more machine."""
    mine = spec.subnetwork.shown.get("secondaryIpRanges", [])
    within = next((one["ipCidrRange"] for one in mine if one["rangeName"] == spec.pods), None)
    if within is None or IPv4Network(within).prefixlen > spec.pod_block:
        return None
    taken = {pods_of(one) for one in store.users(spec.subnetwork.path, Instance)}
    blocks = IPv4Network(within).subnets(new_prefix=spec.pod_block)
    return next((one for one in blocks if one not in taken), None)


def metric_of(machine_type: str) -> str:
    """The quota that the CPUs of a machine type count for (vendor: "CPU quota")."""
    series = machine_type.partition("-")[0].upper()
    return "CPUS" if series in ("E2", "N1", "N4", "C4A") else f"{series}_CPUS"


def usage(store: Store, project: str, region: str) -> dict[str, float]:
    """What a region's machines and disks use of its quotas."""
    found: dict[str, float] = dict.fromkeys(store.conditions.region_quotas, 0.0)
    for kind in (Instance, InstanceGroupManager):
        for one in store.all(kind):
            if one.project != project or ZONES[one.place.partition("/")[2]] != region:
                continue
            if isinstance(one, InstanceGroupManager):
                found["INSTANCE_GROUP_MANAGERS"] += 1
                continue
            machine = MACHINE_TYPES[one.shown["machineType"].rpartition("/")[2]]
            found[metric_of(machine.name)] += machine.cpus
            found["INSTANCES"] += 1
            interfaces = one.shown["networkInterfaces"]
            found["IN_USE_ADDRESSES"] += sum(len(i.get("accessConfigs", [])) for i in interfaces)
    for which in ("SSD_TOTAL_GB", "DISKS_TOTAL_GB", "HDB_TOTAL_GB"):
        found[which] = gigabytes(store, region, which)
    return found


def wanted(spec: MachineSpec, count: int = 1) -> dict[str, float]:
    """What so many machines would use of a region's quotas."""
    found: dict[str, float] = {
        metric_of(spec.machine_type): MACHINE_TYPES[spec.machine_type].cpus * count,
        metric(spec.disk_type): spec.disk_size * count,
        "INSTANCES": count,
    }
    return found | ({"IN_USE_ADDRESSES": count} if spec.public else {})


def _refusal(store: Store, spec: MachineSpec, zone: str) -> Error | None:
    sold_out = store.conditions.sold_out
    if (spec.machine_type, zone) in sold_out or ("*", zone) in sold_out:
        return sold_out_in(f"projects/{spec.subnetwork.project}/zones/{zone}")
    used = usage(store, spec.subnetwork.project, ZONES[zone])
    for name, more in wanted(spec).items():
        limit = store.conditions.region_quotas[name]
        if used[name] + more > limit:
            text = f"Quota '{name}' exceeded.  Limit: {float(limit)} in region {ZONES[zone]}."
            return "QUOTA_EXCEEDED", text
    return None


def sold_out_in(zone: str) -> Error:
    """What a zone without machines says."""
    text = (
        f"The zone '{zone}' does not have enough resources available to fulfill the request."
        "  Try a different zone, or try again later."
    )
    return "ZONE_RESOURCE_POOL_EXHAUSTED", text


# -- methods ---------------------------------------------------------------------------------------


@change("compute.instances.insert")
def _insert(call: Call) -> Change:
    """A machine of the user's own, with one disk and one interface."""
    store, project, zone = call.store, call.project, str(call["zone"])

    def complete(call: Call, body: Json) -> None:
        kind = str(body.get("machineType", "")).rpartition("/")[2]
        if MACHINE_TYPES.get(kind) not in list(offered(zone)):
            raise not_found(f"projects/{project}/zones/{zone}/machineTypes/{kind}")
        interfaces = body.get("networkInterfaces") or [{}]
        link = interfaces[0].get("subnetwork", "")
        subnetwork = referred(call, Subnetwork, "subnetworks", "networkInterfaces[0]", link)
        address = private_address(store, subnetwork)
        if address is None:
            raise invalid("resource.networkInterfaces[0]", link, "It has no free address.")
        asked = (body.get("disks") or [{}])[0].get("initializeParams", {})
        size = int(asked.get("diskSizeGb", 10))
        disk = add_disk(store, project, zone, body["name"], "pd-standard", size, "", {})
        body["machineType"] = link_to(f"projects/{project}/zones/{zone}/machineTypes/{kind}")
        body["networkInterfaces"] = [_interface(subnetwork, address)]
        body["disks"] = [_attached(disk)]

    return insert(call, INSTANCES, complete)


@change("compute.instances.delete")
def _delete(call: Call) -> Change:
    found = settled(find(call, INSTANCES))
    assert isinstance(found, Instance)
    if found.manager:
        raise not_emulated("the end of a machine that its group would make again")
    return begin(call, found, "delete", lambda: remove_instance(call.store, found))

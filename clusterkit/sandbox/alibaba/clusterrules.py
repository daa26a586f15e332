"""What Container Service refuses of CreateCluster and of a node pool.

Only ``MissingPodVswitchIds``, ``ClusterNameAlreadyExist``, ``InvalidVpcId.NotFound`` and
``InvalidVSwitchId.NotFound`` are codes somebody has published. The rest are named after their like:
a driver must not branch on them, and needs not, for each says what is wrong in its message.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Any

from clusterkit.sandbox.alibaba.catalogue import (
    ADDONS,
    DEFAULT_ADDONS,
    DISKS,
    INSTANCE_TYPES,
    NETWORK_ADDONS,
    VERSIONS,
)
from clusterkit.sandbox.alibaba.failure import Failure, bad
from clusterkit.sandbox.alibaba.service import Call, Json
from clusterkit.sandbox.alibaba.things import (
    Cluster,
    KeyPair,
    NodePool,
    SecurityGroup,
    Vpc,
    VSwitch,
)

PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""Where pods and services may live (vendor: CreateCluster, container_cidr and service_cidr)."""
SPECS = ("ack.standard", "ack.pro.small", "ack.pro.xlarge", "ack.pro.2xlarge", "ack.pro.4xlarge")
_NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff-]{0,62}")
_TAINT_EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule")


def check_kind(call: Call) -> None:
    """Only managed clusters of the default profile are emulated; others are refused."""
    kind = call.get("cluster_type", "ManagedKubernetes")
    if kind == "Kubernetes":
        raise bad("InvalidClusterType", "ACK dedicated clusters can no longer be created.")
    if kind != "ManagedKubernetes":
        raise bad("InvalidClusterType", f"cluster_type {kind!r} is not valid.")
    profile = call.get("profile", "Default")
    if profile != "Default":
        raise bad("InvalidProfile", f"The sandbox has no clusters of profile {profile!r}.")
    if call.get("cluster_spec", "ack.standard") not in SPECS:
        raise bad("InvalidClusterSpec", f"cluster_spec must be one of {', '.join(SPECS)}.")


def check_name(call: Call, name: str) -> None:
    """1 to 63 digits, letters, Chinese characters and hyphens, and nobody else's."""
    if not _NAME.fullmatch(name):
        raise bad("InvalidClusterName", f"The cluster name {name!r} is not valid.")
    if any(cluster.name == name for cluster in call.store.all(Cluster)):
        raise bad("ClusterNameAlreadyExist", f"cluster name {name} already exist in your clusters")


def check_quota(call: Call) -> None:
    """Clusters per account, and fewer of the free kind."""
    clusters = list(call.store.all(Cluster))
    quotas = call.store.conditions.quotas
    if len(clusters) >= quotas["cluster"]:
        raise bad("ErrorQuotaExceeded", f"You can have {quotas['cluster']} clusters.")
    standard = [c for c in clusters if c.body["cluster_spec"] == "ack.standard"]
    wanted = call.get("cluster_spec", "ack.standard")
    if wanted == "ack.standard" and len(standard) >= quotas["standard-cluster"]:
        raise bad(
            "ErrorQuotaExceeded",
            f"You can have {quotas['standard-cluster']} clusters of ack.standard.",
        )


def version(call: Call) -> str:
    """The version to make: it must be creatable now, in full."""
    wanted = call.get("kubernetes_version", VERSIONS[0].name)
    if wanted not in [v.name for v in VERSIONS if v.creatable]:
        raise bad("UnsupportedKubernetesVersion", f"kubernetes_version {wanted} is not supported.")
    return str(wanted)


def switches(call: Call) -> tuple[Vpc, list[VSwitch]]:
    """The VPC and the vSwitches, ready and together."""
    ids = call.get("vswitch_ids", [])
    if not ids:
        raise bad("MissingParameter", "vswitch_ids is mandatory for this action.")
    if not 1 <= len(ids) <= 5:
        raise bad("InvalidParameter", "vswitch_ids must have 1 to 5 vSwitches.")
    found = [_switch(call, identifier) for identifier in ids]
    vpc = call.store.get(Vpc, call.get("vpcid", found[0].vpc))
    if vpc is None or vpc.region != call["region_id"]:
        raise bad("InvalidVpcId.NotFound", "The specified VPC does not exist.")
    for one in found:
        if one.vpc != vpc.id:
            raise bad("InvalidVSwitchId.NotFound", f"vSwitch {one.id} is not in VPC {vpc.id}.")
    return vpc, found


def _switch(call: Call, identifier: str) -> VSwitch:
    found = call.store.get(VSwitch, identifier)
    if found is None:
        raise bad("InvalidVSwitchId.NotFound", f"vSwitch {identifier} does not exist.")
    if call.store.pending(found):
        raise bad("IncorrectVSwitchStatus", f"vSwitch {identifier} is not Available.")
    return found


def addons(call: Call) -> dict[str, str]:
    """Name to configuration of every add-on the cluster gets; exactly one network among them."""
    listed = {str(a.get("name", "")): a for a in call.get("addons", [])}
    for name in listed:
        if name not in ADDONS:
            raise bad("AddonNotFound", f"The add-on {name!r} is not found.")
    network = [name for name in NETWORK_ADDONS if name in listed]
    if len(network) != 1:
        raise bad("InvalidNetworkAddon", "addons must have one of flannel and terway-eniip.")
    wanted = {
        **dict.fromkeys(DEFAULT_ADDONS, ""),
        **{n: a.get("config", "") for n, a in listed.items()},
    }
    return {n: c for n, c in wanted.items() if not listed.get(n, {}).get("disabled", False)}


def networks(call: Call, vpc: Vpc, installed: dict[str, str]) -> tuple[str, str]:
    """The service and pod networks; neither may overlap with the other, the VPC or a neighbour."""
    service = _block(call.get("service_cidr", "172.19.0.0/20"), "service_cidr", 16, 24)
    taken = {"the VPC": vpc.cidr}
    for other in call.store.all(Cluster):
        if other.vpc == vpc.id:
            taken[f"the services of {other.name}"] = IPv4Network(other.service_cidr)
            if other.container_cidr:
                taken[f"the pods of {other.name}"] = IPv4Network(other.container_cidr)
    _apart(service, "service_cidr", taken)
    if "flannel" not in installed:
        if not call.get("pod_vswitch_ids"):
            raise bad("MissingPodVswitchIds", "PodVswitchIds is empty")
        for identifier in call["pod_vswitch_ids"]:
            if _switch(call, identifier).vpc != vpc.id:
                raise bad("InvalidVSwitchId.NotFound", f"{identifier} is not in {vpc.id}.")
        return str(service), ""
    if call.get("container_cidr") is None:
        raise bad("MissingParameter", "container_cidr is mandatory for Flannel clusters.")
    pods = _block(call["container_cidr"], "container_cidr", 8, 24)
    _apart(pods, "container_cidr", {**taken, "service_cidr": service})
    return str(service), str(pods)


def _block(text: str, field: str, shortest: int, longest: int) -> IPv4Network:
    refusal = bad(f"Invalid{field.title().replace('_', '')}", f"{field} {text} is not valid.")
    try:
        block = IPv4Network(text)
    except ValueError:
        raise refusal from None
    if not (shortest <= block.prefixlen <= longest and any(map(block.subnet_of, PRIVATE))):
        raise refusal
    return block


def _apart(block: IPv4Network, field: str, taken: dict[str, IPv4Network]) -> None:
    for whose, other in taken.items():
        if block.overlaps(other):
            raise bad(
                f"{field.title().replace('_', '')}Conflict",
                f"{field} {block} overlaps with {other} of {whose}.",
            )


def check_group(call: Call, identifier: str, vpc: str) -> None:
    """A security group that is there, in the VPC."""
    group = call.store.get(SecurityGroup, identifier)
    if group is None or group.vpc != vpc:
        raise Failure(
            404, "InvalidSecurityGroupId.NotFound", f"There is no {identifier} in VPC {vpc}."
        )


def check_pool(call: Call, cluster_vpc: str, region: str, body: Json) -> None:
    """The parts of a node pool that the shapes cannot say."""
    group: dict[str, Any] = body["scaling_group"]
    if not 1 <= len(group["instance_types"]) <= 10:
        raise bad("InvalidParameter", "scaling_group.instance_types must have 1 to 10 types.")
    if not 1 <= len(group["vswitch_ids"]) <= 8:
        raise bad("InvalidParameter", "scaling_group.vswitch_ids must have 1 to 8 vSwitches.")
    for name in group["instance_types"]:
        if name not in INSTANCE_TYPES:
            raise bad("InvalidInstanceType", f"The instance type {name} is not supported.")
    for identifier in group["vswitch_ids"]:
        if _switch(call, identifier).vpc != cluster_vpc:
            raise bad("InvalidVSwitchId.NotFound", f"{identifier} is not in VPC {cluster_vpc}.")
    if group["instance_charge_type"] not in ("PostPaid", "PrePaid"):
        raise bad("InvalidParameter", "instance_charge_type must be PostPaid or PrePaid.")
    if group.get("multi_az_policy", "PRIORITY") not in ("PRIORITY", "COST_OPTIMIZED", "BALANCE"):
        raise bad("InvalidParameter", "multi_az_policy is not valid.")
    for identifier in group.get("security_group_ids", []):
        check_group(call, identifier, cluster_vpc)
    _check_login(call, region, group)
    _check_disk(group)
    _check_scaling(body)
    for taint in body.get("kubernetes_config", {}).get("taints", []):
        if taint.get("effect") not in _TAINT_EFFECTS:
            raise bad("InvalidParameter", f"taint effect {taint.get('effect')!r} is not valid.")


def check_pool_name(call: Call, cluster: str, name: str) -> None:
    """1 to 63 characters as a cluster's name, once in the cluster."""
    if not _NAME.fullmatch(name):
        raise bad("InvalidParameter", f"The node pool name {name!r} is not valid.")
    if any(p.cluster == cluster and p.name == name for p in call.store.all(NodePool)):
        raise bad("NodePoolNameAlreadyExist", f"The node pool {name} already exists.")


def _check_login(call: Call, region: str, group: dict[str, Any]) -> None:
    if group.get("key_pair") and group.get("login_password"):
        raise bad("InvalidParameter", "Give one of key_pair and login_password.")
    if group.get("key_pair") and not call.store.get(KeyPair, group["key_pair"], region):
        raise bad("InvalidKeyPairName.NotFound", f"There is no key pair {group['key_pair']}.")


def _check_disk(group: dict[str, Any]) -> None:
    categories = group.get("system_disk_categories") or [
        # the published default, although node pools take it no more
        group.get("system_disk_category", "cloud_efficiency")
    ]
    size = int(group.get("system_disk_size", 120))
    for category in categories:
        if category not in DISKS:
            raise bad("InvalidSystemDiskCategory", f"There is no disk category {category!r}.")
        if category in ("cloud_efficiency", "cloud_ssd"):
            raise bad(
                "InvalidSystemDiskCategory",
                f"The system disk category {category} is not supported for node pools; use"
                " cloud_essd, cloud_auto or cloud_essd_entry.",
            )
        low, high = DISKS[category].system
        if not low <= size <= high:
            raise bad("InvalidSystemDiskSize", f"system_disk_size must be {low} to {high}.")


def _check_scaling(body: Json) -> None:
    scaling = body.get("auto_scaling") or {}
    if not scaling.get("enable", False):
        if body["scaling_group"].get("desired_size", 0) < 0:
            raise bad("InvalidParameter", "desired_size must not be negative.")
        return
    low, high = scaling.get("min_instances", 0), scaling.get("max_instances", 0)
    if not 0 <= low <= high or high < 1:
        raise bad("InvalidParameter", "min_instances must not be more than max_instances.")

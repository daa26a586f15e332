"""What Container Service checks in CreateCluster.

Only ``MissingPodVswitchIds``, ``ClusterNameAlreadyExist``, ``InvalidVpcId.NotFound`` and
``InvalidVSwitchId.NotFound`` are codes somebody has published. The rest are named after their like:
a driver must not branch on them, and needs not, for each says what is wrong in its message.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.catalogue import ADDONS, DEFAULT_ADDONS, NETWORK_ADDONS, VERSIONS
from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Cluster, SecurityGroup, Vpc, VSwitch
from clusterkit_sandbox.alibaba.service import Call

PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""Ranges allowed for pods and services (vendor: CreateCluster, container_cidr and service_cidr)."""
SPECS = ("ack.standard", "ack.pro.small", "ack.pro.xlarge", "ack.pro.2xlarge", "ack.pro.4xlarge")
NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff-]{0,62}")
"""Names allowed for clusters and node pools (vendor: CreateCluster, name)."""


def check_kind(call: Call) -> None:
    """Only managed clusters of the default profile are emulated; others are refused."""
    kind = call.get("cluster_type", "ManagedKubernetes")
    if kind == "Kubernetes":
        raise bad("InvalidParameter", "ACK dedicated clusters can no longer be created.")
    if kind != "ManagedKubernetes":
        raise bad("InvalidParameter", f"cluster_type {kind!r} is not valid.")
    profile = call.get("profile", "Default")
    if profile != "Default":
        raise bad("InvalidParameter", f"The sandbox has no clusters of profile {profile!r}.")
    if call.get("cluster_spec", "ack.standard") not in SPECS:
        raise bad("InvalidParameter", f"cluster_spec must be one of {', '.join(SPECS)}.")


def check_name(call: Call, name: str) -> None:
    """1 to 63 digits, letters, Chinese characters and hyphens, and not taken."""
    if not NAME.fullmatch(name):
        raise bad("InvalidParameter", f"The cluster name {name!r} is not valid.")
    if any(cluster.name == name for cluster in call.store.all(Cluster)):
        raise bad("ClusterNameAlreadyExist", f"cluster name {name} already exist in your clusters")


def check_quota(call: Call) -> None:
    """Quota of clusters per account, and of the free kind."""
    clusters = list(call.store.all(Cluster))
    quotas = call.store.conditions.quotas
    if len(clusters) >= quotas["cluster"]:
        raise bad("QuotaExceeded.Cluster", f"You can have {quotas['cluster']} clusters.")
    standard = [c for c in clusters if c.body["cluster_spec"] == "ack.standard"]
    wanted = call.get("cluster_spec", "ack.standard")
    if wanted == "ack.standard" and len(standard) >= quotas["standard-cluster"]:
        raise bad(
            "QuotaExceeded.Cluster",
            f"You can have {quotas['standard-cluster']} clusters of ack.standard.",
        )


def version(call: Call) -> str:
    """The version to create, which must be offered, in full."""
    wanted = call.get("kubernetes_version", VERSIONS[0].name)
    if wanted not in [v.name for v in VERSIONS if v.creatable]:
        raise bad("InvalidParameter", f"kubernetes_version {wanted} is not supported.")
    return str(wanted)


def switches(call: Call, region: str) -> tuple[Vpc, list[VSwitch]]:
    """The VPC and the vSwitches, which must be available and belong together."""
    ids = call.get("vswitch_ids", [])
    if not ids:
        raise bad("MissingParameter", "vswitch_ids is mandatory for this action.")
    if not 1 <= len(ids) <= 5:
        raise bad("InvalidParameter", "vswitch_ids must have 1 to 5 vSwitches.")
    found = [find_switch(call, identifier) for identifier in ids]
    vpc = call.store.get(Vpc, call.get("vpcid", found[0].vpc))
    if vpc is None or vpc.region != region:
        raise bad("InvalidVpcId.NotFound", "The specified VPC does not exist.")
    for one in found:
        if one.vpc != vpc.id:
            raise bad("InvalidVSwitchId.NotFound", f"vSwitch {one.id} is not in VPC {vpc.id}.")
    return vpc, found


def find_switch(call: Call, identifier: str) -> VSwitch:
    """An existing, available vSwitch."""
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
        raise bad("InvalidParameter", "addons must have one of flannel and terway-eniip.")
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
            if find_switch(call, identifier).vpc != vpc.id:
                raise bad("InvalidVSwitchId.NotFound", f"{identifier} is not in {vpc.id}.")
        return str(service), ""
    if call.get("container_cidr") is None:
        raise bad("MissingParameter", "container_cidr is mandatory for Flannel clusters.")
    pods = _block(call["container_cidr"], "container_cidr", 8, 24)
    _apart(pods, "container_cidr", {**taken, "service_cidr": service})
    return str(service), str(pods)


def _block(text: str, field: str, shortest: int, longest: int) -> IPv4Network:
    refusal = bad("InvalidParameter", f"{field} {text} is not valid.")
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
                "InvalidParameter",
                f"{field} {block} overlaps with {other} of {whose}.",
            )


def check_group(call: Call, identifier: str, vpc: str) -> None:
    """An existing security group in the VPC."""
    group = call.store.get(SecurityGroup, identifier)
    if group is None or group.vpc != vpc:
        raise Failure(
            404, "InvalidSecurityGroupId.NotFound", f"There is no {identifier} in VPC {vpc}."
        )

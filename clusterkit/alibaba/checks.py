"""What ``clusterkit verify`` asks of Alibaba Cloud beyond the cluster's own API: A1 to A10."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

from clusterkit.alibaba import activation, disks
from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.cluster import running
from clusterkit.alibaba.fields import mainland
from clusterkit.alibaba.machine_types import categories
from clusterkit.alibaba.network import VSwitch, VSwitchState
from clusterkit.alibaba.nodes import POOL
from clusterkit.alibaba.profile import AlibabaProfile, AlibabaRegistry
from clusterkit.alibaba.registry import NOT_OPENED, Space, repositories, space
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError, Rejected, Unreachable
from clusterkit.kube.api import Object
from clusterkit.kube.secrets import EXPIRES
from clusterkit.kube.storage import is_default
from clusterkit.ready import jenkinsx
from clusterkit.ready.checks import UP, Check, Result, Row, numbered

ZONE = "topology.kubernetes.io/zone"
MACHINE = "node.kubernetes.io/instance-type"
SMALL = (8, 1)
"""GiB: what the charts of Jenkins and of Jenkins X claim, and that of Vault"""
OUR_CLASS = "set storage: {default: ssd}, and run clusterkit up"
NO_CLASS = Result("skipped", "no default StorageClass makes disks (K3)")


def checks(profile: AlibabaProfile, clients: Clients) -> Sequence[Check]:
    """A1 to A10; no call before one is run."""
    return numbered("A", ROWS, profile, clients)


def _ranges(profile: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    cluster = running(clients, profile.name)
    vpc = next(clients.every("DescribeVpcs", VpcId=cluster.vpc))
    more = at_path(vpc, "SecondaryCidrBlocks.SecondaryCidrBlock") or ()
    named = [("the VPC", block) for block in (vpc["CidrBlock"], *more)]
    if profile.network.plugin == "flannel":  # Terway's pods have addresses of the VPC
        named.append(("the pods", cluster.pods))
    named.append(("the Services", cluster.services))
    for (whose, range_), (others, other) in combinations(named, 2):
        if whose != others and IPv4Network(range_).overlaps(IPv4Network(other)):
            what = f"{other} of {others} overlaps {range_} of {whose}"
            yield Result("failed", what, f"cluster/{profile.name}")


def _defaults(clients: Clients) -> list[Object]:
    """The default classes whose volumes are disks."""
    found = clients.kube.list("/apis/storage.k8s.io/v1/storageclasses")
    return [one for one in found if is_default(one) and one["provisioner"] == disks.PROVISIONER]


def _name(item: Object) -> str:
    return f"storageclass/{item['metadata']['name']}"


def _small_claims(_: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    found = _defaults(clients)
    if not found:
        yield NO_CLASS
    for item in found:
        words = [disks.refusal(item.get("parameters") or {}, size) for size in SMALL]
        if refused := next(filter(None, words), ""):
            what = "its smallest disk is larger than what charts claim (8 GiB, 1 GiB)"
            seen = f"rpc error: code = InvalidArgument desc = {refused}"
            yield Result("failed", what, _name(item), seen)


def _late(_: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    found = _defaults(clients)
    if not found:
        yield NO_CLASS
        return
    zones = sorted({zone for zone, _ in _machines(clients)})
    for item in found:
        if item.get("volumeBindingMode", "Immediate") == "Immediate" and len(zones) > 1:
            what = f"it makes disks before it is known in which zone the pod runs: {_list(zones)}"
            yield Result("warned", what, _name(item))


def _machines(clients: Clients) -> set[tuple[str, str]]:
    """Zone and type of the nodes' machines; virtual nodes have none."""
    labels = [node["metadata"].get("labels") or {} for node in clients.kube.list("/api/v1/nodes")]
    return {(one[ZONE], one[MACHINE]) for one in labels if ZONE in one and MACHINE in one}


def _spread(profile: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    """A scaling group that balances has been seen to put both of its machines into one zone."""
    cluster = running(clients, profile.name)
    listed = map(VSwitch.state, clients.every("DescribeVSwitches", VpcId=cluster.vpc))
    zones = {one.zone for one in listed if one.id in cluster.vswitches}
    if len(zones) < 2:
        return
    there: dict[str, list[str]] = {}
    for node in clients.kube.list("/api/v1/nodes"):
        labels = node["metadata"].get("labels") or {}
        if POOL in labels and ZONE in labels:
            there.setdefault(labels[POOL], []).append(labels[ZONE])
    for pool, found in there.items():
        if len(found) > 1 and len({*found}) == 1:
            others = _list(sorted(zones))
            what = f"all {len(found)} nodes are in {found[0]}, the cluster is in {others}"
            yield Result("warned", what, f"node-pool/{pool}")


def _disks(_: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    found = _defaults(clients)
    if not found:
        yield NO_CLASS
        return
    for zone, machine in sorted(_machines(clients)):
        sold = categories(clients, machine, zone)
        for item in found:
            wanted = disks.categories(item.get("parameters") or {})
            if sold.isdisjoint(wanted):
                what = f"{machine} in {zone} takes no disk of {_list(wanted)}"
                what += f", but {_list(sorted(sold))}" if sold else ""
                yield Result("failed", what, _name(item))


def _way_out(profile: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    cluster = running(clients, profile.name)
    served = list(_snat(clients, cluster.vpc))
    there = map(VSwitch.state, clients.every("DescribeVSwitches", VpcId=cluster.vpc))
    wanted = [one for one in there if one.id in cluster.vswitches]
    ours = profile.network.existing is None and profile.network.nat != "none"
    for vswitch in wanted:
        if any(_serves(entry, vswitch) for entry in served):
            continue
        what = f"no SNAT entry for {vswitch.cidr} in {vswitch.zone}: nodes there reach no registry "
        what += "of others, unless there is another way out"
        cure = UP if ours else "a NAT gateway with an SNAT entry for it, or network: {nat: true}"
        yield Result("failed" if ours else "warned", what, f"vswitch/{vswitch.id}", cure=cure)


def _snat(clients: Clients, vpc: str) -> Iterator[Mapping[str, Any]]:
    for gateway in clients.every("DescribeNatGateways", VpcId=vpc):
        for table in at_path(gateway, "SnatTableIds.SnatTableId") or ():
            yield from clients.every("DescribeSnatTableEntries", SnatTableId=table)


def _serves(entry: Mapping[str, Any], vswitch: VSwitchState) -> bool:
    if entry.get("Status") not in ("Available", None):
        return False
    if entry.get("SourceVSwitchId") == vswitch.id:
        return True
    range_ = entry.get("SourceCIDR")
    return bool(range_) and IPv4Network(vswitch.cidr).subnet_of(IPv4Network(range_))


def _endpoint(profile: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    cluster, where = running(clients, profile.name), f"cluster/{profile.name}"
    if profile.endpoint.public and not cluster.public:
        what = "the API server has no public address, which the profile asks for"
        cure = "bind an address in the console (Cluster Information), then run clusterkit up"
        yield Result("failed", what, where, cure=cure)
        return
    try:
        clients.kube.get("/version")
    except Unreachable as error:
        public = "endpoint.allowed may not have this machine's address"
        what = public if cluster.public else "it has an address inside the VPC only"
        yield Result("failed", f"{what}: {error.what}", where, cure=error.hint)


def _registry(profile: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    registry = profile.registry
    if registry is None:
        yield Result("skipped", "the profile has no registry")
        return
    scope = Scope(clients, profile.name, profile.region)
    try:
        there = space(scope, registry.name, registry.instance)
    except Rejected as error:
        if registry.instance:
            raise
        yield Result("failed", str(error), "registry", cure=NOT_OPENED)
        return
    yield from _namespace(profile, scope, registry, there)
    if profile.ready.jenkins_x:
        yield from _login(clients)
    if registry.instance:
        yield from _inside(profile, clients, registry.instance)


def _namespace(
    profile: AlibabaProfile, scope: Scope[Clients], registry: AlibabaRegistry, there: Space | None
) -> Iterator[Result]:
    where = f"namespace/{registry.name}"
    if there is None:
        yield Result("failed", "the registry has no such namespace", where)
        return
    if profile.ready.jenkins_x and not there.open:
        what = "a push makes no repository there, and Jenkins X has one for each application"
        yield Result("failed", what, where)
    found = {one.name for one in repositories(scope, registry.instance)}
    for name, _ in registry.full_names:
        if name not in found:
            yield Result("failed", "it does not exist", f"repository/{name}")


def _login(clients: Clients) -> Iterator[Result]:
    """Whether the password of Jenkins X lasts; that it is there is asked by K13."""
    namespace, name = jenkinsx.NAMESPACE, jenkinsx.REGISTRY_AUTH
    found = clients.kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}") or {"metadata": {}}
    if until := (found["metadata"].get("annotations") or {}).get(EXPIRES):
        what = f"the password ends at {until}, and pipelines push nothing after that"
        seen = "checking push permission for …: UNAUTHORIZED: authentication required"
        cure = (
            "clusterkit up --registry-user NAME --registry-password-stdin with the user and the "
            "lasting password that the console of Container Registry shows (Access Credential)"
        )
        yield Result("warned", what, f"secret/{namespace}/{name}", seen, cure)


def _inside(profile: AlibabaProfile, clients: Clients, instance: str) -> Iterator[Result]:
    """Whether pods reach an Enterprise Edition instance without the internet."""
    cluster = running(clients, profile.name)
    shown = clients.cr("GetInstanceVpcEndpoint", InstanceId=instance, ModuleName="Registry")
    linked = {one["VpcId"] for one in shown.get("LinkedVpcs") or ()}
    if not shown.get("Enable"):
        what = "it has no endpoint for VPCs: pods reach it by the internet"
        cure = "enable it in the console (Access Control, VPC), then run clusterkit up"
        yield Result("warned", what, f"instance/{instance}", cure=cure)
    elif cluster.vpc not in linked:
        what = f"its endpoint for VPCs is not linked with {cluster.vpc}: pods do not find it"
        seen = "dial tcp: lookup …-registry-vpc.… : no such host"
        cure = (
            f"aliyun cr CreateInstanceVpcEndpointLinkedVpc --ModuleName Registry --InstanceId "
            f"{instance} --VpcId {cluster.vpc} --VswitchId {min(cluster.vswitches)}"
        )
        yield Result("failed", what, f"instance/{instance}", seen, cure)


def _activation(profile: AlibabaProfile, clients: Clients) -> Iterator[Result]:
    try:
        missing = activation.missing_roles(profile, clients)
    except CloudError as error:
        if error.code != activation.NOT_ENABLED:
            raise
        what = "Container Service is not activated in this account"
        yield Result("failed", what, "account", activation.NOT_ENABLED)
        return
    for role in missing:
        yield Result("failed", "the account lacks this service role", role)


def _mirror(profile: AlibabaProfile, _: Clients) -> Iterator[Result]:
    if mainland(profile.region) and not profile.mirror:
        what = f"gcr.io, ghcr.io and registry.k8s.io are hard to reach from {profile.region}"
        yield Result("warned", what, f"region/{profile.region}")


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


ROWS = (
    Row(
        "the ranges of pods, Services and the VPC do not overlap",
        _ranges,
        "dial tcp …: i/o timeout",
        "clusters cannot change theirs: remove the VPC's range, or make another cluster",
    ),
    Row(
        "the default StorageClass takes small claims",
        _small_claims,
        "all attempts failed: cloud_ssd: requested size 8GiB is less than minimum 20GiB",
        f"{OUR_CLASS}, or give your class volumeSizeAutoAvailable",
    ),
    Row(
        "the default StorageClass waits for the pod, or all nodes are in one zone",
        _late,
        "0/3 nodes are available: 3 node(s) had volume node affinity conflict",
        OUR_CLASS,
    ),
    Row(
        "the nodes' machines take the disks of the default StorageClass",
        _disks,
        "InvalidDataDiskCategory.NotSupported",
        OUR_CLASS,
    ),
    Row(
        "an SNAT entry for each VSwitch of the nodes",
        _way_out,
        'Failed to pull image "ghcr.io/…": … dial tcp …:443: i/o timeout',
        UP,
    ),
    Row(
        "the API server can be reached from here",
        _endpoint,
        "Unable to connect to the server: dial tcp …:6443: i/o timeout",
        "endpoint: {public: true}, or run this inside the VPC",
    ),
    Row(
        "the registry has what pods push to, by an address inside the VPC",
        _registry,
        "denied: requested access to the resource is denied",
        UP,
    ),
    Row(
        "Container Service is activated and has its roles",
        _activation,
        "ErrorNotEnabled, EntityNotExist.Role",
        activation.CURE,
    ),
    Row(
        "nodes can pull images from foreign registries",
        _mirror,
        'Failed to pull image "ghcr.io/…": … i/o timeout',
        "set mirror to a registry that has them (docs/alibaba.md, Mainland China)",
    ),
    Row(
        "the nodes of a pool are in more than one of the cluster's zones",
        _spread,
        "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints",
        "aliyun ess RebalanceInstances --ScalingGroupId ID, or fewer zones in network.zones",
    ),
)

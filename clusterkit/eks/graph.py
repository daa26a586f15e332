"""From a profile and the facts to resources; pure, and read like a picture of the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusterkit.eks.access import AccessEntry, entry_name
from clusterkit.eks.addons import Addon, PodIdentity
from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import Cluster
from clusterkit.eks.iam import CLUSTER_ROLE, KEEP_VOLUMES, Role, push_policy
from clusterkit.eks.keypair import KeyPair
from clusterkit.eks.launch_template import LaunchTemplate
from clusterkit.eks.nat import ElasticIp, NatGateway
from clusterkit.eks.network import InternetGateway, Subnet, SubnetState, Vpc
from clusterkit.eks.nodes import AMI, NodeGroup
from clusterkit.eks.preflight import Facts
from clusterkit.eks.profile import EksPool, EksProfile
from clusterkit.eks.registry import LogGroup, Repository
from clusterkit.eks.routes import RouteTable
from clusterkit.engine.kind import Existing, Kind
from clusterkit.kube.storage import storage_class
from clusterkit.naming import digest
from clusterkit.profile.cidr import carve
from clusterkit.profile.pool import machine_text
from clusterkit.profile.ssh_key import fingerprint

Any_ = Kind[Any, Any]
AnySubnet = Kind[Clients, SubnetState]

EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
)
"""https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html"""
PUSH_POLICY = "AmazonEC2ContainerRegistryPowerUser"
EBS_POLICY = "service-role/AmazonEBSCSIDriverPolicy"
EBS_ACCOUNT = "ebs-csi-controller-sa"
PODS = "pods.eks.amazonaws.com"


class _Network:
    """Subnets for the control plane and the nodes, and what must be there before nodes can join."""

    def __init__(
        self, nodes: Iterable[AnySubnet], public: Iterable[AnySubnet], routes: Iterable[Any_]
    ) -> None:
        self.nodes = tuple(nodes)
        self.public = tuple(public)
        self.routes = tuple(routes)

    @property
    def all(self) -> tuple[AnySubnet, ...]:
        """For the control plane, the nodes' first."""
        rest = tuple(subnet for subnet in self.public if subnet not in self.nodes)
        return self.nodes + rest


def graph(profile: EksProfile, facts: Facts) -> list[Kind[Any, Any]]:
    """Every resource of the cluster."""
    tags = tuple(sorted(profile.tags.items()))
    network = _given(facts, profile) if profile.network.existing else _made(profile, facts, tags)
    keep = ((KEEP_VOLUMES, str(profile.storage.keep_volumes).lower()),)
    cluster_role = Role(
        name=CLUSTER_ROLE,
        service="eks.amazonaws.com",
        managed=CLUSTER_POLICIES,
        tags=tags + keep,
    )
    by_node = profile.registry is not None and profile.registry.push == "node"
    node_role = Role(
        name="node",
        service="ec2.amazonaws.com",
        managed=NODE_POLICIES + ((PUSH_POLICY,) if by_node else ()),
        tags=tags,
    )
    logs = (LogGroup(name="control-plane", days=profile.log_days, tags=tags),)
    cluster = Cluster(
        name=profile.name,
        version=facts.version,
        role=cluster_role,
        subnets=_control_plane(network.all, facts),
        public=profile.endpoint.public,
        private=profile.endpoint.private,
        allowed=tuple(profile.endpoint.allowed),
        services=profile.network.services,
        logging=tuple(profile.logging),
        support="EXTENDED" if profile.support == "extended" else "STANDARD",
        protected=profile.deletion_protection,
        tags=tags,
        after=logs if profile.logging else (),
    )
    out: list[Any_] = [cluster, *network.routes]
    out += [
        AccessEntry(name=entry_name(arn), principal=arn, cluster=cluster, tags=tags)
        for arn in profile.admins
    ]
    first = [
        _addon(name, cluster, facts, tags)
        for name in ("eks-pod-identity-agent", "vpc-cni", "kube-proxy")
    ]
    key = None
    if text := profile.ssh_public_key:
        key = KeyPair(name=fingerprint(text), public_key=text, tags=tags)
    groups = [
        _group(pool, facts, cluster, node_role, network, key, tuple(first), tags)
        for pool in profile.pools
    ]
    ebs_role = Role(name="ebs-csi", service=PODS, managed=(EBS_POLICY,), tags=tags)
    # one ready group is enough for them, and which one is the first cannot be known
    last = [
        _addon("coredns", cluster, facts, tags, after=(groups[0],)),
        _addon("aws-ebs-csi-driver", cluster, facts, tags, after=(groups[0],), role=ebs_role),
    ]
    out += [*first, *groups, *last]
    out.append(
        storage_class(
            "gp3", "ebs.csi.aws.com", {"encrypted": "true", "type": "gp3"}, cluster=cluster
        )
    )
    return out + _registry(profile, facts, cluster, tags)


def _control_plane(subnets: Iterable[AnySubnet], facts: Facts) -> tuple[AnySubnet, ...]:
    """Those in the zones EKS fixed when it created the cluster; all of them for a new one."""

    def fits(subnet: AnySubnet) -> bool:
        zone = subnet.zone if isinstance(subnet, Subnet) else facts.subnets[subnet.name].zone
        return not facts.control_plane or zone in facts.control_plane

    return tuple(filter(fits, subnets))


def _made(profile: EksProfile, facts: Facts, tags: tuple[tuple[str, str], ...]) -> _Network:
    """A VPC of our own: two subnets a zone, and the ways out."""
    vpc = Vpc(name="main", cidr=profile.network.cidr, tags=tags)
    gateway = InternetGateway(name="main", vpc=vpc, tags=tags)
    nat = profile.network.nat
    public, private = [], []
    for index, (zone, (public_cidr, private_cidr)) in enumerate(
        zip(facts.zones, carve(profile.network.cidr, len(facts.zones)), strict=True)
    ):
        letter = "abcdefgh"[index]
        public.append(
            Subnet(
                name=f"public-{letter}",
                vpc=vpc,
                cidr=public_cidr,
                zone=zone,
                public_addresses=nat == "none",
                tags=(*tags, ("kubernetes.io/role/elb", "1")),
            )
        )
        private.append(
            Subnet(
                name=f"private-{letter}",
                vpc=vpc,
                cidr=private_cidr,
                zone=zone,
                tags=(*tags, ("kubernetes.io/role/internal-elb", "1")),
            )
        )
    outward = RouteTable(name="public", vpc=vpc, gateway=gateway, subnets=tuple(public), tags=tags)
    if nat == "none":
        inward = RouteTable(
            name="private", vpc=vpc, gateway=None, subnets=tuple(private), tags=tags
        )
        return _Network(public, public, (outward, inward))
    nats = [
        NatGateway(
            name=subnet.name.removeprefix("public-"),
            subnet=subnet,
            address=ElasticIp(name=subnet.name.removeprefix("public-"), tags=tags),
            tags=tags,
            # a NAT gateway without a way out fails: "Network has no Internet gateway attached"
            after=(gateway, outward),
        )
        for subnet in (public if nat == "per-zone" else public[:1])
    ]
    tables = [
        RouteTable(
            name=subnet.name,
            vpc=vpc,
            gateway=nats[index if nat == "per-zone" else 0],
            subnets=(subnet,),
            tags=tags,
        )
        for index, subnet in enumerate(private)
    ]
    return _Network(private, public, (outward, *tables))


def _given(facts: Facts, profile: EksProfile) -> _Network:
    """An existing VPC's subnets: used, never changed."""
    existing = profile.network.existing
    if existing is None:
        raise ValueError("the profile has no existing network")
    made = {name: Existing(name=name, state=state) for name, state in facts.subnets.items()}
    nodes = [made[name] for name in existing.subnets]
    return _Network(nodes, [made[name] for name in existing.public_subnets], ())


def _addon(
    name: str,
    cluster: Cluster,
    facts: Facts,
    tags: tuple[tuple[str, str], ...],
    *,
    after: tuple[Any_, ...] = (),
    role: Role | None = None,
) -> Addon:
    version = facts.addons[name]
    return Addon(
        name=name,
        cluster=cluster,
        version=version.default,
        compatible=version.compatible,
        account=EBS_ACCOUNT if role else "",
        role=role,
        tags=tags,
        after=after,
    )


def _group(
    pool: EksPool,
    facts: Facts,
    cluster: Cluster,
    role: Role,
    network: _Network,
    key: KeyPair | None,
    before: tuple[Any_, ...],
    tags: tuple[tuple[str, str], ...],
) -> NodeGroup:
    machine = facts.pools[pool.name]
    setup = digest(pool.disk.size, pool.disk.encrypted, key.name if key else "")
    template = LaunchTemplate(
        name=f"{pool.name}-{setup}",
        disk=pool.disk.size,
        encrypted=pool.disk.encrypted,
        key_pair=key,
        tags=tags,
    )
    ami = AMI[machine.arch]
    fixed = digest(machine.name, ami, pool.spot, setup, [s.name for s in network.nodes])
    return NodeGroup(
        name=f"{pool.name}-{fixed}",
        cluster=cluster,
        role=role,
        template=template,
        subnets=network.nodes,
        instance_type=machine.name,
        ami=ami,
        version=facts.version,
        minimum=pool.minimum,
        maximum=pool.maximum,
        spot=pool.spot,
        labels=tuple(sorted(pool.labels.items())),
        taints=tuple((t.key, t.value, EFFECTS[t.effect]) for t in pool.taints),
        max_unavailable=pool.max_unavailable,
        machine=machine_text(pool),
        tags=tags,
        after=before + network.routes,
    )


def _registry(
    profile: EksProfile, facts: Facts, cluster: Cluster, tags: tuple[tuple[str, str], ...]
) -> list[Any_]:
    """Repositories, and who may push to them."""
    registry = profile.registry
    if registry is None:
        return []
    out: list[Any_] = []
    for repository in registry.repositories:
        name = f"{registry.name}/{repository}"
        out.append(Repository(name=name, keep=registry.keep, tags=tags))
        if registry.cache:
            cache = f"{name}/cache"
            out.append(
                Repository(name=cache, keep=registry.keep, expires=registry.cache_days, tags=tags)
            )
    if profile.push_accounts:
        policy = push_policy(facts.partition, profile.region, facts.account, registry.name)
        role = Role(name="push", service=PODS, inline=(("ecr-push", policy),), tags=tags)
        out += [
            PodIdentity(
                name=digest(account), account=account, role=role, cluster=cluster, tags=tags
            )
            for account in profile.push_accounts
        ]
    return out

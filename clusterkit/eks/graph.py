"""From a profile and the facts to resources; pure, and read like a picture of the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from clusterkit.eks.addons import EBS_ACCOUNT, Addon, PodIdentity
from clusterkit.eks.autoscaler import autoscaler
from clusterkit.eks.builds import access_of
from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import Cluster
from clusterkit.eks.entries import AccessEntry
from clusterkit.eks.iam import CLUSTER_ROLE, EC2, KEEP_VOLUMES, Role, policy, push_statements
from clusterkit.eks.irsa import OidcProvider, PodRole
from clusterkit.eks.jenkinsx import grants, platform_of
from clusterkit.eks.keypair import KeyPair
from clusterkit.eks.network import (
    ElasticIp,
    InternetGateway,
    NatGateway,
    RouteTable,
    Subnet,
    SubnetState,
    Vpc,
)
from clusterkit.eks.nodes import AMI, LaunchTemplate, NodeGroup
from clusterkit.eks.preflight import Facts
from clusterkit.eks.profile import EksProfile, EksRegistry, ExistingNetwork
from clusterkit.eks.registry import LogGroup, Repository
from clusterkit.eks.storage import Bucket
from clusterkit.eks.tags import Ec2State
from clusterkit.engine.kind import Env, Existing, Kind
from clusterkit.kube.manifest import service_account
from clusterkit.kube.nodes import asked
from clusterkit.kube.storage import storage_class
from clusterkit.naming import HOME, STORAGE_CLASS, digest
from clusterkit.profile.cidr import slots
from clusterkit.profile.ready import JENKINS_X_ACCOUNT
from clusterkit.profile.ssh_key import fingerprint
from clusterkit.ready import jenkinsx
from clusterkit.ready.registry import Finds, Way, build_namespace, docker_config

Any_ = Kind[Any, Any]
AnySubnet = Kind[Clients, SubnetState]

CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
)
"""https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html"""
PUSH_POLICY = "AmazonEC2ContainerRegistryPowerUser"
EBS_POLICY = "service-role/AmazonEBSCSIDriverPolicy"
DEFAULT_CLASS = "gp3"
EKS = "eks.amazonaws.com"
PODS = "pods.eks.amazonaws.com"
ELB_ROLES = ("elb", "internal-elb")
"""tags of subnets for load balancers on the internet, and for those inside
(https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html)"""


class _Network(NamedTuple):
    """Where the control plane and the nodes lie, and what must be there before nodes can join."""

    nodes: Sequence[AnySubnet]
    public: Sequence[AnySubnet]
    routes: tuple[Any_, ...] = ()

    @property
    def all(self) -> tuple[AnySubnet, ...]:
        """For the control plane, the nodes' first."""
        return tuple(dict.fromkeys((*self.nodes, *self.public)))


def graph(profile: EksProfile, facts: Facts) -> list[Kind[Any, Any]]:
    """Every resource of the cluster."""
    return [*_Graph(profile, facts)]


class _Graph:
    """The resources of one profile, part by part."""

    def __init__(self, profile: EksProfile, facts: Facts) -> None:
        self.profile, self.facts = profile, facts
        self.tags = tuple(sorted(profile.tags.items()))
        existing = profile.network.existing
        self.network = self._given(existing) if existing else self._made()
        self.cluster = self._cluster()

    def __iter__(self) -> Iterator[Any_]:
        cluster, tags = self.cluster, self.tags
        yield from (cluster, *self.network.routes)
        for arn in self.profile.admins:
            yield AccessEntry(name=digest(arn), principal=arn, cluster=cluster, tags=tags)
        first = [self._addon(name) for name in ("eks-pod-identity-agent", "vpc-cni", "kube-proxy")]
        groups = [*self._groups((*first, *self.network.routes))]
        yield from (*first, *groups)
        # one ready group is enough for them, and which one is the first cannot be known
        yield self._addon("coredns", after=(groups[0],))
        ebs = Role(name="ebs-csi", service=PODS, managed=(EBS_POLICY,), tags=tags)
        yield self._addon("aws-ebs-csi-driver", after=(groups[0],), role=ebs)
        # so tagged by the EBS CSI driver (its docs/tagging.md)
        made = {"tagSpecification_1": f"{STORAGE_CLASS}={DEFAULT_CLASS}"}
        parameters = {"encrypted": "true", "type": "gp3", **made}
        yield storage_class(DEFAULT_CLASS, "ebs.csi.aws.com", parameters, cluster=cluster)
        yield from self._autoscaler((first[0], groups[0]))
        yield from self._registry()
        yield from self._builds()
        yield from self._jenkins_x()

    def _cluster(self) -> Cluster:
        profile, tags = self.profile, self.tags
        if existing := profile.network.existing:
            tags = (*tags, (HOME, existing.vpc))
        keep = (*tags, (KEEP_VOLUMES, str(profile.storage.keep_volumes).lower()))
        role = Role(name=CLUSTER_ROLE, service=EKS, managed=CLUSTER_POLICIES, tags=keep)
        logs = (LogGroup(name="control-plane", days=profile.log_days, tags=self.tags),)
        return Cluster(
            name=profile.name,
            version=self.facts.version,
            role=role,
            subnets=tuple(filter(self._fits, self.network.all)),
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

    def _fits(self, subnet: AnySubnet) -> bool:
        """Whether it is in the zones EKS fixed when it created the cluster; all fit a new one."""
        fixed, given = self.facts.control_plane, self.facts.subnets
        zone = subnet.zone if isinstance(subnet, Subnet) else given[subnet.name].zone
        return not fixed or zone in fixed

    def _made(self) -> _Network:
        """A VPC of our own: two subnets a zone, and the ways out."""
        tags, cidr, nat = self.tags, self.profile.network.cidr, self.profile.network.nat
        vpc = Vpc(name="main", cidr=cidr, tags=tags)
        gateway = InternetGateway(name="main", vpc=vpc, tags=tags)
        outside, inside = ((*tags, (f"kubernetes.io/role/{role}", "1")) for role in ELB_ROLES)
        zones = [*slots(cidr, self.facts.zones)]
        public = [
            Subnet(
                name=f"public-{letter}",
                vpc=vpc,
                cidr=outer,
                zone=zone,
                public_addresses=nat == "none",
                tags=outside,
            )
            for letter, zone, outer, _ in zones
        ]
        private = [
            Subnet(name=f"private-{letter}", vpc=vpc, cidr=inner, zone=zone, tags=inside)
            for letter, zone, _, inner in zones
        ]

        def table(
            name: str, subnets: Iterable[Subnet], way: Kind[Clients, Ec2State] | None
        ) -> RouteTable:
            return RouteTable(name=name, vpc=vpc, gateway=way, subnets=tuple(subnets), tags=tags)

        outward = table("public", public, gateway)
        if nat == "none":
            return _Network(public, public, (outward, table("private", private, None)))
        nats = [
            NatGateway(
                name=letter,
                subnet=subnet,
                address=ElasticIp(name=letter, tags=tags),
                tags=tags,
                # a NAT gateway without a way out fails: "Network has no Internet gateway attached"
                after=(gateway, outward),
            )
            for (letter, *_), subnet in zip(zones, public, strict=True)
            if nat == "per-zone" or subnet is public[0]
        ]
        inward = [
            table(subnet.name, [subnet], nats[index % len(nats)])
            for index, subnet in enumerate(private)
        ]
        return _Network(private, public, (outward, *inward))

    def _given(self, existing: ExistingNetwork) -> _Network:
        """An existing VPC's subnets: used, never changed."""
        made = {i: Existing(name=i, state=state) for i, state in self.facts.subnets.items()}
        public = [made[i] for i in existing.public_subnets]
        return _Network([made[i] for i in existing.subnets], public)

    def _addon(self, name: str, after: tuple[Any_, ...] = (), role: Role | None = None) -> Addon:
        version = self.facts.addons[name]
        return Addon(
            name=name,
            cluster=self.cluster,
            version=version.default,
            compatible=version.compatible,
            account=EBS_ACCOUNT if role else "",
            role=role,
            tags=self.tags,
            after=after,
        )

    def _groups(self, before: tuple[Any_, ...]) -> Iterator[NodeGroup]:
        profile, tags, subnets = self.profile, self.tags, self.network.nodes
        by_node = profile.registry is not None and profile.registry.push == "node"
        policies = NODE_POLICIES + ((PUSH_POLICY,) if by_node else ())
        role = Role(name="node", service=EC2, managed=policies, tags=tags)
        key = None
        if text := profile.ssh_public_key:
            key = KeyPair(name=fingerprint(text), public_key=text, tags=tags)
        for pool in profile.pools:
            machines, disk = self.facts.pools[pool.name], pool.disk
            types = tuple(machine.name for machine in machines)
            setup = digest(disk.size, disk.encrypted, key.name if key else "")
            ami = AMI[machines[0].arch, machines[0].accelerator]
            fixed = digest(
                types if len(types) > 1 else types[0],
                ami,
                pool.spot,
                setup,
                [s.name for s in subnets],
            )
            yield NodeGroup(
                name=f"{pool.name}-{fixed}",
                cluster=self.cluster,
                role=role,
                template=LaunchTemplate(
                    name=f"{pool.name}-{setup}",
                    disk=disk.size,
                    encrypted=disk.encrypted,
                    key_pair=key,
                    tags=tags,
                ),
                subnets=tuple(subnets),
                ami=ami,
                disk=disk.size,
                version=self.facts.version,
                max_unavailable=pool.max_unavailable,
                types=types,
                **asked(pool),
                tags=tags,
                after=before,
            )

    def _autoscaler(self, after: tuple[Any_, ...]) -> Iterator[Any_]:
        """The cluster autoscaler, if a pool has a range."""
        profile, facts = self.profile, self.facts
        if any(pool.automatic for pool in profile.pools):
            own = f"{profile.region}:{facts.account}:nodegroup/{profile.name}/*"
            groups = f"arn:{facts.partition}:eks:{own}"
            yield from autoscaler(
                self.cluster, facts.version, groups, profile.region, self.tags, after
            )

    def _registry(self) -> Iterator[Any_]:
        """Repositories, and who may push to them."""
        profile, facts, tags = self.profile, self.facts, self.tags
        registry = profile.registry
        if registry is None:
            return
        for name, cached in registry.full_names:
            days = registry.cache_days if cached else None
            yield Repository(name=name, keep=registry.keep, expires=days, tags=tags)
        pushes = push_statements(facts.partition, profile.region, facts.account, registry.name)
        own = (("ecr-push", policy(*pushes)),)
        role = Role(name="push", service=PODS, inline=own, tags=tags)
        for who in profile.push_accounts:
            if profile.ready.jenkins_x and who == JENKINS_X_ACCOUNT:
                continue  # its charts give it a role of its own
            key = digest(who)
            yield PodIdentity(name=key, account=who, role=role, cluster=self.cluster, tags=tags)

    def _builds(self) -> Iterator[Any_]:
        """What kaniko needs in Kubernetes; its identity is the association with the push role."""
        ready, registry = self.profile.ready, self.profile.registry

        def finds(registry: EksRegistry) -> Finds:
            return lambda env: access_of(registry, self.facts.account, env.client)

        way: Way = "secret" if registry and registry.push == "secret" else "helper"
        for kaniko in ready.builders:
            within = build_namespace(ready, kaniko.namespace, self.cluster)
            yield service_account(kaniko.service_account, within, token=False)
            yield from docker_config(kaniko, within, finds(registry) if registry else None, way=way)

    def _jenkins_x(self) -> Iterator[Any_]:
        """Roles and buckets for Jenkins X, and what it is told of them."""
        profile, facts, tags = self.profile, self.facts, self.tags
        wanted = profile.ready.jenkins_x
        if wanted is None:
            return
        provider = OidcProvider(name="cluster", cluster=self.cluster, tags=tags)
        needs: list[Any_] = [
            PodRole(
                name=grant.role,
                cluster=self.cluster,
                accounts=grant.accounts,
                inline=(("jenkins-x", policy(*grant.statements)),),
                tags=tags,
                after=(provider,),
            )
            for grant in grants(profile, facts.partition, facts.account)
        ]
        for purpose in jenkinsx.STORAGE if wanted.storage else ():
            keep = wanted.keep_storage
            needs.append(Bucket(name=purpose, account=facts.account, keep=keep, tags=tags))
        yield from needs

        def describes(env: Env[Any]) -> jenkinsx.Platform:
            return platform_of(profile, facts.account, env.client)

        yield from jenkinsx.prepared(profile.ready, self.cluster, describes, *needs)

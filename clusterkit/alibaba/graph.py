"""From a profile and the facts to resources; pure, and read like a picture of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clusterkit.alibaba.access_list import AccessList
from clusterkit.alibaba.builds import access_of
from clusterkit.alibaba.cluster import SPECS, Cluster
from clusterkit.alibaba.iam import Role, push_policy, role_name
from clusterkit.alibaba.jenkinsx import platform_of
from clusterkit.alibaba.keypair import NOBODYS, KeyPair
from clusterkit.alibaba.nat import Eip, NatGateway
from clusterkit.alibaba.network import SecurityGroup, Vpc, VpcState, VSwitch, VSwitchState
from clusterkit.alibaba.nodes import NodePool
from clusterkit.alibaba.preflight import NODES, Facts, arch_of
from clusterkit.alibaba.profile import AlibabaPool, AlibabaProfile, AlibabaRegistry
from clusterkit.alibaba.registry import PersonalRepository, Repository, servers
from clusterkit.engine.kind import Env, Existing, Kind
from clusterkit.kube.manifest import Namespace, service_account
from clusterkit.kube.nodes import asked
from clusterkit.kube.storage import storage_class
from clusterkit.naming import HOME, STORAGE_CLASS, digest
from clusterkit.profile.cidr import slots
from clusterkit.profile.network import ANYWHERE
from clusterkit.profile.ready import Kaniko
from clusterkit.profile.ssh_key import fingerprint
from clusterkit.ready import jenkinsx
from clusterkit.ready.registry import Finds, build_namespace, docker_config

AnyWish = Kind[Any, Any]
Tags = tuple[tuple[str, str], ...]

PLUGINS = {"flannel": "flannel", "terway": "terway-eniip"}
ADDONS = ("csi-plugin", "managed-csiprovisioner", "!nginx-ingress-controller")
"""``!``: not installed, though ACK would"""
PULL_ADDON = "managed-aliyun-acr-credential-helper"
IDENTITY_ADDON = "ack-pod-identity-webhook"
INJECT = ("pod-identity.alibabacloud.com/injection", "on")
"""label of the namespaces in which pods get their service account's role"""
ROLE_NAME = "pod-identity.alibabacloud.com/role-name"
PUSH = "push"
DEFAULT_CLASS = "clusterkit-ssd"


@dataclass(frozen=True)
class _Network:
    """Where the cluster lives, and what must be there before nodes can join."""

    vpc: Kind[Any, VpcState]
    nodes: tuple[Kind[Any, VSwitchState], ...]
    pods: tuple[Kind[Any, VSwitchState], ...] = ()
    ways: tuple[AnyWish, ...] = ()


def graph(profile: AlibabaProfile, facts: Facts) -> list[AnyWish]:
    """Every resource of the cluster."""
    tags = tuple(sorted(profile.tags.items()))
    if facts.vpc:
        tags = (*tags, (HOME, facts.vpc.id))
    network = _given(facts, profile) if facts.vpc else _made(profile, facts, tags)
    pods = profile.network.pod_range
    group = SecurityGroup(
        name="nodes",
        vpc=network.vpc,
        pods=str(pods) if pods else None,
        keep_volumes=profile.storage.keep_volumes,
        tags=tags,
    )
    pushes = bool(_assuming(profile))
    addons: tuple[str, ...] = (PLUGINS[profile.network.plugin], *ADDONS)
    addons += ((PULL_ADDON,) if profile.registry else ()) + ((IDENTITY_ADDON,) if pushes else ())
    cluster = Cluster(
        name=profile.name,
        version=facts.version,
        spec=SPECS[profile.edition],
        vpc=network.vpc,
        vswitches=network.nodes,
        pod_vswitches=network.pods,
        security_group=group,
        pods=str(pods) if pods else None,
        services=str(profile.network.service_range),
        public=profile.endpoint.public,
        rrsa=pushes,
        addons=addons,
        protected=profile.deletion_protection,
        scales=any(pool.automatic for pool in profile.pools),
        tags=tags,
    )
    text = profile.ssh_public_key or ""
    key = KeyPair(name=fingerprint(text) if text else NOBODYS, public_key=text, tags=tags)

    def node_pool(pool: AlibabaPool) -> NodePool:
        types = tuple(kind.name for kind in facts.pools[pool.name])
        where = [vswitch.name for vswitch in network.nodes]
        disk = (pool.disk.size, pool.disk.type, pool.disk.encrypted)
        mirror = (profile.mirror,) if profile.mirror else ()
        fixed = digest(types, disk, pool.spot, key.name if text else "", where, *mirror)
        return NodePool(
            name=f"{pool.name}-{fixed}",
            cluster=cluster,
            vswitches=network.nodes,
            key_pair=key,
            disk=pool.disk.size,
            disk_type=pool.disk.type,
            encrypted=pool.disk.encrypted,
            arch=arch_of(pool, facts.pools[pool.name]),
            types=types,
            **asked(pool),
            mirror=profile.mirror,
            tags=cluster.tags,
            after=network.ways,
        )

    out: list[AnyWish] = [cluster, *network.ways]
    if profile.endpoint.public and ANYWHERE not in profile.endpoint.allowed:
        out.append(
            AccessList(
                name="api",
                cluster=cluster,
                vpc=network.vpc,
                vswitches=(*network.nodes, *network.pods),
                allowed=tuple(map(str, (*profile.endpoint.allowed, *((pods,) if pods else ())))),
                tags=tags,
            )
        )
    out += map(node_pool, profile.pools)
    out.append(
        storage_class(
            DEFAULT_CLASS,
            "diskplugin.csi.alibabacloud.com",
            {
                "fstype": "ext4",
                "type": "cloud_essd,cloud_auto",
                # claims under 20 GiB, which ESSD refuses, are rounded up
                "volumeSizeAutoAvailable": "true",
                # KEY:VALUE,… (``parseTags`` of alibaba-cloud-csi-driver/pkg/disk/utils.go)
                "diskTags": f"{STORAGE_CLASS}:{DEFAULT_CLASS}",
            },
            cluster=cluster,
        )
    )
    return [*out, *_registry(profile, facts, cluster, tags)]


def _made(profile: AlibabaProfile, facts: Facts, tags: Tags) -> _Network:
    """A VPC of our own: a VSwitch a zone, two with Terway, and the way out."""
    keep = profile.storage.keep_volumes
    vpc = Vpc(name="main", cidr=str(profile.network.cidr), keep_volumes=keep, tags=tags)
    terway = profile.network.plugin == "terway"
    nodes, pods = [], []
    for letter, zone, quarter, half in slots(profile.network.cidr, facts.zones):
        cidr = str(quarter if terway else half)
        nodes.append(VSwitch(name=f"{NODES}{letter}", vpc=vpc, cidr=cidr, zone=zone, tags=tags))
        if terway:
            pods.append(
                VSwitch(name=f"pods-{letter}", vpc=vpc, cidr=str(half), zone=zone, tags=tags)
            )
    if profile.network.nat == "none":
        return _Network(vpc, tuple(nodes), tuple(pods))
    inside = [vswitch for vswitch in nodes if vswitch.zone in facts.nat_zones] or nodes
    nat = NatGateway(
        name="main",
        vpc=vpc,
        vswitch=inside[0],
        address=Eip(name="nat", tags=tags),
        sources=(*nodes, *pods),
        tags=tags,
    )
    return _Network(vpc, tuple(nodes), tuple(pods), (nat,))


def _given(facts: Facts, profile: AlibabaProfile) -> _Network:
    """An existing VPC and its VSwitches: used, never changed."""
    existing = profile.network.existing
    if existing is None or facts.vpc is None:
        raise ValueError("the profile has no existing network")
    made = {name: Existing(name=name, state=state) for name, state in facts.vswitches.items()}
    return _Network(
        Existing(name=facts.vpc.id, state=facts.vpc),
        tuple(made[name] for name in existing.vswitches),
        tuple(made[name] for name in existing.pod_vswitches),
    )


def _repositories(profile: AlibabaProfile, registry: AlibabaRegistry) -> Iterator[AnyWish]:
    for index, (name, _) in enumerate(registry.full_names):
        # one of them speaks for their namespace
        open = profile.ready.jenkins_x is not None and index == 0
        about: dict[str, Any] = {"name": name, "keep": registry.keep, "open": open}
        if registry.instance:
            yield Repository(**about, instance=registry.instance)
        else:
            yield PersonalRepository(**about)


def _registry(profile: AlibabaProfile, facts: Facts, cluster: Cluster, tags: Tags) -> list[AnyWish]:
    """Repositories, who may push to them, and how."""
    registry, accounts = profile.registry, _assuming(profile)
    out = list(_repositories(profile, registry)) if registry else []
    role = None
    if registry and accounts:
        within = f"{registry.instance}/{registry.name}" if registry.instance else registry.name
        policy = push_policy(profile.region, facts.account, within)
        role = Role(name=PUSH, cluster=cluster, accounts=accounts, policy=policy, tags=tags)
    return [*out, *_builds(profile, facts, cluster, role, out)]


def _assuming(profile: AlibabaProfile) -> tuple[str, ...]:
    """The service accounts that assume the role. Those of Jenkins X know nothing of roles here: its
    charts make them without annotations, and it logs in with a password.
    """
    return tuple(each for each in profile.push_accounts if each in profile.build_accounts)


def _builds(
    profile: AlibabaProfile,
    facts: Facts,
    cluster: Cluster,
    role: Role | None,
    repositories: list[AnyWish],
) -> Iterator[AnyWish]:
    """The service accounts that push, and what they log in with."""
    ready, registry, pushers = profile.ready, profile.registry, _assuming(profile)
    builders = {each.account for each in ready.builders}
    assumed = {ROLE_NAME: role_name(profile.region, profile.name, PUSH)}
    spaces: dict[str, Namespace] = {}
    for each in profile.build_accounts:
        space, _, name = each.partition("/")
        if space not in spaces:
            inject = dict((INJECT,)) if any(p.startswith(f"{space}/") for p in pushers) else {}
            spaces[space] = build_namespace(ready, space, cluster, inject)
        whose, after = (assumed, (role,)) if role and each in pushers else ({}, ())
        yield service_account(name, spaces[space], whose, after, token=each not in builders)
    # the Personal Edition's repositories tell its host names
    needs = repositories[:1] if registry and not registry.instance else []

    def hosts(env: Env[Any]) -> tuple[str, ...]:
        if facts.registry or not repositories:
            return facts.registry
        told: tuple[str, ...] = env[repositories[0]].servers
        return told or servers(env.region, None)

    def finds(registry: AlibabaRegistry) -> Finds:
        return lambda env: access_of(registry, hosts(env), env.client)

    found = finds(registry) if registry else None
    by_space = {each.namespace: each for each in ready.builders}
    for name, within in spaces.items():
        kaniko = by_space.get(name) or Kaniko(namespace=name)
        yield from docker_config(kaniko, within, found, *needs, way="secret")

    def describes(env: Env[Any]) -> jenkinsx.Platform:
        return platform_of(profile, hosts(env))

    yield from jenkinsx.prepared(ready, cluster, describes, *needs, access=found)

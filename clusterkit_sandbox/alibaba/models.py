"""The emulated resources of an Alibaba Cloud account."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Literal

from clusterkit_sandbox.kit.operations import LongRunning

API_PORT = 6443
"""the port of API servers"""
RESOURCE_GROUPS = ("rg-acfmsandbox00000", "rg-acfmsandbox00001")
"""the account's resource groups; the first is the default one"""


@dataclass(kw_only=True)
class Thing:
    """The attributes that all resources have."""

    id: str
    region: str
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    """seconds since the epoch"""
    due: float = 0
    """by the store's clock: until then the resource is being created or changed"""
    owner: str = ""
    """the cluster that created it; empty for the user's own"""
    resource_group: str = RESOURCE_GROUPS[0]

    @property
    def scope(self) -> str:
        """Where its id is unique: the account, unless its id is a name in a region."""
        return ""

    def needs(self) -> Iterable[str]:
        """The ids of the resources that cannot be deleted before it."""
        return ()


@dataclass(kw_only=True)
class Vpc(Thing):
    cidr: IPv4Network
    router: str
    route_table: str
    secondary: list[IPv4Network] = field(default_factory=list)


@dataclass(kw_only=True)
class VSwitch(Thing):
    vpc: str
    zone: str
    cidr: IPv4Network

    def needs(self) -> Iterable[str]:
        return (self.vpc,)


@dataclass(kw_only=True)
class NatGateway(Thing):
    vpc: str
    vswitch: str
    network_type: str
    eip_bind_mode: str
    snat_table: str
    forward_table: str
    deleting: bool = False

    def needs(self) -> Iterable[str]:
        return (self.vpc, self.vswitch)


@dataclass(kw_only=True)
class Eip(Thing):
    address: str
    bandwidth: str
    internet_charge_type: str
    instance: str = ""
    instance_type: str = ""

    def needs(self) -> Iterable[str]:
        return (self.instance,)


@dataclass(kw_only=True)
class SnatEntry(Thing):
    nat: str
    table: str
    address: str
    vswitch: str
    cidr: str
    deleting: bool = False

    def needs(self) -> Iterable[str]:
        return (self.nat, self.vswitch)


@dataclass(kw_only=True)
class KeyPair(Thing):
    """``id`` is the name, unique in its region."""

    fingerprint: str
    public_key: str

    @property
    def scope(self) -> str:
        return self.region


Direction = Literal["ingress", "egress"]


@dataclass(kw_only=True)
class Rule:
    """One rule of a security group."""

    id: str
    fields: dict[str, str]
    direction: Direction
    created: float = field(default_factory=time.time)


_GROUPS = ("SourceGroupId", "DestGroupId")


@dataclass(kw_only=True)
class SecurityGroup(Thing):
    vpc: str
    kind: str
    rules: list[Rule] = field(default_factory=list)

    def needs(self) -> Iterable[str]:
        groups = [rule.fields.get(name, "") for rule in self.rules for name in _GROUPS]
        return (self.vpc, *(group for group in groups if group != self.id))


@dataclass(kw_only=True)
class Instance(Thing):
    kind: str
    zone: str
    vpc: str
    vswitch: str
    address: str
    security_group: str
    key_pair: str
    spot: str
    cluster: str
    pool: str
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    joined: bool = True
    """False for a machine that never became a node"""
    cordoned: bool = False
    """whether it became one that takes no pods"""

    def needs(self) -> Iterable[str]:
        return (self.vswitch, self.security_group)


@dataclass(kw_only=True)
class Disk(Thing):
    category: str
    level: str
    size: int
    """GiB"""
    zone: str
    system: bool
    encrypted: bool = False
    instance: str = ""


@dataclass(kw_only=True)
class NetworkInterface(Thing):
    vpc: str
    vswitch: str
    zone: str
    address: str
    mac: str
    groups: list[str]
    kind: str = "Secondary"
    instance: str = ""
    managed: bool = False
    """created by another service; only that service can delete it"""

    def needs(self) -> Iterable[str]:
        return (self.vswitch, *self.groups)


@dataclass(kw_only=True)
class LoadBalancer(Thing):
    """Classic (``clb``), network (``nlb``) or application (``alb``)."""

    kind: str
    vpc: str
    vswitches: list[str]
    address: str
    address_type: str
    protected: bool
    modification_protected: bool
    ports: list[int]
    acls: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """listener port to (access control list, ``on`` or ``off``, ``white`` or ``black``)"""

    def needs(self) -> Iterable[str]:
        return self.vswitches


@dataclass(kw_only=True)
class Acl(Thing):
    entries: dict[str, str] = field(default_factory=dict)
    """CIDR block to comment"""


@dataclass(kw_only=True)
class Role(Thing):
    """``id`` is the role's name; ``number`` its RoleId."""

    number: str
    document: str
    session: int
    policies: dict[tuple[str, str], float] = field(default_factory=dict)
    """(type, name) of each attached policy, to when"""


@dataclass(kw_only=True)
class Policy(Thing):
    """A custom policy; ``id`` is its name."""

    versions: dict[str, tuple[str, float]]
    default: str


@dataclass(kw_only=True)
class RegistryInstance(Thing):
    specification: str
    endpoints: dict[str, bool] = field(default_factory=dict)
    acl: dict[str, dict[str, str]] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)
    """VPC to vSwitch"""


@dataclass(kw_only=True)
class Namespace(Thing):
    instance: str
    """empty for the personal edition"""
    auto_create: bool
    default_type: str


@dataclass(kw_only=True)
class Repository(Thing):
    instance: str
    namespace: str
    kind: str
    summary: str
    detail: str
    immutable: bool = False


@dataclass(kw_only=True)
class Task(LongRunning):
    """A task of Container Service; its ``parent`` is the cluster."""

    region: str


@dataclass(kw_only=True)
class Event(Thing):
    cluster: str
    task: str
    subject: str
    kind: str
    level: str
    reason: str
    message: str


@dataclass(kw_only=True)
class NodePool(Thing):
    cluster: str
    body: dict[str, Any]
    """the request's structure, with the defaults filled in"""
    desired: int
    updated: float = field(default_factory=time.time)
    state: str = "scaling"
    least: int = 0
    """machines that Auto Scaling keeps (``MinSize`` of the pool's scaling group)"""
    protected: bool = False
    """whether the scaling group is protected from deletion"""
    failed: int = 0
    failure: str = ""


@dataclass(kw_only=True)
class Cluster(Thing):
    body: dict[str, Any]
    version: str
    vpc: str
    vswitches: list[str]
    service_cidr: str
    container_cidr: str
    security_group: str
    load_balancer: str
    worker_role: str
    public_address: str
    private_address: str
    public: bool
    addons: dict[str, str] = field(default_factory=dict)
    """name to configuration"""
    state: str = "initial"
    endpoint_eip: str = ""
    creator: str = ""
    """the id of the user or role who made it"""
    autoscaling: dict[str, Any] | None = None
    """the configuration of the scaler, once there is one"""
    retained: set[str] = field(default_factory=set)
    updated: float = field(default_factory=time.time)

    def needs(self) -> Iterable[str]:
        # the switches of the control plane and, with Terway, those of the pods
        return (*self.vswitches, *self.body.get("pod_vswitch_ids", []))

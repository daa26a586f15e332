"""The resources of Compute Engine: their links, where they are, and what they need of each other.

A resource is known by its path, ``projects/P/regions/R/subnetworks/S``; the account's store keeps
it under that. ``Collection`` says where a kind of them is served.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from clusterkit_sandbox.google import account
from clusterkit_sandbox.google.failure import Json, compute, invalid
from clusterkit_sandbox.kit.operations import LongRunning
from clusterkit_sandbox.kit.store import fingerprint

BASE = "https://www.googleapis.com/compute/v1/"
"""What the links of answers begin with."""
Level = Literal["global", "regions", "zones"]
_LINK = re.compile(r"(?:https?://[^/]+/)?(?:(?:compute/)?(?:v1|beta|alpha)/)?(?P<path>.+)")
_PATH = re.compile(r"projects/(?P<project>[^/]+)/(?P<rest>(?:global|regions|zones)/.+)")


@dataclass(kw_only=True, eq=False)
class Resource:
    """One resource."""

    path: str
    shown: Json
    """as the API shows it"""
    changing: str = ""
    """the operation that runs on it: ``insert``, ``patch``, ``delete``"""
    owner: str = ""
    """the path of the cluster that made it; empty for the user's own"""

    references: ClassVar[tuple[str, ...]] = ()
    """the fields that hold links to what cannot go before it"""

    @property
    def id(self) -> str:
        """Its path."""
        return self.path

    @property
    def scope(self) -> str:
        """Paths are unique in the account."""
        return ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def place(self) -> str:
        """``global``, ``regions/R`` or ``zones/Z``"""
        return place_of(self.path)

    @property
    def project(self) -> str:
        """The id of its project."""
        return self.path.split("/")[1]

    def needs(self) -> Iterable[str]:
        """The paths of what cannot be deleted before it."""
        for name in self.references:
            value = self.shown.get(name)
            for link in value if isinstance(value, list) else [value]:
                if isinstance(link, str):
                    yield path_of(link, self.project)

    def stamp(self) -> None:
        """Give it another fingerprint: it has changed."""
        content = {k: v for k, v in self.shown.items() if k != "fingerprint"}
        self.shown["fingerprint"] = fingerprint_of(content)


def fingerprint_of(content: object) -> str:
    """The fingerprint of a value: eight bytes in base64."""
    return base64.b64encode(bytes.fromhex(fingerprint(content)[:16])).decode()


@dataclass(frozen=True)
class Collection:
    """Where the resources of one kind are, at one level."""

    methods: str
    """in the ids of methods: ``globalAddresses``"""
    thing: type[Resource]
    level: Level
    word: str
    """``address``, as in ``compute#address``"""
    plural: str = ""
    """in paths: ``addresses``; empty: as in the ids of methods"""
    quota: str = ""
    """the metric of the quota that it counts for"""
    fingerprinted: bool = False
    labelled: bool = False

    @property
    def segment(self) -> str:
        """In paths: ``addresses``."""
        return self.plural or self.methods

    def parent(self, project: str, where: str = "") -> str:
        """``projects/P/regions/R/subnetworks``"""
        place = self.level if self.level == "global" else f"{self.level}/{where}"
        return f"projects/{project}/{place}/{self.segment}"


@dataclass(kw_only=True)
class Change(LongRunning):
    """An operation on a resource."""

    place: str
    """where it is asked for: ``global``, ``regions/R`` or ``zones/Z``"""
    number: str
    """its numeric id"""
    target_id: str
    user: str
    starts: float
    """seconds since the epoch: until then it is pending"""
    http_error: tuple[int, str] | None = None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.id.rpartition("/")[2]


def place_of(path: str) -> str:
    """``regions/R`` of ``projects/P/regions/R/subnetworks/S``."""
    parts = path.split("/")
    return "global" if parts[2] == "global" else "/".join(parts[2:4])


def path_of(link: str, project: str) -> str:
    """The path that a link means: a URL of any host, or the end of one."""
    found = _LINK.fullmatch(link)
    text = found["path"] if found else link
    if text.startswith(("global/", "regions/", "zones/")):
        text = f"projects/{project}/{text}"
    parts = _PATH.fullmatch(text)
    if parts is None:
        return text
    return f"projects/{account.project_id(parts['project']) or parts['project']}/{parts['rest']}"


def linked(link: Any, project: str, segment: str, name: str) -> str:
    """The path in a field of a request; 400 if it is none of a resource in ``segment``."""
    path = path_of(str(link), project)
    if not _PATH.fullmatch(path) or path.split("/")[-2] != segment:
        raise invalid(f"resource.{name}", link, "The URL is malformed.")
    return path


def link_to(path: str) -> str:
    """The link to a resource."""
    return BASE + path


def not_ready(path: str) -> Exception:
    """400 for a resource that an operation still runs on."""
    return compute("resourceNotReady", f"The resource '{path}' is not ready")


def in_use(word: str, path: str, by: str) -> tuple[str, str]:
    """Code and message of the refusal to delete what another resource needs."""
    text = f"The {word} resource '{path}' is already being used by '{by}'"
    return "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", text


class Network(Resource):
    pass


class Subnetwork(Resource):
    references = ("network",)


@dataclass(kw_only=True, eq=False)
class Route(Resource):
    automatic: bool = False
    """made with its network or subnetwork, and gone with it"""
    references: ClassVar[tuple[str, ...]] = ("network",)

    def needs(self) -> Iterable[str]:
        """The network, unless the route goes with it."""
        return () if self.automatic else super().needs()


class Router(Resource):
    references = ("network",)

    def needs(self) -> Iterator[str]:
        """The network, and what its NAT gateways name."""
        yield from super().needs()
        for nat in self.shown.get("nats", []):
            for link in nat.get("natIps", []):
                yield path_of(link, self.project)
            for one in nat.get("subnetworks", []):
                yield path_of(one["name"], self.project)


class Firewall(Resource):
    references = ("network",)


class FirewallPolicy(Resource):
    pass


class Address(Resource):
    references = ("network", "subnetwork")


class Disk(Resource):
    pass


@dataclass(kw_only=True, eq=False)
class Instance(Resource):
    manager: str = ""
    """the path of the group that keeps it"""
    ready: float = 0.0
    """by the clock: when it runs"""

    def needs(self) -> Iterator[str]:
        """Its networks, its disks."""
        for interface in self.shown.get("networkInterfaces", []):
            yield path_of(interface["network"], self.project)
            yield path_of(interface["subnetwork"], self.project)
        for disk in self.shown.get("disks", []):
            yield path_of(disk["source"], self.project)


class InstanceGroup(Resource):
    references = ("network", "subnetwork")


@dataclass(kw_only=True)
class MachineSpec:
    """What the machines of a node pool are made of."""

    cluster: str
    """the cluster's name"""
    pool: str
    owner: str
    """the cluster's path"""
    machine_type: str
    disk_type: str
    disk_size: int
    """GB"""
    network: str
    """its path"""
    subnetwork: Resource
    pods: str
    """the name of the secondary range of its pods"""
    pod_block: int = 24
    """the length of the range that each node has of it"""
    public: bool = False
    """whether a machine has a public address"""
    spot: bool = False
    service_account: str = "default"
    scopes: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, eq=False)
class InstanceGroupManager(Resource):
    spec: MachineSpec | None = None
    """what its machines are made of"""
    target: int = 0
    """how many there should be"""


class ForwardingRule(Resource):
    references = ("backendService", "network", "subnetwork", "target")


class TargetPool(Resource):
    references = ("healthChecks",)


class BackendService(Resource):
    references = ("healthChecks", "network")

    def needs(self) -> Iterator[str]:
        """What checks it, and the groups behind it."""
        yield from super().needs()
        for backend in self.shown.get("backends", []):
            yield path_of(backend["group"], self.project)


class HealthCheck(Resource):
    pass


class HttpHealthCheck(Resource):
    pass


class TargetProxy(Resource):
    references = ("urlMap",)


class UrlMap(Resource):
    references = ("defaultService",)


class NetworkEndpointGroup(Resource):
    references = ("network", "subnetwork")


KINDS: tuple[type[Resource], ...] = (
    Address, BackendService, Disk, Firewall, FirewallPolicy, ForwardingRule, HealthCheck,
    HttpHealthCheck, Instance, InstanceGroup, InstanceGroupManager, Network, NetworkEndpointGroup,
    Route, Router, Subnetwork, TargetPool, TargetProxy, UrlMap,
)  # fmt: skip

"""The network and the API endpoint in a profile."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Tag, WithJsonSchema

from clusterkit.profile.cidr import SLOTS, Cidr, overlaps
from clusterkit.profile.fields import Many, Strict, choice, every, unique
from clusterkit.profile.problems import Problem

ANYWHERE = IPv4Network("0.0.0.0/0")
DEFAULT = IPv4Network("10.0.0.0/16")
"""range of a new network"""


def _nat(value: object) -> object:
    if isinstance(value, bool):
        return "one" if value else "none"
    return value


Zones = Annotated[
    Annotated[int, Field(ge=1), Tag("<number>")]
    | Annotated[Many[str], Field(min_length=1), unique("zone"), Tag("<names>")],
    choice("must be a number of zones, or a list of their names", number=int, names=(list, tuple)),
]
Nat = Annotated[
    Literal["one", "per-zone", "none"],
    BeforeValidator(_nat),
    WithJsonSchema({"enum": [True, False, "one", "per-zone", "none"]}),
]


def zone_count(least: int, hint: str) -> AfterValidator:
    """An annotation for ``Zones``: at least so many, and at most ``SLOTS``."""

    def problems(zones: int | tuple[str, ...]) -> Iterator[Problem]:
        number = len(zones) if isinstance(zones, tuple) else zones
        if not least <= number <= SLOTS:
            yield Problem(f"must be {least} to {SLOTS} zones, is {number}", hint)

    return every(problems)


def room_for_nodes(pods: IPv4Network | None, each: int, nodes: int) -> Iterator[Problem]:
    """A problem if the range of the pods has no part of prefix length ``each`` for each of so many
    nodes.
    """
    if pods is not None and nodes > (room := 2 ** max(each - pods.prefixlen, 0)):
        what = f"{pods} has room for {room} nodes, a /{each} each, but the pools have {nodes}"
        yield Problem(what, "choose a larger range", ("network", "pods"))


def addresses_for_nodes(cidr: IPv4Network, kept: int, nodes: int) -> Iterator[Problem]:
    """A problem if a subnet has no address for each of so many nodes; the cloud keeps some."""
    if nodes > (room := cidr.num_addresses - kept):
        what = f"{cidr} has addresses for {room} nodes, the pools may have {nodes}"
        yield Problem(what, "choose a larger range, or fewer nodes", ("network", "cidr"))


EXISTING = "use this network instead of creating one; cannot be combined with cidr, zones or nat"


class ExistingNetwork(Strict):
    """An existing network to use; clusterkit never changes or deletes it."""

    vpc: str = Field(description="id of the network")


class Network(Strict):
    """The network of the cluster: a new one, or an existing one."""

    cidr: Cidr = Field(default=DEFAULT, description="address range")
    zones: Zones = Field(default=2, description="number of zones, or their names")
    nat: Nat = Field(
        default="one",
        description="how private nodes reach the internet: `one` gateway (`true`), one `per-zone`, "
        "or `none` (`false`)",
    )
    pods: Cidr | None = Field(
        default=None, description="range of the pods; default: the cloud's own"
    )
    services: Cidr | None = Field(
        default=None, description="range of the Services; default: the cloud's own"
    )
    existing: ExistingNetwork | None = Field(default=None, description=EXISTING)

    @property
    def pod_range(self) -> IPv4Network | None:
        """The range pods get; None if they get addresses of the network, or the cloud decides."""
        return self.pods

    @property
    def service_range(self) -> IPv4Network | None:
        """The range Services get; None if the cloud decides."""
        return self.services

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        # the range of an existing network is not known offline
        cidr = None if self.existing else self.cidr
        ranges = [("cidr", cidr), ("pods", self.pod_range), ("services", self.service_range)]
        yield from overlaps(ranges, self.model_fields_set)
        for field in ("cidr", "zones", "nat") if self.existing else ():
            if field in self.model_fields_set:
                what = "cannot be combined with network.existing"
                yield Problem(what, "remove one of the two", (field,))


class Endpoint(Strict):
    """The Kubernetes API endpoint."""

    public: bool = Field(default=True, description="reachable from the internet")
    private: bool = Field(default=True, description="reachable from inside the network")
    allowed: Annotated[Many[Cidr], unique("range")] = Field(
        default=(ANYWHERE,),
        description="ranges that may connect to the public endpoint; default: 0.0.0.0/0",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if not self.public and not self.private:
            yield Problem("public and private cannot both be false: no endpoint would be left")
        if "allowed" not in self.model_fields_set:
            return
        if not self.public:
            yield Problem("cannot be combined with public: false", "remove it", ("allowed",))
        elif not self.allowed:
            yield Problem(
                "is an empty list",
                "remove the key to allow 0.0.0.0/0, or set public: false",
                ("allowed",),
            )

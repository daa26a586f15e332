"""The network and the API's address in a profile."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Tag, WithJsonSchema

from clusterkit.profile.cidr import Cidr, overlaps
from clusterkit.profile.fields import Many, Strict, choice, unique
from clusterkit.profile.problems import Problem

ANYWHERE = IPv4Network("0.0.0.0/0")


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


class Network(Strict):
    """The network the cluster lives in."""

    cidr: Cidr = Field(
        default=IPv4Network("10.0.0.0/16"), description="range of the network's own addresses"
    )
    zones: Zones = Field(default=2, description="number of zones, or their names")
    nat: Nat = Field(
        default="one",
        description="how private nodes reach the Internet: `one` gateway (`true`), one `per-zone`, "
        "or `none` (`false`)",
    )
    pods: Cidr | None = Field(
        default=None, description="range of the pods; left out: the cloud's default"
    )
    services: Cidr | None = Field(
        default=None, description="range of the Services; left out: the cloud's default"
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from overlaps([("cidr", self.cidr), ("pods", self.pods), ("services", self.services)])


class Endpoint(Strict):
    """The Kubernetes API's address."""

    public: bool = Field(default=True, description="reachable from the Internet")
    private: bool = Field(default=True, description="reachable inside the network")
    allowed: Annotated[Many[Cidr], unique("range")] = Field(
        default=(ANYWHERE,),
        description="ranges that may reach the public address; left out: everywhere",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if not self.public and not self.private:
            yield Problem("public and private are both false: nobody could reach the cluster")
        if "allowed" not in self.model_fields_set:
            return
        if not self.public:
            yield Problem("means nothing without a public address", place=("allowed",))
        elif not self.allowed:
            yield Problem(
                "is an empty list",
                "leave it out for everywhere, or say public: false",
                ("allowed",),
            )

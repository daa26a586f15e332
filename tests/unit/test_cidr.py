"""Networks are read strictly, carved without overlap, and stay where they are when zones are
added."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from clusterkit.profile.cidr import SLOTS, SMALLEST, carvable, carve, network, overlaps, private
from clusterkit.profile.problems import Refused

vpcs = st.builds(
    lambda address, prefix: IPv4Network((address, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, SMALLEST),
)


@given(vpcs, st.integers(1, SLOTS))
def test_subnets_lie_inside_and_never_overlap(cidr: IPv4Network, zones: int) -> None:
    subnets = [subnet for pair in carve(cidr, zones) for subnet in pair]
    assert len(subnets) == 2 * zones
    assert all(subnet.subnet_of(cidr) for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    assert all(subnet.prefixlen <= 28 for subnet in subnets)


@given(vpcs, st.integers(1, SLOTS - 1))
def test_a_further_zone_moves_nothing(cidr: IPv4Network, zones: int) -> None:
    assert carve(cidr, zones + 1)[:zones] == carve(cidr, zones)


def test_the_usual_network() -> None:
    assert [tuple(map(str, pair)) for pair in carve(IPv4Network("10.0.0.0/16"), 2)] == [
        ("10.0.32.0/20", "10.0.0.0/19"),
        ("10.0.96.0/20", "10.0.64.0/19"),
    ]


@pytest.mark.parametrize(
    ("cidr", "zones"), [("10.0.0.0/25", 2), ("10.0.0.0/16", 0), ("10.0.0.0/16", SLOTS + 1)]
)
def test_what_cannot_be_carved(cidr: str, zones: int) -> None:
    with pytest.raises(ValueError, match="carve"):
        carve(IPv4Network(cidr), zones)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_every_network_is_read_and_every_host_bit_is_told(address: int, prefix: int) -> None:
    right = IPv4Network((address, prefix), strict=False)
    assert network(str(right)) == right
    host = IPv4Network((address, 32)).network_address
    if host != right.network_address:
        with pytest.raises(Refused) as refused:
            network(f"{host}/{prefix}")
        assert f"the network is {right}" in refused.value.problems[0].hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.0", "must be an IPv4 network"),
        ("10.0.0.0/255.255.0.0", "must be an IPv4 network"),
        ("10.0.0.0/33", "is not an IPv4 network"),
        ("10.0.0.256/24", "is not an IPv4 network"),
        ("fd00::/64", "must be an IPv4 network"),
        ("\u0661\u0660.0.0.0/8", "must be an IPv4 network"),
        (10, "must be an IPv4 network"),
    ],
)
def test_what_is_no_network(text: object, words: str) -> None:
    with pytest.raises(Refused, match=words):
        network(text)


def test_overlaps_name_both_ranges() -> None:
    named = [
        ("cidr", IPv4Network("10.0.0.0/16")),
        ("pods", None),
        ("services", IPv4Network("10.0.128.0/20")),
    ]
    (problem,) = overlaps(named, ("services",))
    assert problem.place == ("services",)
    assert problem.what == "10.0.128.0/20 overlaps cidr, the default 10.0.0.0/16"


@pytest.mark.parametrize("cidr", ["10.0.0.0/15", "10.0.0.0/25", "127.0.0.0/16", "224.0.0.0/16"])
def test_what_no_vpc_can_have(cidr: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[IPv4Network, carvable(16)]).validate_python(IPv4Network(cidr))


def test_what_a_vpc_can_have() -> None:
    vpc = TypeAdapter(Annotated[IPv4Network, carvable(16)])
    for cidr in map(IPv4Network, ("10.0.0.0/16", "192.168.4.0/24")):
        assert vpc.validate_python(cidr) == cidr


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("100.64.0.0/16", "is not a private range"),
        ("172.0.0.0/12", "is not a private range"),
        ("10.0.0.0/11", "must be between /12 and /24"),
        ("10.0.0.0/25", "must be between /12 and /24"),
        ("172.16.0.0/12", None),
        ("192.168.255.0/24", None),
    ],
)
def test_private_ranges(cidr: str, words: str | None) -> None:
    services = TypeAdapter(Annotated[IPv4Network | None, private(12, 24)])
    assert services.validate_python(None) is None
    if words is None:
        assert services.validate_python(IPv4Network(cidr)) == IPv4Network(cidr)
    else:
        with pytest.raises(ValidationError, match=words):
            services.validate_python(IPv4Network(cidr))

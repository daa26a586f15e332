"""IPv4 networks in a profile: read strictly, compared, and carved into subnets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from clusterkit.core.refusal import Problem, Refused, refuse, shown

SLOTS = 4
"""zones that are planned for, so that a third zone moves no subnet of the first two"""

SMALLEST = 24
"""longest VPC prefix ``carve`` takes: its public subnets are then /28, and no cloud has smaller
ones"""

_FORM = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})/(\d{1,2})", re.ASCII)


def network(value: object) -> IPv4Network:
    """An IPv4 network from ``10.0.0.0/16``; host bits, netmasks, single addresses and IPv6 are
    ``Refused``."""
    if isinstance(value, IPv4Network):
        return value
    if not isinstance(value, str):
        raise refuse("must be an IPv4 network such as 10.0.0.0/16")
    match = _FORM.fullmatch(value)
    if match is None:
        raise refuse(
            f"must be an IPv4 network such as 10.0.0.0/16, is {shown(value)}", _cure(value)
        )
    try:
        address, prefix = IPv4Address(match[1]), int(match[2])
    except AddressValueError:
        raise refuse(f"is not an IPv4 network: {shown(value)}", "each part is 0 to 255") from None
    if prefix > 32:
        raise refuse(f"is not an IPv4 network: {shown(value)}", "the prefix is at most /32")
    found = IPv4Network((address, prefix), strict=False)
    if found.network_address != address:
        raise refuse(
            f"{value} is an address inside a network, not a network",
            f"the network is {found}; the single address is {address}/32",
        )
    return found


def _cure(text: str) -> str:
    if ":" in text:
        return "IPv6 is not supported here"
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", text, re.ASCII):
        return f"a single address is {text}/32"
    return ""


Cidr = Annotated[
    IPv4Network,
    BeforeValidator(network),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])$"}
    ),
]
"""a field that holds an IPv4 network"""


def carve(cidr: IPv4Network, zones: int) -> list[tuple[IPv4Network, IPv4Network]]:
    """One ``(public, private)`` pair of subnets for each of ``zones`` zones, 1 to ``SLOTS``.

    The network is cut into ``SLOTS`` equal slots, one per zone: the first half of a slot is the
    private subnet, the third quarter the public one, the last quarter stays free. A /16 gives
    private /19 (8,187 usable addresses on AWS) and public /20. The n-th pair does not depend on
    ``zones``.

    Raises ``ValueError`` for a network smaller than /``SMALLEST`` or a number of zones out of
    range.
    """
    if cidr.prefixlen > SMALLEST:
        raise ValueError(f"{cidr} is too small to carve: /{SMALLEST} or larger is needed")
    if not 1 <= zones <= SLOTS:
        raise ValueError(f"{zones} zones: 1 to {SLOTS} can be carved")
    pairs = []
    for slot in list(cidr.subnets(prefixlen_diff=2))[:zones]:
        private = next(slot.subnets(prefixlen_diff=1))
        public = list(slot.subnets(prefixlen_diff=2))[2]
        pairs.append((public, private))
    return pairs


def overlaps(named: Sequence[tuple[str, IPv4Network | None]]) -> Iterator[Problem]:
    """A problem, at the later of the two, for each pair of networks that share an address."""
    given = [(name, net) for name, net in named if net is not None]
    for index, (name, net) in enumerate(given):
        for other, earlier in given[:index]:
            if net.overlaps(earlier):
                yield Problem(
                    f"{net} overlaps {other}, {earlier}",
                    "choose a range that shares no address with it",
                    place=(name,),
                )


def check_carvable(cidr: IPv4Network, largest: int) -> IPv4Network:
    """``cidr`` if subnets can be carved from it and its prefix is ``largest`` or longer, else
    ``Refused``."""
    if not largest <= cidr.prefixlen <= SMALLEST:
        raise refuse(
            f"must be between /{largest} and /{SMALLEST}, is {cidr}",
            f"it is cut into {2 * SLOTS} subnets, and the smallest subnet is a /28",
        )
    if cidr.is_loopback or cidr.is_link_local or cidr.is_multicast or cidr.is_reserved:
        raise Refused(Problem(f"{cidr} is reserved and cannot be used", "10.0.0.0/16 is usual"))
    if cidr.overlaps(IPv4Network("0.0.0.0/8")):
        raise Refused(Problem(f"{cidr} is reserved and cannot be used", "10.0.0.0/16 is usual"))
    return cidr

"""IPv4 networks in a profile: parsing, comparing, and carving into subnets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from clusterkit.profile.fields import every
from clusterkit.profile.problems import Problem, refuse, shown

SLOTS = 4
"""most zones of a network; space is reserved for all of them, so adding a zone moves no subnet"""

SMALLEST = 24
"""longest prefix ``carve`` accepts: its public subnets are then /28, the smallest of any cloud"""

PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918"""

_UNUSABLE = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
"""this network, loopback, link-local, multicast and above (RFC 6890)"""

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
            f"{value} has host bits set",
            f"the network is {found}; the single address is {address}/32",
        )
    return found


def _cure(text: str) -> str:
    if ":" in text:
        return "IPv6 is not supported"
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
    private /19 and public /20 subnets. The n-th pair does not depend on ``zones``.

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


LETTERS = "abcdefgh"
"""of the zones, by position: in names of what lies in one"""


def slots(
    cidr: IPv4Network, zones: Sequence[str]
) -> Iterator[tuple[str, str, IPv4Network, IPv4Network]]:
    """Letter, zone, public and private range of each zone's part of a network (``carve``)."""
    pairs = carve(cidr, len(zones))
    for letter, zone, (public, private) in zip(LETTERS, zones, pairs, strict=False):
        yield letter, zone, public, private


def positions(zones: Mapping[str, str], prefix: str) -> dict[int, str]:
    """The position of each zone, from the names of what lies in them: ``prefix`` and a letter."""
    return {
        LETTERS.index(name.removeprefix(prefix)): zone
        for name, zone in zones.items()
        if name.startswith(prefix)
    }


def overlaps(
    named: Sequence[tuple[str, IPv4Network | None]], written: Collection[str]
) -> Iterator[Problem]:
    """A problem for each pair of networks that share an address, at the later one.

    ``written`` are the names that the profile has; the others are called defaults.
    """
    given = [(name, net) for name, net in named if net is not None]
    for index, (name, net) in enumerate(given):
        for other, earlier in given[:index]:
            if net.overlaps(earlier):
                mine, theirs = ("" if each in written else "the default " for each in (name, other))
                yield Problem(
                    f"{mine}{net} overlaps {other}, {theirs}{earlier}",
                    "choose a range that does not overlap it",
                    place=(name,),
                )


def carvable(shortest: int, *reserved: IPv4Network) -> AfterValidator:
    """An annotation for a network's range that is cut into subnets.

    ``shortest`` is the cloud's shortest prefix, ``reserved`` are ranges it refuses besides those
    of RFC 6890.
    """

    def problems(cidr: IPv4Network) -> Iterator[Problem]:
        if not shortest <= cidr.prefixlen <= SMALLEST:
            yield Problem(
                f"must be between /{shortest} and /{SMALLEST}, is {cidr}",
                f"it is cut into {2 * SLOTS} subnets, and the smallest subnet is a /28",
            )
        if any(cidr.overlaps(block) for block in (*_UNUSABLE, *reserved)):
            yield Problem(f"{cidr} is reserved and cannot be used", "use 10.0.0.0/16, for example")

    return every(problems)


def private(shortest: int, longest: int) -> AfterValidator:
    """An annotation for a range that must be private (RFC 1918), between two prefix lengths."""

    def problems(cidr: IPv4Network | None) -> Iterator[Problem]:
        if cidr is None:
            return
        if not any(cidr.subnet_of(block) for block in PRIVATE):
            yield Problem(
                f"{cidr} is not a private range",
                f"choose a range within {', '.join(map(str, PRIVATE))}",
            )
        elif not shortest <= cidr.prefixlen <= longest:
            yield Problem(f"must be between /{shortest} and /{longest}, is {cidr}")

    return every(problems)

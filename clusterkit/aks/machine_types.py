"""VM sizes of a region: what is offered to the subscription, in which zones, and the quotas they
count against.

A region lists sizes that a subscription may not have: ``restrictions`` say so, for the region or
for some zones (Microsoft.Compute ``skus``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from clusterkit.aks.client import Clients
from clusterkit.engine.preflight import MachineType

NO_ZONE = "regional"
"""stands for the one place of a region without zones"""
RANKS = {
    ("D", "s"): 0,
    ("D", "as"): 1,
    ("D", "ps"): 0,
    ("D", "ds"): 2,
    ("D", "ads"): 3,
    ("D", "pds"): 2,
    ("E", "s"): 4,
    ("E", "as"): 5,
    ("E", "ps"): 4,
    ("F", "s"): 6,
    ("F", "as"): 7,
    ("B", "s"): 0,
    ("B", "as"): 1,
    ("B", "ps"): 0,
}
"""family and features of sizes that are chosen for a size, the preferred one first: general purpose
with premium storage, then with a local disk, then for memory or computing
(https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions)"""
SIZE = re.compile(r"Standard_([A-Z])(\d+)([a-z]*)_v(\d+)")
OLDEST = 3
"""version of a family; older ones are being retired"""
LEAST_OF_SYSTEM = (2, 4)
"""vCPUs and GiB of a node of a system pool
(https://learn.microsoft.com/azure/aks/use-system-pools, "Limitations")"""


class Offer(NamedTuple):
    """A VM size as the region offers it."""

    type: MachineType
    family: str
    """name of the quota of its vCPUs: ``standardDSv5Family``"""


def offers(clients: Clients) -> dict[str, Offer]:
    """Every size that the subscription may use in the region, by name."""
    path = f"{clients.path}/providers/Microsoft.Compute/skus"
    found = clients.pages(path, **{"$filter": f"location eq '{clients.region}'"})
    return {
        shown["name"]: Offer(_machine_type(shown), str(shown.get("family") or ""))
        for shown in found
        if shown.get("resourceType") == "virtualMachines" and _offered(shown)
    }


def _offered(shown: Mapping[str, Any]) -> bool:
    return not any(each.get("type") == "Location" for each in shown.get("restrictions") or ())


def _zones(shown: Mapping[str, Any]) -> Iterator[str]:
    """Where it is offered, without the zones that the subscription may not use."""
    refused = {
        zone
        for each in shown.get("restrictions") or ()
        for zone in (each.get("restrictionInfo") or {}).get("zones") or ()
    }
    found = {
        str(zone) for each in shown.get("locationInfo") or () for zone in each.get("zones") or ()
    }
    yield from found - refused
    if not found:
        yield NO_ZONE


def _machine_type(shown: Mapping[str, Any]) -> MachineType:
    name = shown["name"]
    can = {each["name"]: each["value"] for each in shown.get("capabilities") or ()}
    match = SIZE.fullmatch(name)
    family, features, version = ("", "", 0)
    if match:
        family, features, version = match[1], match[3], int(match[4])
    return MachineType(
        name=name,
        # a constrained size has fewer than it is made of
        cpu=int(can.get("vCPUsAvailable") or can.get("vCPUs") or 0),
        memory_gib=float(can.get("MemoryGB") or 0),
        arch="arm64" if can.get("CpuArchitectureType") == "Arm64" else "amd64",
        zones=frozenset(_zones(shown)),
        generation=version,
        rank=RANKS.get((family, features)) if version >= OLDEST or family == "B" else None,
        burstable=family == "B",
    )


def usages(clients: Clients, provider: str = "Microsoft.Compute") -> dict[str, tuple[int, int]]:
    """What is in use of each quota of the region, and its limit."""
    path = f"{clients.path}/providers/{provider}/locations/{clients.region}/usages"
    return {
        str(each["name"]["value"]).lower(): (int(each["currentValue"]), int(each["limit"]))
        for each in clients.pages(path)
    }

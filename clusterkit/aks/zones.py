"""The public DNS zone of a domain, if Azure hosts it; never made, changed or removed.

external-dns and cert-manager write the records. They need DNS Zone Contributor on the zone, and
external-dns lists the zones of its group, so Reader there
(kubernetes-sigs/external-dns ``docs/tutorials/azure.md``).
"""

from __future__ import annotations

from typing import Any

from clusterkit.aks import ids
from clusterkit.aks.client import Clients
from clusterkit.aks.tags import ArmState


class ZoneState(ArmState):
    """A DNS zone."""

    @property
    def group(self) -> str:
        """The name of its resource group."""
        return ids.part(self.path, "resourceGroups")

    @property
    def group_path(self) -> str:
        """The id of its resource group."""
        return "/".join(self.path.split("/")[:5])


def zone_of(domain: str, clients: Clients) -> ZoneState | None:
    """The zone of the subscription that the domain lies in, the nearest one."""
    shown = clients.pages(f"{clients.path}/providers/Microsoft.Network/dnszones")
    fits = [each for each in shown if f".{domain}".endswith(f".{each['name']}".lower())]
    nearest: Any = max(fits, key=lambda each: len(each["name"]), default=None)
    if nearest is None:
        return None
    return ZoneState(id=ids.key(nearest["id"]), path=nearest["id"], name=nearest["name"])

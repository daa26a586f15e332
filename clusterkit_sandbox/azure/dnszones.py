"""Public DNS zones; not the records in them."""

from __future__ import annotations

from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.resources import DnsZone, Resource
from clusterkit_sandbox.azure.service import Call

_RECORDS, _OWN = 10000, 2
"""record sets that a zone may have, and those that it has at first: NS and SOA ("Azure DNS limits")
"""
_ENDS = ("com", "net", "org", "info")


def _prepare(call: Call, new: Resource, old: Resource | None) -> None:
    before = {} if old is None else old.properties
    number = f"{call.store.new_number(2)}"
    servers = [f"ns{i}-{number}.azure-dns.{end}." for i, end in enumerate(_ENDS, 1)]
    new.shown.setdefault("etag", "")
    new.properties.update(
        maxNumberOfRecordSets=_RECORDS,
        numberOfRecordSets=_OWN,
        nameServers=before.get("nameServers", servers),
        zoneType=new.properties.get("zoneType") or "Public",
    )


register(
    Kind(
        name="Microsoft.Network/dnsZones",
        record=DnsZone,
        prepare=_prepare,
        worldwide=True,
        names=r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+",
        code="BadRequest",
        why="The domain name 'NAME' is invalid.",
    )
)

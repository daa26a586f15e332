"""Whether the account can have another machine: stock, quota, verified identity.

What is over a limit is refused with the codes of RunInstances, which Auto Scaling hands on to node
pools.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.catalogue import INSTANCE_TYPES, in_mainland
from clusterkit_sandbox.alibaba.models import Instance
from clusterkit_sandbox.alibaba.store import Store

_NOT_VERIFIED = (
    "RealNameAuthenticationError",
    "Your account has not passed the real-name authentication yet.",
)
_NO_VCPU = (
    "QuotaExceed.ElasticQuota",
    "The number of vCPUs assigned to the ECS instances has exceeded the quota in the zone.",
)


def in_stock(store: Store, kind: str, zone: str) -> bool:
    """Whether instances of this type are in stock in the zone."""
    offered = INSTANCE_TYPES.get(kind)
    if offered is None or zone[-1] in offered.without:
        return False
    return not store.conditions.sold_out & {(kind, zone), ("*", zone)}


def used_vcpus(store: Store, region: str, *, spot: bool) -> int:
    """Cores in use by pay-as-you-go or by spot instances."""
    return sum(
        INSTANCE_TYPES[instance.kind].cpu
        for instance in store.all(Instance)
        if instance.region == region and (instance.spot != "NoSpot") == spot
    )


def over_limit(store: Store, region: str, kind: str, *, spot: bool) -> tuple[str, str] | None:
    """Code and message if the account cannot have one more instance of this type."""
    if in_mainland(region) and store.conditions.real_name == "none":
        return _NOT_VERIFIED
    most = store.conditions.quotas["spot-vcpu" if spot else "vcpu"]
    if used_vcpus(store, region, spot=spot) + INSTANCE_TYPES[kind].cpu > most:
        return _NO_VCPU
    return None

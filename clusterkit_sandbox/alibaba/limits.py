"""ECS 2014-05-26: an account's quotas in a region, and their use.

Attributes and their values as on the vendor's page of DescribeAccountAttributes (help.aliyun.com
document 73772).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusterkit_sandbox.alibaba.catalogue import INSTANCE_TYPES, REGIONS, zones
from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.service import Call, Json, operation
from clusterkit_sandbox.alibaba.stock import in_stock, used_vcpus

_ASKED = 8
"""Attributes one call may name (vendor: AttributeName.N, "valid values of N: 1 to 8")."""


def _values(call: Call, zone: str | None) -> Mapping[str, Callable[[], list[Json]]]:
    """Attributes and functions that return their values."""
    store, region, quota = call.store, call.region, call.store.conditions.quotas

    def one(value: object) -> Callable[[], list[Json]]:
        return lambda: [{"Value": str(value)}]

    def types() -> list[Json]:
        return [
            {"InstanceType": kind, "InstanceChargeType": "PostPaid", "ZoneId": place}
            for place in zones(region)
            if zone in (None, place)
            for kind in INSTANCE_TYPES
            if in_stock(store, kind, place)
        ]

    return {
        "instance-network-type": one("vpc"),
        "max-security-groups": one(quota["security-group"]),
        "max-elastic-network-interfaces": one(quota["network-interface"]),
        "max-postpaid-instance-vcpu-count": one(quota["vcpu"]),
        "max-spot-instance-vcpu-count": one(quota["spot-vcpu"]),
        "used-postpaid-instance-vcpu-count": one(used_vcpus(store, region, spot=False)),
        "used-spot-instance-vcpu-count": one(used_vcpus(store, region, spot=True)),
        "max-dedicated-hosts": one(quota["dedicated-host"]),
        "supported-postpaid-instance-types": types,
        "max-axt-command-count": one(quota["command"]),
        "real-name-authentication": one(store.conditions.real_name),
    }


@operation("ecs:DescribeAccountAttributes")
def _describe(call: Call) -> object:
    if call["RegionId"] not in REGIONS:
        raise Failure(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist.")
    zone = call.get("ZoneId")
    if zone is not None and zone not in zones(call.region):
        raise Failure(404, "InvalidZoneId.NotFound", "The specified ZoneId does not exist.")
    values, wanted = _values(call, zone), call.get("AttributeName") or []
    if len(wanted) > _ASKED:
        raise bad("InvalidParameter", f"At most {_ASKED} attributes can be asked for at once.")
    for name in wanted:
        if name not in values:
            # the code is not documented
            raise bad("InvalidParameter", f"The specified AttributeName {name!r} is not valid.")
    items = [
        {"AttributeName": name, "AttributeValues": {"ValueItem": values[name]()}}
        for name in (dict.fromkeys(wanted) or values)
    ]
    return {"AccountAttributeItems": {"AccountAttributeItem": items}}

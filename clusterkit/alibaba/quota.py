"""What the account may still have: clusters, vCPUs, and whether its owner is verified.

ECS reports vCPUs and the verified identity in one call, DescribeAccountAttributes
(https://www.alibabacloud.com/help/en/ecs/api-describeaccountattributes). No call of the SDKs in use
reports the balance; ``errors.py`` explains refusals for lack of money.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.errors import MORE, VERIFY
from clusterkit.alibaba.fields import mainland
from clusterkit.engine.preflight import Report
from clusterkit.errors import CloudError, Rejected

REAL_NAME = "real-name-authentication"
NOT_VERIFIED = "none"
"""the others are yes and unnecessary"""
VCPUS = {False: "postpaid", True: "spot"}
"""``max-…-instance-vcpu-count`` and ``used-…``: pay-as-you-go, and spot"""


def check_clusters(clients: Clients, report: Report) -> None:
    """Whether the account may create one more cluster."""
    try:
        quota = at_path(clients.cs("DescribeUserQuota", "GET", "/quota"), "cluster_quota")
        first = {"page_number": 1, "page_size": 1}
        page = clients.cs("DescribeClustersV1", "GET", "/api/v1/clusters", **first)
    except Rejected:
        return
    there = int(at_path(page, "page_info.total_count") or 0)
    if quota and not report.takes("clusters", 1, there, int(quota), MORE, everywhere=True):
        what = f"the account has {there} clusters, which is its quota"
        report.error(what, "account", MORE)


def check_quota(clients: Clients, needed: Mapping[bool, int], report: Report) -> None:
    """Whether the account may have so many more vCPUs in the region, in one call.

    ``needed`` by whether they are spot. A refusal of the call is only a warning.
    """
    names = {
        spot: [f"{word}-{VCPUS[spot]}-instance-vcpu-count" for word in ("max", "used")]
        for spot in sorted(needed)
    }
    try:
        asked = [REAL_NAME, *chain.from_iterable(names.values())]
        of = {"RegionId": clients.region, "AttributeName": asked}
        found = clients.ecs("DescribeAccountAttributes", **of)
    except CloudError as error:
        what = f"cannot check the verified identity and the vCPU quota: {error.what}"
        report.warn(what, "account", error.hint)
        return
    values: dict[str, str] = {}
    for item in at_path(found, "AccountAttributeItems.AccountAttributeItem") or ():
        if shown := at_path(item, "AttributeValues.ValueItem"):
            values[item["AttributeName"]] = str(shown[0].get("Value") or "")
    if mainland(clients.region) and values.get(REAL_NAME) == NOT_VERIFIED:
        what = "the account's identity is not verified (real-name authentication)"
        report.error(what, "account", VERIFY)
    for spot, more in needed.items():
        most, used = (values.get(name, "") for name in names[spot])
        in_use = int(used) if used.isdecimal() else 0
        kind = "spot" if spot else "pay-as-you-go"
        if most.isdecimal() and not report.takes(f"{kind} vCPUs", more, in_use, int(most), MORE):
            report.too_many_cpus(more, kind, in_use, most, MORE)

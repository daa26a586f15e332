"""What the account may have: clusters, processors, and machines in mainland regions at all.

ECS tells of processors and of the verified identity in one call, DescribeAccountAttributes
(https://www.alibabacloud.com/help/en/ecs/api-describeaccountattributes). No call of the SDKs in use
tells the balance: what is refused for want of money says so with a cure (``errors.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import MORE, VERIFY
from clusterkit.errors import CloudError, Finding, Rejected

REAL_NAME = "real-name-authentication"
NOT_VERIFIED = "none"
"""the others are yes and unnecessary"""
VCPUS = {False: "postpaid", True: "spot"}
"""``max-…-instance-vcpu-count`` and ``used-…``: pay-as-you-go, and spot"""


@dataclass(frozen=True)
class Account:
    """What DescribeAccountAttributes told."""

    attributes: Mapping[str, str]
    unasked: Finding | None = None
    """why it could not be asked"""

    def number(self, name: str) -> int | None:
        """An attribute that is a number; None if it is not there."""
        text = self.attributes.get(name, "")
        return int(text) if text.isdecimal() else None


def clusters(clients: Clients) -> Iterator[Finding]:
    """Whether the account may have one more cluster."""
    try:
        quota = (clients.cs("DescribeUserQuota", "GET", "/quota") or {}).get("cluster_quota")
        page = clients.cs(
            "DescribeClustersV1", "GET", "/api/v1/clusters", page_number=1, page_size=1
        )
    except Rejected:
        return
    there = int((page.get("page_info") or {}).get("total_count") or 0)
    if quota and there >= int(quota):
        what = f"the account has {there} clusters, and its quota is {quota}"
        yield Finding(what, "account", MORE)


def ask(clients: Clients, *, spot: bool) -> Account:
    """The account's attributes in the region, in one call; what is refused is told, not raised."""
    kinds = [VCPUS[False]] + ([VCPUS[True]] if spot else [])
    names = [f"{word}-{kind}-instance-vcpu-count" for kind in kinds for word in ("max", "used")]
    try:
        found = clients.ecs(
            "DescribeAccountAttributes",
            RegionId=clients.region,
            AttributeName=[REAL_NAME, *names],
        )
    except CloudError as error:
        what = f"verified identity and quota of processors are not known: {error.what}"
        return Account({}, Finding(what, "account", error.hint))
    told: dict[str, str] = {}
    for item in (found.get("AccountAttributeItems") or {}).get("AccountAttributeItem") or ():
        values = (item.get("AttributeValues") or {}).get("ValueItem") or ()
        if values:
            told[str(item.get("AttributeName"))] = str(values[0].get("Value") or "")
    return Account(told)


def verified(account: Account) -> Iterator[Finding]:
    """Whether the account may have machines in mainland regions."""
    if account.attributes.get(REAL_NAME) == NOT_VERIFIED:
        what = "the account's identity is not verified (real-name authentication)"
        yield Finding(what, "account", VERIFY)


def processors(account: Account, needed: int, *, spot: bool) -> Iterator[Finding]:
    """Whether so many more processors fit into the quota of the region."""
    kind = VCPUS[spot]
    most = account.number(f"max-{kind}-instance-vcpu-count")
    used = account.number(f"used-{kind}-instance-vcpu-count") or 0
    if most is not None and needed and used + needed > most:
        what = (
            f"the pools need {needed} more {'spot' if spot else 'pay-as-you-go'} vCPUs; "
            f"{used} of {most} are in use in the region"
        )
        yield Finding(what, "pools", f"take fewer or smaller machines, or {MORE}")

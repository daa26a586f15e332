"""What a cluster takes of the region's quotas of VPCs, Elastic IP addresses and clusters.

Service Quotas knows the account's figures and not how much of these is in use: they have no usage
metric (``UsageMetric``), so the things are counted. A plan that makes none of them asks nothing.

Names and codes: Amazon VPC User Guide, "Amazon VPC quotas"
(https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html), and AWS General
Reference, "Amazon Elastic Kubernetes Service endpoints and quotas"
(https://docs.aws.amazon.com/general/latest/gr/eks.html).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.errors import QUOTAS
from clusterkit.eks.network import ElasticIp, Vpc
from clusterkit.eks.profile import EksProfile
from clusterkit.engine.background import Background
from clusterkit.engine.preflight import Report
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError, Gone
from clusterkit.profile.cidr import LETTERS

MORE = f"ask for more at {QUOTAS}"


def _vpcs(clients: Clients) -> int:
    """The account's own; EC2 lists those too that another account shares with it."""
    account = clients.sts.get_caller_identity()["Account"]
    listed = pages(clients.ec2, "describe_vpcs", "Vpcs")
    return sum(vpc.get("OwnerId", account) == account for vpc in listed)


def _addresses(clients: Clients) -> int:
    """Those of Amazon's pool that no service manages. Whether the others count AWS does not say:
    of them ``AllocateAddress`` has the last word.
    """
    listed = pages(clients.ec2, "describe_addresses", "Addresses")
    return sum(
        address.get("PublicIpv4Pool", "amazon") == "amazon" and "ServiceManaged" not in address
        for address in listed
    )


def _clusters(clients: Clients) -> int:
    return len([*pages(clients.eks, "list_clusters", "clusters")])


class Quota(NamedTuple):
    """A quota of the account in a region."""

    service: str
    code: str
    name: str
    """as the Service Quotas console shows it"""
    where: str
    """the profile's field"""
    cure: str
    used: Callable[[Clients], int]
    """how many there are, whoever made them"""


VPCS = Quota(
    "vpc", "L-F678F1CE", "VPCs per Region", "network", f"{MORE}, or use network.existing", _vpcs
)
ADDRESSES = Quota(
    "ec2",
    "L-0263D0A3",
    "EC2-VPC Elastic IPs",
    "network.nat",
    f"{MORE}, release those that nothing uses, or use network.existing",
    _addresses,
)
CLUSTERS = Quota("eks", "L-1194D53C", "Clusters", "account", MORE, _clusters)
GATEWAYS = {"none": 0, "one": 1}
"""NAT gateways, each with an address, by ``network.nat``; otherwise one for each zone"""


def needed(
    profile: EksProfile, clients: Clients, zones: int, *, new_cluster: bool
) -> dict[Quota, int]:
    """What the plan takes of each quota that it takes something of."""
    taken = {CLUSTERS: int(new_cluster)}
    if not profile.network.existing:
        scope = Scope(clients, profile.name)
        wanted = {*LETTERS[: GATEWAYS.get(profile.network.nat, zones)]}
        taken[VPCS] = int(not [*Vpc.list(scope)])
        taken[ADDRESSES] = len(wanted - {ElasticIp.name_of(one) for one in ElasticIp.list(scope)})
    return {quota: more for quota, more in taken.items() if more}


def check_quotas(clients: Clients, taken: Mapping[Quota, int], report: Report) -> None:
    """Whether the region's quotas have room for that; one whose figure cannot be had is left to
    the call that it would refuse.
    """
    with Background() as background:
        asked = {quota: background(partial(_room, clients, quota)) for quota in taken}
        for quota, found in asked.items():
            if (room := found.result()) is None:
                continue
            used, most = room
            name, more = f"the quota {quota.name}", taken[quota]
            if not report.takes(name, more, used, most, quota.cure):
                what = f"the cluster needs {more} more of {name}, of which {used} of {most} are in "
                report.error(f"{what}use in the region", quota.where, quota.cure)


def _room(clients: Clients, quota: Quota) -> tuple[int, int] | None:
    """How much of a quota is used, and the account's figure; None to those who may not ask, and
    where Service Quotas does not answer: no cluster needs it.
    """
    try:
        most = _most(clients, quota)
        return None if most is None else (quota.used(clients), most)
    except CloudError:
        return None


def _most(clients: Clients, quota: Quota) -> int | None:
    """The account's figure. Who never had it changed may have AWS's default only, and of a quota
    may come an ``ErrorReason`` in place of a value (Service Quotas API Reference, "GetServiceQuota"
    and "ServiceQuota").
    """
    of = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        shown = clients.quotas.get_service_quota(**of)["Quota"]
    except Gone:
        shown = clients.quotas.get_aws_default_service_quota(**of)["Quota"]
    value = None if "ErrorReason" in shown else shown.get("Value")
    return None if value is None else int(value)

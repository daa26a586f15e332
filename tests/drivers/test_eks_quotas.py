"""EKS: what a plan takes of the region's VPCs, addresses and clusters."""

from __future__ import annotations

from pathlib import Path

from clusterkit_sandbox.faults import Faults
from tests.drivers.aws import Account
from tests.drivers.eks_cases import EXISTING_CASE, MINIMAL, MINIMAL_CASE
from tests.drivers.test_preflight import errors, facts
from tests.drivers.world import World, edited, world

PER_ZONE = edited(MINIMAL, {"network": {"nat": "per-zone", "zones": 3}})
FULL = [
    "network: the cluster needs 1 more of the quota VPCs per Region, of which 5 of 5 are in use in "
    "the region | ask for more at https://console.aws.amazon.com/servicequotas, or use "
    "network.existing",
    "network.nat: the cluster needs 3 more of the quota EC2-VPC Elastic IPs, of which 4 of 5 are "
    "in use in the region | ask for more at https://console.aws.amazon.com/servicequotas, release "
    "those that nothing uses, or use network.existing",
]


def fill(found: World) -> None:
    """Make what others need: four VPCs beside the default one, and four addresses."""
    ec2 = Account(found).ec2
    for number in range(4):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
        ec2.allocate_address(Domain="vpc")


def taken(found: World, profile: object = MINIMAL) -> dict[str, tuple[int, int, int]]:
    """By quota: how much more, how much is used, and the most."""
    shares = facts(found, profile).shares  # type: ignore[arg-type]
    return {share.quota: (share.more, share.used, share.most) for share in shares}


def test_no_room_for_one(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        fill(found)
        assert errors(found, PER_ZONE) == FULL


def test_only_what_is_made_is_counted_and_an_empty_plan_asks_nothing(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        assert taken(found) == {
            "the quota Clusters": (1, 0, 100),
            "the quota VPCs per Region": (1, 1, 5),
            "the quota EC2-VPC Elastic IPs": (1, 0, 5),
        }
        found.settle(found.up())
        assert taken(found, PER_ZONE) == {"the quota EC2-VPC Elastic IPs": (2, 1, 5)}
        found.sandbox.requests.clear()
        assert found.cluster().plan(found.profile).empty
        asked = {entry.operation for entry in found.sandbox.requests.entries()}
        assert "eks:DescribeCluster" in asked
        assert not [one for one in asked if one.startswith("service-quotas:")]
        assert "eks:ListClusters" not in asked


def test_a_cluster_in_an_existing_network_is_all_that_is_made(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        profile = edited(EXISTING_CASE.profile, EXISTING_CASE.prepare(found))
        assert taken(found, profile) == {"the quota Clusters": (1, 0, 100)}


def test_where_no_figure_was_ever_applied_the_default_holds(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        fill(found)
        found.sandbox.faults.take(
            Faults.parse('refuse:service-quotas:GetServiceQuota=NoSuchResourceException/400/"none"')
        )
        assert errors(found, PER_ZONE) == FULL


def test_who_gets_no_figure_is_not_refused(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        fill(found)
        found.user = found.sandbox.identity(["ec2:*", "eks:*"])
        assert taken(found, PER_ZONE) == {}
        found.user.permissions.allow(["ec2:*", "eks:Describe*", "servicequotas:*"])
        assert errors(found, PER_ZONE) == FULL  # nothing is said of clusters
        found.sandbox.faults.take(Faults.parse("error:service-quotas:GetServiceQuota"))
        assert taken(found, PER_ZONE) == {}

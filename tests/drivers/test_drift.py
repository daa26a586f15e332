"""What was changed by hand is seen, and set right by the next ``up`` or said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.drivers import profiles
from tests.drivers.aws import Account
from tests.drivers.eks_cases import FULL_CASE
from tests.drivers.test_eks_ownership import RICH_CASE
from tests.drivers.world import World, world

Hand = Callable[[World, Account, Any], None]


def _no_dns(_: World, account: Account, states: Any) -> None:
    change, vpc = account.ec2.modify_vpc_attribute, states["vpc/main"].id
    change(VpcId=vpc, EnableDnsHostnames={"Value": False})
    change(VpcId=vpc, EnableDnsSupport={"Value": False})


def _group(found: World, account: Account) -> Any:
    shown = account.eks.describe_cluster(name=found.profile.name)["cluster"]
    group = shown["resourcesVpcConfig"]["clusterSecurityGroupId"]
    return account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def _empty_group(found: World, account: Account, _: Any) -> None:
    group, ec2 = _group(found, account), account.ec2
    rules = group["IpPermissions"], group["IpPermissionsEgress"]
    if rules[0]:
        ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=rules[0])
    ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=rules[1])


def _other_key(_: World, account: Account, states: Any) -> None:
    [have] = [state for key, state in states.items() if key.startswith("key-pair/")]
    account.ec2.delete_key_pair(KeyName=have.key_name)
    tags = [{"Key": key, "Value": value} for key, value in have.tags.items()]
    account.ec2.import_key_pair(
        KeyName=have.key_name,
        PublicKeyMaterial=profiles.OTHER_KEY.encode(),
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}],
    )


def _no_entry(found: World, account: Account, states: Any) -> None:
    account.eks.delete_access_entry(
        clusterName=found.profile.name, principalArn=states["role/node"].arn
    )


def _immutable(_: World, account: Account, states: Any) -> None:
    [have] = [state for key, state in states.items() if key.endswith("/app")]
    change, scan = account.ecr.put_image_tag_mutability, {"scanOnPush": False}
    change(repositoryName=have.id, imageTagMutability="IMMUTABLE")
    account.ecr.put_image_scanning_configuration(
        repositoryName=have.id, imageScanningConfiguration=scan
    )


def _other_address(_: World, account: Account, states: Any) -> None:
    """Somebody makes the NAT gateway again, with the same tags, on an address of their own."""
    have, ec2 = states["nat-gateway/a"], account.ec2
    ec2.delete_nat_gateway(NatGatewayId=have.id)
    other = ec2.allocate_address(Domain="vpc")["AllocationId"]
    tags = [{"Key": key, "Value": value} for key, value in have.tags.items()]
    ec2.create_nat_gateway(
        SubnetId=have.subnet,
        AllocationId=other,
        TagSpecifications=[{"ResourceType": "natgateway", "Tags": tags}],
    )


@pytest.mark.parametrize(
    ("hand", "fields"),
    [
        (_no_dns, {"DNS support", "DNS hostnames"}),
        (_empty_group, {"traffic among nodes", "traffic to others"}),
        (_other_key, {"key"}),
        (_no_entry, {"access entry of its role"}),
        (_immutable, {"tags of images", "scan on push"}),
        (_other_address, {"address"}),
    ],
)
def test_by_hand_on_eks(hand: Hand, fields: set[str], tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        assert found.plan().empty
        hand(found, Account(found), found.plan().snapshot.states)
        changes = {edit.field for step in found.plan().todo for edit in step.changes}
        assert fields <= changes
        found.settle(found.up())
        assert found.plan().empty
        found.settle(found.destroy())


def test_a_group_that_somebody_has_opened_is_told(tmp_path: Path) -> None:
    with world(FULL_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        ranges = [{"CidrIp": "0.0.0.0/0"}]
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": ranges}
        group = _group(found, account)["GroupId"]
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        plan = found.plan()
        assert plan.empty
        assert [each.where for each in plan.warnings if "tcp 22" in each.what] == ["cluster/demo"]
        found.settle(found.destroy())

"""What was changed by hand is seen, and set right by the next ``up`` or said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit.engine.exchange import Exchange
from tests.drivers import aks, aks_cases, alibaba, alibaba_cases, gke, gke_cases, profiles
from tests.drivers.aws import Account
from tests.drivers.cases import each
from tests.drivers.eks_cases import FULL_CASE, MINIMAL_CASE
from tests.drivers.test_eks_ownership import RICH_CASE
from tests.drivers.world import Case, World, edited, world

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


def _no_link(found: World, account: Account, _: Any) -> None:
    addon = {"clusterName": found.profile.name, "addonName": "aws-ebs-csi-driver"}
    account.eks.update_addon(**addon, podIdentityAssociations=[])


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
        (_no_link, {"role of its service account"}),
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


def test_a_group_that_somebody_has_opened_on_ack_is_told(tmp_path: Path) -> None:
    with world(alibaba_cases.MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        plan = found.plan()
        assert not [one for one in plan.warnings if one.where.startswith("security-group/")]
        group = plan.snapshot.states["security-group/nodes"].id
        rule = {"IpProtocol": "tcp", "PortRange": "22/22", "SourceCidrIp": "0.0.0.0/0"}
        account = alibaba.Account(found)
        account("ecs:AuthorizeSecurityGroup", SecurityGroupId=group, **rule)
        plan = found.plan()
        assert plan.empty
        [told] = [one for one in plan.warnings if one.where == "security-group/nodes"]
        assert "22/22" in told.what
        assert group in told.hint


def test_an_add_on_keeps_what_kubectl_has_set_when_its_version_changes(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        sent: dict[str, Any] = {}

        def note(seen: Exchange) -> None:
            if seen.phase == "before" and seen.operation == "UpdateAddon":
                body = json.loads(seen.sent or b"{}")
                sent[body["addonVersion"]] = body["resolveConflicts"]

        newer = found.load(edited(found.case.profile, {"kubernetes": "1.35"}))
        found.settle(found.up(newer, observe=note))
        assert set(sent.values()) == {"PRESERVE"}


def test_what_the_policy_of_a_repository_opens_or_denies_is_told(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        assert not [each for each in found.plan().warnings if "policy of" in each.what]
        pull: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
        deny = {"Effect": "Deny", "Principal": "*", "Action": ["ecr:PutImage"]}
        partner = {"AWS": "arn:aws:iam::210987654321:root"}
        fine = {"Effect": "Allow", "Principal": partner, "Action": "ecr:BatchGetImage"}
        statements = [{"Sid": str(n), **each} for n, each in enumerate((pull, deny, fine))]
        text = json.dumps({"Version": "2012-10-17", "Statement": statements})
        Account(found).ecr.set_repository_policy(repositoryName="demo/app", policyText=text)
        plan = found.plan()
        assert plan.empty
        told = [one.what for one in plan.warnings if one.where == "repository/demo/app"]
        assert told == [
            "the policy of demo/app lets everybody do ecr:BatchGetImage",
            "the policy of demo/app denies ecr:PutImage",
        ]


def test_a_repository_that_everybody_may_read_is_told_on_gke(tmp_path: Path) -> None:
    registry: Any = {"registry": {"name": "demo", "repositories": ["app"], "keep": False}}
    case = gke_cases.MINIMAL_CASE
    with world(replace(case, profile=edited(case.profile, registry)), tmp_path) as found:
        found.settle(found.up())
        account, path = gke.Account(found), found.plan().snapshot.states["repository/demo"].id
        policy = account("artifactregistry", "GET", f"{path}:getIamPolicy")
        reader = {"role": "roles/artifactregistry.reader", "members": ["allUsers"]}
        policy = {**policy, "bindings": [*policy["bindings"], reader]}
        account("artifactregistry", "POST", f"{path}:setIamPolicy", {"policy": policy})
        plan = found.plan()
        assert plan.empty
        [told] = [one for one in plan.warnings if one.where == "repository/demo"]
        assert "allUsers" in told.what
        assert "--member allUsers --role roles/artifactregistry.reader" in told.hint


def test_a_registry_that_everybody_may_pull_from_is_closed_on_aks(tmp_path: Path) -> None:
    case = aks_cases.MINIMAL_CASE
    registry: Any = {
        "registry": {"name": "demo", "repositories": ["app"], "sku": "standard", "keep": False}
    }
    with world(replace(case, profile=edited(case.profile, registry)), tmp_path) as found:
        found.settle(found.up())
        states = found.plan().snapshot.states
        [path] = [have.path for key, have in states.items() if key.startswith("registry/")]
        account = aks.Account(found)
        account("PATCH", path, {"properties": {"anonymousPullEnabled": True}})
        [step] = found.plan().todo
        assert [edit.field for edit in step.changes] == ["pulls without a login"]
        found.settle(found.up())
        assert found.plan().empty


@each([alibaba_cases.PERSONAL_CASE], deep=[alibaba_cases.ENTERPRISE_CASE])
def test_a_repository_that_everybody_may_pull_from_is_closed_on_ack(
    case: Case, tmp_path: Path
) -> None:
    with world(case, tmp_path) as found:
        found.settle(found.up())
        [(key, have)] = [
            (key, have)
            for key, have in found.plan().snapshot.states.items()
            if key.endswith("repository/demo/app")
        ]
        account, public = alibaba.Account(found), {"RepoType": "PUBLIC"}
        if have.instance:
            shown = account("cr:GetRepository", InstanceId=have.instance, RepoId=have.id)
            wanted = {"InstanceId": have.instance, "RepoId": have.id, "Summary": shown["Summary"]}
            account("cr:UpdateRepository", **wanted, **public)
        else:
            account.personal("POST", f"/repos/{have.id}", {"Repo": public})
        [step] = found.plan().todo
        assert (step.key, [edit.field for edit in step.changes]) == (key, ["private"])
        found.settle(found.up())
        assert found.plan().empty

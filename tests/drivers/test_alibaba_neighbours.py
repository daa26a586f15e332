"""What others put into a cluster's network: named before the first delete, and never touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import BUILDS, MINIMAL, MINIMAL_CASE, PERSONAL_CASE, REPOSITORIES
from tests.drivers.world import World, world

CASE = replace(
    PERSONAL_CASE,
    label="lived-in",
    profile={**MINIMAL, **BUILDS, "ssh_key": "me.pub", "registry": REPOSITORIES},
    twins=lambda _: None,
)
States = Mapping[str, Any]
Make = Callable[[Account, States], str]


def switch(states: States) -> Any:
    return next(state for key, state in states.items() if key.startswith("vswitch/"))


def foreign_group(account: Account, states: States) -> str:
    wanted = {"SecurityGroupName": "theirs", "VpcId": states["vpc/main"].id}
    return str(account("ecs:CreateSecurityGroup", **wanted)["SecurityGroupId"])


def instance(account: Account, states: States, **more: Any) -> str:
    group = more.pop("group", None) or states["security-group/nodes"].id
    made = account(
        "ecs:RunInstances",
        InstanceType="ecs.g7.xlarge",
        VSwitchId=switch(states).id,
        SecurityGroupId=group,
        InstanceName="theirs",
        **more,
    )
    return str(made["InstanceIdSets"]["InstanceIdSet"][0])


def with_our_key(account: Account, states: States) -> str:
    pair = next(state.id for key, state in states.items() if key.startswith("key-pair/"))
    other = foreign_group(account, states)
    return instance(account, states, group=other, KeyPairName=pair)


def interface(account: Account, states: States) -> str:
    made = account(
        "ecs:CreateNetworkInterface",
        VSwitchId=switch(states).id,
        SecurityGroupIds=[states["security-group/nodes"].id],
        NetworkInterfaceName="theirs",
    )
    return str(made["NetworkInterfaceId"])


def vswitch(account: Account, states: States) -> str:
    made = account(
        "vpc:CreateVSwitch",
        VpcId=states["vpc/main"].id,
        ZoneId=switch(states).zone,
        CidrBlock="10.0.250.0/24",
        VSwitchName="theirs",
    )
    return str(made["VSwitchId"])


def reference(account: Account, states: States) -> str:
    group = foreign_group(account, states)
    rule = {"IpProtocol": "ALL", "PortRange": "-1/-1", "Policy": "accept", "Priority": "1"}
    ours = {"DestGroupId": states["security-group/nodes"].id}
    account("ecs:AuthorizeSecurityGroupEgress", SecurityGroupId=group, Permissions=[rule | ours])
    return group


def balancer(account: Account, states: States) -> str:
    switches = [state for key, state in states.items() if key.startswith("vswitch/")]
    made = account(
        "alb:CreateLoadBalancer",
        LoadBalancerName="theirs",
        VpcId=states["vpc/main"].id,
        AddressType="Internet",
        LoadBalancerEdition="Standard",
        LoadBalancerBillingConfig={"PayType": "PostPay"},
        ZoneMappings=[{"ZoneId": s.zone, "VSwitchId": s.id} for s in switches],
    )
    return str(made["LoadBalancerId"])


def gateway(account: Account, states: States) -> str:
    made = account(
        "vpc:CreateNatGateway",
        VpcId=states["vpc/main"].id,
        VSwitchId=switch(states).id,
        NatType="Enhanced",
        Name="theirs",
    )
    return str(made["NatGatewayId"])


def pool(account: Account, states: States) -> str:
    cluster = states["cluster/demo"]
    made = account(
        "cs:CreateClusterNodePool",
        cluster.id,
        nodepool_info={"name": "theirs", "type": "ess"},
        scaling_group={
            "instance_types": ["ecs.g7.xlarge"],
            "vswitch_ids": [switch(states).id],
            "instance_charge_type": "PostPaid",
            "system_disk_category": "cloud_essd",
            "system_disk_size": 40,
            "desired_size": 1,
        },
    )
    return str(made["nodepool_id"])


DOCUMENT = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'


def policy(account: Account, states: States) -> str:
    account("ram:CreatePolicy", PolicyName="theirs", PolicyDocument=DOCUMENT)
    attached = {"PolicyType": "Custom", "PolicyName": "theirs"}
    account("ram:AttachPolicyToRole", RoleName=states["role/push"].id, **attached)
    return "theirs"


def role(account: Account, states: States) -> str:
    trust = '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow",'
    trust += '"Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}'
    account("ram:CreateRole", RoleName="theirs", AssumeRolePolicyDocument=trust)
    ours = {"PolicyType": "Custom", "PolicyName": states["role/push"].id}
    account("ram:AttachPolicyToRole", RoleName="theirs", **ours)
    return "theirs"


NEIGHBOURS: Mapping[str, tuple[Make, set[str]]] = {
    "instance": (instance, {"vswitch", "security-group", "vpc"}),
    "instance with our key": (with_our_key, {"vswitch", "key-pair", "vpc"}),
    "interface": (interface, {"vswitch", "security-group", "vpc"}),
    "vswitch": (vswitch, {"vpc"}),
    "group": (foreign_group, {"vpc"}),
    "reference": (reference, {"security-group", "vpc"}),
    "load balancer": (balancer, {"vswitch", "vpc"}),
    "gateway": (gateway, {"vswitch", "vpc"}),
    "pool": (pool, {"cluster", "security-group", "vswitch", "vpc"}),
    "policy": (policy, {"role"}),
    "role": (role, {"role"}),
}
"""how each is made, and the kinds that stay"""


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_neighbour_is_named_and_left_alone(name: str, tmp_path: Path) -> None:
    make, stay = NEIGHBOURS[name]
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        account, states = Account(found), found.plan().snapshot.states
        ours = {state.id for state in states.values()}
        before = found.things()
        theirs = make(account, states)
        made = found.things().keys() - before.keys()
        plan = found.destroy_plan()
        reasons = " ".join(kept.reason for kept in plan.blocked)
        assert theirs in reasons
        assert "theirs" in reasons
        for command in "; ".join(kept.hint for kept in plan.blocked).split("; "):
            regional = command.startswith("aliyun ") and not command.startswith("aliyun ram ")
            assert not regional or command.endswith(f" --region {found.profile.region}")
        assert {kept.key.partition("/")[0] for kept in plan.blocked} - ROWS == stay
        found.settle(found.destroy())
        left = found.things()
        assert made <= left.keys()
        kinds = {kind for kind, identifier in left if identifier in ours}
        assert kinds - {"policy"} == stay  # which has its role's name
        plan = found.destroy_plan()
        assert {kept.key.partition("/")[0] for kept in plan.blocked} - ROWS == stay
        assert not plan.todo


ROWS = {
    "disks", "security-groups", "network-interfaces", "classic-load-balancers",
    "network-load-balancers", "application-load-balancers",
}  # fmt: skip


def test_nothing_of_a_used_cluster_is_taken_for_a_neighbour(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        busy(found)
        assert not found.destroy_plan().blocked
        found.settle(found.destroy())
        assert found.destroy_plan().empty


def busy(found: World) -> None:
    """Use the cluster, and wait until that shows in the account."""
    idle = found.look()
    MINIMAL_CASE.busy(found)
    until = time.monotonic() + 20
    while not all(found.look()[kind] > idle[kind] for kind in MINIMAL_CASE.used):
        assert time.monotonic() < until
        time.sleep(0.05)

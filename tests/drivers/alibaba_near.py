"""What may lie near an ACK cluster, made with the vendor's newer SDK alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from clusterkit.naming import CLUSTER
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import BUILDS, MINIMAL, PERSONAL_CASE, REGION, REPOSITORIES
from tests.drivers.near import Near, Neighbour, States, strip_object
from tests.drivers.profiles import KEY
from tests.drivers.test_alibaba_neighbours import NEIGHBOURS as MADE
from tests.drivers.test_alibaba_ownership import TYPES
from tests.drivers.world import World

RICH: Mapping[str, Any] = {
    **MINIMAL,
    **BUILDS,
    "ssh_key": "me.pub",
    "endpoint": {"allowed": ["8.8.8.0/24"]},
    "registry": REPOSITORIES,
}


# -- the same names -------------------------------------------------------------------------------


def _key_pair(world: World, name: str) -> str:
    pair = f"clusterkit-demo-{name}"
    Account(world)("ecs:ImportKeyPair", KeyPairName=pair, PublicKeyBody=KEY)
    return pair


def _access_list(world: World, name: str) -> str:
    made = Account(world)("slb:CreateAccessControlList", AclName=f"clusterkit-demo-{name}")
    return str(made["AclId"])


def _role(world: World, name: str) -> str:
    role = f"clusterkit-{REGION}-demo-{name}"
    service = {"Service": ["ecs.aliyuncs.com"]}
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": service}
    trust = json.dumps({"Version": "1", "Statement": [statement]})
    Account(world)("ram:CreateRole", RoleName=role, AssumeRolePolicyDocument=trust)
    return role


def _repository(world: World, name: str) -> str:
    account, (namespace, _, repo) = Account(world), name.partition("/")
    account.personal("PUT", "/namespace", {"Namespace": {"Namespace": namespace}})
    wanted = {"RepoNamespace": namespace, "RepoName": repo, "RepoType": "PRIVATE", "Summary": "x"}
    account.personal("PUT", "/repos", {"Repo": wanted})
    return name


def _cluster(world: World, name: str) -> str:
    account = Account(world)
    vpc = account("vpc:CreateVpc", CidrBlock="10.66.0.0/16")["VpcId"]
    switch = account("vpc:CreateVSwitch", VpcId=vpc, ZoneId=f"{REGION}a", CidrBlock="10.66.0.0/24")[
        "VSwitchId"
    ]
    made = account(
        "cs:CreateCluster",
        name=name,
        region_id=REGION,
        cluster_type="ManagedKubernetes",
        vpcid=vpc,
        vswitch_ids=[switch],
        container_cidr="172.24.0.0/16",
        service_cidr="172.25.0.0/20",
        endpoint_public_access=False,
        snat_entry=False,
        is_enterprise_security_group=True,
        addons=[{"name": "flannel"}],
    )
    return str(made["cluster_id"])


# -- next to ours ---------------------------------------------------------------------------------


def _listed(name: str, *keys: str, by: str, plural: bool = False) -> Callable[[World, str], Any]:
    """What a list operation shows of one thing."""

    def show(world: World, identifier: str) -> Any:
        wanted: Any = json.dumps([identifier]) if by == "InstanceIds" else identifier
        return [*Account(world).every(name, *keys, **{by: [wanted] if plural else wanted})]

    return show


def _call(name: str, key: str, **more: Any) -> Callable[[World, str], Any]:
    def call(world: World, identifier: str) -> Any:
        found = Account(world)(name, **{key: identifier}, **more) or {}
        return {key: value for key, value in found.items() if key != "RequestId"}

    return call


def _remove_with_group(world: World, identifier: str) -> None:
    """The instance with our key is in a group of its own."""
    account = Account(world)
    [shown] = INSTANCE(world, identifier)
    account("ecs:DeleteInstance", InstanceId=identifier, Force=True)
    for group in shown["SecurityGroupIds"]["SecurityGroupId"]:
        account("ecs:DeleteSecurityGroup", SecurityGroupId=group)


def _remove_policy(world: World, name: str) -> None:
    Account(world)("ram:DeletePolicy", PolicyName=name, CascadingDelete=True)


def _remove_role(world: World, name: str) -> None:
    account = Account(world)
    for each in account("ram:ListPoliciesForRole", RoleName=name)["Policies"]["Policy"]:
        kind = {"PolicyType": each["PolicyType"], "PolicyName": each["PolicyName"]}
        account("ram:DetachPolicyFromRole", RoleName=name, **kind)
    account("ram:DeleteRole", RoleName=name)


def _our_cluster(account: Account) -> str:
    [found] = account("cs:DescribeClustersV1")["clusters"]
    return str(found["cluster_id"])


def _show_pool(world: World, identifier: str) -> Any:
    account = Account(world)
    return account("cs:DescribeClusterNodePoolDetail", _our_cluster(account), identifier)


def _remove_pool(world: World, identifier: str) -> None:
    account = Account(world)
    account("cs:DeleteClusterNodepool", _our_cluster(account), identifier, force=True)


GROUP = _listed(
    "ecs:DescribeSecurityGroups", "SecurityGroups", "SecurityGroup", by="SecurityGroupId"
)
INSTANCE = _listed("ecs:DescribeInstances", "Instances", "Instance", by="InstanceIds")
TOOLS: Mapping[str, tuple[Callable[[World, str], Any], Callable[[World, str], Any]]] = {
    "instance": (_call("ecs:DeleteInstance", "InstanceId", Force=True), INSTANCE),
    "instance with our key": (_remove_with_group, INSTANCE),
    "interface": (
        _call("ecs:DeleteNetworkInterface", "NetworkInterfaceId"),
        _listed(
            "ecs:DescribeNetworkInterfaces",
            "NetworkInterfaceSets",
            "NetworkInterfaceSet",
            by="NetworkInterfaceId",
            plural=True,
        ),
    ),
    "vswitch": (
        _call("vpc:DeleteVSwitch", "VSwitchId"),
        _listed("vpc:DescribeVSwitches", "VSwitches", "VSwitch", by="VSwitchId"),
    ),
    "group": (_call("ecs:DeleteSecurityGroup", "SecurityGroupId"), GROUP),
    "reference": (_call("ecs:DeleteSecurityGroup", "SecurityGroupId"), GROUP),
    "load balancer": (
        _call("alb:DeleteLoadBalancer", "LoadBalancerId"),
        _call("alb:GetLoadBalancerAttribute", "LoadBalancerId"),
    ),
    "gateway": (
        _call("vpc:DeleteNatGateway", "NatGatewayId", Force=True),
        _listed("vpc:DescribeNatGateways", "NatGateways", "NatGateway", by="NatGatewayId"),
    ),
    "pool": (_remove_pool, _show_pool),
    "policy": (_remove_policy, _call("ram:GetPolicy", "PolicyName", PolicyType="Custom")),
    "role": (_remove_role, _call("ram:GetRole", "RoleName")),
}
"""what removes and what shows each"""


def _made(make: Any) -> Callable[[World, States], str]:
    return lambda world, states: str(make(Account(world), states))


# -- ours -----------------------------------------------------------------------------------------


def _strip(world: World, kind: str, have: Any) -> None:
    account = Account(world)
    if strip_object(world, kind, have):
        return
    if kind in TYPES:
        product, _, name = TYPES[kind].partition(":")
        action = "UnTagResources" if product == "vpc" else "UntagResources"
        wire = {"ResourceType": name, "ResourceId": [have.id], "TagKey": [CLUSTER]}
        account(f"{product}:{action}", **wire)
    elif kind == "cluster":
        wire = {"resource_ids": [have.id], "resource_type": "CLUSTER", "tag_keys": [CLUSTER]}
        account("cs:UntagResources", region_id=account.region, **wire)
    elif kind == "role":
        account("ram:UpdateRole", RoleName=have.id, NewDescription="mine")
    elif kind == "node-pool":
        kept = [{"key": k, "value": v} for k, v in have.tags.items() if k != CLUSTER]
        account("cs:ModifyClusterNodePool", have.cluster, have.id, scaling_group={"tags": kept})
    else:
        repo = {"Repo": {"RepoType": "PRIVATE", "Summary": "mine"}}
        account.personal("POST", f"/repos/{have.id}", repo)


NEAR = Near(
    rich=replace(PERSONAL_CASE, label="rich", profile=RICH, twins=lambda _: None),
    twins={
        "cluster": _cluster,
        "key-pair": _key_pair,
        "access-list": _access_list,
        "personal-repository": _repository,
        "role": _role,
    },
    fixed={},
    neighbours={
        what: Neighbour(_made(make), *TOOLS[what], stay) for what, (make, stay) in MADE.items()
    },
    strip=_strip,
    sure={},
    alone=("access-list", "eip", "key-pair", "personal-repository", "role"),
)

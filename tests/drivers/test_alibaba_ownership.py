"""Whose things are whose on Alibaba Cloud: lost tags, taken names, twins, what a cluster left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from clusterkit.alibaba.cluster import Cluster
from clusterkit.alibaba.network import CLUSTER_ID, remember
from clusterkit.alibaba.tags import OWNER, shown_name
from clusterkit.engine import ownership
from clusterkit.engine.kind import Leftover
from clusterkit.engine.plan import Plan
from clusterkit.errors import NotOurs
from clusterkit.naming import CLUSTER, NAME
from clusterkit_sandbox.faults import Rule
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import BUILDS, MINIMAL, MINIMAL_CASE, PERSONAL_CASE, REPOSITORIES
from tests.drivers.profiles import KEY
from tests.drivers.world import World, world

RICH: Mapping[str, Any] = {
    **MINIMAL,
    **BUILDS,
    "ssh_key": "me.pub",
    "endpoint": {"allowed": ["8.8.8.0/24"]},
    "registry": REPOSITORIES,
}
RICH_CASE = replace(PERSONAL_CASE, label="rich", profile=RICH, twins=lambda _: None)
TYPES = {
    "vpc": "vpc:VPC",
    "vswitch": "vpc:VSWITCH",
    "eip": "vpc:EIP",
    "nat-gateway": "vpc:NATGATEWAY",
    "security-group": "ecs:securitygroup",
    "key-pair": "ecs:keypair",
    "access-list": "slb:acl",
}
"""product and ``ResourceType``"""


def refusal(plan: Callable[[], Plan]) -> NotOurs:
    with pytest.raises(NotOurs) as caught:
        plan()
    return caught.value


def strip(account: Account, kind: str, have: Any) -> None:
    """Take our tags off a thing, as somebody does who cleans up tags."""
    if kind in TYPES:
        product, _, name = TYPES[kind].partition(":")
        action = "UnTagResources" if product == "vpc" else "UntagResources"
        wire = {"ResourceType": name, "ResourceId": [have.id], "TagKey": [CLUSTER, NAME]}
        account(f"{product}:{action}", **wire)
    elif kind == "cluster":
        wire = {"resource_ids": [have.id], "resource_type": "CLUSTER", "tag_keys": [CLUSTER, NAME]}
        account("cs:UntagResources", region_id=account.region, **wire)
    elif kind == "role":
        account("ram:UpdateRole", RoleName=have.id, NewDescription="mine")
    elif kind == "node-pool":
        account("cs:ModifyClusterNodePool", have.cluster, have.id, scaling_group={"tags": []})
    else:
        repo = {"Repo": {"RepoType": "PRIVATE", "Summary": "mine"}}
        account.personal("POST", f"/repos/{have.id}", repo)


def adopt(found: World, wanted: str) -> None:
    """What ``--adopt`` does."""
    ownership.adopt(wanted, found.cloud.KINDS, found.scope(), uuid4())


def test_what_lost_its_tags_is_named_and_can_be_adopted(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        states = found.plan().snapshot.states
        kubernetes = {kind.kind for kind in found.cloud.KINDS if hasattr(kind, "plural")}
        keys = {key.partition("/")[0]: key for key in states}
        keys = {kind: key for kind, key in keys.items() if kind not in kubernetes}
        assert len(keys) == 11, keys
        for kind, key in keys.items():
            strip(account, kind, states[key])
            error = refusal(found.plan)
            assert f"--adopt {key}={states[key].id}" in error.hint, (key, str(error), error.hint)
            adopt(found, f"{key}={states[key].id}")
            found.settle(found.up())
            assert found.plan().empty, key
        found.settle(found.destroy())


def test_destroy_names_what_lost_its_tags(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        account, states = Account(found), found.plan().snapshot.states
        for kind in (*TYPES, "cluster", "role", "node-pool"):
            key = next(key for key in states if key.startswith(f"{kind}/"))
            strip(account, kind, states[key])
            try:
                plan = found.destroy_plan()
                findings = (*plan.kept, *plan.blocked, *plan.warnings)
                told = " ".join(map(str, findings))
            except NotOurs as error:
                told = f"{error} {error.hint}"
            assert states[key].id in told, (key, told)
            adopt(found, f"{key}={states[key].id}")
        found.settle(found.destroy())


def test_every_taken_name_is_found_before_anything_is_made(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        account = Account(found)
        created = [step for step in found.plan().steps if step.kind.kind == "key-pair"]
        pair = shown_name(found.scope(), created[0].name)
        account("ecs:ImportKeyPair", KeyPairName=pair, PublicKeyBody=KEY)
        acl = account("slb:CreateAccessControlList", AclName="clusterkit-demo-api")["AclId"]
        document = (
            '{"Version":"1","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'
        )
        policy = "clusterkit-ap-southeast-1-demo-push"
        account("ram:CreatePolicy", PolicyName=policy, PolicyDocument=document)
        before = found.things()
        error = refusal(found.plan)
        assert f"--adopt {created[0].key}={pair}" in error.hint
        assert f"--adopt access-list/api={acl}" in error.hint
        assert f"the policy {policy}" in str(error)
        assert "--adopt role/" not in error.hint, "a policy cannot be adopted"
        assert found.things() == before


def test_twins_stop_up_with_their_ids_and_are_all_destroyed(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        twin = account("vpc:CreateVpc", CidrBlock="10.0.0.0/16")["VpcId"]
        tags = [{"Key": CLUSTER, "Value": "demo"}, {"Key": NAME, "Value": "main"}]
        account("vpc:TagResources", ResourceType="VPC", ResourceId=[twin], Tag=tags)
        assert twin in str(refusal(found.plan))
        found.settle(found.destroy())
        assert found.look() == before


def test_what_lost_its_tags_is_named_when_it_is_in_the_way(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        states = found.plan().snapshot.states
        nat, group = states["nat-gateway/main"], states["security-group/nodes"]
        strip(account, "cluster", states["cluster/demo"])
        error = refusal(found.destroy_plan)
        assert f"--adopt cluster/demo={states['cluster/demo'].id}" in error.hint
        adopt(found, f"cluster/demo={states['cluster/demo'].id}")
        strip(account, "nat-gateway", nat)
        strip(account, "security-group", group)
        plan = found.destroy_plan()
        assert group.id in " ".join(each.key for each in plan.kept)
        stays = {kept.state.id: kept.reason for kept in plan.blocked}
        assert nat.id in stays[nat.vswitch]
        assert group.id in stays[nat.vpc]
        found.settle(found.destroy())
        assert "cluster" not in found.look()
        account("vpc:DeleteNatGateway", NatGatewayId=nat.id, Force=True)
        account("ecs:DeleteSecurityGroup", SecurityGroupId=group.id)
        found.settle(found.destroy())
        assert found.look() == before


def _cluster_goes_alone(found: World, account: Account) -> str:
    """Somebody deletes the cluster in the console, and keeps its load balancers."""
    MINIMAL_CASE.busy(found)
    until = time.monotonic() + 20
    while not account("nlb:ListLoadBalancers")["LoadBalancers"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    (cluster,) = account("cs:DescribeClustersV1")["clusters"]
    identifier = str(cluster["cluster_id"])
    keep = [{"resource_type": "SLB", "delete_mode": "retain"}]
    account("cs:DeleteCluster", identifier, delete_options=keep)
    return identifier


def _application_balancer(found: World, account: Account, cluster: str) -> None:
    """What the controller of ALB Ingresses makes."""
    states = found.plan().snapshot.states
    switches = [state for key, state in states.items() if key.startswith("vswitch/")]
    account(
        "alb:CreateLoadBalancer",
        VpcId=states["vpc/main"].id,
        AddressType="Internet",
        LoadBalancerEdition="Standard",
        LoadBalancerBillingConfig={"PayType": "PostPay"},
        ZoneMappings=[{"ZoneId": s.zone, "VSwitchId": s.id} for s in switches],
        DeletionProtectionEnabled=True,
        Tag=[{"Key": OWNER, "Value": cluster}],
    )


def test_protected_load_balancers_of_a_cluster_that_is_gone_are_removed(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        (cluster,) = account("cs:DescribeClustersV1")["clusters"]
        earlier = "c0123456789abcdef0123456789abcdef"
        remember(found.scope(), earlier)
        for identifier in (cluster["cluster_id"], earlier):
            _application_balancer(found, account, identifier)
        _cluster_goes_alone(found, account)
        (balancer,) = account("nlb:ListLoadBalancers")["LoadBalancers"]
        assert balancer["DeletionProtectionConfig"]["Enabled"]
        found.settle(found.destroy())
        assert found.look() == before


def test_load_balancers_that_may_not_be_listed_are_told(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        refused = Rule("alb:ListLoadBalancers", "refuse", code="Forbidden.RAM", status=403)
        found.sandbox.faults.set([refused])
        [kept] = found.destroy_plan().kept
        assert kept.key == "application-load-balancers/*"
        found.settle(found.destroy())


def test_what_remembers_the_cluster_stays_while_something_of_it_is_left(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        identifier = _cluster_goes_alone(found, account)
        refused = Rule("nlb:DeleteLoadBalancer", "refuse", code="Forbidden.RAM", status=403)
        found.sandbox.faults.set([refused])
        outcome = found.destroy()
        assert list(outcome.failed) == ["network-load-balancers/*"]
        left = found.look()
        assert not {"nat-gateway", "eip"} & left.keys(), "what costs and is not in the way goes"
        for kind in ("vpc:DescribeVpcs", "ecs:DescribeSecurityGroups"):
            tag = [{"Key": CLUSTER_ID, "Value": identifier}]
            assert account(kind, Tag=tag)["TotalCount"] == 1
        found.sandbox.faults.clear()
        found.settle(found.destroy())
        assert found.look() == before


TOLD = ("log-projects", "volume-snapshots", "file-systems")
"""rows that remove nothing"""


def test_every_sweep_keeps_what_remembers(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        rows = [kind for kind in found.cloud.KINDS if isinstance(kind, Leftover)]
        cloud = [row for row in rows if not row.optional and row.kind not in TOLD]
        assert len(cloud) == 6
        assert all({"vpc", "security-group"} <= set(row.uses) for row in cloud)
        assert {row.kind for row in cloud} <= set(Cluster.uses)


def test_a_cluster_that_stays_keeps_what_it_uses(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        refused = Rule("cs:DeleteCluster", "refuse", code="ForbiddenDeleteCluster", status=403)
        found.sandbox.faults.set([refused])
        outcome = found.destroy()
        assert [key.partition("/")[0] for key in outcome.failed] == ["cluster"]
        assert Account(found)("slb:DescribeLoadBalancers")["TotalCount"]
        found.sandbox.faults.clear()
        found.settle(found.destroy())
        assert found.look() == before


def test_what_has_only_our_name_is_neither_taken_nor_removed(tmp_path: Path) -> None:
    """Somebody else's, or ours before it lost its tags: nobody can tell."""
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        account, states = Account(found), found.plan().snapshot.states
        lost = {
            kind: next(state.id for key, state in states.items() if key.startswith(f"{kind}/"))
            for kind in ("key-pair", "access-list", "role")
        }
        for kind in lost:
            strip(account, kind, next(state for state in states.values() if state.id == lost[kind]))
        found.settle(found.destroy())
        kept = {each.key.partition("/")[2]: each.reason for each in found.destroy_plan().kept}
        ids = {lost["key-pair"], lost["access-list"], f"role:{lost['role']}"}
        assert kept.keys() == ids
        assert all("deletes it" in reason for reason in kept.values())
        left = found.things().keys()
        assert {(kind, lost[kind]) for kind in lost} <= left
        named = str(refusal(found.plan))
        assert all(identifier in named for identifier in lost.values())


def test_a_policy_that_became_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        account, name = Account(found), "clusterkit-ap-southeast-1-demo-push"
        here = {"PolicyType": "Custom", "PolicyName": name}
        account("ram:DetachPolicyFromRole", RoleName=name, **here)
        account("ram:DeletePolicy", PolicyName=name, CascadingDelete=True)
        document = (
            '{"Version":"1","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'
        )
        account("ram:CreatePolicy", PolicyName=name, PolicyDocument=document)
        error = refusal(found.plan)
        assert f"the policy {name}" in str(error)
        found.settle(found.destroy())
        assert ("policy", name) in found.things()
        assert ("role", name) not in found.things()

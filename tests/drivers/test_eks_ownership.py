"""Whose things are whose on EKS: lost tags, taken names, other people's clusters, adoption."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from clusterkit import Cluster as ClusterLibrary
from clusterkit.cluster import Plan
from clusterkit.eks.cluster import Cluster
from clusterkit.engine.kind import Leftover, closure
from clusterkit.errors import NotOurs
from clusterkit.naming import CLUSTER, NAME
from clusterkit_sandbox.aws.records import Addon, Group, Record
from clusterkit_sandbox.faults import Rule
from tests.drivers.aws import Account
from tests.drivers.eks_cases import ADMIN, EXISTING_CASE, FULL_CASE, MINIMAL, MINIMAL_CASE, TRUST
from tests.drivers.near import of_the_cloud
from tests.drivers.profiles import KEY
from tests.drivers.world import Case, World, edited, world

CREATOR = "arn:aws:iam::123456789012:user/sandbox"
"""whose credentials the sandbox hands out"""
RICH: Mapping[str, Any] = {
    **MINIMAL,
    "ssh_key": "me.pub",
    "admins": [ADMIN],
    "logging": ["audit"],
    "registry": {"name": "demo", "repositories": ["app"], "push": ["a/b"], "keep": False},
}
RICH_CASE = replace(FULL_CASE, label="rich", profile=RICH)


def adopt(found: World, wanted: str) -> Plan:
    """What ``plan --adopt`` says."""
    return found.cluster().plan(found.profile, found.facts(), adopt=[wanted])


def refusal(plan: Callable[[], Plan]) -> NotOurs:
    with pytest.raises(NotOurs) as caught:
        plan()
    return caught.value


def strip(account: Account, kind: str, have: Any) -> None:
    """Take our tags off a thing, as somebody does who cleans up tags."""
    keys = [CLUSTER, NAME]
    if kind == "repository":
        account.ecr.untag_resource(resourceArn=have.arn, tagKeys=keys)
    elif kind == "log-group":
        account.logs.untag_resource(resourceArn=have.arn, tagKeys=keys)
    elif have.arn:
        account.eks.untag_resource(resourceArn=have.arn, tagKeys=keys)
    else:
        account.ec2.delete_tags(Resources=[have.id], Tags=[{"Key": key} for key in keys])


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_what_lost_its_tags_is_named_and_can_be_adopted(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        states = found.plan().snapshot.states
        one_each = {key.partition("/")[0]: key for key in sorted(states, reverse=True)}
        # those of Jenkins X lose theirs in test_near.py
        kinds = of_the_cloud(found) - {"oidc-provider", "pod-role", "bucket"}
        assert one_each.keys() >= kinds
        for kind in kinds - {"role", "access-entry"}:
            key = one_each[kind]
            strip(account, kind, states[key])
            error = refusal(found.plan)
            assert f"--adopt {key}={states[key].id}" in error.hint, (key, str(error), error.hint)
            assert adopt(found, f"{key}={states[key].id}").empty, key
        found.settle(found.destroy())


def test_every_taken_name_is_found_before_anything_is_made(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        account = Account(found)
        wished: Any = closure(cast(Any, found.cloud).graph(found.profile, found.facts()))
        [key, template] = (
            next(wish.name for wish in wished if wish.kind == kind)
            for kind in ("key-pair", "launch-template")
        )
        account.ec2.import_key_pair(KeyName=f"clusterkit-demo-{key}", PublicKeyMaterial=KEY)
        account.ec2.create_launch_template(
            LaunchTemplateName=f"clusterkit-demo-{template}",
            LaunchTemplateData={"InstanceType": "m6i.large"},
        )
        account.iam.create_role(
            RoleName="clusterkit-eu-west-1-demo-node", AssumeRolePolicyDocument=TRUST
        )
        account.logs.create_log_group(logGroupName="/aws/eks/demo/cluster")
        account.ecr.create_repository(repositoryName="demo/app")
        before = found.things()
        error = refusal(found.plan)
        for wanted in (
            f"--adopt key-pair/{key}=key-",
            f"--adopt launch-template/{template}=lt-",
            "--adopt log-group/control-plane=/aws/eks/demo/cluster",
            "--adopt repository/demo/app=demo/app",
        ):
            assert wanted in error.hint
        assert "role/node" in str(error)
        with pytest.raises(NotOurs, match="IAM cannot move a role"):
            adopt(found, "role/node=clusterkit-eu-west-1-demo-node")
        assert found.things() == before


def test_a_cluster_of_somebody_elses_is_not_touched(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        MINIMAL_CASE.busy(found)
        account = Account(found)
        arn = account.eks.describe_cluster(name="demo")["cluster"]["arn"]
        account.eks.untag_resource(resourceArn=arn, tagKeys=[CLUSTER])
        for plan in (found.plan, found.destroy_plan):
            error = refusal(plan)
            assert "--adopt cluster/demo=demo" in error.hint
        account.eks.tag_resource(resourceArn=arn, tags={CLUSTER: "demo"})
        found.settle(found.destroy())


def test_what_only_carries_the_name_of_a_cluster_is_kept(tmp_path: Path) -> None:
    """No role of ours: the tags are those of a cluster that clusterkit never had."""
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        tags = [{"Key": "kubernetes.io/cluster/demo", "Value": "owned"}]
        vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        account.ec2.create_security_group(
            GroupName="k8s-elb",
            Description="of a Service",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
        account.ec2.create_volume(
            AvailabilityZone="eu-west-1a",
            Size=1,
            VolumeType="gp3",
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )
        before = found.things()
        plan = found.destroy_plan()
        assert plan.empty
        assert sorted(kept.key.partition("/")[0] for kept in plan.kept) == [
            "security-groups",
            "volumes",
        ]
        found.settle(found.destroy())
        assert found.things() == before


def _rules(account: Account, group: str) -> Any:
    return account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def test_a_cluster_that_stays_keeps_what_it_uses(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        network = account.eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
        group = _rules(account, network["clusterSecurityGroupId"])
        refused = Rule("eks:DeleteCluster", "refuse", code="AccessDeniedException", status=403)
        found.sandbox.faults.set([refused])
        outcome = found.destroy()
        assert list(outcome.failed) == ["cluster/demo"]
        assert "security-groups/*" in outcome.stopped
        assert _rules(account, group["GroupId"]) == group
        rows = {kind.kind for kind in found.cloud.KINDS if isinstance(kind, Leftover)}
        drains = {kind.kind for kind in found.cloud.KINDS if kind.optional}
        assert rows - drains - {"volume-snapshots"} <= set(Cluster.uses)
        found.sandbox.faults.clear()
        found.settle(found.destroy())
        assert found.look() == before


def test_load_balancers_that_go_meanwhile_stop_nothing(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        subnets = [each["SubnetId"] for each in account.ec2.describe_subnets()["Subnets"][:2]]
        for name in ("theirs", "demo"):
            account.elbv2.create_load_balancer(
                Name=name, Subnets=subnets, Tags=[{"Key": "elbv2.k8s.aws/cluster", "Value": name}]
            )
        gone = Rule("elbv2:DescribeTags", "refuse", nth=1, code="LoadBalancerNotFound")
        found.sandbox.faults.set([gone])
        [kept] = found.destroy_plan().kept
        assert "demo" in kept.key


def _policies(account: Account, principal: str) -> list[str]:
    listed = account.eks.list_associated_access_policies(clusterName="demo", principalArn=principal)
    return [each["policyArn"] for each in listed["associatedAccessPolicies"]]


def test_the_creator_may_be_listed_and_dropped(tmp_path: Path) -> None:
    profile = edited(RICH, {"admins": [CREATOR, ADMIN], "registry": None})
    with world(replace(FULL_CASE, profile=profile), tmp_path) as found:
        found.settle(found.up())
        assert found.plan().empty
        account = Account(found)
        policies = _policies(account, CREATOR)
        assert policies
        dropped = found.load(edited(profile, {"admins": []}))
        found.settle(found.up(dropped))
        assert found.plan(dropped).empty
        assert (
            account.eks.list_access_entries(clusterName="demo")["accessEntries"].count(ADMIN) == 0
        )
        assert _policies(account, CREATOR) == policies
        found.settle(found.up())
        assert found.plan().empty
        found.settle(found.destroy())


UNHEALTHY: list[tuple[type[Record], str]] = [(Group, "DEGRADED"), (Addon, "UPDATE_FAILED")]


@pytest.mark.parametrize(("kind", "status"), UNHEALTHY)
def test_an_unhealthy_thing_is_a_warning_and_can_be_changed(
    kind: type[Record], status: str, tmp_path: Path
) -> None:
    case: Case = MINIMAL_CASE
    with world(case, tmp_path) as found:
        found.settle(found.up())
        store: Any = found.sandbox._emulators[0]._eks.store  # type: ignore[attr-defined]
        sick = next(store.all(kind))
        name = sick.id
        sick.shown["status"] = status
        issue = {
            "code": "AsgInstanceLaunchFailures",
            "message": "no capacity",
            "resourceIds": ["x"],
        }
        sick.shown["health"] = {"issues": [issue]}
        plan = found.plan()
        assert plan.empty
        [warning] = [each for each in plan.warnings if name in each.where]
        assert "AsgInstanceLaunchFailures: no capacity" in warning.what
        more = {"pools.0.count": {"min": 1, "max": 4}, "tags": {"team": "x"}}
        changed = found.load(edited(case.profile, more))
        found.settle(found.up(changed))
        assert found.plan(changed).empty


def test_routes_and_tables_that_others_changed_come_back(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        account, states = Account(found), found.plan().snapshot.states
        ec2, subnet = account.ec2, states["subnet/private-a"].id
        table = states["route-table/private-a"]
        firewall = ec2.create_network_interface(SubnetId=states["subnet/public-a"].id)
        interface = firewall["NetworkInterface"]["NetworkInterfaceId"]
        ec2.replace_route(
            RouteTableId=table.id,
            DestinationCidrBlock="0.0.0.0/0",
            NetworkInterfaceId=interface,
        )
        theirs = ec2.create_route_table(VpcId=states["vpc/main"].id)["RouteTable"]["RouteTableId"]
        ec2.replace_route_table_association(
            AssociationId=table.subnets[subnet], RouteTableId=theirs
        )
        [step] = found.plan().todo
        assert [edit.field for edit in step.changes] == ["default route", "subnets without it"]
        found.settle(found.up())
        assert found.plan().empty
        [shown] = ec2.describe_route_tables(RouteTableIds=[theirs])["RouteTables"]
        assert shown["Associations"] == []


def test_an_adopted_cluster_gets_access_entries_beside_its_config_map(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        account = Account(found)
        trust = TRUST.replace("ec2.", "eks.")
        role = account.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)["Role"]
        policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
        account.iam.attach_role_policy(RoleName="theirs", PolicyArn=policy)
        network = found.case.profile["network"]["existing"]
        account.eks.create_cluster(
            name=found.profile.name,
            version="1.34",
            roleArn=role["Arn"],
            resourcesVpcConfig={"subnetIds": network["subnets"]},
            accessConfig={"authenticationMode": "CONFIG_MAP"},
        )
        account.eks.get_waiter("cluster_active").wait(
            name=found.profile.name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        plan = adopt(found, "cluster/demo=demo")
        [step] = [step for step in plan.todo if step.key == "cluster/demo"]
        assert "access entries" in [edit.field for edit in step.changes]
        found.settle(found.up())
        shown = account.eks.describe_cluster(name="demo")["cluster"]
        assert shown["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
        assert found.plan().empty


OUTSIDER = "arn:aws:iam::123456789012:user/outsider"


def test_an_administrator_without_an_access_entry_can_add_himself(tmp_path: Path) -> None:
    """All rights in IAM, none in Kubernetes: what cannot be looked at is left out of the plan."""
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        emulator: Any = found.sandbox._emulators[0]  # type: ignore[attr-defined]
        keys = emulator._account
        outsider = {"AWS_ACCESS_KEY_ID": keys.other_key, "AWS_SECRET_ACCESS_KEY": keys.other_secret}
        wire = found.connection()
        wire = replace(wire, environ={**wire.environ, **outsider})
        profile = found.load(edited(MINIMAL, {"admins": [OUTSIDER]}))
        cluster = ClusterLibrary(found.target(), wire)
        plan = cluster.plan(profile, found.facts(profile))
        [warning] = [each for each in plan.warnings if "storage-class" in each.where]
        assert "Unauthorized" in warning.what
        assert [step.key.partition("/")[0] for step in plan.todo] == ["access-entry"]
        found.settle(cluster.apply(plan, found.events.append))
        again = cluster.plan(profile, found.facts(profile))
        assert again.empty
        assert not [each for each in again.warnings if "storage-class" in each.where]


def test_nodes_that_change_their_way_out_are_told_before(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        changed = found.load(edited(MINIMAL, {"network": {"nat": "none"}}))
        warned = [each.where for each in found.cluster().plan(changed).warnings]
        assert "network.nat" in warned
        unchanged = found.cluster().plan(found.profile)
        assert "network.nat" not in [each.where for each in unchanged.warnings]

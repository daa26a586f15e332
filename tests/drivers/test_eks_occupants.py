"""What others put into things of ours on EKS: found before a delete, named, never touched."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from clusterkit.eks.leftovers import UNPROVEN
from clusterkit.naming import CLUSTER
from tests.drivers.aws import Account
from tests.drivers.eks_cases import EXISTING_CASE, MINIMAL_CASE, TRUST
from tests.drivers.test_eks_ownership import RICH_CASE, adopt, strip
from tests.drivers.world import World, world

COSTS = {"nat-gateway", "elastic-ip", "cluster", "node-group"}


def _named(kind: str, name: str, **more: str) -> list[Any]:
    tags = {"Name": name, **more}
    shown = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": shown}]


def _rules(account: Account, group: str) -> Any:
    return account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def _network(found: World) -> Any:
    account = Account(found)
    return account.eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]


def _stays(found: World) -> dict[str, str]:
    """Key to reason, of what a destroy cannot delete."""
    return {each.key: each.reason for each in found.destroy_plan().blocked}


def _machine(account: Account, subnet: str, name: str, **more: str) -> str:
    image = account.ec2.register_image(Name=f"image-{name}")["ImageId"]
    made = account.ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        SubnetId=subnet,
        TagSpecifications=_named("instance", name, **more),
    )
    identifier: str = made["Instances"][0]["InstanceId"]
    return identifier


def _neighbours(account: Account, states: Mapping[str, Any]) -> dict[str, set[str]]:
    """One of each in our VPC and its subnet; what each is in the way of, and its words."""
    ec2, vpc, subnet = account.ec2, states["vpc/main"].id, states["subnet/private-a"].id
    interface = ec2.create_network_interface(SubnetId=subnet, Description="a database")
    machine = _machine(account, subnet, "bastion")
    link = {"VpcId": vpc, "ServiceName": "com.amazonaws.eu-west-1.sts"}
    specification = _named("vpc-endpoint", "sts")
    endpoint = ec2.create_vpc_endpoint(
        **link, VpcEndpointType="Interface", SubnetIds=[subnet], TagSpecifications=specification
    )
    own = ec2.create_subnet(
        VpcId=vpc, CidrBlock="10.0.240.0/24", TagSpecifications=_named("subnet", "lab")
    )
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=_named("route-table", "lab"))
    group = ec2.create_security_group(GroupName="database", Description="of ours", VpcId=vpc)
    acl = ec2.create_network_acl(VpcId=vpc, TagSpecifications=_named("network-acl", "lab"))
    tunnel = ec2.create_vpn_gateway(Type="ipsec.1", TagSpecifications=_named("vpn-gateway", "hq"))
    ec2.attach_vpn_gateway(VpcId=vpc, VpnGatewayId=tunnel["VpnGateway"]["VpnGatewayId"])
    return {
        "subnet/private-a": {
            f"network interface {interface['NetworkInterface']['NetworkInterfaceId']} (a database)",
            f"instance {machine} (bastion)",
            f"VPC endpoint {endpoint['VpcEndpoint']['VpcEndpointId']} (sts)",
        },
        "vpc/main": {
            f"subnet {own['Subnet']['SubnetId']} (lab)",
            f"route table {table['RouteTable']['RouteTableId']} (lab)",
            f"security group {group['GroupId']} (of ours)",
            f"network ACL {acl['NetworkAcl']['NetworkAclId']} (lab)",
            f"VPN gateway {tunnel['VpnGateway']['VpnGatewayId']} (hq)",
        },
    }


def test_neighbours_in_the_network_are_named_and_stay_and_the_rest_goes(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        MINIMAL_CASE.busy(found)
        assert _stays(found) == {}, "what goes by itself is in nobody's way"
        account = Account(found)
        expected = _neighbours(account, found.plan().snapshot.states)
        stays = _stays(found)
        assert stays.keys() == expected.keys()
        for key, words in expected.items():
            assert all(each in stays[key] for each in words), (key, stays[key])
        [vpc] = [each for each in found.destroy_plan().blocked if each.key == "vpc/main"]
        assert re.search(r"aws ec2 detach-vpn-gateway --vpc-id vpc-\w+ --vpn-gateway-id ", vpc.hint)
        words = " ".join(chain(*expected.values()))
        theirs = set(re.findall(r"\b[a-z]+-[0-9a-f]{8,}", words))
        found.settle(found.destroy())
        left = found.look() - before
        assert left["vpc"] == 1
        assert left["subnet"] == 2
        assert not (COSTS | {"role", "internet-gateway"}) & left.keys()
        kept = {identifier for _, identifier in found.things()} & theirs
        assert kept == {
            each for each in theirs if not each.startswith(("i-", "vpce-", "acl-", "vgw-"))
        }
        assert account.ec2.describe_vpn_gateways()["VpnGateways"]
        _sweep_neighbours(account, theirs)
        found.settle(found.destroy())
        assert found.look() == before


def _sweep_neighbours(account: Account, theirs: set[str]) -> None:
    ec2 = account.ec2
    deletes = {
        "i": lambda id_: ec2.terminate_instances(InstanceIds=[id_]),
        "vpce": lambda id_: ec2.delete_vpc_endpoints(VpcEndpointIds=[id_]),
        "eni": lambda id_: ec2.delete_network_interface(NetworkInterfaceId=id_),
        "subnet": lambda id_: ec2.delete_subnet(SubnetId=id_),
        "rtb": lambda id_: ec2.delete_route_table(RouteTableId=id_),
        "sg": lambda id_: ec2.delete_security_group(GroupId=id_),
        "acl": lambda id_: ec2.delete_network_acl(NetworkAclId=id_),
        "vgw": lambda id_: _detach(account, id_),
    }
    for identifier in sorted(theirs):
        deletes[identifier.partition("-")[0]](identifier)


def _detach(account: Account, gateway: str) -> None:
    [shown] = account.ec2.describe_vpn_gateways(VpnGatewayIds=[gateway])["VpnGateways"]
    for each in shown["VpcAttachments"]:
        account.ec2.detach_vpn_gateway(VpnGatewayId=gateway, VpcId=each["VpcId"])
    account.ec2.delete_vpn_gateway(VpnGatewayId=gateway)


def test_a_gateway_that_lost_its_tag_keeps_its_address(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        [gateway] = (s for k, s in found.plan().snapshot.states.items() if "nat-gateway/" in k)
        Account(found).ec2.delete_tags(Resources=[gateway.id], Tags=[{"Key": CLUSTER}])
        assert gateway.id in _stays(found)["elastic-ip/a"]
        found.settle(found.destroy())


def test_foreign_node_groups_and_fargate_profiles_keep_the_cluster(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account, network = Account(found), _network(found)
        nodes = account.iam.get_role(RoleName="clusterkit-eu-west-1-demo-node")["Role"]["Arn"]
        account.eks.create_nodegroup(
            clusterName="demo", nodegroupName="theirs", nodeRole=nodes, subnets=network["subnetIds"]
        )
        pods = json.loads(TRUST)
        pods["Statement"][0]["Principal"]["Service"] = "eks-fargate-pods.amazonaws.com"
        role = account.iam.create_role(RoleName="pods", AssumeRolePolicyDocument=json.dumps(pods))
        account.eks.create_fargate_profile(
            clusterName="demo", fargateProfileName="batch", podExecutionRoleArn=role["Role"]["Arn"]
        )
        stays = _stays(found)
        for words in ("node group theirs", "Fargate profile batch"):
            assert words in stays["cluster/demo"]
        assert {"vpc/main", "role/cluster", "role/node", "subnet/private-a"} < stays.keys()
        found.settle(found.destroy())
        left = found.look()
        assert not {"nat-gateway", "elastic-ip"} & left.keys()
        assert left["node-group"] == left["cluster"] == 1
        assert (left["addon"], left["access-entry"]) == (5, 2)
        account.eks.delete_fargate_profile(clusterName="demo", fargateProfileName="batch")
        account.eks.delete_nodegroup(clusterName="demo", nodegroupName="theirs")
        account.iam.delete_role(RoleName="pods")
        found.settle(found.destroy())
        assert found.look() == before


def _profiles(account: Account, role: str) -> None:
    """One of others, one of EKS's and one of Karpenter's; and policies that others attached."""
    iam, own = account.iam, "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
    karpenter = [{"Key": "kubernetes.io/cluster/demo", "Value": "owned"}]
    for name, tags in (("builders", []), (own, []), ("demo_1234567890", karpenter)):
        iam.create_instance_profile(InstanceProfileName=name, Tags=tags)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="mine", PolicyDocument=policy)


def test_what_others_made_of_ours_is_named_and_not_edited(tmp_path: Path) -> None:
    """Rules that refer to our group, a subnet on our route table, a public address behind our
    gateway, our role in a profile.
    """
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account, network, states = Account(found), _network(found), found.plan().snapshot.states
        ec2, vpc, group = account.ec2, network["vpcId"], network["clusterSecurityGroupId"]
        database = ec2.create_security_group(GroupName="db", Description="theirs", VpcId=vpc)
        theirs = database["GroupId"]
        pairs = [{"GroupId": group}]
        rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": pairs}
        ec2.authorize_security_group_ingress(GroupId=theirs, IpPermissions=[rule])
        ec2.authorize_security_group_egress(GroupId=theirs, IpPermissions=[rule])
        lab = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.240.0/24")["Subnet"]["SubnetId"]
        table = states["route-table/private-a"].id
        link = ec2.associate_route_table(RouteTableId=table, SubnetId=lab)["AssociationId"]
        machine = _machine(account, states["subnet/public-a"].id, "web")
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.associate_address(InstanceId=machine, AllocationId=address)
        _profiles(account, "clusterkit-eu-west-1-demo-node")
        rules, stays = _rules(account, theirs), _stays(found)
        for key, words in {
            f"security-groups/{group}": f"security group {theirs} (theirs)",
            "vpc/main": f"security group {theirs} (theirs)",
            "route-table/private-a": f"subnet {lab}",
            "internet-gateway/main": f"instance {machine} (web)",
            "subnet/public-a": f"instance {machine} (web)",
            "role/node": "instance profile builders",
        }.items():
            assert words in stays[key], (key, stays.get(key))
        assert "demo_1234567890" not in stays["role/node"]
        found.settle(found.destroy())
        assert _rules(account, theirs) == rules
        [kept] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        assert [each["RouteTableAssociationId"] for each in kept["Associations"]] == [link]
        left = found.look() - before
        assert not {"cluster", "node-group", "nat-gateway"} & left.keys()
        assert left["elastic-ip"] == left["internet-gateway"] == 1
        assert left["role"], "what shows that the security group is ours goes last"
        ec2.delete_security_group(GroupId=theirs)
        ec2.terminate_instances(InstanceIds=[machine])
        ec2.release_address(AllocationId=address)
        ec2.delete_subnet(SubnetId=lab)
        account.iam.remove_role_from_instance_profile(
            InstanceProfileName="builders", RoleName="clusterkit-eu-west-1-demo-node"
        )
        found.settle(found.destroy())
        assert found.look() == before
        profiles = account.iam.list_instance_profiles()["InstanceProfiles"]
        assert [each["InstanceProfileName"] for each in profiles] == ["builders"]


def test_what_guard_duty_and_karpenter_left_in_our_vpc_goes(tmp_path: Path) -> None:
    """A machine of an Auto Scaling group would come back: it is named."""
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account, network = Account(found), _network(found)
        vpc, subnet = network["vpcId"], network["subnetIds"][0]
        managed = {"GuardDutyManaged": "true"}
        group = account.ec2.create_security_group(
            GroupName=f"GuardDutyManagedSecurityGroup-{vpc}",
            Description="tagged as GuardDutyManaged",
            VpcId=vpc,
            TagSpecifications=_named("security-group", "", **managed),
        )["GroupId"]
        account.ec2.create_vpc_endpoint(
            VpcId=vpc,
            ServiceName="com.amazonaws.eu-west-1.guardduty-data",
            VpcEndpointType="Interface",
            SubnetIds=[subnet],
            SecurityGroupIds=[group],
            TagSpecifications=_named("vpc-endpoint", "", **managed),
        )
        owned = {"kubernetes.io/cluster/demo": "owned"}
        node = _machine(account, subnet, "karpenter", **owned)
        assert _stays(found) == {}
        emulator: Any = found.sandbox._emulators[0]  # type: ignore[attr-defined]
        machine = emulator._account.ec2("eu-west-1").get_instance(node)
        machine.add_tags({"aws:autoscaling:groupName": "own"})
        assert f"instance {node}" in " ".join(_stays(found).values())
        account.ec2.terminate_instances(InstanceIds=[node])
        node = _machine(account, subnet, "another", **owned)
        found.settle(found.destroy())
        assert found.look() == before
        [shown] = account.ec2.describe_instances(InstanceIds=[node])["Reservations"]
        assert shown["Instances"][0]["State"]["Name"] == "terminated"


def test_what_carries_the_clusters_name_in_another_vpc_is_told_and_kept(tmp_path: Path) -> None:
    """Of an earlier cluster of this name, by another tool: our role proves nothing of it."""
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        owned = {"kubernetes.io/cluster/demo": "owned"}
        specification = _named("volume", "", **owned)
        account.ec2.create_volume(
            AvailabilityZone="eu-west-1a", Size=1, VolumeType="gp3", TagSpecifications=specification
        )
        found.settle(found.up())
        vpc = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
        _machine(account, subnet, "node", **owned)
        tags = _named("security-group", "", **owned)
        group = account.ec2.create_security_group(
            GroupName="k8s", Description="x", VpcId=vpc, TagSpecifications=tags
        )["GroupId"]
        account.ec2.create_network_interface(
            SubnetId=subnet,
            Groups=[group],
            TagSpecifications=_named("network-interface", "", **owned),
        )
        marks = [{"Key": "elbv2.k8s.aws/cluster", "Value": "demo"}]
        account.elbv2.create_load_balancer(Name="old", Subnets=[subnet], Tags=marks)
        foreign = {key for key, thing in found.things().items() if not thing.marks.get("Name")}
        kept = found.destroy_plan().kept
        assert {each.key.partition("/")[0] for each in kept} == {
            "instances",
            "load-balancers",
            "network-interfaces",
            "security-groups",
            "volumes",
        }
        unproven = [each.key for each in kept if UNPROVEN not in each.reason]
        assert all(key.startswith("volumes/") for key in unproven), (
            "those by their age in Kubernetes"
        )
        found.settle(found.destroy())
        left = found.things().keys()
        assert {("security-group", group), ("vpc", vpc)} <= foreign & left
        assert {kind for kind, _ in left} >= {"volume", "load-balancer", "network-interface"}


def test_a_role_deleted_by_hand_leaves_the_cluster_as_the_proof(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        MINIMAL_CASE.busy(found)
        iam, role = Account(found).iam, "clusterkit-eu-west-1-demo-cluster"
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=role)
        plan = found.destroy_plan()
        [kept] = plan.kept
        assert kept.key.startswith("volumes/")
        assert UNPROVEN in kept.reason
        found.settle(found.destroy())
        assert found.look() - before == {"volume": 1}


def test_what_lost_its_tags_and_is_in_nobodys_way_is_told(tmp_path: Path) -> None:
    with world(RICH_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account, states = Account(found), found.plan().snapshot.states
        lost = {
            kind: next(states[key] for key in states if key.startswith(f"{kind}/"))
            for kind in ("key-pair", "launch-template", "log-group", "elastic-ip")
        }
        for kind, have in lost.items():
            strip(account, kind, have)
        kept = {each.key for each in found.destroy_plan().kept}
        address = lost.pop("elastic-ip").id
        untagged = {f"untagged/{have.id}" for have in lost.values()}
        assert kept == {f"elastic-ip/{address}", *untagged}
        found.settle(found.destroy())
        left = found.look() - before
        assert left == dict.fromkeys((*lost, "elastic-ip"), 1)


def test_what_lost_its_tags_is_named_when_it_is_in_the_way(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        states = found.plan().snapshot.states
        [key] = [key for key in states if key.startswith("node-group/")]
        strip(account, "node-group", states[key])
        assert states[key].id in _stays(found)["cluster/demo"]
        adopt(found, f"{key}={states[key].id}")
        table, vpc = states["route-table/private-a"], states["vpc/main"]
        strip(account, "route-table", table)
        assert f"{table.id} (demo-private-a)" in _stays(found)["vpc/main"]
        found.settle(found.destroy())
        account.ec2.delete_route_table(RouteTableId=table.id)
        strip(account, "vpc", vpc)
        found.settle(found.destroy())
        account.ec2.delete_vpc(VpcId=vpc.id)
        assert found.look() == before


def test_an_existing_vpc_is_no_stranger_and_proves_what_is_left_in_it(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        MINIMAL_CASE.busy(found)
        plan = found.destroy_plan()
        assert plan.blocked == ()
        assert {each.key.partition("/")[0] for each in plan.kept} == {"repository"}
        assert not found.cluster().observe().warnings
        found.settle(found.destroy())
        assert found.look() - before == {"repository": len(plan.kept)}

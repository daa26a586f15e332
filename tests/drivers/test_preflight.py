"""What preflight chooses and reports, on the emulated clouds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit.errors import PreflightError
from tests.drivers import alibaba_cases, eks_cases, gke, gke_cases
from tests.drivers.aws import Account
from tests.drivers.world import Case, World, edited, world


def facts(found: World, profile: Mapping[str, Any]) -> Any:
    """The result of preflight, for the profile's own region."""
    loaded = found.load(profile)
    target = replace(found.target(), name=loaded.name, region=loaded.region)
    return found.cloud.preflight(loaded, found.cloud.connect(target, found.connection()))


def errors(found: World, profile: Mapping[str, Any]) -> list[str]:
    with pytest.raises(PreflightError) as caught:
        facts(found, profile)
    return [f"{finding} | {finding.hint}" for finding in caught.value.findings]


ARM = {"name": "arm", "machine": {"cpu": 2, "memory": 8, "arch": "arm64"}}


def test_zones_that_sell_the_machine_are_chosen(tmp_path: Path) -> None:
    """In cn-hangzhou the first zones by name have no arm64 machines in stock."""
    profile = edited(
        alibaba_cases.MINIMAL, {"region": "cn-hangzhou", "mirror": "m.example.com", "pools": [ARM]}
    )
    mixed = edited(profile, {"pools": [*alibaba_cases.MINIMAL["pools"], ARM]})
    with world(alibaba_cases.MINIMAL_CASE, tmp_path) as found:
        for asked in (profile, mixed):
            chosen = facts(found, asked)
            assert chosen.zones == ("cn-hangzhou-i", "cn-hangzhou-j")
            assert {kind.arch for kind in chosen.pools["arm"]} == {"arm64"}
        zones = ["cn-hangzhou-g", "cn-hangzhou-h"]
        (told,) = errors(found, edited(profile, {"network": {"zones": zones}}))
        assert told.startswith(
            "pools[0].machine: no machine type with at least 2 CPUs and 8 GiB (arm64) is offered "
            "with a cloud_essd disk in cn-hangzhou-g, cn-hangzhou-h"
        )


@pytest.mark.parametrize(
    ("case", "edits", "told"),
    [
        (
            eks_cases.MINIMAL_CASE,
            {"network": {"zones": ["eu-west-1a", "eu-west-1x"]}},
            ["network.zones: zone eu-west-1x does not exist or has no instance types in stock"],
        ),
        (
            eks_cases.MINIMAL_CASE,
            {"network": {"zones": 4}},
            ["network.zones: asks for 4 zones, but only 3 can be used in this region"],
        ),
        (
            eks_cases.MINIMAL_CASE,
            {"region": "us-east-1", "network": {"zones": ["us-east-1a", "us-east-1e"]}},
            [
                "network.zones: EKS does not support zone us-east-1e (use1-az3)",
                "pools[0].machine: m6i.large is not offered in us-east-1a, us-east-1e, only in",
            ],
        ),
        (
            eks_cases.MINIMAL_CASE,
            {"kubernetes": "1.11", "pools.0.machine": "m99.large"},
            [
                "kubernetes: Kubernetes 1.11 is not in standard support",
                "pools[0].machine: m99.large is not offered in this region",
            ],
        ),
        (
            alibaba_cases.MINIMAL_CASE,
            {"kubernetes": "1.11", "pools.0.machine": "ecs.g99.large"},
            [
                "kubernetes: ACK does not offer Kubernetes 1.11 for new clusters",
                "pools[0].machine: ecs.g99.large is not offered with a cloud_essd disk in this",
            ],
        ),
        (
            alibaba_cases.MINIMAL_CASE,
            {
                "network": {
                    "existing": {
                        "vpc": "vpc-t4nszyte14vie746aaaaa",
                        "vswitches": ["vsw-t4n7uxycbwgtg14maaaaa"],
                    }
                }
            },
            ["network.existing.vpc: VPC vpc-t4nszyte14vie746aaaaa does not exist in this region"],
        ),
        (
            gke_cases.MINIMAL_CASE,
            {"kubernetes": "1.11", "pools.0.machine": "n99-standard-4"},
            [
                "kubernetes: the regular channel does not offer Kubernetes 1.11 | choose from 1.36",
                "pools[0].machine: n99-standard-4 is not offered in this region",
            ],
        ),
        (
            gke_cases.MINIMAL_CASE,
            {"pools.0.count": 60},
            [
                "pools: the pools need 240 more of the quota CPUS, of which 0 of 72 are in use in",
                "pools: the pools need 4800 more of the quota SSD_TOTAL_GB, of which 0 of 2048",
                "pools: the pools need 240 more of the quota CPUS_ALL_REGIONS, of which 0 of 72",
            ],
        ),
        (
            gke_cases.MINIMAL_CASE,
            {"network": {"existing": gke_cases.EXISTING}},
            [
                "network.existing.vpc: there is no network theirs in clusterkit-sandbox",
                "network.existing.subnetwork: there is no subnetwork theirs-a in europe-west1 of",
            ],
        ),
    ],
    ids=[
        "unknown zone",
        "too many zones",
        "refused zone",
        "eks",
        "alibaba",
        "unknown vpc",
        "gke",
        "gke quota",
        "unknown network",
    ],
)
def test_every_error_is_reported(
    case: Case, edits: Mapping[str, Any], told: list[str], tmp_path: Path
) -> None:
    with world(case, tmp_path) as found:
        reported = errors(found, edited(case.profile, edits))
    assert len(reported) == len(told)
    assert all(line.startswith(start) for line, start in zip(reported, told, strict=True)), reported


def _without_route(ec2: Any, vpc: str, subnets: list[str]) -> None:
    (table,) = [
        table["RouteTableId"]
        for table in ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
            "RouteTables"
        ]
        if any(one.get("SubnetId") == subnets[0] for one in table["Associations"])
    ]
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")


def _without_addresses(ec2: Any, vpc: str, subnets: list[str]) -> None:
    attribute = {"Value": False}
    ec2.modify_subnet_attribute(SubnetId=subnets[0], MapPublicIpOnLaunch=attribute)


def _without_names(ec2: Any, vpc: str, subnets: list[str]) -> None:
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})


def _without_resolution(ec2: Any, vpc: str, subnets: list[str]) -> None:
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})


def _full(ec2: Any, vpc: str, subnets: list[str]) -> None:
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.9.0/28", AvailabilityZone="eu-west-1c")[
        "Subnet"
    ]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=small, MapPublicIpOnLaunch={"Value": True})
    for _ in range(6):
        ec2.create_network_interface(SubnetId=small)
    subnets.append(small)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_without_addresses, "get no public address | enable auto-assign"),
        (_without_names, "DNS hostnames are disabled in vpc-"),
        (_without_resolution, "DNS resolution is disabled in vpc-"),
        (_full, "has 5 free addresses | EKS needs 6 in each subnet"),
    ],
)
def test_an_existing_vpc_in_which_no_node_could_join(
    change: Callable[[Any, str, list[str]], None], error: str, tmp_path: Path
) -> None:
    case = eks_cases.EXISTING_CASE
    with world(case, tmp_path) as found:
        edits = case.prepare(found)
        existing = edits["network"]["existing"]
        change(Account(found).ec2, existing["vpc"], existing["subnets"])
        (told,) = errors(found, edited(case.profile, edits))
        assert error in told


def test_an_existing_vpc_that_needs_a_second_look(tmp_path: Path) -> None:
    case = eks_cases.EXISTING_CASE
    with world(case, tmp_path) as found:
        edits = case.prepare(found)
        ec2, existing = Account(found).ec2, edits["network"]["existing"]
        roles = [{"Key": "kubernetes.io/role/elb", "Value": "1"}]

        def warnings() -> list[str]:
            told = facts(found, edited(case.profile, edits)).warnings
            return [str(finding) for finding in told if finding.where != "kubernetes"]

        open_endpoint = "endpoint.allowed: the API endpoint is open to the internet (0.0.0.0/0)"
        assert warnings() == [
            "network.existing: load balancers may find no subnet: none has a role tag",
            open_endpoint,
        ]
        ec2.create_tags(Resources=existing["subnets"][:1], Tags=roles)
        assert warnings() == [open_endpoint]
        _without_route(ec2, existing["vpc"], existing["subnets"])
        assert warnings() == [
            *(
                f"network.existing.subnets: subnet {subnet} has no route to the internet "
                "(0.0.0.0/0)"
                for subnet in existing["subnets"]
            ),
            open_endpoint,
        ]


def test_a_network_of_googles_that_needs_a_second_look(tmp_path: Path) -> None:
    case = gke_cases.MINIMAL_CASE
    many = {"pools.0.count": {"min": 1, "max": 5000}}
    with world(case, tmp_path) as found:
        account = gke.Account(found)
        path = gke_cases.network(account)
        profile = edited(case.profile, {"network": {"existing": gke_cases.EXISTING}})

        def warnings() -> list[str]:
            told = facts(found, profile).warnings
            return [f"{each}" for each in told if each.where.startswith("network")]

        (told,) = warnings()
        assert "network theirs has no Cloud NAT in europe-west1" in told
        room = errors(found, edited(profile, many))
        assert "10.9.0.0/20 has addresses for 4092 nodes" in room[0]
        assert "10.64.0.0/14 has room for 1024 nodes" in room[1]
        nat = {"name": "n", "natIpAllocateOption": "AUTO_ONLY"}
        nat["sourceSubnetworkIpRangesToNat"] = "ALL_SUBNETWORKS_ALL_IP_RANGES"
        router = {"name": "theirs", "network": path, "nats": [nat]}
        account.compute("POST", f"regions/{account.region}/routers", router)
        assert warnings() == []


def test_the_control_plane_keeps_its_zones(tmp_path: Path) -> None:
    """A third zone is for nodes only: EKS refuses subnets in another zone than at creation."""
    with world(eks_cases.MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        eks = Account(found).eks

        def subnets() -> set[str]:
            return {
                *eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["subnetIds"]
            }

        before = subnets()
        profile = found.load(edited(found.case.profile, {"network.zones": 3}))
        there = found.cloud.preflight(profile, found.clients())
        assert there.zones == ("eu-west-1a", "eu-west-1b", "eu-west-1c")
        assert there.control_plane == {"eu-west-1a", "eu-west-1b"}
        cluster = found.cluster()
        steps = cluster.plan(profile, there)
        found.settle(cluster.apply(steps, found.events.append))
        assert subnets() == before
        (group,) = eks.list_nodegroups(clusterName="demo")["nodegroups"]
        used = eks.describe_nodegroup(clusterName="demo", nodegroupName=group)["nodegroup"]
        assert len(used["subnets"]) == 3
        zones = ["eu-west-1a", "eu-west-1c"]
        (told,) = errors(found, edited(found.case.profile, {"network.zones": zones}))
        assert "cannot remove zone eu-west-1b, which the control plane uses" in told


@pytest.mark.parametrize("case", [eks_cases.MINIMAL_CASE, alibaba_cases.MINIMAL_CASE])
def test_spot_pools_of_a_size_get_several_types(case: Case, tmp_path: Path) -> None:
    """One type is reclaimed as a whole. What an on-demand pool of the size has is not kept."""
    size = {"name": "default", "machine": {"cpu": 2, "memory": 8}, "count": 1}
    with world(case, tmp_path) as found:
        found.settle(found.up(found.load(edited(case.profile, {"pools": [size]}))))
        profile = edited(case.profile, {"pools": [{**size, "spot": True}]})
        for _ in range(2):  # before and after it exists
            chosen = facts(found, profile).pools["default"]
            assert len({kind.name for kind in chosen}) >= 3
            assert {kind.arch for kind in chosen} == {"amd64"}
            described = [kind for kind in chosen if kind.cpu]
            assert all(kind.cpu >= 2 and kind.memory_gib >= 8 for kind in described)
            cluster, loaded = found.cluster(), found.load(profile)
            found.settle(cluster.apply(cluster.plan(loaded), found.events.append))


@pytest.mark.parametrize(
    ("case", "machine", "told"),
    [
        (
            eks_cases.MINIMAL_CASE,
            ["m6i.large", "m99.large"],
            "not all of these types are offered in eu-west-1a, eu-west-1b: m6i.large in",
        ),
        (
            eks_cases.MINIMAL_CASE,
            ["m6i.large", "m6g.large"],
            "different architectures: m6i.large (amd64), m6g.large (arm64) | add a pool for each",
        ),
        (
            alibaba_cases.MINIMAL_CASE,
            ["ecs.g7.xlarge", "ecs.g99.xlarge"],
            "not all of these types are offered with a cloud_essd disk in ap-southeast-1a",
        ),
    ],
)
def test_several_types_that_do_not_go_together(
    case: Case, machine: list[str], told: str, tmp_path: Path
) -> None:
    zones = [f"{case.profile['region']}{letter}" for letter in "ab"]
    edits = {"pools.0.machine": machine, "network": {"zones": zones}}
    with world(case, tmp_path) as found:
        (error,) = errors(found, edited(case.profile, edits))
        assert error.startswith("pools[0].machine: ")
        assert told in error


def test_machines_with_accelerators_get_the_image_with_their_drivers(tmp_path: Path) -> None:
    machines = {"gpu": "g5.xlarge", "neuron": "inf1.xlarge"}
    pools = [{"name": name, "machine": machine, "count": 1} for name, machine in machines.items()]
    profile = edited(eks_cases.MINIMAL, {"pools": [*eks_cases.MINIMAL["pools"], *pools]})
    mixed = edited(profile, {"pools.0.machine": ["m6i.large", "g5.xlarge"]})
    with world(replace(eks_cases.MINIMAL_CASE, profile=profile), tmp_path) as found:
        (told,) = errors(found, mixed)
        assert "m6i.large (no accelerator), g5.xlarge (NVIDIA)" in told
        found.settle(found.up())
        groups = [thing.shown for thing in found.case.look(found) if thing.kind == "node-group"]
        images = {each["nodegroupName"].rpartition("-")[0]: each["amiType"] for each in groups}
        assert images == {
            "default": "AL2023_x86_64_STANDARD",
            "gpu": "AL2023_x86_64_NVIDIA",
            "neuron": "AL2023_x86_64_NEURON",
        }
        found.settle(found.destroy())

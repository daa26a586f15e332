"""What Amazon EKS would refuse is refused offline, and what is shipped validates."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.eks.iam import EC2, trust
from clusterkit.eks.profile import EksProfile
from clusterkit.errors import ProfileError
from clusterkit.profile.model import load
from clusterkit.profile.pool import LONGEST_TEXT, machine_text

GOOD = """\
cloud: eks
name: demo
region: eu-west-1
pools:
  - {name: default, machine: m7i.xlarge}
"""
SHIPPED = Path(__file__).parents[2] / "profiles" / "eks-jenkins-x.yaml"


def loaded(folder: Path, text: str) -> EksProfile:
    path = folder / "profile.yaml"
    path.write_text(text)
    profile = load(path, lambda _: EksProfile, ["eks"])
    assert isinstance(profile, EksProfile)
    return profile


def said(folder: Path, text: str) -> str:
    with pytest.raises(ProfileError) as error:
        loaded(folder, text)
    (finding,) = error.value.findings
    return f"{finding.what} | {finding.hint}"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("network: {zones: 1}", "network.zones: must be 2 to 4 zones, is 1"),
        ("network: {zones: [eu-west-1a]}", "network.zones: must be 2 to 4 zones, is 1"),
        (
            "network: {zones: [eu-west-1a, eu-west-1a]}",
            "network.zones[1]: zone 'eu-west-1a' is listed twice",
        ),
        ("network: {zones: [eu-west-1a, us-east-1b]}", "network.zones[1]: 'us-east-1b' is not an"),
        ("network: {zones: [eu-west-1a, eu-west-1-lon-1a]}", "is a Local or Wavelength Zone"),
        ("network: {cidr: 10.0.0.0/25}", "network.cidr: must be between /16 and /24"),
        ("network: {cidr: 169.254.0.0/16}", "network.cidr: 169.254.0.0/16 is reserved"),
        (
            "network: {pods: 172.30.0.0/16}",
            "network.pods: cannot be set on EKS: pods get addresses",
        ),
        (
            "network: {services: 100.64.0.0/16}",
            "network.services: 100.64.0.0/16 is not a private range",
        ),
        ("network: {services: 172.20.0.0/25}", "network.services: must be between /12 and /24"),
        (
            "network: {nat: two}",
            "network.nat: must be one of 'one', 'per-zone' or 'none', is 'two'",
        ),
        ("endpoint: {allowed: [10.0.0.0/8]}", "endpoint.allowed[0]: 10.0.0.0/8 is not an internet"),
        (
            "endpoint: {allowed: [203.0.113.0/24]}",
            "203.0.113.0/24 is not an internet address range",
        ),
        ("admins: [arn:aws:iam::123456789012:root]", "not for accounts or groups"),
        (
            "endpoint: {private: false, allowed: [8.8.8.0/24]}",
            "endpoint.private: cannot be false while endpoint.allowed is a list",
        ),
        ("admins: [me]", "aws iam get-role --role-name NAME --query Role.Arn"),
        (
            "admins: [arn:aws:sts::123456789012:assumed-role/Dev/me]",
            "its role is arn:aws:iam::123456789012:role/Dev",
        ),
        ("logging: [api, api]", "logging[1]: log 'api' is listed twice"),
        ("logging: [audits]", "did you mean audit?"),
        ("log_days: 31", "log_days: must be one of 1, 3, 5, 7, 14, 30"),
        ("support: forever", "support: must be one of 'standard' or 'extended'"),
        ("tags: {aws:x: y}", "tags.aws:x: the prefix aws: is reserved by the cloud"),
        ("tags: {Name: y}", "tags.Name: clusterkit and Kubernetes set this tag"),
        ("tags: {a: 'b?'}", "tags.a: allows only letters, digits, spaces and"),
        (f"tags: {{{'k' * 129}: y}}", "the key must have 1 to 128 characters, has 129"),
        (f"tags: {{a: {'v' * 257}}}", "the value must have at most 256 characters, has 257"),
        (
            f"tags: {{{', '.join(f'k{n}: v' for n in range(41))}}}",
            "tags: has 41 tags, at most 40 are allowed",
        ),
        ("registry: {name: Demo, repositories: [a]}", "registry.name: must be a repository name"),
        (
            "registry: {name: a, repositories: [b..c]}",
            "registry.repositories[0]: must be a repository",
        ),
        (
            f"registry: {{name: a, repositories: [{'b' * 250}]}}",
            "has 258 characters, ECR allows at most 256",
        ),
        (
            "registry: {name: a, repositories: [b], push: [kaniko]}",
            "a service account as namespace/name",
        ),
        (
            "registry: {name: a, repositories: [b], push: nodes}",
            "registry.push: must be one of 'node' or 'secret', is",
        ),
        (
            "registry: {name: a, repositories: [b], push: 7}",
            "registry.push: must be a list of service",
        ),
        ("registry: {name: a, repositories: [b], cache_days: 0}", "cache_days: must be at least 1"),
    ],
)
def test_refused(tmp_path: Path, more: str, what: str) -> None:
    assert what in said(tmp_path, f"{GOOD}{more}\n")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("labels: {node-role.kubernetes.io/ci: x}", "EKS reserves the prefixes kubernetes.io/"),
        ("labels: {ci: ''}", "labels.ci: is empty, but EKS requires a value"),
        (f"labels: {{{'p' * 40}.io/{'n' * 30}: x}}", "EKS allows keys of at most 63 characters"),
        (
            "taints: [{key: eks.amazonaws.com/x, effect: PreferNoSchedule}]",
            "taints[0].key: EKS reserves",
        ),
        ("disk: {size: 19}", "pools[0].disk.size: must be at least 20, is the number 19"),
        ("disk: {type: io2}", "pools[0].disk.type: must be 'gp3', is 'io2'"),
        ("max_unavailable: 101", "max_unavailable: must be at most 100"),
    ],
)
def test_refused_in_a_pool(tmp_path: Path, more: str, what: str) -> None:
    assert what in said(tmp_path, GOOD.replace("xlarge}", f"xlarge, {more}}}"))


def test_a_list_of_ranges_without_a_way_from_inside_an_existing_vpc(tmp_path: Path) -> None:
    network = (
        "network: {existing: {vpc: vpc-01234567, subnets: [subnet-01234567, subnet-89abcdef]}}"
    )
    open_to = "endpoint: {private: false, allowed: [8.8.8.0/24]}"
    found = loaded(tmp_path, f"{GOOD}{network}\n{open_to}\n")
    assert "endpoint.private" in [each.where for each in found.warnings()]


@pytest.mark.parametrize(
    ("partition", "ec2"),
    [
        ("aws", "ec2.amazonaws.com"),
        ("aws-us-gov", "ec2.amazonaws.com"),
        ("aws-cn", "ec2.amazonaws.com.cn"),
        ("aws-iso", "ec2.c2s.ic.gov"),
    ],
)
def test_nodes_are_trusted_by_the_name_ec2_has_in_the_partition(partition: str, ec2: str) -> None:
    assert trust(EC2, partition)["Statement"][0]["Principal"] == {"Service": ec2}
    eks = trust("eks.amazonaws.com", partition)
    assert eks["Statement"][0]["Principal"] == {"Service": "eks.amazonaws.com"}


def test_several_instance_types(tmp_path: Path) -> None:
    def machine(types: list[str]) -> str:
        return GOOD.replace("m7i.xlarge", f"[{', '.join(types)}]")

    (pool,) = loaded(tmp_path, machine(["m7i.xlarge", "m7a.xlarge"])).pools
    assert pool.types == ("m7i.xlarge", "m7a.xlarge")
    assert machine_text(pool) == "m7i.xlarge+m7a.xlarge"
    (pool,) = loaded(tmp_path, machine(["m7i.xlarge"])).pools
    assert pool.machine == "m7i.xlarge"
    many = [f"m{n}i.large" for n in range(1, 22)]
    (pool,) = loaded(tmp_path, machine(many[:20])).pools
    assert len(machine_text(pool)) <= LONGEST_TEXT
    what = "a pool takes at most 20 machine types on EKS, here are 21 | name fewer"
    assert what in said(tmp_path, machine(many))


@pytest.mark.parametrize(
    ("region", "right"),
    [
        ("eu-west-1", True),
        ("us-gov-west-1", True),
        ("cn-northwest-1", True),
        ("eusc-de-east-1", True),
        ("ap-southeast-7", True),
        ("mx-central-1", True),
        ("eu-west-1a", False),
        ("europe-west1", False),
        ("ap-southeast", False),
        ("EU-WEST-1", False),
    ],
)
def test_regions(tmp_path: Path, region: str, right: bool) -> None:
    text = GOOD.replace("eu-west-1", region)
    if right:
        assert loaded(tmp_path, text).region == region
    else:
        assert "region: must be an AWS region" in said(tmp_path, text)


def test_a_zone_is_not_a_region(tmp_path: Path) -> None:
    assert "its region is eu-west-1" in said(tmp_path, GOOD.replace("eu-west-1", "eu-west-1a"))


@pytest.mark.parametrize(
    ("machine", "right"),
    [
        ("m7i.xlarge", True), ("c7g.metal", True), ("m7i.metal-24xl", True), ("t3.nano", True),
        ("u7i-12tb.224xlarge", True), ("m7i-flex.large", True), ("p5.48xlarge", True),
        ("ecs.g7.xlarge", False), ("e2-standard-4", False), ("Standard_D4s_v5", False),
        ("m7i", False), ("m7i.", False), ("M7i.large", False),
    ],
)  # fmt: skip
def test_instance_types(tmp_path: Path, machine: str, right: bool) -> None:
    text = GOOD.replace("m7i.xlarge", machine)
    if right:
        assert loaded(tmp_path, text).pools[0].machine == machine
    else:
        assert "pools[0].machine: must be an EC2 instance type" in said(tmp_path, text)


VPC = "vpc: vpc-0123456789abcdef0"
TWO = "subnets: [subnet-01234567, subnet-0123456789abcdef0]"


def test_an_existing_network(tmp_path: Path) -> None:
    network = f"network: {{existing: {{{VPC}, {TWO}}}, services: 10.0.0.0/20}}\n"
    profile = loaded(tmp_path, GOOD + network)
    assert profile.network.existing
    assert profile.network.existing.vpc == "vpc-0123456789abcdef0"


@pytest.mark.parametrize(
    ("network", "what"),
    [
        (
            f"{{existing: {{{VPC}, {TWO}}}, nat: true}}",
            "network.nat: cannot be combined with network.existing",
        ),
        (
            f"{{existing: {{{VPC}, {TWO}}}, zones: 2}}",
            "network.zones: cannot be combined with network.existing",
        ),
        (
            f"{{existing: {{{VPC}, subnets: [subnet-01234567]}}}}",
            "subnets: needs at least 2, has 1",
        ),
        (
            f"{{existing: {{{VPC}, subnets: [subnet-01234567, subnet-01234567]}}}}",
            "is listed twice",
        ),
        (f"{{existing: {{vpc: my-vpc, {TWO}}}}}", "must be the id of a VPC, vpc-…, is 'my-vpc'"),
    ],
)
def test_an_existing_network_refused(tmp_path: Path, network: str, what: str) -> None:
    assert what in said(tmp_path, f"{GOOD}network: {network}\n")


@pytest.mark.parametrize(
    ("given", "meant"), [("true", "one"), ("false", "none"), ("per-zone",) * 2]
)
def test_nat(tmp_path: Path, given: str, meant: str) -> None:
    assert loaded(tmp_path, f"{GOOD}network: {{nat: {given}}}\n").network.nat == meant


@pytest.mark.parametrize(
    ("push", "ready", "accounts"),
    [
        ("[]", "{}", ()),
        ("[b/b, a/a]", "{}", ("a/a", "b/b")),
        ("[builds/kaniko]", "{kaniko: {}}", ("builds/kaniko",)),
        (
            "[a/a]",
            "{kaniko: {namespace: ci, service_account: builder}, "
            'jenkins_x: {git_url: "https://github.com/a/b"}}',
            ("a/a", "ci/builder", "jx/tekton-bot"),
        ),
        ("node", "{kaniko: {}}", ()),
    ],
)
def test_who_may_push(tmp_path: Path, push: str, ready: str, accounts: tuple[str, ...]) -> None:
    text = f"{GOOD}registry: {{name: a, repositories: [b], push: {push}}}\nready: {ready}\n"
    assert loaded(tmp_path, text).push_accounts == accounts


def test_the_shipped_profile_of_jenkins_x(tmp_path: Path) -> None:
    jenkins_x = loaded(tmp_path, SHIPPED.read_text())
    assert jenkins_x.name == "jx-demo"
    assert jenkins_x.push_accounts == ("builds/kaniko", "jenkins/kaniko", "jx/tekton-bot")
    assert jenkins_x.build_accounts == ("builds/kaniko", "jenkins/kaniko")
    assert (jenkins_x.pools[0].minimum, jenkins_x.pools[0].maximum) == (3, 5)

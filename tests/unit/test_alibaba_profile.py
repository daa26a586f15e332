"""What Alibaba Cloud would refuse is refused offline, the article of 2019 is answered field by
field, and what is shipped validates.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusterkit.alibaba.fields import mainland
from clusterkit.alibaba.graph import graph
from clusterkit.alibaba.iam import Role
from clusterkit.alibaba.network import VpcState, VSwitchState
from clusterkit.alibaba.nodes import NodePool, user_data
from clusterkit.alibaba.preflight import Facts
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.registry import servers
from clusterkit.clouds import CLOUDS, model
from clusterkit.engine.kind import closure
from clusterkit.engine.preflight import MachineType
from clusterkit.errors import ProfileError
from clusterkit.profile.model import load
from clusterkit.ready.registry import RegistryLogin

GOOD = """\
cloud: alibaba
name: demo
region: ap-southeast-1
pools:
  - {name: default, machine: ecs.g7.xlarge}
"""
SHIPPED = Path(__file__).parents[2] / "profiles" / "alibaba-jenkins-x.yaml"
POST = """\
{
    "name": "jx-rocks",
    "cluster_type": "ManagedKubernetes",
    "disable_rollback": true,
    "timeout_mins": 60,
    "region_id": "${REGION}",
    "zoneid": "${REGION}a",
    "snat_entry": true,
    "cloud_monitor_flags": false,
    "public_slb": true,
    "worker_instance_type": "ecs.c4.xlarge",
    "num_of_nodes": 3,
    "worker_system_disk_category": "cloud_efficiency",
    "worker_system_disk_size": 120,
    "worker_instance_charge_type": "PostPaid",
    "vpcid": "${VPC}",
    "vswitchid": "${VSWITCH}",
    "container_cidr": "172.20.0.0/16",
    "service_cidr": "172.21.0.0/20",
    "key_pair": "jx"
}
"""


def loaded(folder: Path, text: str) -> AlibabaProfile:
    path = folder / "profile.yaml"
    path.write_text(text)
    profile = load(path, model, CLOUDS)
    assert isinstance(profile, AlibabaProfile)
    return profile


def said(folder: Path, text: str) -> list[str]:
    with pytest.raises(ProfileError) as error:
        loaded(folder, text)
    return [f"{finding.what} | {finding.hint}" for finding in error.value.findings]


def test_the_article_of_2019_is_answered_field_by_field(tmp_path: Path) -> None:
    """Typed as it stands: every field that is said differently names today's."""
    told = {line.partition(":")[0]: line for line in said(tmp_path, POST)}
    old = {line.split('"')[1] for line in POST.splitlines() if '"' in line} - {"name"}
    assert told.keys() == old | {"cloud", "region", "pools"}
    for field, today in (
        ("zoneid", "network: {zones: 2}"),
        ("public_slb", "endpoint: {public: true}"),
        ("snat_entry", "network: {nat: true}"),
        ("worker_instance_type", "machine: {cpu: 4, memory: 8}"),
        ("num_of_nodes", "count: 3"),
        ("worker_system_disk_category", "disk: {type: cloud_essd}"),
        ("worker_system_disk_size", "disk: {size: 120}"),
        ("vswitchid", "existing: {vpc: …, vswitches: […]}"),
        ("container_cidr", "network: {pods: 172.20.0.0/16}"),
        ("service_cidr", "network: {services: 172.21.0.0/20}"),
        ("key_pair", "ssh_key: ~/.ssh/id_ed25519.pub"),
        ("region_id", "region: ap-southeast-1"),
        ("cluster_type", "edition: pro or standard"),
    ):
        assert "is not a known key" in told[field]
        assert today in told[field]


def test_an_outdated_field_in_a_profile_of_today(tmp_path: Path) -> None:
    (told,) = said(tmp_path, f"{GOOD}num_of_nodes: 3\n")
    assert "pools: [{name: default, count: 3}]" in told


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (
            "edition: dedicated",
            "edition: cannot be dedicated | ACK no longer creates",
        ),
        (
            "edition: serverless",
            "edition: cannot be serverless | ACK Serverless has been closed to new",
        ),
        ("edition: basic", "edition: must be pro or standard"),
        ("network: {zones: 5}", "network.zones: must be 1 to 4 zones, is 5"),
        ("network: {zones: [ap-southeast-1-a]}", "is not a zone of ap-southeast-1, such as ap-sou"),
        ("network: {nat: per-zone}", "network.nat: cannot be per-zone"),
        ("network: {cidr: 172.16.0.0/12}", "network.cidr: must be between /16 and /24"),
        ("network: {cidr: 100.64.0.0/16}", "network.cidr: 100.64.0.0/16 is reserved"),
        ("network: {cidr: 172.20.0.0/16}", "network.pods: the default 172.20.0.0/16 overlaps cidr"),
        (
            "network: {pods: 172.21.0.0/16}",
            "network.services: the default 172.21.0.0/20 overlaps pods",
        ),
        ("network: {pods: 100.64.0.0/16}", "network.pods: 100.64.0.0/16 is not a private range"),
        ("network: {services: 172.22.0.0/25}", "network.services: must be between /16 and /24"),
        (
            "network: {plugin: terway, pods: 172.22.0.0/16}",
            "network.pods: cannot be combined with plugin: terway",
        ),
        ("network: {plugin: calico}", "must be one of 'flannel' or 'terway', is 'calico'"),
        ("endpoint: {private: false}", "endpoint.private: cannot be false on ACK"),
        ("tags: {'acs:a': b}", "tags.acs:a: the prefix acs: is reserved by the cloud"),
        ("tags: {a: 'https://b'}", "may not contain http:// or https://"),
        (
            f"tags: {{{', '.join(f'k{n}: v' for n in range(13))}}}",
            "tags: has 13 tags, at most 12 are allowed",
        ),
        ("registry: {instance: cri-1, name: a, repositories: [b]}", "Enterprise Edition instance"),
        (
            "registry: {host: registry.example.com, name: a, repositories: [b]}",
            "registry.host: must be a host name such as crpi-",
        ),
        (
            "registry: {instance: cri-12345678, name: a, repositories: [b], "
            "host: crpi-1.ap-southeast-1.personal.cr.aliyuncs.com}",
            "registry.host: cannot be combined with instance",
        ),
        ("registry: {instance: cri-12345678, name: A, repositories: [b]}", "must be a namespace"),
        (
            "registry: {instance: cri-12345678, name: a, repositories: [b/c]}",
            "must be a repos",
        ),
        (
            "registry: {name: a, repositories: [b, b-cache]}",
            "registry.repositories[1]: 'b-cache' is the name of the layer cache",
        ),
        ("mirror: https://registry.example.com", "mirror: must be a registry without https://"),
    ],
)
def test_refused(tmp_path: Path, more: str, what: str) -> None:
    (told,) = said(tmp_path, f"{GOOD}{more}\n")
    assert what in told


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("disk: {size: 19}", "pools[0].disk.size: must be at least 20, is the number 19"),
        ("disk: {size: 2049}", "pools[0].disk.size: must be at most 2048"),
        ("disk: {type: cloud_efficiency}", "must be one of 'cloud_essd', 'cloud_auto' or"),
        ("machine: m7i.large", "must be an ECS instance type"),
        (
            f"machine: [{', '.join(f'ecs.g{n}.large' for n in range(11))}]",
            "a pool takes at most 10 machine types on ACK, here are 11 | name fewer",
        ),
    ],
)
def test_refused_in_a_pool(tmp_path: Path, more: str, what: str) -> None:
    text = GOOD.replace("machine: ecs.g7.xlarge", more)
    if "machine" not in more:
        text = GOOD.replace("xlarge}", f"xlarge, {more}}}")
    (told,) = said(tmp_path, text)
    assert what in told


@pytest.mark.parametrize(("most", "room"), [(4, True), (5, False)])
def test_each_node_has_a_range_of_its_own(tmp_path: Path, most: int, room: bool) -> None:
    text = GOOD.replace("xlarge}", f"xlarge, count: {{min: 1, max: {most}}}}}")
    text = f"{text}network: {{pods: 172.24.0.0/24}}\n"
    if room:
        loaded(tmp_path, text)
        return
    (told,) = said(tmp_path, text)
    wanted = "network.pods: 172.24.0.0/24 has room for 4 nodes, a /26 each, but the pools have 5"
    assert wanted in told


def test_a_standard_cluster_is_small(tmp_path: Path) -> None:
    text = GOOD.replace("xlarge}", "xlarge, count: {min: 1, max: 11}}")
    (told,) = said(tmp_path, f"{text}edition: standard\n")
    assert "at most 10 nodes, but the pools ask for 11 | edition: pro" in told


@pytest.mark.parametrize(
    ("region", "right", "inland"),
    [
        ("ap-southeast-1", True, False),
        ("us-east-1", True, False),
        ("cn-hangzhou", True, True),
        ("cn-beijing-finance-1", True, True),
        ("cn-north-2-gov-1", True, True),
        ("cn-hongkong", True, False),
        ("me-central-1", True, False),
        ("ap-southeast-1a", False, False),
        ("cn-hangzhou-h", False, True),
        ("europe-west1", False, False),
    ],
)
def test_regions(tmp_path: Path, region: str, right: bool, inland: bool) -> None:
    text = GOOD.replace("ap-southeast-1", region)
    if right:
        assert loaded(tmp_path, text).region == region
    else:
        assert "region: must be an Alibaba Cloud region" in said(tmp_path, text)[0]
    assert mainland(region) == inland


def test_a_zone_is_not_a_region(tmp_path: Path) -> None:
    for zone, region in (
        ("ap-southeast-1a", "ap-southeast-1"),
        ("cn-hangzhou-h", "cn-hangzhou"),
        ("cn-shanghai-finance-1k", "cn-shanghai-finance-1"),
    ):
        (told,) = said(tmp_path, GOOD.replace("ap-southeast-1", zone))
        assert f"its region is {region}" in told


def test_zones_of_finance_regions(tmp_path: Path) -> None:
    zones = ["cn-shanghai-finance-1g", "cn-shanghai-finance-1k"]
    text = GOOD.replace("ap-southeast-1", "cn-shanghai-finance-1")
    loaded(tmp_path, f"{text}network: {{zones: [{', '.join(zones)}]}}\n")
    (told,) = said(tmp_path, f"{text}network: {{zones: [cn-shanghai-finance-1-k]}}\n")
    assert "is not a zone of cn-shanghai-finance-1, such as cn-shanghai-finance-1b" in told


VPC, VSW = "vpc-t4nszyte14vie746aaaaa", "vsw-t4n7uxycbwgtg14maaaaa"


@pytest.mark.parametrize(
    ("network", "what"),
    [
        (
            f"{{existing: {{vpc: {VPC}, vswitches: [{VSW}]}}, nat: true}}",
            "network.nat: cannot be combined with network.existing",
        ),
        (f"{{existing: {{vpc: {VPC}, vswitches: []}}}}", "needs at least 1, has 0"),
        (f"{{existing: {{vpc: x, vswitches: [{VSW}]}}}}", "must be the id of a VPC"),
        (
            f"{{plugin: terway, existing: {{vpc: {VPC}, vswitches: [{VSW}]}}}}",
            "pod_vswitches: must be set with plugin: terway",
        ),
    ],
)
def test_an_existing_network_refused(tmp_path: Path, network: str, what: str) -> None:
    assert what in said(tmp_path, f"{GOOD}network: {network}\n")[0]


FACTS = Facts(
    account="1234567890123456",
    version="1.35.7-aliyun.1",
    zones=("ap-southeast-1a", "ap-southeast-1b"),
    pools={"default": (MachineType("ecs.g7.xlarge"), MachineType("ecs.g6.xlarge"))},
    nat_zones=frozenset({"ap-southeast-1b"}),
    registry=("demo-registry-vpc.ap-southeast-1.cr.aliyuncs.com",),
)


def kinds(profile: AlibabaProfile, facts: Facts = FACTS) -> list[str]:
    return sorted(resource.kind for resource in closure(graph(profile, facts)))


def test_the_graph_of_the_least_profile(tmp_path: Path) -> None:
    found = kinds(loaded(tmp_path, GOOD))
    assert found == sorted(
        ["cluster", "eip", "key-pair", "nat-gateway", "node-pool", "security-group"]
        + ["storage-class", "vpc"]
        + ["vswitch"] * 2
    )


def test_the_nat_gateway_lies_where_there_are_nat_gateways(tmp_path: Path) -> None:
    resources = {r.key: r for r in closure(graph(loaded(tmp_path, GOOD), FACTS))}
    assert resources["nat-gateway/main"].vswitch.name == "nodes-b"  # type: ignore[attr-defined]


def test_terway_has_vswitches_for_its_pods(tmp_path: Path) -> None:
    profile = loaded(tmp_path, f"{GOOD}network: {{plugin: terway}}\n")
    resources = {r.key: r for r in closure(graph(profile, FACTS))}
    cluster = resources["cluster/demo"]
    assert [v.name for v in cluster.pod_vswitches] == ["pods-a", "pods-b"]  # type: ignore[attr-defined]
    assert cluster.pods is None  # type: ignore[attr-defined]
    assert "terway-eniip" in cluster.addons  # type: ignore[attr-defined]
    cidrs = [r.cidr for r in resources.values() if r.kind == "vswitch"]  # type: ignore[attr-defined]
    assert len(set(cidrs)) == 4


def test_an_existing_network_is_only_used(tmp_path: Path) -> None:
    text = f"{GOOD}network: {{existing: {{vpc: {VPC}, vswitches: [{VSW}]}}}}\n"
    given = VSwitchState(id=VSW, cidr="10.9.0.0/24", zone="ap-southeast-1a")
    facts = Facts(
        account="1",
        version="1.35.7-aliyun.1",
        zones=("ap-southeast-1a",),
        pools=FACTS.pools,
        vpc=VpcState(id=VPC, cidr="10.9.0.0/16"),
        vswitches={VSW: given},
    )
    found = kinds(loaded(tmp_path, text), facts)
    assert not {"vpc", "vswitch", "nat-gateway", "eip"} & set(found)
    assert found.count("existing") == 2


def test_who_pushes_gets_a_role_and_a_login(tmp_path: Path) -> None:
    more = "registry: {instance: cri-0123456789abcdef, name: demo, repositories: [app]}\n"
    ready = "ready: {kaniko: {}, jenkins_x: {git_url: https://github.com/a/b}}\n"
    profile = loaded(tmp_path, GOOD + more + ready)
    assert profile.push_accounts == ("builds/kaniko", "jx/tekton-bot")
    found = kinds(profile)
    assert [found.count(k) for k in ("repository", "role", "namespace", "service-account")] == [
        2, 1, 1, 1,
    ]  # fmt: skip
    assert (found.count("registry-login"), found.count("registry-auth")) == (1, 1)
    [role] = [each for each in closure(graph(profile, FACTS)) if isinstance(each, Role)]
    assert role.accounts == ("builds/kaniko",)  # Jenkins X has a password


def test_without_an_instance_the_registry_is_the_personal_edition(tmp_path: Path) -> None:
    more = "registry: {name: demo, repositories: [app]}\nready: {kaniko: {}}\n"
    resources = {r.key: r for r in closure(graph(loaded(tmp_path, GOOD + more), FACTS))}
    found = [key for key in resources if "repository" in key]
    assert sorted(found) == [f"personal-repository/demo/app{end}" for end in ("", "-cache")]
    login = resources["registry-login/builds/regcred"]
    assert isinstance(login, RegistryLogin)
    assert resources["personal-repository/demo/app"] in login.after
    policy = json.loads(resources["role/push"].policy)  # type: ignore[attr-defined]
    allowed = {s["Resource"]: s["Action"] for s in policy["Statement"]}
    account = f"acs:cr:ap-southeast-1:{FACTS.account}"
    assert "cr:PushRepository" in allowed[f"{account}:repository/demo/*"]
    assert "cr:GetAuthorizationToken" in allowed[f"{account}:*"]


@pytest.mark.parametrize(
    ("host", "names"),
    [
        (None, ["registry-vpc.eu-central-1.aliyuncs.com", "registry.eu-central-1.aliyuncs.com"]),
        (
            "registry-intl.ap-southeast-1.aliyuncs.com",
            [f"registry-intl{vpc}.ap-southeast-1.aliyuncs.com" for vpc in ("-vpc", "")],
        ),
        (
            "crpi-1a-vpc.cn-hangzhou.personal.cr.aliyuncs.com",
            [f"crpi-1a{vpc}.cn-hangzhou.personal.cr.aliyuncs.com" for vpc in ("-vpc", "")],
        ),
    ],
)
def test_host_names_of_the_personal_edition(host: str | None, names: list[str]) -> None:
    assert list(servers("eu-central-1", host)) == names


def test_another_mirror_is_another_pool(tmp_path: Path) -> None:
    def pool(more: str) -> NodePool:
        profile = loaded(tmp_path, GOOD + more)
        return next(r for r in graph(profile, FACTS) if isinstance(r, NodePool))

    pools = [pool(more) for more in ("", "mirror: a.example.com\n", "mirror: b.example.com\n")]
    assert len({made.name for made in pools}) == 3
    plain, first, _ = (made._kubernetes() for made in pools)
    assert "user_data" not in plain
    assert first["user_data"] == user_data("a.example.com")


def test_another_disk_is_another_pool_and_another_count_is_not(tmp_path: Path) -> None:
    def name(more: str) -> str:
        profile = loaded(tmp_path, GOOD.replace("xlarge}", f"xlarge{more}}}"))
        (pool,) = (r for r in graph(profile, FACTS) if isinstance(r, NodePool))
        return pool.name

    same = {name(""), name(", count: 5"), name(", labels: {a: b}")}
    assert len(same) == 1
    assert not {name(", disk: {size: 100}"), name(", spot: true")} & same


def test_the_shipped_profile_of_jenkins_x(tmp_path: Path) -> None:
    jenkins_x = loaded(tmp_path, SHIPPED.read_text())
    assert (jenkins_x.name, jenkins_x.region) == ("jx-rocks", "ap-southeast-1")
    assert (jenkins_x.pools[0].minimum, jenkins_x.pools[0].disk.size) == (3, 120)

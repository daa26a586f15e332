"""Container Service of the emulated Alibaba Cloud: clusters, node pools, tasks, add-ons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.faults import Rule
from tests.sandbox.aliyun import REGION, ZONES, Aliyun, account, anew, eventually, refused
from tests.sandbox.test_alibaba_lifecycle import core

CREATE = "cs:CreateCluster"
MIB = {"key": "dedicated", "value": "builds", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


# -- the account ---------------------------------------------------------------------------------


def test_an_account_that_has_never_used_it(cloud: Aliyun) -> None:
    cloud.cloud.store.conditions.activated = False
    cloud.sandbox.reset()
    asked = cloud.wanted()
    with refused("ErrorNotEnabled"):
        cloud(CREATE, **asked)
    cloud.cloud.store.conditions.solvent = False
    with refused("RISK.RISK_CONTROL_REJECTION"):
        cloud("cs:OpenAckService", type="propayasgo")
    cloud.cloud.store.conditions.solvent = True
    assert cloud("cs:OpenAckService", type="propayasgo")["order_id"]
    with refused("ErrManagedKuberneteRoleNotAttach") as message:
        cloud(CREATE, **asked)
    trust = json.dumps(
        {
            "Version": "1",
            "Statement": [
                {"Action": "sts:AssumeRole", "Effect": "Allow",
                 "Principal": {"Service": ["cs.aliyuncs.com"]}}
            ],
        }
    )  # fmt: skip
    for role in message[0].partition(": ")[2].split(", "):
        cloud("ram:CreateRole", RoleName=role, AssumeRolePolicyDocument=trust)
        granted = cloud("cs:CheckServiceRole", roles=[{"name": role}])["roles"][0]
        assert not granted["granted"], "a role without its policy does not do"
        cloud(
            "ram:AttachPolicyToRole",
            RoleName=role, PolicyType="System", PolicyName=f"{role}Policy",
        )  # fmt: skip
    cloud.done(cloud(CREATE, **asked)["task_id"])


def test_versions(cloud: Aliyun) -> None:
    asked = {"Region": REGION, "ClusterType": "ManagedKubernetes"}
    found = cloud("cs:DescribeKubernetesVersionMetadata", **asked, Mode="creatable")
    assert [v["creatable"] for v in found] == [True] * 3
    every = cloud("cs:DescribeKubernetesVersionMetadata", **asked, Mode="supported")
    assert len(every) > 3
    one = cloud(
        "cs:DescribeKubernetesVersionMetadata",
        **asked, KubernetesVersion=found[1]["version"], QueryUpgradableVersion=True,
    )  # fmt: skip
    assert one[0]["upgradable_versions"] == [found[0]["version"]]


# -- clusters that cannot be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        ({"name": "-demo"}, "InvalidParameter", "-demo"),
        ({"region_id": "mars-1"}, "InvalidRegionId.NotFound", ""),
        ({"cluster_type": "Kubernetes"}, "InvalidParameter", "no longer"),
        ({"profile": "Serverless"}, "InvalidParameter", "Serverless"),
        ({"cluster_spec": "ack.free"}, "InvalidParameter", "ack.pro.small"),
        ({"kubernetes_version": "1.35"}, "InvalidParameter", "1.35"),
        ({"kubernetes_version": "1.33.9-aliyun.1"}, "InvalidParameter", "1.33"),
        ({"vswitch_ids": []}, "MissingParameter", "vswitch_ids"),
        ({"vswitch_ids": ["vsw-none"]}, "InvalidVSwitchId.NotFound", "vsw-none"),
        ({"vpcid": "vpc-none"}, "InvalidVpcId.NotFound", ""),
        ({"addons": []}, "InvalidParameter", "flannel"),
        ({"addons": [{"name": "calico"}]}, "AddonNotFound", "calico"),
        ({"addons": [{"name": "flannel"}, {"name": "terway-eniip"}]}, "InvalidParameter", ""),
        ({"addons": [{"name": "terway-eniip"}]}, "MissingPodVswitchIds", ""),
        ({"container_cidr": None}, "MissingParameter", "container_cidr"),
        ({"container_cidr": "192.168.0.0/16"}, "InvalidParameter", "the VPC"),
        ({"container_cidr": "10.20.0.0/16"}, "InvalidParameter", "service_cidr"),
        ({"container_cidr": "8.0.0.0/16"}, "InvalidParameter", ""),
        ({"service_cidr": "192.168.0.0/20"}, "InvalidParameter", "the VPC"),
        ({"service_cidr": "10.0.0.0/8"}, "InvalidParameter", ""),
        ({"tags": [{"key": "acs:x", "value": ""}]}, "InvalidTagKey.Malformed", ""),
    ],
)
def test_clusters_that_cannot_be(cloud: Aliyun, more: dict[str, Any], code: str, text: str) -> None:
    asked = cloud.wanted() | more
    with refused(code) as message:
        cloud(CREATE, **asked)
    assert text in message[0]
    assert "Cluster" not in cloud.cloud.store.counts()


def test_names_and_networks_of_neighbours(cloud: Aliyun) -> None:
    first = cloud.cluster()
    asked = cloud.wanted(vswitches=first["vswitch_ids"])
    with refused("ClusterNameAlreadyExist"):
        cloud(CREATE, **asked)
    asked["name"] = "other"
    with refused("InvalidParameter") as message:
        cloud(CREATE, **asked)
    assert "demo" in message[0]
    with refused("InvalidParameter"):
        cloud(CREATE, **asked | {"service_cidr": "10.21.0.0/20"})
    cloud.cluster("other", vswitches=first["vswitch_ids"], service_cidr="10.21.0.0/20",
                  container_cidr="10.11.0.0/16")  # fmt: skip


def test_quotas(cloud: Aliyun) -> None:
    standard = {"cluster_spec": "ack.standard"}
    cloud.cloud.store.conditions.quotas["standard-cluster"] = 1
    cluster = cloud.cluster(**standard)
    asked = cloud.wanted("more") | standard
    with refused("QuotaExceeded.Cluster"):
        cloud(CREATE, **asked)
    with refused("QuotaExceeded"):
        cloud.pool(cluster, desired_size=11)
    assert cloud("cs:DescribeUserQuota")["cluster_quota"] == 50


# -- clusters ------------------------------------------------------------------------------------


def test_what_a_cluster_is(cloud: Aliyun) -> None:
    cluster = cloud.cluster(
        rrsa_config={"enabled": True}, tags=[{"key": "clusterkit-cluster", "value": "demo"}]
    )
    identifier = cluster["cluster_id"]
    assert cluster["rrsa_config"]["oidc_arn"].endswith(f":oidc-provider/ack-rrsa-{identifier}")
    assert cluster["tags"] == [{"key": "clusterkit-cluster", "value": "demo"}]
    assert set(json.loads(cluster["master_url"])) == {
        "api_server_endpoint", "intranet_api_server_endpoint",
    }  # fmt: skip
    for listed in (
        cloud("cs:DescribeClustersV1", name="em")["clusters"],
        cloud("cs:DescribeClustersForRegion", REGION)["clusters"],
    ):
        assert [c["cluster_id"] for c in listed] == [identifier]
    assert cloud("cs:DescribeClustersV1", name="other")["page_info"]["total_count"] == 0
    assert cloud("cs:DescribeClustersForRegion", "eu-central-1")["clusters"] == []
    kinds = {r["resource_type"] for r in cloud("cs:DescribeClusterResources", identifier)}
    assert kinds >= {
        "ALIYUN::ECS::SecurityGroup", "ALIYUN::SLB::LoadBalancer", "ALIYUN::VPC::EIP",
        "ALIYUN::RAM::Role", "ALIYUN::ECS::VPC",
    }  # fmt: skip


def test_the_same_token_makes_one_cluster(cloud: Aliyun) -> None:
    asked = cloud.wanted() | {"client_token": "one"}
    first, again = (cloud(CREATE, **asked) for _ in range(2))
    assert first["cluster_id"] == again["cluster_id"]
    assert cloud("cs:DescribeClustersV1")["page_info"]["total_count"] == 1


def test_a_cluster_takes_its_time(cloud: Aliyun, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = cloud.wanted()
    monkeypatch.setattr(cloud.sandbox.pace, "factor", 200.0)
    made = cloud(CREATE, **asked)
    identifier = made["cluster_id"]
    assert cloud("cs:DescribeClusterDetail", identifier)["state"] == "initial"
    assert cloud("cs:DescribeTaskInfo", made["task_id"])["state"] == "running"
    with refused("InvalidStatus.Forbidden"):
        cloud("cs:DeleteCluster", identifier)
    with refused("InvalidStatus.Forbidden"):
        cloud("cs:DescribeClusterUserKubeconfig", identifier)
    cluster = {"cluster_id": identifier, "vswitch_ids": asked["vswitch_ids"]}
    with refused("InvalidStatus.Forbidden"):
        cloud.pool(cluster)
    cloud.done(made["task_id"])
    pool = cloud.pool(cluster)
    state = cloud("cs:DescribeClusterNodePools", identifier)["nodepools"][0]["status"]
    assert (state["state"], state["initial_nodes"]) == ("scaling", 2)
    with refused("DependencyViolation.Resource"):
        cloud("cs:DeleteCluster", identifier)
    cloud.done(pool["task_id"])
    gone = cloud("cs:DeleteCluster", identifier)
    assert cloud("cs:DescribeClusterDetail", identifier)["state"] == "deleting"
    cloud.done(gone["task_id"])


def test_a_cluster_changes(cloud: Aliyun, tmp_path: Path) -> None:
    cluster = cloud.cluster(endpoint_public_access=False)
    identifier = cluster["cluster_id"]
    with refused("InvalidParameter"):
        cloud("cs:DescribeClusterUserKubeconfig", identifier)
    with refused("InvalidParameter.ApiServerEipId"):
        cloud("cs:ModifyCluster", identifier, api_server_eip=True)
    eip = cloud("vpc:AllocateEipAddress", RegionId=REGION)
    for change in (
        {"deletion_protection": True, "cluster_name": "renamed"},
        {"api_server_eip": True, "api_server_eip_id": eip["AllocationId"]},
        {"enable_rrsa": True},
        {"vswitch_ids": list(reversed(cluster["vswitch_ids"]))},
    ):
        cloud.done(cloud("cs:ModifyCluster", identifier, **change)["task_id"])
    found = cloud("cs:DescribeClusterDetail", identifier)
    assert (found["name"], found["rrsa_config"]["enabled"]) == ("renamed", True)
    assert found["vswitch_ids"] == list(reversed(cluster["vswitch_ids"]))
    with refused("InvalidVSwitchId.NotFound"):
        cloud("cs:ModifyCluster", identifier, vswitch_ids=cloud.network("10.9")[1])
    assert eip["EipAddress"] in found["master_url"]
    assert core(cloud, identifier, tmp_path).list_namespace().items
    with refused("IncorrectEipStatus"):
        cloud("vpc:ReleaseEipAddress", RegionId=REGION, AllocationId=eip["AllocationId"])
    with refused("InvalidParameter"):
        cloud("cs:ModifyCluster", identifier, enable_rrsa=False)
    with refused("Sandbox.NotImplemented", 501):
        cloud("cs:ModifyCluster", identifier, timezone="UTC")
    with refused("InvalidOperation.DeletionProtection"):
        cloud("cs:DeleteCluster", identifier)
    cloud.done(
        cloud("cs:ModifyCluster", identifier, deletion_protection=False, api_server_eip=False)[
            "task_id"
        ]
    )
    # the address was the user's own, and stays
    cloud("vpc:ReleaseEipAddress", RegionId=REGION, AllocationId=eip["AllocationId"])
    cloud.done(cloud("cs:DeleteCluster", identifier)["task_id"])


def test_a_cluster_is_upgraded(cloud: Aliyun) -> None:
    cluster = cloud.cluster(kubernetes_version="1.34.10-aliyun.1")
    identifier = cluster["cluster_id"]
    with refused("InvalidParameter"):
        cloud("cs:UpgradeCluster", identifier, next_version="1.36.2-aliyun.1")
    cloud.done(
        cloud("cs:UpgradeCluster", identifier, next_version=cluster["next_version"])["task_id"]
    )
    found = cloud("cs:DescribeClusterDetail", identifier)
    assert (found["current_version"], found["init_version"]) == (
        "1.35.7-aliyun.1", "1.34.10-aliyun.1",
    )  # fmt: skip


def test_tags_of_clusters(cloud: Aliyun) -> None:
    identifier = cloud.cluster()["cluster_id"]
    kind = {"region_id": REGION, "resource_type": "CLUSTER", "resource_ids": [identifier]}
    cloud("cs:TagResources", **kind, tags=[{"key": "a", "value": "b"}, {"key": "c", "value": ""}])
    cloud("cs:UntagResources", **kind, tag_keys=["c"])
    found = cloud("cs:ListTagResources", **kind)["tag_resources"]["tag_resource"]
    assert [(t["tag_key"], t["tag_value"]) for t in found] == [("a", "b")]
    cloud("cs:ModifyClusterTags", identifier, body=[{"key": "x", "value": "y"}])
    assert cloud("cs:DescribeClusterDetail", identifier)["tags"] == [{"key": "x", "value": "y"}]


def test_clusters_by_page(cloud: Aliyun) -> None:
    cloud.cluster()
    cloud.cluster("other", vswitches=cloud.network("10.99")[1])
    cloud.sandbox.faults.page_size = 1
    names = [
        cloud("cs:DescribeClustersV1", page_number=number, page_size=50)["clusters"][0]["name"]
        for number in (1, 2)
    ]
    assert names == ["demo", "other"]


def test_a_cluster_with_its_own_way_out(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    cluster = cloud.cluster(vswitches=vswitches, snat_entry=True)
    with refused("RouterEntryConflict.Duplicated"):
        cloud(
            CREATE,
            **cloud.wanted("other", vswitches)
            | {"service_cidr": "10.21.0.0/20", "container_cidr": "10.11.0.0/16"}
            | {"snat_entry": True},
        )
    gateways = cloud("vpc:DescribeNatGateways", RegionId=REGION, VpcId=vpc)
    assert gateways["TotalCount"] == 1
    cloud.done(cloud("cs:DeleteCluster", cluster["cluster_id"])["task_id"])
    assert cloud("vpc:DescribeNatGateways", RegionId=REGION, VpcId=vpc)["TotalCount"] == 0


def test_what_is_retained_stays(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    group = cluster["security_group_id"]
    with refused("InvalidParameter"):
        cloud("cs:DeleteCluster", cluster["cluster_id"],
              delete_options=[{"resource_type": "SLB", "delete_mode": "keep"}])  # fmt: skip
    gone = cloud(
        "cs:DeleteCluster",
        cluster["cluster_id"],
        retain_resources=[group],
        delete_options=[
            {"resource_type": "SLB", "delete_mode": "delete"},
            {"resource_type": "SLS_Data", "delete_mode": "delete"},
        ],
    )
    cloud.done(gone["task_id"])
    left = cloud("ecs:DescribeSecurityGroups", RegionId=REGION)["SecurityGroups"]["SecurityGroup"]
    assert [g["SecurityGroupId"] for g in left] == [group]


def test_a_guest_in_the_security_group(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    card = cloud(
        "ecs:CreateNetworkInterface",
        RegionId=REGION,
        VSwitchId=cluster["vswitch_ids"][0],
        SecurityGroupIds=[cluster["security_group_id"]],
    )["NetworkInterfaceId"]
    gone = cloud("cs:DeleteCluster", cluster["cluster_id"])
    failed = cloud.done(gone["task_id"], "fail")
    assert card in failed["error"]["message"]
    assert cloud("cs:DescribeClusterDetail", cluster["cluster_id"])["state"] == "delete_failed"
    cloud("ecs:DeleteNetworkInterface", RegionId=REGION, NetworkInterfaceId=card)
    cloud.done(cloud("cs:DeleteCluster", cluster["cluster_id"])["task_id"])


# -- why something failed ------------------------------------------------------------------------


def test_a_cluster_that_fails(cloud: Aliyun) -> None:
    cloud.sandbox.faults.set([Rule(CREATE, "terminal")])
    made = cloud(CREATE, **cloud.wanted())
    identifier = made["cluster_id"]
    task = cloud.done(made["task_id"], "fail")
    assert task["error"]["code"] == "InternalError"
    assert cloud("cs:DescribeClusterDetail", identifier)["state"] == "failed"
    events = cloud("cs:DescribeClusterEvents", identifier, task_id=made["task_id"])["events"]
    assert [e["data"]["level"] for e in events] == ["err", "info"]
    assert cloud("cs:DescribeEvents", cluster_id=identifier, type="cluster_create")["events"]
    assert cloud("cs:DescribeClusterLogs", identifier)
    assert [t["state"] for t in cloud("cs:DescribeClusterTasks", identifier)["tasks"]] == ["fail"]
    cloud.done(cloud("cs:DeleteCluster", identifier)["task_id"])


def test_events_by_token(cloud: Aliyun) -> None:
    identifier = cloud.cluster()["cluster_id"]
    seen, token = [], ""
    while True:
        one = cloud("cs:DescribeClusterEvents", identifier, max_results=1, next_token=token)
        seen += one["events"]
        token = one["next_token"]
        if not token:
            break
    assert len({event["event_id"] for event in seen}) == len(seen) == 2


def test_machines_that_never_join(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    cloud.sandbox.faults.set([Rule("cs:CreateClusterNodePool", "terminal")])
    made = cloud.pool(cluster)
    assert cloud.done(made["task_id"], "fail")["error"]["code"] == "OperationDenied"
    pool = cloud("cs:DescribeClusterNodePoolDetail", cluster["cluster_id"], made["nodepool_id"])
    assert (pool["status"]["failed_nodes"], pool["status"]["healthy_nodes"]) == (2, 0)
    assert pool["status"]["conditions"][0]["reason"] == "OperationDenied"
    nodes = cloud("cs:DescribeClusterNodes", cluster["cluster_id"], state="failed")["nodes"]
    assert len(nodes) == 2


def test_machines_that_cannot_be_had(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    sold_out = cloud.cloud.store.conditions.sold_out
    sold_out.add(("ecs.g7.xlarge", ZONES[0]))
    first = cloud.pool(cluster, instance_types=["ecs.g7.xlarge"])
    cloud.done(first["task_id"])
    machines = cloud("ecs:DescribeInstances", RegionId=REGION)["Instances"]["Instance"]
    assert {m["ZoneId"] for m in machines} == {ZONES[1]}
    sold_out.add(("ecs.g7.xlarge", ZONES[1]))
    second = cloud.pool(cluster, "second", instance_types=["ecs.g7.xlarge"])
    assert cloud.done(second["task_id"], "fail")["error"]["code"] == "OperationDenied.NoStock"


def test_a_disk_the_machines_do_not_take(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    old = {"instance_types": ["ecs.g6.xlarge"]}
    made = cloud.pool(cluster, **old, system_disk_category="cloud_auto")
    error = cloud.done(made["task_id"], "fail")["error"]
    assert error["code"] == "InvalidSystemDiskCategory.ValueNotSupported"
    categories = ["cloud_auto", "cloud_essd"]
    made = cloud.pool(cluster, "second", **old, system_disk_categories=categories)
    cloud.done(made["task_id"])
    disks = cloud("ecs:DescribeDisks", RegionId=REGION)["Disks"]["Disk"]
    assert {(d["Type"], d["Category"]) for d in disks} == {("system", "cloud_essd")}


def test_a_full_vswitch(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    small = cloud(
        "vpc:CreateVSwitch",
        RegionId=REGION, VpcId=cluster["vpc_id"], ZoneId=ZONES[0], CidrBlock="192.168.9.0/29",
    )["VSwitchId"]  # fmt: skip
    made = cloud.pool(cluster, vswitch_ids=[small], desired_size=5)
    error = cloud.done(made["task_id"], "fail")["error"]
    assert error["code"] == "InvalidVSwitchId.IpNotEnough"


def test_a_group_that_keeps_machines_from_the_api_server(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    here = {"RegionId": REGION}
    group = cloud("ecs:CreateSecurityGroup", **here, VpcId=cluster["vpc_id"])["SecurityGroupId"]
    empty = cloud.pool(cluster, "empty", security_group_ids=[group], desired_size=0)
    cloud.done(empty["task_id"])
    made = cloud.pool(cluster, security_group_ids=[group])
    cloud.done(made["task_id"], "fail")
    cloud(
        "ecs:AuthorizeSecurityGroup",
        **here,
        SecurityGroupId=cluster["security_group_id"],
        Permissions=[
            {"IpProtocol": "TCP", "PortRange": "6443/6443", "SourceCidrIp": "192.168.0.0/16"}
        ],
    )
    cloud.done(cloud.pool(cluster, "second", security_group_ids=[group])["task_id"])


# -- node pools ----------------------------------------------------------------------------------

ARM = {"instance_types": ["ecs.g8y.xlarge"]}
PL3 = {"system_disk_performance_level": "PL3", "system_disk_size": 80}


@pytest.mark.parametrize(
    ("group", "code", "text"),
    [
        ({"instance_types": []}, "MissingParameter", "instance_types"),
        ({"vswitch_ids": []}, "MissingParameter", "vswitch_ids"),
        ({"instance_charge_type": None}, "MissingParameter", "instance_charge_type"),
        (
            {"instance_types": ["ecs.c4.xlarge"]},
            "InvalidInstanceType.ValueNotSupported",
            "ecs.c4.xlarge",
        ),
        ({"vswitch_ids": ["vsw-none"]}, "InvalidVSwitchId.NotFound", "vsw-none"),
        (
            {"system_disk_category": "cloud_efficiency"},
            "InvalidSystemDiskCategory.ValueNotSupported",
            "cloud_essd",
        ),
        (
            {"system_disk_category": None},
            "InvalidSystemDiskCategory.ValueNotSupported",
            "cloud_efficiency",
        ),
        ({"system_disk_size": 10}, "InvalidSystemDiskSize", "20"),
        ({"key_pair": "none"}, "InvalidKeyPairName.NotFound", "none"),
        ({"key_pair": "none", "login_password": "a"}, "InvalidParameter", "one of"),
        ({"multi_az_policy": "ANY"}, "InvalidParameter", "multi_az_policy"),
        ({"image_type": "NoSuch"}, "InvalidParameter", "NoSuch"),
        ({"image_type": "AliyunLinux3Arm64"}, "InvalidParameter", "X86"),
        ({**ARM, "image_type": "AliyunLinux3"}, "InvalidParameter", "ARM"),
        ({"instance_types": ["ecs.g7.xlarge", "ecs.g8y.xlarge"]}, "InvalidParameter", "one arch"),
        ({"tags": [{"key": "aliyunfoo", "value": "x"}]}, "InvalidTagKey.Malformed", "aliyunfoo"),
        (PL3, "OperationDenied.PerformanceLevelNotMatch", "1261"),
        (PL3 | {"system_disk_performance_level": "PL9"}, "InvalidPerformanceLevel.Malformed", "9"),
        (
            {"data_disks": [{"category": "cloud_essd", "performance_level": "PL2", "size": 100}]},
            "OperationDenied.PerformanceLevelNotMatch",
            "461",
        ),
    ],
)
def test_pools_that_cannot_be(cloud: Aliyun, group: dict[str, Any], code: str, text: str) -> None:
    cluster = cloud.cluster()
    with refused(code) as message:
        cloud.pool(cluster, **group)
    assert text in message[0]
    assert cloud("cs:DescribeClusterNodePools", cluster["cluster_id"])["nodepools"] == []


@pytest.mark.parametrize(
    ("group", "image"),
    [
        (ARM, "AliyunLinux3Arm64"),
        (ARM | {"image_type": "ContainerOS"}, "ContainerOS"),
        (PL3 | {"system_disk_size": 1261}, "AliyunLinux3"),
    ],
)
def test_pools_that_can_be(cloud: Aliyun, group: dict[str, Any], image: str) -> None:
    cluster = cloud.cluster()
    made = cloud.pool(cluster, desired_size=0, **group)
    found = cloud("cs:DescribeClusterNodePoolDetail", cluster["cluster_id"], made["nodepool_id"])
    assert found["scaling_group"]["image_type"] == image


def test_resource_groups_of_clusters_and_pools(cloud: Aliyun) -> None:
    other = "rg-acfmsandbox00001"
    cluster = cloud.cluster(resource_group_id=other)
    assert cluster["resource_group_id"] == other
    made = cloud.pool(cluster, desired_size=1)
    cloud.done(made["task_id"])
    pool = cloud("cs:DescribeClusterNodePoolDetail", cluster["cluster_id"], made["nodepool_id"])
    assert pool["nodepool_info"]["resource_group_id"] == other
    [machine] = cloud("ecs:DescribeInstances", RegionId=REGION)["Instances"]["Instance"]
    assert machine["ResourceGroupId"] == other


def test_subscription_machines_are_not_emulated(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    with refused("Sandbox.NotImplemented", 501):
        cloud.pool(cluster, instance_charge_type="PrePaid")


def test_a_pool_changes(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    identifier = cluster["cluster_id"]
    made = cloud.pool(cluster, multi_az_policy="BALANCE")
    cloud.done(made["task_id"])
    with refused("InvalidParameter.Name"):
        cloud.pool(cluster)
    path = (identifier, made["nodepool_id"])
    machines = cloud("ecs:DescribeInstances", RegionId=REGION)["Instances"]["Instance"]
    assert {m["ZoneId"] for m in machines} == set(ZONES[:2])
    changed = cloud(
        "cs:ModifyClusterNodePool", *path,
        scaling_group={"desired_size": 3},
        kubernetes_config={"labels": [{"key": "a", "value": "b"}], "taints": [MIB]},
        update_nodes=True,
    )  # fmt: skip
    cloud.done(changed["task_id"])
    assert cloud("cs:DescribeClusterDetail", identifier)["size"] == 3
    pool = cloud("cs:DescribeClusterNodePoolDetail", *path)
    assert pool["kubernetes_config"]["taints"] == [MIB]
    assert pool["scaling_group"]["multi_az_policy"] == "BALANCE"
    cloud.done(cloud("cs:ScaleClusterNodePool", *path, count=1)["task_id"])
    nodes = cloud("cs:DescribeClusterNodes", identifier, nodepool_id=path[1])["nodes"]
    assert len(nodes) == 4
    removed = cloud(
        "cs:RemoveNodePoolNodes", *path, instance_ids=[nodes[0]["instance_id"]], release_node=True
    )
    cloud.done(removed["task_id"])
    assert cloud("cs:DescribeClusterNodePoolDetail", *path)["scaling_group"]["desired_size"] == 3
    with refused("DependencyViolation.Resource"):
        cloud("cs:DeleteClusterNodepool", *path)
    scaled = cloud("cs:ModifyClusterNodePool", *path, scaling_group={"desired_size": 0})
    cloud.done(scaled["task_id"])
    cloud.done(cloud("cs:DeleteClusterNodepool", *path)["task_id"])
    with refused("ErrorNodePoolNotFound", 404):
        cloud("cs:DescribeClusterNodePoolDetail", *path)
    counts = cloud.cloud.store.counts()
    assert not counts.keys() & {"Instance", "Disk", "NodePool"}


def test_a_pool_that_scales_by_itself(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    body = {
        "nodepool_info": {"name": "auto"},
        "scaling_group": {
            "instance_types": ["ecs.u1-c1m2.large"], "vswitch_ids": cluster["vswitch_ids"],
            "instance_charge_type": "PostPaid", "system_disk_category": "cloud_auto",
        },
        "auto_scaling": {"enable": True, "min_instances": 1, "max_instances": 3},
    }  # fmt: skip
    made = cloud("cs:CreateClusterNodePool", cluster["cluster_id"], **body)
    cloud.done(made["task_id"])
    assert cloud("cs:DescribeClusterDetail", cluster["cluster_id"])["size"] == 1
    path = (cluster["cluster_id"], made["nodepool_id"])
    with refused("InvalidDesiredSizeOrCount.NotNull"):
        cloud("cs:ScaleClusterNodePool", *path, count=1)
    with refused("InvalidDesiredSizeOrCount.NotNull"):
        cloud("cs:ModifyClusterNodePool", *path, scaling_group={"desired_size": 2})
    off = {"auto_scaling": {"enable": False}}
    with refused("InvalidDesiredSizeOrCount.NotNull"):
        cloud("cs:ModifyClusterNodePool", *path, **off, scaling_group={"desired_size": 2})
    sized = body | {"scaling_group": body["scaling_group"] | {"desired_size": 2}}
    sized["nodepool_info"] = {"name": "sized"}
    with refused("InvalidDesiredSizeOrCount.NotNull"):
        cloud("cs:CreateClusterNodePool", path[0], **sized)
    # the one way to a size of one's own: first end the scaling, which keeps the machines
    cloud.done(cloud("cs:ModifyClusterNodePool", *path, **off)["task_id"])
    assert cloud("cs:DescribeClusterDetail", path[0])["size"] == 1
    cloud.done(
        cloud("cs:ModifyClusterNodePool", *path, scaling_group={"desired_size": 2})["task_id"]
    )
    assert cloud("cs:DescribeClusterDetail", path[0])["size"] == 2
    wrong = body | {"auto_scaling": {"enable": True, "min_instances": 3, "max_instances": 1}}
    wrong["nodepool_info"] = {"name": "wrong"}
    with refused("InvalidParameter"):
        cloud("cs:CreateClusterNodePool", cluster["cluster_id"], **wrong)


def test_a_cluster_that_brings_its_pool_along(cloud: Aliyun) -> None:
    vswitches = cloud.network()[1]
    pool = {
        "nodepool_info": {"name": "first"},
        "scaling_group": {
            "instance_types": ["ecs.g7.xlarge"], "vswitch_ids": vswitches,
            "instance_charge_type": "PostPaid", "system_disk_category": "cloud_essd",
            "desired_size": 1,
        },
    }  # fmt: skip
    asked = cloud.wanted(vswitches=vswitches) | {"nodepools": [pool]}
    with refused("MissingParameter"):  # inline, a pool must name its runtime
        cloud(CREATE, **asked | {"nodepools": [pool | {"kubernetes_config": {}}]})
    pool["kubernetes_config"] = {"runtime": "containerd", "runtime_version": "2.1.4.1"}
    made = cloud(CREATE, **asked)
    cloud.done(made["task_id"])
    eventually(lambda: cloud("cs:DescribeClusterDetail", made["cluster_id"])["size"] == 1)


def test_a_cluster_whose_pods_have_addresses_of_the_network(cloud: Aliyun) -> None:
    _, vswitches = cloud.network(zones=(0, 1, 0))
    asked = {
        **cloud.wanted(vswitches=vswitches[:2]),
        "addons": [{"name": "terway-eniip"}],
        "pod_vswitch_ids": vswitches[2:],
    }
    asked.pop("container_cidr")
    made = cloud(CREATE, **asked)
    cloud.done(made["task_id"])
    pods = {"RegionId": REGION, "VSwitchId": vswitches[2]}
    with refused("DependencyViolation"):
        cloud("vpc:DeleteVSwitch", **pods)
    cloud.done(cloud("cs:DeleteCluster", made["cluster_id"])["task_id"])
    cloud("vpc:DeleteVSwitch", **pods)


# -- add-ons -------------------------------------------------------------------------------------


def test_addons(cloud: Aliyun) -> None:
    cluster = cloud.cluster()
    identifier, name = cluster["cluster_id"], "ack-pod-identity-webhook"
    known = {a["name"]: a["version"] for a in cloud("cs:ListAddons", region_id=REGION)["addons"]}
    assert cloud("cs:DescribeAddon", name)["version"] == known[name]
    with refused("AddonNotFound", 404):
        cloud("cs:GetClusterAddonInstance", identifier, name)
    with refused("AddonNotFound"):
        cloud("cs:InstallClusterAddons", identifier, body=[{"name": name, "version": "0"}])
    made = cloud(
        "cs:InstallClusterAddons",
        identifier,
        body=[{"name": name, "version": known[name], "config": "{}"}],
    )
    cloud.done(made["task_id"])
    assert cloud("cs:GetClusterAddonInstance", identifier, name)["config"] == "{}"
    newer = {"component_name": name, "next_version": known[name], "config": '{"a": 1}'}
    cloud.done(cloud("cs:UpgradeClusterAddons", identifier, body=[newer])["task_id"])
    assert cloud("cs:GetClusterAddonInstance", identifier, name)["config"] == '{"a": 1}'
    with refused("AddonNotFound"):
        cloud("cs:UpgradeClusterAddons", identifier, body=[newer | {"next_version": "0"}])
    gone = cloud("cs:UnInstallClusterAddons", identifier, addons=[{"name": name}])
    cloud.done(gone["task_id"])
    left = [a["name"] for a in cloud("cs:ListClusterAddonInstances", identifier)["addons"]]
    assert "coredns" in left
    assert name not in left
    with refused("InvalidParameter"):
        cloud("cs:UnInstallClusterAddons", identifier, addons=[{"name": "flannel"}])


def test_addons_that_are_not_wanted(cloud: Aliyun) -> None:
    addons = [{"name": "flannel"}, {"name": "metrics-server", "disabled": True}]
    cluster = cloud.cluster(addons=addons)
    names = cloud("cs:ListClusterAddonInstances", cluster["cluster_id"])["addons"]
    assert {a["name"] for a in names} == {"flannel", "coredns", "ack-node-problem-detector"}

"""What Kubernetes and the emulated Alibaba Cloud make of each other: nodes, disks, balancers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import urllib3
import yaml

from clusterkit_sandbox.alibaba.catalogue import ADDONS
from tests.sandbox.aliyun import REGION, Aliyun, account, anew, eventually, refused

DRIVER = "diskplugin.csi.alibabacloud.com"
ANNOTATION = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


class Kube:
    """The official client with a kubeconfig of the cloud's."""

    def __init__(self, cloud: Aliyun, cluster: str, directory: Path, **query: Any) -> None:
        self.config: dict[str, Any] = yaml.safe_load(
            cloud("cs:DescribeClusterUserKubeconfig", cluster, **query)["config"]
        )
        settings = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config_from_dict(
            self.config, client_configuration=settings, temp_file_path=str(directory)
        )
        settings.proxy = cloud.sandbox.proxy
        self.settings = settings
        client = kubernetes.client.ApiClient(settings)
        self.core = kubernetes.client.CoreV1Api(client)
        self.storage = kubernetes.client.StorageV1Api(client)

    def claim(self, name: str, storage_class: str, size: str) -> None:
        self.core.create_namespaced_persistent_volume_claim(
            "default",
            {
                "metadata": {"name": name},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": storage_class,
                    "resources": {"requests": {"storage": size}},
                },
            },
        )

    def pod(self, name: str, claim: str) -> None:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
        container = {
            "name": "main",
            "image": "registry.example/app",
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
        self.core.create_namespaced_pod(
            "default",
            {
                "metadata": {"name": name},
                "spec": {"containers": [container], "volumes": [volume]},
            },
        )

    def phase(self, claim: str) -> str:
        found = self.core.read_namespaced_persistent_volume_claim(claim, "default")
        return str(found.status.phase)

    def said(self, about: str) -> str:
        events = self.core.list_namespaced_event("default").items
        return "\n".join(e.message for e in events if e.involved_object.name == about)

    def service(self, name: str, **annotations: str) -> str:
        """A Service of type LoadBalancer; its address."""
        self.core.create_namespaced_service(
            "default",
            {
                "metadata": {"name": name, "annotations": annotations},
                "spec": {
                    "type": "LoadBalancer",
                    "selector": {"app": name},
                    "ports": [{"port": 80}],
                },
            },
        )

        def address() -> str:
            status = self.core.read_namespaced_service(name, "default").status
            ingress = (status.load_balancer.ingress or [None])[0]
            return str(ingress.hostname or ingress.ip) if ingress else ""

        return str(eventually(address))


@pytest.fixture
def cluster(cloud: Aliyun) -> dict[str, Any]:
    made = cloud.cluster()
    cloud.done(cloud.pool(made)["task_id"])
    return made


@pytest.fixture
def kube(cloud: Aliyun, cluster: dict[str, Any], tmp_path: Path) -> Kube:
    return Kube(cloud, cluster["cluster_id"], tmp_path)


def test_kubeconfigs(
    cloud: Aliyun,
    cluster: dict[str, Any],
    kube: Kube,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert kube.config["current-context"] == f"kubernetes-admin-{cluster['cluster_id']}"
    assert "client-certificate-data" in kube.config["users"][0]["user"]
    inside = Kube(cloud, cluster["cluster_id"], tmp_path, PrivateIpAddress=True)
    addresses = [k.config["clusters"][0]["cluster"]["server"] for k in (kube, inside)]
    assert addresses[1].startswith("https://192.168.0.")
    assert addresses[0] != addresses[1]
    with pytest.raises(urllib3.exceptions.MaxRetryError, match="is private"):
        inside.core.list_namespace()
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_ADDRESS", "192.168.0.100")
    assert inside.core.list_namespace().items
    with refused("InvalidParameter"):
        Kube(cloud, cluster["cluster_id"], tmp_path, TemporaryDurationMinutes=14)
    kube.settings.cert_file = kube.settings.key_file = None
    stranger = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(kube.settings))
    with pytest.raises(kubernetes.client.ApiException) as caught:
        stranger.list_namespace()
    assert caught.value.status in (401, 403)


@pytest.mark.parametrize(
    ("kind", "entry", "open_"),
    [
        ("white", "8.8.8.0/24", True),
        ("white", "203.0.113.0/24", False),
        ("black", "8.8.8.0/24", False),
        ("black", "203.0.113.0/24", True),
    ],
)
def test_an_access_control_list_stands_before_the_endpoint(
    cloud: Aliyun, cluster: dict[str, Any], kube: Kube, kind: str, entry: str, open_: bool
) -> None:
    made = cloud("slb:CreateAccessControlList", RegionId=REGION, AclName="office")["AclId"]
    entries = json.dumps([{"entry": entry, "comment": ""}])
    cloud("slb:AddAccessControlListEntry", RegionId=REGION, AclId=made, AclEntrys=entries)
    assert kube.core.list_namespace().items
    cloud(
        "slb:SetLoadBalancerTCPListenerAttribute",
        RegionId=REGION,
        LoadBalancerId=cluster["external_loadbalancer_id"],
        ListenerPort=6443,
        AclId=made,
        AclStatus="on",
        AclType=kind,
    )
    # a new connection, for the list does not end those that there are
    kube.core.api_client.rest_client.pool_manager.clear()
    if open_:
        assert kube.core.list_namespace().items
        return
    with pytest.raises(urllib3.exceptions.MaxRetryError, match="does not let"):
        kube.core.list_namespace()


def test_nodes_follow_their_pool(cloud: Aliyun, cluster: dict[str, Any], kube: Kube) -> None:
    pool = cloud("cs:DescribeClusterNodePools", cluster["cluster_id"])["nodepools"][0]
    path = (cluster["cluster_id"], pool["nodepool_info"]["nodepool_id"])
    taint = {"key": "only", "value": "builds", "effect": "NoSchedule"}
    cloud.done(
        cloud(
            "cs:ModifyClusterNodePool",
            *path,
            scaling_group={"desired_size": 1},
            kubernetes_config={"labels": [{"key": "team", "value": "ci"}], "taints": [taint]},
            update_nodes=True,
        )["task_id"]
    )
    (node,) = eventually(lambda: kube.core.list_node().items, lambda found: len(found) == 1)
    assert node.metadata.labels["alibabacloud.com/nodepool-id"] == path[1]
    assert node.metadata.labels["team"] == "ci"
    assert [t.key for t in node.spec.taints] == ["only"]


def test_the_classes_ack_ships(kube: Kube) -> None:
    classes = {c.metadata.name: c for c in kube.storage.list_storage_class().items}
    assert set(classes) == {
        "alicloud-disk-topology-alltype",
        "alicloud-disk-essd",
        "alicloud-disk-ssd",
        "alicloud-disk-efficiency",
    }
    for one in classes.values():
        assert one.provisioner == DRIVER
        assert not one.metadata.annotations, "none of them is the default"


def test_a_claim_that_is_too_small(kube: Kube) -> None:
    kube.claim("small", "alicloud-disk-essd", "8Gi")
    text = eventually(lambda: kube.said("small"), lambda said: "InvalidDiskSize" in said)
    assert "20 GiB" in text
    assert kube.phase("small") == "Pending"


def test_a_class_that_makes_small_claims_bigger(
    cloud: Aliyun, cluster: dict[str, Any], kube: Kube
) -> None:
    kube.storage.create_storage_class(
        {
            "metadata": {"name": "mine"},
            "provisioner": DRIVER,
            "parameters": {"type": "cloud_essd", "volumeSizeAutoAvailable": "true"},
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    kube.claim("small", "mine", "8Gi")
    kube.pod("user", "small")
    eventually(lambda: kube.phase("small") == "Bound")
    # the driver answers with the size it made, and the volume has that
    (volume,) = kube.core.list_persistent_volume().items
    assert volume.spec.capacity == {"storage": "20Gi"}
    claim = kube.core.read_namespaced_persistent_volume_claim("small", "default")
    assert claim.status.capacity == {"storage": "20Gi"}
    assert claim.spec.resources.requests == {"storage": "8Gi"}
    (disk,) = [
        d
        for d in cloud("ecs:DescribeDisks", RegionId=REGION)["Disks"]["Disk"]
        if d["Type"] == "data"
    ]
    assert disk["Size"] == 20
    tags = {t["TagKey"]: t["TagValue"] for t in disk["Tags"]["Tag"]}
    assert tags["ack.aliyun.com"] == cluster["cluster_id"]
    machines = cloud("ecs:DescribeInstances", RegionId=REGION)["Instances"]["Instance"]
    assert disk["ZoneId"] in {m["ZoneId"] for m in machines}
    # what a cluster leaves behind
    cloud.done(cloud("cs:DeleteCluster", cluster["cluster_id"])["task_id"])
    cloud("ecs:DeleteDisk", DiskId=disk["DiskId"])


def test_no_driver_without_its_addon(cloud: Aliyun, tmp_path: Path) -> None:
    cluster = cloud.cluster(addons=[{"name": "flannel"}])
    kube = Kube(cloud, cluster["cluster_id"], tmp_path)
    assert kube.storage.list_storage_class().items == []


def test_a_network_load_balancer(cloud: Aliyun, cluster: dict[str, Any], kube: Kube) -> None:
    address = kube.service("web")
    assert address.endswith(f".{REGION}.nlb.aliyuncsslb.com")
    (balancer,) = cloud("nlb:ListLoadBalancers", RegionId=REGION)["LoadBalancers"]
    assert (balancer["DNSName"], len(balancer["ZoneMappings"])) == (address, 2)
    tags = {t["Key"]: t["Value"] for t in balancer["Tags"]}
    assert tags["ack.aliyun.com"] == cluster["cluster_id"]
    target = {"RegionId": REGION, "LoadBalancerId": balancer["LoadBalancerId"]}
    assert cloud("nlb:GetLoadBalancerAttribute", **target)["DNSName"] == address
    with refused("OperationDenied.DeleteProtectionIsOn"):
        cloud("nlb:DeleteLoadBalancer", **target)
    with refused("DependencyViolation"):
        cloud("vpc:DeleteVSwitch", RegionId=REGION, VSwitchId=cluster["vswitch_ids"][0])
    kube.core.delete_namespaced_service("web", "default")
    eventually(lambda: not cloud("nlb:ListLoadBalancers", RegionId=REGION)["LoadBalancers"])


def test_balancers_a_cluster_leaves_behind(
    cloud: Aliyun, cluster: dict[str, Any], kube: Kube
) -> None:
    kube.service("web")
    classic = kube.service("old", **{f"{ANNOTATION}spec": "slb.s1.small"})
    listed = cloud("slb:DescribeLoadBalancers", RegionId=REGION)["LoadBalancers"]["LoadBalancer"]
    assert classic in [b["Address"] for b in listed]
    gone = cloud(
        "cs:DeleteCluster",
        cluster["cluster_id"],
        delete_options=[{"resource_type": "SLB", "delete_mode": "retain"}],
    )
    cloud.done(gone["task_id"])
    by = [{"Key": "ack.aliyun.com", "Value": cluster["cluster_id"]}]
    (old,) = cloud("slb:DescribeLoadBalancers", RegionId=REGION, Tag=by)["LoadBalancers"][
        "LoadBalancer"
    ]
    (new,) = cloud("nlb:ListLoadBalancers", RegionId=REGION, Tag=by)["LoadBalancers"]
    target = {"RegionId": REGION, "LoadBalancerId": old["LoadBalancerId"]}
    with refused("OperationDenied.DeleteProtectionIsOn"):
        cloud("slb:DeleteLoadBalancer", **target)
    cloud("slb:SetLoadBalancerDeleteProtection", **target, DeleteProtection="off")
    cloud(
        "slb:SetLoadBalancerModificationProtection",
        **target,
        ModificationProtectionStatus="NonProtection",
    )
    cloud("slb:DeleteLoadBalancer", **target)
    target["LoadBalancerId"] = new["LoadBalancerId"]
    cloud("nlb:UpdateLoadBalancerProtection", **target, DeletionProtectionEnabled=False)
    cloud("nlb:DeleteLoadBalancer", **target)
    cloud("vpc:DeleteVSwitch", RegionId=REGION, VSwitchId=cluster["vswitch_ids"][0])


def test_a_balancer_inside_the_network(cloud: Aliyun, cluster: dict[str, Any], kube: Kube) -> None:
    classic = {f"{ANNOTATION}spec": "slb.s1.small", f"{ANNOTATION}address-type": "intranet"}
    assert kube.service("inside", **classic).startswith("192.168.0.")
    kube.core.create_namespaced_service(
        "default",
        {
            "metadata": {"name": "wrong", "annotations": {f"{ANNOTATION}address-type": "moon"}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        },
    )
    eventually(lambda: kube.said("wrong"), lambda said: "'moon'" in said)
    resources = cloud("cs:DescribeClusterResources", cluster["cluster_id"])
    assert "addon" in {one["creator_type"] for one in resources}


def test_who_may_reach_the_api_server(cloud: Aliyun, cluster: dict[str, Any]) -> None:
    target = {
        "RegionId": REGION,
        "LoadBalancerId": cluster["external_loadbalancer_id"],
        "ListenerPort": 6443,
    }
    made = cloud("slb:CreateAccessControlList", RegionId=REGION, AclName="office")["AclId"]
    acl = {"RegionId": REGION, "AclId": made}
    entries = '[{"entry": "203.0.113.0/24", "comment": "office"}]'
    cloud("slb:AddAccessControlListEntry", **acl, AclEntrys=entries)
    cloud(
        "slb:SetLoadBalancerTCPListenerAttribute",
        **target, AclId=made, AclStatus="on", AclType="white",
    )  # fmt: skip
    found = cloud("slb:DescribeLoadBalancerTCPListenerAttribute", **target)
    assert (found["AclId"], found["AclStatus"]) == (made, "on")
    shown = cloud("slb:DescribeAccessControlListAttribute", **acl)
    assert shown["AclEntrys"]["AclEntry"][0]["AclEntryIP"] == "203.0.113.0/24"
    assert cloud("slb:DescribeAccessControlLists", RegionId=REGION)["Acls"]["Acl"]
    attribute = {k: v for k, v in target.items() if k != "ListenerPort"}
    assert cloud("slb:DescribeLoadBalancerAttribute", **attribute)["AddressType"] == "intranet"
    with refused("DependencyViolation"):
        cloud("slb:DeleteAccessControlList", **acl)
    cloud("slb:SetLoadBalancerTCPListenerAttribute", **target, AclStatus="off")
    cloud("slb:RemoveAccessControlListEntry", **acl, AclEntrys=entries)
    cloud("slb:DeleteAccessControlList", **acl)


def test_tags_of_what_a_cluster_made(cloud: Aliyun, cluster: dict[str, Any], kube: Kube) -> None:
    kube.service("web")
    (network,) = cloud("nlb:ListLoadBalancers", RegionId=REGION)["LoadBalancers"]
    for service, kind, identifier in (
        ("nlb", "loadbalancer", network["LoadBalancerId"]),
        ("slb", "instance", cluster["external_loadbalancer_id"]),
        ("ecs", "securitygroup", cluster["security_group_id"]),
    ):
        target = {"RegionId": REGION, "ResourceType": kind, "ResourceId": [identifier]}
        cloud(f"{service}:TagResources", **target, Tag=[{"Key": "a", "Value": "b"}])
        listed = cloud(f"{service}:ListTagResources", **target)["TagResources"]
        listed = listed if service == "nlb" else listed["TagResource"]
        tags = {t["TagKey"]: t["TagValue"] for t in listed}
        assert tags["a"] == "b", service
        assert tags["ack.aliyun.com"] == cluster["cluster_id"], service
        cloud(f"{service}:UntagResources", **target, TagKey=["a"])
        left = cloud(f"{service}:ListTagResources", **target)["TagResources"]
        left = left if service == "nlb" else left["TagResource"]
        assert "a" not in {t["TagKey"] for t in left}, service


def test_services_have_addresses_of_the_clusters_range(cloud: Aliyun, tmp_path: Path) -> None:
    cluster = cloud.cluster(service_cidr="10.99.0.0/20")
    core = Kube(cloud, cluster["cluster_id"], tmp_path).core
    assert core.read_namespaced_service("kubernetes", "default").spec.cluster_ip == "10.99.0.1"
    spec = {"ports": [{"port": 80}]}
    made = core.create_namespaced_service("default", {"metadata": {"name": "web"}, "spec": spec})
    assert made.spec.cluster_ip == "10.99.0.2"
    assert core.read_namespaced_service("kube-dns", "kube-system").spec.cluster_ip == "10.99.0.10"


def test_kube_system_holds_what_add_ons_install(
    cloud: Aliyun, cluster: dict[str, Any], tmp_path: Path
) -> None:
    identifier = cluster["cluster_id"]
    core = Kube(cloud, identifier, tmp_path).core
    nodes = len(eventually(lambda: core.list_node().items))

    def running() -> Counter[str]:
        return Counter(
            one.spec.containers[0].name
            for one in core.list_namespaced_pod("kube-system").items
            if one.status.phase == "Running"
        )

    each = dict.fromkeys(
        (
            "ack-node-problem-detector-daemonset",
            "csi-plugin",
            "kube-flannel-ds",
            "kube-proxy-worker",
        ),
        nodes,
    )
    wanted = {**each, "coredns": 2, "csi-provisioner": 2, "metrics-server": 1}
    assert eventually(lambda: running() == wanted)
    body = [{"name": "storage-operator", "version": ADDONS["storage-operator"]}]
    cloud.done(cloud("cs:InstallClusterAddons", identifier, body=body)["task_id"])
    assert eventually(lambda: running()["storage-operator"] == 1)
    named = [{"name": "storage-operator"}]
    cloud.done(cloud("cs:UnInstallClusterAddons", identifier, addons=named)["task_id"])
    assert eventually(lambda: not running()["storage-operator"])

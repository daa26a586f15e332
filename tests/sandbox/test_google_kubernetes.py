"""What Kubernetes and the emulated Google Cloud make of each other: nodes, disks, balancers."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from tests.sandbox.gcp import PROJECT, REGION, ZONE, Gcp, cloud, eventually, pool, shared

__all__ = ["cloud", "shared"]


class Kube:
    """The official client with an access token for a cluster's endpoint."""

    def __init__(
        self, cloud: Gcp, cluster: dict[str, Any], directory: Path, host: str = ""
    ) -> None:
        ca = directory / "ca.pem"
        if host:
            # gcloud writes no authority for a DNS endpoint, so clients must trust it anyway
            ca = cloud.sandbox.ca_file
        else:
            ca.write_bytes(b64decode(cluster["masterAuth"]["clusterCaCertificate"]))
        settings = kubernetes.client.Configuration()
        settings.host = f"https://{host or cluster['endpoint']}"
        settings.ssl_ca_cert = str(ca)
        settings.proxy = cloud.sandbox.proxy
        settings.api_key = {"authorization": f"Bearer {cloud.token}"}
        client = kubernetes.client.ApiClient(settings)
        self.core: Any = kubernetes.client.CoreV1Api(client)
        self.storage: Any = kubernetes.client.StorageV1Api(client)

    def nodes(self) -> list[Any]:
        return list(self.core.list_node().items)

    def ready(self) -> list[Any]:
        return [
            node
            for node in self.nodes()
            if any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or ())
        ]

    def service(self, name: str, **annotations: str) -> None:
        ports = [{"port": 80}]
        self.core.create_namespaced_service(
            "default",
            {
                "metadata": {"name": name, "annotations": annotations},
                "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": ports},
            },
        )

    def address(self, name: str) -> str:
        found = self.core.read_namespaced_service(name, "default").status.load_balancer.ingress
        return str(found[0].ip) if found else ""

    def claim(self, name: str, storage_class: str | None, size: str) -> None:
        spec: dict[str, Any] = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }
        if storage_class is not None:
            spec["storageClassName"] = storage_class
        body = {"metadata": {"name": name}, "spec": spec}
        self.core.create_namespaced_persistent_volume_claim("default", body)

    def pod(self, name: str, claim: str) -> None:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
        mount = {"name": "data", "mountPath": "/data"}
        container = {"name": "main", "image": "example/app", "volumeMounts": [mount]}
        spec = {"containers": [container], "volumes": [volume]}
        self.core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})


def test_nodes_are_machines_of_the_pool(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    taint = {"key": "only", "value": "ci", "effect": "NO_SCHEDULE"}
    pools = [pool(), pool("ci", 1, taints=[taint], labels={"team": "ci"}, spot=True)]
    made = cloud.cluster(nodePools=pools)
    kube = Kube(cloud, made, tmp_path)
    nodes = eventually(kube.ready, lambda found: len(found) == 3)
    names = {node.metadata.name for node in nodes}
    instances = cloud.compute("GET", f"zones/{ZONE}/instances")["items"]
    assert names == {one["name"] for one in instances}
    ci = next(n for n in nodes if n.metadata.labels["cloud.google.com/gke-nodepool"] == "ci")
    assert ci.metadata.labels["team"] == "ci"
    assert ci.metadata.labels["cloud.google.com/gke-spot"] == "true"
    assert ci.metadata.labels["topology.kubernetes.io/zone"] == ZONE
    assert ci.metadata.labels["node.kubernetes.io/instance-type"] == "e2-standard-2"
    assert ci.spec.provider_id.startswith(f"gce://clusterkit-sandbox/{ZONE}/gke-demo-ci-")
    assert [(t.key, t.value, t.effect) for t in ci.spec.taints] == [("only", "ci", "NoSchedule")]
    cloud.done(
        cloud.gke("POST", f"zones/{ZONE}/clusters/demo/nodePools/default/setSize", {"nodeCount": 3})
    )
    eventually(kube.ready, lambda found: len(found) == 4)
    cloud.done(cloud.gke("DELETE", f"locations/{ZONE}/clusters/demo/nodePools/ci"))
    eventually(kube.nodes, lambda found: len(found) == 3)


def test_a_service_gets_a_passthrough_balancer(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    kube = Kube(cloud, cloud.cluster(), tmp_path)
    kube.service("web")
    address = eventually(lambda: kube.address("web"))
    rules = cloud.compute("GET", f"regions/{REGION}/forwardingRules")["items"]
    rule = next(one for one in rules if one["IPAddress"] == address)
    assert rule["description"] == '{"kubernetes.io/service-name":"default/web"}'
    pools = cloud.compute("GET", f"regions/{REGION}/targetPools")["items"]
    assert [one["name"] for one in pools] == [rule["name"]]
    firewalls = cloud.compute("GET", "global/firewalls")["items"]
    assert f"k8s-fw-{rule['name']}" in [one["name"] for one in firewalls]
    kube.core.delete_namespaced_service("web", "default")
    eventually(lambda: "items" not in cloud.compute("GET", f"regions/{REGION}/targetPools"))
    firewalls = cloud.compute("GET", "global/firewalls")["items"]
    assert not [one["name"] for one in firewalls if one["name"].startswith("k8s-")]


def test_an_internal_balancer_is_in_the_subnetwork(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    kube = Kube(cloud, cloud.cluster(), tmp_path)
    kube.service("inside", **{"networking.gke.io/load-balancer-type": "Internal"})
    assert eventually(lambda: kube.address("inside")).startswith("10.0.")


def test_the_default_class_makes_balanced_disks(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    kube = Kube(cloud, cloud.cluster(), tmp_path)
    default = "storageclass.kubernetes.io/is-default-class"
    classes = kube.storage.list_storage_class().items
    usual = [c for c in classes if (c.metadata.annotations or {}).get(default) == "true"]
    assert [one.metadata.name for one in usual] == ["standard-rwo"]
    kube.claim("data", None, "8Gi")
    kube.pod("user", "data")

    def phase() -> str:
        found = kube.core.read_namespaced_persistent_volume_claim("data", "default")
        return str(found.status.phase)

    eventually(phase, lambda one: one == "Bound")
    disks = cloud.compute("GET", f"zones/{ZONE}/disks")["items"]
    mine = next(one for one in disks if one["name"].startswith("pvc-"))
    assert mine["labels"]["goog-k8s-cluster-name"] == "demo"
    assert mine["type"].endswith("/pd-balanced")
    assert mine["sizeGb"] == "8"
    handle = kube.core.list_persistent_volume().items[0].spec.csi.volume_handle
    assert handle.endswith(f"/zones/{ZONE}/disks/{mine['name']}")


def test_what_kubernetes_made_outlives_the_cluster(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    kube = Kube(cloud, cloud.cluster(), tmp_path)
    kube.service("web")
    eventually(lambda: kube.address("web"))
    cloud.done(cloud.gke("DELETE", f"locations/{ZONE}/clusters/demo"))
    rules = cloud.compute("GET", f"regions/{REGION}/forwardingRules")["items"]
    assert len(rules) == 1
    firewalls = [one["name"] for one in cloud.compute("GET", "global/firewalls")["items"]]
    assert len(firewalls) == 2
    assert f"k8s-fw-{rules[0]['name']}" in firewalls
    cloud.done(cloud.compute("DELETE", f"regions/{REGION}/subnetworks/demo"))
    failed = cloud.done(cloud.compute("DELETE", "global/networks/demo"))
    assert failed["error"]["errors"][0]["code"] == "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"
    assert "k8s-" in failed["error"]["errors"][0]["message"]


def test_who_may_not_administer_clusters_is_nobody_in_them(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    made = cloud.cluster()
    kube = Kube(cloud, made, tmp_path)
    kube.core.api_client.configuration.api_key = {"authorization": "Bearer ya29.wrong"}
    with pytest.raises(kubernetes.client.ApiException) as caught:
        kube.nodes()
    assert caught.value.status == 401


def test_a_private_endpoint_is_not_reached_from_outside(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    config = {"ipEndpointsConfig": {"enabled": True, "enablePublicEndpoint": False},
              "dnsEndpointConfig": {"allowExternalTraffic": True}}  # fmt: skip
    made = cloud.cluster(controlPlaneEndpointsConfig=config)
    assert made["endpoint"].startswith("10.0.")
    assert "publicEndpoint" not in made["privateClusterConfig"]
    assert made["privateClusterConfig"]["enablePrivateEndpoint"]
    dns = made["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"]
    kube = Kube(cloud, made, tmp_path, dns)
    assert len(kube.nodes()) == 2
    with pytest.raises(Exception, match=r"private|403|outside"):
        Kube(cloud, made, tmp_path).nodes()


def test_a_pod_acts_as_its_principal_in_google_cloud(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    workloads = f"{PROJECT}.svc.id.goog"
    made = cloud.cluster(workloadIdentityConfig={"workloadPool": workloads})
    assert made["nodePools"][0]["config"]["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    kube = Kube(cloud, made, tmp_path)
    kube.core.create_namespaced_service_account("default", {"metadata": {"name": "pusher"}})
    asked = {"spec": {"audiences": [workloads], "expirationSeconds": 3600}}
    review = kube.core.create_namespaced_service_account_token("pusher", "default", asked)
    sent = {
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectToken": review.status.token,
        "audience": f"identitynamespace:{workloads}:{made['selfLink']}",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    }
    token = cloud("POST", "sts.googleapis.com/v1/token", sent)["access_token"]
    pusher = cloud.account("demo-pusher")
    url = f"iam.googleapis.com/v1/{pusher['name']}"
    binding = {
        "role": "roles/iam.workloadIdentityUser",
        "members": [f"serviceAccount:{workloads}[default/pusher]"],
    }
    base = f"iamcredentials.googleapis.com/v1/{pusher['name']}:generateAccessToken"
    scope = {"scope": ["https://www.googleapis.com/auth/cloud-platform"]}
    assert cloud.refused("POST", base, scope, token)[0] == 403
    cloud("POST", f"{url}:setIamPolicy", {"policy": {"bindings": [binding]}})
    assert cloud("POST", base, scope, token)["accessToken"]
    sent["subjectToken"] = cloud.token
    status, found = cloud.send("POST", "sts.googleapis.com/v1/token", sent)
    assert (status, found["error"]) == (400, "invalid_grant")


def test_a_pool_is_drained_before_it_goes(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    made = cloud.cluster(nodePools=[pool(count=1), pool("old", 1)])
    kube = Kube(cloud, made, tmp_path)
    eventually(kube.ready, lambda found: len(found) == 2)
    apps: Any = kubernetes.client.AppsV1Api(kube.core.api_client)
    labels = {"app": "web"}
    spec = {
        "replicas": 4,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": "example/web"}]},
        },
    }
    apps.create_namespaced_deployment("default", {"metadata": {"name": "web"}, "spec": spec})

    def where() -> list[str]:
        pods = kube.core.list_namespaced_pod("default", label_selector="app=web").items
        running = [p for p in pods if p.status.phase == "Running"]
        return [p.spec.node_name for p in running if not p.metadata.deletion_timestamp]

    eventually(where, lambda found: len(found) == 4)
    cloud.done(cloud.gke("DELETE", f"locations/{ZONE}/clusters/demo/nodePools/old"))
    found = eventually(where, lambda found: len(found) == 4)
    assert all("-default-" in name for name in found)
    assert len(kube.nodes()) == 1


def test_kube_system_holds_what_the_service_installs(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    policy = {"useIpAliases": True, "servicesIpv4Cidr": "10.99.0.0/20"}
    kube = Kube(cloud, cloud.cluster(nodePools=[pool()], ipAllocationPolicy=policy), tmp_path)

    def running() -> Counter[str]:
        pods = kube.core.list_namespaced_pod("kube-system").items
        return Counter(one.spec.containers[0].name for one in pods if one.status.phase == "Running")

    each = dict.fromkeys(("fluentbit-gke", "gke-metrics-agent", "node-local-dns", "pdcsi-node"), 2)
    once = dict.fromkeys(("kube-dns", "konnectivity-agent", "metrics-server"), 1)
    eventually(running, lambda found: found == {**each, **once})
    found = kube.core.read_namespaced_service("kube-dns", "kube-system")
    assert found.spec.cluster_ip == "10.99.0.10"
    workload = {"workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"}}
    shown = cloud.cluster(name="known", nodePools=[pool()], **workload)
    known = Kube(cloud, shown, tmp_path)
    names = {
        one.metadata.owner_references[0].name
        for one in known.core.list_namespaced_pod("kube-system").items
        if one.metadata.owner_references[0].kind == "DaemonSet"
    }
    assert names == {*each, "gke-metadata-server", "netd"}

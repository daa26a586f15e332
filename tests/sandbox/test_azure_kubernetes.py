"""What is inside of the emulated clusters: nodes, credentials, storage, load balancers, drains."""

from __future__ import annotations

import base64
import json
import math
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from clusterkit_sandbox.azure.account import GROUP, SUBSCRIPTION
from clusterkit_sandbox.azure.entra import KUBERNETES
from clusterkit_sandbox.kit.cluster import ADDRESS
from tests.sandbox.azurecloud import (
    AKS,
    NET,
    SUB,
    UAI,
    Azure,
    account,
    cloud,
    eventually,
    shared,
)

__all__ = ["cloud", "shared"]
DEMO = f"{AKS}/demo"
MC = f"{SUB}/resourceGroups/MC_demo_demo_eastus"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
POD = {"image": "registry.k8s.io/pause:3.10", "name": "main"}


class Kube:
    """A cluster's API, by a kubeconfig."""

    def __init__(self, cloud: Azure, config: Mapping[str, Any], token: str = "") -> None:
        place = config["clusters"][0]["cluster"]
        self.server = place["server"]
        context = ssl.create_default_context(
            cadata=base64.b64decode(place["certificate-authority-data"]).decode()
        )
        user = config["users"][0]["user"]
        if not token:
            with tempfile.TemporaryDirectory() as directory:
                file = Path(directory) / "pem"
                names = ("client-certificate-data", "client-key-data")
                file.write_bytes(b"".join(base64.b64decode(user[name]) for name in names))
                context.load_cert_chain(file)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.ProxyManager(cloud.sandbox.proxy, ssl_context=context, retries=False)

    def send(self, verb: str, path: str, body: Any = None, kind: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": kind or "application/json", **self._headers}
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(verb, self.server + path, headers=headers, body=data)
        return answer.status, json.loads(answer.data)

    def __call__(self, verb: str, path: str, body: Any = None, kind: str = "") -> Any:
        status, found = self.send(verb, path, body, kind)
        assert status < 300, found
        return found

    def nodes(self) -> list[Any]:
        found: list[Any] = self("GET", "/api/v1/nodes")["items"]
        return found


def kube(cloud: Azure, who: str = "Admin", token: str = "", **query: str) -> Kube:
    return Kube(cloud, cloud.kubeconfig(who=who, **query), token)


def defaults(api: Kube) -> list[str]:
    found = api("GET", "/apis/storage.k8s.io/v1/storageclasses")["items"]
    return [
        one["metadata"]["name"]
        for one in found
        if one["metadata"].get("annotations", {}).get(DEFAULT) == "true"
    ]


def test_nodes(cloud: Azure) -> None:
    pools = [{"name": "system", "mode": "System", "count": 2, "vmSize": "Standard_D4s_v5",
              "availabilityZones": ["1", "2"]}]  # fmt: skip
    cloud.cluster(agentPoolProfiles=pools)
    body = {"count": 1, "vmSize": "Standard_D2ps_v5", "nodeLabels": {"a": "b"},
            "nodeTaints": ["x=y:NoSchedule"]}  # fmt: skip
    cloud.done("PUT", f"{DEMO}/agentPools/arm", {"properties": body})
    nodes = {one["metadata"]["name"]: one for one in kube(cloud).nodes()}
    assert len(nodes) == 3
    one = nodes[next(name for name in nodes if name.startswith("aks-system-"))]
    assert one["metadata"]["name"].endswith("-vmss000000")
    labels = one["metadata"]["labels"]
    assert labels["kubernetes.azure.com/mode"] == "system"
    assert labels["topology.kubernetes.io/zone"] == "eastus-1"
    assert labels["node.kubernetes.io/instance-type"] == "Standard_D4s_v5"
    prefix = f"azure:///subscriptions/{SUBSCRIPTION}/resourceGroups/MC_demo_demo_eastus/providers/"
    assert one["spec"]["providerID"].startswith(prefix)
    arm = nodes[next(name for name in nodes if name.startswith("aks-arm-"))]
    assert arm["metadata"]["labels"]["kubernetes.io/arch"] == "arm64"
    assert arm["metadata"]["labels"]["a"] == "b"
    taints = {(t["key"], t.get("value"), t["effect"]) for t in arm["spec"]["taints"]}
    assert ("x", "y", "NoSchedule") in taints
    cloud.done("DELETE", f"{DEMO}/agentPools/arm")
    assert len(kube(cloud).nodes()) == 2


def test_nodes_that_do_not_join(cloud: Azure) -> None:
    cloud.cloud.store.conditions.joining = False
    cloud.cluster()
    assert kube(cloud).nodes() == []


def test_kubeconfigs(cloud: Azure) -> None:
    cloud.cluster()
    config = cloud.kubeconfig()
    assert config["current-context"] == "demo"
    assert config["users"][0]["name"] == "clusterAdmin_demo_demo"
    assert config["clusters"][0]["cluster"]["server"].endswith(".hcp.eastus.azmk8s.io:443")
    config = cloud.kubeconfig(who="User")
    assert config["users"][0]["name"] == "clusterUser_demo_demo"
    assert kube(cloud, "User").nodes()


def test_entra_and_local_accounts(cloud: Azure) -> None:
    profile = {"managed": True, "enableAzureRBAC": True}
    cloud.cluster(aadProfile=profile, disableLocalAccounts=True)
    status, found, _ = cloud.send("POST", f"{DEMO}/listClusterAdminCredential")
    assert (status, found["code"]) == (400, "BadRequest")
    assert found["message"].startswith("Getting static credential is not allowed because")
    config = cloud.kubeconfig(who="User")
    login = config["users"][0]["user"]["exec"]
    assert login["command"] == "kubelogin"
    assert KUBERNETES in login["args"]
    user = cloud.sandbox.identity(["*"])
    token = cloud.login(user.environment, KUBERNETES)
    assert kube(cloud, "User", token).send("GET", "/api/v1/nodes")[0] == 403
    assert kube(cloud, "User", cloud.token).send("GET", "/api/v1/nodes")[0] == 401
    caller = cloud.cloud.store.tokens.application(user.environment["AZURE_CLIENT_ID"])
    assert caller is not None
    cloud.assign("Cluster Admin", DEMO, caller.object_id)
    assert kube(cloud, "User", token).nodes()


def test_a_group_of_administrators(cloud: Azure) -> None:
    cloud.cluster(aadProfile={"managed": True, "adminGroupObjectIDs": [GROUP]})
    token = cloud.login(cloud.environ, KUBERNETES)
    assert kube(cloud, "User", token).nodes()
    other = cloud.login(cloud.sandbox.identity(["*"]).environment, KUBERNETES)
    assert kube(cloud, "User", other).send("GET", "/api/v1/nodes")[0] == 403


def test_storage_classes_and_disks(cloud: Azure) -> None:
    cloud.cluster()
    api = kube(cloud)
    assert defaults(api) == ["default"]
    claim = {"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}},
    }}  # fmt: skip
    api("POST", "/api/v1/namespaces/default/persistentvolumeclaims", claim)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = {"metadata": {"name": "one"}, "spec": {"containers": [POD], "volumes": volumes}}
    api("POST", "/api/v1/namespaces/default/pods", pod)
    disks = f"{MC}/providers/Microsoft.Compute/disks"
    found = eventually(lambda: cloud("GET", disks)["value"], len)
    assert found[0]["properties"]["diskSizeGB"] == 5
    assert found[0]["sku"]["name"] == "StandardSSD_LRS"
    assert found[0]["tags"]["k8s-azure-created-by"] == "kubernetes-azure-dd"
    api("DELETE", "/api/v1/namespaces/default/pods/one")
    api("DELETE", "/api/v1/namespaces/default/persistentvolumeclaims/data")
    eventually(lambda: cloud("GET", disks)["value"], lambda some: not some)


def test_a_class_may_name_the_group_of_its_disks(cloud: Azure) -> None:
    cloud.cluster()
    cloud.group("disks")
    api = kube(cloud)
    parameters = {"resourceGroup": "disks", "skuName": "Premium_LRS", "tags": "a=b"}
    kind = {"metadata": {"name": "mine"}, "provisioner": "disk.csi.azure.com",
            "parameters": parameters}  # fmt: skip
    api("POST", "/apis/storage.k8s.io/v1/storageclasses", kind)
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "mine",
            "resources": {"requests": {"storage": "5Gi"}}}  # fmt: skip
    claim = {"metadata": {"name": "data"}, "spec": spec}
    api("POST", "/api/v1/namespaces/default/persistentvolumeclaims", claim)
    events = "/api/v1/namespaces/default/events"
    eventually(lambda: str(api("GET", events)), lambda text: "AuthorizationFailed" in text)
    principal = cloud("GET", DEMO)["identity"]["principalId"]
    group = f"{SUB}/resourceGroups/disks"
    cloud.assign("Contributor", group, principal)
    disks = f"{group}/providers/Microsoft.Compute/disks"
    found = eventually(lambda: cloud("GET", disks)["value"], len, 60)
    assert (found[0]["sku"]["name"], found[0]["tags"]["a"]) == ("Premium_LRS", "b")
    cloud.done("DELETE", DEMO)
    assert len(cloud("GET", disks)["value"]) == 1


@pytest.mark.parametrize("reverting", [False, True])
def test_the_default_class_is_sticky_or_reverts(cloud: Azure, reverting: bool) -> None:
    cloud.cloud.store.conditions.reverting = reverting
    cloud.cluster()
    api = kube(cloud)
    patch = {"metadata": {"annotations": {DEFAULT: "false"}}}
    path = "/apis/storage.k8s.io/v1/storageclasses/default"
    api("PATCH", path, patch, "application/merge-patch+json")
    assert defaults(api) == []
    if reverting:
        eventually(lambda: defaults(api), lambda some: some == ["default"])
    else:
        time.sleep(0.7)
        assert defaults(api) == []


def test_load_balancers(cloud: Azure) -> None:
    cloud.cluster()
    api = kube(cloud)
    for name, internal in (("web", "false"), ("inner", "true")):
        annotations = {"service.beta.kubernetes.io/azure-load-balancer-internal": internal}
        body = {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        }
        api("POST", "/api/v1/namespaces/default/services", body)

    def address(name: str) -> str:
        found = api("GET", f"/api/v1/namespaces/default/services/{name}")
        some = found["status"]["loadBalancer"].get("ingress") or [{}]
        return str(some[0].get("ip") or some[0].get("hostname") or "")

    public = eventually(lambda: address("web"), bool)
    assert eventually(lambda: address("inner"), bool).startswith("10.224.")
    place = f"{MC}/providers/Microsoft.Network"
    ips = {
        o["properties"]["ipAddress"]: o for o in cloud("GET", f"{place}/publicIPAddresses")["value"]
    }
    assert ips[public]["tags"]["k8s-azure-service"] == "default/web"
    names = [one["name"] for one in cloud("GET", f"{place}/loadBalancers")["value"]]
    assert names == ["kubernetes", "kubernetes-internal"]
    for name in ("web", "inner"):
        api("DELETE", f"/api/v1/namespaces/default/services/{name}")
    eventually(lambda: len(cloud("GET", f"{place}/publicIPAddresses")["value"]), lambda n: n == 1)
    eventually(lambda: len(cloud("GET", f"{place}/loadBalancers")["value"]), lambda n: n == 1)


@contextmanager
def stubborn(api: Kube) -> Iterator[None]:
    """A pod that a budget keeps where it is."""
    labels = {"app": "one"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [POD]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    body = {"metadata": {"name": "one"}, "spec": spec}
    api("POST", "/apis/apps/v1/namespaces/default/deployments", body)
    budget = {"metadata": {"name": "one"},
              "spec": {"maxUnavailable": 0, "selector": {"matchLabels": labels}}}  # fmt: skip
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    api("POST", budgets, budget)
    eventually(
        lambda: api("GET", "/api/v1/namespaces/default/pods")["items"],
        lambda pods: pods and all(pod["status"].get("phase") == "Running" for pod in pods),
    )
    yield
    api("DELETE", f"{budgets}/one")


def test_a_pool_is_drained_before_it_goes(cloud: Azure) -> None:
    cloud.cluster()
    body = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5"}}
    cloud.done("PUT", f"{DEMO}/agentPools/more", body)
    api = kube(cloud)
    system = next(o["metadata"]["name"] for o in api.nodes() if "system" in o["metadata"]["name"])
    cordon = {"spec": {"unschedulable": True}}
    api("PATCH", f"/api/v1/nodes/{system}", cordon, "application/merge-patch+json")
    with stubborn(api):
        status, _, headers = cloud.send("DELETE", f"{DEMO}/agentPools/more")
        assert status == 202
        time.sleep(0.3)
        poll = headers["Azure-AsyncOperation"]
        assert cloud("GET", poll)["status"] == "InProgress"
        again = {"properties": {"count": 2, "vmSize": "Standard_D2s_v5"}}
        refused = cloud.refused("PUT", f"{DEMO}/agentPools/more", again)
        assert refused == (409, "OperationNotAllowed")
        cordon = {"spec": {"unschedulable": False}}
        api("PATCH", f"/api/v1/nodes/{system}", cordon, "application/merge-patch+json")
    eventually(lambda: cloud("GET", poll)["status"], lambda status: status == "Succeeded", 20)
    assert len(api.nodes()) == 1


def test_an_upgrade_replaces_nodes_one_by_one(cloud: Azure) -> None:
    pools = [{"name": "system", "mode": "System", "count": 2, "vmSize": "Standard_D4s_v5"}]
    cloud.cluster(kubernetesVersion="1.34", agentPoolProfiles=pools)
    before = {one["metadata"]["name"] for one in kube(cloud).nodes()}
    pools[0]["orchestratorVersion"] = "1.35"
    body = cloud.wanted(kubernetesVersion="1.35", agentPoolProfiles=pools)
    cloud.done("PUT", DEMO, body)
    after = {one["metadata"]["name"] for one in kube(cloud).nodes()}
    assert len(after) == 2
    assert not before & after


def test_ranges_that_may_connect(cloud: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.cluster(apiServerAccessProfile={"authorizedIPRanges": ["203.0.113.0/24"]})
    config = cloud.kubeconfig()
    with pytest.raises(urllib3.exceptions.ProxyError):
        Kube(cloud, config).nodes()
    monkeypatch.setenv(ADDRESS, "203.0.113.7")
    assert Kube(cloud, config).nodes()


def test_a_workload_acts_as_a_managed_identity(cloud: Azure) -> None:
    found = cloud.cluster(oidcIssuerProfile={"enabled": True})
    one = cloud.identity("one")["properties"]
    issuer = found["properties"]["oidcIssuerProfile"]["issuerURL"]
    audience = "api://AzureADTokenExchange"
    wanted = {"issuer": issuer, "subject": "system:serviceaccount:default:builder",
              "audiences": [audience]}  # fmt: skip
    cloud("PUT", f"{UAI}/one/federatedIdentityCredentials/builder", {"properties": wanted})
    api = kube(cloud)
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    for name in ("builder", "other"):
        api("POST", accounts, {"metadata": {"name": name}})

    def token(name: str) -> str:
        body = {"spec": {"audiences": [audience], "expirationSeconds": 3600}}
        return str(api("POST", f"{accounts}/{name}/token", body)["status"]["token"])

    def login(assertion: str) -> tuple[int, Any]:
        return cloud.form(
            f"https://login.microsoftonline.com/{cloud.environ['AZURE_TENANT_ID']}/oauth2/v2.0/token",
            grant_type="client_credentials",
            client_id=one["clientId"],
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_assertion=assertion,
            scope="https://management.azure.com/.default",
        )

    status, granted = login(token("builder"))
    assert status == 200
    cloud.assign("Reader", f"{UAI}/one", one["principalId"])
    cloud("GET", f"{UAI}/one", token=granted["access_token"])
    status, refused = login(token("other"))
    assert (status, refused["error_codes"]) == (401, [700213])
    forged = token("builder")[:-8] + "AAAAAAAA"
    assert login(forged)[0] == 401


def test_a_cluster_goes_with_what_it_made(tmp_path: Path) -> None:
    with account(tmp_path, math.inf) as cloud:
        cloud.group()
        cloud.network()
        body = cloud.wanted()
        body["properties"]["agentPoolProfiles"][0]["vnetSubnetID"] = (
            f"{NET}/virtualNetworks/demo/subnets/nodes"
        )
        cloud.done("PUT", DEMO, body)
        api = kube(cloud)
        service = {"metadata": {"name": "web"},
                   "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}  # fmt: skip
        api("POST", "/api/v1/namespaces/default/services", service)
        ips = f"{MC}/providers/Microsoft.Network/publicIPAddresses"
        events = "/api/v1/namespaces/default/events"
        eventually(lambda: str(api("GET", events)), lambda s: "LinkedAuthorizationFailed" in s)
        principal = cloud("GET", DEMO)["identity"]["principalId"]
        cloud.assign("Network Contributor", f"{NET}/virtualNetworks/demo", principal)
        eventually(lambda: len(cloud("GET", ips)["value"]), lambda count: count == 2, 60)
        cloud.done("DELETE", DEMO)
        left = [one["name"] for one in cloud("GET", f"{SUB}/resources")["value"]]
        assert left == ["demo"]
        cloud.done("DELETE", f"{NET}/virtualNetworks/demo")


def test_kube_system_holds_what_the_service_installs(cloud: Azure) -> None:
    network = {"networkPlugin": "azure", "serviceCidr": "10.99.0.0/20", "dnsServiceIP": "10.99.0.9"}
    cloud.cluster(networkProfile=network)
    api, system = kube(cloud), "/api/v1/namespaces/kube-system"
    nodes = len(api.nodes())

    def running() -> Counter[str]:
        pods = api("GET", f"{system}/pods")["items"]
        return Counter(
            one["spec"]["containers"][0]["name"]
            for one in pods
            if one["status"]["phase"] == "Running"
        )

    each = dict.fromkeys(
        ("azure-cns", "azure-ip-masq-agent", "cloud-node-manager", "csi-azuredisk-node",
         "csi-azurefile-node", "kube-proxy"),
        nodes,
    )  # fmt: skip
    some = {"coredns": 2, "coredns-autoscaler": 1, "konnectivity-agent": 2, "metrics-server": 2}
    eventually(running, lambda found: found == {**each, **some})
    address = api("GET", f"{system}/services/kube-dns")["spec"]["clusterIP"]
    own = api("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    assert (own, address) == ("10.99.0.1", "10.99.0.9")


def test_cilium_is_in_the_place_of_kube_proxy(cloud: Azure) -> None:
    network = {"networkPlugin": "azure", "networkDataplane": "cilium"}
    cloud.cluster(networkProfile=network)
    found = kube(cloud)("GET", "/apis/apps/v1/namespaces/kube-system/daemonsets")["items"]
    names = {one["metadata"]["name"] for one in found}
    assert "cilium" in names
    assert "kube-proxy" not in names

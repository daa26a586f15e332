"""What an AKS cluster finds around it: networks, routes, locks, AKS's own StorageClass."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit.aks.storage import LATE
from clusterkit.errors import ClusterkitError, NotOurs
from clusterkit.kube.api import KubeApi
from clusterkit_sandbox.pace import Pace
from tests.drivers.aks import Account
from tests.drivers.aks_cases import EXISTING_CASE, MINIMAL_CASE, administered
from tests.drivers.world import World, edited, world

NETWORK = "Microsoft.Network"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
OURS = "clusterkit-ssd"


def _subnet(account: Account, **properties: Any) -> str:
    """Change the subnet of an existing network, which lies in another group than the cluster."""
    path = f"{account.path}/resourceGroups/theirs/providers/{NETWORK}"
    path += "/virtualNetworks/theirs/subnets/theirs-a"
    body = {"addressPrefix": "10.9.0.0/20", **properties}
    account("PUT", path, {"properties": body})
    return path


def _routes(account: Account, hop: str, address: str | None = None) -> dict[str, str]:
    path = f"{account.path}/resourceGroups/theirs/providers/{NETWORK}/routeTables/firewall"
    route = {"addressPrefix": "0.0.0.0/0", "nextHopType": hop}
    if address:
        route["nextHopIpAddress"] = address
    routes = [{"name": "out", "properties": route}]
    account("PUT", path, {"location": account.region, "properties": {"routes": routes}})
    return {"id": path}


def _outbound(found: World) -> str:
    (cluster,) = (thing for thing in found.case.look(found) if thing.kind == "cluster")
    return str(cluster.shown["properties"]["networkProfile"]["outboundType"])


def test_the_routes_of_a_subnet_decide_the_way_out(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        account = Account(found)
        subnet = _subnet(account, routeTable=_routes(account, "VirtualAppliance", "10.9.0.4"))
        found.settle(found.up())
        assert _outbound(found) == "userDefinedRouting"
        roles = [each for each in found.things().values() if each.kind == "role-assignment"]
        on = [each.shown["properties"]["scope"].lower() for each in roles]
        assert subnet.lower() in on
        # allowed ranges know nothing of the firewall's address
        narrow = found.load(edited(found.case.profile, {"endpoint": {"allowed": ["8.8.8.0/24"]}}))
        told = [str(each) for each in found.cluster().preflight(narrow).warnings]
        assert any("the nodes go out by 10.9.0.4" in each for each in told)
        found.load(found.case.profile)
        # a route to Azure's own internet is no way out of the user's
        _subnet(account, routeTable=_routes(account, "Internet"))
        plan = found.cluster().plan(found.profile)
        changes = [str(change) for step in plan.steps for change in step.changes]
        assert changes == ["outbound: userDefinedRouting -> loadBalancer"]
        found.settle(found.cluster().apply(plan, found.events.append))
        assert _outbound(found) == "loadBalancer"
        found.settle(found.destroy())
        left = found.things().values()
        assert not [each for each in left if each.kind == "role-assignment" and each.marks]
        assert [each for each in left if each.kind == "virtual-network"]


def test_the_gateway_of_a_subnet_is_let_in(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        account = Account(found)
        place = f"{account.path}/resourceGroups/theirs/providers/{NETWORK}"
        body = {"location": account.region, "sku": {"name": "Standard"}}
        static = {"properties": {"publicIPAllocationMethod": "Static"}}
        account("PUT", f"{place}/publicIPAddresses/out", {**body, **static})
        gateway = {"publicIpAddresses": [{"id": f"{place}/publicIPAddresses/out"}]}
        account("PUT", f"{place}/natGateways/out", {**body, "properties": gateway})
        _subnet(account, natGateway={"id": f"{place}/natGateways/out"})
        narrow = found.load(edited(found.case.profile, {"endpoint": {"allowed": ["8.8.8.0/24"]}}))
        cluster = found.cluster()
        found.settle(cluster.apply(cluster.plan(narrow), found.events.append))
        assert _outbound(found) == "userAssignedNATGateway"
        (thing,) = (each for each in found.things().values() if each.kind == "cluster")
        allowed = thing.shown["properties"]["apiServerAccessProfile"]["authorizedIPRanges"]
        shown = account("GET", f"{place}/publicIPAddresses/out")["properties"]["ipAddress"]
        assert sorted(allowed) == sorted(["8.8.8.0/24", f"{shown}/32"])
        assert found.cluster().plan(narrow).empty
        found.settle(found.destroy())
        assert account("GET", f"{place}/natGateways/out")


def test_what_a_deleted_cluster_left_of_its_nodes_goes(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        (cluster,) = (thing for thing in found.things().values() if thing.kind == "cluster")
        account("DELETE", cluster.id)
        group = f"{account.path}/resourceGroups/clusterkit-demo-{account.region}-nodes"
        body = {"location": account.region, "managedBy": cluster.id}
        account("PUT", group, body)
        others = f"{account.path}/resourceGroups/others-nodes"
        account("PUT", others, {**body, "managedBy": f"{cluster.id}2"})
        found.settle(found.destroy())
        left = [thing.id for thing in found.things().values()]
        assert left == ["others-nodes"]


def test_names_are_compared_without_case(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        account = Account(found)
        path = f"{account.path}/resourceGroups/home/providers"
        path += "/Microsoft.ContainerService/managedClusters/DEMO"
        pool = {"name": "theirs", "count": 1, "vmSize": "Standard_D4s_v5", "mode": "System"}
        properties = {"dnsPrefix": "theirs", "agentPoolProfiles": [pool]}
        identity = {"type": "SystemAssigned"}
        body = {"location": account.region, "identity": identity, "properties": properties}
        account("PUT", path, body)
        with pytest.raises(NotOurs, match="there is a cluster DEMO"):
            found.cluster().plan(found.profile)


def _defaults(kube: KubeApi) -> set[str]:
    return {
        item["metadata"]["name"]
        for item in kube.list(CLASSES)
        if (item["metadata"].get("annotations") or {}).get(DEFAULT) == "true"
    }


def test_akss_class_may_come_late_and_become_the_default_again(tmp_path: Path) -> None:
    pace = 600
    with world(MINIMAL_CASE, tmp_path, Pace(pace)) as found:
        found.settle(found.up())
        kube = found.clients().kube
        assert _defaults(kube) == {OURS}
        late = kube.get(f"{CLASSES}/default")
        assert late is not None
        theirs = {key: late[key] for key in ("apiVersion", "kind", "provisioner")}
        theirs["metadata"] = {"name": "default", "annotations": {DEFAULT: "true"}}
        for name in (OURS, "default"):
            kube.delete(f"{CLASSES}/{name}")
        after = threading.Timer(LATE / pace / 2, kube.apply, (f"{CLASSES}/default", theirs))
        after.start()
        found.settle(found.up())
        after.join()
        assert _defaults(kube) == {OURS}
        assert found.plan().empty
        # the add-on manager puts its own back: the newer one is ours, and stays the default
        kube.patch(f"{CLASSES}/default", {"metadata": {"annotations": {DEFAULT: "true"}}})
        assert found.plan().empty
        # anybody else's is not tolerated
        other = {**theirs, "metadata": {"name": "other", "annotations": {DEFAULT: "true"}}}
        kube.apply(f"{CLASSES}/other", other)
        assert not found.plan().empty
        found.settle(found.up())
        assert "other" not in _defaults(kube)


def test_the_administrators_certificate_where_the_cluster_allows_it(tmp_path: Path) -> None:
    with world(replace(MINIMAL_CASE, prepare=administered), tmp_path) as found:
        found.settle(found.up())
        assert found.cluster().access().new
        with pytest.raises(ClusterkitError, match="lets no local accounts in") as caught:
            found.cluster().administrator()
        assert "entra.local_accounts: true" in str(caught.value.hint)
        both = found.load(edited(found.case.profile, {"entra.local_accounts": True}))
        found.settle(found.up(both))
        access = found.cluster().administrator()
        assert access.client_certificate
        assert access.token is None
        assert KubeApi(lambda: access).list("/api/v1/namespaces")

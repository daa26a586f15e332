"""What an AKS cluster finds around it: networks, routes, locks, AKS's own StorageClass."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit import Cluster
from clusterkit.aks.storage import LATE
from clusterkit.engine.exchange import Exchange
from clusterkit.errors import ClusterkitError, NotOurs, PreflightError
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


def test_a_subnet_that_aks_would_not_take(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        service = {"serviceName": "Microsoft.Sql/managedInstances"}
        _subnet(Account(found), delegations=[{"name": "sql", "properties": service}])
        edits = {"pools.0.count": {"min": 1, "max": 4092}, "network.pods": "10.64.0.0/12"}
        many = found.load(edited(found.case.profile, edits))
        with pytest.raises(PreflightError) as caught:
            found.cluster().preflight(many)
        told = [each.what for each in caught.value.findings]
        assert "subnet theirs-a is delegated to Microsoft.Sql/managedInstances" in told
        assert "10.9.0.0/20 has addresses for 4091 nodes, the pools may have 4092" in told


def test_a_security_group_that_lets_nothing_out(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        account = Account(found)
        path = f"{account.path}/resourceGroups/theirs/providers/{NETWORK}/networkSecurityGroups/n"

        def told(*rules: tuple[str, str, str]) -> bool:
            every = {"protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*"}
            every |= {"direction": "Outbound", "destinationAddressPrefix": "Internet"}
            made = [
                {
                    "name": access.lower(),
                    "properties": {
                        **every,
                        "access": access,
                        "priority": int(priority),
                        "destinationPortRange": port,
                    },
                }
                for access, priority, port in rules
            ]
            account(
                "PUT", path, {"location": account.region, "properties": {"securityRules": made}}
            )
            _subnet(account, networkSecurityGroup={"id": path})
            warnings = found.cluster().preflight(found.profile).warnings
            return any("rule deny of the subnet's security group" in str(each) for each in warnings)

        assert told(("Deny", "200", "*"))
        assert not told(("Deny", "200", "*"), ("Allow", "100", "443"))
        assert told(("Deny", "200", "*"), ("Allow", "300", "443"))
        assert not told(("Deny", "200", "22"))


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


def test_a_cluster_of_the_same_name_in_another_region_is_left_alone(tmp_path: Path) -> None:
    """They share an existing group, where names are unique whatever the region."""
    with world(EXISTING_CASE, tmp_path) as found:
        found.settle(found.up())
        before = found.things()
        profile = edited(found.case.profile, {"region": "northeurope", "network": {}})
        found.profile = found.load(profile)
        with pytest.raises(NotOurs, match="lies in westeurope, not in northeurope"):
            found.plan()
        assert found.destroy_plan().empty
        assert found.things() == before


@pytest.mark.parametrize("name", ["control-plane", "kubelet"])
def test_an_identity_deleted_by_hand_is_made_known_to_the_cluster(
    name: str, tmp_path: Path
) -> None:
    """The new one has the same id, but is somebody else for Azure."""
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        things = found.things().values()
        [old] = [one for one in things if one.kind == "identity" and one.id.endswith(name)]
        account("DELETE", old.id)
        found.settle(found.up())
        new = account("GET", old.id)["properties"]
        assert new["clientId"] != old.shown["properties"]["clientId"]
        [cluster] = [one.shown for one in found.things().values() if one.kind == "cluster"]
        control = cluster["identity"]["userAssignedIdentities"].values()
        known = [*control, *cluster["properties"]["identityProfile"].values()]
        assert new["clientId"] in [one["clientId"] for one in known]
        assert found.plan().empty


@pytest.mark.parametrize("knows", [True, False], ids=["profile", "name only"])
def test_what_is_elsewhere_goes_though_the_group_is_gone(knows: bool, tmp_path: Path) -> None:
    """A role on the network of somebody else; the group that the lock needs goes with it."""
    with world(EXISTING_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        account("DELETE", f"{account.path}/resourceGroups/home")
        left = found.look()
        assert left["role-assignment"]
        target = found.target() if knows else replace(found.target(), home=None)
        cluster = Cluster(target, found.connection())
        found.settle(cluster.apply(cluster.plan_destroy(), found.events.append))
        assert left - found.look() == {"role-assignment": 1}
        assert not found.look() - left


def test_a_group_made_for_the_lock_alone_goes_with_it(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        with found.cluster().lock(lambda _: None):
            assert found.look() - before == {"resource-group": 1, "scale-set": 1}
        assert found.look() == before
        found.settle(found.up())
        with found.cluster().lock(lambda _: None):
            pass
        assert found.plan().empty


def test_a_long_name_has_nodes(tmp_path: Path) -> None:
    """AKS labels them with the name of their group, which may be longer than a label."""
    long = replace(MINIMAL_CASE, profile=edited(MINIMAL_CASE.profile, {"name": "a" * 40}))
    with world(long, tmp_path) as found:
        found.settle(found.up())
        nodes = found.clients(found.profile.name).kube.list("/api/v1/nodes")
        assert len([*nodes]) == found.profile.pools[0].minimum
        found.settle(found.destroy())


@pytest.mark.parametrize("first", [None, "home"])
@pytest.mark.parametrize("second", [None, "other"])
def test_a_cluster_is_not_moved_to_another_group(
    first: str | None, second: str | None, tmp_path: Path
) -> None:
    """Roles are found by region and name: those of the first would be taken from it."""
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        for name in ("home", "other"):
            body = {"location": account.region}
            account("PUT", f"{account.path}/resourceGroups/{name}", body)
        found.profile = found.load(edited(found.case.profile, {"resource_group": first}))
        found.settle(found.up())
        before = found.things().keys()
        same = found.profile
        if first != second:
            found.profile = found.load(edited(found.case.profile, {"resource_group": second}))
            with pytest.raises(NotOurs, match="in westeurope too, and not in"):
                found.plan()
            with pytest.raises(NotOurs, match="in westeurope too, and not in"):
                found.destroy_plan()
        found.profile = same
        assert found.things().keys() == before
        assert found.plan().empty
        cluster = Cluster(replace(found.target(), home=None), found.connection())
        found.settle(cluster.apply(cluster.plan_destroy(), found.events.append))
        assert found.look() == {"resource-group": 2}


def test_a_registry_that_another_run_makes_meanwhile_is_ours(tmp_path: Path) -> None:
    registry = {"registry": {"name": "demo", "repositories": ["app"], "acr": "demo12345"}}
    with world(replace(MINIMAL_CASE, profile=edited(MINIMAL_CASE.profile, registry)), tmp_path) as (
        found
    ):
        account = Account(found)
        group = f"{account.path}/resourceGroups/clusterkit-demo-westeurope"
        made: list[str] = []

        def meanwhile(seen: Exchange) -> None:
            if "checkNameAvailability" in seen.operation and not made:
                made.append("demo12345")
                account("PUT", group, {"location": account.region})
                path = f"{group}/providers/Microsoft.ContainerRegistry/registries/demo12345"
                account("PUT", path, {"location": account.region, "sku": {"name": "Basic"}})

        assert found.cluster(observe=meanwhile).preflight(found.profile)
        assert made


def test_a_tag_that_a_policy_hands_on_makes_nothing_ours(tmp_path: Path) -> None:
    """Azure's policy "Inherit a tag from the resource group" puts them on all in it."""
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        group = f"{account.path}/resourceGroups/clusterkit-demo-westeurope"
        tags = account("GET", group)["tags"]
        path = f"{group}/providers/{NETWORK}/networkSecurityGroups/theirs"
        account("PUT", path, {"location": account.region, "tags": tags})
        blocked = {each.key: each.reason for each in found.destroy_plan().blocked}
        assert "networksecuritygroups/theirs" in blocked["resource-group/main"]
        found.settle(found.destroy())
        assert account("GET", path)

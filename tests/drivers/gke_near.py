"""What may lie near a GKE cluster, made with Google's own libraries alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from clusterkit.naming import CLUSTER
from tests.drivers.fields import GIT
from tests.drivers.gke import Account
from tests.drivers.gke_cases import FULL_CASE, MINIMAL, REGION, ZONES, network, repository
from tests.drivers.near import Near, Neighbour, States, strip_object
from tests.drivers.world import World

RICH: Mapping[str, Any] = {
    **MINIMAL,
    "ssh_key": "me.pub",
    "ssh_from": "iap",
    "storage": {"default": "ssd"},
    "registry": {
        "name": "demo",
        "repositories": ["app"],
        "push": ["a/b"],
        "identity": "account",
        "hosts": ["gcr.io", "asia.gcr.io"],
        "keep": False,
    },
    # Secret Manager would have to be enabled
    "ready": {"jenkins_x": {"git_url": GIT, "secrets": "local", "keep_storage": False}},
}
OURS = f"clusterkit-demo-{REGION}"
"""what the network is called, and how the names of what is in it begin"""
PLACES = {"gcr.io": "us", "asia.gcr.io": "asia"}
ENDS = {"subnetworks": "nodes", "routers": "nat", "firewalls": "ssh"}


# -- the same names -------------------------------------------------------------------------------


def _network(world: World, name: str) -> str:
    account = Account(world)
    body = {"name": OURS, "autoCreateSubnetworks": False}
    account.compute("POST", "global/networks", body)
    return OURS


def _in_theirs(collection: str, **body: Any) -> Callable[[World, str], str]:
    """Something of the name of ours in a network of theirs."""

    def make(world: World, name: str) -> str:
        account = Account(world)
        path = network(account)
        called = f"{OURS}-{ENDS[collection]}"
        place = "global" if collection == "firewalls" else f"regions/{REGION}"
        account.compute("POST", f"{place}/{collection}", {"name": called, "network": path, **body})
        return called

    return make


def _repository(world: World, name: str) -> str:
    return repository(Account(world), "demo")


def _host(world: World, name: str) -> str:
    host = name.replace("-", ".")
    return repository(Account(world), host, PLACES[host])


def _cluster(world: World, name: str) -> str:
    account = Account(world)
    path = network(account)
    ranges = {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"}
    body = {
        "name": name,
        "network": path,
        "subnetwork": f"projects/{account.project}/regions/{REGION}/subnetworks/theirs-a",
        "ipAllocationPolicy": {"useIpAliases": True, **ranges},
        "nodePools": [{"name": "theirs", "initialNodeCount": 1}],
    }
    parent = f"projects/{account.project}/locations/{ZONES[0]}"
    account("container", "POST", f"{parent}/clusters", {"cluster": body})
    return f"{ZONES[0]}/{name}"


# -- next to ours ---------------------------------------------------------------------------------


def _inside(
    collection: str, place: str, called: str = "theirs", **body: Any
) -> Callable[[World, States], str]:
    """Something of theirs in our network."""

    def make(world: World, states: States) -> str:
        account, path = Account(world), states["network/main"].path
        wanted = {"name": called, "network": path, **body}
        account.compute("POST", f"{place}/{collection}", wanted)
        return called

    return make


def _instance(world: World, states: States) -> str:
    account = Account(world)
    body = {
        "name": "gke-theirs",
        "machineType": f"zones/{ZONES[0]}/machineTypes/e2-medium",
        "disks": [
            {
                "boot": True,
                "autoDelete": True,
                "initializeParams": {
                    "sourceImage": "projects/debian-cloud/global/images/family/debian-12"
                },
            }
        ],
        "networkInterfaces": [{"subnetwork": states["subnetwork/nodes"].path}],
    }
    account.compute("POST", f"zones/{ZONES[0]}/instances", body)
    return "gke-theirs"


def _address(world: World, states: States) -> str:
    """An internal address, taken out of our subnetwork."""
    body = {
        "name": "theirs",
        "addressType": "INTERNAL",
        "subnetwork": states["subnetwork/nodes"].path,
    }
    Account(world).compute("POST", f"regions/{REGION}/addresses", body)
    return "theirs"


def _pool(world: World, states: States) -> str:
    account = Account(world)
    parent = states["cluster/demo"].path
    body = {"nodePool": {"name": "theirs", "initialNodeCount": 1}}
    account("container", "POST", f"{parent}/nodePools", body)
    return "theirs"


def _resident(world: World, states: States) -> str:
    """Another cluster, whose rules and groups are called as if they were of ours."""
    account = Account(world)
    ranges = {"clusterIpv4CidrBlock": "10.96.0.0/20", "servicesIpv4CidrBlock": "10.97.0.0/24"}
    body = {
        "name": "theirs",
        "network": states["network/main"].path,
        "subnetwork": states["subnetwork/nodes"].path,
        "ipAllocationPolicy": {"useIpAliases": True, **ranges},
        "nodePools": [{"name": "theirs", "initialNodeCount": 1}],
    }
    parent = f"projects/{account.project}/locations/{ZONES[0]}"
    account("container", "POST", f"{parent}/clusters", {"cluster": body})
    return "theirs"


def _shown_resident(world: World, name: str) -> Any:
    """The cluster, and what GKE and its controllers made for it."""
    account = Account(world)
    path = f"projects/{account.project}/locations/{ZONES[0]}/clusters/{name}"
    found: Any = account.clusters.get_cluster(name=path)
    shown = json_format.MessageToDict(type(found).pb(found))
    rules = account.compute("GET", "global/firewalls", filter=f"name:gke-{name}-*")["items"]
    groups = account.compute("GET", f"zones/{ZONES[0]}/instanceGroups")["items"]
    mine = sorted(each["name"] for each in groups if f"-{name}-" in each["name"])
    return shown, sorted(each["name"] for each in rules), mine


def _remove_resident(world: World, name: str) -> None:
    account = Account(world)
    path = f"projects/{account.project}/locations/{ZONES[0]}/clusters/{name}"
    account("container", "DELETE", path)


def _shown_pool(world: World, name: str) -> Any:
    account = Account(world)
    parent = f"projects/{account.project}/locations/{ZONES[0]}/clusters/demo"
    found: Any = account.clusters.get_node_pool(name=f"{parent}/nodePools/{name}")
    return json_format.MessageToDict(type(found).pb(found))


def _remove_pool(world: World, name: str) -> None:
    account = Account(world)
    parent = f"projects/{account.project}/locations/{ZONES[0]}/clusters/demo"
    account("container", "DELETE", f"{parent}/nodePools/{name}")


def _grant(world: World, states: States) -> str:
    """A role of theirs on our repository: it loses nothing but the repository."""
    account, path = Account(world), states["repository/demo"].id
    found = account("artifactregistry", "GET", f"{path}:getIamPolicy")
    theirs = {"role": "roles/artifactregistry.admin", "members": ["user:theirs@example.com"]}
    policy = {**found, "bindings": [*found.get("bindings", ()), theirs]}
    account("artifactregistry", "POST", f"{path}:setIamPolicy", {"policy": policy})
    return "theirs"


def _near(make: Any, collection: str, place: str, *stay: str) -> Neighbour:
    """A thing of Compute Engine."""

    def at(name: str) -> str:
        return f"{place}/{collection}/{name}"

    def remove(world: World, name: str) -> None:
        Account(world).compute("DELETE", at(name))

    def show(world: World, name: str) -> Any:
        return Account(world).compute("GET", at(name))

    return Neighbour(make, remove, show, stay)


REGIONAL, ZONAL = f"regions/{REGION}", f"zones/{ZONES[0]}"
SSH: Mapping[str, Any] = {
    "sourceRanges": ["10.0.0.0/8"],
    "allowed": [{"IPProtocol": "tcp", "ports": ["5432"]}],
}
PART: Mapping[str, Any] = {"ipCidrRange": "10.200.0.0/24"}
NEIGHBOURS: Mapping[str, Neighbour] = {
    "firewall rule": _near(_inside("firewalls", "global", **SSH), "firewalls", "global", "network"),
    "rule that is called as if it were of GKE": _near(
        _inside("firewalls", "global", "gke-theirs", **SSH), "firewalls", "global", "network"
    ),
    "router": _near(_inside("routers", REGIONAL), "routers", REGIONAL, "network"),
    "subnetwork": _near(
        _inside("subnetworks", REGIONAL, **PART), "subnetworks", REGIONAL, "network"
    ),
    "machine": _near(_instance, "instances", ZONAL, "subnetwork", "network"),
    "internal address": _near(_address, "addresses", REGIONAL, "subnetwork", "network"),
    "cluster": Neighbour(_resident, _remove_resident, _shown_resident, ("subnetwork", "network")),
    "node pool": Neighbour(
        _pool,
        _remove_pool,
        _shown_pool,
        ("cluster", "iam-service-account", "network", "subnetwork"),
    ),
}


# -- ours -----------------------------------------------------------------------------------------


def _strip(world: World, kind: str, have: Any) -> None:
    account = Account(world)
    if strip_object(world, kind, have):
        return
    if kind == "cluster":
        shown = account("container", "GET", have.path)
        labels = {key: value for key, value in have.tags.items() if key != CLUSTER}
        body = {"resourceLabels": labels, "labelFingerprint": shown["labelFingerprint"]}
        account("container", "POST", f"{have.path}:setResourceLabels", body)
    elif kind == "node-pool":
        labels = {key: value for key, value in have.tags.items() if key != CLUSTER}
        account("container", "PUT", have.path, {"resourceLabels": {"labels": labels}})
    elif kind == "iam-service-account":
        path = f"projects/{account.project}/serviceAccounts/{have.id}"
        body = {"serviceAccount": {"description": "mine"}, "updateMask": "description"}
        account("iam", "PATCH", path, body)
    elif kind == "bucket":
        account("storage", "PATCH", f"b/{have.id}", {"labels": {CLUSTER: None}})
    elif kind.endswith("repository"):
        labels = {key: value for key, value in have.tags.items() if key != CLUSTER}
        account("artifactregistry", "PATCH", have.id, {"labels": labels}, updateMask="labels")
    else:
        # only rules take another description afterwards
        body = {"name": have.id, "description": "mine"}
        account.compute("PATCH", f"global/firewalls/{have.id}", body)


UNCHANGING = "Compute Engine changes its description no more"
NEAR = Near(
    rich=replace(FULL_CASE, label="rich", profile=RICH),
    twins={
        "cluster": _cluster,
        "network": _network,
        "subnetwork": _in_theirs("subnetworks", ipCidrRange="10.99.0.0/24"),
        "router": _in_theirs("routers"),
        "firewall": _in_theirs("firewalls", **SSH),
        "repository": _repository,
        "gcr-repository": _host,
    },
    fixed=dict.fromkeys(("network", "router", "subnetwork"), "choose another name, or delete it"),
    neighbours=NEIGHBOURS,
    strip=_strip,
    sure={
        "network": UNCHANGING,
        "router": UNCHANGING,
        "subnetwork": UNCHANGING,
        "workload-access": "it is a part of the policy of what is ours",
    },
    alone=("bucket", "gcr-repository", "iam-service-account", "repository"),
)

"""GKE profiles for the generic suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.drivers import profiles
from tests.drivers.gke import Account, inventory
from tests.drivers.world import Case, Edits, World, edited, occupy

REGION = "europe-west1"
ZONES = [f"{REGION}-{letter}" for letter in "bcd"]

MINIMAL: Mapping[str, Any] = {
    "cloud": "gke",
    "name": "demo",
    "region": REGION,
    "kubernetes": "1.35",
    "pools": [{"name": "default", "machine": "e2-standard-4"}],
}

FULL: Mapping[str, Any] = {
    **MINIMAL,
    "network": {"cidr": "10.20.0.0/20", "zones": 3},
    "channel": "regular",
    "ssh_key": "me.pub",
    "ssh_from": "iap",
    "endpoint": {"allowed": ["8.8.8.0/24"], "dns": True},
    "pools": [
        {**profiles.BUILD, "count": {"min": 1, "max": 6}, "disk": {"size": 120, "type": "pd-ssd"}},
        {"name": "small", "machine": "e2-standard-2", "count": 3},
    ],
    "storage": {"default": "ssd"},
    "registry": {
        "name": "demo",
        "repositories": ["app", "web"],
        "push": ["builds/kaniko"],
        "keep": False,
    },
    "tags": {"team": "ci"},
}


def bare(world: World) -> Edits:
    """A new project, in which few APIs are enabled."""
    emulator: Any = world.sandbox._emulators[0]
    emulator.store.conditions.activated = False
    world.sandbox.reset()
    emulator.store.conditions.activated = True  # from the next time on
    return {}


def network(account: Account, name: str = "theirs", cidr: str = "10.9") -> str:
    """A network of somebody else's with two subnetworks, each with ranges; its path."""
    account.compute("POST", "global/networks", {"name": name, "autoCreateSubnetworks": False})
    path = f"projects/{account.project}/global/networks/{name}"
    for index, subnetwork in enumerate((f"{name}-a", f"{name}-b")):
        ranges = [
            {"rangeName": "pods", "ipCidrRange": f"10.{64 + index * 16}.0.0/14"},
            {"rangeName": "services", "ipCidrRange": f"10.96.{index * 16}.0/20"},
        ]
        body = {
            "name": subnetwork,
            "network": path,
            "ipCidrRange": f"{cidr}.{index * 16}.0/20",
            "privateIpGoogleAccess": True,
            "secondaryIpRanges": ranges,
        }
        account.compute("POST", f"regions/{account.region}/subnetworks", body)
    return path


EXISTING = {"vpc": "theirs", "subnetwork": "theirs-a", "pods": "pods", "services": "services"}


def _vpc(world: World) -> Edits:
    """A network of somebody else's, without a way out."""
    network(Account(world))
    return {"network": {"existing": EXISTING}}


def _twins(world: World) -> None:
    """Things that look like ours: the names, but not the mark."""
    account = Account(world)
    network(account, "clusterkit-demo", "10.11")
    account.compute(
        "POST",
        "global/firewalls",
        {
            "name": "gke-demo-12345678-all",
            "network": f"projects/{account.project}/global/networks/clusterkit-demo",
            "sourceRanges": ["10.0.0.0/8"],
            "allowed": [{"IPProtocol": "tcp"}],
        },
    )
    account.compute("POST", f"regions/{REGION}/addresses", {"name": "clusterkit-demo"})
    account.compute("POST", f"zones/{ZONES[0]}/disks", {"name": "pvc-demo", "sizeGb": "10"})
    body = {"accountId": "ck-demo-nodes", "serviceAccount": {"displayName": "nodes of demo"}}
    account("iam", "POST", f"projects/{account.project}/serviceAccounts", body)
    repository(account, "clusterkit-demo")
    bucket = {"name": "logs-demo-123456", "location": REGION}
    account("storage", "POST", "b", bucket, project=account.project)


def repository(account: Account, name: str, place: str = REGION) -> str:
    """A repository of somebody else's; its full name."""
    parent = f"projects/{account.project}/locations/{place}"
    path = f"{parent}/repositories"
    account("artifactregistry", "POST", path, {"format": "DOCKER"}, repositoryId=name)
    return f"{path}/{name}"


UNMARKED = ("binding", "boot-disk", "firewall", "forwarding-rule", "instance", "instance-group")
"""the machines and what lets them talk, the way to the control plane; the bindings in the project's
policy"""

APIECE = (
    "artifactregistry.projects.locations.repositories.getIamPolicy",
    # one location at a time: ours, and those behind the hosts of Container Registry
    "artifactregistry.projects.locations.repositories.list",
    "iam.projects.serviceAccounts.getIamPolicy",
    "storage.buckets.getIamPolicy",
)

MINIMAL_CASE = Case(
    cloud="gke",
    label="minimal",
    apiece=APIECE,
    calls=3,
    profile=MINIMAL,
    look=inventory,
    unmarked=UNMARKED,
    twins=_twins,
    busy=occupy,
    used=("disk", "forwarding-rule", "target-pool"),
    terminal=(
        ("container.projects.locations.clusters.create", "cluster/demo"),
        ("compute.networks.insert", "network/main"),
        ("compute.routers.insert", "router/main"),
    ),
    failing=(
        (
            "container.projects.locations.clusters.update",
            {"endpoint.allowed": ["8.8.8.0/24"]},
            "cluster/demo",
            "",
        ),
    ),
    changes=(
        *profiles.SIZES,
        *profiles.one_more(MINIMAL, "n2-standard-2"),
        ("machine", {"pools.0.machine": "e2-standard-8"}),
        ("scopes", {"pools.0.scopes": ["cloud-platform", "storage-full"]}),
        ("version", {"kubernetes": "1.36"}),
        ("endpoint", {"endpoint": {"allowed": ["8.8.8.0/24"]}}),
        ("by name", {"endpoint": {"public": False, "dns": True}}),
        *profiles.WAY_OUT,
        ("key", {"ssh_key": "me.pub", "ssh_from": "iap"}),
        *profiles.TAGS,
        *profiles.PROTECTION,
    ),
    refused=(
        ("cidr", {"network.cidr": "10.7.0.0/16"}, "subnetwork/"),
        ("services", {"network.services": "172.31.0.0/20"}, "subnetwork/"),
        ("location", {"location": "regional"}, "cluster/demo"),
        (
            "mode",
            {"mode": "autopilot", "pools": None, "ssh_key": None, "ssh_from": None},
            "cluster/demo",
        ),
        ("back", {"kubernetes": "1.34"}, "cluster/demo"),
    ),
)

FULL_CASE = Case(
    cloud="gke",
    label="full",
    apiece=APIECE,
    calls=3,
    profile=FULL,
    look=inventory,
    unmarked=UNMARKED,
    changes=(
        *profiles.TAGS,
        *profiles.POOLS,
        ("key", {"ssh_key": "other.pub"}),
        ("from anywhere", {"ssh_from": ["0.0.0.0/0"]}),
        ("channel", {"channel": "rapid"}),
        ("push by node", {"registry.push": "node"}),
        ("push by others", {"registry.push": ["a/b", "c/d"]}),
        ("as an account", {"registry.identity": "account"}),
        ("kaniko", {"ready": {"kaniko": {}}}),
        ("kaniko with a secret", {"registry.push": "secret"}),
        ("kaniko elsewhere", {"ready": {"kaniko": {"registry": {"prefix": "me"}}}}),
        ("old hosts", {"registry.hosts": ["gcr.io", "eu.gcr.io"]}),
        ("no old hosts", {"registry.hosts": []}),
    ),
)

EXISTING_CASE = Case(
    cloud="gke",
    label="existing",
    profile={**MINIMAL, "registry": {"name": "demo", "repositories": ["app"]}},
    look=inventory,
    unmarked=UNMARKED,
    prepare=_vpc,
    kept=("repository",),
    changes=(("count", {"pools.0.count": 3}),),
)

REGIONAL: Edits = {"location": "regional", "network": {"zones": ZONES}, "pools.0.count": 3}

REGIONAL_CASE = Case(
    cloud="gke",
    label="regional",
    profile=edited(MINIMAL, REGIONAL),
    look=inventory,
    unmarked=UNMARKED,
    changes=(("count", {"pools.0.count": 6}), ("key", {"ssh_key": "me.pub"})),
)

AUTOPILOT: Edits = {"mode": "autopilot", "pools": None}

AUTOPILOT_CASE = Case(
    cloud="gke",
    label="autopilot",
    profile=edited(MINIMAL, AUTOPILOT),
    look=inventory,
    unmarked=(*UNMARKED, "node-pool"),
    changes=(
        ("endpoint", {"endpoint": {"allowed": ["8.8.8.0/24"]}}),
        ("tags", {"tags": {"a": "b"}}),
    ),
)

BARE_CASE = Case(
    cloud="gke",
    label="bare",
    profile={**MINIMAL, "network": {"nat": "none"}},
    look=inventory,
    unmarked=UNMARKED,
    changes=(("labels", {"pools.0.labels": {"a": "b"}}), ("nat", {"network.nat": "one"})),
)

DOMAIN = {"ready.jenkins_x.domain": "apps.example.com"}
JENKINS_X: Mapping[str, Any] = {
    **MINIMAL,
    "registry": {"name": "demo", "repositories": ["app"], "keep": False},
    "ready": {
        "kaniko": {},
        "jenkins_x": {"git_url": "https://github.com/a/b", "keep_storage": False},
    },
}


def activated(world: World) -> Edits:
    """A project with the APIs of all that Jenkins X may have."""
    world.cloud.activate(world.load(edited(world.case.profile, DOMAIN)), world.clients())
    return {}


JENKINS_X_CASE = Case(
    cloud="gke",
    label="jenkins-x",
    apiece=APIECE,
    calls=3,
    profile=JENKINS_X,
    look=inventory,
    unmarked=UNMARKED,
    kept=("bucket",),
    prepare=activated,
    changes=(
        ("tags", {"tags": {"team": "ops"}}),
        ("domain", DOMAIN),
        ("TLS", {"ready.jenkins_x.tls_email": "me@example.com"}),
        ("local secrets", {"ready.jenkins_x.secrets": "local"}),
        ("registry", {"registry.name": "other"}),
        ("as an account", {"registry.identity": "account"}),
        ("no storage", {"ready.jenkins_x.storage": False}),
        ("storage", {"ready.jenkins_x.storage": True, "ready.jenkins_x.keep_storage": True}),
    ),
)

CASES = (
    MINIMAL_CASE,
    FULL_CASE,
    EXISTING_CASE,
    REGIONAL_CASE,
    AUTOPILOT_CASE,
    BARE_CASE,
    JENKINS_X_CASE,
)

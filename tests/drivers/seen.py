"""What a cluster looks like in each cloud's own words, brought into one form.

Everything is asked for with the vendor's SDK or its plain protocol, nothing with the driver.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tests.drivers import alibaba, aws
from tests.drivers import gke as google
from tests.drivers.world import Thing, World

Labels = Mapping[str, str]
Taint = tuple[str, str, str]


@dataclass(frozen=True)
class SeenPool:
    """A pool of nodes."""

    labels: Labels
    taints: frozenset[Taint]
    count: tuple[int, int]
    scaled: bool
    """by the cloud, within ``count``"""
    disk: int
    """GiB; on GKE GB"""
    key: str
    """what lets in with SSH; as ``public_key`` of the cloud"""


@dataclass(frozen=True)
class Seen:
    """A cluster, and what goes with it."""

    version: str
    cidr: str
    gateways: int
    """ways out of the network"""
    pools: Mapping[str, SeenPool]
    """by their names in the cloud, which begin with those in the profile"""
    repositories: frozenset[str]
    """as ``images`` names them"""
    key: str
    """as ``SeenPool.key``"""


def public_key(cloud: str, text: str) -> str:
    """A public key of the profile as a cloud shows it: Alibaba Cloud tells the MD5 of the key."""
    if cloud != "alibaba":
        return text
    return hashlib.md5(base64.b64decode(text.split()[1]), usedforsecurity=False).hexdigest()


def images(cloud: str, name: str, repositories: Iterable[str]) -> frozenset[str]:
    """The repositories that are there before a push, caches too: on GKE and AKS there is what takes
    them all, of which AKS's has a name that is unique in Azure.
    """
    match cloud:
        case "eks":
            return frozenset(
                f"{name}/{each}{more}" for each in repositories for more in ("", "/cache")
            )
        case "alibaba":
            return frozenset(
                f"{name}/{each}{more}" for each in repositories for more in ("", "-cache")
            )
        case "gke":
            return frozenset((name,))
        case _:
            return frozenset(("azurecr.io",))


def minor(version: str) -> str:
    """``1.35`` of ``1.35.7-aliyun.1``."""
    return ".".join(version.split(".")[:2])


def _effect(effect: str) -> str:
    """``NoSchedule`` of ``NO_SCHEDULE``."""
    return "".join(word.capitalize() for word in effect.split("_")) if "_" in effect else effect


def _taints(found: Iterable[Mapping[str, str]]) -> frozenset[Taint]:
    return frozenset((t["key"], t.get("value", ""), _effect(t["effect"])) for t in found)


def _ours(world: World) -> Mapping[str, list[Thing]]:
    """Everything that carries the mark of the cluster, by its kind."""
    found: dict[str, list[Thing]] = {}
    for thing in world.case.look(world):
        if thing.marks.get("clusterkit-cluster") == world.profile.name:
            found.setdefault(thing.kind, []).append(thing)
    return found


def eks(world: World) -> Seen:
    """By boto3."""
    account, ours = aws.Account(world), _ours(world)
    pools = {}
    for thing in ours["node-group"]:
        group = thing.shown
        template = account.ec2.describe_launch_template_versions(
            LaunchTemplateId=group["launchTemplate"]["id"],
            Versions=[group["launchTemplate"]["version"]],
        )["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        scaling = group["scalingConfig"]
        pools[group["nodegroupName"]] = SeenPool(
            labels=group["labels"],
            taints=_taints(group["taints"]),
            count=(scaling["minSize"], scaling["maxSize"]),
            scaled=scaling["minSize"] != scaling["maxSize"],
            disk=template["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"],
            key=_imported(account, template["KeyName"]),
        )
    [cluster], [vpc], [pair] = ours["cluster"], ours["vpc"], ours["key-pair"]
    return Seen(
        version=cluster.shown["version"],
        cidr=vpc.shown["CidrBlock"],
        gateways=len(ours["nat-gateway"]),
        pools=pools,
        repositories=frozenset(each.id for each in ours["repository"]),
        key=_imported(account, pair.id),
    )


def _imported(account: aws.Account, name: str) -> str:
    shown = account.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"]
    return " ".join(shown[0]["PublicKey"].split()[:2])


def ack(world: World) -> Seen:
    """By Alibaba Cloud's newer SDK."""
    account, ours = alibaba.Account(world), _ours(world)
    pairs = {
        each["KeyPairName"]: each["KeyPairFingerPrint"]
        for each in account.every("ecs:DescribeKeyPairs", "KeyPairs", "KeyPair")
    }
    pools = {}
    for thing in ours["node-pool"]:
        pool = thing.shown
        kubernetes, group, scaling = (
            pool[part] for part in ("kubernetes_config", "scaling_group", "auto_scaling")
        )
        fixed = group.get("desired_size")
        limits = (scaling["min_instances"], scaling["max_instances"])
        pools[pool["nodepool_info"]["name"]] = SeenPool(
            labels={each["key"]: each["value"] for each in kubernetes["labels"]},
            taints=_taints(kubernetes["taints"]),
            count=limits if scaling["enable"] else (fixed, fixed),
            scaled=scaling["enable"],
            disk=group["system_disk_size"],
            key=pairs[group["key_pair"]],
        )
    [cluster], [vpc], [pair] = ours["cluster"], ours["vpc"], ours["key-pair"]
    return Seen(
        version=minor(cluster.shown["current_version"]),
        cidr=vpc.shown["CidrBlock"],
        gateways=len(ours["nat-gateway"]),
        pools=pools,
        repositories=frozenset(each.id for each in ours["personal-repository"]),
        key=pairs[pair.id],
    )


def gke(world: World) -> Seen:
    """By google-cloud-container and plain REST."""
    account, ours = google.Account(world), _ours(world)
    managers = account.aggregated("instanceGroupManagers")
    groups = {each["name"]: int(each["targetSize"]) for each in managers}
    pools = {}
    for thing in ours["node-pool"]:
        pool = thing.shown
        config, scaling = pool["config"], pool.get("autoscaling") or {}
        nodes = sum(groups[url.rpartition("/")[2]] for url in pool["instanceGroupUrls"])
        limits = (scaling.get("totalMinNodeCount", 0), scaling.get("totalMaxNodeCount", 0))
        pools[pool["name"]] = SeenPool(
            labels=config.get("labels") or {},
            taints=_taints(config.get("taints") or ()),
            count=limits if scaling.get("enabled") else (nodes, nodes),
            scaled=scaling.get("enabled", False),
            disk=config["diskSizeGb"],
            key=config["metadata"]["ssh-keys"].partition(":")[2],
        )
    [cluster], [subnetwork] = ours["cluster"], ours["subnetwork"]
    routers = [nat for each in ours["router"] for nat in each.shown["nats"]]
    [key] = {each.key for each in pools.values()}
    return Seen(
        version=minor(cluster.shown["currentMasterVersion"]),
        cidr=subnetwork.shown["ipCidrRange"],
        gateways=len(routers),
        pools=pools,
        repositories=frozenset(each.id.rpartition("/")[2] for each in ours["repository"]),
        key=key,
    )


def aks(world: World) -> Seen:
    """By plain REST."""
    ours = _ours(world)
    [cluster], [network], [pair] = ours["cluster"], ours["virtual-network"], ours["ssh-public-key"]
    profile = cluster.shown["properties"]
    [key] = profile["linuxProfile"]["ssh"]["publicKeys"]
    pools = {}
    for pool in profile["agentPoolProfiles"]:
        taints = (each.replace("=", ":").split(":") for each in pool.get("nodeTaints") or ())
        scaled = pool["enableAutoScaling"]
        limits = (pool["minCount"], pool["maxCount"]) if scaled else (pool["count"],) * 2
        pools[pool["name"]] = SeenPool(
            labels=pool.get("nodeLabels") or {},
            taints=frozenset((parts[0], parts[1], parts[2]) for parts in taints),
            count=limits,
            scaled=scaled,
            disk=pool["osDiskSizeGB"],
            key=key["keyData"],
        )
    [cidr] = network.shown["properties"]["addressSpace"]["addressPrefixes"]
    [registry] = ours["registry"]
    server = registry.shown["properties"]["loginServer"].partition(".")[2]
    return Seen(
        version=minor(profile["kubernetesVersion"]),
        cidr=cidr,
        gateways=len(ours["nat-gateway"]),
        pools=pools,
        repositories=frozenset((server,)),
        key=pair.shown["properties"]["publicKey"],
    )


SEEN: Mapping[str, Callable[[World], Seen]] = {"eks": eks, "alibaba": ack, "gke": gke, "aks": aks}

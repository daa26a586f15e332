"""What Container Engine shows of a cluster and its pools: what was asked for, and its defaults.

Forms and defaults as recorded of the real service in 2025 and 2026 (Config Connector's traffic,
``containercluster-*/_http.log``), and as the API's own description has them (revision 20261027):
the channel of a cluster that names none, the two spellings of endpoints and private nodes.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.google.catalogue import HYPERDISK_ONLY
from clusterkit_sandbox.google.tables import table
from clusterkit_sandbox.google.versions import CHANNELS, STATIC

Json = dict[str, Any]
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
SERVICES = "34.118.224.0/20"
"""the range of Services that GKE manages itself (vendor: "VPC-native clusters")"""
_MACHINE = {False: "e2-medium", True: "ek-standard-8"}
_PODS = {False: "110", True: "32"}


@dataclass(frozen=True)
class Place:
    """Where a cluster is."""

    project: str
    number: str
    location: str
    """a zone or a region"""
    zones: tuple[str, ...]
    """those of its nodes"""

    @property
    def zonal(self) -> bool:
        """Whether its control plane is in one zone."""
        return is_zone(self.location)

    @property
    def region(self) -> str:
        """The region it is in."""
        return region_of(self.location)

    @property
    def kind(self) -> str:
        """What links and messages call its location, whatever the path of the call."""
        return "zones" if self.zonal else "locations"


@dataclass(frozen=True)
class Ranges:
    """Where a cluster's addresses come from."""

    network: str
    """``projects/P/global/networks/N``"""
    subnetwork: str
    """``projects/P/regions/R/subnetworks/S``"""
    pods: str
    services: str
    pod_range: str
    """the name of the secondary range"""
    service_range: str = ""
    """empty: ``SERVICES``, or a range without a name"""


def is_zone(location: str) -> bool:
    """``europe-west1-b``, not ``europe-west1``."""
    return location.count("-") == 2


def region_of(location: str) -> str:
    """``europe-west1`` of ``europe-west1-b`` or of itself."""
    return location.rpartition("-")[0] if is_zone(location) else location


def link(project: str, location: str, *path: str) -> str:
    """The service's own URL of something."""
    kind = "zones" if is_zone(location) else "locations"
    where = f"projects/{project}/{kind}/{location}"
    return "/".join(("https://container.googleapis.com/v1", where, *path))


def last(name: str) -> str:
    """What a link or a name ends in."""
    return name.rpartition("/")[2]


def channel_of(asked: Mapping[str, Any]) -> str:
    """The channel of a cluster: the one asked for; else the most mature one that has its version;
    else REGULAR (the API's ``Cluster.releaseChannel``).
    """
    channel = _of(asked, "releaseChannel").get("channel")
    version = asked.get("initialClusterVersion") or ""
    if channel:
        return str(channel)
    if version in ("", "-", "latest"):
        return "REGULAR"
    for mature in ("STABLE", "REGULAR", "RAPID"):
        if any(one == version or one.startswith(f"{version}.") for one in CHANNELS[mature]):
            return mature
    return STATIC


def cluster_body(asked: Json, place: Place, ranges: Ranges, version: str) -> Json:
    """A new cluster without its pools; the server's own fields are added to what was asked for."""
    name, auto = asked["name"], bool((asked.get("autopilot") or {}).get("enabled"))
    identity = secrets.token_hex(32)
    channel = channel_of(asked)
    known = deepcopy(table("defaults"))
    more = known["autopilot"] if auto else {}
    pools = ("nodePools", "nodeConfig", "initialNodeCount", "releaseChannel")
    shown: Json = {
        **known["cluster"],
        **{key: value for key, value in asked.items() if key not in pools},
        **known["fixed"],
        "id": identity,
        "location": place.location,
        "zone": place.location,
        "locations": list(place.zones),
        "selfLink": link(place.project, place.location, "clusters", name),
        "initialClusterVersion": version,
        "currentMasterVersion": version,
        "currentNodeVersion": version,
        "network": last(ranges.network),
        "subnetwork": last(ranges.subnetwork),
        "addonsConfig": {**known["addons"], **more.get("addons", {}), **_of(asked, "addonsConfig")},
        "autoscaling": {**known["autoscaling"], **_of(asked, "autoscaling")},
        "networkConfig": _network(asked, ranges, {**known["network"]}, more.get("network", {})),
        "ipAllocationPolicy": _allocation(_of(asked, "ipAllocationPolicy"), ranges),
        "clusterIpv4Cidr": ranges.pods,
        "servicesIpv4Cidr": ranges.services,
        **more.get("cluster", {}),
    }
    given = _of(shown["autoscaling"], "autoprovisioningNodePoolDefaults")
    provisioning = {**known["autoprovisioning"], **given}
    shown["autoscaling"]["autoprovisioningNodePoolDefaults"] = provisioning
    if channel != STATIC:
        shown["releaseChannel"] = {"channel": channel}
    if auto:
        shown["autoscaling"].update(more["autoscaling"])
        shown["monitoringConfig"].update(more["monitoring"])
        shown["workloadIdentityConfig"] = {"workloadPool": f"{place.project}.svc.id.goog"}
    host = f"gke-{identity[:36]}-{place.number}.{place.location}.gke.goog"
    endpoints(shown, asked, host)
    sign(shown)
    return shown


def endpoints(shown: Json, asked: Mapping[str, Any], host: str = "") -> None:
    """Set how the control plane is reached, in both spellings; ``host`` is the DNS endpoint's."""
    given = asked.get("controlPlaneEndpointsConfig") or {}
    old = asked.get("privateClusterConfig") or {}
    before = shown.get("controlPlaneEndpointsConfig") or {}
    known = before.get("dnsEndpointConfig") or {}
    dns = {"allowExternalTraffic": False, **known, **(given.get("dnsEndpointConfig") or {})}
    dns["endpoint"] = host or known.get("endpoint", "")
    addresses: Json = {
        "enabled": True,
        "enablePublicEndpoint": not old.get("enablePrivateEndpoint", False),
        "authorizedNetworksConfig": asked.get("masterAuthorizedNetworksConfig") or {},
    }
    addresses |= {k: v for k, v in (before.get("ipEndpointsConfig") or {}).items() if host == ""}
    addresses |= given.get("ipEndpointsConfig") or {}
    authorized = {"gcpPublicCidrsAccessEnabled": True, **addresses["authorizedNetworksConfig"]}
    addresses["authorizedNetworksConfig"] = authorized
    shown["controlPlaneEndpointsConfig"] = {
        "dnsEndpointConfig": dns,
        "ipEndpointsConfig": addresses,
    }
    shown["masterAuthorizedNetworksConfig"] = authorized
    shown["privateClusterConfig"] = {
        **{k: v for k, v in old.items() if k == "masterIpv4CidrBlock"},
        "enablePrivateEndpoint": not addresses["enablePublicEndpoint"],
        "enablePrivateNodes": bool(shown["networkConfig"].get("defaultEnablePrivateNodes")),
        **{k: addresses[k] for k in ("publicEndpoint", "privateEndpoint") if k in addresses},
    }


def _of(asked: Mapping[str, Any], name: str) -> Json:
    """A part that was asked for; empty if it was not."""
    return dict(asked.get(name) or {})


def _network(asked: Json, ranges: Ranges, usual: Json, more: Json) -> Json:
    given = _of(asked, "networkConfig")
    private = _of(asked, "privateClusterConfig").get("enablePrivateNodes")
    if private is not None:
        given["defaultEnablePrivateNodes"] = private
    return {**usual, **given, **more, "network": ranges.network, "subnetwork": ranges.subnetwork}


def _allocation(asked: Json, ranges: Ranges) -> Json:
    found: Json = {"stackType": "IPV4", "podCidrOverprovisionConfig": {}, **asked}
    found |= {
        "useIpAliases": True,
        "clusterIpv4Cidr": ranges.pods,
        "clusterIpv4CidrBlock": ranges.pods,
        "servicesIpv4Cidr": ranges.services,
        "servicesIpv4CidrBlock": ranges.services,
        "clusterSecondaryRangeName": ranges.pod_range,
    }
    if ranges.service_range:
        found["servicesSecondaryRangeName"] = ranges.service_range
    return found


def pool_body(asked: Json, cluster: Json) -> Json:
    """A new pool."""
    auto = bool(cluster["autopilot"].get("enabled"))
    config, name = _of(asked, "config"), asked["name"]
    machine = config.setdefault("machineType", _MACHINE[auto])
    boot = _of(config, "bootDisk")
    kind = boot.get("diskType") or config.get("diskType") or default_disk(machine)
    size = int(boot.get("sizeGb") or config.get("diskSizeGb") or 100)
    account = config.setdefault("serviceAccount", "default")
    spot = config.get("spot") or config.get("preemptible")
    pods = asked.get("maxPodsConstraint") or (
        {"maxPodsPerNode": _PODS[True]} if auto else cluster["defaultMaxPodsConstraint"]
    )
    known = deepcopy(table("defaults"))
    scopes = known["scopes"] if account == "default" else [CLOUD_PLATFORM]
    defaults: Json = {"oauthScopes": scopes, **known["node"]}
    if (cluster.get("workloadIdentityConfig") or {}).get("workloadPool"):
        defaults["workloadMetadataConfig"] = {"mode": "GKE_METADATA"}
    if not config.get("oauthScopes"):
        config.pop("oauthScopes", None)
    config = {
        **defaults,
        **config,
        "diskSizeGb": size,
        "diskType": kind,
        "bootDisk": {**boot, "diskType": kind, "sizeGb": str(size)},
        "metadata": {"disable-legacy-endpoints": "true", **(config.get("metadata") or {})},
        "resourceLabels": {
            "goog-gke-node-pool-provisioning-model": "spot" if spot else "on-demand",
            **(config.get("resourceLabels") or {}),
        },
    }
    network = {
        "enablePrivateNodes": bool(cluster["networkConfig"].get("defaultEnablePrivateNodes")),
        "podRange": cluster["ipAllocationPolicy"]["clusterSecondaryRangeName"],
        "podIpv4CidrBlock": cluster["clusterIpv4Cidr"],
        "subnetwork": cluster["networkConfig"]["subnetwork"],
        **_of(asked, "networkConfig"),
    }
    scaling = asked.get("autoscaling") or {}
    if scaling.get("enabled"):
        scaling = {"locationPolicy": "ANY" if spot else "BALANCED", **scaling}
    shown = {
        **known["pool"],
        **asked,
        "config": config,
        "networkConfig": network,
        "maxPodsConstraint": pods,
        "podIpv4CidrSize": pod_prefix(int(pods["maxPodsPerNode"])),
        "locations": list(asked.get("locations") or cluster["locations"]),
        "version": asked.get("version") or cluster["currentMasterVersion"],
        "etag": str(uuid.uuid4()),
        "selfLink": f"{cluster['selfLink']}/nodePools/{name}",
        "instanceGroupUrls": [],
    }
    if scaling:
        shown["autoscaling"] = scaling
    return shown


def default_disk(machine: str) -> str:
    """The type of a boot disk where none is asked for."""
    return "hyperdisk-balanced" if hyperdisk_only(machine) else "pd-balanced"


def hyperdisk_only(machine: str) -> bool:
    """Whether machines of this type take no Persistent Disk."""
    return machine.partition("-")[0] in HYPERDISK_ONLY


def pod_prefix(pods: int) -> int:
    """The size of a node's range of pods: at least twice as many addresses as pods (vendor:
    "Configure maximum Pods per node").
    """
    return 32 - (2 * pods - 1).bit_length()


def sign(shown: Json) -> None:
    """Give a changed cluster a new etag, and its labels their fingerprint."""
    labels: Mapping[str, str] = shown.get("resourceLabels") or {}
    shown["etag"] = str(uuid.uuid4())
    shown["labelFingerprint"] = fingerprint(labels)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Eight figures, as the service's are."""
    text = repr(sorted(labels.items())).encode()
    return uuid.uuid5(uuid.NAMESPACE_OID, text.hex()).hex[:8]


def progress(names: Sequence[str], share: float) -> Json:
    """The metrics of an operation that is so far on."""
    found = []
    for name, total in zip(names, (8, 12, 2), strict=False):
        found += [
            {"name": name, "intValue": str(round(total * share))},
            {"name": f"{name}_TOTAL", "intValue": str(total)},
        ]
    return {"metrics": found}

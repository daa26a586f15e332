"""What Container Engine refuses of a cluster, in the words that users have met.

- names, existing ones, networks and ranges: facts/gcp.tsv;
- ``Network … uses manual subnet mode``: cilium/cilium.io#764; ``Subnetwork … is not valid``:
  hashicorp/terraform-provider-google#7895;
- ``Master version … is unsupported``: hashicorp/terraform-provider-google#2149;
- ``Autopilot clusters must be regional``: resource_container_cluster_test.go of that provider;
- ``Insufficient regional quota``: hashicorp-education/learn-terraform-provision-gke-cluster#22;
- ``Labels could not be set``: future-architect/gcp-instance-scheduler#50;
- ``Service Agent is missing required permissions``: GoogleCloudPlatform/k8s-config-connector#601;
- an operation in the way: rancher/gke-operator#509; five of them: terraform-provider-google#15579.

Fields that exclude each other, the places of zones, etags: the API's own description. What is
refused by it without words on record has ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Network

from clusterkit_sandbox.google import versions
from clusterkit_sandbox.google.access import has_agent
from clusterkit_sandbox.google.catalogue import REGIONS, ZONES
from clusterkit_sandbox.google.clusterbodies import (
    SERVICES,
    Place,
    Ranges,
    channel_of,
    is_zone,
    last,
    region_of,
)
from clusterkit_sandbox.google.clusterrecords import Cluster, Operation, place_word
from clusterkit_sandbox.google.failure import Failure, Json, rpc
from clusterkit_sandbox.google.resources import Network, Subnetwork, link_to, path_of
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.subnetworks import free_range

NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MOST = 5
"""operations of one cluster at a time"""
_PODS = IPv4Network("10.0.0.0/8")
"""where the service looks for a range of pods by itself"""
_POD_PREFIX = 14
"""its size where none is asked for (vendor: "VPC-native clusters", default)"""


def bad(message: str) -> Failure:
    """400 ``badRequest``."""
    return rpc("INVALID_ARGUMENT", message)


def check_location(location: str) -> None:
    """Refuse what is neither a zone nor a region."""
    if location not in ZONES and location not in REGIONS:
        raise bad(f'Location "{location}" does not exist.')


def missing(project: str, location: str, *path: str) -> Failure:
    """404 for what is not there."""
    return rpc("NOT_FOUND", f"Not found: {place_word(location, project, *path)}.")


def check_free(taken: object, project: str, location: str, *path: str) -> None:
    """Refuse a name that something has."""
    if taken is not None:
        raise rpc("ALREADY_EXISTS", f"Already exists: {place_word(location, project, *path)}.")


def free(cluster: Cluster, running: Sequence[Operation], pool: str = "") -> None:
    """Refuse a change while another one is in the way.

    Changes of several pools go side by side, five at most; one of the cluster goes alone.
    """
    for one in running:
        if not pool or not one.pool or one.pool == pool:
            text = f"Cluster is running incompatible operation {one.id}."
            raise rpc("FAILED_PRECONDITION", text)
    if len(running) >= _MOST:
        raise rpc(
            "RESOURCE_EXHAUSTED",
            f'Too many operations: cluster "{cluster.name}" hits the concurrent operations quota'
            f" {_MOST}, please try again later.",
        )


def check_etag(given: str | None, have: str) -> None:
    """Refuse a stale etag."""
    if given and given != have:
        raise rpc("ABORTED", f'The etag "{given}" does not match the current etag "{have}".')


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels that Compute Engine would not take (vendor: "Labels", requirements)."""
    for key, value in labels.items():
        if not _KEY.fullmatch(key) or not _LABEL.fullmatch(value):
            raise bad(f"Resource label {key}={value} is invalid.")
    if len(labels) > 64:
        raise bad("There are too many resource labels.")


def check_name(name: str, what: str) -> None:
    """Refuse a name that is none."""
    if not NAME.fullmatch(name):
        raise bad(
            f'Invalid value for field "{what}.name": "{name}". Must be a match of regex'
            r" (?:[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?)."
        )


def check_new(call: Call, asked: Json, place: Place) -> None:
    """Refuse a new cluster whose fields cannot be together."""
    name = str(asked.get("name") or "")
    check_name(name, "cluster")
    scope = f"projects/{place.project}/locations/{place.location}"
    taken = call.store.get(Cluster, f"{scope}/clusters/{name}", scope)
    check_free(taken, place.project, place.location, "clusters", name)
    if not has_agent(call.store, place.project, "container"):
        raise rpc(
            "PERMISSION_DENIED",
            "Google Kubernetes Engine Service Agent is missing required permissions on this"
            ' project. Required "container.hostServiceAgent.use" permission(s) for'
            f' "projects/{place.project}".',
        )
    check_labels(asked.get("resourceLabels") or {})
    pools, auto = asked.get("nodePools"), (asked.get("autopilot") or {}).get("enabled")
    if pools and (asked.get("nodeConfig") or asked.get("initialNodeCount")):
        raise bad("Cannot specify both node_pools and initial_node_count or node_config.")
    if not pools and not asked.get("initialNodeCount") and not auto:
        raise bad("Cluster.initial_node_count must be greater than zero.")
    if auto and is_zone(place.location):
        raise bad("Autopilot clusters must be regional clusters.")
    network, private = asked.get("networkConfig") or {}, asked.get("privateClusterConfig") or {}
    if "enablePrivateNodes" in private and "defaultEnablePrivateNodes" in network:
        raise bad(
            "Cannot specify both private_cluster_config.enable_private_nodes and"
            " network_config.default_enable_private_nodes."
        )
    endpoints = (asked.get("controlPlaneEndpointsConfig") or {}).get("ipEndpointsConfig") or {}
    if "enablePrivateEndpoint" in private and "enablePublicEndpoint" in endpoints:
        raise bad(
            "Cannot specify both private_cluster_config.enable_private_endpoint and"
            " control_plane_endpoints_config.ip_endpoints_config.enable_public_endpoint."
        )
    pool = (asked.get("workloadIdentityConfig") or {}).get("workloadPool")
    if pool and pool != f"{place.project}.svc.id.goog":
        raise bad(
            f'The workload pool "{pool}" is not valid: only "{place.project}.svc.id.goog" is'
            " supported."
        )


def check_zones(location: str, zones: Collection[str]) -> None:
    """Refuse zones that are not in the cluster's region, and a list without its own zone."""
    region = region_of(location)
    strange = [one for one in zones if ZONES.get(one) != region]
    if strange:
        raise bad(f'Location "{strange[0]}" is not a zone in region "{region}".')
    if is_zone(location) and zones and location not in zones:
        raise bad(f'The cluster\'s primary zone "{location}" must be one of its locations.')


def master_version(asked: Json) -> str:
    """The version of a new control plane."""
    text, channel = str(asked.get("initialClusterVersion") or ""), channel_of(asked)
    found = versions.resolve(text, channel)
    if found is None:
        raise bad(f'Master version "{text}" is unsupported.')
    return found


def node_version(text: str, master: str, channel: str) -> str:
    """The version that nodes are to have."""
    if text in ("", "-"):
        return master
    found = master if text == master else versions.resolve(text, channel)
    if found is None or not versions.node_fits(master, found):
        raise bad(f'Node version "{text}" is unsupported.')
    return found


def ranges(call: Call, asked: Json, place: Place) -> tuple[Subnetwork, Ranges, bool]:
    """The subnetwork, where addresses come from, and whether the pods' range is to be made."""
    network = _network(call, asked, place)
    subnetwork = _subnetwork(call, asked, place, network)
    policy = asked.get("ipAllocationPolicy") or {}
    secondary = subnetwork.shown.get("secondaryIpRanges") or ()
    named = {one["rangeName"]: one["ipCidrRange"] for one in secondary}
    pods, services = (
        str(policy.get(name) or "")
        for name in ("clusterSecondaryRangeName", "servicesSecondaryRangeName")
    )
    if pods and pods == services:
        raise bad(
            f"Pod secondary range name ({pods}) should not be the same as service secondary range"
            " name."
        )
    for kind, name in (("Pod", pods), ("Services", services)):
        if name and name not in named:
            raise bad(
                f'{kind} secondary range "{name}" not found in network "{link_to(network.path)}",'
                f' subnetwork "{subnetwork.name}".'
            )
    made = not pods
    if made and network.project != place.project:
        # vendor: "Setting up clusters with Shared VPC": ranges are made by the host's administrator
        raise bad("A cluster in a shared network must name its secondary ranges.")
    block = named.get(pods) or _free(call.store, network, asked, policy)
    found = Ranges(
        network=network.path,
        subnetwork=subnetwork.path,
        pods=block,
        services=named.get(services) or _given(policy, "servicesIpv4Cidr") or SERVICES,
        pod_range=pods,
        service_range=services,
    )
    return subnetwork, found, made


def _given(policy: Json, name: str) -> str:
    """A range that was asked for by its addresses, not only by its length."""
    text = str(policy.get(f"{name}Block") or policy.get(name) or "")
    return "" if text.startswith("/") else text


def _free(store: Store, network: Network, asked: Json, policy: Json) -> str:
    given = _given(policy, "clusterIpv4Cidr") or str(asked.get("clusterIpv4Cidr") or "")
    if given:
        return given
    length = str(policy.get("clusterIpv4CidrBlock") or "").removeprefix("/")
    prefix = int(length) if length.isdigit() else _POD_PREFIX
    found = free_range(store, network.path, _PODS, prefix)
    if found is None:
        raise bad(f"There is no free range of size /{prefix} for pods in network {network.name}.")
    return str(found)


def _network(call: Call, asked: Json, place: Place) -> Network:
    named = str((asked.get("networkConfig") or {}).get("network") or asked.get("network") or "")
    text = named or "default"
    path = path_of(text, place.project) if "/" in text else ""
    path = path or f"projects/{place.project}/global/networks/{text}"
    found = call.store.get(Network, path)
    host = path.split("/")[1]
    guest = host == place.project or place.project in call.store.shared.get(host, ())
    if found is None or not guest:
        raise bad(f'Project "{host}" has no network named "{last(path)}".')
    return found


def _subnetwork(call: Call, asked: Json, place: Place, network: Network) -> Subnetwork:
    config = asked.get("networkConfig") or {}
    text = str(config.get("subnetwork") or asked.get("subnetwork") or "")
    if not text and not network.shown.get("autoCreateSubnetworks"):
        raise bad(
            f'Network "{network.name}" uses manual subnet mode and requires specifying a'
            " subnetwork."
        )
    text = text or network.name
    path = path_of(text, place.project) if "/" in text else ""
    path = path or f"projects/{network.project}/regions/{place.region}/subnetworks/{text}"
    found = call.store.get(Subnetwork, path)
    if (
        found is None
        or path_of(found.shown["network"], found.project) != network.path
        or found.place != f"regions/{place.region}"
    ):
        raise bad(f'Subnetwork "{path}" is not valid for Network "{network.name}".')
    return found

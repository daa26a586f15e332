"""A network of the user's own: whether a cluster can live in it.

GKE refuses some of this at once; the rest shows when nodes or builds do not work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

from clusterkit.engine.preflight import Report
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError
from clusterkit.gke import policies
from clusterkit.gke.client import Clients
from clusterkit.gke.network import Network, NetworkState, Subnetwork, SubnetworkState
from clusterkit.gke.profile import KEPT, NODE_PREFIX, GkeProfile
from clusterkit.gke.tags import path_of
from clusterkit.profile.network import addresses_for_nodes, room_for_nodes

PRIVATE = "PRIVATE"
"""purpose of a subnetwork for machines (compute v1, ``Subnetwork.purpose``)"""
AGENT = "service-{}@container-engine-robot.iam.gserviceaccount.com"
APIS = "{}@cloudservices.gserviceaccount.com"
"""accounts by which GKE and Compute Engine work for a project, by its number"""
HOST, USER = "roles/container.hostServiceAgentUser", "roles/compute.networkUser"
"""what they need in the host project, and on it or the subnetwork
(https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-shared-vpc)"""


def existing(
    profile: GkeProfile, clients: Clients, report: Report
) -> tuple[NetworkState, SubnetworkState] | None:
    """The network and subnetwork that the profile names; None if it names none, or if they are not
    there, which ``report`` tells.
    """
    given = profile.network.existing
    if given is None:
        return None
    scope = Scope(clients, profile.name, profile.region)
    project, region = given.project or clients.project, profile.region

    def wrong(field: str, what: str, cure: str = "") -> None:
        report.error(what, f"network.existing.{field}", cure)

    network = Network.get(scope, f"projects/{project}/global/networks/{given.vpc}")
    if network is None:
        wrong("vpc", f"there is no network {given.vpc} in {project}")
    path = f"projects/{project}/regions/{region}/subnetworks/{given.subnetwork}"
    found = Subnetwork.get(scope, path)
    if found is None:
        wrong("subnetwork", f"there is no subnetwork {given.subnetwork} in {region} of {project}")
    if network is None or found is None:
        return None
    if found.network != network.id:
        wrong("subnetwork", f"{given.subnetwork} lies in network {found.network}")
    if found.purpose != PRIVATE:
        wrong(
            "subnetwork", f"{given.subnetwork} is not for machines: its purpose is {found.purpose}"
        )
    update = f"gcloud compute networks subnets update {given.subnetwork} --region={region}"
    update += f" --project={project}"
    for field, name in (("pods", given.pods), ("services", given.services)):
        if name not in found.ranges:
            known = ", ".join(found.ranges) or "none"
            what = f"{given.subnetwork} has no secondary range {name}; it has {known}"
            wrong(field, what, f"{update} --add-secondary-ranges={name}=RANGE")
    if given.pods == given.services:
        wrong("services", "pods and Services need a range each")
    if not found.private_access:
        what = f"subnetwork {given.subnetwork} has no private Google access for the nodes"
        cure = f"{update} --enable-private-ip-google-access"
        report.warn(what, "network.existing.subnetwork", cure)
    _check_room(profile, found, report)
    _check_way_out(profile, clients, network, report)
    return network, found


def _check_room(profile: GkeProfile, found: SubnetworkState, report: Report) -> None:
    """Whether there is an address for each node, and a range for its pods."""
    given = profile.network.existing
    assert given is not None
    nodes = sum(each.maximum for each in profile.pools)
    pods = found.ranges.get(given.pods)
    for field, problems in (
        ("subnetwork", addresses_for_nodes(IPv4Network(found.cidr), KEPT, nodes)),
        ("pods", room_for_nodes(IPv4Network(pods) if pods else None, NODE_PREFIX, nodes)),
    ):
        for each in problems:
            report.error(each.what, f"network.existing.{field}", each.hint)


def _check_way_out(
    profile: GkeProfile, clients: Clients, network: NetworkState, report: Report
) -> None:
    """Whether nodes, which have no addresses of their own, reach more than Google: by a Cloud NAT,
    or by a default route to something else. What may not be seen is not judged.
    """
    project, region = network.path.split("/")[1], profile.region
    with suppress(CloudError):
        where = f"projects/{project}/regions/{region}/routers"
        for router in clients.pages("compute", "routers.list", where):
            if path_of(router.get("network")) == network.path and router.get("nats"):
                return
        if any(_leads_out(clients, network)):
            return
        name = profile.network.existing.vpc if profile.network.existing else ""
        what = f"network {name} has no Cloud NAT in {region}: nodes and builds reach Google only"
        cure = f"gcloud compute routers nats create nat --router=ROUTER --region={region} "
        cure += f"--project={project} --auto-allocate-nat-external-ips --nat-all-subnet-ip-ranges"
        report.warn(what, "network.existing.vpc", cure)


def _leads_out(clients: Clients, network: NetworkState) -> Iterator[bool]:
    where = f"projects/{network.path.split('/')[1]}/global/routes"
    for route in clients.pages("compute", "routes.list", where):
        everything = route.get("destRange") == "0.0.0.0/0"
        by_google = str(route.get("nextHopGateway") or "").endswith("/default-internet-gateway")
        yield everything and not by_google and path_of(route.get("network")) == network.path


def check_shared(profile: GkeProfile, clients: Clients, number: str, report: Report) -> None:
    """Whether the service project's accounts may use a Shared VPC: ``number`` is the project's.
    A policy that may not be read is not judged, and roles of a folder are not seen.
    """
    given = profile.network.existing
    host = given.project if given else None
    if given is None or host is None or host == clients.project:
        return
    path = f"projects/{host}/regions/{profile.region}/subnetworks/{given.subnetwork}"
    try:
        of_host = policies.Holder("cloudresourcemanager", "projects", f"projects/{host}")
        there = {*of_host.grants(clients)}
        operation, asked = "subnetworks.getIamPolicy", f"{path}/getIamPolicy"
        version: Any = {"optionsRequestedPolicyVersion": policies.VERSION}
        there |= policies.grants(clients.call("compute", operation, "GET", asked, **version))
    except CloudError:
        return
    agent, apis = (f"serviceAccount:{each.format(number)}" for each in (AGENT, APIS))
    for member, role in ((agent, HOST), (agent, USER), (apis, USER)):
        if policies.Grant(role, member) not in there:
            what = f"{member.partition(':')[2]} has no {role} in the host project {host}"
            cure = f"gcloud projects add-iam-policy-binding {host} --member={member} --role={role}"
            report.warn(what, "network.existing.project", cure)

"""From where the endpoints of a cluster can be reached.

Vendor: "Network isolation in GKE": the public address from authorised networks, if there are any;
the private one from the network; the DNS endpoint from outside only if that is allowed.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, ip_network

from clusterkit_sandbox.google.clusterrecords import Cluster
from clusterkit_sandbox.google.resources import Subnetwork
from clusterkit_sandbox.google.store import Store

ADDRESS = "CLUSTERKIT_SANDBOX_ADDRESS"
"""the variable that says which address this machine has for clusters, one of a subnetwork's, say"""
MACHINE = "8.8.8.8"
"""the address without that"""


def barred(store: Store, host: str) -> str:
    """Why this machine cannot connect to the endpoint with this host name; empty if it can. Call it
    with the lock held.
    """
    here = IPv4Address(os.environ.get(ADDRESS, MACHINE))
    for cluster in store.all(Cluster):
        if host in (cluster.public, cluster.private, cluster.host):
            return _barred(store, cluster, host, here)
    return ""


def _barred(store: Store, cluster: Cluster, host: str, here: IPv4Address) -> str:
    config = cluster.shown["controlPlaneEndpointsConfig"]
    addresses, inside = config["ipEndpointsConfig"], _inside(store, cluster, here)
    if host == cluster.host:
        if inside or config["dnsEndpointConfig"].get("allowExternalTraffic"):
            return ""
        return f"the DNS endpoint of cluster {cluster.name} lets no traffic in from outside"
    if not addresses["enabled"]:
        return f"cluster {cluster.name} has no IP endpoints"
    if host == cluster.private:
        return "" if inside else f"{here} is outside the network of cluster {cluster.name}"
    if not addresses["enablePublicEndpoint"]:
        return f"the endpoint of cluster {cluster.name} is private; {here} is outside"
    authorized = addresses["authorizedNetworksConfig"]
    if not authorized.get("enabled"):
        return ""
    blocks = [one["cidrBlock"] for one in authorized.get("cidrBlocks") or ()]
    if any(here in ip_network(block, strict=False) for block in blocks):
        return ""
    return f"the endpoint of cluster {cluster.name} does not let {here} in"


def _inside(store: Store, cluster: Cluster, here: IPv4Address) -> bool:
    subnetwork = store.get(Subnetwork, cluster.shown["networkConfig"]["subnetwork"])
    return subnetwork is not None and here in ip_network(subnetwork.shown["ipCidrRange"])

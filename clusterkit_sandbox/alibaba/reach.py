"""Who can connect to the endpoints of clusters.

The private address is one of the VPC's (vendor: ACK, "Control public access to the API server"). At
the public one the access control list of the load balancer's listener decides (vendor: CLB, "Access
control"); it stands before everybody.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network

from clusterkit_sandbox.alibaba.models import API_PORT, Acl, Cluster, LoadBalancer, Vpc
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kit.cluster import ADDRESS, MACHINE


def barred(store: Store, host: str) -> str:
    """Why this machine cannot connect to the endpoint with this address; empty if it can. Call it
    with the lock held.
    """
    here = IPv4Address(os.environ.get(ADDRESS, MACHINE))
    for cluster in store.all(Cluster):
        if host == cluster.private_address and not _inside(store, cluster, here):
            return f"the address {host} of cluster {cluster.name} is private; {here} is outside"
        if host == cluster.public_address and not _let_in(store, cluster, here):
            return f"the endpoint of cluster {cluster.name} does not let {here} in"
    return ""


def _inside(store: Store, cluster: Cluster, here: IPv4Address) -> bool:
    vpc = store.get(Vpc, cluster.vpc)
    return vpc is not None and any(here in block for block in (vpc.cidr, *vpc.secondary))


def _let_in(store: Store, cluster: Cluster, here: IPv4Address) -> bool:
    balancer = store.get(LoadBalancer, cluster.load_balancer)
    identifier, status, kind = (balancer.acls if balancer else {}).get(API_PORT, ("", "off", ""))
    acl = store.get(Acl, identifier)
    if status != "on" or acl is None:
        return True
    listed = any(here in IPv4Network(block, strict=False) for block in acl.entries)
    return listed == (kind == "white")

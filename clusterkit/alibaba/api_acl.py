"""Who may reach the API server's public address: an access control list on its load balancer.

CreateCluster has no parameter for it (``access_control_list`` is for registered clusters): ACK's
own way is the list of the load balancer's listener on port 6443, which serves the public and the
internal address (https://www.alibabacloud.com/help/en/ack/cluster-access-control).
``external_loadbalancer_id`` is described as the Ingress's; public logs of clusters without one show
the API server's there, and a load balancer without that listener is refused. The list's id is a tag
of the cluster, so that only who uses it pays for its look.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.engine.resource import Ctx
from clusterkit.errors import Gone, Rejected

ACL = "clusterkit-api-acl"
"""tag of the cluster: the id of the list"""
PORT = 6443
ALWAYS = ("100.104.0.0/16",)
"""ACK's control plane comes from there (the same page)"""


def in_force(cx: Ctx[Clients], acl: str, balancer: str) -> frozenset[str]:
    """The ranges that may reach the address, asked once per process; empty if everybody may."""
    if not acl:
        return frozenset()
    return cx.clients.recall(f"acl {acl}", partial(_in_force, cx, acl, balancer))


def _in_force(cx: Ctx[Clients], acl: str, balancer: str) -> frozenset[str]:
    shown = _listener(cx, balancer) or {}
    used = (shown.get("AclStatus"), shown.get("AclType"), shown.get("AclId"))
    return _entries(cx, acl) if used == ("on", "white", acl) else frozenset()


def _entries(cx: Ctx[Clients], acl: str) -> frozenset[str]:
    clients = cx.clients
    listed = clients.pages(
        clients.slb,
        "DescribeAccessControlListAttribute",
        "AclEntrys.AclEntry",
        number="Page",
        total="TotalAclEntry",
        RegionId=clients.region,
        AclId=acl,
    )
    try:
        return frozenset(item["AclEntryIP"] for item in listed)
    except Gone:
        return frozenset()


def find(cx: Ctx[Clients]) -> str:
    """The id of this cluster's list, by its name: a run may have died before it was remembered."""
    clients, name = cx.clients, _name(cx)
    listed = clients.pages(
        clients.slb,
        "DescribeAccessControlLists",
        "Acls.Acl",
        RegionId=clients.region,
        AclName=name,
    )
    return next((str(item["AclId"]) for item in listed if item["AclName"] == name), "")


def _name(cx: Ctx[Clients]) -> str:
    return f"clusterkit-{cx.cluster}-api"


def restrict(cx: Ctx[Clients], balancer: str, allowed: frozenset[str]) -> str:
    """Make the list say exactly this, and the listener use it; returns the list's id."""
    if not balancer.startswith("lb-"):
        raise Rejected(
            "the API server's load balancer is not a classic one, whose listeners take lists",
            where="endpoint.allowed",
            hint="restrict it by its security groups in the console, and leave allowed out",
        )
    shown = _listener(cx, balancer)
    if shown is None:
        raise Rejected(
            f"{balancer} has no listener on port {PORT}, and is not the API server's",
            where="endpoint.allowed",
            hint="restrict it by its load balancer's listener in the console, and leave allowed "
            "out; please report this",
        )
    slb, region = cx.clients.slb, cx.clients.region
    acl = find(cx)
    if not acl:
        acl = slb("CreateAccessControlList", RegionId=region, AclName=_name(cx))["AclId"]
    have = _entries(cx, acl)
    cx.clients.forget(f"acl {acl}")
    for action, ranges in (
        ("AddAccessControlListEntry", allowed - have),
        ("RemoveAccessControlListEntry", have - allowed),
    ):
        if ranges:
            listed = [{"entry": cidr, "comment": "clusterkit"} for cidr in sorted(ranges)]
            slb(action, RegionId=region, AclId=acl, AclEntrys=json.dumps(listed))
    _set(cx, balancer, shown, AclStatus="on", AclType="white", AclId=acl)
    return acl


def open_up(cx: Ctx[Clients], acl: str, balancer: str) -> None:
    """Take the list from the listener, and remove it."""
    cx.clients.forget(f"acl {acl}")
    if (shown := _listener(cx, balancer)) is not None:
        _set(cx, balancer, shown, AclStatus="off")
    gone_is_fine(cx.clients.slb, "DeleteAccessControlList", RegionId=cx.clients.region, AclId=acl)


def _place(cx: Ctx[Clients], balancer: str) -> dict[str, Any]:
    region = cx.clients.region
    return {"RegionId": region, "LoadBalancerId": balancer, "ListenerPort": PORT}


def _listener(cx: Ctx[Clients], balancer: str) -> Any:
    """The API server's listener; None if the load balancer has none."""
    place = _place(cx, balancer)
    return gone_is_fine(cx.clients.slb, "DescribeLoadBalancerTCPListenerAttribute", **place)


def _set(cx: Ctx[Clients], balancer: str, shown: Any, **wanted: Any) -> None:
    """Set it so, unless it is: who died after this call goes on behind it."""
    if any(shown.get(name) != value for name, value in wanted.items()):
        place = _place(cx, balancer)
        gone_is_fine(cx.clients.slb, "SetLoadBalancerTCPListenerAttribute", **place, **wanted)

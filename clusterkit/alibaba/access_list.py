"""Who may reach the API server: an access control list on its load balancer.

CreateCluster has no parameter for it (``access_control_list`` is for registered clusters): ACK's
own way is the list of the load balancer's listener on port 6443, which serves the public and the
internal address (https://www.alibabacloud.com/help/en/ack/cluster-access-control).
``external_loadbalancer_id`` is described as the Ingress's; public logs of clusters without one show
the API server's there, and a load balancer without that listener is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.cluster import ClusterState
from clusterkit.alibaba.network import VpcState, VSwitchState
from clusterkit.alibaba.tags import AlibabaState, Calls, Tagged, in_group, shown_name, write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Gone, Rejected

PORT = 6443
ALWAYS = ("100.104.0.0/16",)
"""ACK's control plane comes from there (the same page)"""


class AccessListState(AlibabaState):
    """An access control list."""

    name: str
    entries: frozenset[str] = frozenset()
    listeners: frozenset[tuple[str, int]] = frozenset()
    """load balancer and port of the listeners that it is attached to"""
    active: frozenset[str] = frozenset()
    """load balancers that let in nobody else"""


class AccessList(Tagged[AccessListState]):
    """The ranges that may reach the API server."""

    kind: ClassVar[str] = "access-list"
    calls: ClassVar = Calls(
        "slb", "acl", "AclId", "DescribeAccessControlLists", "DeleteAccessControlList"
    )
    cluster: Kind[Any, ClusterState]
    vpc: Kind[Any, VpcState]
    vswitches: tuple[Kind[Any, VSwitchState], ...]
    """the nodes' and pods', which come from inside"""
    allowed: tuple[str, ...]
    """the profile's ranges, and the pods' with Flannel"""

    @classmethod
    def state(cls, shown: Any) -> AccessListState:
        return AccessListState(**cls.common(shown), name=shown["AclName"])

    def taken(self, env: Env[Clients]) -> AccessListState | None:
        name = shown_name(env, self.name)
        return next((one for one in self.there(env, AclName=name) if one.name == name), None)

    @classmethod
    def read(cls, scope: Scope[Clients], found: AccessListState) -> AccessListState:
        pages = list(scope.client.pages("DescribeAccessControlListAttribute", AclId=found.id))
        entries = [one for page in pages for one in at_path(page, "AclEntrys.AclEntry") or ()]
        related = at_path(pages[0], "RelatedListeners.RelatedListener") or ()
        listeners = frozenset((one["LoadBalancerId"], int(one["ListenerPort"])) for one in related)
        active = {
            balancer
            for balancer, port in listeners
            if port == PORT and _active(_listener(scope, balancer), found.id)
        }
        ranges = frozenset(one["AclEntryIP"] for one in entries)
        return replace(found, entries=ranges, listeners=listeners, active=frozenset(active))

    def create(self, env: Env[Clients]) -> AccessListState:
        name, tags = shown_name(env, self.name), self.marks(env)
        more = {"Tag": write_tags(tags), **in_group(env)}
        with _open_until_then():
            check(env, env[self.cluster].balancer)
            created = env.client.slb("CreateAccessControlList", AclName=name, **more)
        return AccessListState(id=created["AclId"], name=name, tags=tags)

    def edits(self, env: Env[Clients], have: AccessListState) -> Iterator[Edit]:
        wanted = self._ranges(env)
        yield from edit("allowed", have.entries, wanted, partial(_change, env, have, wanted))
        balancer = env[self.cluster].balancer

        def attach() -> None:
            with _open_until_then():
                _set(env, balancer, PORT, AclStatus="on", AclType="white", AclId=have.id)

        if balancer not in have.active:
            yield Edit("attached", False, True, attach)

    def _ranges(self, env: Env[Clients]) -> frozenset[str]:
        """An existing VPC may have more ranges than its first."""
        inside = {env[self.vpc].cidr, *(env[vswitch].cidr for vswitch in self.vswitches)}
        return frozenset({*self.allowed, *ALWAYS, *inside})

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AccessListState) -> None:
        for balancer, port in have.listeners:
            _set(scope, balancer, port, AclStatus="off")
        super().delete(scope, have)


@contextmanager
def _open_until_then() -> Iterator[None]:
    """Say with a refusal what it means: ACK gives the address before it takes a list."""
    try:
        yield
    except (Denied, Rejected) as error:
        error.what = f"the API server can still be reached from everywhere: {error.what}"
        error.hint = f"{error.hint}; or close it: endpoint: {{public: false}}, and run up"
        raise


def _change(env: Env[Clients], have: AccessListState, wanted: frozenset[str]) -> None:
    for action, ranges in (
        ("AddAccessControlListEntry", wanted - have.entries),
        ("RemoveAccessControlListEntry", have.entries - wanted),
    ):
        if ranges:
            listed = [{"entry": cidr, "comment": "clusterkit"} for cidr in sorted(ranges)]
            env.client.slb(action, AclId=have.id, AclEntrys=json.dumps(listed))


def _listener(scope: Scope[Clients], balancer: str) -> Any:
    """The API server's listener; None if the load balancer has none."""
    try:
        return scope.client.slb(
            "DescribeLoadBalancerTCPListenerAttribute", LoadBalancerId=balancer, ListenerPort=PORT
        )
    except Gone:
        return None


def _active(listener: Any, acl: str) -> bool:
    used = [at_path(listener, key) for key in ("AclStatus", "AclType", "AclId")]
    return used == ["on", "white", acl]


def check(scope: Scope[Clients], balancer: str) -> None:
    """``Rejected`` if this is not the API server's load balancer, or not one that takes lists."""
    if not balancer.startswith("lb-"):
        what = "the API server's load balancer is not a classic one, whose listeners take lists"
        hint = "restrict it by its security groups in the console, and leave allowed out"
    elif _listener(scope, balancer) is None:
        what = f"{balancer} has no listener on port {PORT}, and is not the API server's"
        hint = "restrict it by its load balancer's listener in the console, leave allowed out, "
        hint += "and please report this"
    else:
        return
    raise Rejected(what, where="endpoint.allowed", hint=hint)


def _set(scope: Scope[Clients], balancer: str, port: int, **wanted: Any) -> None:
    scope.client.slb(
        "SetLoadBalancerTCPListenerAttribute", LoadBalancerId=balancer, ListenerPort=port, **wanted
    )

"""Who may reach ACK's API server: the access control list, and what others do to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.alibaba import access_list
from clusterkit.errors import Denied, Rejected
from clusterkit_sandbox.faults import Rule
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import MINIMAL, MINIMAL_CASE
from tests.drivers.world import edited, world

CLOSED = replace(
    MINIMAL_CASE, profile=edited(MINIMAL, {"endpoint": {"allowed": ["8.8.8.0/24"]}}), label="closed"
)


def test_a_list_switched_off_by_hand_is_a_difference_and_comes_back(tmp_path: Path) -> None:
    with world(CLOSED, tmp_path) as there:
        there.settle(there.up())
        account = Account(there)
        (cluster,) = account("cs:DescribeClustersV1")["clusters"]
        balancer = cluster["external_loadbalancer_id"]
        listener = {"LoadBalancerId": balancer, "ListenerPort": 6443}
        shown = account("slb:DescribeLoadBalancerTCPListenerAttribute", **listener)
        assert (shown["AclStatus"], shown["AclType"]) == ("on", "white")
        listed = account("slb:DescribeAccessControlListAttribute", AclId=shown["AclId"])
        ranges = {item["AclEntryIP"] for item in listed["AclEntrys"]["AclEntry"]}
        assert {"8.8.8.0/24", "100.104.0.0/16", "10.0.0.0/16", "172.20.0.0/16"} <= ranges
        assert "0.0.0.0/0" not in ranges

        account("slb:SetLoadBalancerTCPListenerAttribute", AclStatus="off", **listener)
        (step,) = there.plan().todo
        assert [change.field for change in step.changes] == ["attached"]
        there.settle(there.up())
        shown = account("slb:DescribeLoadBalancerTCPListenerAttribute", **listener)
        assert shown["AclStatus"] == "on"
        assert there.plan().empty


def test_a_load_balancer_that_is_not_the_api_servers_is_refused(tmp_path: Path) -> None:
    refused = pytest.raises(Rejected, match="no listener on port 6443")
    with world(MINIMAL_CASE, tmp_path) as there, refused:
        access_list.check(there.scope(), "lb-t4nother")


@pytest.mark.parametrize(
    "operation", ["CreateAccessControlList", "SetLoadBalancerTCPListenerAttribute"]
)
def test_an_api_server_that_stays_open_is_told_loudly(operation: str, tmp_path: Path) -> None:
    with world(CLOSED, tmp_path) as there:
        denied = Rule(f"slb:{operation}", "refuse", code="Forbidden.RAM", status=403)
        there.sandbox.faults.set([denied])
        error = there.up().failed["access-list/api"]
        assert isinstance(error, Denied)
        assert "the API server can still be reached from everywhere" in str(error)
        assert "endpoint: {public: false}" in error.hint
        there.sandbox.faults.clear()
        there.settle(there.up())

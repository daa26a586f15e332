"""What there is in an Alibaba Cloud account, asked for with the vendor's newer SDK alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.drivers.world import Thing, World
from tests.sandbox.aliyun import Aliyun, ask

PAGE = 50
BY_HAND = ("alb", "ess")
"""products of few calls, which are signed without the vendor's packages"""
_DESCRIBED = re.compile(r"clusterkit (?P<region>\S+?)/(?P<cluster>[^\s/]+)")
"""the mark of what takes no tags"""


class Account:
    """The account of a sandbox, without clusterkit's driver: ``account("vpc:DescribeVpcs")``."""

    def __init__(self, world: World) -> None:
        self.region = world.profile.region
        self._aliyun = Aliyun(world.sandbox, None)  # type: ignore[arg-type]
        self._clients: dict[str, Any] = {}

    def __call__(self, name: str, /, *path: str, **wire: Any) -> Any:
        """An operation by its wire names; the answer's body."""
        product, _, action = name.partition(":")
        if product in BY_HAND:
            sent = {key: str(value) for key, value in _flat(wire)}
            status, found = self._aliyun.rpc(product, action, **sent)
            assert status == 200, found
            return found
        if product not in self._clients:
            self._clients[product] = self._aliyun.client(product, self.region)
        if product in ("vpc", "ecs", "slb"):
            wire = {"RegionId": self.region, **wire}
        return ask(self._clients[product], product, action, *path, **wire)

    def personal(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """A call to the Personal Edition of Container Registry, for which the newer SDK has no
        classes; what its answer holds under ``data``.
        """
        status, found = self._aliyun.roa(method, path, body, product="personalcr", **query)
        assert status == 200, found
        return found.get("data") or {}

    def every(self, name: str, *keys: str, size: str = "PageSize", **wire: Any) -> Iterator[Any]:
        """Every item of a list, ``keys`` leading to it, from all its pages."""
        number = 1
        seen = 0
        while True:
            page = self(name, PageNumber=number, **{size: PAGE}, **wire)
            items: Any = page
            for key in keys:
                items = items.get(key) or {}
            items = items or []
            yield from items
            seen += len(items)
            if not items or seen >= int(page.get("TotalCount") or 0):
                return
            number += 1


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``Tag=[{"Key": "a"}]`` as ``Tag.1.Key=a``."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value, 1)
        for key, inner in items:
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, str(value).lower() if isinstance(value, bool) else value


def inventory(world: World) -> list[Thing]:
    """Everything but what Alibaba Cloud itself puts into an account."""
    account = Account(world)
    return [*_network(account), *_machines(account), *_rest(account), *_clusters(account)]


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    listed = (found.get("Tags") or {}).get("Tag") or []
    return {tag.get("Key") or tag["TagKey"]: tag.get("Value") or tag["TagValue"] for tag in listed}


def _of(kind: str, found: Iterable[Any], key: str) -> Iterator[Thing]:
    for item in found:
        yield Thing(kind, item[key], _tags(item), item)


def _network(account: Account) -> Iterator[Thing]:
    yield from _of("vpc", account.every("vpc:DescribeVpcs", "Vpcs", "Vpc"), "VpcId")
    vswitches = account.every("vpc:DescribeVSwitches", "VSwitches", "VSwitch")
    yield from _of("vswitch", vswitches, "VSwitchId")
    nats = account.every("vpc:DescribeNatGateways", "NatGateways", "NatGateway")
    living = [nat for nat in nats if nat["Status"] != "Deleting"]
    yield from _of("nat-gateway", living, "NatGatewayId")
    addresses = account.every("vpc:DescribeEipAddresses", "EipAddresses", "EipAddress")
    yield from _of("eip", addresses, "AllocationId")


def _machines(account: Account) -> Iterator[Thing]:
    pairs = account.every("ecs:DescribeKeyPairs", "KeyPairs", "KeyPair")
    yield from _of("key-pair", pairs, "KeyPairName")
    groups = account.every("ecs:DescribeSecurityGroups", "SecurityGroups", "SecurityGroup")
    yield from _of("security-group", groups, "SecurityGroupId")
    # machines and their disks take the tags of their pool: only the pool counts as marked
    for disk in account.every("ecs:DescribeDisks", "Disks", "Disk"):
        yield Thing("disk", disk["DiskId"], {}, disk)
    interfaces = account.every(
        "ecs:DescribeNetworkInterfaces", "NetworkInterfaceSets", "NetworkInterfaceSet"
    )
    yield from _of("network-interface", interfaces, "NetworkInterfaceId")
    for machine in account.every("ecs:DescribeInstances", "Instances", "Instance"):
        yield Thing("instance", machine["InstanceId"], {}, machine)


def _rest(account: Account) -> Iterator[Thing]:
    for role in account("ram:ListRoles", MaxItems=1000)["Roles"].get("Role") or ():
        if role["RoleName"].startswith("Aliyun"):
            continue
        described = account("ram:GetRole", RoleName=role["RoleName"])["Role"]
        yield Thing("role", role["RoleName"], _described(described.get("Description")), described)
    for policy in account("ram:ListPolicies", PolicyType="Custom")["Policies"].get("Policy") or ():
        yield Thing("policy", policy["PolicyName"], {}, policy)
    balancers = account.every("slb:DescribeLoadBalancers", "LoadBalancers", "LoadBalancer")
    yield from _of("classic-load-balancer", balancers, "LoadBalancerId")
    yield from _of(
        "access-list", account.every("slb:DescribeAccessControlLists", "Acls", "Acl"), "AclId"
    )
    for balancer in account("nlb:ListLoadBalancers")["LoadBalancers"] or ():
        yield Thing("network-load-balancer", balancer["LoadBalancerId"], {}, balancer)
    for balancer in account("alb:ListLoadBalancers")["LoadBalancers"] or ():
        yield Thing("application-load-balancer", balancer["LoadBalancerId"], {}, balancer)
    for instance in account("cr:ListInstance")["Instances"] or ():
        listed = account("cr:ListRepository", InstanceId=instance["InstanceId"], RepoStatus="ALL")
        for item in listed.get("Repositories") or ():
            name = f"{item['RepoNamespaceName']}/{item['RepoName']}"
            yield Thing("repository", name, _described(item.get("Summary")), item)

    for space in account.personal("GET", "/namespace")["namespaces"]:
        path = f"/repos/{space['namespace']}"
        for item in account.personal("GET", path, PageSize="100")["repos"]:
            name = f"{item['repoNamespace']}/{item['repoName']}"
            marks = _described(item["summary"])
            yield Thing("personal-repository", name, marks, item)


def _described(text: str | None) -> dict[str, str]:
    found = _DESCRIBED.match(text or "")
    return {"clusterkit-cluster": found["cluster"]} if found else {}


def _clusters(account: Account) -> Iterator[Thing]:
    for cluster in account("cs:DescribeClustersV1")["clusters"] or ():
        identifier = cluster["cluster_id"]
        shown = account("cs:DescribeClusterDetail", identifier)
        yield Thing("cluster", identifier, _cs_tags(shown), shown)
        for pool in account("cs:DescribeClusterNodePools", identifier)["nodepools"] or ():
            marks = _cs_tags(pool["scaling_group"])
            yield Thing("node-pool", pool["nodepool_info"]["nodepool_id"], marks, pool)


def _cs_tags(found: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value") or "" for tag in found.get("tags") or ()}

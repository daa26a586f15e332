"""What is not ours and keeps ours from being deleted: the cloud refuses with a code and names
nothing.

Ours is what carries our tag, and what carries the tag of one of our clusters. Interfaces that
another service manages are not named: which of them go with the cluster cannot be seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.tags import OWNER, read_tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER


@dataclass(frozen=True)
class Neighbours:
    """Things of others, found with a list call each."""

    scope: Scope[Clients]
    clusters: Collection[str]
    """ids of ours"""

    def _found(self, action: str, **where: str) -> Iterator[Any]:
        for item in self.scope.client.every(action, **where):
            tags = read_tags(item)
            ours = tags.get(CLUSTER) == self.scope.cluster or tags.get(OWNER) in self.clusters
            if not ours:
                yield item

    def instances(self, **where: str) -> Iterator[Occupant]:
        """Machines; ``where`` are parameters of DescribeInstances."""
        for item in self._found("DescribeInstances", **where):
            more = {"Force": "true"}  # what runs goes by force only
            yield self._called("instance", item, "Instance", "ecs DeleteInstance", **more)

    def interfaces(self, **where: str) -> Iterator[Occupant]:
        """Network interfaces, without those that go with their machine."""
        for item in self._found("DescribeNetworkInterfaces", **where):
            if item.get("Type") != "Primary" and not item.get("ServiceManaged"):
                delete = "ecs DeleteNetworkInterface"
                yield self._called("network interface", item, "NetworkInterface", delete)

    def gateways(self, vpc: str, vswitch: str = "") -> Iterator[Occupant]:
        """NAT gateways of a VPC, or those that lie in one of its VSwitches or serve it."""
        for item in self._found("DescribeNatGateways", VpcId=vpc):
            if vswitch in (
                "",
                at_path(item, "NatGatewayPrivateInfo.VswitchId"),
                *self._served(item),
            ):
                name, identifier = str(item.get("Name") or ""), item["NatGatewayId"]
                yield self._named(
                    "NAT gateway", identifier, name, "vpc DeleteNatGateway NatGatewayId"
                )

    def _served(self, gateway: Any) -> Iterator[str]:
        """The VSwitches in its SNAT entries."""
        for table in at_path(gateway, "SnatTableIds.SnatTableId") or ():
            for entry in self.scope.client.every("DescribeSnatTableEntries", SnatTableId=table):
                yield str(entry.get("SourceVSwitchId") or "")

    def balancers(self, vpc: str, vswitch: str) -> Iterator[Occupant]:
        """Load balancers of all three services in a VSwitch."""
        for product, noun, action in (
            ("slb", "load balancer", "DescribeLoadBalancers"),
            ("nlb", "network load balancer", "nlb:ListLoadBalancers"),
            ("alb", "application load balancer", "alb:ListLoadBalancers"),
        ):
            where: dict[str, Any] = {"VpcId": vpc} if product == "slb" else {"VpcIds": [vpc]}
            for item in self._found(action, **where):
                if vswitch in self._vswitches(product, item):
                    delete = f"{product} DeleteLoadBalancer"
                    yield self._called(noun, item, "LoadBalancer", delete)

    def _vswitches(self, product: str, item: Any) -> list[str]:
        if product == "slb":
            return [str(item.get("VSwitchId") or "")]
        if product == "alb":  # whose list does not show them
            asked = {"LoadBalancerId": item["LoadBalancerId"]}
            item = self.scope.client.rpc("alb", "GetLoadBalancerAttribute", **asked)
        return [zone["VSwitchId"] for zone in item.get("ZoneMappings") or ()]

    def vswitches(self, vpc: str) -> Iterator[Occupant]:
        """VSwitches of a VPC."""
        for item in self._found("DescribeVSwitches", VpcId=vpc):
            yield self._called("VSwitch", item, "VSwitch", "vpc DeleteVSwitch")

    def groups(self, vpc: str) -> Iterator[Occupant]:
        """Security groups of a VPC, without those that another service manages."""
        for item in self._found("DescribeSecurityGroups", VpcId=vpc):
            if not item.get("ServiceManaged"):
                yield self._called(
                    "security group", item, "SecurityGroup", "ecs DeleteSecurityGroup"
                )

    def referring(self, group: str, vpc: str) -> Iterator[Occupant]:
        """Security groups whose rules, in or out, name this one."""
        found = self.scope.client.ecs("DescribeSecurityGroupReferences", SecurityGroupId=[group])
        listed = at_path(found, "SecurityGroupReferences.SecurityGroupReference") or ()
        ids = {
            str(each["SecurityGroupId"])
            for one in listed
            for each in at_path(one, "ReferencingSecurityGroups.ReferencingSecurityGroup") or ()
        }
        if not ids - {group}:
            return
        names = {each.id: each.name for each in self.groups(vpc)}
        for identifier in sorted(ids - {group}):
            cure = f"take the rules of {identifier} that name {group} out"
            noun = "security group whose rules name it,"
            yield Occupant(noun, identifier, names.get(identifier, ""), cure)

    def other_clusters(self, vpc: str) -> Iterator[Occupant]:
        """Clusters of Container Service in a VPC."""
        region = self.scope.client.region
        for item in self.scope.client.every("DescribeClustersV1", region_id=region):
            ours = item["cluster_id"] in self.clusters
            if item.get("vpc_id") == vpc and not ours and item["state"] != "deleted":
                yield Occupant("cluster", item["cluster_id"], item["name"])

    def _called(self, noun: str, item: Any, key: str, delete: str, **more: str) -> Occupant:
        name = str(item.get(f"{key}Name") or item.get("Description") or "")
        return self._named(noun, item[f"{key}Id"], name, f"{delete} {key}Id", **more)

    def _named(self, noun: str, identifier: str, name: str, delete: str, **more: str) -> Occupant:
        """``delete``: the product, the action and the parameter that takes the id."""
        product, action, key = delete.split()
        given = {key: identifier, **more, "region": self.scope.region}
        flags = " ".join(f"--{flag} {value}" for flag, value in given.items())
        return Occupant(noun, identifier, name, f"aliyun {product} {action} {flags}")

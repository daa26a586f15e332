"""Network security groups, route tables, load balancers and what else is plain; quotas of networks.

Codes: facts/azure.tsv.
"""

from __future__ import annotations

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.failure import Json, refusal
from clusterkit_sandbox.azure.networks import inline, names, refs, require_references, users
from clusterkit_sandbox.azure.resources import (
    ApplicationSecurityGroup,
    IpGroup,
    LoadBalancer,
    NatGateway,
    PublicIp,
    Resource,
    RouteTable,
    ScaleSet,
    SecurityGroup,
    SecurityRule,
    Subnet,
    VirtualNetwork,
)
from clusterkit_sandbox.azure.service import Call, operation
from clusterkit_sandbox.azure.store import Store


def _prepare_group(call: Call, new: Resource, old: Resource | None) -> None:
    before = [] if old is None else call.store.under(SecurityRule, old.id)
    for rule in before:
        call.store.remove(rule)
    for body in new.properties.pop("securityRules", None) or ():
        call.store.put(SecurityRule(inline(new, "securityRules", body)))


def _show_group(store: Store, one: Resource) -> Json:
    rules = [rule.shown for rule in store.under(SecurityRule, one.id)]
    more: Json = {"securityRules": rules, "defaultSecurityRules": []}
    subnets = refs(users(store, one, Subnet))
    if subnets:
        more["subnets"] = subnets
    return {**one.shown, "properties": {**one.properties, **more}}


def _keep_group(call: Call, one: Resource) -> None:
    machines = users(call.store, one, ScaleSet)
    if machines:
        raise refusal(
            "NetworkSecurityGroupInUseByVirtualMachineScaleSet",
            id=one.shown["id"],
            names=names(machines[:1]),
        )
    using = users(call.store, one, Subnet)
    if using:
        raise refusal(
            "InUseNetworkSecurityGroupCannotBeDeleted", id=one.shown["id"], names=names(using)
        )


_RULE = "Microsoft.Network/networkSecurityGroups/securityRules"
register(
    Kind(
        name="Microsoft.Network/networkSecurityGroups",
        record=SecurityGroup,
        prepare=_prepare_group,
        shown=_show_group,
        keep=_keep_group,
        create="security-group/create",
        update="security-group/create",
        delete="security-group/create",
        etags=True,
    )
)
register(
    Kind(
        name=_RULE,
        record=SecurityRule,
        create="security-group/create",
        update="security-group/create",
        delete="security-group/create",
        etags=True,
        lock=lambda one: ids.parent(one.id),
        located=False,
    )
)


def _keep_table(call: Call, one: Resource) -> None:
    using = users(call.store, one, Subnet)
    if using:
        raise refusal("InUseRouteTableCannotBeDeleted", name=one.name, names=names(using))


def _keep_balancer(call: Call, one: Resource) -> None:
    machines = users(call.store, one, ScaleSet)
    if machines:
        raise refusal(
            "LoadBalancerInUseByVirtualMachineScaleSet",
            id=one.shown["id"],
            names=names(machines[:1]),
        )


def _plain(name: str, record: type[Resource], **more: object) -> None:
    kind = Kind(
        name=f"Microsoft.Network/{name}",
        record=record,
        create="security-group/create",
        update="security-group/create",
        delete="security-group/create",
        etags=True,
        prepare=lambda call, new, _: require_references(call, new),
    )
    register(Kind(**{**kind.__dict__, **more}))


_plain("applicationSecurityGroups", ApplicationSecurityGroup)
_plain("ipGroups", IpGroup)
_plain("loadBalancers", LoadBalancer, keep=_keep_balancer)
_plain("routeTables", RouteTable, keep=_keep_table)


@operation("network:Usages_List")
def _usages(call: Call) -> object:
    place = f"/subscriptions/{call.subscription}"
    counts = {
        "VirtualNetworks": ("Virtual Networks", VirtualNetwork, 1000),
        "PublicIPAddresses": ("Public IP Addresses", PublicIp, 1000),
        "NatGateways": ("Nat Gateways", NatGateway, 2147483647),
        "NetworkSecurityGroups": ("Network Security Groups", SecurityGroup, 5000),
        "LoadBalancers": ("Load Balancers", LoadBalancer, 1000),
    }
    region = str(call["location"]).lower()
    return {
        "value": [
            {
                "id": f"{place}/providers/Microsoft.Network/locations/{region}/usages/{name}",
                "name": {"value": name, "localizedValue": words},
                "unit": "Count",
                "currentValue": sum(o.location == region for o in call.store.under(kind, place)),
                "limit": limit,
            }
            for name, (words, kind, limit) in counts.items()
        ]
    }

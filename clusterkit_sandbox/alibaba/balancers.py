"""SLB 2014-05-15, NLB 2022-04-30 and ALB 2020-06-16: the load balancers that clusters create.

Classic and network ones are made by Container Service and by Services in Kubernetes only;
application ones by calls, as no controller for Ingresses is emulated.
``OperationDenied.DeleteProtectionIsOn`` is on the vendor's page of DeleteLoadBalancer (SLB),
``OperationDenied.DeletionProtectionEnabled`` and ``ResourceNotFound.loadBalancer`` on that of NLB,
whose codes ALB shares;
the rest of the codes here are named as the vendor names their like, and not verified.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.acls import require_acl
from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.hooks import remove_balancer
from clusterkit_sandbox.alibaba.instances import new_interface
from clusterkit_sandbox.alibaba.models import LoadBalancer, NetworkInterface, Vpc, VSwitch
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    key_value,
    operation,
    tag_key_value,
)

_STATUSES = ("ConsoleProtection", "NonProtection")


def find(call: Call, kind: str, code: str) -> LoadBalancer:
    """The requested load balancer."""
    found = call.store.get(LoadBalancer, call["LoadBalancerId"])
    if found is None or found.kind != kind or found.region != call.region:
        raise Failure(404, code, "The specified load balancer does not exist.")
    return found


def _find_clb(call: Call) -> LoadBalancer:
    return find(call, "clb", "InvalidLoadBalancerId.NotFound")


def _clb_fields(balancer: LoadBalancer) -> Json:
    return {
        "LoadBalancerId": balancer.id,
        "LoadBalancerName": balancer.name,
        "LoadBalancerStatus": "active",
        "LoadBalancerSpec": "slb.s1.small",
        "Address": balancer.address,
        "AddressType": balancer.address_type,
        "AddressIPVersion": "ipv4",
        "NetworkType": "vpc",
        "RegionId": balancer.region,
        "RegionIdAlias": balancer.region,
        "VpcId": balancer.vpc,
        "VSwitchId": balancer.vswitches[0] if balancer.vswitches else "",
        "PayType": "PayOnDemand",
        "DeleteProtection": "on" if balancer.protected else "off",
        "ModificationProtectionStatus": (
            "ConsoleProtection" if balancer.modification_protected else "NonProtection"
        ),
        "CreateTime": iso(balancer.created),
        "ResourceGroupId": balancer.resource_group,
        "Tags": {"Tag": tag_key_value(balancer.tags)},
    }


@operation("slb:DescribeLoadBalancers")
def _describe_clbs(call: Call) -> object:
    ids = str(call.get("LoadBalancerId", "")).split(",")
    found = [
        b
        for b in call.here(LoadBalancer)
        if b.kind == "clb"
        and (ids == [""] or b.id in ids)
        and asked_for(call, LoadBalancerName=b.name, VpcId=b.vpc, Address=b.address)
        and asked_for(call, AddressType=b.address_type)
        and call.get("VSwitchId") in (None, *b.vswitches)
        and has_tags(b, call)
    ]
    figures, some = call.page(found, most=100)
    return figures | {"LoadBalancers": {"LoadBalancer": [_clb_fields(b) for b in some]}}


@operation("slb:DescribeLoadBalancerAttribute")
def _describe_clb(call: Call) -> object:
    balancer = _find_clb(call)
    ports = [{"ListenerPort": p, "ListenerProtocol": "tcp"} for p in balancer.ports]
    return _clb_fields(balancer) | {
        "ListenerPorts": {"ListenerPort": balancer.ports},
        "ListenerPortsAndProtocol": {"ListenerPortAndProtocol": ports},
        "BackendServers": {"BackendServer": []},
    }


@operation("slb:DeleteLoadBalancer")
def _delete_clb(call: Call) -> object:
    balancer = _find_clb(call)
    if balancer.protected:
        raise bad(
            "OperationDenied.DeleteProtectionIsOn",
            "The loadbalancer can't be deleted due to DeleteProtection is enabled.",
        )
    remove_balancer(call.store, balancer)
    return {}


@operation("slb:SetLoadBalancerDeleteProtection")
def _protect_clb(call: Call) -> object:
    if call["DeleteProtection"] not in ("on", "off"):
        raise bad("InvalidParameter", "DeleteProtection must be on or off.")
    _find_clb(call).protected = call["DeleteProtection"] == "on"
    return {}


@operation("slb:SetLoadBalancerModificationProtection")
def _protect_clb_changes(call: Call) -> object:
    status = call["ModificationProtectionStatus"]
    if status not in _STATUSES:
        raise bad("InvalidParameter", "The value is not valid.")
    _find_clb(call).modification_protected = status == "ConsoleProtection"
    return {}


def _find_port(call: Call) -> tuple[LoadBalancer, int]:
    balancer, port = _find_clb(call), int(call["ListenerPort"])
    if port not in balancer.ports:
        raise bad("InvalidParameter", "The specified listener does not exist.")
    return balancer, port


@operation("slb:DescribeLoadBalancerTCPListenerAttribute")
def _describe_listener(call: Call) -> object:
    balancer, port = _find_port(call)
    acl, status, kind = balancer.acls.get(port, ("", "off", ""))
    found: Json = {
        "LoadBalancerId": balancer.id,
        "ListenerPort": port,
        "BackendServerPort": port,
        "Status": "running",
        "Scheduler": "wrr",
        "Bandwidth": -1,
        "AclStatus": status,
    }
    return found | ({"AclId": acl, "AclType": kind} if acl else {})


@operation("slb:SetLoadBalancerTCPListenerAttribute")
def _set_listener(call: Call) -> object:
    balancer, port = _find_port(call)
    old, status, kind = balancer.acls.get(port, ("", "off", ""))
    status, kind = call.get("AclStatus", status), call.get("AclType", kind)
    acl = call.get("AclId", old)
    if status not in ("on", "off"):
        raise bad("InvalidParameter", "AclStatus must be on or off.")
    if status == "on":
        require_acl(call, acl)
        if kind not in ("white", "black"):
            raise bad("InvalidParameter", "AclType must be white or black.")
        balancer.acls[port] = (acl, status, kind)
    else:
        balancer.acls.pop(port, None)
    return {}


def _nlb_fields(call: Call, balancer: LoadBalancer) -> Json:
    zones = []
    for interface in call.store.all(NetworkInterface):
        if interface.owner == balancer.id:
            address = {"PrivateIPv4Address": interface.address, "EniId": interface.id}
            zones.append(
                {
                    "ZoneId": interface.zone,
                    "VSwitchId": interface.vswitch,
                    "LoadBalancerAddresses": [address],
                }
            )
    return {
        "LoadBalancerId": balancer.id,
        "LoadBalancerName": balancer.name,
        "LoadBalancerStatus": "Provisioning" if call.store.pending(balancer) else "Active",
        "LoadBalancerBusinessStatus": "Normal",
        "LoadBalancerType": "Network",
        "AddressType": balancer.address_type.capitalize(),
        "AddressIpVersion": "ipv4",
        "DNSName": balancer.address,
        "RegionId": balancer.region,
        "VpcId": balancer.vpc,
        "ZoneMappings": zones,
        "DeletionProtectionConfig": {"Enabled": balancer.protected},
        "ModificationProtectionConfig": {
            "Status": "ConsoleProtection" if balancer.modification_protected else "NonProtection"
        },
        "CreateTime": iso(balancer.created),
        "ResourceGroupId": balancer.resource_group,
    }


@operation("nlb:ListLoadBalancers")
def _list_nlbs(call: Call) -> object:
    ids, names = call.get("LoadBalancerIds", []), call.get("LoadBalancerNames", [])
    vpcs = call.get("VpcIds", [])
    found = [
        b
        for b in call.here(LoadBalancer)
        if b.kind == "nlb"
        and (not ids or b.id in ids)
        and (not names or b.name in names)
        and (not vpcs or b.vpc in vpcs)
        and has_tags(b, call)
    ]
    token, some = call.slice(found)
    listed = [_nlb_fields(call, b) | {"Tags": key_value(b.tags)} for b in some]
    return {
        "NextToken": token,
        "MaxResults": call.get("MaxResults", 20),
        "TotalCount": len(found),
        "LoadBalancers": listed,
    }


def _find_nlb(call: Call) -> LoadBalancer:
    return find(call, "nlb", "ResourceNotFound.loadBalancer")


@operation("nlb:GetLoadBalancerAttribute")
def _get_nlb(call: Call) -> object:
    balancer = _find_nlb(call)
    return _nlb_fields(call, balancer) | {"Tags": tag_key_value(balancer.tags)}


def _deleted(call: Call, balancer: LoadBalancer) -> object:
    """NLB and ALB answer alike."""
    if balancer.protected:
        raise bad(
            "OperationDenied.DeleteProtectionIsOn",
            "The operation is not allowed because of DeletionProtectionEnabled.",
        )
    remove_balancer(call.store, balancer)
    return {"JobId": call.store.new_hex()}


@operation("nlb:DeleteLoadBalancer")
def _delete_nlb(call: Call) -> object:
    return _deleted(call, _find_nlb(call))


@operation("nlb:UpdateLoadBalancerProtection")
def _protect_nlb(call: Call) -> object:
    balancer = _find_nlb(call)
    if call.get("ModificationProtectionStatus", "NonProtection") not in _STATUSES:
        raise bad("InvalidParameter", "The value is not valid.")
    balancer.protected = bool(call.get("DeletionProtectionEnabled", balancer.protected))
    status = call.get("ModificationProtectionStatus")
    if status is not None:
        balancer.modification_protected = status == "ConsoleProtection"
    return {}


@operation("alb:CreateLoadBalancer")
def _create_alb(call: Call) -> object:
    vpc = call.find(
        Vpc, call["VpcId"], "InvalidVpcId.NotFound", "The specified VPC does not exist."
    )
    vswitches = [
        call.find(VSwitch, mapping["VSwitchId"], "InvalidVSwitchId.NotFound")
        for mapping in call["ZoneMappings"]
    ]
    tags = given_tags(call)

    def make() -> Json:
        identifier = call.store.new_id("alb")
        for vswitch in vswitches:
            interface = new_interface(call, vswitch, [])
            interface.owner, interface.managed = identifier, True
            interface.description = "created by alb"
        balancer = LoadBalancer(
            id=identifier,
            region=vpc.region,
            name=call.get("LoadBalancerName", ""),
            tags=tags,
            kind="alb",
            vpc=vpc.id,
            vswitches=[vswitch.id for vswitch in vswitches],
            address=f"{identifier}.{vpc.region}.alb.aliyuncs.com",
            address_type=call["AddressType"].lower(),
            protected=bool(call.get("DeletionProtectionEnabled", False)),
            modification_protected=False,
            ports=[],
        )
        return {"LoadBalancerId": call.store.add(balancer).id}

    return call.once(make)


@operation("alb:ListLoadBalancers")
def _list_albs(call: Call) -> object:
    ids, vpcs = call.get("LoadBalancerIds", []), call.get("VpcIds", [])
    found = [
        b
        for b in call.here(LoadBalancer)
        if b.kind == "alb"
        and (not ids or b.id in ids)
        and (not vpcs or b.vpc in vpcs)
        and has_tags(b, call)
    ]
    token, some = call.slice(found)
    listed = [_alb_fields(b) for b in some]
    return {"NextToken": token, "TotalCount": len(found), "LoadBalancers": listed}


def _alb_fields(balancer: LoadBalancer) -> Json:
    return {
        "LoadBalancerId": balancer.id,
        "LoadBalancerName": balancer.name,
        "LoadBalancerStatus": "Active",
        "AddressType": balancer.address_type.capitalize(),
        "DNSName": balancer.address,
        "VpcId": balancer.vpc,
        "DeletionProtectionConfig": {"Enabled": balancer.protected},
        "CreateTime": iso(balancer.created),
        "ResourceGroupId": balancer.resource_group,
        "Tags": key_value(balancer.tags),
    }


def _find_alb(call: Call) -> LoadBalancer:
    return find(call, "alb", "ResourceNotFound.LoadBalancer")


@operation("alb:GetLoadBalancerAttribute")
def _get_alb(call: Call) -> object:
    balancer = _find_alb(call)
    zones = [
        {"VSwitchId": vswitch.id, "ZoneId": vswitch.zone}
        for identifier in balancer.vswitches
        if (vswitch := call.store.get(VSwitch, identifier)) is not None
    ]
    return _alb_fields(balancer) | {"ZoneMappings": zones}


@operation("alb:DeleteLoadBalancer")
def _delete_alb(call: Call) -> object:
    return _deleted(call, _find_alb(call))


@operation("alb:DisableDeletionProtection")
def _disarm_alb(call: Call) -> object:
    balancer = call.store.get(LoadBalancer, call["ResourceId"])
    if balancer is None or balancer.kind != "alb" or balancer.region != call.region:
        raise Failure(404, "ResourceNotFound.LoadBalancer", "The load balancer does not exist.")
    balancer.protected = False
    return {}

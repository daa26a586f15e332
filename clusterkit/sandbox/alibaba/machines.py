"""ECS 2014-05-26: machines, disks and network interfaces: what clusters leave behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit.sandbox.alibaba.catalogue import (
    DEFAULT_LEVEL,
    DISKS,
    INSTANCE_TYPES,
    least_size,
    zones,
)
from clusterkit.sandbox.alibaba.failure import Failure, bad, missing
from clusterkit.sandbox.alibaba.service import (
    Call,
    Handler,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    tag_key_value,
)
from clusterkit.sandbox.alibaba.things import (
    Disk,
    Instance,
    NetworkInterface,
    SecurityGroup,
    Thing,
    VSwitch,
)
from clusterkit.sandbox.alibaba.vpc import RESOURCE_GROUP


def _ids(call: Call, field: str) -> list[str]:
    try:
        found = json.loads(call.get(field, "[]"))
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise bad(f"InvalidParameter.{field}", f"{field} must be a JSON array.")
    return [str(one) for one in found]


def _some(call: Call, found: Sequence[Thing], most: int) -> tuple[Json, Sequence[Any]]:
    """By token if one of its parameters is there, else by number."""
    if call.get("MaxResults") or call.get("NextToken"):
        token, things = call.slice(found, default=10, most=most)
        return {"NextToken": token, "TotalCount": len(found)}, things
    return call.page(found, most=most)


def _instances(call: Call) -> object:
    ids = _ids(call, "InstanceIds")
    found = [
        i
        for i in call.here(Instance)
        if (not ids or i.id in ids)
        and asked_for(call, VpcId=i.vpc, VSwitchId=i.vswitch, ZoneId=i.zone, InstanceType=i.kind)
        and asked_for(call, SecurityGroupId=i.security_group, KeyPairName=i.key_pair)
        and asked_for(call, InstanceName=i.name, Status=_instance_status(call, i))
        and has_tags(i, call)
    ]
    figures, instances = _some(call, found, 100)
    described = [
        {
            "InstanceId": i.id,
            "InstanceName": i.name,
            "HostName": i.name,
            "RegionId": i.region,
            "ZoneId": i.zone,
            "InstanceType": i.kind,
            "InstanceTypeFamily": INSTANCE_TYPES[i.kind].family,
            "Cpu": INSTANCE_TYPES[i.kind].cpu,
            "Memory": INSTANCE_TYPES[i.kind].memory * 1024,
            "Status": _instance_status(call, i),
            "CreationTime": iso(i.created),
            "InstanceChargeType": "PostPaid",
            "SpotStrategy": i.spot,
            "KeyPairName": i.key_pair,
            "InstanceNetworkType": "vpc",
            "SecurityGroupIds": {"SecurityGroupId": [i.security_group]},
            "VpcAttributes": {
                "VpcId": i.vpc,
                "VSwitchId": i.vswitch,
                "PrivateIpAddress": {"IpAddress": [i.address]},
            },
            "ResourceGroupId": RESOURCE_GROUP,
            "Tags": {"Tag": tag_key_value(i.tags)},
        }
        for i in instances
    ]
    return figures | {"Instances": {"Instance": described}}


def _instance_status(call: Call, instance: Instance) -> str:
    return "Starting" if call.store.pending(instance) else "Running"


def check_disk(category: str, level: str | None, size: int) -> None:
    """Refuse a data disk that cannot be made; codes of the vendor's CreateDisk."""
    if category not in DISKS:
        raise bad("InvalidDiskCategory.ValueNotSupported", f"There is no category {category!r}.")
    try:
        least = least_size(category, level)
    except KeyError:
        raise bad(
            "InvalidPerformanceLevel.Malformed", "The specified PerformanceLevel is not valid."
        ) from None
    if not least <= size <= DISKS[category].data[1]:
        raise bad(
            "InvalidDiskSize.NotSupported",
            f"The specified disk size is not supported: a {category} disk"
            f"{f' of level {level or DEFAULT_LEVEL}' if DISKS[category].levels else ''}"
            f" has at least {least} GiB, not {size}.",
        )


def _create_disk(call: Call) -> object:
    zone = call.get("ZoneId")
    if zone is None:
        raise missing("ZoneId")
    if zone not in zones(call.region):
        raise Failure(404, "InvalidZoneId.NotFound", "The specified ZoneId does not exist.")
    if call.get("Size") is None:
        raise missing("Size")
    category, level = call.get("DiskCategory", "cloud_efficiency"), call.get("PerformanceLevel")
    check_disk(category, level, call["Size"])
    tags = given_tags(call)

    def make() -> Json:
        disk = Disk(
            id=call.store.new_id("d"),
            region=call.region,
            name=call.get("DiskName", ""),
            description=call.get("Description", ""),
            tags=tags,
            category=category,
            level=(level or DEFAULT_LEVEL) if DISKS[category].levels else "",
            size=call["Size"],
            zone=zone,
            system=False,
            encrypted=bool(call.get("Encrypted", False)),
        )
        return {"DiskId": call.store.add(disk).id}

    return call.once(make)


def _disk_status(disk: Disk) -> str:
    return "In_use" if disk.instance else "Available"


def _disks(call: Call) -> object:
    ids = _ids(call, "DiskIds")
    found = [
        d
        for d in call.here(Disk)
        if (not ids or d.id in ids)
        and asked_for(call, DiskName=d.name, ZoneId=d.zone, Category=d.category)
        and asked_for(call, InstanceId=d.instance, Status=_disk_status(d))
        and call.get("DiskType", "all") in ("all", "system" if d.system else "data")
        and has_tags(d, call)
    ]
    figures, disks = _some(call, found, 100)
    described = [
        {
            "DiskId": d.id,
            "DiskName": d.name,
            "Description": d.description,
            "RegionId": d.region,
            "ZoneId": d.zone,
            "Category": d.category,
            "PerformanceLevel": d.level,
            "Size": d.size,
            "Type": "system" if d.system else "data",
            "Status": _disk_status(d),
            "Encrypted": d.encrypted,
            "InstanceId": d.instance,
            "DiskChargeType": "PostPaid",
            "DeleteWithInstance": d.system,
            "Portable": not d.system,
            "CreationTime": iso(d.created),
            "ResourceGroupId": RESOURCE_GROUP,
            "Tags": {"Tag": tag_key_value(d.tags)},
        }
        for d in disks
    ]
    return figures | {"Disks": {"Disk": described}}


def _delete_disk(call: Call) -> object:
    disk = call.store.get(Disk, call["DiskId"])
    if disk is None:
        raise Failure(404, "InvalidDiskId.NotFound", "The specified DiskId does not exist.")
    if disk.instance:
        raise Failure(
            403, "IncorrectDiskStatus", "The current disk status does not support this operation."
        )
    call.store.remove(disk)
    return {}


def _create_interface(call: Call) -> object:
    vswitch = call.find(VSwitch, call["VSwitchId"], "InvalidVSwitchId.NotFound")
    groups = call.get("SecurityGroupIds") or [call.get("SecurityGroupId", "")]
    for group in groups:
        call.find(SecurityGroup, group, "InvalidSecurityGroupId.NotFound")
    tags = given_tags(call)

    def make() -> Json:
        interface = new_interface(call, vswitch, groups)
        interface.name = call.get("NetworkInterfaceName", "")
        interface.description = call.get("Description", "")
        interface.tags = tags
        fields = _interface_fields(interface)
        return {k: v for k, v in fields.items() if k not in ("CreationTime", "InstanceId")}

    return call.once(make)


def new_interface(call: Call, vswitch: VSwitch, groups: list[str]) -> NetworkInterface:
    """A network interface in the vSwitch."""
    address = call.get("PrimaryIpAddress") or call.store.private_address(vswitch)
    if address is None:
        raise Failure(403, "InvalidVSwitchId.IpNotEnough", "The vSwitch has no free address.")
    number = call.store.new_hex(6)
    interface = NetworkInterface(
        id=call.store.new_id("eni"),
        region=vswitch.region,
        vpc=vswitch.vpc,
        vswitch=vswitch.id,
        zone=vswitch.zone,
        address=address,
        mac=":".join(("00", "16", "3e", number[:2], number[2:4], number[4:])),
        groups=groups,
    )
    return call.store.add(interface)


def _interface_fields(interface: NetworkInterface) -> Json:
    return {
        "NetworkInterfaceId": interface.id,
        "NetworkInterfaceName": interface.name,
        "Description": interface.description,
        "Type": interface.kind,
        "Status": "InUse" if interface.instance or interface.managed else "Available",
        "VpcId": interface.vpc,
        "VSwitchId": interface.vswitch,
        "ZoneId": interface.zone,
        "PrivateIpAddress": interface.address,
        "MacAddress": interface.mac,
        "SecurityGroupIds": {"SecurityGroupId": interface.groups},
        "ServiceManaged": interface.managed,
        "InstanceId": interface.instance,
        "CreationTime": iso(interface.created),
        "ResourceGroupId": RESOURCE_GROUP,
        "Tags": {"Tag": tag_key_value(interface.tags)},
    }


def _interfaces(call: Call) -> object:
    ids = call.get("NetworkInterfaceId", [])
    found = [
        i
        for i in call.here(NetworkInterface)
        if (not ids or i.id in ids)
        and asked_for(call, VpcId=i.vpc, VSwitchId=i.vswitch, InstanceId=i.instance)
        and asked_for(call, NetworkInterfaceName=i.name, Type=i.kind, ServiceManaged=i.managed)
        and asked_for(call, Status=_interface_fields(i)["Status"])
        and call.get("SecurityGroupId") in (None, *i.groups)
        and has_tags(i, call)
    ]
    figures, interfaces = _some(call, found, 500)
    described = [_interface_fields(i) for i in interfaces]
    return figures | {"NetworkInterfaceSets": {"NetworkInterfaceSet": described}}


def _delete_interface(call: Call) -> object:
    interface = call.find(
        NetworkInterface,
        call["NetworkInterfaceId"],
        "InvalidEniId.NotFound",
        "The specified NetworkInterfaceId does not exist.",
    )
    if interface.instance or interface.managed:
        raise Failure(
            403, "InvalidOperation.InvalidEniState", "The interface is in use or not yours."
        )
    call.store.remove(interface)
    return {}


OPERATIONS: Mapping[str, Handler] = {
    "ecs:CreateDisk": _create_disk,
    "ecs:CreateNetworkInterface": _create_interface,
    "ecs:DeleteDisk": _delete_disk,
    "ecs:DeleteNetworkInterface": _delete_interface,
    "ecs:DescribeDisks": _disks,
    "ecs:DescribeInstances": _instances,
    "ecs:DescribeNetworkInterfaces": _interfaces,
}

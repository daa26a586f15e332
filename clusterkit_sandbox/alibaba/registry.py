"""CR 2018-12-01: enterprise registry instances, their endpoints, their passwords.

An instance is bought from another service (BssOpenApi), so there is one or none from the start.
``INSTANCE_NOT_EXIST``, ``NAMESPACE_NOT_EXIST`` and ``REPO_NOT_EXIST`` as the Terraform provider
knows them (service_alicloud_cr.go); the other codes are named after them.
"""

from __future__ import annotations

import time
from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import RegistryInstance, Vpc, VSwitch
from clusterkit_sandbox.alibaba.service import Call, Json, operation

OKAY: Json = {"IsSuccess": True, "Code": "success"}
_HOURS = (1, 24)
"""For how long a password can be asked (vendor: GetAuthorizationToken, ExpiresInHours)."""


USER = "cr_temp_user"
"""Whose the passwords are."""


def content_key(instance: str, region: str) -> str:
    """Under what the content of a registry is kept; the personal one has no ``instance``."""
    return f"aliyun/{instance or region}"


def require_instance(call: Call) -> RegistryInstance:
    """The instance asked for."""
    found = call.store.get(RegistryInstance, call["InstanceId"])
    if found is None:
        raise Failure(404, "INSTANCE_NOT_EXIST", "instance is not exist")
    return found


def milliseconds(at: float) -> int:
    """As the registry writes times."""
    return int(at * 1000)


def _fields(instance: RegistryInstance) -> Json:
    return {
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "InstanceStatus": "RUNNING",
        "InstanceSpecification": instance.specification,
        "ResourceGroupId": instance.resource_group,
        "Tags": [],
    }


@operation("cr:GetInstance")
def _get(call: Call) -> object:
    instance = require_instance(call)
    created = milliseconds(instance.created)
    return OKAY | _fields(instance) | {"CreateTime": created, "ModifiedTime": created}


@operation("cr:ListInstance")
def _list(call: Call) -> object:
    found = [
        i
        for i in call.store.all(RegistryInstance)
        if call.get("InstanceName") in (None, i.name)
        and call.get("InstanceStatus") in (None, "RUNNING")
    ]
    figures, some = call.page(found, default=30, most=100, number="PageNo")
    listed = [
        _fields(i)
        | {
            "RegionId": call.region,
            # text here, a number in GetInstance: as published
            "CreateTime": str(milliseconds(i.created)),
            "ModifiedTime": str(milliseconds(i.created)),
        }
        for i in some
    ]
    return OKAY | figures | {"Instances": listed}


@operation("cr:GetAuthorizationToken")
def _token(call: Call) -> object:
    key = content_key(require_instance(call).id, "")
    hours = call.get("ExpiresInHours", _HOURS[0])
    if not _HOURS[0] <= hours <= _HOURS[1]:
        raise bad("InvalidParameter", "ExpiresInHours must be 1 to 24.")
    return OKAY | {
        "TempUsername": USER,
        "AuthorizationToken": call.store.passwords.issue((key, call.key), hours * 3600),
        "ExpireTime": milliseconds(time.time() + hours * 3600),
    }


def _kind(call: Call) -> str:
    kind = str(call["EndpointType"])
    if kind != "internet":
        raise bad("InvalidParameter", "EndpointType must be internet.")
    return kind


def _domains(call: Call, instance: RegistryInstance) -> list[Json]:
    host = f"{instance.name}-registry.{call.region}.cr.aliyuncs.com"
    return [{"Domain": host, "Type": "SYSTEM"}]


def _endpoint_fields(call: Call, instance: RegistryInstance, kind: str) -> Json:
    enabled = instance.endpoints.get(kind, False)
    entries = instance.acl.get(kind, {})
    return {
        "Enable": enabled,
        "AclEnable": enabled,
        "AclEntries": [{"Entry": entry, "Comment": c} for entry, c in entries.items()],
        "Domains": _domains(call, instance),
        "Status": "RUNNING" if enabled else "STOPPED",
    }


@operation("cr:GetInstanceEndpoint")
def _endpoint(call: Call) -> object:
    instance = require_instance(call)
    return OKAY | _endpoint_fields(call, instance, _kind(call))


@operation("cr:ListInstanceEndpoint")
def _endpoints(call: Call) -> object:
    instance = require_instance(call)
    fields = _endpoint_fields(call, instance, "internet")
    fields["AclEntries"] = [{"Entry": entry["Entry"]} for entry in fields["AclEntries"]]
    linked = [{"VpcId": vpc} for vpc in instance.linked]
    return OKAY | {"Endpoints": [fields | {"EndpointType": "internet", "LinkedVpcs": linked}]}


@operation("cr:UpdateInstanceEndpointStatus")
def _switch_endpoint(call: Call) -> object:
    require_instance(call).endpoints[_kind(call)] = call["Enable"]
    return dict(OKAY)


def _entries(call: Call) -> dict[str, str]:
    sent = call.get("Entries") or [{"Entry": call.get("Entry"), "Comment": call.get("Comment")}]
    found = {}
    for one in sent:
        try:
            block = IPv4Network(one.get("Entry") or "")
        except ValueError:
            raise bad("InvalidParameter", f"Entry {one.get('Entry')!r} is no CIDR block.") from None
        if block.prefixlen == 0:
            raise bad("InvalidParameter", "0.0.0.0/0 cannot be an entry.")  # operators have seen it
        found[str(block)] = str(one.get("Comment") or "")
    return found


@operation("cr:CreateInstanceEndpointAclPolicy")
def _allow(call: Call) -> object:
    instance, entries = require_instance(call), _entries(call)
    instance.acl.setdefault(_kind(call), {}).update(entries)
    return dict(OKAY)


@operation("cr:DeleteInstanceEndpointAclPolicy")
def _disallow(call: Call) -> object:
    instance, entries = require_instance(call), _entries(call)
    allowed = instance.acl.setdefault(_kind(call), {})
    for entry in entries:
        allowed.pop(entry, None)
    return dict(OKAY)


@operation("cr:CreateInstanceVpcEndpointLinkedVpc")
def _link(call: Call) -> object:
    instance = require_instance(call)
    vpc = call.find(Vpc, call["VpcId"], "InvalidVpcId.NotFound")
    vswitch = call.find(VSwitch, call["VswitchId"], "InvalidVSwitchId.NotFound")
    if vswitch.vpc != vpc.id:
        raise bad("InvalidVSwitchId.NotFound", "The vSwitch is not in the VPC.")
    instance.linked[vpc.id] = vswitch.id
    return dict(OKAY)


@operation("cr:DeleteInstanceVpcEndpointLinkedVpc")
def _unlink(call: Call) -> object:
    instance = require_instance(call)
    if instance.linked.pop(call["VpcId"], None) is None:
        raise Failure(404, "InvalidVpcId.NotFound", "The VPC is not linked.")
    return dict(OKAY)


@operation("cr:GetInstanceVpcEndpoint")
def _links(call: Call) -> object:
    instance = require_instance(call)
    linked = [
        {"VpcId": vpc, "VswitchId": vswitch, "Status": "RUNNING", "DefaultAccess": True}
        for vpc, vswitch in instance.linked.items()
    ]
    host = f"{instance.name}-registry-vpc.{call.region}.cr.aliyuncs.com"
    answer = {"Enable": bool(linked), "ModuleName": "Registry", "Domains": [host]}
    return OKAY | answer | {"LinkedVpcs": linked}

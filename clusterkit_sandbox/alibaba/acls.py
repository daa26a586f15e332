"""SLB 2014-05-15: access control lists, which restrict access to a cluster's API server."""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Acl, LoadBalancer
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    operation,
    resource_group,
    tag_key_value,
)
from clusterkit_sandbox.kit.wire import parsed

_ENTRIES = 50
"""Entries that one call may add (vendor: AddAccessControlListEntry)."""
_MOST = 300
"""Entries of one list (vendor: CLB "Limits", access control)."""
_NAME = re.compile(r"[\w./-]{1,80}")
"""Vendor: CreateAccessControlList, AclName."""


def require_acl(call: Call, identifier: str) -> Acl:
    """The access control list with this id; ``AclNotExist`` (vendor: SLB error codes)."""
    return call.find(Acl, identifier, "AclNotExist", "The specified acl does not exist.")


@operation("slb:CreateAccessControlList")
def _create(call: Call) -> object:
    if not _NAME.fullmatch(call["AclName"]):
        raise bad("InvalidParameter", "The specified AclName is not valid.")
    acl = Acl(
        id=call.store.new_id("acl"),
        region=call.region,
        name=call["AclName"],
        tags=given_tags(call),
        resource_group=resource_group(call),
    )
    return {"AclId": call.store.add(acl).id}


def _fields(acl: Acl) -> Json:
    return {
        "AclId": acl.id,
        "AclName": acl.name,
        "AddressIPVersion": "ipv4",
        "CreateTime": iso(acl.created),
        "ResourceGroupId": acl.resource_group,
        "Tags": {"Tag": tag_key_value(acl.tags)},
    }


@operation("slb:DescribeAccessControlLists")
def _describe_all(call: Call) -> object:
    found = [
        acl for acl in call.here(Acl) if asked_for(call, AclName=acl.name) and has_tags(acl, call)
    ]
    figures, acls = call.page(found)
    return figures | {"Count": len(acls), "Acls": {"Acl": [_fields(acl) for acl in acls]}}


def _listeners(call: Call, acl: Acl) -> list[Json]:
    return [
        {
            "LoadBalancerId": balancer.id,
            "ListenerPort": port,
            "Protocol": "tcp",
            "AclType": kind,
        }
        for balancer in call.here(LoadBalancer)
        for port, (identifier, _, kind) in balancer.acls.items()
        if identifier == acl.id
    ]


@operation("slb:DescribeAccessControlListAttribute")
def _describe(call: Call) -> object:
    acl = require_acl(call, call["AclId"])
    _, some = call.page(list(acl.entries.items()), default=50, number="Page")
    entries = [{"AclEntryIP": ip, "AclEntryComment": comment} for ip, comment in some]
    return _fields(acl) | {
        "AclEntrys": {"AclEntry": entries},
        "TotalAclEntry": len(acl.entries),
        "RelatedListeners": {"RelatedListener": _listeners(call, acl)},
    }


def _entries(call: Call) -> dict[str, str]:
    try:
        entries = {
            str(IPv4Network(entry["entry"])): str(entry.get("comment", ""))
            for entry in parsed(call.get("AclEntrys", ""))
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise bad(
            "InvalidParameter", "AclEntrys must be a JSON array of {entry, comment}."
        ) from None
    if not 1 <= len(entries) <= _ENTRIES:
        # the code is not documented
        raise bad("OverQuota", f"Add 1 to {_ENTRIES} entries in one call.")
    return entries


@operation("slb:AddAccessControlListEntry")
def _add(call: Call) -> object:
    acl, entries = require_acl(call, call["AclId"]), _entries(call)
    if len(acl.entries) + len(entries) > _MOST:
        # the code is not documented
        raise bad("OverQuota", f"A list has at most {_MOST} entries.")
    if entries.keys() & acl.entries.keys():
        # the code is not documented
        raise bad("InvalidParameter", "An entry is in the list already.")
    acl.entries.update(entries)
    return {}


@operation("slb:RemoveAccessControlListEntry")
def _take(call: Call) -> object:
    acl, entries = require_acl(call, call["AclId"]), _entries(call)
    for entry in entries:
        acl.entries.pop(entry, None)
    return {}


@operation("slb:DeleteAccessControlList")
def _delete(call: Call) -> object:
    acl = require_acl(call, call["AclId"])
    if _listeners(call, acl):
        raise Failure(400, "DependencyViolation", "The specified acl is used by a listener.")
    call.store.remove(acl)
    return {}

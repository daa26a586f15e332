"""RAM 2015-05-01: the vendor's system policies and the account's own.

A system policy is any name that begins with ``Aliyun``: the sandbox does not carry the vendor's
list of them. Codes: see ``ram.py``.
"""

from __future__ import annotations

import re
import time

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Policy, Role
from clusterkit_sandbox.alibaba.service import Call, Json, given_tags, has_tags, iso, operation
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kit.wire import parsed

_NAME = re.compile(r"[A-Za-z0-9-]{1,128}")
_VERSIONS = 5
"""Versions a policy may have (vendor: RAM "Limits")."""


def document(text: str) -> str:
    """A policy document as it was given, if it is one."""
    try:
        found = parsed(text)
        statements = found["Statement"]
        fits = (
            found["Version"] == "1"
            and isinstance(statements, list)
            and bool(statements)
            and all(s["Effect"] in ("Allow", "Deny") and s["Action"] for s in statements)
        )
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise bad("MalformedPolicyDocument", "The policy document is not well formed.")
    return text


def require_policy(store: Store, kind: str, name: str) -> Policy | None:
    """The custom policy, None for a system policy; ``EntityNotExist.Policy`` for neither."""
    if kind not in ("System", "Custom"):
        raise bad("InvalidParameter.PolicyType", "The parameter PolicyType is not valid.")
    policy = store.get(Policy, name) if kind == "Custom" else None
    if policy is None and not (kind == "System" and _system(name)):
        raise Failure(404, "EntityNotExist.Policy", f"The policy not exists : {name}")
    return policy


def _system(name: str) -> bool:
    return name.startswith("Aliyun") or name == "AdministratorAccess"


def policy_fields(store: Store, kind: str, name: str) -> Json:
    """A policy as it stands in the list of a role's."""
    policy = store.get(Policy, name) if kind == "Custom" else None
    return {
        "PolicyName": name,
        "PolicyType": kind,
        "Description": policy.description if policy else "",
        "DefaultVersion": policy.default if policy else "v1",
    }


def _fields(call: Call, policy: Policy) -> Json:
    attached = sum(("Custom", policy.id) in role.policies for role in call.store.all(Role))
    return policy_fields(call.store, "Custom", policy.id) | {
        "CreateDate": iso(policy.created),
        "UpdateDate": iso(policy.versions[policy.default][1]),
        "AttachmentCount": attached,
    }


@operation("ram:CreatePolicy")
def _create(call: Call) -> object:
    name = call["PolicyName"]
    if not _NAME.fullmatch(name):
        raise bad("InvalidParameter.PolicyName.InvalidChars", f"{name!r} is not a policy name.")
    text, tags = document(call["PolicyDocument"]), given_tags(call)
    if call.store.get(Policy, name) or _system(name):
        raise Failure(409, "EntityAlreadyExists.Policy", f"The policy already exists : {name}")
    policy = Policy(
        id=name,
        region="",
        name=name,
        description=call.get("Description", ""),
        tags=tags,
        versions={"v1": (text, time.time())},
        default="v1",
    )
    call.store.add(policy)
    fields = policy_fields(call.store, "Custom", name)
    return {"Policy": fields | {"CreateDate": iso(policy.created)}}


def _version(policy: Policy, name: str) -> Json:
    text, created = policy.versions[name]
    return {
        "VersionId": name,
        "IsDefaultVersion": name == policy.default,
        "PolicyDocument": text,
        "CreateDate": iso(created),
    }


def _custom(call: Call) -> Policy:
    policy = require_policy(call.store, call.get("PolicyType", "Custom"), call["PolicyName"])
    if policy is None:
        raise Failure(501, "Sandbox.NotImplemented", "The sandbox has no system policies' text.")
    return policy


@operation("ram:GetPolicy")
def _get(call: Call) -> object:
    policy = _custom(call)
    return {
        "Policy": _fields(call, policy),
        "DefaultPolicyVersion": _version(policy, policy.default),
    }


@operation("ram:ListPolicies")
def _list(call: Call) -> object:
    found = [p for p in call.store.all(Policy) if has_tags(p, call)]
    if call.get("PolicyType") == "System":
        found = []
    marker, some = call.slice(found, default=100, most=1000, token="Marker", size="MaxItems")
    answer: Json = {
        "IsTruncated": bool(marker),
        "Policies": {
            "Policy": [
                _fields(call, p)
                | {"Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in p.tags.items()]}}
                for p in some
            ]
        },
    }
    return answer | ({"Marker": marker} if marker else {})


@operation("ram:DeletePolicy")
def _delete(call: Call) -> object:
    policy = _custom(call)
    key = ("Custom", policy.id)
    holders = [role for role in call.store.all(Role) if key in role.policies]
    if holders and not call.get("CascadingDelete", False):
        raise Failure(409, "DeleteConflict.Role.Policy", "The policy is attached to a role.")
    if len(policy.versions) > 1 and not call.get("CascadingDelete", False):
        raise Failure(409, "DeleteConflict.Policy.Version", "The policy has other versions.")
    for role in holders:
        del role.policies[key]
    call.store.remove(policy)
    return {}


@operation("ram:CreatePolicyVersion")
def _create_version(call: Call) -> object:
    policy, text = _custom(call), document(call["PolicyDocument"])
    if len(policy.versions) >= _VERSIONS:
        if call.get("RotateStrategy") != "DeleteOldestNonDefaultVersionWhenLimitExceeded":
            raise Failure(409, "LimitExceeded.Policy.Version", "The policy has 5 versions.")
        del policy.versions[next(v for v in policy.versions if v != policy.default)]
    name = f"v{1 + max(int(v[1:]) for v in policy.versions)}"
    policy.versions[name] = (text, time.time())
    if call.get("SetAsDefault", False):
        policy.default = name
    return {"PolicyVersion": _version(policy, name)}


def _known_version(call: Call, policy: Policy) -> str:
    name = str(call["VersionId"])
    if name not in policy.versions:
        raise Failure(404, "EntityNotExist.Policy.Version", f"The version not exists : {name}")
    return name


@operation("ram:GetPolicyVersion")
def _get_version(call: Call) -> object:
    policy = _custom(call)
    return {"PolicyVersion": _version(policy, _known_version(call, policy))}


@operation("ram:ListPolicyVersions")
def _list_versions(call: Call) -> object:
    policy = _custom(call)
    return {"PolicyVersions": {"PolicyVersion": [_version(policy, v) for v in policy.versions]}}


@operation("ram:DeletePolicyVersion")
def _delete_version(call: Call) -> object:
    policy = _custom(call)
    name = _known_version(call, policy)
    if name == policy.default:
        raise Failure(409, "DeleteConflict.Policy.Version.Default", "It is the default version.")
    del policy.versions[name]
    return {}

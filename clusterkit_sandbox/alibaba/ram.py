"""RAM 2015-05-01 and STS 2015-04-01: roles, policies, and the caller's identity.

``EntityNotExist.*`` and ``DeleteConflict.Role.Policy`` as terraform-provider-alicloud handles them
(resource_alicloud_ram_role.go, _ram_role_policy_attachment.go); ``EntityAlreadyExists.Role`` with
409, ``MalformedPolicyDocument`` and the lengths are on the vendor's page of CreateRole,
``EntityAlreadyExists.Role.Policy`` is what the vendor's own tests of AttachPolicyToRole expect.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Role
from clusterkit_sandbox.alibaba.policies import document, policy_fields, require_policy
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    given_tags,
    has_tags,
    iso,
    operation,
    uid_of,
)
from clusterkit_sandbox.alibaba.signature import random_key
from clusterkit_sandbox.alibaba.store import ACCOUNT, Store
from clusterkit_sandbox.kit.wire import parsed

_NAME = re.compile(r"[A-Za-z0-9.@-]+")
_LENGTHS = {"RoleName": 64, "Description": 1024, "AssumeRolePolicyDocument": 2048}
"""Vendor: CreateRole, and RAM "Limits" for the document."""
_SESSIONS = (3600, 43200)
"""Seconds that MaxSessionDuration may be (vendor: CreateRole)."""


def trust(*services: str) -> str:
    """A trust policy for the vendor's services."""
    statement = {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"Service": [f"{service}.aliyuncs.com" for service in services]},
    }
    return json.dumps({"Statement": [statement], "Version": "1"})


def new_role(store: Store, name: str, trusted: str, owner: str = "") -> Role:
    """Make a role."""
    role = Role(
        id=name,
        region="",
        name=name,
        owner=owner,
        number=store.new_number(),
        document=trusted,
        session=_SESSIONS[0],
    )
    return store.add(role)


def role_arn(name: str) -> str:
    """In lower case, whatever the role's name (vendor: "RAM role ARN")."""
    return f"acs:ram::{ACCOUNT}:role/{name.lower()}"


def _fields(role: Role, *, full: bool = True) -> Json:
    found: Json = {
        "RoleName": role.id,
        "RoleId": role.number,
        "Arn": role_arn(role.id),
        "Description": role.description,
        "CreateDate": iso(role.created),
        "MaxSessionDuration": role.session,
    }
    if full:
        found["AssumeRolePolicyDocument"] = role.document
    return found


def _require(call: Call) -> Role:
    name = call["RoleName"]
    role = call.store.get(Role, name)
    if role is None:
        raise Failure(404, "EntityNotExist.Role", f"The role not exists : {name}")
    return role


def _session(call: Call, field: str, default: int) -> int:
    seconds = int(call.get(field, default))
    if not _SESSIONS[0] <= seconds <= _SESSIONS[1]:
        raise bad("InvalidParameter", f"The specified {field} is not valid.")
    return seconds


def _trusted(text: str) -> str:
    """A valid trust policy: every statement has a principal."""
    for statement in parsed(document(text))["Statement"]:
        principal = statement.get("Principal")
        names = list(principal.values()) if isinstance(principal, dict) else []
        if not names or not all(isinstance(name, str | list) and name for name in names):
            raise bad("MalformedPolicyDocument", "Every statement needs a Principal.")
    return text


def _may_assume(role: Role, arn: str) -> bool:
    """Whether the role trusts this caller, or everybody in its account."""
    for statement in parsed(role.document)["Statement"]:
        trusted = statement["Principal"].get("RAM", [])
        names = [trusted] if isinstance(trusted, str) else trusted
        known = any(name in (f"acs:ram::{ACCOUNT}:root", arn) for name in names)
        if known and statement["Effect"] == "Allow":
            return True
    return False


@operation("ram:CreateRole")
def _create_role(call: Call) -> object:
    name = call["RoleName"]
    if not _NAME.fullmatch(name):
        raise bad("InvalidParameter.RoleName.InvalidChars", f"The role name {name!r} is not valid.")
    trusted, tags = _trusted(call["AssumeRolePolicyDocument"]), given_tags(call)
    for field, most in _LENGTHS.items():
        if len(str(call.get(field, ""))) > most:
            raise bad(
                f"InvalidParameter.{field}.Length",
                f'The parameter - "{field}" beyond the length limit.',
            )
    # names differ by more than their case, for ARNs have none
    if any(role.id.lower() == name.lower() for role in call.store.all(Role)):
        raise Failure(409, "EntityAlreadyExists.Role", f"The role already exists : {name}")
    own = [role for role in call.store.all(Role) if not role.owner]
    if len(own) >= call.store.conditions.quotas["role"]:
        raise Failure(409, "LimitExceeded.Role", "The count of roles beyond the current limits.")
    role = new_role(call.store, name, trusted)
    role.description, role.tags = call.get("Description", ""), tags
    role.session = _session(call, "MaxSessionDuration", role.session)
    return {"Role": _fields(role)}


@operation("ram:GetRole")
def _get_role(call: Call) -> object:
    return {"Role": _fields(_require(call))}


@operation("ram:UpdateRole")
def _update_role(call: Call) -> object:
    role = _require(call)
    if call.get("NewAssumeRolePolicyDocument") is not None:
        role.document = _trusted(call["NewAssumeRolePolicyDocument"])
    role.description = call.get("NewDescription", role.description)
    role.session = _session(call, "NewMaxSessionDuration", role.session)
    return {"Role": _fields(role)}


@operation("ram:ListRoles")
def _list_roles(call: Call) -> object:
    found = [role for role in call.store.all(Role) if has_tags(role, call)]
    marker, roles = call.slice(found, default=100, most=1000, token="Marker", size="MaxItems")
    answer: Json = {
        "IsTruncated": bool(marker),
        "Roles": {
            "Role": [
                _fields(role, full=False)
                | {"Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in role.tags.items()]}}
                for role in roles
            ]
        },
    }
    return answer | ({"Marker": marker} if marker else {})


@operation("ram:DeleteRole")
def _delete_role(call: Call) -> object:
    role = _require(call)
    if role.policies:
        raise Failure(
            409, "DeleteConflict.Role.Policy", f"The role can't be deleted: {role.id} has policies."
        )
    call.store.remove(role)
    return {}


@operation("ram:AttachPolicyToRole")
def _attach(call: Call) -> object:
    role = _require(call)
    key = (call["PolicyType"], call["PolicyName"])
    require_policy(call.store, *key)
    if key in role.policies:
        raise Failure(
            409, "EntityAlreadyExists.Role.Policy", "The policy is already attached to the role."
        )
    role.policies[key] = time.time()
    return {}


@operation("ram:DetachPolicyFromRole")
def _detach(call: Call) -> object:
    role = _require(call)
    key = (call["PolicyType"], call["PolicyName"])
    if key not in role.policies:
        raise Failure(404, "EntityNotExist.Role.Policy", "The policy is not attached to the role.")
    del role.policies[key]
    return {}


@operation("ram:ListPoliciesForRole")
def _policies_of_role(call: Call) -> object:
    role = _require(call)
    found = [
        policy_fields(call.store, kind, name) | {"AttachDate": iso(at)}
        for (kind, name), at in role.policies.items()
    ]
    return {"Policies": {"Policy": found}}


@operation("ram:ListEntitiesForPolicy")
def _roles_of_policy(call: Call) -> object:
    key = (call["PolicyType"], call["PolicyName"])
    require_policy(call.store, *key)
    found = [
        {
            "RoleName": role.id,
            "RoleId": role.number,
            "Arn": role_arn(role.id),
            "Description": role.description,
            "AttachDate": iso(role.policies[key]),
        }
        for role in call.store.all(Role)
        if key in role.policies
    ]
    return {"Groups": {"Group": []}, "Users": {"User": []}, "Roles": {"Role": found}}


@operation("sts:GetCallerIdentity")
def _caller(call: Call) -> object:
    arn = call.key.arn
    assumed = ":assumed-role/" in arn
    number = uid_of(call)
    return {
        "AccountId": ACCOUNT,
        "Arn": arn,
        "IdentityType": "AssumedRoleUser" if assumed else "RAMUser",
        "PrincipalId": f"{number}:{arn.rpartition('/')[2]}" if assumed else number,
        **({"RoleId": number} if assumed else {"UserId": number}),
    }


@operation("sts:AssumeRole")
def _assume(call: Call) -> object:
    arn, session = call["RoleArn"], call["RoleSessionName"]
    role = next((r for r in call.store.all(Role) if role_arn(r.id) == arn), None)
    if role is None:
        raise Failure(404, "EntityNotExist.Role", f"The specified Role not exists : {arn}")
    if not _may_assume(role, call.key.arn):
        raise Failure(403, "NoPermission", "You are not authorized to do this action.")
    seconds = int(call.get("DurationSeconds", 3600))
    if not 900 <= seconds <= role.session:
        raise bad("InvalidParameter.DurationSeconds", "The DurationSeconds is not valid.")
    identity = f"acs:ram::{ACCOUNT}:assumed-role/{role.id.lower()}/{session}"
    key = replace(random_key("STS.", identity, seconds), role=role.id)
    call.store.signatures.add(key)
    return {
        "AssumedRoleUser": {"Arn": identity, "AssumedRoleId": f"{role.number}:{session}"},
        "Credentials": {
            "AccessKeyId": key.id,
            "AccessKeySecret": key.secret,
            "SecurityToken": key.token,
            "Expiration": iso(key.expires or 0),
        },
    }

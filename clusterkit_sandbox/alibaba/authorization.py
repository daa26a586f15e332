"""Which RAM actions a call needs, and how each service denies one.

An action has its operation's name. The vendor's table of Container Service's actions ("RAM
authorization", 2015-12-15) has one exception, DescribeClustersV1. Those of Container Registry's
Personal Edition are called as in the Enterprise Edition; that is unverified.

- Container Service: ``StatusForbidden`` with ``RAM policy Forbidden for action cs:...``
  (vendor: ACK, "FAQ about authorization");
- RAM: ``NoPermission``, with resource and action in the text (public logs);
- every other: ``Forbidden.RAM``, which names no action (public logs of ECS and VPC).

GetCallerIdentity needs none. The session of a role may do what the policies of the role say at that
moment, and nothing that one of them denies (vendor: RAM, "Policy evaluation process"). Resources
and conditions are not evaluated. The sandbox does not have the text of system policies, it takes
them by their names: ``AdministratorAccess``, ``AliyunVPCFullAccess``, ``AliyunVPCReadOnlyAccess``.
"""

from __future__ import annotations

import re

from clusterkit_sandbox.alibaba.failure import Failure
from clusterkit_sandbox.alibaba.models import Policy, Role
from clusterkit_sandbox.alibaba.signature import AccessKey
from clusterkit_sandbox.alibaba.store import ACCOUNT, Store
from clusterkit_sandbox.kit.wire import parsed
from clusterkit_sandbox.permissions import Permissions

_FREE = ("sts:GetCallerIdentity",)
_OTHERS = {
    "cs:DescribeClustersV1": ("cs:DescribeClustersV1", "cs:GetClusters"),
    "personalcr:CreateRepo": ("cr:CreateRepository",),
    "personalcr:DeleteRepo": ("cr:DeleteRepository",),
    "personalcr:GetNamespaceList": ("cr:ListNamespace",),
    "personalcr:GetRepo": ("cr:GetRepository",),
    "personalcr:GetRepoList": ("cr:ListRepository",),
    "personalcr:UpdateRepo": ("cr:UpdateRepository",),
}
_SAME = {"personalcr": "cr"}


def needed(operation: str) -> tuple[str, ...]:
    """The actions that a call of ``vpc:CreateVpc`` needs."""
    if operation in _FREE:
        return ()
    product, _, name = operation.partition(":")
    return _OTHERS.get(operation) or (f"{_SAME.get(product, product)}:{name}",)


def _system(name: str) -> list[str]:
    """The actions of a system policy, as far as its name tells them."""
    if name == "AdministratorAccess":
        return ["*"]
    found = re.fullmatch(r"Aliyun([A-Za-z]+?)(FullAccess|ReadOnlyAccess)", name)
    if found is None:
        return []
    service = found[1].lower()
    service = {"container": "cs", "containerregistry": "cr"}.get(service, service)
    verbs = ("*",) if found[2] == "FullAccess" else ("Check*", "Describe*", "Get*", "List*")
    return [f"{service}:{verb}" for verb in verbs]


def _of_role(store: Store, name: str) -> tuple[Permissions, Permissions]:
    """What the role is allowed and what it is denied."""
    found: dict[str, list[str]] = {"Allow": [], "Deny": []}
    role = store.get(Role, name)
    for kind, policy in role.policies if role is not None else ():
        custom = store.get(Policy, policy) if kind == "Custom" else None
        if custom is None:
            found["Allow"] += _system(policy)
            continue
        for statement in parsed(custom.versions[custom.default][0])["Statement"]:
            actions = statement["Action"]
            found[statement["Effect"]] += [actions] if isinstance(actions, str) else actions
    return Permissions(found["Allow"]), Permissions(found["Deny"])


def allows(store: Store, role: str, action: str) -> bool:
    """Whether the policies of this role let it do this."""
    allowed, denied = _of_role(store, role)
    return not allowed.missing([action]) and bool(denied.missing([action]))


def _refused(store: Store, key: AccessKey, actions: tuple[str, ...]) -> str | None:
    """The first of these actions that the key's user or role may not do."""
    if not key.role:
        return key.permissions.missing(actions) if key.permissions else None
    return next((one for one in actions if not allows(store, key.role, one)), None)


def check(operation: str, key: AccessKey, store: Store) -> None:
    """Raise the service's refusal if the key's user or role may not do this."""
    with store.lock:
        action = _refused(store, key, needed(operation))
    if action is not None:
        raise denial(operation, action)


def denial(operation: str, action: str) -> Failure:
    """The service's refusal of an operation for want of this action."""
    product = operation.partition(":")[0]
    if product == "cs":
        return Failure(403, "StatusForbidden", f"RAM policy Forbidden for action {action}")
    if product == "ram":
        where = f"Resource: acs:ram:*:{ACCOUNT}:* Action: {action}"
        return Failure(403, "NoPermission", f"You are not authorized to do this action. {where}")
    return Failure(
        403,
        "Forbidden.RAM",
        "User not authorized to operate on the specified resource, or this API doesn't support"
        " RAM.",
    )

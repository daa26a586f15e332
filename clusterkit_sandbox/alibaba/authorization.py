"""Which RAM actions a call needs, and how each service denies one.

An action has its operation's name. The vendor's table of Container Service's actions ("RAM
authorization", 2015-12-15) has one exception, DescribeClustersV1. Those of Container Registry's
Personal Edition are called as in the Enterprise Edition; that is unverified.

- Container Service: ``StatusForbidden`` with ``RAM policy Forbidden for action cs:...``
  (vendor: ACK, "FAQ about authorization");
- RAM: ``NoPermission``, with resource and action in the text (public logs);
- every other: ``Forbidden.RAM``, which names no action (public logs of ECS and VPC).

GetCallerIdentity needs none.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.failure import Failure
from clusterkit_sandbox.alibaba.signature import AccessKey
from clusterkit_sandbox.alibaba.store import ACCOUNT

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


def check(operation: str, key: AccessKey) -> None:
    """Raise the service's refusal if the key's user may not do this."""
    action = key.permissions.missing(needed(operation)) if key.permissions else None
    if action is None:
        return
    product = operation.partition(":")[0]
    if product == "cs":
        raise Failure(403, "StatusForbidden", f"RAM policy Forbidden for action {action}")
    if product == "ram":
        where = f"Resource: acs:ram:*:{ACCOUNT}:* Action: {action}"
        raise Failure(403, "NoPermission", f"You are not authorized to do this action. {where}")
    raise Failure(
        403,
        "Forbidden.RAM",
        "User not authorized to operate on the specified resource, or this API doesn't support"
        " RAM.",
    )

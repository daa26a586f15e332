"""Updates of a cluster, a node group or an add-on: EKS runs them on its own, and they may fail.

What failed looks as if nothing had been asked: the thing is ACTIVE and still differs. So before the
same thing is updated again in a process, its last update is asked how it ended (EKS API,
``DescribeUpdate``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import Gone, call
from clusterkit.engine.resource import Ctx
from clusterkit.errors import Rejected


def update(cx: Ctx[Clients], key: str, function: Callable[..., Any], **parameters: Any) -> None:
    """Begin an update of the resource ``key``; ``Rejected`` with EKS's reason if its last one
    failed.
    """
    begun = cx.clients.updates.pop(key, None)
    if begun is not None:
        _check(cx, begun)
    shown = call(function, **parameters)["update"]
    where: dict[str, str] = {
        name: parameters[name] for name in ("nodegroupName", "addonName") if name in parameters
    }
    cx.clients.updates[key] = {"updateId": shown["id"], **where}


def _check(cx: Ctx[Clients], begun: dict[str, str]) -> None:
    try:
        found: Any = call(cx.clients.eks.describe_update, name=cx.cluster, **begun)["update"]
    except Gone:
        return
    if found["status"] in ("Failed", "Cancelled"):
        told = "; ".join(
            f"{error.get('errorCode')}: {error.get('errorMessage')}" for error in found["errors"]
        )
        what = f"EKS could not carry out {found['type']}: {told or found['status']}"
        raise Rejected(what, code=found["status"], hint="cure that, then run the command again")

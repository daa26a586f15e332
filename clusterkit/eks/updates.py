"""Updates of a cluster, a node group or an add-on: EKS runs them by itself, and they may fail.

A failed one leaves the thing ACTIVE and as it was (EKS API, ``DescribeUpdate``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import ERRORS
from clusterkit.engine.operation import Done, Failed, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import Rejected

CURE = "fix that, then run the command again"


@dataclass(frozen=True)
class EksUpdate:
    """An update in progress."""

    id: str
    of: Mapping[str, str]
    """``nodegroupName`` or ``addonName``; empty for the cluster's"""

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is."""
        asked: dict[str, Any] = {"name": scope.cluster, "updateId": self.id, **self.of}
        shown = scope.client.eks.describe_update(**asked)["update"]
        match shown["status"]:
            case "Successful":
                return Done()
            case "Failed" | "Cancelled" as status:
                errors = shown.get("errors") or ()
                told = "; ".join(f"{e.get('errorCode')}: {e.get('errorMessage')}" for e in errors)
                what = f"EKS could not carry out {shown['type']}: {told or status}"
                return Failed(Rejected(what, code=status, hint=ERRORS.cure(told) or CURE))
            case status:
                return Running(f"{shown['type']}: {status}")


def update(answer: Any, **of: str) -> EksUpdate:
    """What an Update* call began."""
    return EksUpdate(answer["update"]["id"], of)

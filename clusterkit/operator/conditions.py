"""What the conditions of a CloudCluster, and its status, say of errors and plans."""

from __future__ import annotations

from typing import Any

from clusterkit.engine.plan import Plan
from clusterkit.engine.words import brief, counts
from clusterkit.errors import (
    CloudError,
    ClusterkitError,
    CredentialsError,
    PreflightError,
    ProfileError,
)
from clusterkit.kube.conditions import LONGEST, Condition

MOST = 20
"""steps of a plan that the status lists"""
PAUSED = Condition("Paused", True, "Paused", "nothing is changed while it is paused")
CREATING = Condition("Ready", False, "Creating", "the cluster is not there yet")
COMING = ("create", "wait", "replace")
"""steps during which that is so"""
LET_GO = "spec.deletionPolicy: Orphan lets the object go and leaves the cluster as it is"
OF_THE_CLOUD = "correct the Secret of spec.credentials; without one they are the operator's own"
"""what to do about credentials that a cloud refuses: the command line's hints are about a login"""
GOING = {"up": "Reconciling", "destroy": "Destroying"}
"""the reason while a run is under way"""
NO_TROUBLE = ("Reconciling", "Paused", "Unconfirmed", "Destroying")
"""reasons of which an Event is no warning"""


def reason(error: BaseException) -> str:
    """The error's class, which is a word that a program can go by."""
    return type(error).__name__ if isinstance(error, ClusterkitError) else "InternalError"


def told(error: BaseException) -> str:
    """The words of the command line, with what to do next."""
    if isinstance(error, ProfileError | PreflightError):
        return "; ".join(
            f"{each} ({each.hint})" if each.hint else str(each) for each in error.findings
        )
    if not isinstance(error, ClusterkitError):
        return f"this is a bug in clusterkit ({type(error).__name__}); the operator's log has it"
    origin = f" ({error.origin})" if isinstance(error, CloudError) and error.origin else ""
    hint = OF_THE_CLOUD if type(error) is CredentialsError and not _ours(error) else error.hint
    return brief(f"{error}{origin}" + (f"; {hint}" if hint else ""), LONGEST)


def _ours(error: CredentialsError) -> bool:
    """Whether the operator refuses the credentials, and not the cloud they were shown to."""
    return error.where.startswith(("Secret ", "namespace "))


def summary(plan: Plan) -> dict[str, Any]:
    """What it would do, for the status."""
    steps = [f"{step.op} {step.key}" for step in plan.todo]
    more = [f"and {len(steps) - MOST} more"] if len(steps) > MOST else []
    words = counts((step.key, step.op) for step in plan.todo) or "nothing to do"
    return {"summary": words, "steps": steps[:MOST] + more}

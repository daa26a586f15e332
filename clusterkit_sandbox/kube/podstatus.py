"""The word ``kubectl get pods`` shows for a pod's state (``pkg/printers/internalversion``,
``printPod``).
"""

from __future__ import annotations

from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.selectors import dig


def pod_status(found: Object) -> str:
    """``Running``, ``Completed``, ``ContainerCreating``, ``Terminating``, ..."""
    if found["metadata"].get("deletionTimestamp"):
        return "Terminating"
    reason = dig(found, "status.reason") or dig(found, "status.phase") or "Unknown"
    for status in dig(found, "status.containerStatuses") or ():
        state = status.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended.get("reason"):
            reason = ended["reason"]
        elif ended:
            reason = f"ExitCode:{ended.get('exitCode', 0)}"
    return str(reason)


def pod_restarts(found: Object) -> int:
    """How often the containers were started anew."""
    return sum(
        int(status.get("restartCount", 0))
        for status in dig(found, "status.containerStatuses") or ()
    )

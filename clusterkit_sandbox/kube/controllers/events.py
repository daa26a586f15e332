"""Events: what happened to an object, as ``kubectl describe`` shows it (API reference, ``Event``).

The same event again only counts up. The oldest go when there are more than a busy cluster would
keep for the hour that events live.
"""

from __future__ import annotations

from time import time_ns

from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.writes import Writer

EVENTS: GroupPlural = ("", "events")
_KEPT = 1000


class Recorder:
    """Writes events of one cluster."""

    def __init__(self, state: ClusterState, writer: Writer) -> None:
        self._state = state
        self._writer = writer
        self._known: dict[tuple[str, str, str], Object] = {}

    def normal(self, found: Object, reason: str, message: str, component: str) -> None:
        """Record a Normal event."""
        self._record(found, "Normal", reason, message, component)

    def warning(self, found: Object, reason: str, message: str, component: str) -> None:
        """Record a Warning event."""
        self._record(found, "Warning", reason, message, component)

    def _record(self, found: Object, kind: str, reason: str, message: str, component: str) -> None:
        metadata = found["metadata"]
        mark = (metadata["uid"], reason, message)
        time = now()
        if mark in self._known:

            def again(event: Object) -> None:
                event["count"] = event.get("count", 1) + 1
                event["lastTimestamp"] = time

            if self._writer.edit(EVENTS, self._known[mark], again, component):
                return
            del self._known[mark]
        namespace = metadata.get("namespace", "default")
        space = self._state.get(("", "namespaces"), "", namespace)
        if space is None or space["metadata"].get("deletionTimestamp"):
            return
        involved = {
            "kind": found["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": found["apiVersion"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if "namespace" in metadata:
            involved["namespace"] = metadata["namespace"]
        name = (
            f"{metadata['name'][:200]}.{time_ns():x}"  # in order of time, as client-go names them
        )
        event = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "type": kind,
        }
        self._known[mark] = self._writer.make(EVENTS, namespace, event, component)
        if len(self._known) > _KEPT:
            oldest = next(iter(self._known))
            current = self._state.current(EVENTS, self._known.pop(oldest))
            if current:
                self._state.store.remove(EVENTS, current)

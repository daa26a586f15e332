"""APIServices: one for each group and version that the server itself serves (kube-aggregator
``pkg/controllers/autoregister``).
"""

from __future__ import annotations

from collections.abc import Iterable

from clusterkit_sandbox.kube.conditions import condition
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.state import CRDS
from clusterkit_sandbox.kube.store import Change

_SERVICES: GroupPlural = ("apiregistration.k8s.io", "apiservices")
_CORE, _USUAL = (18000, 1), (1000, 100)
"""priorities of the core group, and of all others those of custom groups"""


class ApiServiceController:
    """Keeps them as the catalogue is."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sync()

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Custom kinds."""
        if change.key == CRDS:
            yield CRDS, "", change.object["metadata"]["name"]

    def reconcile(self, ref: Ref) -> float | None:
        """Add and remove."""
        self._sync()
        return None

    def _sync(self) -> None:
        state = self._runtime.state
        wanted = {
            f"{version}.{group}": (group, version)
            for group, versions in state.catalogue.groups().items()
            for version in versions
            if group != _SERVICES[0]
        }
        there = {found["metadata"]["name"]: found for found in state.store.list(_SERVICES)}
        for name in wanted.keys() - there.keys():
            self._make(name, *wanted[name])
        for name in there.keys() - wanted.keys():
            if not there[name]["spec"].get("service"):
                state.store.remove(_SERVICES, there[name])

    def _make(self, name: str, group: str, version: str) -> None:
        state = self._runtime.state
        spec: Object = {"group": group} if group else {}
        spec["groupPriorityMinimum"], spec["versionPriority"] = _USUAL if group else _CORE
        message = "Local APIServices are always available"
        told = condition({}, "Available", True, "Local", message)
        labels = {"kube-aggregator.kubernetes.io/automanaged": "true" if group else "onstart"}
        state.born(
            state.catalogue.current(_SERVICES),
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {**spec, "version": version},
                "status": {"conditions": [told]},
            },
        )

"""The CSIDriver objects of the storage drivers that work (Kubernetes CSI documentation, "CSIDriver
Object": whoever deploys a driver makes one).

Drivers come and go in the cloud, as add-ons; they are looked up when somebody asks for them.
"""

from __future__ import annotations

from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.kinds import GroupPlural

DRIVERS: GroupPlural = ("storage.k8s.io", "csidrivers")


class Drivers:
    """Those of one cluster."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._made: set[str] = set()

    async def look(self) -> None:
        """Have an object for each driver that works, and none of ours for one that does not."""
        runtime = self._runtime
        try:
            named = await runtime.ask(runtime.hooks.provisioners)
        except RuntimeError:  # the cloud does not tell
            return
        # one of Kubernetes' own (kubernetes.io/…) has no such object
        working = {name for name in named if "/" not in name}
        state = runtime.state
        for name in sorted(working - self._made):
            if state.get(DRIVERS, "", name) is None:
                body = {"metadata": {"name": name}, "spec": {}}
                runtime.writer.make(DRIVERS, "", body, name)
            self._made.add(name)
        for name in sorted(self._made - working):
            found = state.get(DRIVERS, "", name)
            if found is not None:
                runtime.writer.drop(DRIVERS, found)
            self._made.discard(name)

"""Jobs: pods that run to completion (Kubernetes documentation, "Jobs")."""

from __future__ import annotations

from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.controllers.scheduler import PODS, ended
from clusterkit_sandbox.kube.controllers.workloads import Owning, running
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.selectors import dig

JOBS: GroupPlural = ("batch", "jobs")
_MANAGER = "kube-controller-manager"


class JobController(Owning):
    """Runs as many pods as a Job asks for; removes it when its time to live is over."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, JOBS, PODS)

    def sync(self, found: Object) -> float | None:
        """Make the pods that are missing, count the ones that are done."""
        spec, metadata = found["spec"], found["metadata"]
        if dig(found, "status.completionTime"):
            return self._expire(found)
        pods = self.owned(found)
        succeeded = sum(dig(pod, "status.phase") == "Succeeded" for pod in pods)
        active = [pod for pod in pods if not ended(pod)]
        parallel = spec.get("parallelism", 1)
        # without completions one success is enough
        wanted = spec.get("completions") or (1 if succeeded else parallel)
        if spec.get("suspend"):
            for pod in active:
                self.drop(PODS, pod)
            active = []
        else:
            missing = min(parallel, wanted - succeeded) - len(active)
            for _ in range(missing):
                active.append(self.pod(found, {}, generateName=f"{metadata['name']}-"))
        time = now()
        done = succeeded >= wanted and not active
        more: Object = {}
        if done:
            conditions = [
                {
                    "type": kind,
                    "status": "True",
                    "reason": "CompletionsReached",
                    "message": "Reached expected number of succeeded pods",
                    "lastProbeTime": time,
                    "lastTransitionTime": time,
                }
                for kind in ("SuccessCriteriaMet", "Complete")
            ]
            more = {"completionTime": time, "conditions": conditions}
        self.runtime.writer.set_status(
            JOBS,
            found,
            _MANAGER,
            startTime=dig(found, "status.startTime") or time,
            active=len(active) or None,
            ready=sum(running(pod) for pod in active),
            succeeded=succeeded or None,
            terminating=0,
            uncountedTerminatedPods={},
            **more,
        )
        if done:
            self.runtime.events.normal(found, "Completed", "Job completed", "job-controller")
        return None

    def _expire(self, found: Object) -> float | None:
        seconds = found["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return None
        mark = ("expire", found["metadata"]["uid"])
        left = self.runtime.left_of(mark, self.runtime.pace.scaled(seconds))
        if not left:
            self.drop(JOBS, found)
        return left or None

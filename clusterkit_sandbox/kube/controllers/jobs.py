"""Jobs: pods that run to completion (Kubernetes documentation, "Jobs").

The seconds that a Job's owner sets, its deadline and its time to live, are real ones at any pace:
the owner, too, waits in real time for what the Job does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from clusterkit_sandbox.kube.conditions import condition, current, holds
from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.controllers.scheduler import ended
from clusterkit_sandbox.kube.controllers.workloads import Owning, running
from clusterkit_sandbox.kube.kinds import PODS, GroupPlural, Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.selectors import dig

JOBS: GroupPlural = ("batch", "jobs")
_BACK_OFF, _LONGEST_BACK_OFF = 10, 360


class JobController(Owning):
    """Runs as many pods as a Job asks for; removes it when its time to live is over."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, JOBS, PODS)
        self._waited: set[tuple[str, str, int]] = set()

    def sync(self, found: Object) -> float | None:
        """Make the pods that are missing, count the ones that are done."""
        spec, metadata = found["spec"], found["metadata"]
        if finished(found):
            return self._expire(found)
        pods = self.owned(found)
        failed = sum(dig(pod, "status.phase") == "Failed" for pod in pods)
        succeeded = sum(dig(pod, "status.phase") == "Succeeded" for pod in pods)
        active = [pod for pod in pods if not ended(pod)]
        parallel = spec.get("parallelism", 1)
        # without completions one success is enough
        wanted = spec.get("completions") or (1 if succeeded else parallel)
        wait = 0.0
        if spec.get("suspend"):
            for pod in active:
                self.runtime.writer.drop(PODS, pod)
            active = []
        else:
            over = self._over(found, failed)
            if over:
                self._fail(found, active, failed, succeeded, *over)
                return None
            missing = min(parallel, wanted - succeeded) - len(active)
            wait = self._back_off(found, failed) if missing > 0 else 0.0
            for _ in range(0 if wait else missing):
                pod = self.pod(found, {}, generateName=f"{metadata['name']}-")
                active.append(pod)
                told = f"Created pod: {pod['metadata']['name']}"
                self.runtime.events.normal(found, "SuccessfulCreate", told, "job-controller")
        done = succeeded >= wanted and not active
        more: Object = {}
        if done:
            reason = "CompletionsReached", "Reached expected number of succeeded pods"
            conditions = _conditions(found, ("SuccessCriteriaMet", "Complete"), *reason)
            more = {"completionTime": now(), "conditions": conditions}
        self.show(
            found,
            startTime=dig(found, "status.startTime") or now(),
            active=len(active) or None,
            ready=sum(running(pod) for pod in active),
            succeeded=succeeded or None,
            failed=failed or None,
            terminating=0,
            uncountedTerminatedPods={},
            **more,
        )
        if done:
            self.runtime.events.normal(found, "Completed", "Job completed", "job-controller")
            return None
        return wait or self._left(found)

    def _left(self, found: Object) -> float | None:
        """Real seconds until the deadline that its owner set; None without, 0 when it is over."""
        seconds = found["spec"].get("activeDeadlineSeconds")
        if seconds is None or found["spec"].get("suspend"):
            return None
        begun = dig(found, "status.startTime")
        return max(0.0, seconds - age(begun)) if begun else float(seconds)

    def _over(self, found: Object, failed: int) -> tuple[str, str] | None:
        """Why a Job has failed: reason and message; None if it has not."""
        if failed > found["spec"].get("backoffLimit", 6):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if self._left(found) == 0:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        return None

    def _back_off(self, found: Object, failed: int) -> float:
        """Seconds until the next pod after one that failed: 10, 20, 40, at most 360 (the same
        page, "Pod backoff failure policy").
        """
        if not failed:
            return 0.0
        wait = min(_BACK_OFF * 2 ** (failed - 1), _LONGEST_BACK_OFF)
        mark = ("back-off", found["metadata"]["uid"], failed)
        if mark in self._waited:
            return 0.0
        left = self.runtime.left_of(mark, self.runtime.pace.scaled(wait))
        if not left:
            self._waited.add(mark)
        return left

    def _fail(
        self,
        found: Object,
        active: list[Object],
        failed: int,
        succeeded: int,
        reason: str,
        message: str,
    ) -> None:
        for pod in active:
            self.runtime.writer.drop(PODS, pod)
        self.show(
            found,
            active=None,
            ready=0,
            succeeded=succeeded or None,
            failed=(failed + len(active)) or None,
            terminating=0,
            uncountedTerminatedPods={},
            conditions=_conditions(found, ("FailureTarget", "Failed"), reason, message),
        )
        self.runtime.events.warning(found, reason, message, "job-controller")

    def _expire(self, found: Object) -> float | None:
        seconds = found["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return None
        left = seconds - age(finished(found))
        if left > 0:
            return float(left)
        self.runtime.writer.drop(JOBS, found)
        return None


def finished(found: Object) -> str:
    """When a Job has come to its end; empty while it has not."""
    done = current(found, "Failed").get("lastTransitionTime") if holds(found, "Failed") else ""
    return str(done or dig(found, "status.completionTime") or "")


def _conditions(found: Object, kinds: Iterable[str], reason: str, message: str) -> list[Object]:
    told = [condition(found, kind, True, reason, message) for kind in kinds]
    return [{**each, "lastProbeTime": each["lastTransitionTime"]} for each in told]


def age(time: str) -> float:
    """Real seconds since a time in an object."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()

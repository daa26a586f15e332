"""One CloudCluster and its cluster: look, tell, and change what differs.

A keeper is a coroutine that looks on every change of the object, at its interval and after a
failure. Whatever it needs to know is in the object and in the cloud, so that it may end at any
point and another replica's goes on. Questions block a thread of the pool for as long as they take;
a run, which waits for minutes, has none here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from asyncio import to_thread as ask
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from clusterkit.cluster import Cluster, Outcome, Plan, target_of
from clusterkit.engine.cache import Survey
from clusterkit.engine.events import Event, RunStarted, StepDone, Warned
from clusterkit.engine.lock import WAITING
from clusterkit.engine.target import Target
from clusterkit.engine.words import line
from clusterkit.errors import Absent, ClusterkitError, Retryable
from clusterkit.kube.api import KubeApi
from clusterkit.kube.overview import overview
from clusterkit.operator import names, published, wanted
from clusterkit.operator.conditions import Condition, merged, reason, summary, told, true
from clusterkit.operator.credentials import Wallet
from clusterkit.operator.metrics import Metrics

_LOG = logging.getLogger(__name__)
FIRST = 5.0
"""seconds after a failure, doubled with each further one up to the interval"""
PROGRESS = 5.0
"""seconds between two notes of how far a run is"""
ENOUGH = 4
"""runs one after the other, until the next waits for its turn: something undoes what they do"""
Body = dict[str, Any]


@dataclass(frozen=True)
class Shared:
    """What the keepers of a process have in common."""

    kube: KubeApi
    """of the management cluster"""
    wallet: Wallet
    metrics: Metrics
    fleet: str
    """identifies the management cluster"""
    interval: float
    """seconds between two looks at a cluster"""
    scale: float
    """``CloudConnection.scale`` of the clouds"""
    survey: Survey
    """what clusters of one account ask alike"""
    post: Callable[[Body, str, str, str], None]
    """posts an Event: of what, its type, reason and message; on the event loop"""


class Keeper:
    """Keeps one cluster as its CloudCluster says."""

    def __init__(self, shared: Shared, body: Body, since: float = 0.0) -> None:
        """``since``: when another replica may have changed the cluster last, by
        ``time.monotonic()``.
        """
        self._shared = shared
        self.body = body
        self._since = since
        """what was asked of the cloud before may be true no longer"""
        self.uid: str = body["metadata"]["uid"]
        self.drifted = False
        self._status: Body = body.get("status") or {}
        self._changed = asyncio.Event()
        self.stop = threading.Event()
        """ends the run in progress"""
        self.running = self._closed = self.gone = False
        self._failures = 0
        self._cluster: tuple[object, Cluster] | None = None
        """the last one, and what it was made of"""
        self._renew_at = 0.0
        """when the kubeconfig has to be written again, by ``time.monotonic()``"""
        self._ran = 0
        """runs since the cluster was as it should be"""

    @property
    def name(self) -> str:
        """The object's."""
        return str(self.body["metadata"]["name"])

    @property
    def _mark(self) -> str:
        return wanted.owner(self._shared.fleet, self.body)

    def _path(self, part: str = "") -> str:
        return names.path(self.body["metadata"]["namespace"], self.name, part)

    def see(self, body: Body) -> None:
        """The object has changed: a run whose plan it may have been no more is stopped."""
        before = self.body
        if body["metadata"]["generation"] < before["metadata"]["generation"]:
            return  # the watch lags behind what was read since
        self.body = body
        if wanted.asked(before) != wanted.asked(body):
            self._changed.set()
            self.stop.set()
        elif wanted.annotation(before, names.AT) != wanted.annotation(body, names.AT):
            self._since = time.monotonic()
            self._changed.set()

    def close(self) -> None:
        """End soon, as after a Ctrl-C."""
        self._closed = True
        self._changed.set()
        self.stop.set()

    async def keep(self) -> None:
        """Work until the object is gone or ``close`` is called."""
        while not self._closed:
            self._changed.clear()
            began = time.monotonic()
            try:
                wait, result = await self._look()
                self._failures = 0
            except Exception as error:
                wait, result = await self._failed(error), reason(error)
            cloud = str(self.body["spec"].get("cloud"))
            self._shared.metrics.took("reconcile", began, cloud=cloud, result=result)
            if wait is None:
                self.gone = True
                return
            await self._renew()
            due = self._renew_at - time.monotonic()
            if due > 0.0:  # what could not be renewed in time is tried with the next look
                wait = min(wait, due)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)

    async def _failed(self, error: Exception) -> float:
        """Tell, and return when to try again."""
        if not isinstance(error, ClusterkitError):
            _LOG.error("%s", self.name, exc_info=error)
        kind = "Deleting" if self._deleting else "Synced"
        with suppress(ClusterkitError):  # the API server may be what failed
            await self._tell(Condition(kind, self._deleting, reason(error), told(error)))
        self._failures += 1
        pause = FIRST * 2.0 ** min(self._failures - 1, 10) * self._shared.scale
        return min(self._shared.interval, max(pause, 0.5))

    async def _renew(self) -> None:
        """Keep the kubeconfig fresh while looks fail, a run lasts or a deletion is unconfirmed.
        Nothing is made: the ServiceAccount in the cluster says whose that is.
        """
        target = wanted.target_in(self._status, self.body["spec"])
        if target and true(self._status, "Ready") and self._due:
            with suppress(ClusterkitError):
                await self._write_kubeconfig(await ask(self._connected, target), make=False)

    # -- one look ---------------------------------------------------------------------------------

    @property
    def _deleting(self) -> bool:
        return bool(self.body["metadata"].get("deletionTimestamp"))

    async def _look(self) -> tuple[float | None, str]:
        """One look and what follows from it: the seconds until the next, None for never, and what
        came of it.
        """
        body = await ask(self._shared.kube.get, self._path())
        if body is None or body["metadata"]["uid"] != self.uid:
            return None, "Gone"
        self.body, self._status = body, body.get("status") or {}
        if self._deleting:
            return await self._delete()
        if names.FINALIZER not in (body["metadata"].get("finalizers") or ()):
            await ask(self._finalizers, add=True)
        if wanted.paused(body):
            await self._tell(_PAUSED)
        elif any(c["type"] == "Paused" for c in self._status.get("conditions") or ()):
            await self._tell(Condition("Paused", False, "NotPaused"))
        return await self._sync()

    async def _sync(self) -> tuple[float, str]:
        observes = wanted.observes(self.body)
        profile = await ask(wanted.profile_of, self.body)
        target = target_of(profile)
        before = wanted.target_in(self._status, self.body["spec"])
        wanted.check_same(before, target)
        cluster = await ask(self._connected, target)
        meant = profile if observes else wanted.owned(profile, self._mark)
        survey = self._shared.survey.since(self._since)
        plan = await ask(cluster.plan, meant, survey=survey)
        wanted.check_owner(plan, target.name, self.body, self._mark, known=before is not None)
        why = "policy: Observe" if observes else "paused"
        observes = observes or wanted.paused(self.body)
        fields: Body = {"plan": summary(plan)}
        what, self.drifted = fields["plan"]["summary"], not plan.empty
        if not observes:
            fields |= {"target": wanted.recorded(target), "account": plan.account}
        if plan.empty or observes:
            found = Condition("Synced", True, "InSync", "the cluster is as the spec says")
            if self.drifted:
                found = Condition("Synced", False, "Drifted", f"{what} ({why})")
            await self._observed(cluster, fields, found)
            return self._shared.interval, found.reason
        ready, seen = await ask(_ready, cluster) if true(self._status, "Ready") else (_CREATING, {})
        found = Condition("Synced", False, "Reconciling", what)
        await self._tell(found, ready, **fields, **seen)
        await self._run(cluster, plan, "Synced")
        self._ran += 1
        # the next look says what came of it
        return (0.0 if self._ran < ENOUGH else self._shared.interval), "Changed"

    async def _observed(
        self, cluster: Cluster, fields: Mapping[str, Any], synced: Condition
    ) -> None:
        """Tell what the cluster itself says, and publish how it is reached."""
        ready, seen = await ask(_ready, cluster)
        if ready.ok and (self._ran or "wouldKeep" not in self._status):
            with suppress(ClusterkitError):  # a protection, say, by which nothing is deleted
                kept = (await ask(cluster.plan_destroy)).kept
                fields = {**fields, "wouldKeep": [f"{k.key}: {k.reason}" for k in kept]}
        self._ran = 0
        await self._tell(ready, **fields, **seen)
        if ready.ok:
            if self._due:
                make = not (wanted.observes(self.body) or wanted.paused(self.body))
                await self._write_kubeconfig(cluster, make=make)
            await ask(published.write_profile, self._shared.kube, self.body, self._status)
        await self._tell(synced)

    @property
    def _due(self) -> bool:
        """Whether the kubeconfig has to be written again."""
        return self._renew_at - time.monotonic() < 1.0

    async def _write_kubeconfig(self, cluster: Cluster, *, make: bool) -> None:
        write, mark = published.write_kubeconfig, self._mark
        with suppress(Absent):
            life = await ask(write, self._shared.kube, self.body, cluster, mark, make=make)
            self._renew_at = time.monotonic() + life
            self._shared.metrics.add("kubeconfigs_written", cloud=cluster.target.cloud)

    async def _run(self, cluster: Cluster, plan: Plan, condition: str) -> Outcome:
        """Carry out the plan; raises what failed. The outcome is ``interrupted`` for a run that was
        stopped, as is one whose plan is older than another run.
        """
        loop, stop, context = asyncio.get_running_loop(), threading.Event(), copy_context()
        waited, done = "", 0

        def emit(event: Event) -> None:
            nonlocal waited, done
            if isinstance(event, Warned) and event.what.startswith(WAITING):
                waited = event.what
            elif isinstance(event, RunStarted) and waited:
                stop.set()  # what the plan saw may be true no longer
            done += isinstance(event, StepDone)
            with suppress(RuntimeError):  # the process ends and its loop is closed
                loop.call_soon_threadsafe(self._post_event, event, context=context)

        action = "destroy" if plan.destroy else "up"
        cloud, began = cluster.target.cloud, time.monotonic()
        self.running, self.stop = True, stop
        if self._closed or self._changed.is_set():
            stop.set()
        try:
            run = asyncio.wrap_future(await ask(cluster.start, plan, emit, stop))
            while not (await asyncio.wait({run}, timeout=PROGRESS))[0]:
                what = waited or f"{action}: {done} of {len(plan.todo)} done"
                going = "Locked" if waited and not done else _GOING[action]
                with suppress(ClusterkitError):  # the API server's trouble is not the run's
                    await self._tell(Condition(condition, plan.destroy, going, what))
                await self._renew()
            outcome = run.result()
        finally:
            stop.set()  # nobody else could end a run that is not watched any more
            self.running = False
            self._renew_at = self._since = time.monotonic()  # it may have another endpoint now
        result = "failed" if outcome.failed else "ok" if outcome.ok else "interrupted"
        self._shared.metrics.took("run", began, cloud=cloud, action=action, result=result)
        if outcome.failed:
            raise next(iter(outcome.failed.values()))
        return outcome

    # -- the end ----------------------------------------------------------------------------------

    async def _delete(self) -> tuple[float | None, str]:
        target = wanted.target_in(self._status, self.body["spec"])
        if names.FINALIZER not in (self.body["metadata"].get("finalizers") or ()):
            return None, "Gone"
        if self.body["spec"].get("deletionPolicy") == "Orphan" or wanted.observes(self.body):
            return await self._release("Orphaned", "the cluster stays in the cloud as it is")
        if target is None and (target := await ask(self._unrecorded)) is None:
            return await self._release("Orphaned", "nothing in the cloud is known to belong to it")
        if wanted.paused(self.body):
            await self._tell(_PAUSED, Condition("Deleting", True, "Paused", _PAUSED.message))
            return self._shared.interval, "Paused"
        if wanted.annotation(self.body, names.CONFIRM) != self.name:
            metadata = self.body["metadata"]
            what = "nothing is destroyed until it is confirmed: kubectl annotate -n "
            what += f"{metadata['namespace']} cloudcluster {self.name} {names.CONFIRM}={self.name}"
            await self._tell(Condition("Deleting", True, "Unconfirmed", what))
            return self._shared.interval, "Unconfirmed"
        cluster = await ask(self._connected, target)
        plan = await ask(cluster.plan_destroy)
        wanted.check_owner(plan, target.name, self.body, self._mark, known=True)
        said = summary(plan)
        going = Condition("Deleting", True, "Destroying", said["summary"])
        gone = Condition("Ready", False, "Deleting", "the cluster is being destroyed")
        await self._tell(going, gone, plan=said)
        outcome = await self._run(cluster, plan, "Deleting")
        if not outcome.ok:
            return 0.0, "Interrupted"
        if plan.blocked:
            raise plan.stuck(target.name)
        kept = "; ".join(f"{each.key}: {each.reason}" for each in plan.kept)
        return await self._release("Destroyed", f"kept: {kept}" if kept else "nothing is left")

    def _unrecorded(self) -> Target | None:
        """The target of a cluster of which the status does not tell, as after a restore from a
        backup; None if there is none that is this object's, or it may not be looked for.
        """
        try:
            target = target_of(wanted.profile_of(self.body))
            plan = self._connected(target).plan_destroy()
            wanted.check_owner(plan, target.name, self.body, self._mark, known=False)
        except Retryable:
            raise
        except ClusterkitError:  # of a region that does not exist, say: it must be possible to go
            return None
        return target if plan.snapshot.states else None

    async def _release(self, word: str, message: str) -> tuple[None, str]:
        self._shared.post(self.body, "Normal", word, message)
        await ask(self._finalizers, add=False)
        return None, word

    # -- the parts --------------------------------------------------------------------------------

    def _connected(self, target: Target) -> Cluster:
        """The cluster, with the connections of the last time if nothing has changed."""
        connection = self._shared.wallet.connection(self.body, target.cloud)
        connection = self._shared.metrics.watched(connection, target.cloud)
        now = (target, target.tags, connection, self._status.get("account"))
        if self._cluster is None or self._cluster[0] != now:
            self._cluster = now, Cluster(target, connection, expect_account=now[-1])
        return self._cluster[1]

    def _finalizers(self, *, add: bool) -> None:
        metadata = self.body["metadata"]
        kept = [each for each in metadata.get("finalizers") or () if each != names.FINALIZER]
        wanted = [*kept, names.FINALIZER] if add else kept
        change = {"finalizers": wanted, "resourceVersion": metadata["resourceVersion"]}
        self.body = self._shared.kube.patch(self._path(), {"metadata": change})

    async def _tell(self, *conditions: Condition, **fields: Any) -> None:
        """Write the status, and post an Event for each condition with a new reason."""
        metadata, old = self.body["metadata"], self._status
        have, generation = old.get("conditions") or [], metadata["generation"]
        new = {**old, **fields, "observedGeneration": generation}
        new["conditions"] = merged(have, conditions, generation)
        if new == old:
            return
        reasons = {each["type"]: each["reason"] for each in have}
        for each in conditions:
            if reasons.get(each.type) != each.reason and each.message and each.type != "Ready":
                fine = each.reason in _WAITING or (each.ok and each.type == "Synced")
                kind = "Normal" if fine else "Warning"
                self._shared.post(self.body, kind, each.reason, each.message)
        self._status = new
        await ask(self._shared.kube.patch, self._path("status"), {"status": self._status})

    def _post_event(self, event: Event) -> None:
        if text := line(event):
            name = type(event).__name__
            kind = "Warning" if name in ("StepFailed", "StepStopped", "Warned") else "Normal"
            self._shared.post(self.body, kind, name, text.strip())


def _ready(cluster: Cluster) -> tuple[Condition, Body]:
    """Whether the Kubernetes API answers, and what it says for the status."""
    try:
        seen = overview(cluster.kube)
        seen["endpoint"] = cluster.access().server
    except ClusterkitError as error:
        return Condition("Ready", False, reason(error), told(error)), {}
    return Condition("Ready", True, "Running", "the Kubernetes API answers"), seen


_PAUSED = Condition("Paused", True, "Paused", "nothing is changed while it is paused")
_CREATING = Condition("Ready", False, "Creating", "the cluster is not there yet")
_GOING = {"up": "Reconciling", "destroy": "Destroying"}
_WAITING = ("Reconciling", "Paused", "Unconfirmed", "Destroying")
"""reasons that are no trouble"""

"""One CloudCluster and its cluster: look, tell, and change what differs.

A reconciler is a coroutine that looks on every change of the object, at its interval and after a
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
from functools import partial
from typing import Any

from clusterkit.cluster import Cluster, Plan, target_of
from clusterkit.engine.events import Event, StepDone, Warned
from clusterkit.engine.lock import WAITING
from clusterkit.engine.target import Target
from clusterkit.engine.words import line
from clusterkit.errors import Absent, ClusterkitError, Gone, Interrupted, Retryable
from clusterkit.kube.conditions import Condition
from clusterkit.kube.record import Record
from clusterkit.operator import names, published, wanted
from clusterkit.operator.conditions import (
    COMING,
    CREATING,
    GOING,
    LET_GO,
    NO_TROUBLE,
    PAUSED,
    reason,
    summary,
    told,
)
from clusterkit.operator.shared import Body, Shared

_LOG = logging.getLogger(__name__)
FIRST = 5.0
"""seconds after a failure, doubled with each further one up to the interval"""
PROGRESS = 5.0
"""seconds between two notes of how far a run is"""
ENOUGH = 4
"""runs one after the other, until the next waits for its turn: something undoes what they do"""


class Reconciler:
    """Keeps one cluster as its CloudCluster says."""

    def __init__(self, shared: Shared, body: Body, since: float = 0.0) -> None:
        """``since``: when another replica may have changed the cluster last, by
        ``time.monotonic()``.
        """
        self._shared = shared
        self.body = body
        self._since = since
        """what was asked of the cloud before may be true no longer"""
        self.drifted = False
        metadata = body["metadata"]
        path = names.path(metadata["namespace"], metadata["name"])
        self._record = Record(shared.kube, path, body)
        self._changed = asyncio.Event()
        self.stop = threading.Event()
        """ends the run in progress"""
        self.running = self._closed = self.gone = False
        self._failures = 0
        self._ready_told = False
        """in this look"""
        self._cluster: tuple[object, Cluster] | None = None
        """the last one, and what it was made of"""
        self._renew_at = 0.0
        """when the kubeconfig has to be written again, by ``time.monotonic()``"""
        self._ran = 0
        """runs that ended well since the cluster was as it should be"""

    @property
    def name(self) -> str:
        """The object's."""
        return str(self.body["metadata"]["name"])

    @property
    def _mark(self) -> str:
        return wanted.owner(self._shared.fleet, self.body)

    def see(self, body: Body) -> None:
        """The object has changed: a run whose plan it may have been no more is stopped."""
        before = self.body
        if body["metadata"]["generation"] < before["metadata"]["generation"]:
            return  # the watch lags behind what was read since
        self.body = body
        lost = wanted.finalized(before) and not wanted.finalized(body)
        if stop := wanted.asked(before) != wanted.asked(body):
            self.stop.set()
        if stop or lost or wanted.annotation(before, names.AT) != wanted.annotation(body, names.AT):
            self._since = time.monotonic()
            self._changed.set()

    def close(self) -> None:
        """End soon, as after a Ctrl-C."""
        self._closed = True
        self._changed.set()
        self.stop.set()

    async def work(self) -> None:
        """Work until the object is gone or ``close`` is called."""
        while not self._closed:
            self._changed.clear()
            self._ready_told = False
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
            if wait:
                await self._keep_kubeconfig()
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
        stuck = self._deleting and not isinstance(error, Retryable)
        what = told(error) + (f"; {LET_GO}" if stuck else "")
        with suppress(ClusterkitError):  # the API server may be what failed
            ready = [] if self._ready_told else [await self._readiness(self._made, error)]
            await self._tell(Condition(kind, self._deleting, reason(error), what), *ready)
            await self._enter()
        self._failures += 1
        pause = FIRST * 2.0 ** min(self._failures - 1, 10) * self._shared.scale
        return min(self._shared.interval, max(pause, 0.5))

    async def _readiness(self, target: Target | None, error: Exception | None = None) -> Condition:
        """Whether the cluster answers, of which a look may have failed with ``error``."""
        try:
            if target is not None:
                return (await ask(published.ready, await ask(self._connected, target)))[0]
        except Exception as refused:  # that keeps it from being asked
            error = error or refused
        assert error is not None
        return Condition("Ready", None, reason(error), told(error))

    # -- one look ---------------------------------------------------------------------------------

    @property
    def _made(self) -> Target | None:
        """What may have been made."""
        return wanted.target_in(self._record.status, self.body["spec"])

    @property
    def _deleting(self) -> bool:
        return bool(self.body["metadata"].get("deletionTimestamp"))

    async def _look(self) -> tuple[float | None, str]:
        """One look and what follows from it: the seconds until the next, None for never, and what
        came of it.
        """
        if (body := await ask(self._record.read)) is None:
            return None, "Gone"
        self.body = body
        if wanted.paused(body):
            await self._tell(PAUSED)
        elif any(c["type"] == "Paused" for c in self._record.status.get("conditions") or ()):
            await self._tell(Condition("Paused", False, "NotPaused"))
        return await (self._delete() if self._deleting else self._sync())

    async def _sync(self) -> tuple[float, str]:
        observes = wanted.observes(self.body)
        profile = await ask(wanted.profile_of, self.body)
        target = target_of(profile)
        wanted.check_same(self._made, target)
        cluster = await ask(self._connected, target)
        make = partial(cluster.plan, profile if observes else wanted.owned(profile, self._mark))
        survey, known = self._shared.survey.since(self._since), self._made is not None
        plan = await ask(self._planned, cluster, partial(make, survey=survey), known=known)
        why = "policy: Observe" if observes else "paused"
        observes = observes or wanted.paused(self.body)
        fields: Body = {"plan": summary(plan)}
        what, self.drifted = fields["plan"]["summary"], not plan.empty
        mine: Body = {"target": wanted.recorded(target), "account": plan.account}
        if not (observes or wanted.finalized(self.body)):
            # from here on something in the cloud may belong to the object
            await ask(self._record.finalizer, names.FINALIZER, add=True)
        if plan.empty or observes:
            found = Condition("Synced", True, "InSync", "the cluster is as the spec says")
            if self.drifted:
                found = Condition("Synced", False, "Drifted", f"{what} ({why})")
            await self._observed(cluster, fields | ({} if observes else mine), found)
            return self._shared.interval, found.reason
        if self._ran >= ENOUGH:
            what += f", after {self._ran} runs: find out, by their Events, what is changed back"
        coming = any(s.key == f"cluster/{target.name}" and s.op in COMING for s in plan.todo)
        ready, seen = (CREATING, {}) if coming else await ask(published.ready, cluster)
        await self._tell(Condition("Synced", False, "Reconciling", what), ready, **fields, **seen)
        make = partial(self._planned, cluster, make, known=known)
        self._ran += await self._run(cluster, plan, make, "Synced", **mine) is not None
        # the next look says what came of it
        return (0.0 if self._ran < ENOUGH else self._shared.interval), "Changed"

    def _planned(self, cluster: Cluster, make: Callable[[], Plan], *, known: bool) -> Plan:
        """What ``make`` plans; ``NotOurs`` if the cluster is another's."""
        plan = make()
        wanted.check_owner(plan, cluster.target.name, self.body, self._mark, known=known)
        return plan

    async def _observed(
        self, cluster: Cluster, fields: Mapping[str, Any], synced: Condition
    ) -> None:
        """Tell what the cluster itself says, and publish how it is reached."""
        ready, seen = await ask(published.ready, cluster)
        if ready.ok and (self._ran or "wouldKeep" not in self._record.status):
            with suppress(ClusterkitError):  # a protection, say, by which nothing is deleted
                kept = (await ask(cluster.plan_destroy)).kept
                fields = {**fields, "wouldKeep": [f"{k.key}: {k.reason}" for k in kept]}
        self._ran, said = 0, [ready]  # it is not said to be in sync with a kubeconfig refused
        if ready.ok and seen["endpoint"] != self._record.status.get("endpoint"):
            self._renew_at = 0.0
        try:
            if ready.ok:
                await self._publish(cluster)
            said = [synced, ready]
        finally:
            await self._tell(*said, **fields, **seen)
        await self._enter()

    async def _enter(self) -> None:
        """Tell the inventory what the status says."""
        await ask(published.write_profile, self._shared.kube, self.body, self._record.status)

    async def _publish(self, cluster: Cluster, *, known: bool = False) -> None:
        """``known``: nothing is made in the cluster."""
        kube, body = self._shared.kube, self.body
        there = await ask(published.kubeconfig, kube, body)
        if there is None or self._renew_at - time.monotonic() < 1.0:
            make = not (known or wanted.observes(body) or wanted.paused(body))
            with suppress(Absent):
                write, mark = published.write_kubeconfig, self._mark
                life = await ask(write, kube, body, cluster, mark, make=make)
                self._renew_at = time.monotonic() + life
                self._shared.metrics.add("kubeconfigs_written", cloud=cluster.target.cloud)

    async def _keep_kubeconfig(self) -> None:
        """Renew it when it is due, also while the spec is refused or the deletion waits."""
        if (target := self._made) is not None and self._renew_at - time.monotonic() < 1.0:
            with suppress(Exception):  # the look has told what is wrong
                await self._publish(await ask(self._connected, target), known=True)

    async def _run(
        self, cluster: Cluster, plan: Plan, make: Callable[[], Plan], condition: str, **mine: Any
    ) -> Plan | None:
        """Carry out what ``make`` plans when nobody else can work on the cluster (``plan`` is old
        by then); raises what failed. That plan, None if the run was stopped. ``mine`` goes first.
        """
        loop, stop, context = asyncio.get_running_loop(), threading.Event(), copy_context()
        body, waited, done = self.body, "", 0
        action = "destroy" if plan.destroy else "up"

        def emit(event: Event) -> None:
            nonlocal waited, done
            if isinstance(event, Warned) and event.what.startswith(WAITING):
                waited = event.what
            done += isinstance(event, StepDone)
            with suppress(RuntimeError):  # the process ends and its loop is closed
                loop.call_soon_threadsafe(self._post_event, event, context=context)

        def again() -> Plan:
            nonlocal plan, waited
            there = self._record.there()
            if there is None or wanted.asked(there) != wanted.asked(body):
                raise Interrupted("the CloudCluster has changed")
            plan, waited = make(), ""
            said = summary(plan)
            going = Condition(condition, plan.destroy, GOING[action], said["summary"])
            self._record.tell([going], {"plan": said, **mine})
            return plan

        cloud, began = cluster.target.cloud, time.monotonic()
        if self._closed or self._changed.is_set():
            return None
        self.running, self.stop = True, stop
        try:
            run = asyncio.wrap_future(await ask(cluster.start, plan, emit, stop, again=again))
            while not (await asyncio.wait({run}, timeout=PROGRESS))[0]:
                what = waited or f"{action}: {done} of {len(plan.todo)} done"
                going = "Locked" if waited else GOING[action]
                with suppress(ClusterkitError):  # the API server's trouble is not the run's
                    try:
                        await self._tell(Condition(condition, plan.destroy, going, what))
                    except Gone:  # and the watch may be broken
                        stop.set()
                    if self._renew_at and not plan.destroy:
                        await self._publish(cluster)
            outcome = run.result()
        finally:
            stop.set()  # nobody else could end a run that is not watched any more
            self.running = False
            self._renew_at = self._since = time.monotonic()  # it may have another endpoint now
        result = "failed" if outcome.failed else "ok" if outcome.ok else "interrupted"
        self._shared.metrics.took("run", began, cloud=cloud, action=action, result=result)
        if outcome.failed:
            raise next(iter(outcome.failed.values()))
        return plan if outcome.ok else None

    # -- the end ----------------------------------------------------------------------------------

    async def _delete(self) -> tuple[float | None, str]:
        target, spec = self._made, self.body["spec"]
        if not wanted.finalized(self.body):
            return None, "Gone"
        if spec.get("deletionPolicy") == "Orphan" or wanted.observes(self.body):
            return await self._release("Orphaned", "the cluster stays in the cloud as it is")
        if target is None and (target := await ask(self._unrecorded)) is None:
            return await self._release("Orphaned", "nothing in the cloud is known to belong to it")
        if waits := wanted.waits(self.body):
            await self._tell(Condition("Deleting", True, *waits), await self._readiness(target))
            await self._enter()
            return self._shared.interval, waits[0]
        cluster = await ask(self._connected, target)
        make = partial(self._planned, cluster, cluster.plan_destroy, known=True)
        plan = await ask(make)
        said = summary(plan)
        going = Condition("Deleting", True, "Destroying", said["summary"])
        gone = Condition("Ready", False, "Deleting", "the cluster is being destroyed")
        await self._tell(going, gone, plan=said)
        done = await self._run(cluster, plan, make, "Deleting")
        if done is None:
            return 0.0, "Interrupted"
        if done.blocked:
            raise done.stuck(target.name)
        kept = "; ".join(f"{each.key}: {each.reason}" for each in done.kept)
        return await self._release("Destroyed", f"kept: {kept}" if kept else "nothing is left")

    def _unrecorded(self) -> Target | None:
        """The target of a cluster of which the status does not tell, as after a restore from a
        backup; None if there is none, or it is another's.
        """
        target = target_of(wanted.profile_of(self.body))
        cluster = self._connected(target)
        plan = cluster.plan_destroy()
        if plan.snapshot.owners(target.name) - {self._mark}:
            return None
        # what nobody's tags tell apart is neither destroyed nor let go
        wanted.check_owner(plan, target.name, self.body, self._mark, known=False)
        return target if plan.snapshot.states or cluster.locked() else None

    async def _release(self, word: str, message: str) -> tuple[None, str]:
        self._shared.post(self.body, "Normal", word, message)
        await ask(self._record.finalizer, names.FINALIZER, add=False)
        return None, word

    # -- the parts --------------------------------------------------------------------------------

    def _connected(self, target: Target) -> Cluster:
        """The cluster, with the connections of the last time if nothing has changed."""
        connection = self._shared.credentials.connection(self.body, target.cloud)
        connection = self._shared.metrics.watched(connection, target.cloud)
        now = (target, target.tags, connection, self._record.status.get("account"))
        if self._cluster is None or self._cluster[0] != now:
            self._cluster = now, Cluster(target, connection, expect_account=now[-1])
        return self._cluster[1]

    async def _tell(self, *conditions: Condition, **fields: Any) -> None:
        """Write the status, and post an Event for each condition with a new reason."""
        self._ready_told |= any(each.type == "Ready" for each in conditions)
        for each in await ask(self._record.tell, conditions, fields):
            if each.message and each.type != "Ready":
                fine = each.reason in NO_TROUBLE or (each.ok and each.type == "Synced")
                kind = "Normal" if fine else "Warning"
                self._shared.post(self.body, kind, each.reason, each.message)

    def _post_event(self, event: Event) -> None:
        if text := line(event):
            name = type(event).__name__
            kind = "Warning" if name in ("StepFailed", "StepStopped", "Warned") else "Normal"
            self._shared.post(self.body, kind, name, text.strip().removeprefix("warning: "))

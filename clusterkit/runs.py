"""The runs of one cluster, and the lock that lets only one at a time work on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from uuid import uuid4

from clusterkit.connected import Connected
from clusterkit.engine.cloud_lock import Times
from clusterkit.engine.events import Emit, Warned
from clusterkit.engine.lock import Lock
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.retry import Retry, here
from clusterkit.engine.run import Run
from clusterkit.engine.scheduler import SHARED
from clusterkit.engine.staged import Stage, StagedFuture
from clusterkit.errors import CloudError, ClusterkitError, Interrupted
from clusterkit.plan import Plan


class Runs(Connected):
    """Carries out plans; ``Cluster`` makes them."""

    @contextmanager
    def lock(
        self,
        tell: Callable[[str], None] = lambda _: None,
        stop: threading.Event | None = None,
        *,
        take_over: bool = False,
        account: str | None = None,
    ) -> Iterator[Lock]:
        """Keep other runs from working on the cluster; waits while one does, and ``tell``s who it
        is once a minute.

        ``apply`` takes it by itself. Whoever plans and applies takes it before, and plans again if
        it had to wait (``Lock.waited``). ``take_over``: take it from a run on another machine at
        once, which then changes nothing more. ``account``: the one that is meant. Raises
        ``WrongAccount``, ``Interrupted``, ``CloudError``.
        """
        lock = self._lock(tell, stop or threading.Event(), take_over, account)
        with here(lock) as held:
            self._fence.lock = held
            try:
                yield held
            finally:
                self._fence.drop(held)

    def hold(
        self,
        tell: Callable[[str], None] = lambda _: None,
        stop: threading.Event | None = None,
        *,
        take_over: bool = False,
        account: str | None = None,
    ) -> Future[Lock]:
        """``lock`` for who has many: returns at once and holds no thread while it waits. Whoever
        gets the lock gives it to ``start``, ``apply`` and ``plan(adopt=…)``, which would wait for
        it, and has to ``let_go`` of it. ``tell`` must not wait.
        """
        stop = stop or threading.Event()
        future: StagedFuture[Lock] = StagedFuture(stop, self._place)

        def stages() -> Generator[Stage, Outcome | None, Lock]:
            lock = yield from self._lock(told, stop, take_over, account)
            yield from lock.taking()
            self._fence.lock = lock
            return lock

        def told(what: str) -> None:
            future.tell(partial(tell, what))

        future.begin(stages())
        return future

    def let_go(self, lock: Lock, *, well: bool) -> Future[None]:
        """The end of ``hold``, after work that went ``well`` or did not."""
        future: StagedFuture[None] = StagedFuture(threading.Event(), self._place)

        def stages() -> Generator[Stage, Outcome | None, None]:
            self._fence.drop(lock)
            yield from lock.letting_go(well=well)

        future.begin(stages())
        return future

    def locked(self) -> bool:
        """Whether a run works on the cluster, or has died and left its lock; no where it may not be
        read.
        """
        with suppress(CloudError):
            scope = self._scope(self._snapshot())
            return self._cloud.LOCK.read(scope) is not None
        return False

    def apply(
        self,
        plan: Plan,
        emit: Emit,
        stop: threading.Event | None = None,
        *,
        lock: Lock | None = None,
    ) -> Outcome:
        """Carry out the plan; ``emit`` gets every event, in order, on the thread of the loop that
        all runs of the process share.

        Set ``stop`` to interrupt it: calls in flight finish, nothing new starts, and another plan
        continues from there. Does not raise for what fails: ``Outcome.failed`` has the errors.
        A plan may be applied again, but not twice at once: ``ClusterkitError``. Takes the cluster's
        lock unless this thread holds it (``lock``), or it is given the one of ``hold``.
        """
        return self.start(plan, emit, stop, lock=lock).result()

    def start(
        self,
        plan: Plan,
        emit: Emit,
        stop: threading.Event | None = None,
        *,
        lock: Lock | None = None,
        again: Callable[[], Plan] | None = None,
    ) -> Future[Outcome]:
        """The same for who has many: returns at once, and holds no thread while it waits, for the
        cloud or for another run's lock. ``emit`` must not wait for anything. ``lock``: the one that
        was taken for it (``hold``); ``ClusterkitError`` if it was let go of. ``again`` is asked,
        under the lock that this takes, for the plan to carry out in place of ``plan``; it may raise
        ``Interrupted``.
        """
        locked = self._holds(lock)
        if not plan.snapshot.turn.acquire(blocking=False):
            what, cure = "this plan is being applied already", "wait for that, or make another plan"
            raise ClusterkitError(what, where=self.target.name, hint=cure)
        stop = stop or threading.Event()
        future: StagedFuture[Outcome] = StagedFuture(stop, self._place)

        def warn(told: str) -> None:
            future.tell(lambda: emit(Warned(self.target.name, told)))

        try:
            future.begin(self._apply(plan, emit, stop, warn, again, locked=locked))
        except BaseException:
            plan.snapshot.turn.release()
            raise
        return future

    def _holds(self, lock: Lock | None) -> bool:
        """Whether whoever calls has the cluster's lock: this one, or as this thread."""
        if lock is not None and self._fence.lock is not lock:
            what, cure = "this lock was let go of", "take it with Cluster.hold"
            raise ClusterkitError(what, where=self.target.name, hint=cure)
        return lock is not None or self._fence.held_here

    def _apply(
        self,
        plan: Plan,
        emit: Emit,
        stop: threading.Event,
        warn: Callable[[str], None],
        again: Callable[[], Plan] | None,
        *,
        locked: bool,
    ) -> Generator[Stage, Outcome | None, Outcome]:
        try:
            # a run that died after its last change has left only its lock
            if locked or (plan.empty and not (plan.destroy and self.locked())):
                return (yield from self._run(plan, emit, stop))
            lock = yield from self._lock(warn, stop, account=plan.account)
            yield from lock.taking()
            self._fence.lock = lock
            try:
                now = plan if again is None or stop.is_set() else again()
                outcome = yield from self._run(now, emit, stop)
            except GeneratorExit:  # the process ends
                raise
            except BaseException:
                self._fence.drop(lock)
                yield from lock.letting_go(well=False)
                raise
            self._fence.drop(lock)
            yield from lock.letting_go(well=True)
            return outcome
        except Interrupted:  # while it waited for the lock
            return Outcome(interrupted=True)
        finally:
            plan.snapshot.turn.release()

    def _run(
        self, plan: Plan, emit: Emit, stop: threading.Event
    ) -> Generator[Stage, Outcome | None, Outcome]:
        clients, scale = self._clients.fresh(), self.connection.scale
        retry = Retry(scale, self.connection.waiting, stop)
        account = yield from retry.steps(lambda: self._cloud.account(clients))
        self._check_account(account, plan.account)
        # a plan may be applied again, and a new life must not be answered with an old one's tokens
        plan = replace(plan, snapshot=replace(plan.snapshot, run=uuid4()))
        try:
            outcome = yield Run(self._scope(clients), plan, emit, scale=scale, loop=SHARED)
        finally:
            clients.kube.close()
        assert outcome is not None
        return outcome

    def _lock(
        self,
        tell: Callable[[str], None],
        stop: threading.Event,
        take_over: bool = False,
        account: str | None = None,
    ) -> Generator[float, None, Lock]:
        """The lock, not yet taken, after the account is checked."""
        clients, target = self._clients.fresh(), self.target
        found = yield from self._retry.steps(lambda: self._cloud.account(clients))
        self._check_account(found, account)
        return Lock(
            self._cloud.LOCK,
            self._scope(clients),
            uuid4(),
            folder=self._locks,
            key=f"{target.cloud}/{found}/{target.region}/{target.name}",
            times=Times.at(self.connection.scale),
            tell=tell,
            stop=stop,
            take_over=take_over,
        )

"""One run at a time on a cluster.

On one machine it is an OS file lock, free at once when its process ends. Between machines it is a
thing in the cloud whose name can be taken only once; its tags say who holds it. The holder renews a
tag every 30 s; whoever sees it unchanged for 90 s on its own monotonic clock takes the lock over.
Before each change the holder makes sure that it renewed the lock lately, so that a process that was
stopped for minutes changes nothing after somebody else has taken over.

Reading takes no lock.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from clusterkit.engine import backoff
from clusterkit.engine.cloud_lock import PREFIX, CloudLock, Held, Holder, Times
from clusterkit.engine.file_lock import Place, Release
from clusterkit.engine.operation import Operation, ended
from clusterkit.engine.rate import urgent
from clusterkit.engine.retry import here
from clusterkit.engine.scheduler import SHARED, Scheduler
from clusterkit.engine.scope import Scope
from clusterkit.errors import (
    ClusterkitError,
    Denied,
    Exists,
    Gone,
    Interrupted,
    Locked,
    NotOurs,
    Retryable,
    TimedOut,
)
from clusterkit.naming import safe

T = TypeVar("T")

POLL = 0.1
"""seconds between two tries for the file lock"""
POLLS = 30
"""questions after an operation that removes the lock, until nobody waits for it any more"""
WAITING = "another run works on this cluster"
"""how what a waiting run says begins"""
SAY = 60.0
"""seconds between two messages of somebody who waits"""


def monotonic() -> float:
    """Seconds on a clock that goes on while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class _Frozen(Exception):
    """The file lock's holder does not work any more."""


class Lock:
    """The lock of one cluster, for one run; a context manager that waits for it.

    ``Locked`` if somebody else takes it over. ``Interrupted`` when ``stop`` is set while it waits.
    """

    def __init__(
        self,
        cloud: CloudLock[Any],
        scope: Scope[Any],
        run: UUID,
        *,
        folder: Path | None,
        key: str,
        times: Times,
        tell: Callable[[str], None],
        stop: threading.Event,
        take_over: bool = False,
    ) -> None:
        """``folder``: where this machine's file locks are; without one, only threads of this
        process and the cloud's lock are waited for. ``key`` names the cluster on this machine.
        ``take_over``: take it from whoever has it in the cloud. ``tell`` is told who is waited for.
        """
        self._cloud = cloud
        self._scope = scope
        self._times = times
        self._tell = tell
        self._stop = stop
        self._take_over = take_over
        self._place = Place(folder)
        self._key = key
        self._me = Holder(
            run=run.hex[:12],
            host=safe(socket.gethostname() or "unknown"),
            process=str(os.getpid()),
            place=self._place.id,
            since=str(int(time.time())),
        )
        self.waited = False
        """whether somebody else had it: what a plan saw before may have changed"""
        self.inherited = False
        """whether it was taken over, so that the same holds"""
        self._lost: Locked | None = None
        self._renewed = 0.0
        self._renewing = threading.RLock()
        self._own = threading.local()
        self._over = False
        self._lane = Scheduler(1, SHARED, place=scope.place, urgent=True)
        """renews it"""
        self._let_go_here: Release | None = None
        self._said = -SAY
        self._thread = 0
        self._seen: Holder | None = None
        self._since = self._asked = monotonic()

    @property
    def of_this_thread(self) -> bool:
        """Whether the thread that asks took it, as a context manager."""
        return self._thread == threading.get_ident()

    # -- the holder -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        here(self.taking(), self._stop.wait)
        self._thread = threading.get_ident()
        return self

    def __exit__(self, ending: type[BaseException] | None, *_: object) -> None:
        self._thread = 0
        here(self.letting_go(well=ending is None))

    def taking(self) -> Generator[float, None, None]:
        """Wait for it and take it: the seconds until each next look."""
        yield from self._on_this_machine()
        try:
            yield from self._acquire()
            self._over = False
            self._lane.join(self._renew_later, failed=lambda _: None)
        except BaseException:
            self._leave_this_machine()
            raise

    def letting_go(self, *, well: bool) -> Generator[float, None, None]:
        """Remove it after a run that went ``well`` or did not: the seconds until each next try."""
        with self._renewing:
            self._over = True
        self._lane.soon(self._lane.leave)
        try:
            if self._lost is None:
                yield from self._remove(well=well)
        finally:
            self._leave_this_machine()

    def check(self) -> None:
        """Before a change: ``Locked`` if somebody else has taken the lock over.

        Calls of the lock's own pass.
        """
        if getattr(self._own, "calling", False):
            return
        if self._lost is not None:
            raise self._lost
        if monotonic() - self._renewed > self._times.fence:
            with self._renewing:
                # again if the process was stopped while it renewed it
                while monotonic() - self._renewed > self._times.fence:
                    self._renew()

    def _renew_later(self, pause: float | None = None) -> None:
        """On the loop: a call in a while, and another after that."""

        def renew() -> None:
            with self._renewing:
                if not self._over:
                    self._renew()

        def renewed(_: object, error: Exception | None) -> None:
            if not isinstance(error, Locked):
                # of the cloud, or of credentials that have expired
                self._renew_later(self._times.renew / 5 if error else None)

        pause = self._times.renew if pause is None else pause
        self._lane.later(pause, lambda: self._lane.call(renew, renewed))

    def _renew(self) -> None:
        """Renew it if it is still this run's."""
        with self._calling():
            began = monotonic()
            held = self._cloud.read(self._scope)
            if held is None or Holder.of(held.tags).run != self._me.run:
                raise self._taken(held)
            self._me = replace(self._me, beat=str(int(self._me.beat) + 1))
            beat = f"{PREFIX}-beat"
            try:
                self._cloud.write(self._scope, held.id, {beat: self._me.beat})
            except Gone:
                raise self._taken(None) from None
            self._renewed = began

    def _taken(self, held: Held | None) -> Locked:
        who = f" by {Holder.of(held.tags)}" if held else ""
        self._lost = Locked(
            f"another run has taken over this cluster{who}; this one changes nothing more",
            where=self._scope.cluster,
            hint="wait until that run has ended, then run the same command again",
        )
        return self._lost

    def _remove(self, *, well: bool) -> Generator[float, None, None]:
        """Remove it, if it is still this run's.

        A failure costs the next run a minute, no more; but ``Denied``, after a run that went
        ``well``, since every later run would leave it behind too.
        """
        try:
            held = yield from self._patiently(self._read)
            if held is not None and Holder.of(held.tags).run == self._me.run:
                operation = yield from self._patiently(lambda: self._release(held.id))
                yield from self._gone(operation)
        except ClusterkitError as error:
            if well and isinstance(error, Denied):
                raise
            self._tell(f"the lock stays until the next run takes it over: {error}")

    def _read(self) -> Held | None:
        with self._calling():
            return self._cloud.read(self._scope)

    def _release(self, identifier: str) -> Operation[Any] | None:
        with self._calling():
            return self._cloud.release(self._scope, identifier)

    def _gone(self, operation: Operation[Any] | None) -> Generator[float, None, None]:
        """Where removing it takes an operation, wait until that is done."""
        pause = POLL
        for _ in range(POLLS):
            with suppress(Retryable), self._calling():
                if operation is not None:
                    ended(operation, self._scope)
                return
            yield pause
            pause = min(2 * pause, self._times.poll)

    def _patiently(self, ask: Callable[[], T]) -> Generator[float, None, T | None]:
        for attempt in range(1, 5):
            try:
                return ask()
            except Gone:
                return None
            except Retryable as error:
                pause = min(backoff.delay(attempt, error.after, 1.0), self._times.poll)
            yield pause
        return ask()

    @contextmanager
    def _calling(self) -> Iterator[None]:
        before = getattr(self._own, "calling", False)
        self._own.calling = True
        try:
            with urgent():
                yield
        finally:
            self._own.calling = before

    # -- getting it -------------------------------------------------------------------------------

    def _on_this_machine(self) -> Generator[float, None, None]:
        """The file lock, or none where it cannot be had."""
        try:
            while isinstance(found := self._place.take(self._key, str(self._me)), str):
                yield from self._wait_here(found)
            self._let_go_here = found
        except OSError as error:  # a full or read-only disk, a file system without locks
            self._tell(f"no file lock ({error}): only the lock in the cloud is held")
            self._leave_place()
        except _Frozen:  # its holder has stopped working, and may wake
            self._leave_place()

    def _leave_this_machine(self) -> None:
        release, self._let_go_here = self._let_go_here, None
        if release is not None:
            release()

    def _leave_place(self) -> None:
        """Do without the file lock, as somebody on another machine."""
        self._place = Place(None)
        self._me = replace(self._me, place=self._place.id)

    def _acquire(self) -> Generator[float, None, None]:
        patience, attempt = monotonic() + backoff.PROPAGATION, 0
        settle: float | None = None
        while True:
            began = monotonic()
            try:
                held = self._read()
                holder = self._holder(held) if held else None
                if held is None or holder is None:
                    with self._calling():
                        self._cloud.take(self._scope, self._me.tags(self._scope.cluster))
                    continue
                if holder.run == self._me.run:
                    if settle is None:
                        self._renewed = began
                        return
                    pause, settle = settle, None
                else:
                    patience, attempt = monotonic() + backoff.PROPAGATION, 0
                    frozen = self._frozen(holder)
                    dead = holder.place == self._me.place
                    if dead or frozen or self._take_over:
                        # two may take it over in the same moment, and a live holder has to notice
                        settle = None if dead else self._times.settle
                        if not (dead or frozen):
                            settle = self._times.settle + self._times.renew
                        self._take_over, self.inherited = False, True
                        now = self._read()  # another may have just taken it
                        if now is not None and self._holder(now) == holder:
                            yield from self._gone(self._release(held.id))
                        continue
                    self._waiting(str(holder))
                    pause = self._times.poll
            except (Exists, Gone, Retryable) as error:
                # somebody was quicker, a list lags behind, or the answer was lost: look again
                attempt += 1
                if monotonic() > patience:
                    raise TimedOut(
                        f"could not take the lock: {error}",
                        where=self._scope.cluster,
                        hint="run the same command again",
                    ) from error
                after = error.after if isinstance(error, Retryable) else None
                pause = min(backoff.delay(attempt, after, 1.0), self._times.poll)
            yield from self._pause(pause)

    def _frozen(self, holder: Holder) -> bool:
        """Whether it has not been renewed for too long, as far as this run has seen."""
        if holder != self._seen:
            self._seen, self._since = holder, monotonic()
        return monotonic() - self._since > self._times.stale

    def _holder(self, held: Held) -> Holder:
        if held.tags.get(PREFIX) != safe(self._scope.cluster):
            raise NotOurs(
                f"{held.name or held.id} has the name of clusterkit's lock and not its tags",
                where=self._scope.cluster,
                hint="delete it, or choose another name for the cluster",
            )
        return Holder.of(held.tags)

    def _wait_here(self, holder: str) -> Generator[float, None, None]:
        """A process of this machine has the file lock; the cloud tells whether it still works."""
        self._waiting(holder)
        yield from self._pause(POLL)
        if self._take_over:
            raise _Frozen
        if monotonic() - self._asked > self._times.poll:
            with suppress(ClusterkitError):
                held = self._read()
                self._asked = monotonic()
                if held is not None and self._frozen(self._holder(held)):
                    raise _Frozen

    def _waiting(self, holder: str) -> None:
        self.waited = True
        now = monotonic()
        if now - self._said >= SAY:
            self._said = now
            self._tell(f"{WAITING} ({holder}); waiting for it to end")

    def _pause(self, seconds: float) -> Generator[float, None, None]:
        if not self._stop.is_set():
            yield seconds
        if self._stop.is_set():
            raise Interrupted("interrupted while waiting for another run to end")

"""Work in stages that holds no thread while it waits: a lock, a run, the lock's end.

    def stages() -> Generator[Stage, Outcome | None, Outcome]:
        yield 5.0                     # seconds to wait
        outcome = yield Run(…)        # a run, on the loop of the process
        return outcome

What the generator does itself, calls included, it does on the threads for calls, one piece at a
time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from clusterkit.engine import threads
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.run import Run
from clusterkit.engine.scheduler import SHARED, Scheduler
from clusterkit.errors import ClusterkitError

T = TypeVar("T")

Stage = float | Run
"""seconds to wait, or a run to carry out"""
POLL = 1.0
"""seconds after which it is looked whether the loop is lost"""
LEAVE = 10.0
"""seconds that whoever abandons it waits for its end, the release of the lock"""


class StagedFuture(Future[T]):
    """Work in stages; its result is what the generator returns or raises."""

    def __init__(self, stop: threading.Event, place: Hashable = None) -> None:
        """A wait ends early when ``stop`` is set; a run is interrupted by it. ``place``: whose
        calls those of the stages are.
        """
        super().__init__()
        self.set_running_or_notify_cancel()  # only ``stop`` ends it
        self._lane = Scheduler(1, SHARED, place=place)
        self._stop = stop
        self._noticed = False
        self._pausing = False
        self._run: Run | None = None
        self._thrown: BaseException | None = None
        self._stages: Generator[Stage, Outcome | None, T] | None = None

    def begin(self, stages: Generator[Stage, Outcome | None, T]) -> None:
        """Return at once; ``ClusterkitError`` if no thread can be started."""
        self._stages = stages
        self._lane.join(lambda: self._go(partial(stages.send, None)),
                        tick=self._look, failed=self._fail)  # fmt: skip

    def tell(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread; its error is thrown into the generator."""

        def told() -> None:
            try:
                function()
            except BaseException as error:
                self._throw(error)

        self._lane.soon(told)

    def result(self, timeout: float | None = None) -> T:
        """As ``Future.result``. Whoever is interrupted while it waits abandons the work: its run
        begins no call and waits for none, and the generator gets the error. ``ClusterkitError``
        on the loop's own thread, on which it would wait for itself for ever.
        """
        if SHARED.here and not self.done():
            what = "what a run calls to tell of its events cannot wait for a run"
            raise ClusterkitError(what, hint="wait on another thread, or add_done_callback")
        if timeout is not None:
            return super().result(timeout)
        try:
            while not wait([self], POLL).done:
                if SHARED.ended and not self.done():
                    raise threads.out_of_memory()
        except BaseException as error:
            self._lane.soon(partial(self._throw, error))
            with suppress(Exception):
                wait([self], LEAVE)
            raise
        return super().result()

    # -- on the loop's thread ---------------------------------------------------------------------

    def _go(self, piece: Callable[[], Stage]) -> None:
        self._lane.call(piece, self._came)

    def _came(self, stage: Any, error: Exception | None) -> None:
        stages = self._stages
        assert stages is not None
        if isinstance(error, StopIteration):
            self._leave()
            self.set_result(error.value)
        elif error is not None:
            self._fail(error)
        elif self._thrown is not None:
            thrown, self._thrown = self._thrown, None
            self._go(partial(stages.throw, thrown))
        elif isinstance(stage, Run):
            self._run = stage
            stage.start(self._stop, self._ran)
        else:
            self._pausing = True
            self._lane.later(stage, self._wake)

    def _wake(self) -> None:
        if not self._pausing:  # ``_look`` has just ended the same wait
            return
        assert self._stages is not None
        self._pausing = False
        self._go(partial(self._stages.send, None))

    def _ran(self, outcome: Outcome | None, error: BaseException | None) -> None:
        """On the run's lane."""
        self._run = None
        if self._stages is None:  # the loop is lost, and the lane of this ended before
            return
        piece = self._stages.send
        self._lane.decide(
            lambda: self._throw(error) if error else self._go(partial(piece, outcome))
        )

    def _look(self) -> None:
        if self._stop.is_set() and not self._noticed:
            self._noticed = True
            if self._pausing:
                self._lane.forget_timers()
                self._wake()

    def _throw(self, error: BaseException) -> None:
        if self._run is not None:
            self._run.abandon()
            self._run = None
        elif self._pausing:
            self._pausing = False
            self._lane.forget_timers()
        elif self._lane.busy:
            self._thrown = error
            return
        if self._stages is not None:
            self._go(partial(self._stages.throw, error))

    def _leave(self) -> None:
        self._lane.leave()
        self._stages = None

    def _fail(self, error: BaseException) -> None:
        self._leave()
        if not self.done():
            self.set_exception(error)

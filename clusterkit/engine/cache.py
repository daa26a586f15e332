"""What a driver's clients remember: for one plan or one run, never longer."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from clusterkit.engine.retry import Retry
from clusterkit.errors import ClusterkitError, Gone

T = TypeVar("T")

Answers = dict[str, "Future[Any]"]

AGE = 60.0
"""seconds for which clusters share an answer; as long as what is there is believed in a run
(``inventory.MAX_AGE``)"""

UNUSED = 3600.0
"""seconds after which what nobody has asked for is forgotten"""


class Common(Protocol):
    """What other clusters have asked, or what ``read`` says."""

    def __call__(self, question: str, read: Callable[[], T]) -> T: ...


class ReadCache:
    """Answers that need not be asked for twice; threads that ask at once share one question.

    That something does not exist is an answer. A question that failed is forgotten: those who
    waited for it get the error, the next asks again.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._shared: Answers | None = None
        self._retry: Retry | None = None
        self._common: Common | None = None

    @property
    def together(self) -> bool:
        """Whether other clusters share its answers: a list of all clusters' things serves them
        all, and this one's own serves nobody else.
        """
        return self._common is not None

    def share(self, retry: Retry | None = None, common: Common | None = None) -> None:
        """From now on, until ``unshare``, the same question is asked once: for a plan, where
        preflight, looks and the access to Kubernetes need the same lists.

        ``retry`` retries each question that fails; in a run the engine does. ``common`` is what
        other clusters have asked alike.
        """
        self._shared = {}
        self._retry, self._common = retry, common

    def unshare(self) -> None:
        """From now on every question is asked, once: something changes, or is waited for."""
        self._shared = self._retry = self._common = None

    def answer(self, question: str, ask: Callable[[], T]) -> T:
        """The answer to a question that changes nothing."""
        shared, retry, common = self._shared, self._retry, self._common
        if shared is None:
            return ask()
        read = ask if retry is None else partial(retry, ask)
        if common is not None:
            read = partial(common, question, read)
        return _once(self._guard, shared, question, read)


def _once(guard: threading.Lock, answers: Answers, key: str, read: Callable[[], T]) -> T:
    with guard:
        there = answers.get(key)
        mine: Future[Any] = Future() if there is None else there
        answers[key] = mine
    if there is not None:
        try:
            known: T = there.result()
        except ClusterkitError as error:
            raise error.copied() from None
        return known
    try:
        found = read()
    except BaseException as error:
        if not isinstance(error, Gone):
            with guard:
                if answers.get(key) is mine:
                    del answers[key]
        mine.set_exception(error.copied() if isinstance(error, ClusterkitError) else error)
        raise
    mine.set_result(found)
    return found


class SingleFlight:
    """``single_flight(question, since, read)``: while an answer is on its way, runs that ask the
    same question, as for a list of a whole project, get that one.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._under_way: dict[str, tuple[float, Answers]] = {}

    def __call__(self, question: str, since: float, read: Callable[[], T]) -> T:
        """``since``: what was asked before then (``time.monotonic()``) may not show what the asker
        has changed.
        """
        with self._guard:
            began, answers = self._under_way.get(question, (-inf, {}))
            if began < since:
                began, answers = time.monotonic(), {}
            self._under_way[question] = began, answers
        try:
            return _once(self._guard, answers, "", read)
        finally:
            with self._guard:
                if self._under_way.get(question, (0.0, None))[1] is answers:
                    del self._under_way[question]


class Survey:
    """What the plans of several clusters ask alike: zones, machine types, versions, quotas, lists
    of a whole region. Each question is asked once, and again when its answer is ``age`` old.
    Whoever plans again after waiting for a lock asks afresh.
    """

    def __init__(self, age: float = AGE) -> None:
        """``age``: seconds."""
        self._guard = threading.Lock()
        self._answers: dict[str, tuple[float, Answers]] = {}
        self._age = age
        self._after = -inf

    def since(self, moment: float) -> Survey:
        """The same survey without what was asked before ``moment`` (``time.monotonic()``): for a
        cluster that has changed, or may have been changed, since then.
        """
        view = copy(self)
        view._after = moment
        return view

    def of(self, place: str, name: str) -> Common:
        """For the cluster of this name; ``place`` names the account and region, as their
        credentials do. What names the cluster nobody else asks, and is not kept here.
        """
        own = re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])")

        def ask(question: str, read: Callable[[], T]) -> T:
            if own.search(question):
                return read()
            return _once(self._guard, self._current(f"{place} {question}"), "", read)

        return ask

    def _current(self, question: str) -> Answers:
        with self._guard:
            now = time.monotonic()
            since, answers = self._answers.get(question, (-inf, {}))
            if now - since >= self._age or since < self._after:
                for old in [q for q, (when, _) in self._answers.items() if now - when > self._age]:
                    del self._answers[old]
                since, answers = now, {}
                self._answers[question] = (since, answers)
            return answers


class Once:
    """``once(name, make)``: what ``make`` gives, made by the first thread that asks, and kept until
    nobody has asked for an hour: credentials are replaced, and nobody asks for the old ones' again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._made: dict[str, tuple[float, Any]] = {}

    def __call__(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            now = self._clock()
            if name not in self._made:
                for old in [each for each, (when, _) in self._made.items() if now - when > UNUSED]:
                    del self._made[old]
            made: T = self._made[name][1] if name in self._made else make()
            self._made[name] = (now, made)
            return made


class Renewed(Generic[T]):
    """``renewed()``: a value that expires, as temporary credentials do; fetched at the first call,
    and again when its end is near. Safe on many threads.
    """

    def __init__(self, fetch: Callable[[], tuple[T, datetime | None]], early: timedelta) -> None:
        """``fetch`` gives a value and its end (UTC; None: it has none), and is asked again
        ``early`` before that.
        """
        self._fetch = fetch
        self._early = early
        self._lock = threading.Lock()
        self._held: tuple[T, datetime | None] | None = None

    def __call__(self) -> T:
        """The current value."""
        with self._lock:
            if self._held is not None:
                value, end = self._held
                if end is None or datetime.now(UTC) < end - self._early:
                    return value
            self._held = self._fetch()
            return self._held[0]

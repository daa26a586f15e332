"""Reads outside a run: tried again, not for ever, and never what waiting does not help."""

from __future__ import annotations

import threading
import time

import pytest

from clusterkit.engine import backoff, retry
from clusterkit.errors import Denied, Interrupted, ServerError, Throttled


class Cloud:
    """Fails so many times."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_it_asks_again_and_says_so() -> None:
    told: list[tuple[str, float]] = []
    again = retry.Retry(0.0, lambda reason, delay: told.append((reason, delay)))
    assert again(Cloud(Throttled("slow down"), ServerError("oops"))) == "answer"
    assert [reason for reason, _ in told] == ["slow down", "oops"]


def test_what_is_refused_is_not_asked_again() -> None:
    cloud = Cloud(Denied("no"))
    with pytest.raises(Denied):
        retry.Retry(0.0)(cloud)
    assert cloud.asked == 1


def test_it_gives_up_with_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 0.2)
    cloud = Cloud(*(Throttled(f"number {number}") for number in range(10_000)))
    with pytest.raises(Throttled, match=f"number {cloud.asked}|number"):
        retry.Retry(0.0)(cloud)
    assert 1 < cloud.asked < 1000


def test_retry_after_is_honoured_and_not_waited_for_beyond_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[float] = []
    again = retry.Retry(0.01, lambda _, delay: told.append(delay))
    assert again(Cloud(Throttled("wait", after=10.0))) == "answer"
    assert told[0] >= 0.1
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 1.0)
    began = time.monotonic()
    with pytest.raises(Throttled):
        retry.Retry(1.0)(Cloud(Throttled("wait", after=3600.0)))
    assert time.monotonic() - began < 1


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        retry.Retry(1.0, stop=stop)(Cloud(Throttled("wait", after=30.0)))

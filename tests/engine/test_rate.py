"""The rate at which the clusters of an account ask, learned from refusals."""

from __future__ import annotations

import pytest

from clusterkit.engine.rate import HOLDS, LEAST, Rate, urgent
from clusterkit.errors import Throttled


class Clock:
    """Seconds that pass when somebody sleeps; an API that takes ``most`` requests a second."""

    def __init__(self, most: float = 1e9) -> None:
        self.now = 1000.0
        self.most = most
        self.refused = 0
        self.answered: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self) -> None:
        if sum(when > self.now - 1 for when in self.answered) >= self.most:
            self.refused += 1
            raise Throttled("slower", code="Throttling")
        self.answered.append(self.now)


def asked(rate: Rate, clock: Clock, times: int, pause: float) -> int:
    """How many of so many requests, one each ``pause``, are answered."""
    done = 0
    for _ in range(times):
        clock.now += pause
        try:
            rate(clock.send)
        except Throttled as error:
            clock.now += error.after or 0.0
        else:
            done += 1
    return done


def test_without_a_refusal_there_is_no_limit() -> None:
    clock = Clock()
    rate = Rate(1.0, clock, clock.sleep)
    assert asked(rate, clock, 1000, 0.001) == 1000
    assert rate.limit is None


def test_a_refusal_halves_the_rate_and_it_recovers() -> None:
    clock = Clock(most=20)
    rate = Rate(1.0, clock, clock.sleep)
    asked(rate, clock, 200, 0.02)  # 50 a second
    assert rate.limit is not None
    assert rate.limit < 50
    clock.most = 1e9
    clock.now += 60
    assert rate.limit is None


def test_refusals_of_one_moment_halve_it_once() -> None:
    clock = Clock()
    rate = Rate(1.0, clock, clock.sleep)
    asked(rate, clock, 500, 0.01)
    left = clock.now
    for _ in range(10):
        clock.now += 1e-6
        rate._refused(left)
    assert rate.limit == pytest.approx(50, rel=0.1)


def test_many_clusters_that_share_it_are_refused_less_than_each_for_itself() -> None:
    def refusals(rates: list[Rate], clock: Clock) -> int:
        for number in range(2000):
            clock.now += 0.01
            try:
                rates[number % len(rates)](clock.send)
            except Throttled:
                continue
        return clock.refused

    clock = Clock(most=20)
    shared = Rate(1.0, clock, clock.sleep)
    alone = Clock(most=20)
    each = [Rate(1.0, alone, alone.sleep) for _ in range(50)]
    assert refusals([shared] * 50, clock) * 4 < refusals(each, alone)


def test_a_long_wait_is_a_refusal_that_says_how_long_and_asks_nobody() -> None:
    clock = Clock(most=0)
    rate = Rate(1.0, clock, clock.sleep)
    with pytest.raises(Throttled, match="slower"):
        rate(clock.send)
    assert rate.limit == pytest.approx(LEAST)
    clock.most = 1e9
    since = clock.now
    rate(clock.send)
    assert clock.now == pytest.approx(since + 1 / LEAST)
    clock.now = since  # another asks in the same moment
    with pytest.raises(Throttled, match=r"throttled to 2\.0 a second") as caught:
        rate(clock.send)
    assert caught.value.after is not None
    assert caught.value.after > HOLDS
    assert (len(clock.answered), clock.refused) == (1, 1)


def test_on_a_sandbox_its_seconds_are_short_and_without_time_there_is_no_rate() -> None:
    clock = Clock(most=0)
    fast = Rate(1 / 60, clock, clock.sleep)
    with pytest.raises(Throttled, match="slower"):
        fast(clock.send)
    assert fast.limit is not None
    clock.now += 1.0
    assert fast.limit is None
    timeless = Rate(0.0, clock, clock.sleep)
    with pytest.raises(Throttled, match="slower"):
        timeless(clock.send)
    assert timeless.limit is None


def crowd(rate: Rate) -> None:
    """Requests of many threads, each of which sleeps until its turn."""
    for _ in range(200):
        rate(lambda: None)


def test_what_is_urgent_does_not_wait_for_its_turn() -> None:
    clock, slept = Clock(most=20), list[float]()
    rate = Rate(1.0, clock, slept.append)
    asked(rate, clock, 200, 0.02)
    with pytest.raises(Throttled):
        crowd(rate)
    slept.clear()
    with urgent():
        rate(lambda: None)
    assert not slept
    with pytest.raises(Throttled):
        rate(lambda: None)

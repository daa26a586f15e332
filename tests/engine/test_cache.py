"""Questions asked once: for the process, and while nothing changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from clusterkit.engine.cache import UNUSED, Once, ReadCache, SingleFlight, Survey
from clusterkit.errors import Gone


class Cloud:
    """Counts how often it is asked, and may be held up."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        assert self.go.wait(10)
        return number


def test_threads_that_ask_at_once_share_one_question() -> None:
    memory, cloud = ReadCache(), Cloud()
    cloud.go.clear()
    memory.share()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(memory.answer, "clusters", cloud) for _ in range(8)]
        cloud.go.set()
    assert {answer.result() for answer in answers} == {1}
    assert memory.answer("clusters", cloud) == 1
    assert memory.answer("pools", cloud) == 2


def test_nothing_is_shared_unless_asked_for_nor_after_a_change() -> None:
    memory, cloud = ReadCache(), Cloud()
    assert [memory.answer("clusters", cloud) for _ in range(2)] == [1, 2]
    memory.share()
    assert [memory.answer("clusters", cloud) for _ in range(2)] == [3, 3]
    memory.unshare()
    assert memory.answer("clusters", cloud) == 4
    memory.share()
    assert memory.answer("clusters", cloud) == 5


def test_question_that_failed_is_asked_again() -> None:
    memory = ReadCache()
    memory.share()

    def refuse() -> int:
        raise OSError("no line")

    with pytest.raises(OSError, match="no line"):
        memory.answer("clusters", refuse)
    assert memory.answer("clusters", lambda: 7) == 7


def test_that_something_does_not_exist_is_an_answer() -> None:
    memory, asked = ReadCache(), list[int]()
    memory.share()

    def ask() -> int:
        asked.append(1)
        raise Gone("no such cluster")

    for _ in range(3):
        with pytest.raises(Gone) as got:
            memory.answer("cluster", ask)
        assert got.value.hint == ""
        got.value.hint = "said of one asker's cluster"
    assert len(asked) == 1


def test_clusters_of_one_account_ask_once_and_what_names_one_is_its_own() -> None:
    survey, cloud = Survey(), Cloud()
    one, two = survey.of("account", "one"), survey.of("account", "two")
    assert [one("zones None", cloud), two("zones None", cloud)] == [1, 1]
    assert survey.of("another", "gamma")("zones", cloud) == 2
    assert [one("/clusters/one/nodes", cloud), one("/clusters/one/nodes", cloud)] == [3, 4]


def test_who_has_changed_something_is_told_nothing_from_before() -> None:
    survey, cloud = Survey(), Cloud()
    old = survey.of("account", "one")
    assert old("zones", cloud) == 1
    after = survey.since(time.monotonic()).of("account", "one")
    assert [after("zones", cloud), after("zones", cloud)] == [2, 2]
    assert old("zones", cloud) == 2, "a newer answer is as good for the others"


def test_answers_grow_old_and_are_not_kept() -> None:
    survey, cloud = Survey(age=0.05), Cloud()
    ask = survey.of("account", "one")
    assert [ask("zones", cloud), ask("types", cloud)] == [1, 2]
    time.sleep(0.1)
    assert ask("zones", cloud) == 3
    assert len(survey._answers) == 1


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    now = [0.0]
    once = Once(lambda: now[0])
    kept, old = once("kept", object), once("old", object)
    for _ in range(3):
        now[0] += UNUSED * 0.6
        assert once("kept", object) is kept
    once("new", object)
    assert once("old", object) is not old


def test_an_answer_on_its_way_serves_who_asks_meanwhile_and_nobody_later() -> None:
    single_flight, cloud = SingleFlight(), Cloud()
    cloud.go.clear()
    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(single_flight, "clusters", 0.0, cloud) for _ in range(8)]
        until(lambda: cloud.asked == 1)
        late = pool.submit(single_flight, "clusters", time.monotonic(), cloud)
        until(lambda: cloud.asked == 2)
        cloud.go.set()
    assert {answer.result() for answer in answers} <= {1, 2}
    assert late.result() == 2, "the asker has changed something since it was asked"
    assert single_flight("clusters", 0.0, cloud) == 3


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)

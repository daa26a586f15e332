"""From a checked request to its handler."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kit.calls import (
    Call,
    Handlers,
    Service,
    Tokens,
    cut,
    page_start,
    page_token,
    tagged,
)
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.store import Store
from clusterkit_sandbox.pace import Pace


class Mismatch(Exception):
    """The vendor's error."""


@dataclass
class Network:
    id: str
    scope: str = ""

    def needs(self) -> tuple[str, ...]:
        return ()


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock(Pace(math.inf))
    yield made
    made.clear()


def test_an_operation_is_served_once() -> None:
    handlers = Handlers[Callable[[], None]]()
    handlers.serve("ecs:DeleteInstance", "ecs:DeleteInstances")(lambda: None)
    assert sorted(handlers) == ["ecs:DeleteInstance", "ecs:DeleteInstances"]
    with pytest.raises(ValueError, match="ecs:DeleteInstance is served twice"):
        handlers.serve("ecs:DeleteInstance")(lambda: None)


def test_a_repeated_request_gets_its_first_answer() -> None:
    tokens, made = Tokens(), list[int]()

    def make() -> int:
        made.append(1)
        return len(made)

    def ask(key: str, meant: object) -> int:
        return tokens.once(key, meant, make, Mismatch())

    assert [ask("a", {"x": 1}), ask("a", {"x": 1}), ask("b", {"x": 1})] == [1, 1, 2]
    with pytest.raises(Mismatch):
        ask("a", {"x": 2})


def test_a_token_lives_as_long_as_its_answer_is_kept() -> None:
    tokens, living = Tokens(), {1, 3}
    numbers = iter([1, 2, 3])

    def ask(meant: object) -> int:
        return tokens.once("a", meant, lambda: next(numbers), Mismatch(), lambda one: one in living)

    assert ask("first") == 1
    living.remove(1)
    assert ask("other") == 2  # not kept either
    assert ask("third") == 3
    assert ask("third") == 3


def test_the_oldest_tokens_are_forgotten_first() -> None:
    tokens = Tokens(most=2)
    for key in "abc":
        tokens.once(key, None, lambda: "first", Mismatch())
    assert len(tokens) == 2
    assert tokens.once("a", None, lambda: "again", Mismatch()) == "again"
    assert tokens.once("c", None, lambda: "again", Mismatch()) == "first"


def test_pages() -> None:
    faults, items = Faults(), list("abcde")
    assert cut(items, 0, 2, faults) == (["a", "b"], 2)
    assert cut(items, 2, 3, faults) == (["c", "d", "e"], None)
    assert cut(items, 9, 3, faults) == ([], None)
    faults.page_size = 1
    assert cut(items, 2, 3, faults) == (["c"], 3)


def test_page_tokens_are_opaque_and_only_ours() -> None:
    token = page_token(7)
    assert token is not None
    assert not token.isdigit()
    assert page_start(token) == 7
    assert page_token(None) is None
    assert page_start(None) == page_start("") == 0
    for bad in ("7", "x", "LTE=", "4pyT"):  # text, text, -1, a check mark
        with pytest.raises(ValueError, match="is no page token"):
            page_start(bad)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ([], True),
        ([("a", "1")], True),
        ([("a", None), ("b", "")], True),
        ([("a", "2")], False),
        ([("a", "1"), ("c", None)], False),
    ],
)
def test_tags(wanted: list[tuple[str, str | None]], fits: bool) -> None:
    assert tagged({"a": "1", "b": "2"}, wanted) is fits


def made(store: Store) -> None:
    store.add(Network("n"))


def asked(operation: str, name: str = "", faults: Faults | None = None) -> Call:
    return Call(
        operation=operation,
        parameters={"name": name},
        request_id="r",
        faults=faults or Faults(),
    )


def test_what_a_handler_gets() -> None:
    call = asked("x:Create", "", Faults.parse("terminal:x:Create@1"))
    assert call.get("name", "default") == call.get("other", "default") == "default"
    assert [call.terminal(), call.terminal()] == [True, False]


def test_a_call_sees_what_is_due_made(clock: Clock) -> None:
    store = Store()
    clock.after(0, lambda: made(store))

    def count(_: Call) -> object:
        return len(list(store.all(Network)))

    service = Service(store, clock, {"x:Count": count}, {})
    assert service.run(asked("x:Count"), reading=True) == 1
    with pytest.raises(KeyError):
        service.run(asked("x:Other"), reading=True)


def test_what_a_call_made_may_be_found_late(clock: Clock) -> None:
    store, faults = Store(), Faults.parse("late:x:Create=60s@1")

    def create(call: Call) -> object:
        return store.add(Network(call.get("name")))

    def get(call: Call) -> object:
        return store.get(Network, call.get("name"))

    service = Service(store, clock, {"x:Create": create, "x:Get": get}, {"x:Create": Network})
    service.run(asked("x:Create", "late", faults), reading=False)
    service.run(asked("x:Create", "there", faults), reading=False)
    assert service.run(asked("x:Get", "late"), reading=True) is None
    assert service.run(asked("x:Get", "there"), reading=True) is not None
    assert service.run(asked("x:Get", "late"), reading=False) is not None

"""What goes wrong on the way: deaths, lost answers, pages of one, slowness, failure, throttling."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from clusterkit.engine import threads
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.kind import Existing
from clusterkit.errors import ClusterkitError
from clusterkit.kube.manifest import Manifest
from clusterkit.kube.storage import StorageClass
from clusterkit.naming import CLUSTER
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.pace import Pace
from tests.drivers.cases import FULL, MINIMAL, each
from tests.drivers.world import Case, Died, Edits, Mortal, World, edited, mortal, world

every_case = each(FULL, deep=MINIMAL)
all_minimal = each(MINIMAL)


def complete(found: World) -> None:
    """Everything that was wished for is there, marked, and once; nothing is left to do."""
    left = found.plan()
    assert left.empty, [(step.op, step.key, step.changes) for step in left.todo]
    wished = Counter(
        step.key.split("/")[0]
        for step in left.steps
        if step.wish is not None and not isinstance(step.wish, Existing | StorageClass | Manifest)
    )
    there = Counter(
        thing.kind
        for thing in found.case.look(found)
        if thing.marks.get(CLUSTER) == found.profile.name
    )
    assert there == wished


def nothing(found: World, before: Counter[str]) -> None:
    """Only what was there before."""
    assert found.look() == before
    assert found.destroy_plan().empty


@each(
    [case for case in FULL if case.cloud == "gke"],
    deep=[case for case in (*FULL, *MINIMAL) if case not in FULL or case.cloud != "gke"],
)
@pytest.mark.parametrize("changes", [pytest.param(1, marks=pytest.mark.deep), 5])
def test_the_process_dies_again_and_again(case: Case, changes: int, tmp_path: Path) -> None:
    """``up``, dead after every so many calls that change something, until it is done; then
    ``destroy`` the same way.
    """
    with world(case, tmp_path) as found:
        before = found.look()
        assert _bit_by_bit(found, changes, destroy=False) > (case.calls - 1) / changes
        complete(found)
        assert _bit_by_bit(found, changes, destroy=True) > (case.calls - 1) / changes
        nothing(found, before)


def test_a_thread_of_the_dead_ends_without_a_word() -> None:
    """As the renewal of the lock does; an exception that no thread expects fails its test."""
    thread = threads.start(lambda: _raise(Died()), "dead")
    thread.join()
    assert thread.ended


def _raise(error: BaseException) -> None:
    raise error


TAKING_OVER = 2
"""calls by which a run gets the lock of the one that died: it is removed and taken"""


def _bit_by_bit(found: World, changes: int, *, destroy: bool) -> int:
    known: set[str] = set()
    for deaths in range(1000):
        dies = Mortal(changes + TAKING_OVER, known)
        with mortal():
            outcome = found.destroy(observe=dies) if destroy else found.up(observe=dies)
            found.settle(outcome)
            return deaths
    raise AssertionError("no end")


@pytest.mark.deep
@every_case
@pytest.mark.timeout(3000)
def test_the_process_dies_after_any_number_of_changes(case: Case, tmp_path: Path) -> None:
    """Dead after the n-th change; then ``up`` finishes, or ``destroy`` removes all.

    For every n of the small profile, for every fifth of the large one.
    """
    with world(case, tmp_path) as found:
        before = found.look()
        counted = Mortal()
        found.settle(found.up(observe=counted))
        found.settle(found.destroy())
        for calls in range(1, counted.calls, 5 if case in FULL else 1):
            for finish in (True, False):
                with mortal():
                    found.up(observe=Mortal(after=calls))
                if finish:
                    found.settle(found.up())
                    complete(found)
                found.settle(found.destroy())
                nothing(found, before)


@all_minimal
def test_what_dies_as_it_creates_the_cluster_is_removed(case: Case, tmp_path: Path) -> None:
    """What the cloud adds by itself has nothing of ours on it yet."""
    creates = re.sub("^[a-z]+[:.]", "", case.terminal[0][0])

    def dies(seen: Exchange) -> None:
        if seen.phase == "after" and seen.operation.endswith(creates):
            raise Died

    with world(case, tmp_path) as found:
        before = found.look()
        with mortal():
            found.up(observe=dies)
        assert found.look()["cluster"]
        plan = found.destroy_plan()
        assert not plan.blocked
        found.settle(found.destroy())
        nothing(found, before)


@every_case
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(1, 8))]
)
def test_answers_are_lost(case: Case, seed: int, tmp_path: Path) -> None:
    """A fifth of all calls have their effect and no answer."""
    with world(case, tmp_path) as found:
        found.sandbox.faults._seed = seed
        found.facts()
        before = found.look()
        found.sandbox.faults.set([Rule("*", "lost", rate=0.2)])
        found.settle(found.up())
        found.sandbox.faults.clear()
        complete(found)
        found.sandbox.faults.set([Rule("*", "lost", rate=0.2)])
        found.settle(found.destroy())
        found.sandbox.faults.clear()
        nothing(found, before)


@every_case
@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_the_cloud_is_busy(case: Case, kind: str, tmp_path: Path) -> None:
    """A third of all calls are throttled, or fail with the service's own trouble."""
    with world(case, tmp_path) as found:
        found.facts()
        before = found.look()
        found.sandbox.faults.set([Rule("*", kind, rate=0.3)])  # type: ignore[arg-type]
        found.settle(found.up())
        found.sandbox.faults.clear()
        complete(found)
        found.sandbox.faults.set([Rule("*", kind, rate=0.3)])  # type: ignore[arg-type]
        found.settle(found.destroy())
        found.sandbox.faults.clear()
        nothing(found, before)


@every_case
def test_lists_have_pages_of_one(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        found.facts()  # hundreds of machine types, each a page, are only slow
        before = found.look()
        found.sandbox.faults.page_size = 1
        found.settle(found.up())
        assert found.plan().empty
        found.sandbox.faults.page_size = None
        complete(found)
        found.sandbox.faults.page_size = 1
        found.settle(found.destroy())
        found.sandbox.faults.page_size = None
        nothing(found, before)


@all_minimal
def test_the_clouds_own_states_are_waited_for(case: Case, tmp_path: Path) -> None:
    """Everything passes through the service's states, with the durations of a fast day."""
    with world(case, tmp_path, Pace(600)) as found:
        before = found.look()
        found.settle(found.up())
        complete(found)
        found.settle(found.destroy())
        nothing(found, before)


TERMINAL = [(case, *one) for case in MINIMAL for one in case.terminal]
FAILING = [(case, *one) for case in MINIMAL for one in case.failing]


@pytest.mark.parametrize(
    ("case", "operation", "key"), TERMINAL, ids=[operation for _, operation, _ in TERMINAL]
)
def test_what_fails_in_the_end_says_why_and_is_made_anew(
    case: Case, operation: str, key: str, tmp_path: Path
) -> None:
    with world(case, tmp_path) as found:
        before = found.look()
        found.sandbox.faults.set([Rule(operation, "terminal")])
        outcome = found.up()
        failed = {name: error for name, error in outcome.failed.items() if name.startswith(key)}
        assert failed, outcome
        for error in failed.values():
            assert isinstance(error, ClusterkitError)
            assert "timed out" not in str(error)
            assert len(error.what) > 10, error.what
        found.sandbox.faults.clear()
        found.settle(found.up())
        complete(found)
        found.settle(found.destroy())
        nothing(found, before)


@pytest.mark.parametrize(
    ("case", "operation", "edits", "key", "reason"), FAILING, ids=[one[1] for one in FAILING]
)
def test_an_update_that_fails_says_why(
    case: Case, operation: str, edits: Edits, key: str, reason: str, tmp_path: Path
) -> None:
    with world(case, tmp_path) as found:
        found.settle(found.up())
        changed = found.load(edited(found.case.profile, edits))
        found.facts(changed)
        found.sandbox.faults.set([Rule(operation, "terminal")])
        failed = found.up(changed).failed
        [error] = [error for name, error in failed.items() if name.startswith(key)]
        assert reason in str(error)
        found.sandbox.faults.clear()
        found.settle(found.up(changed))
        assert found.plan(changed).empty


@all_minimal
def test_destroy_takes_what_failed(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.look()
        # there has to be a cluster for the others to fail in
        failing = [op for op, key in case.terminal if not key.startswith("cluster/")]
        rules = [Rule(operation, "terminal") for operation in failing]
        found.sandbox.faults.set(rules)
        assert found.up().failed
        found.settle(found.destroy())
        nothing(found, before)

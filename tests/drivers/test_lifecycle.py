"""Every cloud and profile from nothing to a cluster, through every change, and back to nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clusterkit.errors import ClusterkitError
from clusterkit.naming import CLUSTER
from clusterkit.profile.model import BaseProfile
from clusterkit_sandbox.pace import Pace
from tests.drivers.cases import CASES, MINIMAL, each
from tests.drivers.world import Case, World, edited, until_used, world

MANY = 5
"""changes; so many are made one by one in the long matrix only"""

QUICK = [case for case in CASES if len(case.changes) < MANY]
LONG = [case for case in CASES if case not in QUICK]


class Hearsay(Pace):
    """Nothing takes time but the news of one service to another."""

    def seconds(self, what: str) -> float:
        news = what.endswith(("/effect", "/effective", "/propagation", "/replication"))
        return super().seconds(what) if news else 0.0

    __eq__ = object.__eq__  # or a sandbox of the plain pace is taken for one of this
    __hash__ = object.__hash__


HEARSAY = Hearsay(20)


@each(MINIMAL)
def test_rights_that_take_effect_late(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path, HEARSAY) as found:
        found.settle(found.up())


@each(LONG)
def test_all_changes_at_once(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.things()
        found.settle(found.up())
        profile = dict(found.case.profile)
        for _, edits in case.changes:
            profile = edited(profile, edits)
        changed = found.load(profile)
        found.settle(found.up(changed))
        left = found.plan(changed)
        assert left.empty, [(step.op, step.key, step.changes) for step in left.todo]
        _end(found, before.keys(), case)


@each(QUICK, deep=LONG)
def test_up_every_change_and_destroy(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.things()
        found.settle(found.up())
        assert found.plan().empty
        made = {key: thing for key, thing in found.things().items() if key not in before}
        unmarked = [key for key, t in made.items() if t.marks.get(CLUSTER) != "demo"]
        assert {kind for kind, _ in unmarked} <= set(case.unmarked), unmarked
        profile = dict(found.case.profile)
        for label, edits in case.changes:
            profile = edited(profile, edits)
            changed = found.load(profile)
            found.settle(found.up(changed))
            assert found.planned is not None
            assert not found.planned.empty, label
            left = found.plan(changed)
            assert left.empty, (label, [(step.op, step.key, step.changes) for step in left.todo])
        for label, edits, words in case.refused:
            wrong = found.load(edited(profile, edits))
            snapshot = found.things().keys()
            assert words in _refusal(found, wrong), label
            assert found.things().keys() == snapshot, label
        _end(found, before.keys(), case)


def _refusal(found: World, profile: BaseProfile) -> str:
    """What a plan or a run says that cannot be."""
    try:
        outcome = found.up(profile)
    except ClusterkitError as error:
        return f"{error} {error.hint}"
    return " ".join(f"{key}: {error}" for key, error in outcome.failed.items())


def _end(found: World, before: object, case: Case) -> None:
    outcome = found.destroy()
    found.settle(outcome)
    again = found.destroy_plan()
    assert again.empty
    left = [key for key in found.things() if key not in before]  # type: ignore[operator]
    assert {kind for kind, _ in left} == set(case.kept), left
    assert {step.split("/")[0] for step in (kept.key for kept in again.kept)} == set(case.kept)


@each(MINIMAL)
def test_the_neighbours_are_left_alone(case: Case, tmp_path: Path) -> None:
    """A cluster of ours of another name, and things of our names without our mark."""
    with world(case, tmp_path) as found:
        decoy = found.load(edited(case.profile, {"name": "demo2"}))
        found.settle(found.up(decoy))
        case.twins(found)
        before = found.things()
        found.settle(found.up())
        assert found.plan(decoy).empty
        found.settle(found.destroy())
        assert found.things() == before
        assert found.plan(decoy).empty


@each(MINIMAL)
def test_what_kubernetes_made_goes_with_the_cluster(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        idle = found.look()
        case.busy(found)
        until_used(found, idle)
        found.settle(found.destroy())
        assert found.look() == before
        assert found.destroy_plan().empty


@each(MINIMAL)
def test_a_dead_kubernetes_stops_no_destroy(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        idle = found.look()
        case.busy(found)
        until_used(found, idle)
        assert found.sandbox._server is not None
        for cluster in [*found.sandbox._server._clusters.values()]:  # type: ignore[attr-defined]
            cluster.close()
        # nobody can ask whether a claim's volume is to be retained, so that stays and is told
        kept = found.destroy_plan().kept
        [volume] = [each for each in kept if "Delete or Retain" in each.reason]
        holders = [each.key.partition("/")[0] for each in kept if "lies in it" in each.reason]
        found.settle(found.destroy())
        left = found.look() - before - Counter(holders)
        assert left.total() == 1
        assert volume.key.startswith(next(iter(left)))

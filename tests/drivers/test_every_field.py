"""Every field of every cloud's profile from one value to another and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterkit import clouds
from clusterkit.errors import ClusterkitError, ProfileError
from clusterkit.profile.model import BaseProfile
from tests.drivers import aks_fields, alibaba_fields, eks_fields, gke_fields
from tests.drivers.fields import Turn, paths
from tests.drivers.world import Edits, World, edited, world

TURNS: Mapping[str, tuple[Turn, ...]] = {
    "eks": eks_fields.TURNS,
    "alibaba": alibaba_fields.TURNS,
    "gke": gke_fields.TURNS,
    "aks": aks_fields.TURNS,
}
ALL = [turn for turns in TURNS.values() for turn in turns]
INVALID = [turn for turn in ALL if turn.invalid]
VALID = [turn for turn in ALL if not turn.invalid]


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_every_field_has_two_values(cloud: str) -> None:
    assert {turn.field for turn in TURNS[cloud]} == {*paths(clouds.model(cloud))}


@pytest.mark.parametrize("turn", INVALID, ids=lambda turn: turn.id)
def test_a_value_that_no_profile_may_have(turn: Turn, tmp_path: Path) -> None:
    found = World(None, turn.case, tmp_path)  # type: ignore[arg-type]  # no network
    found.load(edited(turn.case.profile, turn.here))
    with pytest.raises(ProfileError) as caught:
        found.load(edited(turn.case.profile, turn.there))
    said(caught.value, *turn.invalid)


def said(error: ClusterkitError, *words: str) -> None:
    text = f"{error} {error.hint}"
    assert [word for word in words if word not in text] == [], text


def reach(found: World, profile: BaseProfile) -> None:
    """Apply the profile; after that there is nothing left to do."""
    cluster = found.cluster()
    planned = cluster.plan(profile, activate=lambda _: None)
    found.settle(cluster.apply(planned, found.events.append))
    left = cluster.plan(profile)
    assert left.empty, [(step.op, step.key, step.changes) for step in left.todo]


def refused(found: World, wrong: BaseProfile, now: BaseProfile, words: tuple[str, ...]) -> None:
    """Nothing is changed, and the refusal has these words."""
    before = found.things()
    with pytest.raises(ClusterkitError) as caught:
        found.cluster().plan(wrong)
    said(caught.value, *words)
    assert found.things() == before
    assert found.cluster().plan(now).empty


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.parametrize("turn", VALID, ids=lambda turn: turn.id)
def test_there_and_back(turn: Turn, tmp_path: Path) -> None:
    with world(turn.case, tmp_path) as found:
        here, there = (turn.here, turn.there) if turn.prepare is None else turn.prepare(found)
        base = found.case.profile
        one, other = (found.load(edited(base, edits)) for edits in (here, there))
        reach(found, one)
        if turn.refused:
            refused(found, other, one, tuple(turn.refused))
            return
        reach(found, other)
        if turn.back:
            refused(found, one, other, tuple(turn.back))
            return
        reach(found, one)


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_what_broke_once_there_and_back(cloud: str, tmp_path: Path) -> None:
    turns = [turn for turn in TURNS[cloud] if turn.quick]

    def all_of(values: Callable[[Turn], Edits]) -> dict[str, Any]:
        return {path: value for turn in turns for path, value in values(turn).items()}

    with world(turns[0].case, tmp_path) as found:
        base = found.case.profile
        one = found.load(edited(base, all_of(lambda turn: turn.here)))
        other = found.load(edited(base, all_of(lambda turn: turn.there)))
        for profile in (one, other, one):
            reach(found, profile)

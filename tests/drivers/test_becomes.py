"""What docs/portability.md says of a field is what the driver sends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from clusterkit import clouds
from tests.drivers.fields import Turn, paths
from tests.drivers.test_every_field import TURNS
from tests.drivers.wire import Sent, carries, changed, first_up
from tests.drivers.world import edited

OUT_OF_REACH = {
    ("aks", "subscription"): "",
    ("gke", "project"): "",
    ("gke", "network.existing.pods"): "network.existing.vpc",
    ("gke", "network.existing.services"): "network.existing.vpc",
    ("gke", "network.existing.project"): "network.existing.vpc",
}
"""fields whose other value the sandbox has nothing for, and another field that goes with them"""
_SENT: dict[str, Sent] = {}
"""by case and edits: many fields begin with the same profile"""


def _turns(cloud: str, field: str) -> list[Turn]:
    return [turn for turn in TURNS[cloud] if turn.field == field and not turn.invalid]


def _fields() -> Iterator[Any]:
    for cloud in clouds.CLOUDS:
        for field in paths(clouds.model(cloud)):
            if (cloud, field) not in OUT_OF_REACH and _turns(cloud, field):
                yield pytest.param(cloud, field, id=f"{cloud}-{field}")


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_every_field_becomes_something(cloud: str) -> None:
    assert clouds.becomes(cloud).keys() == {*paths(clouds.model(cloud))}


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.parametrize(("cloud", "field"), [*_fields()])
def test_the_named_request_carries_the_value(cloud: str, field: str, tmp_path: Path) -> None:
    calls = clouds.becomes(cloud)[field].calls
    missing, moved = [*calls], set[tuple[str, str]]()
    for turn in _turns(cloud, field):
        moved |= changed(_first(turn, tmp_path, "here"), _first(turn, tmp_path, "there"))
        missing = [call for call in calls if not carries(call, moved)]
        if calls and not missing:
            return
    assert missing == [], sorted(moved)
    assert not moved, "a field without a request sends nothing"


def _first(turn: Turn, folder: Path, which: Literal["here", "there"]) -> Sent:
    if turn.prepare is not None:
        return first_up(turn.case, folder, which, turn)
    edits = turn.here if which == "here" else turn.there
    key = json.dumps([turn.case.id, turn.case.profile, edits], sort_keys=True)
    if key not in _SENT:
        _SENT[key] = first_up(turn.case, folder, which, turn)
    return _SENT[key]


@pytest.mark.deep
@pytest.mark.parametrize(
    ("cloud", "field"),
    [pytest.param(*key, id="-".join(key)) for key, other in OUT_OF_REACH.items() if other],
)
def test_what_cannot_be_another_is_sent(cloud: str, field: str, tmp_path: Path) -> None:
    turn = _turns(cloud, OUT_OF_REACH[cloud, field])[0]
    _all_sent(cloud, [field], first_up(turn.case, tmp_path, "here", turn))


@pytest.mark.deep
@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_two_runs_of_one_profile_send_the_same(cloud: str, tmp_path: Path) -> None:
    turns = [turn for turn in TURNS[cloud] if turn.quick]
    one, other = (first_up(turns[0].case, tmp_path, "there", *turns) for _ in range(2))
    assert not changed(one, other)


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_some_fields_at_once_and_what_has_one_value(cloud: str, tmp_path: Path) -> None:
    turns = [turn for turn in TURNS[cloud] if turn.quick]
    profile = edited(turns[0].case.profile, {"storage.default": "ssd"})
    case = replace(turns[0].case, profile=profile)
    one, other = first_up(case, tmp_path, "here", *turns), first_up(case, tmp_path, "there", *turns)
    moved, table = changed(one, other), clouds.becomes(cloud)
    wrong = {
        turn.field: [call for call in table[turn.field].calls if not carries(call, moved)]
        for turn in turns
    }
    assert not any(wrong.values()), wrong
    _all_sent(cloud, [field for field in table if not _turns(cloud, field)], one)


def _all_sent(cloud: str, some: Iterable[str], sent: Sent) -> None:
    seen = {(operation, field) for operation, found in sent.items() for field, _ in found}
    table = clouds.becomes(cloud)
    calls = [call for field in some for call in table[field].calls]
    assert [call for call in calls if not carries(call, seen)] == []

"""The files in ``facts/`` have the form that ``facts/README.md`` gives them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.facts.rows import CLASSES, CLOUDS, COLUMNS, FOLDER, read, table

WORDS = ("yes", "task")
SHAPES = {"states.tsv": 7, "durations.tsv": 6}
CODE = re.compile(r"[A-Za-z0-9_.]+(/[A-Za-z]+)?")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_rows_have_nine_columns_in_order_and_a_source(cloud: str) -> None:
    heading, *rows = table(f"{cloud}.tsv")
    assert tuple(heading[1]) == COLUMNS
    assert [where for where, row in rows if len(row) != len(COLUMNS)] == []
    facts = read(cloud)
    assert [f.where for f in facts if f.kind not in (*CLASSES, "state")] == []
    assert [f.where for f in facts if not f.source or not f.when or not f.operation] == []
    assert [f.where for f in facts if f.playable not in WORDS and f.playable[:4] != "no: "] == []
    assert [f.where for f in facts if f.code and not CODE.fullmatch(f.code)] == []
    twins = Counter((f.operation, f.code, f.message, f.status, f.late) for f in facts)
    assert [key for key, number in twins.items() if number > 1] == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_row_that_can_be_played_is_a_refusal_with_a_code_or_words(cloud: str) -> None:
    facts = [fact for fact in read(cloud) if fact.playable == "yes"]
    assert facts
    assert [f.where for f in facts if f.kind == "state" or not (f.code or f.message)] == []
    assert [f.where for f in facts if f.status is not None and not 400 <= f.status < 600] == []
    late = [f.where for f in facts if f.late is not None and f.kind != "propagating"]
    assert late == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_one_answer_means_one_thing(cloud: str) -> None:
    """Of the rows that can be played; the others say why they cannot."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for fact in read(cloud):
        if fact.playable == "yes":
            found.setdefault((fact.operation, fact.code, fact.message), set()).add(fact.kind)
    assert {key: kinds for key, kinds in found.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize("name", SHAPES)
def test_states_and_durations_have_their_columns_and_a_source(name: str) -> None:
    rows = table(name)
    assert [where for where, row in rows if len(row) != SHAPES[name]] == []
    assert [where for where, row in rows if not row[-1]] == []


def test_every_file_is_known() -> None:
    known = {f"{cloud}.tsv" for cloud in CLOUDS} | set(SHAPES) | {"mismatches.tsv", "README.md"}
    assert {path.name for path in Path(FOLDER).iterdir()} == known

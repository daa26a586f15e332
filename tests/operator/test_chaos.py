"""Replicas are killed at random, and nothing is made twice, left behind or touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator import chaos


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_eight_clusters_and_three_replicas_of_which_one_is_always_dying(tmp_path: Path) -> None:
    found = chaos.run(tmp_path, 8, every=20.0, within=400.0)
    assert found.kills > 0
    assert (found.twice, found.left, found.touched) == ([], [], [])


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_forty_clusters(tmp_path: Path) -> None:
    found = chaos.run(tmp_path, 40, every=20.0, within=1500.0)
    assert found.kills > 5
    assert (found.twice, found.left, found.touched) == ([], [], [])

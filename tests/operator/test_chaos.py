"""Replicas are killed at random, and nothing is made twice, left behind or touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.operator import chaos


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_eight_clusters_and_three_replicas_of_which_one_is_always_dying(tmp_path: Path) -> None:
    found = chaos.run(tmp_path, 8, every=20.0, within=400.0)
    assert found.kills > 0
    assert (found.twice, found.left, found.touched) == ([], [], [])


REAL = pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="no real API server here")


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kube", ["embedded", pytest.param("envtest", marks=REAL)])
def test_forty_clusters(kube: str, tmp_path: Path) -> None:
    found = chaos.run(tmp_path, 40, every=20.0, within=1500.0, kube=kube)
    assert found.kills > 5
    assert (found.twice, found.left, found.touched) == ([], [], [])

"""Every cloud's profiles for the generic suite."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.drivers import aks_cases, alibaba_cases, eks_cases, gke_cases
from tests.drivers.world import Case

CLOUDS = (eks_cases, alibaba_cases, gke_cases, aks_cases)
MINIMAL = tuple(cloud.MINIMAL_CASE for cloud in CLOUDS)
"""one small profile of every cloud"""
FULL = tuple(cloud.FULL_CASE for cloud in CLOUDS)
"""one with nearly everything of every cloud"""
CASES = tuple(case for cloud in CLOUDS for case in cloud.CASES)


def each(cases: Iterable[Case], deep: Iterable[Case] = ()) -> pytest.MarkDecorator:
    """The test for each of these cases; ``deep`` ones in the long matrix only."""
    long = [pytest.param(case, marks=pytest.mark.deep) for case in deep]
    return pytest.mark.parametrize("case", [*cases, *long], ids=lambda case: case.id)

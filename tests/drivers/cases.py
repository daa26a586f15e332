"""Every cloud's profiles for the generic suite."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.drivers import alibaba_cases, eks_cases, gke_cases
from tests.drivers.world import Case

MINIMAL = (eks_cases.MINIMAL_CASE, alibaba_cases.MINIMAL_CASE, gke_cases.MINIMAL_CASE)
"""one small profile of every cloud"""
FULL = (eks_cases.FULL_CASE, alibaba_cases.FULL_CASE, gke_cases.FULL_CASE)
"""one with nearly everything of every cloud"""
CASES = (*eks_cases.CASES, *alibaba_cases.CASES, *gke_cases.CASES)


def each(cases: Iterable[Case], deep: Iterable[Case] = ()) -> pytest.MarkDecorator:
    """The test for each of these cases; ``deep`` ones in the long matrix only."""
    long = [pytest.param(case, marks=pytest.mark.deep) for case in deep]
    return pytest.mark.parametrize("case", [*cases, *long], ids=lambda case: case.id)

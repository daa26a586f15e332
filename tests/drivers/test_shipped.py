"""Every profile that is shipped comes up and goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.drivers.cases import MINIMAL
from tests.drivers.world import Case, world

CASES = {case.cloud: case for case in MINIMAL}
SHIPPED = sorted((Path(__file__).parents[2] / "profiles").glob("*-*.yaml"))


def _case(path: Path) -> Case:
    profile = yaml.safe_load(path.read_text())
    return replace(CASES[profile["cloud"]], profile=profile, prepare=lambda _: {})


@pytest.mark.deep
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_comes_up_and_goes(path: Path, tmp_path: Path) -> None:
    with world(_case(path), tmp_path) as found:
        found.cloud.activate(found.profile, found.clients())
        found.settle(found.up())
        assert found.plan().empty
        found.settle(found.destroy())
        assert found.destroy_plan().empty

"""docs/verify.md has every check there is, and every check says what people see and what to do."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from clusterkit.clouds import CLOUDS
from clusterkit.kube.api import KubeApi
from clusterkit.ready.subject import Subject
from clusterkit.ready.verify import every

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "verify.md"


@pytest.fixture(scope="module")
def pages() -> Any:
    """What makes the pages."""
    spec = importlib.util.spec_from_file_location("gen_docs", ROOT / "tools" / "gen_docs.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_page_is_what_the_code_says(pages: Any) -> None:
    text = PAGE.read_text()
    assert pages.verify(text) == text, "make docs"


def test_every_id_is_there_once(pages: Any) -> None:
    common = every(Subject(KubeApi(pages.nobody)))
    ids = [check.id for check in common]
    assert ids == [f"K{number}" for number in range(1, 16)]
    for cloud in CLOUDS:
        ids += [check.id for check in pages.checks_of(cloud)]
    rows = re.findall(r"^\| ([A-Z]\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(set(rows)) == sorted(ids)


def test_every_check_says_what_people_see_and_what_to_do(pages: Any) -> None:
    clouds = [check for cloud in CLOUDS for check in pages.checks_of(cloud)]
    for check in (*every(Subject(KubeApi(pages.nobody))), *clouds):
        assert check.seen, check.id
        assert check.cure, check.id

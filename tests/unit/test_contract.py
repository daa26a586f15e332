"""What the engine's contract replaced does not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GONE = {
    "an adapter for an older contract": r"engine[./]adapter|engine[./]resource\b",
    "an older context": r"\bCtx\b",
    "calls wrapped one by one": r"\bgone_is_fine\b",
    "memory by string key": r"\.(recall|forget)\(f?\"",
    "twins that raise in a look": r"\bone_each\b",
    "sweeps whose failure counts as success": r"\bbest_effort\b",
    "dispatch on display strings": r"\bfields = \{\w+\.field for\b",
}


@pytest.mark.parametrize("what", GONE)
def test_the_older_contract_is_gone(what: str) -> None:
    pattern = re.compile(GONE[what])
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "clusterkit").rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, what

"""What is data: ``data/*.json``."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def table(name: str) -> Any:
    """One file, read once: whoever changes a part of it copies that first."""
    file = resources.files("clusterkit_sandbox.azure") / "data" / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8"))

"""The profile that ``clusterkit init --cloud alibaba`` writes."""

from __future__ import annotations

from clusterkit.alibaba.rules import REGION
from clusterkit.core.starter import fill


def starter(name: str, region: str) -> str:
    """A commented profile that validates; raises ``ProfileError`` for a name or region that cannot
    be."""
    return fill("clusterkit.alibaba", name, region, REGION)

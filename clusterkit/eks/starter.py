"""The profile that ``clusterkit init --cloud eks`` writes."""

from __future__ import annotations

from clusterkit.core.starter import fill
from clusterkit.eks.rules import REGION


def starter(name: str, region: str) -> str:
    """A commented profile that validates; raises ``ProfileError`` for a name or region that cannot
    be."""
    return fill("clusterkit.eks", name, region, REGION)

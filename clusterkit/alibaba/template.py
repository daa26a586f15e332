"""The profile that ``clusterkit init --cloud alibaba`` writes."""

from __future__ import annotations

from clusterkit.alibaba.fields import REGION
from clusterkit.profile.template import fill


def template(name: str, region: str) -> str:
    """A commented profile that validates; raises ``ProfileError`` for a name or region that cannot
    be."""
    return fill("clusterkit.alibaba", name, region, REGION)

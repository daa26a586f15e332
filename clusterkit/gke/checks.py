"""What ``clusterkit verify`` asks of Google Cloud beyond the cluster's own API."""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit.gke.client import Clients
from clusterkit.gke.profile import GkeProfile
from clusterkit.ready.checks import Check


def checks(_: GkeProfile, __: Clients) -> Sequence[Check]:
    """No check of its own."""
    return ()

"""What ``clusterkit verify`` asks of Azure beyond the cluster's own API."""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit.aks.client import Clients
from clusterkit.aks.profile import AksProfile
from clusterkit.ready.checks import Check


def checks(_: AksProfile, __: Clients) -> Sequence[Check]:
    """No check of its own."""
    return ()

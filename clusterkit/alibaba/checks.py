"""What ``clusterkit verify`` asks of Alibaba Cloud beyond the cluster's own API."""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.ready.checks import Check


def checks(_: AlibabaProfile, __: Clients) -> Sequence[Check]:
    """No check of its own."""
    return ()

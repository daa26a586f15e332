"""What the reconcilers of a process have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusterkit.engine.cache import Survey
from clusterkit.kube.api import KubeApi
from clusterkit.operator.credentials import CredentialSource
from clusterkit.operator.metrics import Metrics

Body = dict[str, Any]


@dataclass(frozen=True)
class Shared:
    """The management cluster, whose credentials, and how often."""

    kube: KubeApi
    """of the management cluster"""
    credentials: CredentialSource
    metrics: Metrics
    fleet: str
    """identifies the management cluster"""
    interval: float
    """seconds between two looks at a cluster"""
    scale: float
    """``CloudConnection.scale`` of the clouds"""
    survey: Survey
    """what clusters of one account ask alike"""
    post: Callable[[Body, str, str, str], None]
    """posts an Event: of what, its type, reason and message; on the event loop"""

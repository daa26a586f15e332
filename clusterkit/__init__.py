"""One YAML profile in, one working Kubernetes cluster out: ``clusterkit.Cluster``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from clusterkit.version import __version__

if TYPE_CHECKING:
    from clusterkit.cluster import Cluster as Cluster

__all__ = ["Cluster", "__version__"]


def __getattr__(name: str) -> object:
    """Import ``Cluster`` when it is first asked for, so that ``import clusterkit`` stays light."""
    if name == "Cluster":
        return import_module("clusterkit.cluster").Cluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

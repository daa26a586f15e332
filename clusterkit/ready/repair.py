"""What ``clusterkit repair registry-auth`` sets right on a cloud."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Repair:
    """The part of a cluster by which pods log in to the registry."""

    kinds: frozenset[str]
    """kinds of ``Cloud.KINDS``; what is missing of them is made, what differs is changed"""
    besides: frozenset[str] = frozenset()
    """keys of such things that more than the registry depends on: ``up`` makes those"""
    checks: frozenset[str] = frozenset()
    """ids of the cloud's checks that tell why a push is refused"""

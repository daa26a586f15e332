"""What Jenkins X is told of a cluster on ACK, which it has no part of its own for: a Kubernetes
with a registry that takes a password.
"""

from __future__ import annotations

from clusterkit.alibaba.builds import hosts_of
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.ready.jenkinsx import Platform, secret_storage


def platform_of(profile: AlibabaProfile, hosts: tuple[str, ...]) -> Platform:
    """The cluster as Jenkins X names it; ``hosts`` are the registry's, the one inside the VPC
    first.
    """
    registry = profile.registry
    return Platform(
        provider="alibaba",
        cluster=profile.name,
        registry=hosts[0] if hosts else "",
        organization=registry.name if registry else "",
        region=profile.region,
        secret_storage=secret_storage(profile.ready, None),
        external_dns=False,
    )


def platform(profile: AlibabaProfile, clients: Clients, _: str | None) -> Platform:
    """``Cloud.platform``: the registry's host names are read, unless the profile names one."""
    return platform_of(profile, hosts_of(profile, clients))

"""What Jenkins X is told of a cluster on AKS.

All its pods are to the cloud what their node is: the kubelets' identity
(https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``,
``cluster.azure.clusterNodes``).
"""

from __future__ import annotations

from clusterkit.aks.client import Clients
from clusterkit.aks.iam import kubelet_of
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.registry import server_of
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent
from clusterkit.ready.jenkinsx import Platform, secret_storage


def platform_of(profile: AksProfile, server: str, kubelet: str) -> Platform:
    """The cluster as Jenkins X names it. ``server`` is the registry's login server, ``kubelet`` the
    client id of the kubelets' identity.
    """
    registry = profile.registry
    return Platform(
        provider="aks",
        cluster=profile.name,
        registry=server,
        organization=registry.name if registry else "",
        region=profile.region,
        secret_storage=secret_storage(profile.ready, "azurekeyvault"),
        cluster_extra={"azure": {"clusterNodes": {"clientID": kubelet}}},
    )


def platform(profile: AksProfile, clients: Clients, _: str | None) -> Platform:
    """``Cloud.platform``: the registry and the kubelets' identity are read."""
    scope = Scope(clients, profile.name, profile.region)
    kubelet = kubelet_of(scope)
    if not kubelet:
        raise Absent("identity")
    return platform_of(profile, server_of(scope) if profile.registry else "", kubelet)

"""Whom the checks of ``checks.py`` ask, and the words by which users know what they find."""

from __future__ import annotations

from typing import Any

from clusterkit.aks.client import Clients
from clusterkit.aks.cluster import owned
from clusterkit.aks.clusterstate import ClusterState
from clusterkit.aks.iam import Identity, IdentityState
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.registry import Registry, RegistryState
from clusterkit.aks.zones import ZoneState, zone_of
from clusterkit.engine.kind import Kind
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER, NAME

UNAUTHORIZED = (
    "checking push permission for …: POST …/blobs/uploads/: unexpected status code 401 Unauthorized"
)
"""kaniko's words (osscontainertools/kaniko, v1.28.3)"""
NO_HOST = "dial tcp: lookup ….azurecr.io: no such host"
EXPIRED = (
    "UNAUTHORIZED: authentication required, visit https://aka.ms/acr/authorization for more "
    "information."
)
STRANGER = "AADSTS70021: No matching federated identity record found for presented assertion"
"""Microsoft Entra ID's words (Azure/azure-workload-identity, ``docs/book/src/troubleshooting.md``)
"""
NO_TOKEN = "failed to acquire refresh token error refreshing sp token - adal: …"
"""the helper acr-env's (chrismellard/docker-credential-acr-env)"""
NOT_REGISTERED = (
    "MissingSubscriptionRegistration: The subscription is not registered to use namespace"
)
NO_LOCAL = (
    "Getting static credential is not allowed because this cluster is set to disable local accounts"
)
"""hashicorp/terraform-provider-azurerm#15489"""

NO_HOST = "dial tcp: lookup NAME.azurecr.io: no such host"
NO_CONTAINER = "ContainerNotFound: The specified container does not exist."


NO_CONTAINER = "ContainerNotFound: The specified container does not exist."
"""https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""
NO_SECRETS = "ForbiddenByRbac, or AccessDenied: the caller has no permission on the secret"


class Asked:
    """Whom the checks ask, and about what."""

    def __init__(self, profile: AksProfile, clients: Clients) -> None:
        self.profile, self.clients = profile, clients
        self.scope = Scope(clients, profile.name, profile.region)

    def ours(self, kind: type[Kind[Clients, Any]], **tags: str) -> Any:
        """The cluster's own thing of a kind; None if there is none."""
        wanted = {CLUSTER: self.profile.name, **tags}
        listed = ((have, have.tags or {}) for have in kind.list(self.scope))
        found = (have for have, tags in listed if wanted.items() <= tags.items())
        return next((kind.read(self.scope, have) for have in found), None)

    @property
    def registry(self) -> RegistryState | None:
        """The cluster's registry."""
        found: RegistryState | None = self.ours(Registry)
        return found

    def identity(self, name: str) -> IdentityState | None:
        """One of the cluster's identities."""
        found: IdentityState | None = self.ours(Identity, **{NAME: name})
        return found

    @property
    def cluster(self) -> ClusterState | None:
        """The cluster."""
        return next(iter(owned(self.scope)), None)

    @property
    def zone(self) -> ZoneState | None:
        """That of the profile's domain."""
        wanted = self.profile.ready.jenkins_x
        return zone_of(wanted.domain, self.clients) if wanted and wanted.domain else None

"""What Jenkins X is told of a cluster on GKE.

It makes the names of the service accounts of Google's that its own act as from the project and the
cluster's name (https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``).
"""

from __future__ import annotations

from clusterkit.errors import Absent
from clusterkit.gke.builds import access_of
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import owned
from clusterkit.gke.profile import GkeProfile
from clusterkit.ready.jenkinsx import Platform, secret_storage


def platform_of(profile: GkeProfile, project: str, location: str) -> Platform:
    """The cluster as Jenkins X names it; ``location`` is that of the control plane.

    External Secrets looks for the cluster in what Jenkins X calls its region
    (``charts/external-secrets-operator/external-secrets/values.yaml.gotmpl``), so that is the
    location.
    """
    registry = profile.registry
    access = access_of(registry, profile.region, project) if registry else None
    return Platform(
        provider="gke",
        cluster=profile.name,
        registry=f"{access.host}/{access.prefix.rpartition('/')[0]}" if access else "",
        organization=registry.name if registry else "",
        region=location,
        zone="" if location == profile.region else location,
        project=project,
        secret_storage=secret_storage(profile.ready, "gsm"),
    )


def platform(profile: GkeProfile, clients: Clients, account: str | None) -> Platform:
    """``Cloud.platform``: the control plane's location is read."""
    for have in owned(clients, profile.name):
        project = profile.project or account or clients.project
        return platform_of(profile, project, have.location)
    raise Absent(profile.name)

"""What Jenkins X is told of a cluster on GKE.

It makes the names of the service accounts of Google's that its own act as from the project and the
cluster's name (https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``).
"""

from __future__ import annotations

from collections.abc import Mapping

from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent
from clusterkit.gke.builds import access_of
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import owned
from clusterkit.gke.identities import BOOT, SECRETS, address, identities
from clusterkit.gke.profile import GkeProfile
from clusterkit.gke.storage import owned as buckets
from clusterkit.gke.workload import ACT_AS
from clusterkit.naming import NAME
from clusterkit.ready.jenkinsx import STORAGE, Platform, secret_storage


def platform_of(
    profile: GkeProfile, project: str, location: str, storage: Mapping[str, str]
) -> Platform:
    """The cluster as Jenkins X names it; ``location`` is that of the control plane, ``storage``
    what the buckets are for, to their URLs.

    External Secrets looks for the cluster in what Jenkins X calls its region
    (``charts/external-secrets-operator/external-secrets/values.yaml.gotmpl``), so that is the
    location.
    """
    registry = profile.registry
    access = access_of(registry, profile.region, project) if registry else None
    boots = BOOT in identities(profile)
    wanted = profile.ready.jenkins_x
    return Platform(
        provider="gke",
        cluster=profile.name,
        registry=f"{access.host}/{access.prefix.rpartition('/')[0]}" if access else "",
        organization=registry.name if registry else "",
        region=location,
        zone="" if location == profile.region else location,
        project=project,
        secret_storage=secret_storage(profile.ready, SECRETS),
        storage=storage,
        boot_annotations={ACT_AS: address(profile.name, project, BOOT)} if boots else {},
        external_dns=bool(wanted and wanted.domain),
    )


def platform(profile: GkeProfile, clients: Clients, account: str | None) -> Platform:
    """``Cloud.platform``: the control plane's location and the buckets' names are read."""
    wanted, storage = profile.ready.jenkins_x, dict[str, str]()
    if wanted and wanted.storage:
        found = buckets(Scope(clients, profile.name, profile.region))
        there = {have.tags.get(NAME): have.url for have in found}
        if missing := [name for name in STORAGE if name not in there]:
            raise Absent(f"bucket/{missing[0]}")
        storage = {name: there[name] for name in STORAGE}
    for have in owned(clients, profile.name):
        project = profile.project or account or clients.project
        return platform_of(profile, project, have.location, storage)
    raise Absent(profile.name)

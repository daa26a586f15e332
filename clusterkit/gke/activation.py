"""The APIs that a project must have enabled; enabled with consent (``up --activate``), and never
disabled: others may use them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterkit.engine.operation import ended
from clusterkit.engine.retry import Retry
from clusterkit.engine.scope import Scope
from clusterkit.errors import Finding
from clusterkit.gke.client import Clients
from clusterkit.gke.identities import BOOT, identities
from clusterkit.gke.operations import long_running
from clusterkit.gke.profile import GkeProfile

ALWAYS = ("cloudresourcemanager", "compute", "container", "iam")
PUSH = ("artifactregistry", "iamcredentials")
PATIENCE = 300.0
"""seconds until an enabled API is usable everywhere (facts/durations.tsv, "API enabled")"""


def wanted(profile: GkeProfile) -> tuple[str, ...]:
    """The APIs this cluster needs, as Service Usage calls them."""
    names = [*ALWAYS, *(PUSH if profile.registry else ())]
    if wanted := profile.ready.jenkins_x:
        names += ["iamcredentials"] * (not profile.registry) + ["storage"] * wanted.storage
        names += ["secretmanager"] * (BOOT in identities(profile))
        names += ["dns"] * bool(wanted.domain)
    return tuple(f"{name}.googleapis.com" for name in names)


def missing(profile: GkeProfile, clients: Clients) -> list[str]:
    """The wanted services that the project has not enabled."""
    where, enabled = f"projects/{clients.project}/services", {"filter": "state:ENABLED"}
    there = clients.pages(
        "serviceusage", "services.list", where, "services", **enabled, pageSize=200
    )
    names = {str(each["name"]).rpartition("/")[2] for each in there}
    return [name for name in wanted(profile) if name not in names]


def check(profile: GkeProfile, clients: Clients) -> Iterator[Finding]:
    """What is not enabled."""
    if names := missing(profile, clients):
        what = f"project {clients.project} has not enabled {', '.join(names)}"
        cure = f"clusterkit up --activate, or gcloud services enable {' '.join(names)}"
        yield Finding(what, "project", f"{cure} --project={clients.project}")


def activate(profile: GkeProfile, clients: Clients) -> Sequence[str]:
    """Enable what is missing, and wait for it; says what was done."""
    names = missing(profile, clients)
    if not names:
        return ()
    method, path = "services.batchEnable", f"projects/{clients.project}/services:batchEnable"
    made = clients.call("serviceusage", method, "POST", path, {"serviceIds": names})
    if not made.get("done"):
        operation = long_running("serviceusage", made, f"serviceusage.{method}")
        scope, wire = Scope(clients, clients.target.name, clients.region), clients.wire
        Retry(wire.scale, wire.waiting, patience=PATIENCE)(lambda: ended(operation, scope))
    return [f"enabled {', '.join(names)} in project {clients.project}"]

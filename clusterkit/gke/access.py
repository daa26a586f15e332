"""How Kubernetes is reached: by the control plane's address or its DNS name, as Google knows us."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from clusterkit.engine.target import Target
from clusterkit.errors import Absent
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import owned
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.kubeconfig import exec_stanza

REACHABLE = ("RUNNING", "RECONCILING", "DEGRADED")
"""states in which the API server answers"""
RIGHTS = (
    "rights in Kubernetes come from the project: its IAM policy gives roles/container.admin, or "
    "roles/container.developer to deploy only"
)
"""https://cloud.google.com/kubernetes-engine/docs/how-to/iam"""
PLUGIN = "gke-gcloud-auth-plugin"


def access(clients: Clients, target: Target) -> Access:
    """How to reach the cluster's Kubernetes API; ``Absent`` while none of ours is running.

    Behind its DNS name a public authority vouches for it, not the cluster's own
    (https://cloud.google.com/kubernetes-engine/docs/concepts/network-isolation).
    """
    found = [one for one in owned(clients, target.name) if one.status in REACHABLE]
    if not found or not (found[0].endpoint or found[0].dns_name):
        raise Absent(target.name)
    have, public = found[0], clients.wire.ca_file
    by_name = have.dns and bool(have.dns_name)
    own = base64.b64decode(have.ca).decode()
    return Access(
        server=f"https://{have.dns_name if by_name else have.endpoint}",
        ca=own if not by_name else public.read_text() if public else "",
        token=lambda: clients.bearer().token,
        proxy=clients.wire.proxy,
        rights=RIGHTS,
    )


def credential(clients: Clients, _: Target, __: int | None) -> Credential:
    """The token for Google's APIs, which Kubernetes takes too."""
    bearer = clients.bearer()
    return Credential(bearer.expires, token=bearer.token)


def exec_native(_: Target) -> Mapping[str, Any]:
    """The ``exec`` stanza that ``gcloud container clusters get-credentials`` writes."""
    more = {"installHint": f"gcloud components install {PLUGIN}", "provideClusterInfo": True}
    return {**exec_stanza(PLUGIN, [], {}), **more}

"""Service accounts of Kubernetes as principals of Google Cloud."""

from __future__ import annotations

from clusterkit_sandbox.google import account
from clusterkit_sandbox.google.tokens import Caller


def federated(pool: str, namespace: str, name: str) -> Caller:
    """A service account of Kubernetes, as policies name it."""
    number = account.PROJECTS[pool.partition(".")[0]]
    pools = f"iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools"
    principals = (
        f"principal://{pools}/{pool}/subject/ns/{namespace}/sa/{name}",
        f"serviceAccount:{pool}[{namespace}/{name}]",
        f"principalSet://{pools}/{pool}/namespace/{namespace}",
    )
    return Caller(f"{pool}[{namespace}/{name}]", "", principals=principals)

"""What Kubernetes Service gives the pods of a cluster, and what answers on their machines.

- The webhook of workload identity (azure/azure-workload-identity, docs/book: "Labels and
  annotations", "Mutating admission webhook"): variables and a token for pods with the label, while
  the cluster has it switched on.
- The instance metadata service (vendor: "How to use managed identities on an Azure VM to acquire an
  access token"): tokens of the kubelets' identity, which the machines have.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure.account import TENANT
from clusterkit_sandbox.azure.entra import audience_of
from clusterkit_sandbox.azure.failure import json_answer
from clusterkit_sandbox.azure.model import LOGIN
from clusterkit_sandbox.azure.resources import Cluster
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.azure.tokens import LIFE
from clusterkit_sandbox.kube.interfaces import Injected, RunningPod

_PREFIX = "azure.workload.identity"
_TOKEN = "/var/run/secrets/azure/tokens/azure-identity-token"
_AUDIENCE = "api://AzureADTokenExchange"
_METADATA = "169.254.169.254"


def injected(cluster: Cluster | None, pod: RunningPod) -> Injected | None:
    """What the webhook adds; the annotations alone do nothing."""
    if cluster is None or pod.labels.get(f"{_PREFIX}/use") != "true":
        return None
    profile = (cluster.properties.get("securityProfile") or {}).get("workloadIdentity") or {}
    if not profile.get("enabled"):
        return None
    variables = {
        "AZURE_TENANT_ID": pod.annotations.get(f"{_PREFIX}/tenant-id", TENANT),
        "AZURE_AUTHORITY_HOST": f"https://{LOGIN}/",
        "AZURE_FEDERATED_TOKEN_FILE": _TOKEN,
    }
    client = pod.annotations.get(f"{_PREFIX}/client-id")
    if client:
        variables["AZURE_CLIENT_ID"] = client
    return Injected(variables, {_TOKEN: _AUDIENCE})


def nearby(
    store: Store, cluster: Cluster | None, method: str, url: str, headers: Mapping[str, str]
) -> Answer | None:
    """The answer of the metadata service; None for anything else."""
    parts = urlsplit(url)
    if parts.hostname != _METADATA or cluster is None:
        return None
    if headers.get("Metadata") != "true":
        return _refused("Required metadata header not specified")
    if (method, parts.path) != ("GET", "/metadata/identity/oauth2/token"):
        return json_answer(404, {"error": "Not found"})
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    audience = audience_of(query.get("resource", ""))
    if audience is None:
        return _refused("Resource is not supported")
    profile = (cluster.properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    client = query.get("client_id", profile.get("clientId"))
    with store.lock:
        caller = store.tokens.principal(str(profile.get("objectId", "")))
        if caller is None or client != profile.get("clientId"):
            return _refused("Identity not found")
        token = store.tokens.grant(caller, audience)
    body = {
        "access_token": token,
        "client_id": client,
        "expires_in": str(LIFE - 1),
        "expires_on": str(int(time.time()) + LIFE - 1),
        "resource": query.get("resource", ""),
        "token_type": "Bearer",
    }
    return json_answer(200, body)


def _refused(text: str) -> Answer:
    return json_answer(400, {"error": "invalid_request", "error_description": text})

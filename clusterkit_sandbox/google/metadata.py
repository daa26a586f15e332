"""What answers the pods of a cluster at ``metadata.google.internal``.

Vendor: "About Workload Identity Federation for GKE". On pools with ``GKE_METADATA`` it is GKE's own
server: it exchanges the token of the pod's service account, and where that has the annotation
``iam.gke.io/gcp-service-account`` it gets a token of that account with the result. On other pools,
and for pods on the host's network, it is Compute Engine's: tokens of the machine's service account,
with the scopes that the pool was made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google.authorization import may
from clusterkit_sandbox.google.clusterrecords import Cluster, pools_of
from clusterkit_sandbox.google.failure import json_answer
from clusterkit_sandbox.google.nodes import machines_of
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tokens import LIFE, Caller
from clusterkit_sandbox.google.workloads import federated
from clusterkit_sandbox.kube.interfaces import RunningPod
from clusterkit_sandbox.permissions import Permissions

_HOSTS = ("metadata.google.internal", "metadata", "169.254.169.254")
_ACCOUNTS = "/computeMetadata/v1/instance/service-accounts"
_ANNOTATION = "iam.gke.io/gcp-service-account"
_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
_ACT = "iam.serviceAccounts.getAccessToken"


def nearby(
    store: Store, cluster: Cluster | None, pod: RunningPod, url: str, headers: Mapping[str, str]
) -> Answer | None:
    """The server's answer; None for any other address."""
    parts = urlsplit(url)
    if parts.hostname not in _HOSTS or cluster is None:
        return None
    if headers.get("Metadata-Flavor") != "Google":
        return Answer(403, (("Content-Type", "text/html"),), b"Missing Metadata-Flavor:Google\n")
    if parts.path != f"{_ACCOUNTS}/default/token":
        return Answer(404, (("Content-Type", "text/html"),), b"Not Found\n")
    with store.lock:
        caller, why = _caller(store, cluster, pod)
        if caller is None:
            return Answer(403, (("Content-Type", "text/plain"),), f"{why}\n".encode())
        token = store.tokens.grant(caller)
    body = {"access_token": token, "expires_in": LIFE, "token_type": "Bearer"}
    return json_answer(200, body)


def _caller(store: Store, cluster: Cluster, pod: RunningPod) -> tuple[Caller | None, str]:
    """Who the pod is, or why it is nobody."""
    machine = pod.machine.rpartition("/")[2]
    for pool in pools_of(store, cluster):
        for instance in machines_of(store, pool):
            if instance.name != machine:
                continue
            mode = (pool.shown["config"].get("workloadMetadataConfig") or {}).get("mode")
            if mode == "GKE_METADATA" and not pod.host_network:
                return _workload(store, cluster, pod)
            accounts = instance.shown.get("serviceAccounts") or ()
            for one in accounts:
                return _machine(store, one["email"], one["scopes"]), "account not found"
    return None, "the machine has no service account"


def _workload(store: Store, cluster: Cluster, pod: RunningPod) -> tuple[Caller | None, str]:
    pool = (cluster.shown.get("workloadIdentityConfig") or {}).get("workloadPool", "")
    own = federated(pool, pod.namespace, pod.account)
    email = pod.annotations.get(_ANNOTATION)
    if not email:
        return own, ""
    project = email.partition("@")[2].partition(".")[0]
    caller = store.principal(email)
    resource = f"projects/{project}/serviceAccounts/{email}"
    if caller is None or not may(store, own, _ACT, resource):
        return None, f"Permission '{_ACT}' denied on resource (or it may not exist)."
    return caller, ""


def _machine(store: Store, email: str, scopes: list[str]) -> Caller | None:
    """The machine's account; without the scope cloud-platform it may not write to registries."""
    caller = store.principal(email)
    if caller is None or _PLATFORM in scopes:
        return caller
    return Caller(caller.email, caller.unique_id, limits=Permissions(("nothing:Allowed",)))

"""The pod of a cluster autoscaler that somebody installed in the cluster."""

from __future__ import annotations

from clusterkit_sandbox.kube.accounts import SERVICE_ACCOUNTS, TokenIssuer
from clusterkit_sandbox.kube.interfaces import ScalerPod
from clusterkit_sandbox.kube.kinds import PODS, Object
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState

NAME = "cluster-autoscaler"


def installed(state: ClusterState) -> Object | None:
    """A running pod with the image of the autoscaler."""
    for pod in state.store.list(PODS):
        if dig(pod, "status.phase") == "Running" and _program(pod) is not None:
            return pod
    return None


def as_scaler(state: ClusterState, issuer: TokenIssuer, pod: Object) -> ScalerPod | None:
    """The pod as clouds see it; None if its ServiceAccount is gone."""
    namespace = pod["metadata"]["namespace"]
    name = pod["spec"].get("serviceAccountName") or "default"
    account, program = state.get(SERVICE_ACCOUNTS, namespace, name), _program(pod)
    if account is None or program is None:
        return None
    return ScalerPod(
        namespace,
        pod["metadata"]["name"],
        name,
        dict(account["metadata"].get("annotations") or {}),
        (*(program.get("command") or ())[1:], *(program.get("args") or ())),
        {one["name"]: one.get("value", "") for one in program.get("env") or ()},
        lambda audience: issuer.issue(account, [audience])[0],
    )


def _program(pod: Object) -> Object | None:
    """The autoscaler's container, which is known by its image."""
    containers: list[Object] = pod["spec"]["containers"]
    for container in containers:
        image = container["image"].rpartition("/")[2].partition("@")[0].partition(":")[0]
        if image == NAME:
            return container
    return None

"""What Kubernetes made in the cloud, removed through Kubernetes before the cluster goes.

Load balancers and volumes cost money, live outside the cluster and outlive it. Kubernetes removes
them when the object they are for is deleted, so that is what a destroy does first. These rows are
optional: with a dead API server, or a controller that is gone, the cloud's own sweep finds what
stays by the cluster's tag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusterkit.engine.kind import Leftover
from clusterkit.engine.scope import Scope
from clusterkit.kube.api import HasKube, Object

POD_GRACE = 30
"""seconds; Kubernetes' own default, in place of the longer ones that pods may ask for"""
PATIENCE = 300.0
"""seconds; what Kubernetes does here takes a minute or two; the cloud's sweep waits for the rest"""


@dataclass(frozen=True)
class DrainedState:
    """An object somebody made that stands for something in the cloud."""

    id: str
    """``NAMESPACE/NAME``"""
    path: str
    status: str = ""


def _delete(scope: Scope[HasKube], have: DrainedState) -> None:
    scope.client.kube.delete(have.path)


def _balanced(scope: Scope[HasKube]) -> Iterable[DrainedState]:
    found = scope.client.kube.list("/api/v1/services")
    balanced = (item for item in found if item["spec"].get("type") == "LoadBalancer")
    return [_drained(item, "/api/v1", "services") for item in balanced]


LoadBalancerServices = Leftover[HasKube](
    "load-balancer-services",
    _balanced,
    _delete,
    dies_with="cluster",
    patience=PATIENCE,
    optional=True,
)
"""Every Service of type LoadBalancer; a finalizer keeps it until its load balancer is gone
(https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/).
"""


def _ingresses(scope: Scope[HasKube]) -> Iterable[DrainedState]:
    group = "/apis/networking.k8s.io/v1"
    return [
        _drained(item, group, "ingresses") for item in scope.client.kube.list(f"{group}/ingresses")
    ]


Ingresses = Leftover[HasKube](
    "ingresses", _ingresses, _delete, dies_with="cluster", patience=PATIENCE, optional=True
)
"""Every Ingress, whatever its class: a controller may have made a load balancer for it, and one
that did keeps the Ingress by a finalizer until that is gone.
"""


@dataclass(frozen=True)
class VolumeState:
    """A persistent volume that goes with its claim."""

    id: str
    status: str
    """``Bound``, ``Released``, ``Failed``"""
    claim: str | None
    """the claim's path, while there is one"""
    pods: tuple[str, ...]
    """paths of the pods that hold it"""


def volume_claims(keeps: Callable[[Scope[Any]], bool]) -> Leftover[Any]:
    """Every volume that a driver made for a claim and removes with it (reclaim policy ``Delete``);
    none where ``keeps`` says that volumes outlive the cluster.

    A claim goes only when no running pod uses it, and its owner replaces such a pod. So
    first no node takes pods any more, then the claim is deleted, then the pods that use it. The new
    pods find no node, and a pod without a node does not hold a claim (``podUsesPVC`` of
    k8s.io/kubernetes/pkg/controller/volume/pvcprotection). A StatefulSet creates its claim again;
    with binding mode ``WaitForFirstConsumer`` that one gets no volume. Pods without such volumes,
    the storage driver's among them, go on running. It is over when the volume is gone, not the
    claim.
    """

    def listed(scope: Scope[HasKube]) -> Iterable[VolumeState]:
        if keeps(scope):
            return ()
        kube = scope.client.kube
        volumes = [item for item in kube.list("/api/v1/persistentvolumes") if _goes(item)]
        if not volumes:
            return ()
        users = _users(kube.list("/api/v1/pods"))
        return [_volume(item, users) for item in volumes]

    return Leftover(
        "volume-claims", listed, _release, patience=PATIENCE, dies_with="cluster", optional=True
    )


def _release(scope: Scope[HasKube], have: VolumeState) -> None:
    if have.claim is None:  # its driver is at it already
        return
    kube = scope.client.kube
    for node in kube.list("/api/v1/nodes"):
        if not node["spec"].get("unschedulable"):
            path = f"/api/v1/nodes/{node['metadata']['name']}"
            kube.patch(path, {"spec": {"unschedulable": True}})
    kube.delete(have.claim)
    for pod in have.pods:
        kube.delete(pod, grace=POD_GRACE)


def _drained(item: Object, group: str, plural: str) -> DrainedState:
    metadata = item["metadata"]
    path = f"{group}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
    status = "deleting" if metadata.get("deletionTimestamp") else ""
    return DrainedState(f"{metadata['namespace']}/{metadata['name']}", path, status)


def _goes(volume: Object) -> bool:
    """Whether it was made by a driver for a claim, and is removed with the claim."""
    spec, metadata = volume["spec"], volume["metadata"]
    made = "pv.kubernetes.io/provisioned-by" in (metadata.get("annotations") or {})
    return made and spec.get("persistentVolumeReclaimPolicy") == "Delete" and "claimRef" in spec


def _users(pods: list[Object]) -> dict[str, list[str]]:
    """Claim path to the paths of the pods on a node that use it."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    for pod in pods:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if not pod["spec"].get("nodeName"):
            continue
        for volume in pod["spec"].get("volumes") or ():
            if claim := _claim_name(volume, name):
                users[_claim(namespace, claim)].append(
                    f"/api/v1/namespaces/{namespace}/pods/{name}"
                )
    return users


def _claim_name(volume: Object, pod: str) -> str:
    if "ephemeral" in volume:  # its claim is named after both
        return f"{pod}-{volume['name']}"
    return str((volume.get("persistentVolumeClaim") or {}).get("claimName", ""))


def _claim(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"


def _volume(item: Object, users: dict[str, list[str]]) -> VolumeState:
    phase: str = item.get("status", {}).get("phase", "")
    reference: dict[str, Any] = item["spec"]["claimRef"]
    claim = _claim(reference["namespace"], reference["name"]) if phase == "Bound" else None
    pods = tuple(users.get(claim, ())) if claim else ()
    return VolumeState(item["metadata"]["name"], phase.lower(), claim, pods)

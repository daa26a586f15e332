"""A claim and its volume: what makes them fit, and what binds them to each other."""

from __future__ import annotations

from typing import Any

from clusterkit_sandbox.kube.controllers.nodes import ZONE_LABEL
from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.controllers.scheduler import CLAIMS, VOLUMES
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.quantities import parse
from clusterkit_sandbox.kube.selectors import dig

BINDER = "persistentvolume-controller"


_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"


def bind_claim(runtime: Runtime, claim: Object, volume: Object) -> None:
    """Point a claim and a volume at each other."""
    reference = _reference(claim)
    name = volume["metadata"]["name"]

    def point(new: Object) -> None:
        new["spec"]["claimRef"] = reference

    def take(new: Object) -> None:
        new["spec"]["volumeName"] = name
        annotations = new["metadata"].setdefault("annotations", {})
        annotations["pv.kubernetes.io/bind-completed"] = "yes"

    runtime.writer.edit(VOLUMES, volume, point, BINDER)
    runtime.writer.set_status(VOLUMES, volume, BINDER, phase="Bound")
    runtime.writer.edit(CLAIMS, claim, take, BINDER)
    runtime.writer.set_status(
        CLAIMS,
        claim,
        BINDER,
        phase="Bound",
        accessModes=volume["spec"]["accessModes"],
        capacity=volume["spec"]["capacity"],
    )


def _reference(claim: Object) -> Object:
    metadata = claim["metadata"]
    return {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def suits(volume: Object, spec: Object) -> bool:
    wanted = volume["spec"]
    return (
        (wanted.get("storageClassName") or "") == (spec.get("storageClassName") or "")
        and set(spec["accessModes"]) <= set(wanted["accessModes"])
        and parse(wanted["capacity"]["storage"]) >= parse(spec["resources"]["requests"]["storage"])
        and dig(volume, "status.phase") == "Available"
    )


def provisioned(
    name: str, handle: str, size: int, zone: str, claim: Object, found: Object
) -> dict[str, Any]:
    expression = {"key": ZONE_LABEL, "operator": "In", "values": [zone]}
    return {
        "metadata": {
            "name": name,
            "annotations": {_PROVISIONED_BY: found["provisioner"]},
            "finalizers": [FINALIZER],
        },
        "spec": {
            "capacity": {"storage": f"{size}Gi"},
            "claimRef": _reference(claim),
            "accessModes": list(claim["spec"]["accessModes"]),
            "persistentVolumeReclaimPolicy": found.get("reclaimPolicy") or "Delete",
            "storageClassName": found["metadata"]["name"],
            "volumeMode": claim["spec"].get("volumeMode") or "Filesystem",
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
            },
            "csi": {"driver": found["provisioner"], "volumeHandle": handle},
        },
    }

"""Claims and volumes: bound, provisioned, protected, reclaimed (Kubernetes documentation,
"Persistent Volumes", "Storage Classes").

Volumes are made and removed through the cloud, by the CSI driver a class names, once that driver
works there.
"""

from __future__ import annotations

from collections.abc import Iterable

from clusterkit_sandbox.kube.admission import CLAIM_PROTECTION, VOLUME_PROTECTION
from clusterkit_sandbox.kube.controllers.binding import (
    BINDER,
    FINALIZER,
    bind_claim,
    provisioned,
    suits,
)
from clusterkit_sandbox.kube.controllers.nodes import NODES, ZONE_LABEL
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.controllers.scheduler import CLAIMS, SELECTED_NODE, VOLUMES, claims_of
from clusterkit_sandbox.kube.interfaces import Volume, VolumeRequest
from clusterkit_sandbox.kube.kinds import CLASSES, PODS, Object
from clusterkit_sandbox.kube.quantities import gibibytes
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change

_FOR = "kubernetes.io/created-for/"


class ClaimController:
    """Binds claims, makes volumes for them, and protects those in use."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Claims; those a pod used; those that wait when a class or a volume appears."""
        state = self._runtime.state
        if change.key == CLAIMS:
            if change.type != "DELETED":
                yield ref_of(CLAIMS, change.object)
        elif change.key == PODS:
            namespace = change.object["metadata"]["namespace"]
            for name in claims_of(change.object):
                yield CLAIMS, namespace, name
        elif change.key in (CLASSES, VOLUMES):
            for claim in state.store.list(CLAIMS):
                if dig(claim, "status.phase") != "Bound":
                    yield ref_of(CLAIMS, claim)

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one claim."""
        claim = self._runtime.state.get(*ref)
        if claim is None:
            return None
        if claim["metadata"].get("deletionTimestamp"):
            self._release(claim)
            return None
        if dig(claim, "status.phase") == "Bound":
            return None
        if dig(claim, "status.phase") is None:
            self._runtime.writer.set_status(CLAIMS, claim, BINDER, phase="Pending")
        return self._bind(claim)

    def _release(self, claim: Object) -> None:
        metadata = claim["metadata"]
        used = any(
            metadata["name"] in claims_of(pod) and dig(pod, "spec.nodeName")
            for pod in self._runtime.state.store.list(PODS, metadata["namespace"])
        )
        if not used and CLAIM_PROTECTION in (metadata.get("finalizers") or ()):
            self._runtime.writer.remove_finalizer(CLAIMS, claim, CLAIM_PROTECTION)

    def _bind(self, claim: Object) -> float | None:
        runtime, spec = self._runtime, claim["spec"]
        volume = self._match(claim)
        if volume is not None:
            bind_claim(runtime, claim, volume)
            return None
        name = spec.get("storageClassName")
        if spec.get("volumeName") or not name:
            told = "no persistent volumes available for this claim and no storage class is set"
            runtime.events.normal(claim, "FailedBinding", told, BINDER)
            return None
        found = runtime.state.get(CLASSES, "", name)
        if found is None:
            told = f'storageclass.storage.k8s.io "{name}" not found'
            runtime.events.warning(claim, "ProvisioningFailed", told, BINDER)
            return None
        selected = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if found.get("volumeBindingMode") == "WaitForFirstConsumer" and not selected:
            told = "waiting for first consumer to be created before binding"
            runtime.events.normal(claim, "WaitForFirstConsumer", told, BINDER)
            return None
        left = runtime.left(("provision", claim["metadata"]["uid"]), "kube/volume/provision")
        return left or self._provision(claim, found, self._zone(selected))

    def _match(self, claim: Object) -> Object | None:
        spec = claim["spec"]
        for volume in self._runtime.state.store.list(VOLUMES):
            reference = volume["spec"].get("claimRef") or {}
            metadata = claim["metadata"]
            ours = (reference.get("namespace"), reference.get("name")) == (
                metadata["namespace"],
                metadata["name"],
            ) and reference.get("uid") in (None, metadata["uid"])
            if spec.get("volumeName"):
                if volume["metadata"]["name"] == spec["volumeName"] and (not reference or ours):
                    return volume
                continue
            if ours or (not reference and suits(volume, spec)):
                return volume
        return None

    def _zone(self, node: str | None) -> str:
        nodes = self._runtime.state.store.list(NODES)
        for found in nodes:
            if node in (None, found["metadata"]["name"]):
                return str(found["metadata"]["labels"].get(ZONE_LABEL, ""))
        return ""

    def _provision(self, claim: Object, found: Object, zone: str) -> float | None:
        runtime, metadata = self._runtime, claim["metadata"]
        provisioner = found["provisioner"]
        if not zone:
            return runtime.retry()
        name = f"pvc-{metadata['uid']}"
        size = gibibytes(dig(claim, "spec.resources.requests.storage"))
        tags = {
            f"{_FOR}pvc/namespace": metadata["namespace"],
            f"{_FOR}pvc/name": metadata["name"],
            f"{_FOR}pv/name": name,
        }
        parameters = dict(found.get("parameters") or {})
        asked = VolumeRequest(provisioner, name, size, zone, parameters, tags)
        hooks = runtime.hooks

        def work() -> Volume | None:
            if provisioner not in hooks.provisioners():
                return None
            made = hooks.create_volume(asked)
            return made if isinstance(made, Volume) else Volume(made, size)

        def done(volume: Volume | None) -> None:
            if volume is None:
                told = (
                    "Waiting for a volume to be created either by the external provisioner"
                    f" '{provisioner}' or manually by the system administrator. If volume creation"
                    " is delayed, please verify that the provisioner is running and correctly"
                    " registered."
                )
                runtime.events.normal(claim, "ExternalProvisioning", told, BINDER)
                return
            made = provisioned(name, volume.id, volume.size, zone, claim, found)
            made = runtime.writer.make(VOLUMES, "", made, provisioner)
            told = f"Successfully provisioned volume {name}"
            runtime.events.normal(claim, "ProvisioningSucceeded", told, provisioner)
            latest = runtime.state.current(CLAIMS, claim)
            if latest is not None:
                bind_claim(runtime, latest, made)

        def failed(words: str) -> None:
            told = f'failed to provision volume with StorageClass "{found["metadata"]["name"]}"'
            runtime.events.warning(claim, "ProvisioningFailed", f"{told}: {words}", provisioner)

        runtime.call(("provision", metadata["uid"]), work, done, failed)
        # looked at again as long as it is unbound: the driver may be absent, or have failed
        return runtime.retry()


class VolumeController:
    """Frees and removes volumes whose claim is gone."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Volumes, and the volume of a claim that was deleted."""
        if change.key == VOLUMES and change.type != "DELETED":
            yield ref_of(VOLUMES, change.object)
        elif change.key == CLAIMS and change.type == "DELETED":
            name = change.object["spec"].get("volumeName")
            if name:
                yield VOLUMES, "", name

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one volume."""
        runtime = self._runtime
        volume = runtime.state.get(*ref)
        if volume is None:
            return None
        reference = volume["spec"].get("claimRef") or {}
        phase = dig(volume, "status.phase")
        if not reference.get("uid"):
            if volume["metadata"].get("deletionTimestamp"):
                runtime.writer.remove_finalizer(VOLUMES, volume, VOLUME_PROTECTION)
            elif phase != "Available":
                runtime.writer.set_status(VOLUMES, volume, BINDER, phase="Available")
            return None
        claim = runtime.state.get(CLAIMS, reference["namespace"], reference["name"])
        if claim is not None and claim["metadata"]["uid"] == reference["uid"]:
            return None
        if phase != "Released":
            runtime.writer.set_status(VOLUMES, volume, BINDER, phase="Released")
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self._reclaim(volume)
            return runtime.retry()
        if volume["metadata"].get("deletionTimestamp"):
            self._forget(volume)
        return None

    def _reclaim(self, volume: Object) -> None:
        runtime = self._runtime
        handle = dig(volume, "spec.csi.volumeHandle")

        def work() -> None:
            if handle:
                runtime.hooks.delete_volume(handle)

        def done(_: None) -> None:
            latest = runtime.state.current(VOLUMES, volume)
            if latest is not None:
                self._forget(latest)

        def failed(words: str) -> None:
            runtime.events.warning(volume, "VolumeFailedDelete", words, BINDER)

        runtime.call(("reclaim", volume["metadata"]["uid"]), work, done, failed)

    def _forget(self, volume: Object) -> None:
        state, writer = self._runtime.state, self._runtime.writer
        writer.drop(VOLUMES, volume)
        for finalizer in (VOLUME_PROTECTION, FINALIZER):
            latest = state.current(VOLUMES, volume)
            if latest is not None:
                writer.remove_finalizer(VOLUMES, latest, finalizer)

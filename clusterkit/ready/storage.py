"""Checks of storage: the default class, its driver, and claims that are bound."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from clusterkit.kube.api import Object
from clusterkit.kube.storage import is_default
from clusterkit.ready.checks import Check, Result
from clusterkit.ready.probe import Probe, pause
from clusterkit.ready.subject import Subject

SIZES = (1, 8)
"""GiB: the least that charts ask for, and what Jenkins, ChartMuseum and Nexus do"""
PATIENCE = 300.0
"""seconds in which a claim is bound and mounted"""
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"
MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
"""which driver does the work of a provisioner that was part of Kubernetes
(k8s.io/csi-translation-lib, ``plugins``)"""
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


def checks(subject: Subject) -> Iterator[Check]:
    """K3, K4 and K5."""
    yield Check(
        "K3",
        "exactly one StorageClass is the default",
        "static",
        partial(_default, subject),
        seen="no persistent volumes available for this claim and no storage class is set",
        cure="storage in the profile and clusterkit up, or: kubectl annotate storageclass NAME "
        "storageclass.kubernetes.io/is-default-class=true",
    )
    yield Check(
        "K4",
        "the driver of the default StorageClass is installed",
        "static",
        partial(_driver, subject),
        seen="Waiting for a volume to be created either by the external provisioner",
        cure="install the driver: clusterkit up, or the cloud's add-on for disks",
    )
    yield Check(
        "K5",
        "claims of 1 GiB and 8 GiB are bound and mounted",
        "probe",
        partial(_claims, subject),
        seen=UNBOUND,
        cure="kubectl describe pvc says why; K3 and K4 name what is missing",
    )


def _defaults(subject: Subject) -> list[Object]:
    """The default classes, the newest first, as Kubernetes takes it."""
    found = [item for item in subject.list(CLASSES) if is_default(item)]
    found.sort(key=lambda item: str(item["metadata"]["name"]))
    found.sort(key=lambda item: str(item["metadata"].get("creationTimestamp")), reverse=True)
    return found


def _default(subject: Subject) -> Iterator[Result]:
    names = [item["metadata"]["name"] for item in _defaults(subject)]
    if not names:
        yield Result("failed", "no StorageClass is the default")
    elif len(names) == 1:
        yield Result("passed", f"{names[0]} is the default")
    else:
        yield Result(
            "warned",
            f"{len(names)} classes are the default, and Kubernetes takes the newest: {names[0]}",
            f"storageclass/{names[0]}",
            "volumes are of another class than is expected",
            "; ".join(
                f"kubectl annotate --overwrite storageclass {each} "
                "storageclass.kubernetes.io/is-default-class=false"
                for each in names[1:]
            ),
        )


def _driver(subject: Subject) -> Iterator[Result]:
    defaults = _defaults(subject)
    if not defaults:
        yield Result("skipped", "there is no default StorageClass (K3)")
        return
    name, provisioner = str(defaults[0]["metadata"]["name"]), str(defaults[0]["provisioner"])
    where = f"storageclass/{name}"
    driver = MIGRATED.get(provisioner, provisioner)
    drivers = {item["metadata"]["name"] for item in subject.list(DRIVERS)}
    if driver in drivers:
        yield Result("passed", f"{driver} is installed", where)
    elif provisioner == "kubernetes.io/no-provisioner":
        yield Result("failed", "its volumes have to be made by hand", where)
    elif "csi" in driver or provisioner.startswith("kubernetes.io/"):
        yield Result("failed", f"there is no CSIDriver {driver}", where)
    else:
        what = f"{provisioner} is not a CSI driver, so only --probe can tell"
        yield Result("skipped", what, where)


def _claims(subject: Subject) -> Iterator[Result]:
    with Probe(subject, "k5") as probe:
        names = {size: f"claim-{size}gi-{probe.name[-6:]}" for size in SIZES}
        paths = {
            size: probe.make("persistentvolumeclaims", _claim(names[size], size)) for size in SIZES
        }
        pod = probe.make("pods", _user(f"user-{probe.name[-6:]}", list(names.values())))

        def there() -> bool | None:
            found = subject.kube.get(pod) or {}
            return True if (found.get("status") or {}).get("phase") == "Running" else None

        if subject.wait(there, subject.end(PATIENCE)):
            yield Result("passed", "bound and mounted")
        else:
            yield from _unbound(subject, probe, names, paths, pod)
    yield from probe.left


def _unbound(
    subject: Subject, probe: Probe, names: dict[int, str], paths: dict[int, str], pod: str
) -> Iterator[Result]:
    """What was not bound, in the words of the events."""
    bound = True
    for size, path in paths.items():
        claim = subject.now(path)
        if (claim.get("status") or {}).get("phase") == "Bound":
            continue
        bound = False
        told = [each for each in probe.events(names[size]) if "WaitForFirstConsumer" not in each]
        yield Result(
            "failed",
            f"a claim of {size} GiB is still Pending: {told[-1] if told else 'nobody says why'}",
            f"storageclass/{(claim.get('spec') or {}).get('storageClassName') or '(none)'}",
        )
    if bound:
        told = probe.events(pod.rpartition("/")[2])
        yield Result(
            "failed",
            f"the volumes are bound, and the pod does not run: {told[-1] if told else ''}",
            "pod",
            "Unable to attach or mount volumes",
            "kubectl describe pod says more",
        )


def _claim(name: str, size: int) -> Object:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{size}Gi"}},
    }
    metadata = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
    }


def _user(name: str, claims: list[str]) -> Object:
    """A pod that mounts them: many classes make a volume only for one."""
    volumes = [
        {"name": f"data-{number}", "persistentVolumeClaim": {"claimName": claim}}
        for number, claim in enumerate(claims)
    ]
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    return pause(name, volumes=volumes, mounts=mounts)

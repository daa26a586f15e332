"""The admission controllers and create strategies a cluster has switched on by default.

Kubernetes documentation, "Admission Control": NamespaceLifecycle, ServiceAccount, Priority,
DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize, PodSecurity; and
LimitRanger, ResourceQuota; and what the API server itself allocates: cluster IPs, node ports, the
selectors of Jobs. Webhooks are stored but not called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusterkit_sandbox.kube import limits, podsecurity
from clusterkit_sandbox.kube.conditions import condition
from clusterkit_sandbox.kube.kinds import CLASSES, GroupPlural, Object, Resource
from clusterkit_sandbox.kube.quantities import parse
from clusterkit_sandbox.kube.refusals import Cause, forbidden, invalid, not_found
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import NAMESPACES, ClusterState

NODE_PORTS = range(30000, 32768)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION = "kubernetes.io/pv-protection"
CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def check_namespace(state: ClusterState, resource: Resource, new: Object) -> None:
    """NamespaceLifecycle for a create: 404 without the namespace, 403 when it is going."""
    namespace = new["metadata"]["namespace"]
    found = state.get(NAMESPACES, "", namespace)
    if found is None:
        raise not_found(state.catalogue.current(NAMESPACES), namespace)
    if found["metadata"].get("deletionTimestamp"):
        raise forbidden(
            resource,
            new["metadata"].get("name"),
            f"unable to create new content in namespace {namespace} because it is being terminated",
        )


def admit(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    """Change a new or changed object as admission does, in place; ``Refusal`` if it is refused."""
    chosen = _CREATE if old is None else _UPDATE
    plugin = chosen.get(resource.key)
    if plugin:
        plugin(state, resource, new, old)
    if old is None:
        limits.check_quota(state, resource, new)


def is_default_class(found: Object) -> bool:
    """Whether a StorageClass is marked as the default."""
    annotations = found["metadata"].get("annotations") or {}
    return "true" in (annotations.get(DEFAULT_CLASS), annotations.get(BETA_DEFAULT_CLASS))


def default_class(state: ClusterState) -> str | None:
    """The newest default StorageClass; of two of one second the first by name."""
    found = [item for item in state.store.list(CLASSES) if is_default_class(item)]
    if not found:
        return None
    newest = max(item["metadata"]["creationTimestamp"] for item in found)
    names = [
        str(item["metadata"]["name"])
        for item in found
        if item["metadata"]["creationTimestamp"] == newest
    ]
    return min(names)


def _claim(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    spec = new["spec"]
    if spec.get("storageClassName") is None:
        name = default_class(state)
        if name is not None:
            spec["storageClassName"] = name
    _protect(new, CLAIM_PROTECTION)


def _resize(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    path = "spec.resources.requests.storage"
    before, after = dig(old, path), dig(new, path)
    if before is None or after is None or parse(after) == parse(before):
        return
    name = new["metadata"]["name"]
    if parse(after) < parse(before):
        detail = "field can not be less than status.capacity"
        raise invalid(resource, name, [Cause.forbidden("spec.resources.requests.storage", detail)])
    used = state.get(CLASSES, "", new["spec"].get("storageClassName") or "")
    if not (used or {}).get("allowVolumeExpansion"):
        raise forbidden(
            resource,
            name,
            "only dynamically provisioned pvc can be resized and the storageclass that provisions"
            " the pvc must support resize",
        )


def _volume(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    _protect(new, VOLUME_PROTECTION)


def _protect(new: Object, finalizer: str) -> None:
    finalizers = new["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def _pod(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    metadata, spec = new["metadata"], new["spec"]
    account = spec["serviceAccountName"]
    if state.get(("", "serviceaccounts"), metadata["namespace"], account) is None:
        raise forbidden(
            resource,
            metadata.get("name"),
            f"error looking up service account {metadata['namespace']}/{account}:"
            f' serviceaccount "{account}" not found',
        )
    wanted = spec.get("priorityClassName")
    if wanted:
        found = state.get(("scheduling.k8s.io", "priorityclasses"), "", wanted)
        if found is None:
            why = f"no PriorityClass with name {wanted} was found"
            raise forbidden(resource, metadata.get("name"), why)
        spec["priority"] = found["value"]
    limits.limit(state, resource, new)
    why = podsecurity.forbidden(state, new)
    if why:
        raise forbidden(resource, metadata.get("name"), why)


def _service(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    spec = new["spec"]
    services = [item for item in state.store.list(resource.key) if not _same(item, new)]
    if spec["type"] == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(name, None)
        return
    taken = {dig(item, "spec.clusterIP") for item in services}
    wanted = spec.get("clusterIP")
    if not wanted:
        spec["clusterIP"] = next(str(ip) for ip in state.services.hosts() if str(ip) not in taken)
    elif wanted != "None" and wanted in taken:
        detail = f"failed to allocate IP {wanted}: provided IP is already allocated"
        causes = [Cause.invalid("spec.clusterIPs", [wanted], detail)]
        raise invalid(resource, new["metadata"]["name"], causes)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        used = {port.get("nodePort") for item in services for port in item["spec"].get("ports", ())}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = next(number for number in NODE_PORTS if number not in used)
            used.add(port["nodePort"])
    else:
        for port in spec.get("ports") or []:
            port.pop("nodePort", None)


def _same(one: Object, other: Object) -> bool:
    a, b = one["metadata"], other["metadata"]
    return (a["namespace"], a["name"]) == (b["namespace"], b["name"])


def _job(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    spec = new["spec"]
    if spec.get("manualSelector") or not isinstance(spec.get("template"), dict):
        return
    uid, name = new["metadata"]["uid"], new["metadata"]["name"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("", "batch.kubernetes.io/"):
        labels[f"{prefix}controller-uid"] = uid
        labels[f"{prefix}job-name"] = name
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    if not new["metadata"].get("labels"):
        new["metadata"]["labels"] = dict(labels)


def _definition(state: ClusterState, resource: Resource, new: Object, old: Object | None) -> None:
    spec = new["spec"]
    if old is None:
        _protect(new, CRD_CLEANUP)
    if not dig(new, "status.conditions"):
        versions = spec.get("versions") or ()
        new["status"] = {
            "acceptedNames": spec.get("names"),
            "storedVersions": [item["name"] for item in versions if item.get("storage")],
            "conditions": [condition(new, *told) for told in _ACCEPTED],
        }


_ACCEPTED = (
    ("NamesAccepted", True, "NoConflicts", "no conflicts found"),
    ("Established", True, "InitialNamesAccepted", "the initial names have been accepted"),
)
_Plugin = Callable[[ClusterState, Resource, Object, Object | None], None]
_CREATE: Mapping[GroupPlural, _Plugin] = {
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("batch", "jobs"): _job,
}
_UPDATE: Mapping[GroupPlural, _Plugin] = {
    ("", "persistentvolumeclaims"): _resize,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
}

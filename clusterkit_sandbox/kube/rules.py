"""What Kubernetes demands of its own kinds beyond their schema, and what may not change.

From the validation functions of Kubernetes (``pkg/apis/*/validation``), for the kinds clusters are
built of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clusterkit_sandbox.kube.kinds import GroupPlural, Object, Resource
from clusterkit_sandbox.kube.refusals import Cause
from clusterkit_sandbox.kube.selectors import dig, matches

_IMMUTABLE = "field is immutable"
_ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_POD_CHANGES = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions"
    " to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it"
    " was previously negative)"
)
_CLAIM_CHANGES = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for"
    " bound claims"
)


def causes(resource: Resource, new: Object, old: Object | None) -> list[Cause]:
    """Everything wrong with a create (``old`` is None) or an update."""
    if resource.custom:
        return []
    found: list[Cause] = []
    rule = _RULES.get(resource.key)
    if rule:
        found += rule(new)
    if old is not None:
        found += _changes(resource.key, new, old)
    return found


def _pod_spec(spec: Object, path: str) -> Iterator[Cause]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    if not spec.get("containers"):
        yield Cause.required(f"{path}.containers")
    seen = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or []):
            at = f"{path}.{kind}[{index}]"
            if not container.get("image"):
                yield Cause.required(f"{at}.image")
            if container.get("name") in seen:
                yield Cause.duplicate(f"{at}.name", container["name"])
            seen.add(container.get("name"))
            for number, mount in enumerate(container.get("volumeMounts") or []):
                if mount.get("name") not in volumes:
                    yield Cause.not_found(f"{at}.volumeMounts[{number}].name", mount.get("name"))
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        choices = ("Always", "Never", "OnFailure")
        yield Cause.unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), choices)


def _pod(new: Object) -> Iterator[Cause]:
    yield from _pod_spec(new.get("spec") or {}, "spec")


def _workload(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    template = spec.get("template") or {}
    selector = spec.get("selector")
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        detail = "must be greater than or equal to 0"
        yield Cause.invalid("spec.replicas", spec["replicas"], detail)
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is not None:
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            detail = "empty selector is invalid for deployment"
            yield Cause.invalid("spec.selector", selector, detail)
        elif not matches(selector, labels):
            detail = "`selector` does not match template `labels`"
            yield Cause.invalid("spec.template.metadata.labels", labels, detail)
    if template.get("spec") is not None:
        yield from _pod_spec(template["spec"], "spec.template.spec")
        policy = template["spec"].get("restartPolicy")
        if policy in ("OnFailure", "Never"):
            yield Cause.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))


def _job(new: Object) -> Iterator[Cause]:
    template = dig(new, "spec.template.spec")
    if template is None:
        return
    yield from _pod_spec(template, "spec.template.spec")
    if template.get("restartPolicy") not in ("OnFailure", "Never"):
        detail = 'valid values: "OnFailure", "Never"'
        yield Cause.required("spec.template.spec.restartPolicy", detail)


def _claim(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("accessModes"):
        yield Cause.required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or []:
        if mode not in _ACCESS_MODES:
            yield Cause.unsupported("spec.accessModes", mode, _ACCESS_MODES)
    if not dig(spec, "resources.requests.storage"):
        yield Cause.required("spec.resources[storage]")


def _volume(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("accessModes"):
        yield Cause.required("spec.accessModes")
    if not dig(spec, "capacity.storage"):
        yield Cause.required("spec.capacity")


def _service(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if spec.get("type") not in _SERVICE_TYPES:
        yield Cause.unsupported("spec.type", spec.get("type"), _SERVICE_TYPES)
    ports = spec.get("ports") or []
    if spec.get("type") == "ExternalName":
        if not spec.get("externalName"):
            yield Cause.required("spec.externalName")
    elif not ports and spec.get("clusterIP") != "None":
        yield Cause.required("spec.ports")
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        if not isinstance(port.get("port"), int) or not 0 < port["port"] < 65536:
            detail = "must be between 1 and 65535, inclusive"
            yield Cause.invalid(f"{at}.port", port.get("port"), detail)
        if len(ports) > 1 and not port.get("name"):
            yield Cause.required(f"{at}.name")


def _binding(new: Object) -> Iterator[Cause]:
    kind = (new.get("roleRef") or {}).get("kind")
    choices = ("ClusterRole",) if new["kind"] == "ClusterRoleBinding" else ("ClusterRole", "Role")
    if kind not in choices:
        yield Cause.unsupported("roleRef.kind", kind, choices)
    for index, subject in enumerate(new.get("subjects") or []):
        at = f"subjects[{index}]"
        if subject.get("kind") == "ServiceAccount":
            if not subject.get("namespace"):
                yield Cause.required(f"{at}.namespace")
        elif subject.get("kind") not in ("User", "Group"):
            allowed = ("Group", "ServiceAccount", "User")
            yield Cause.unsupported(f"{at}.kind", subject.get("kind"), allowed)


def _definition(new: Object) -> Iterator[Cause]:
    spec = new["spec"]
    names = spec.get("names") or {}
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if new["metadata"].get("name") != wanted:
        detail = f'must be spec.names.plural+"."+spec.group: {wanted}'
        yield Cause.invalid("metadata.name", new["metadata"].get("name"), detail)
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield Cause.unsupported("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        yield Cause.invalid("spec.versions", [v.get("name") for v in versions], detail)
    for index, version in enumerate(versions):
        if not dig(version, "schema.openAPIV3Schema"):
            at = f"spec.versions[{index}].schema.openAPIV3Schema"
            yield Cause.required(at, "schemas are required")


def _changes(key: GroupPlural, new: Object, old: Object) -> Iterator[Cause]:
    for path in _FIXED.get(key, ()):
        before, after = dig(old, path), dig(new, path)
        if before != after:
            detail = "cannot change roleRef" if path == "roleRef" else _IMMUTABLE
            value = after
            if path == "roleRef" and isinstance(after, dict):
                value = {
                    "APIGroup": after.get("apiGroup", ""),
                    "Kind": after.get("kind", ""),
                    "Name": after.get("name", ""),
                }
            yield Cause.invalid(path, value, detail)
    if key == ("", "pods") and _fixed_of_pod(new) != _fixed_of_pod(old):
        yield Cause.forbidden("spec", _POD_CHANGES)
    if key == ("", "persistentvolumeclaims") and _fixed_of_claim(new, old) != _fixed_of_claim(
        old, old
    ):
        yield Cause.forbidden("spec", _CLAIM_CHANGES)
    if key in (("", "secrets"), ("", "configmaps")) and old.get("immutable"):
        for name in ("data", "binaryData"):
            if old.get(name) != new.get(name):
                yield Cause.forbidden(name, "field is immutable when `immutable` is set")
    before, after = dig(old, "spec.clusterIP"), dig(new, "spec.clusterIP")
    if key == ("", "services") and before and after and before != after:
        yield Cause.invalid("spec.clusterIPs[0]", after, "may not change once set")


def _fixed_of_pod(found: Object) -> Any:
    spec = {
        name: value
        for name, value in (found.get("spec") or {}).items()
        if name not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    }
    for kind in ("containers", "initContainers"):
        spec[kind] = [
            {name: value for name, value in container.items() if name != "image"}
            for container in spec.get(kind) or []
        ]
    # the scheduler's binding sets it once
    spec.pop("nodeName", None)
    return spec


def _fixed_of_claim(found: Object, old: Object) -> Any:
    skip = {"volumeAttributesClassName"}
    if dig(old, "status.phase") == "Bound":
        skip.add("resources")
    if not dig(old, "spec.volumeName"):
        skip.add("volumeName")
    spec = found.get("spec") or {}
    if old["spec"].get("storageClassName") is None:
        # a claim from before there was a default class may get it later
        skip.add("storageClassName")
    return {name: value for name, value in spec.items() if name not in skip}


_FIXED: Mapping[GroupPlural, tuple[str, ...]] = {
    ("", "secrets"): ("type",),
    ("apps", "daemonsets"): ("spec.selector",),
    ("apps", "deployments"): ("spec.selector",),
    ("apps", "replicasets"): ("spec.selector",),
    ("apps", "statefulsets"): ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
    ("batch", "jobs"): ("spec.selector", "spec.template", "spec.completionMode"),
    ("networking.k8s.io", "ingressclasses"): ("spec.controller",),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("roleRef",),
    ("rbac.authorization.k8s.io", "rolebindings"): ("roleRef",),
    ("scheduling.k8s.io", "priorityclasses"): ("value",),
    ("storage.k8s.io", "storageclasses"): (
        "provisioner",
        "parameters",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
}

_RULES: Mapping[GroupPlural, Callable[[Object], Iterator[Cause]]] = {
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apps", "daemonsets"): _workload,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("batch", "jobs"): _job,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
}

"""What the API server fills in when the client leaves it out.

From the defaulting functions of Kubernetes (``pkg/apis/*/v1/defaults.go``) and the documented
"default" sentences of the API reference: what is the same whatever else an object says stands in
the schema (``data/schema.tsv``), the rest here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit_sandbox.kube.kinds import (
    GroupPlural,
    Object,
    Resource,
    Schema,
    clone,
    member,
    resolve,
)
from clusterkit_sandbox.kube.selectors import dig

_RBAC = "rbac.authorization.k8s.io"
_TOLERATION_SECONDS = 300
POD_SPECS: Mapping[GroupPlural, str] = {
    ("", "pods"): "spec",
    ("", "replicationcontrollers"): "spec.template.spec",
    ("apps", "daemonsets"): "spec.template.spec",
    ("apps", "deployments"): "spec.template.spec",
    ("apps", "replicasets"): "spec.template.spec",
    ("apps", "statefulsets"): "spec.template.spec",
    ("batch", "cronjobs"): "spec.jobTemplate.spec.template.spec",
    ("batch", "jobs"): "spec.template.spec",
}
"""where the spec of a pod stands"""


def fill(resource: Resource, found: Object) -> None:
    """Fill defaults in, in place; the object is this caller's own."""
    _of_schema(found, resource.schema)
    pods = dig(found, POD_SPECS.get(resource.key, "")) if resource.key in POD_SPECS else None
    if isinstance(pods, dict):
        _pod_spec(pods)
    if resource.key in _OWN:
        _OWN[resource.key](found)


def missing(found: Object, **values: Any) -> None:
    """Set the fields that are absent."""
    for name, value in values.items():
        if found.get(name) is None:
            found[name] = value


def _of_schema(found: Any, schema: Schema | None) -> None:
    schema = resolve(schema)
    if isinstance(found, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name not in found and "default" in inner:
                found[name] = clone(inner["default"])
        for name, value in found.items():
            _of_schema(value, member(schema, name))
    elif isinstance(found, list):
        for item in found:
            _of_schema(item, schema.get("items"))


def _pod_spec(spec: Object) -> None:
    if spec.get("serviceAccountName"):
        # the old name of the same field is kept in step
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        image = container.get("image", "")
        tag = image.rsplit("/", 1)[-1].partition(":")[2]
        latest = tag in ("", "latest") and "@" not in image
        missing(container, imagePullPolicy="Always" if latest else "IfNotPresent")
        for name, limit in (container["resources"].get("limits") or {}).items():
            container["resources"].setdefault("requests", {}).setdefault(name, limit)


def _pod(found: Object) -> None:
    spec = found.setdefault("spec", {})
    missing(spec, serviceAccountName="default", enableServiceLinks=True, priority=0)
    missing(
        spec, serviceAccount=spec["serviceAccountName"], preemptionPolicy="PreemptLowerPriority"
    )
    tolerations = spec.setdefault("tolerations", [])
    for reason in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{reason}"
        if not any(item.get("key") == key for item in tolerations):
            tolerated = {"key": key, "operator": "Exists", "effect": "NoExecute"}
            tolerations.append({**tolerated, "tolerationSeconds": _TOLERATION_SECONDS})
    missing(found.setdefault("status", {}), phase="Pending", qosClass=_quality(spec))


def _quality(spec: Object) -> str:
    every = [container.get("resources") or {} for container in spec.get("containers") or []]
    if not any(one.get("limits") or one.get("requests") for one in every):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(one.get("limits") or {})
        and all(one["requests"].get(name) == value for name, value in one["limits"].items())
        for one in every
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _deployment(found: Object) -> None:
    strategy = dig(found, "spec.strategy") or {}
    if strategy.get("type") == "RollingUpdate":
        missing(strategy, rollingUpdate={"maxSurge": "25%", "maxUnavailable": "25%"})


def _daemon_set(found: Object) -> None:
    annotations = found["metadata"].setdefault("annotations", {})
    missing(annotations, **{"deprecated.daemonset.template.generation": "1"})
    strategy = dig(found, "spec.updateStrategy") or {}
    if strategy.get("type") == "RollingUpdate":
        missing(strategy, rollingUpdate={"maxSurge": 0, "maxUnavailable": 1})


def _stateful_set(found: Object) -> None:
    for claim in dig(found, "spec.volumeClaimTemplates") or []:
        missing(claim, apiVersion="v1", kind="PersistentVolumeClaim")


def _replication_controller(found: Object) -> None:
    labels = dig(found, "spec.template.metadata.labels")
    if labels:
        missing(found["spec"], selector=dict(labels))
        missing(found["metadata"], labels=dict(labels))


def _job(found: Object) -> None:
    spec = found.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    # not those of a CronJob's template
    missing(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
        manualSelector=False,
    )


def _volume(found: Object) -> None:
    if found["metadata"].get("creationTimestamp"):
        missing(found["status"], lastPhaseTransitionTime=found["metadata"]["creationTimestamp"])


def _service(found: Object) -> None:
    spec = found.setdefault("spec", {})
    if spec.get("type") == "ExternalName":
        return
    for port in spec.get("ports") or []:
        missing(port, targetPort=port.get("port"))
    missing(spec, internalTrafficPolicy="Cluster")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        missing(spec, externalTrafficPolicy="Cluster")
    if spec.get("type") == "LoadBalancer":
        missing(spec, allocateLoadBalancerNodePorts=True)
    missing(found.setdefault("status", {}), loadBalancer={})


def _namespace(found: Object) -> None:
    metadata = found["metadata"]
    if metadata.get("name"):
        labels = metadata.setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = metadata["name"]


def _secret(found: Object) -> None:
    for name, text in (found.pop("stringData", None) or {}).items():
        found.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()


def _binding(found: Object) -> None:
    for subject in found.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            missing(subject, apiGroup=_RBAC)


def _definition(found: Object) -> None:
    spec = found.get("spec", {})
    names = spec.get("names") or {}
    if names.get("kind"):
        missing(names, singular=names["kind"].lower(), listKind=names["kind"] + "List")
    missing(spec, conversion={"strategy": "None"})


_OWN: Mapping[GroupPlural, Callable[[Object], None]] = {
    ("", "namespaces"): _namespace,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "replicationcontrollers"): _replication_controller,
    ("", "secrets"): _secret,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "deployments"): _deployment,
    ("apps", "statefulsets"): _stateful_set,
    ("batch", "jobs"): _job,
    (_RBAC, "clusterrolebindings"): _binding,
    (_RBAC, "rolebindings"): _binding,
}

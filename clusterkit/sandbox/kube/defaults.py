"""What the API server fills in when the client leaves it out.

From the defaulting functions of Kubernetes (``pkg/apis/*/v1/defaults.go``) and the documented
"default" sentences of the API reference.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit.sandbox.kube.kinds import GroupPlural, Object, Resource
from clusterkit.sandbox.kube.validation import fill_defaults

_RBAC = "rbac.authorization.k8s.io"
_TOLERATION_SECONDS = 300


def fill(resource: Resource, found: Object) -> None:
    """Fill defaults in, in place; the object is this caller's own."""
    if resource.custom:
        fill_defaults(found, resource.schema)
        return
    filler = _FILLERS.get(resource.key)
    if filler:
        filler(found)


def _missing(found: Object, **values: Any) -> None:
    for name, value in values.items():
        if found.get(name) is None:
            found[name] = value


def _pod_spec(spec: Object) -> None:
    _missing(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        terminationGracePeriodSeconds=30,
        schedulerName="default-scheduler",
        securityContext={},
    )
    if spec.get("serviceAccountName"):
        # the old name of the same field is kept in step
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        image = container.get("image", "")
        tag = image.rsplit("/", 1)[-1].partition(":")[2]
        latest = tag in ("", "latest") and "@" not in image
        _missing(
            container,
            imagePullPolicy="Always" if latest else "IfNotPresent",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
        for name, limit in (container["resources"].get("limits") or {}).items():
            requests = container["resources"].setdefault("requests", {})
            requests.setdefault(name, limit)
        for port in container.get("ports") or []:
            _missing(port, protocol="TCP")
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(kind):
                _probe(container[kind])
        for variable in container.get("env") or []:
            field = (variable.get("valueFrom") or {}).get("fieldRef")
            if field:
                _missing(field, apiVersion="v1")
    for volume in spec.get("volumes") or []:
        for kind in ("secret", "configMap", "projected", "downwardAPI"):
            if isinstance(volume.get(kind), dict):
                _missing(volume[kind], defaultMode=0o644)
        if isinstance(volume.get("hostPath"), dict):
            _missing(volume["hostPath"], type="")


def _probe(probe: Object) -> None:
    _missing(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if probe.get("httpGet"):
        _missing(probe["httpGet"], path="/", scheme="HTTP")


def _template(found: Object) -> None:
    template = found.get("spec", {}).get("template") or {}
    template.setdefault("metadata", {})
    if isinstance(template.get("spec"), dict):
        _pod_spec(template["spec"])


def _pod(found: Object) -> None:
    spec = found.setdefault("spec", {})
    _pod_spec(spec)
    _missing(spec, serviceAccountName="default", enableServiceLinks=True)
    _missing(
        spec, serviceAccount=spec["serviceAccountName"], preemptionPolicy="PreemptLowerPriority"
    )
    _missing(spec, priority=0)
    tolerations = spec.setdefault("tolerations", [])
    for reason in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{reason}"
        if not any(item.get("key") == key for item in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATION_SECONDS,
                }
            )
    status = found.setdefault("status", {})
    _missing(status, phase="Pending", qosClass=_quality(spec))


def _quality(spec: Object) -> str:
    limits = requests = True
    any_resource = False
    for container in spec.get("containers") or []:
        resources = container.get("resources") or {}
        has, asks = resources.get("limits") or {}, resources.get("requests") or {}
        any_resource = any_resource or bool(has or asks)
        limits = limits and {"cpu", "memory"} <= set(has)
        requests = requests and all(asks.get(name) == value for name, value in has.items())
    if not any_resource:
        return "BestEffort"
    return "Guaranteed" if limits and requests else "Burstable"


def _deployment(found: Object) -> None:
    _template(found)
    spec = found.setdefault("spec", {})
    _missing(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    _missing(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        _missing(spec["strategy"], rollingUpdate={})
        _missing(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")


def _replica_set(found: Object) -> None:
    _template(found)
    _missing(found.setdefault("spec", {}), replicas=1)


def _daemon_set(found: Object) -> None:
    _template(found)
    spec = found.setdefault("spec", {})
    _missing(spec, revisionHistoryLimit=10, updateStrategy={})
    _missing(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _missing(spec["updateStrategy"], rollingUpdate={})
        _missing(spec["updateStrategy"]["rollingUpdate"], maxSurge=0, maxUnavailable=1)


def _stateful_set(found: Object) -> None:
    _template(found)
    spec = found.setdefault("spec", {})
    _missing(
        spec,
        replicas=1,
        revisionHistoryLimit=10,
        podManagementPolicy="OrderedReady",
        serviceName="",
    )
    _missing(spec, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    _missing(spec, persistentVolumeClaimRetentionPolicy=retention)
    for claim in spec.get("volumeClaimTemplates") or []:
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        _claim(claim)


def _job(found: Object) -> None:
    _template(found)
    spec = found.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _missing(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
        manualSelector=False,
    )


def _cron_job(found: Object) -> None:
    spec = found.setdefault("spec", {})
    _missing(
        spec,
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    template = (spec.get("jobTemplate") or {}).get("spec", {}).get("template") or {}
    if isinstance(template.get("spec"), dict):
        _pod_spec(template["spec"])


def _claim(found: Object) -> None:
    _missing(found.setdefault("spec", {}), volumeMode="Filesystem")
    _missing(found.setdefault("status", {}), phase="Pending")


def _volume(found: Object) -> None:
    spec = found.setdefault("spec", {})
    _missing(spec, volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
    _missing(found.setdefault("status", {}), phase="Pending")


def _service(found: Object) -> None:
    spec = found.setdefault("spec", {})
    _missing(spec, type="ClusterIP", sessionAffinity="None")
    for port in spec.get("ports") or []:
        _missing(port, protocol="TCP")
        if spec["type"] != "ExternalName":
            _missing(port, targetPort=port.get("port"))
    if spec["type"] == "ExternalName":
        return
    _missing(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _missing(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _missing(spec, allocateLoadBalancerNodePorts=True)
    _missing(found.setdefault("status", {}), loadBalancer={})


def _ingress(found: Object) -> None:
    _missing(found.setdefault("status", {}), loadBalancer={})


def _namespace(found: Object) -> None:
    metadata = found["metadata"]
    labels = metadata.setdefault("labels", {})
    if metadata.get("name"):
        labels["kubernetes.io/metadata.name"] = metadata["name"]
    _missing(found.setdefault("spec", {}), finalizers=["kubernetes"])
    _missing(found.setdefault("status", {}), phase="Active")


def _secret(found: Object) -> None:
    _missing(found, type="Opaque")
    for name, text in (found.pop("stringData", None) or {}).items():
        found.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()


def _storage_class(found: Object) -> None:
    _missing(found, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _binding(found: Object) -> None:
    if isinstance(found.get("roleRef"), dict):
        _missing(found["roleRef"], apiGroup=_RBAC)
    for subject in found.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            _missing(subject, apiGroup=_RBAC)


def _csi_driver(found: Object) -> None:
    _missing(
        found.setdefault("spec", {}),
        attachRequired=True,
        podInfoOnMount=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        storageCapacity=False,
        requiresRepublish=False,
        volumeLifecycleModes=["Persistent"],
    )


def _priority_class(found: Object) -> None:
    _missing(found, preemptionPolicy="PreemptLowerPriority")


def _autoscaler(found: Object) -> None:
    _missing(found.setdefault("spec", {}), minReplicas=1)


def _definition(found: Object) -> None:
    names = found.get("spec", {}).get("names") or {}
    if names.get("kind"):
        _missing(names, singular=names["kind"].lower(), listKind=names["kind"] + "List")
    _missing(found.get("spec", {}), conversion={"strategy": "None"})


_FILLERS: Mapping[GroupPlural, Callable[[Object], None]] = {
    ("", "namespaces"): _namespace,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "replicationcontrollers"): _replica_set,
    ("", "secrets"): _secret,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("batch", "cronjobs"): _cron_job,
    ("batch", "jobs"): _job,
    ("networking.k8s.io", "ingresses"): _ingress,
    (_RBAC, "clusterrolebindings"): _binding,
    (_RBAC, "rolebindings"): _binding,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("storage.k8s.io", "csidrivers"): _csi_driver,
    ("storage.k8s.io", "storageclasses"): _storage_class,
}

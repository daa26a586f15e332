"""What the API server fills in when the client leaves it out.

From the defaulting functions of Kubernetes (``pkg/apis/*/v1/defaults.go``) and the documented
"default" sentences of the API reference.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from clusterkit_sandbox.kube.kinds import GroupPlural, Object, Resource
from clusterkit_sandbox.kube.poddefaults import fill_pod, missing, pod_spec, template
from clusterkit_sandbox.kube.validation import fill_defaults

_RBAC = "rbac.authorization.k8s.io"
_UTILIZATION = 80
"""per cent of the CPU asked for (autoscaling, ``DefaultCPUUtilization``)"""


def fill(resource: Resource, found: Object) -> None:
    """Fill defaults in, in place; the object is this caller's own."""
    if resource.custom:
        fill_defaults(found, resource.schema)
        return
    filler = _FILLERS.get(resource.key)
    if filler:
        filler(found)


def _deployment(found: Object) -> None:
    template(found)
    spec = found.setdefault("spec", {})
    missing(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    missing(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        missing(spec["strategy"], rollingUpdate={})
        missing(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")


def _replica_set(found: Object) -> None:
    template(found)
    missing(found.setdefault("spec", {}), replicas=1)
    _status(found, replicas=0)


def _replication_controller(found: Object) -> None:
    _replica_set(found)
    spec, metadata = found["spec"], found["metadata"]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        missing(spec, selector=dict(labels))
        missing(metadata, labels=dict(labels))


def _status(found: Object, **zeros: object) -> None:
    """Fields of the status that are written even if they are zero (no ``omitempty`` in Go)."""
    missing(found.setdefault("status", {}), **zeros)


def _daemon_set(found: Object) -> None:
    template(found)
    spec = found.setdefault("spec", {})
    missing(spec, revisionHistoryLimit=10, updateStrategy={})
    missing(spec["updateStrategy"], type="RollingUpdate")
    annotations = found["metadata"].setdefault("annotations", {})
    missing(annotations, **{"deprecated.daemonset.template.generation": "1"})
    numbers = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled")
    _status(found, **dict.fromkeys((*numbers, "numberReady"), 0))
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        missing(spec["updateStrategy"], rollingUpdate={})
        missing(spec["updateStrategy"]["rollingUpdate"], maxSurge=0, maxUnavailable=1)


def _stateful_set(found: Object) -> None:
    template(found)
    spec = found.setdefault("spec", {})
    missing(
        spec,
        replicas=1,
        revisionHistoryLimit=10,
        podManagementPolicy="OrderedReady",
        serviceName="",
    )
    missing(spec, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    missing(spec, persistentVolumeClaimRetentionPolicy=retention)
    _status(found, replicas=0, availableReplicas=0)
    for claim in spec.get("volumeClaimTemplates") or []:
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        _claim(claim)


def _job(found: Object) -> None:
    template(found)
    spec = found.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    missing(
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
    missing(
        spec,
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    found.setdefault("status", {})
    job = spec.get("jobTemplate") or {}
    inner = job.get("spec", {}).get("template") or {}
    if isinstance(inner.get("spec"), dict):
        for part in (job, inner):
            part.setdefault("metadata", {})
        pod_spec(inner["spec"])


def _claim(found: Object) -> None:
    missing(found.setdefault("spec", {}), volumeMode="Filesystem")
    missing(found.setdefault("status", {}), phase="Pending")


def _volume(found: Object) -> None:
    spec = found.setdefault("spec", {})
    missing(spec, volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
    _status(found, phase="Pending")
    if found["metadata"].get("creationTimestamp"):
        missing(found["status"], lastPhaseTransitionTime=found["metadata"]["creationTimestamp"])


def _budget(found: Object) -> None:
    numbers = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
    _status(found, **dict.fromkeys(numbers, 0))


def _service(found: Object) -> None:
    spec = found.setdefault("spec", {})
    missing(spec, type="ClusterIP", sessionAffinity="None")
    for port in spec.get("ports") or []:
        missing(port, protocol="TCP")
        if spec["type"] != "ExternalName":
            missing(port, targetPort=port.get("port"))
    if spec["type"] == "ExternalName":
        return
    missing(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        missing(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        missing(spec, allocateLoadBalancerNodePorts=True)
    missing(found.setdefault("status", {}), loadBalancer={})


def _ingress(found: Object) -> None:
    missing(found.setdefault("status", {}), loadBalancer={})


def _policy(found: Object) -> None:
    for way in ("ingress", "egress"):
        for rule in found.get("spec", {}).get(way) or []:
            for port in rule.get("ports") or []:
                missing(port, protocol="TCP")


def _namespace(found: Object) -> None:
    metadata = found["metadata"]
    labels = metadata.setdefault("labels", {})
    if metadata.get("name"):
        labels["kubernetes.io/metadata.name"] = metadata["name"]
    missing(found.setdefault("spec", {}), finalizers=["kubernetes"])
    missing(found.setdefault("status", {}), phase="Active")


def _secret(found: Object) -> None:
    missing(found, type="Opaque")
    for name, text in (found.pop("stringData", None) or {}).items():
        found.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()


def _storage_class(found: Object) -> None:
    missing(found, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _binding(found: Object) -> None:
    if isinstance(found.get("roleRef"), dict):
        missing(found["roleRef"], apiGroup=_RBAC)
    for subject in found.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            missing(subject, apiGroup=_RBAC)


def _csi_driver(found: Object) -> None:
    missing(
        found.setdefault("spec", {}),
        attachRequired=True,
        podInfoOnMount=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        storageCapacity=False,
        requiresRepublish=False,
        seLinuxMount=False,
        volumeLifecycleModes=["Persistent"],
    )


def _priority_class(found: Object) -> None:
    missing(found, preemptionPolicy="PreemptLowerPriority")


def _autoscaler(found: Object) -> None:
    target = {"type": "Utilization", "averageUtilization": _UTILIZATION}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    missing(found.setdefault("spec", {}), minReplicas=1, metrics=[metric])
    status = found.setdefault("status", {})
    status.setdefault("currentMetrics", None)
    missing(status, desiredReplicas=0)


def _definition(found: Object) -> None:
    names = found.get("spec", {}).get("names") or {}
    if names.get("kind"):
        missing(names, singular=names["kind"].lower(), listKind=names["kind"] + "List")
    missing(found.get("spec", {}), conversion={"strategy": "None"})


_FILLERS: Mapping[GroupPlural, Callable[[Object], None]] = {
    ("", "namespaces"): _namespace,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): fill_pod,
    ("", "replicationcontrollers"): _replication_controller,
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
    ("networking.k8s.io", "networkpolicies"): _policy,
    ("policy", "poddisruptionbudgets"): _budget,
    (_RBAC, "clusterrolebindings"): _binding,
    (_RBAC, "rolebindings"): _binding,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("storage.k8s.io", "csidrivers"): _csi_driver,
    ("storage.k8s.io", "storageclasses"): _storage_class,
}

"""What the API server fills in for pods and their templates (``pkg/apis/core/v1/defaults.go``)."""

from __future__ import annotations

from typing import Any

from clusterkit_sandbox.kube.kinds import Object

_TOLERATION_SECONDS = 300


def missing(found: Object, **values: Any) -> None:
    for name, value in values.items():
        if found.get(name) is None:
            found[name] = value


def pod_spec(spec: Object) -> None:
    missing(
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
        missing(
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
            missing(port, protocol="TCP")
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(kind):
                _probe(container[kind])
        for variable in container.get("env") or []:
            field = (variable.get("valueFrom") or {}).get("fieldRef")
            if field:
                missing(field, apiVersion="v1")
    for volume in spec.get("volumes") or []:
        for kind in ("secret", "configMap", "projected", "downwardAPI"):
            if isinstance(volume.get(kind), dict):
                missing(volume[kind], defaultMode=0o644)
        if isinstance(volume.get("hostPath"), dict):
            missing(volume["hostPath"], type="")


def _probe(probe: Object) -> None:
    missing(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if probe.get("httpGet"):
        missing(probe["httpGet"], path="/", scheme="HTTP")


def template(found: Object) -> None:
    template = found.get("spec", {}).get("template") or {}
    if isinstance(template.get("spec"), dict):
        pod_spec(template["spec"])


def fill_pod(found: Object) -> None:
    spec = found.setdefault("spec", {})
    pod_spec(spec)
    missing(spec, serviceAccountName="default", enableServiceLinks=True)
    missing(
        spec, serviceAccount=spec["serviceAccountName"], preemptionPolicy="PreemptLowerPriority"
    )
    missing(spec, priority=0)
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
    missing(status, phase="Pending", qosClass=_quality(spec))


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

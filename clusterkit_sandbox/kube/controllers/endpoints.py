"""Endpoints and EndpointSlices of Services (Kubernetes documentation, "Service"; "EndpointSlices").

A Service with a selector has one of each while it lives; ports have the names of the Service's.
"""

from __future__ import annotations

from collections.abc import Iterable

from clusterkit_sandbox.kube.controllers.balancers import SERVICES
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.controllers.workloads import reference, running
from clusterkit_sandbox.kube.kinds import PODS, GroupPlural, Object
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change

_ENDPOINTS: GroupPlural = ("", "endpoints")
_SLICES: GroupPlural = ("discovery.k8s.io", "endpointslices")
_SERVICE = "kubernetes.io/service-name"
_BY = "endpointslice.kubernetes.io/managed-by"


class EndpointController:
    """Says which pods are behind a Service."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Services, and those that mean a changed pod."""
        if change.key == SERVICES:
            yield ref_of(SERVICES, change.object)
        elif change.key == PODS:
            namespace = change.object["metadata"]["namespace"]
            labels = change.object["metadata"].get("labels") or {}
            for found in self._runtime.state.store.list(SERVICES, namespace):
                if _means(found, labels):
                    yield ref_of(SERVICES, found)

    def reconcile(self, ref: Ref) -> float | None:
        """Write what is behind one Service."""
        state, (_, namespace, name) = self._runtime.state, ref
        service = state.get(*ref)
        old = state.get(_ENDPOINTS, namespace, name)
        if service is None or not service["spec"].get("selector"):
            if old is not None and service is None:
                state.store.remove(_ENDPOINTS, old)
            return None
        pods = [
            pod
            for pod in state.store.list(PODS, namespace)
            if _means(service, pod["metadata"].get("labels") or {}) and running(pod)
        ]
        self._write(_ENDPOINTS, old, {"subsets": _subsets(service, pods)}, service, name)
        slices = state.owned(_SLICES, service)
        body = {"addressType": "IPv4", "endpoints": _points(pods), "ports": _ports(service, pods)}
        self._write(_SLICES, next(iter(slices), None), body, service, "")
        return None

    def _write(
        self, key: GroupPlural, old: Object | None, body: Object, service: Object, name: str
    ) -> None:
        writer, metadata = self._runtime.writer, service["metadata"]
        component = f"{key[1].rstrip('s')}-controller"
        if old is not None:
            writer.edit(key, old, lambda new: new.update(body), component)
            return
        labels = dict(metadata.get("labels") or {})
        if name:
            head: Object = {"name": name, "labels": labels}
        else:
            labels |= {_SERVICE: metadata["name"], _BY: f"{component}.k8s.io"}
            head = {"generateName": f"{metadata['name']}-", "labels": labels}
            head["ownerReferences"] = [reference(service)]
        writer.make(key, metadata["namespace"], {"metadata": head, **body}, component)


def _means(service: Object, labels: Object) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _target(pod: Object) -> Object:
    metadata = pod["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return {"kind": "Pod", **kept}


def _ports(service: Object, pods: list[Object]) -> list[Object]:
    found = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort")
        if isinstance(target, str):
            numbers = [
                one["containerPort"]
                for pod in pods
                for container in pod["spec"]["containers"]
                for one in container.get("ports") or ()
                if one.get("name") == target
            ]
            if not numbers:
                continue
            target = numbers[0]
        found.append({"name": port.get("name", ""), "port": target, "protocol": port["protocol"]})
    return found


def _subsets(service: Object, pods: list[Object]) -> list[Object]:
    ports = [{k: v for k, v in port.items() if v != ""} for port in _ports(service, pods)]
    addresses = [
        {
            "ip": dig(pod, "status.podIP"),
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _target(pod),
        }
        for pod in pods
    ]
    return [{"addresses": addresses, "ports": ports}] if pods else []


def _points(pods: list[Object]) -> list[Object]:
    return [
        {
            "addresses": [dig(pod, "status.podIP")],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _target(pod),
        }
        for pod in pods
    ]

"""Load balancers of Services and Ingresses, through the cloud (Kubernetes documentation, "Service",
type LoadBalancer; "Ingress").

A Service that has one carries the finalizer of the cloud's service controller until the load
balancer is gone. An Ingress gets one only where the cloud has a controller for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change

SERVICES: GroupPlural = ("", "services")
INGRESSES: GroupPlural = ("networking.k8s.io", "ingresses")
SERVICE_FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
_INGRESS_FINALIZER = "networking.k8s.io/ingress-cleanup"
_CONTROLLER = "service-controller"
_FINALIZERS = {SERVICES: SERVICE_FINALIZER, INGRESSES: _INGRESS_FINALIZER}


class BalancerController:
    """Makes and removes load balancers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Services and Ingresses."""
        if change.key in _FINALIZERS and change.type != "DELETED":
            yield ref_of(change.key, change.object)

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one load balancer."""
        found = self._runtime.state.get(*ref)
        if found is None:
            return None
        metadata = found["metadata"]
        wanted = ref[0] == INGRESSES or found["spec"]["type"] == "LoadBalancer"
        if wanted and not metadata.get("deletionTimestamp"):
            return self._ensure(ref, found)
        if _FINALIZERS[ref[0]] in (metadata.get("finalizers") or ()):
            return self._remove(ref, found)
        return None

    def _ensure(self, ref: Ref, found: Object) -> float | None:
        runtime, metadata = self._runtime, found["metadata"]
        if dig(found, "status.loadBalancer.ingress"):
            return None
        if ref[0] == SERVICES and self._mark(ref, found):
            return None
        left = runtime.left(("balancer", metadata["uid"]), "kube/load-balancer/provision")
        if left:
            return left
        annotations = dict(metadata.get("annotations") or {})
        uid, hooks = metadata["uid"], runtime.hooks
        kind, where = found["kind"], (metadata["namespace"], metadata["name"])

        def work() -> str:
            return hooks.ensure_load_balancer(kind, *where, uid, annotations)

        def done(host: str) -> None:
            latest = runtime.state.current(ref[0], found)
            if not host:
                return
            if latest is None:
                # it went while the cloud was busy
                runtime.call(("gone", uid), lambda: hooks.delete_load_balancer(uid), _ok, _lost)
                return
            self._mark(ref, latest)
            latest = runtime.state.current(ref[0], found) or latest
            status = {"ingress": [{_field(host): host}]}
            runtime.writer.set_status(ref[0], latest, _CONTROLLER, loadBalancer=status)
            told = "Ensured load balancer"
            runtime.events.normal(latest, "EnsuredLoadBalancer", told, _CONTROLLER)

        def failed(words: str) -> None:
            told = f"Error syncing load balancer: failed to ensure load balancer: {words}"
            runtime.events.warning(found, "SyncLoadBalancerFailed", told, _CONTROLLER)
            runtime.later(self, ref)

        runtime.call(("balancer", uid), work, done, failed)
        return None

    def _mark(self, ref: Ref, found: Object) -> bool:
        """Put the finalizer on; whether it was missing."""
        finalizer = _FINALIZERS[ref[0]]
        if finalizer in (found["metadata"].get("finalizers") or ()):
            return False

        def add(new: Object) -> None:
            new["metadata"].setdefault("finalizers", []).append(finalizer)

        self._runtime.writer.edit(ref[0], found, add, _CONTROLLER)
        return True

    def _remove(self, ref: Ref, found: Object) -> float | None:
        runtime, uid = self._runtime, found["metadata"]["uid"]
        left = runtime.left(("unbalance", uid), "kube/load-balancer/delete")
        if left:
            return left
        finalizer = _FINALIZERS[ref[0]]

        def done(_: None) -> None:
            latest = runtime.state.current(ref[0], found)
            if latest is None:
                return
            if dig(latest, "status.loadBalancer.ingress"):
                runtime.writer.set_status(ref[0], latest, _CONTROLLER, loadBalancer={})
                latest = runtime.state.current(ref[0], found) or latest
            runtime.events.normal(
                latest, "DeletedLoadBalancer", "Deleted load balancer", _CONTROLLER
            )
            runtime.writer.remove_finalizer(ref[0], latest, finalizer)

        def failed(words: str) -> None:
            told = f"Error syncing load balancer: failed to delete load balancer: {words}"
            runtime.events.warning(found, "SyncLoadBalancerFailed", told, _CONTROLLER)
            runtime.later(self, ref)

        work = runtime.hooks.delete_load_balancer
        runtime.call(("unbalance", uid), lambda: work(uid), done, failed)
        return None


def _field(host: str) -> str:
    """Where the status shows it (Kubernetes API, LoadBalancerIngress)."""
    try:
        IPv4Address(host)
    except ValueError:
        return "hostname"
    return "ip"


def _ok(_: None) -> None:
    """Do nothing."""


def _lost(words: str) -> None:
    """The object is gone: there is nothing to report to."""

"""The objects that every cluster starts with: namespaces, roles, priority classes, its service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from clusterkit_sandbox.kube.kinds import Object, clone
from clusterkit_sandbox.kube.roles import admin_binding, born
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.write_options import WriteOptions
from clusterkit_sandbox.kube.writes import Writer

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
"""Kubernetes documentation, "Guaranteed Scheduling For Critical Add-On Pods" """


def populate(
    state: ClusterState,
    writer: Writer,
    admins: Sequence[str],
    objects: Iterable[Mapping[str, object]],
) -> None:
    """Store all of it; ``Refusal`` if one of ``objects`` is not valid."""
    for found in (*born(), *admin_binding(admins)):
        kind = state.catalogue.by_kind(found["apiVersion"], found["kind"])
        if kind is not None:
            state.born(kind, found)
    for body in (*_own(state), *(clone(dict(item)) for item in objects)):
        resource = state.catalogue.by_kind(body["apiVersion"], body["kind"])
        if resource is None:
            raise ValueError(f"{body['apiVersion']} {body['kind']}: no such kind")
        namespace = body["metadata"].get("namespace", "default") if resource.namespaced else ""
        writer.create(resource, namespace, body, WriteOptions("kube-apiserver"))


def _own(state: ClusterState) -> Iterator[Object]:
    for name in _NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, value in _PRIORITIES.items():
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
    labels = {"component": "apiserver", "provider": "kubernetes"}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "clusterIP": str(next(state.services.hosts())),
            "ports": [{"name": "https", "port": 443, "targetPort": 443}],
        },
    }

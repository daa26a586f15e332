"""What may lie near a cluster and is somebody else's; what may happen to what is ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.engine.kind import Leftover
from clusterkit.kube.manifest import Manifest
from clusterkit.naming import CLUSTER
from tests.drivers.world import Case, World

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
OBJECTS: Mapping[str, str] = {
    "storage-class": "/apis/storage.k8s.io/v1/storageclasses/{name}",
    "namespace": "/api/v1/namespaces/{name}",
    "service-account": "/api/v1/namespaces/{space}/serviceaccounts/{name}",
    "config-map": "/api/v1/namespaces/{space}/configmaps/{name}",
    "registry-login": "/api/v1/namespaces/{space}/secrets/{name}",
    "registry-auth": "/api/v1/namespaces/{space}/secrets/{name}",
    "deployment": "/apis/apps/v1/namespaces/{space}/deployments/{name}",
    "cluster-role": f"{_RBAC}/clusterroles/{{name}}",
    "cluster-role-binding": f"{_RBAC}/clusterrolebindings/{{name}}",
    "namespaced-role": f"{_RBAC}/namespaces/{{space}}/roles/{{name}}",
    "namespaced-role-binding": f"{_RBAC}/namespaces/{{space}}/rolebindings/{{name}}",
}
"""paths of what is ours in Kubernetes, by kind"""
States = Mapping[str, Any]
"""key to state, of everything of ours"""
Make = Callable[[World, States], str]
"""make it with the vendor's SDK; its id"""
Remove = Callable[[World, str], object]


@dataclass(frozen=True)
class Neighbour:
    """Something that a person makes next to ours by hand, called ``theirs``."""

    make: Make
    remove: Remove
    show: Callable[[World, str], Any]
    """the whole of it"""
    stay: Collection[str]
    """the kinds of ours of which something cannot be deleted meanwhile; none: it is in the way of
    nothing"""


@dataclass(frozen=True)
class Near:
    """The tables of a cloud."""

    rich: Case
    """a cluster with everything that has a name of its own"""
    twins: Mapping[str, Callable[[World, str], str]]
    """kind to what makes something of another's under the name of ours; the id to adopt"""
    fixed: Mapping[str, str]
    """of those, what cannot be adopted, and words of the refusal"""
    neighbours: Mapping[str, Neighbour]
    strip: Callable[[World, str, Any], None]
    """take the cluster's tag off a thing of this kind and state"""
    sure: Mapping[str, str]
    """kinds whose things are ours by more than a tag, and why"""
    alone: Collection[str]
    """kinds of which nothing of ours knows the id"""


def strip_object(world: World, kind: str, have: Any) -> bool:
    """Take the cluster's label off a thing in Kubernetes; whether it is one."""
    if kind not in OBJECTS:
        return False
    space, _, name = have.id.rpartition("/")
    path = OBJECTS[kind].format(space=space, name=name)
    world.clients().kube.patch(path, {"metadata": {"labels": {CLUSTER: None}}})
    return True


def of_the_cloud(found: World) -> set[str]:
    """The kinds of ours that are no objects of Kubernetes."""
    kinds: Any = found.cloud.KINDS
    rows = [kind for kind in kinds if not isinstance(kind, Leftover)]
    return {kind.kind for kind in rows if not issubclass(kind, Manifest)}

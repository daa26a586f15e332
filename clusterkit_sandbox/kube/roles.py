"""The roles and bindings every cluster is born with, as a real API server told them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterkit_sandbox.kube.kinds import Object, recorded

_GROUP = "rbac.authorization.k8s.io"


def born() -> Iterator[Object]:
    """The ClusterRoles and ClusterRoleBindings. Parts are shared between clusters."""
    for found in recorded()["roles"]:
        yield {"apiVersion": f"{_GROUP}/v1", **found, "metadata": dict(found["metadata"])}


def admin_binding(users: Sequence[str]) -> Iterator[Object]:
    """What makes these users cluster-admin; nothing if there are none."""
    if users:
        yield {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "cluster-creator-admin"},
            "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user} for user in users],
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        }

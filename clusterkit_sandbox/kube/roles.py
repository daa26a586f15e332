"""The roles and bindings every cluster is born with, as a real API server told them."""

from __future__ import annotations

from collections.abc import Iterator

from clusterkit_sandbox.kube.kinds import Object, recorded

_API = "rbac.authorization.k8s.io/v1"


def born(admins: tuple[str, ...]) -> Iterator[Object]:
    """The ClusterRoles and ClusterRoleBindings, and one more that makes these users
    cluster-admin. Parts are shared between clusters.
    """
    for found in recorded()["roles"]:
        yield {"apiVersion": _API, **found, "metadata": dict(found["metadata"])}
    if admins:
        api, kind = "rbac.authorization.k8s.io", "ClusterRoleBinding"
        yield {
            "apiVersion": _API,
            "kind": kind,
            "metadata": {"name": "cluster-creator-admin"},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user} for user in admins],
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "cluster-admin"},
        }

"""Roles of Kubernetes' own access control, and who has them.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from clusterkit.engine.kind import Kind
from clusterkit.kube.manifest import Manifest

_GROUP = "rbac.authorization.k8s.io"
Rule = dict[str, Any]
"""a PolicyRule"""


class ClusterRole(Manifest):
    """What may be done in the whole cluster."""

    kind: ClassVar[str] = "cluster-role"
    group: ClassVar[str] = f"/apis/{_GROUP}/v1"
    plural: ClassVar[str] = "clusterroles"


class ClusterRoleBinding(Manifest):
    """Who has a cluster role; its ``roleRef`` cannot be changed."""

    kind: ClassVar[str] = "cluster-role-binding"
    group: ClassVar[str] = f"/apis/{_GROUP}/v1"
    plural: ClassVar[str] = "clusterrolebindings"
    replaceable: ClassVar[bool] = True


class NamespacedRole(Manifest):
    """What may be done in one namespace: Kubernetes' ``Role``."""

    kind: ClassVar[str] = "namespaced-role"
    group: ClassVar[str] = f"/apis/{_GROUP}/v1"
    plural: ClassVar[str] = "roles"
    namespaced: ClassVar[bool] = True


class NamespacedRoleBinding(Manifest):
    """Who has a role in a namespace: Kubernetes' ``RoleBinding``."""

    kind: ClassVar[str] = "namespaced-role-binding"
    group: ClassVar[str] = f"/apis/{_GROUP}/v1"
    plural: ClassVar[str] = "rolebindings"
    namespaced: ClassVar[bool] = True
    replaceable: ClassVar[bool] = True


def cluster_role(
    name: str, rules: Sequence[Rule], account: str, cluster: Kind[Any, Any]
) -> tuple[ClusterRole, ClusterRoleBinding]:
    """A cluster role, and the binding of the same name that gives it to ``account``
    (``namespace/name``).
    """
    role = ClusterRole(name=name, cluster=cluster, content=_role("ClusterRole", rules))
    binding = ClusterRoleBinding(
        name=name,
        cluster=cluster,
        content=_binding("ClusterRoleBinding", "ClusterRole", name, account),
        after=(role,),
    )
    return role, binding


def namespaced_role(
    name: str, rules: Sequence[Rule], account: str, cluster: Kind[Any, Any]
) -> tuple[NamespacedRole, NamespacedRoleBinding]:
    """A role in the account's own namespace, and the binding of the same name."""
    full = f"{account.partition('/')[0]}/{name}"
    role = NamespacedRole(name=full, cluster=cluster, content=_role("Role", rules))
    binding = NamespacedRoleBinding(
        name=full,
        cluster=cluster,
        content=_binding("RoleBinding", "Role", name, account),
        after=(role,),
    )
    return role, binding


def _role(kind: str, rules: Sequence[Rule]) -> dict[str, Any]:
    return {"apiVersion": f"{_GROUP}/v1", "kind": kind, "rules": [*rules]}


def _binding(kind: str, of: str, role: str, account: str) -> dict[str, Any]:
    namespace, _, name = account.partition("/")
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": kind,
        "roleRef": {"apiGroup": _GROUP, "kind": of, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }

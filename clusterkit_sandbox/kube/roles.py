"""The roles and bindings every cluster is born with (Kubernetes documentation, "Using RBAC
Authorization", "Default roles and role bindings").

``admin``, ``edit`` and ``view`` are aggregated: their rules are the sum of the rules of the roles
labelled for them, so custom kinds can join in. Roles that only the control plane itself uses are
left out, as no part of the sandbox asks for permission over the wire.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterkit_sandbox.kube.kinds import Object

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_API = "rbac.authorization.k8s.io/v1"
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

_WORKLOADS = {
    "apps": "daemonsets deployments deployments/rollback deployments/scale replicasets"
    " replicasets/scale statefulsets statefulsets/scale",
    "autoscaling": "horizontalpodautoscalers",
    "batch": "cronjobs jobs",
    "networking.k8s.io": "ingresses networkpolicies",
    "policy": "poddisruptionbudgets",
}
_STATUS = {
    "apps": "daemonsets/status deployments/status replicasets/status statefulsets/status"
    " controllerrevisions",
    "autoscaling": "horizontalpodautoscalers/status",
    "batch": "cronjobs/status jobs/status",
    "discovery.k8s.io": "endpointslices",
    "networking.k8s.io": "ingresses/status",
    "policy": "poddisruptionbudgets/status",
}
_CORE_EDIT = (
    "configmaps events persistentvolumeclaims pods replicationcontrollers"
    " replicationcontrollers/scale serviceaccounts services services/proxy"
)
_CORE_VIEW = (
    "bindings configmaps endpoints events limitranges namespaces namespaces/status"
    " persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status"
    " replicationcontrollers replicationcontrollers/scale replicationcontrollers/status"
    " resourcequotas resourcequotas/status serviceaccounts services services/status"
)


def _rule(verbs: list[str], group: str, resources: str) -> Object:
    return {"verbs": verbs, "apiGroups": [group], "resources": resources.split()}


def _paths(paths: str) -> Object:
    return {"verbs": ["get"], "nonResourceURLs": paths.split()}


_VIEW = [
    _rule(_READ, "", _CORE_VIEW),
    *(_rule(_READ, group, resources) for group, resources in _WORKLOADS.items()),
    *(_rule(_READ, group, resources) for group, resources in _STATUS.items()),
]
_EDIT = [
    _rule(_READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    _rule(["impersonate"], "", "serviceaccounts"),
    _rule(_WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    _rule(["create"], "", "pods/eviction serviceaccounts/token"),
    _rule(_WRITE, "", _CORE_EDIT + " secrets"),
    *(_rule(_WRITE, group, resources) for group, resources in _WORKLOADS.items()),
    _rule([*_READ, *_WRITE], "coordination.k8s.io", "leases"),
]
_ADMIN = [
    _rule(["create"], "authorization.k8s.io", "localsubjectaccessreviews"),
    _rule([*_READ, *_WRITE], "rbac.authorization.k8s.io", "roles rolebindings"),
]
_DISCOVERY = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version"
_RULES: dict[str, list[Object]] = {
    "cluster-admin": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ],
    "system:basic-user": [
        _rule(
            ["create"],
            "authorization.k8s.io",
            "selfsubjectaccessreviews selfsubjectrulesreviews",
        ),
        _rule(["create"], "authentication.k8s.io", "selfsubjectreviews"),
    ],
    "system:discovery": [_paths(_DISCOVERY + " /version/")],
    "system:public-info-viewer": [_paths("/healthz /livez /readyz /version /version/")],
    "system:service-account-issuer-discovery": [
        _paths(
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks"
        )
    ],
    "system:auth-delegator": [
        _rule(["create"], "authentication.k8s.io", "tokenreviews"),
        _rule(["create"], "authorization.k8s.io", "subjectaccessreviews"),
    ],
    "system:node": [
        _rule(_READ, "", "configmaps nodes pods secrets services persistentvolumes"),
        _rule(["create", "patch", "update"], "", "events nodes nodes/status pods/status"),
    ],
    "system:persistent-volume-provisioner": [
        _rule([*_READ, "create", "delete"], "", "persistentvolumes"),
        _rule([*_READ, "update"], "", "persistentvolumeclaims"),
        _rule(_READ, "storage.k8s.io", "storageclasses"),
        _rule(["watch", "create", "update", "patch"], "", "events"),
    ],
}
_BINDINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cluster-admin", "cluster-admin", ("system:masters",)),
    ("system:basic-user", "system:basic-user", ("system:authenticated",)),
    ("system:discovery", "system:discovery", ("system:authenticated",)),
    (
        "system:public-info-viewer",
        "system:public-info-viewer",
        ("system:authenticated", "system:unauthenticated"),
    ),
    (
        "system:service-account-issuer-discovery",
        "system:service-account-issuer-discovery",
        ("system:serviceaccounts",),
    ),
)


def cluster_roles() -> Iterator[Object]:
    """The ClusterRoles; the aggregated ones get their rules from ``aggregated``."""
    for name, rules in _RULES.items():
        yield _role(name, {}) | {"rules": rules}
    # each level also labels the roles of the levels below: who administers also edits and views
    parts = (
        ("admin", _ADMIN, "admin"),
        ("edit", _EDIT, "admin edit"),
        ("view", _VIEW, "admin edit view"),
    )
    for name, rules, _ in parts:
        labels = {_AGGREGATE + name: "true"}
        yield _role(f"system:aggregate-to-{name}", labels) | {"rules": rules}
        selectors = [{"matchLabels": {_AGGREGATE + name: "true"}}]
        lower = {_AGGREGATE + level: "true" for level in _above(name)}
        yield _role(name, lower) | {
            "aggregationRule": {"clusterRoleSelectors": selectors},
            "rules": [rule for _, found, to in parts if name in to.split() for rule in found],
        }


def _above(name: str) -> tuple[str, ...]:
    return {"view": ("edit",), "edit": ("admin",)}.get(name, ())


def _role(name: str, labels: dict[str, str]) -> Object:
    return {
        "apiVersion": _API,
        "kind": "ClusterRole",
        "metadata": {
            "name": name,
            "labels": _LABELS | labels,
            "annotations": dict(_ANNOTATIONS),
        },
    }


def cluster_role_bindings(admins: tuple[str, ...]) -> Iterator[Object]:
    """The ClusterRoleBindings, and one more that makes these users cluster-admin."""
    for name, role, groups in _BINDINGS:
        subjects = [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
            for group in groups
        ]
        yield _binding(name, role, subjects, dict(_LABELS))
    if admins:
        subjects = [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
            for user in admins
        ]
        yield _binding("cluster-creator-admin", "cluster-admin", subjects, {})


def _binding(name: str, role: str, subjects: list[Object], labels: dict[str, str]) -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return {
        "apiVersion": _API,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": labels, "annotations": dict(_ANNOTATIONS)},
        "subjects": subjects,
        "roleRef": reference,
    }

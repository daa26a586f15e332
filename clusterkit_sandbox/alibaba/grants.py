"""CS 2015-12-15: what RAM users and roles may do inside of clusters.

Vendor: GrantPermissions, DescribeUserPermission, "Assign RBAC roles to a RAM user" (the roles and
what each may do), "FAQ about authorization management" (``cs:admin``). A grant replaces all that
the user had. Whoever made a cluster is its administrator; only administrators grant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusterkit_sandbox.alibaba.authorization import allows
from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Cluster, Role, Thing
from clusterkit_sandbox.alibaba.service import Call, Json, operation, uid_of
from clusterkit_sandbox.alibaba.store import USER, Store
from clusterkit_sandbox.kit.system import Object

_ALL = "all-clusters"
_LEVELS: Mapping[str, Sequence[str]] = {
    "admin": ("cluster", _ALL),
    "admin-view": ("cluster",),
    "ops": ("cluster", _ALL),
    "dev": ("cluster", "namespace", _ALL),
    "restricted": ("cluster", "namespace", _ALL),
}
"""at which levels a role may be granted (GrantPermissions in the vendor's SDK 7.2.3)"""
_READ, _ANY = ["get", "list", "watch"], ["*"]
_SHARED = ["nodes", "persistentvolumes", "namespaces", "resourcequotas"]
_WORK = {
    "": ["configmaps", "endpoints", "events", "persistentvolumeclaims", "pods", "pods/*",
         "replicationcontrollers", "secrets", "serviceaccounts", "services"],
    "apps": _ANY, "autoscaling": _ANY, "batch": _ANY, "networking.k8s.io": _ANY, "policy": _ANY,
}  # fmt: skip


@dataclass(kw_only=True)
class Grants(Thing):
    """What one user or role has been granted; its id is theirs."""

    entries: list[Json] = field(default_factory=list)


def _roles() -> Iterator[Object]:
    def work(verbs: list[str]) -> list[Json]:
        return [_rule(group, names, verbs) for group, names in _WORK.items()]

    yield _role("admin", [_rule("*", _ANY, _ANY), {"nonResourceURLs": _ANY, "verbs": _ANY}])
    yield _role("admin-view", [_rule("*", _ANY, _READ), {"nonResourceURLs": _ANY, "verbs": _READ}])
    yield _role("ops", [*work(_ANY), _rule("", _SHARED, _READ)])
    yield _role("dev", work(_ANY))
    yield _role("restricted", work(_READ))


def _rule(group: str, names: list[str], verbs: list[str]) -> Json:
    return {"apiGroups": [group], "resources": names, "verbs": verbs}


def _role(name: str, rules: list[Json]) -> Object:
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    return {**head, "metadata": {"name": f"cs:{name}"}, "rules": rules}


def objects(store: Store, cluster: Cluster) -> Iterator[Object]:
    """What a new cluster has: the roles, and the bindings of all that has been granted there."""
    yield from _roles()
    for one in store.all(Grants):
        yield from _bindings(one, cluster)


def _bindings(grants: Grants, cluster: Cluster) -> Iterator[Object]:
    for number, entry in enumerate(grants.entries):
        if entry["role_type"] != _ALL and entry["cluster"] != cluster.id:
            continue
        custom = entry.get("is_custom", False)
        named = entry["role_name"] if custom else f"cs:{entry['role_name']}"
        space = entry["namespace"] if entry["role_type"] == "namespace" else ""
        kind = "RoleBinding" if space else "ClusterRoleBinding"
        group = "rbac.authorization.k8s.io"
        yield {
            "apiVersion": f"{group}/v1",
            "kind": kind,
            "metadata": {
                "name": f"{grants.id}-{number}-{kind.lower()}",
                **({"namespace": space} if space else {}),
            },
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": named},
            "subjects": [{"apiGroup": group, "kind": "User", "name": grants.id}],
        }


@operation("cs:GrantPermissions")
def _grant(call: Call) -> object:
    store, uid = call.store, call.path["uid"]
    entries: list[Json] = list(call.get("body", []))
    for entry in entries:
        _check(call, uid, entry)
    old = store.get(Grants, uid) or store.add(Grants(id=uid, region="", name=uid))
    clusters = list(store.all(Cluster))
    before = [(one, list(_bindings(old, one))) for one in clusters]
    old.entries = entries
    for cluster, some in before:
        call.clusters.system.uninstall(cluster.id, some)
        call.clusters.system.install(cluster.id, _bindings(old, cluster))
    return None


def _check(call: Call, uid: str, entry: Json) -> None:
    store, level = call.store, entry.get("role_type", "")
    name, custom = entry.get("role_name", ""), entry.get("is_custom", False)
    if not name or not (custom or level in _LEVELS.get(name, ())):
        raise bad("InvalidParameter", f"The role {name!r} cannot be granted at level {level!r}.")
    if level == "namespace" and not entry.get("namespace"):
        raise bad("InvalidParameter", "namespace is required for role_type namespace.")
    clusters = list(store.all(Cluster))
    if level != _ALL:
        clusters = [one for one in clusters if one.id == entry.get("cluster")]
        if not clusters:
            text = f"The cluster {entry.get('cluster')} is not found."
            raise Failure(404, "ErrorClusterNotFound", text)
    if not all(_administers(store, uid_of(call), one) for one in clusters):
        raise Failure(403, "ForbiddenGrantPermissions", "You may not grant these permissions.")
    role = next((one for one in store.all(Role) if one.number == uid), None)
    known = role is not None if entry.get("is_ram_role", False) else uid == USER
    if not known or (role and not allows(store, role.id, "cs:DescribeClusterDetail")):
        text = f"The RAM policies of {uid} do not let it read the cluster."
        raise Failure(403, "ErrorRamPolicyConfig", text)


def _administers(store: Store, uid: str, cluster: Cluster) -> bool:
    grants = store.get(Grants, uid)
    return cluster.creator == uid or any(
        entry["role_name"] in ("admin", "cluster-admin")
        and (entry["role_type"] == _ALL or entry["cluster"] == cluster.id)
        for entry in (grants.entries if grants is not None else ())
    )


@operation("cs:DescribeUserPermission")
def _describe(call: Call) -> object:
    store, uid = call.store, call.path["uid"]
    is_role = int(any(one.number == uid for one in store.all(Role)))
    own = {"resource_type": "cluster", "role_name": "admin", "role_type": "admin"}
    found: list[dict[str, Any]] = [
        {"resource_id": one.id, **own, "is_owner": 1, "is_ram_role": is_role}
        for one in store.all(Cluster)
        if one.creator == uid
    ]
    grants = store.get(Grants, uid)
    for entry in grants.entries if grants is not None else ():
        where, level = entry["cluster"], entry["role_type"]
        found.append({
            "resource_id": _PLACES[level](where, entry.get("namespace", "")),
            "resource_type": "console" if level == _ALL else level,
            "role_name": entry["role_name"],
            "role_type": "custom" if entry.get("is_custom") else entry["role_name"],
            "is_owner": 0,
            "is_ram_role": int(entry.get("is_ram_role", False)),
        })  # fmt: skip
    return found


_PLACES: Mapping[str, Callable[[str, str], str]] = {
    "cluster": lambda cluster, _: cluster,
    "namespace": lambda cluster, namespace: f"{cluster}/{namespace}",
    _ALL: lambda *_: _ALL,
}

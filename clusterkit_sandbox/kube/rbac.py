"""Role-based access control: who may do what (Kubernetes documentation, "Using RBAC
Authorization"). Whether somebody grants more than they have is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.kinds import GroupPlural, Object, Resource
from clusterkit_sandbox.kube.refusals import Refusal, forbidden
from clusterkit_sandbox.kube.state import ClusterState

GROUP = "rbac.authorization.k8s.io"
CLUSTER_ROLES: GroupPlural = (GROUP, "clusterroles")
ROLES: GroupPlural = (GROUP, "roles")
CLUSTER_ROLE_BINDINGS: GroupPlural = (GROUP, "clusterrolebindings")
ROLE_BINDINGS: GroupPlural = (GROUP, "rolebindings")
MASTERS = "system:masters"


@dataclass(frozen=True)
class Attributes:
    """What is asked: a verb on a resource, or, with ``path``, on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    """with its subresource: ``pods/log``"""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Authorizer:
    """Answers from the roles and bindings of one cluster."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def allowed(self, user: Identity, wanted: Attributes) -> str:
        """Why it is allowed, in RBAC's words; empty if it is not."""
        if MASTERS in user.groups:
            # the API server itself lets this group pass, whatever the roles say
            return f"group {MASTERS}"
        for rules, why in self._bound(user, wanted.namespace):
            if any(_covers(rule, wanted) for rule in rules):
                return why
        if user.may is None or wanted.path:
            return ""
        return user.may(wanted.verb, wanted.group, wanted.resource)

    def rules(self, user: Identity, namespace: str) -> list[Object]:
        """Every rule that holds for this user in a namespace."""
        if MASTERS in user.groups:
            return [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return [rule for rules, _ in self._bound(user, namespace) for rule in rules]

    def _bound(self, user: Identity, namespace: str) -> Iterator[tuple[Sequence[Object], str]]:
        store = self._state.store
        for key in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            if key == ROLE_BINDINGS and not namespace:
                continue
            for binding in store.list(key, namespace if key == ROLE_BINDINGS else ""):
                subject = next((s for s in binding.get("subjects") or () if _is(s, user)), None)
                if subject is None:
                    continue
                metadata, reference = binding["metadata"], binding["roleRef"]
                shown = metadata["name"]
                if key == ROLE_BINDINGS:
                    shown = f"{shown}/{namespace}"
                why = (
                    f'RBAC: allowed by {binding["kind"]} "{shown}" of {reference["kind"]}'
                    f' "{reference["name"]}" to {subject["kind"]} "{_subject(subject)}"'
                )
                yield self._role(reference, metadata.get("namespace", "")), why

    def _role(self, reference: Object, namespace: str) -> Sequence[Object]:
        key = ROLES if reference.get("kind") == "Role" else CLUSTER_ROLES
        where = namespace if key == ROLES else ""
        found = self._state.get(key, where, reference.get("name", "")) or {}
        rules: Sequence[Object] = found.get("rules") or ()
        return rules


def denied(user: Identity, resource: Resource, wanted: Attributes) -> Refusal:
    """The 403 for a verb on a resource."""
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    return forbidden(
        resource,
        wanted.name,
        f'User "{user.username}" cannot {wanted.verb} resource "{wanted.resource}" in API group'
        f' "{wanted.group}" {where}',
    )


def _is(subject: Object, user: Identity) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject["name"] == user.username)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return user.username == (
                f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}"
            )
        case _:
            return False


def _subject(subject: Object) -> str:
    if subject["kind"] == "ServiceAccount":
        return f"{subject['name']}/{subject.get('namespace', '')}"
    return str(subject["name"])


def _covers(rule: Object, wanted: Attributes) -> bool:
    if not _has(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(_path_matches(path, wanted.path) for path in rule.get("nonResourceURLs") or ())
    if not _has(rule.get("apiGroups"), wanted.group):
        return False
    resources = rule.get("resources") or ()
    _, _, subresource = wanted.resource.partition("/")
    any_of = subresource and f"*/{subresource}" in resources
    if not any_of and not _has(resources, wanted.resource):
        return False
    names = rule.get("resourceNames")
    return not names or wanted.name in names


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path

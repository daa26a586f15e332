"""Namespaces: their initial objects, and their deletion (Kubernetes documentation, "Namespaces").

Also the token of a Secret of type ``kubernetes.io/service-account-token``, and the rules of
aggregated ClusterRoles.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from clusterkit_sandbox.kube.accounts import SERVICE_ACCOUNTS, TokenIssuer
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.kinds import CONFIG_MAPS, SECRETS, GroupPlural, Object
from clusterkit_sandbox.kube.rbac import CLUSTER_ROLES
from clusterkit_sandbox.kube.selectors import matches
from clusterkit_sandbox.kube.state import NAMESPACES
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import MANAGER

_ROOT_CA = "kube-root-ca.crt"
_TOKEN_TYPE = "kubernetes.io/service-account-token"
_ACCOUNT = "kubernetes.io/service-account.name"


class NamespaceController:
    """Creates a namespace's service account and root certificate; empties it when it is deleted."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Namespaces, and the namespace of anything that was deleted."""
        if change.key == NAMESPACES:
            yield ref_of(change.key, change.object)
        elif change.type == "DELETED" and "namespace" in change.object["metadata"]:
            yield NAMESPACES, "", change.object["metadata"]["namespace"]

    def reconcile(self, ref: Ref) -> float | None:
        """Fill or empty one namespace."""
        state = self._runtime.state
        name = ref[2]
        found = state.get(NAMESPACES, "", name)
        if found is None:
            return None
        if not found["metadata"].get("deletionTimestamp"):
            self._ensure(SERVICE_ACCOUNTS, name, "default", {})
            self._ensure(CONFIG_MAPS, name, _ROOT_CA, {"data": {"ca.crt": state.ca_pem}})
            return None
        left = False
        for key, item in state.in_namespace(name):
            left = True
            self._runtime.writer.drop(key, item)
        if left and any(True for _ in state.in_namespace(name)):
            return None

        def finalize(new: Object) -> None:
            new["spec"]["finalizers"] = []

        self._runtime.writer.edit(NAMESPACES, found, finalize, MANAGER, "finalize")
        return None

    def _ensure(self, key: GroupPlural, namespace: str, name: str, body: Object) -> None:
        state = self._runtime.state
        if state.get(key, namespace, name) is None:
            new = {"metadata": {"name": name}} | body
            self._runtime.writer.make(key, namespace, new, MANAGER)


class TokenSecretController:
    """Fills in the long-lived token of a Secret made for a service account."""

    def __init__(self, runtime: Runtime, issuer: TokenIssuer) -> None:
        self._runtime = runtime
        self._issuer = issuer

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Secrets of that type."""
        if change.key == SECRETS and change.object.get("type") == _TOKEN_TYPE:
            yield ref_of(change.key, change.object)

    def reconcile(self, ref: Ref) -> float | None:
        """Add token, certificate and namespace."""
        state = self._runtime.state
        secret = state.get(*ref)
        if secret is None or (secret.get("data") or {}).get("token"):
            return None
        annotations = secret["metadata"].get("annotations") or {}
        account = state.get(SERVICE_ACCOUNTS, ref[1], annotations.get(_ACCOUNT, ""))
        if account is None:
            return self._runtime.retry()
        token, _ = self._issuer.issue(account, seconds=None)
        values = {"token": token, "ca.crt": state.ca_pem, "namespace": ref[1]}

        def fill(new: Object) -> None:
            data = new.setdefault("data", {})
            for name, value in values.items():
                data[name] = base64.b64encode(value.encode()).decode()
            uid = account["metadata"]["uid"]
            new["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = uid

        self._runtime.writer.edit(SECRETS, secret, fill, MANAGER)
        return None


class AggregationController:
    """Sums up the rules of ClusterRoles with an aggregationRule."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Every aggregated role, whichever role changed."""
        if change.key != CLUSTER_ROLES:
            return
        for role in self._runtime.state.store.list(CLUSTER_ROLES):
            if role.get("aggregationRule"):
                yield ref_of(CLUSTER_ROLES, role)

    def reconcile(self, ref: Ref) -> float | None:
        """Bring one role's rules up to date."""
        state = self._runtime.state
        role = state.get(*ref)
        if role is None or not role.get("aggregationRule"):
            return None
        rules: list[Object] = []
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            for other in state.store.list(CLUSTER_ROLES):
                if other is role or not matches(selector, other["metadata"].get("labels")):
                    continue
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        if rules != role.get("rules"):

            def sum_up(new: Object) -> None:
                new["rules"] = rules

            self._runtime.writer.edit(CLUSTER_ROLES, role, sum_up, MANAGER)
        return None

"""Tokens of a cluster's own: whoever has one reaches that cluster, and nothing else that the
identity reaches with which the cluster was made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clusterkit.engine.dates import utc
from clusterkit.errors import Absent, NotOurs
from clusterkit.kube.api import Credential, KubeApi, Object

ACCOUNT = "clusterkit-kubeconfig"
"""the ServiceAccount, and the binding that makes it an administrator"""
NAMESPACE = "kube-system"
LIFE = 3600
"""seconds that are asked for; the API server may give another life
(https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/)"""
_RBAC = "rbac.authorization.k8s.io"
_ACCOUNT = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}"
_BINDING = f"/apis/{_RBAC}/v1/clusterrolebindings/{ACCOUNT}"


def administrator(kube: KubeApi, label: str, owner: str, *, make: bool = True) -> Credential:
    """A token of an administrator of this cluster, good for an hour.

    Its ServiceAccount and ClusterRoleBinding are made, and kept as they should be, with ``label``
    saying ``owner``; unless ``make``, ``Absent`` where they are not. ``NotOurs`` where others of
    their names are.
    """
    me = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    account = _object("v1", "ServiceAccount", namespace=NAMESPACE)
    binding = _object(f"{_RBAC}/v1", "ClusterRoleBinding") | {"roleRef": role, "subjects": [me]}
    for path, body in ((_ACCOUNT, account), (_BINDING, binding)):
        there = kube.get(path)
        said = ((there or {}).get("metadata", {}).get("labels") or {}).get(label)
        if there is not None and said != owner:
            hint = "delete it if nobody needs it"
            raise NotOurs(f"its {body['kind']} {ACCOUNT} was made by somebody else", hint=hint)
        body["metadata"]["labels"] = {label: owner}
        if make:
            kube.apply(path, body)
        elif there is None:
            raise Absent(f"{body['kind']} {ACCOUNT}")
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    found = kube.create(f"{_ACCOUNT}/token", {**asked, "spec": {"expirationSeconds": LIFE}})
    until = utc(found["status"]["expirationTimestamp"]) or datetime.now(UTC)
    return Credential(until, token=found["status"]["token"])


def _object(version: str, kind: str, **more: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": ACCOUNT, **more}}

"""How Kubernetes is reached: with a token of Microsoft Entra ID, or the certificate of the cluster.

A cluster without Entra ID gives whoever may ask Azure for it a client certificate that is good for
two years (https://learn.microsoft.com/azure/aks/certificate-rotation). It is asked for each time,
and never written anywhere, but for ``kubeconfig --auth admin``.

With Entra ID, the API server may take five minutes to know a new role assignment.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from clusterkit.aks import ids
from clusterkit.aks.client import KUBERNETES, Clients
from clusterkit.aks.cluster import owned
from clusterkit.aks.clusterstate import STOPPED, ClusterState
from clusterkit.aks.iam import ROLES, RoleAssignment
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import Target
from clusterkit.errors import Absent, CloudError, ClusterkitError
from clusterkit.kube import issued
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.kubeconfig import exec_stanza

AWAY = ("", "Creating", "Deleting", "Starting", "Stopping", STOPPED)
"""states in which the API server does not answer"""
LIFE = timedelta(hours=1)
"""after which a certificate is asked for again"""
EARLY = timedelta(minutes=5)
ADMINISTRATOR = ROLES["Azure Kubernetes Service RBAC Cluster Admin"]
PLUGIN = "kubelogin"
CREDENTIALS = "managed_clusters.list_cluster_user_credentials"
ADMIN = "managed_clusters.list_cluster_admin_credentials"
RIGHTS = "who may use the cluster is in the profile: entra.admins, with object ids of Entra ID"
EFFECT = 330.0
"""seconds until the API server knows a role assignment: up to five minutes
(MicrosoftDocs/azure-aks-docs ``articles/aks/entra-id-authorization.md``), and a margin"""


def access(clients: Clients, target: Target) -> Access:
    """How to reach the cluster's Kubernetes API; ``Absent`` while none of ours is running."""
    have = _running(clients, target)
    text, proxy = _kubeconfig(clients, have, CREDENTIALS), clients.wire.proxy
    if not have.entra:
        return issued.access(text, CREDENTIALS, proxy=proxy, until=datetime.now(UTC) + LIFE - EARLY)
    try:
        cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
        server, authority = cluster["server"], cluster["certificate-authority-data"]
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        what = "AKS issued a kubeconfig without a cluster"
        raise CloudError(what, operation=CREDENTIALS, hint="try again") from None
    return Access(
        server=server,
        ca=base64.b64decode(authority).decode(),
        token=lambda: clients.bearer(KUBERNETES).token,
        proxy=proxy,
        grace=EFFECT,
        new=_is_new(clients, target),
        rights=RIGHTS,
    )


def _running(clients: Clients, target: Target) -> ClusterState:
    scope = Scope(clients, target.name, target.region)
    found = [one for one in owned(scope) if one.status not in AWAY]
    if not found:
        raise Absent(target.name)
    return found[0]


def _is_new(clients: Clients, target: Target) -> bool:
    """Whether somebody was made an administrator only just now."""
    scope = Scope(clients, target.name, target.region)
    since = datetime.now(UTC) - timedelta(seconds=EFFECT)
    try:
        made = [each.made for each in RoleAssignment.list(scope) if each.role == ADMINISTRATOR]
    except CloudError:  # who may not see it is let in or not
        return False
    return any(each is not None and each > since for each in made)


def _kubeconfig(clients: Clients, have: ClusterState, operation: str) -> str:
    group = ids.part(have.path, "resourceGroups")
    answer = clients.aks(operation, group, have.name)
    return base64.b64decode(answer["kubeconfigs"][0]["value"]).decode()


def administrator(clients: Clients, target: Target) -> Access:
    """The cluster's own administrator, whom Entra ID does not know; ``ClusterkitError`` if the
    cluster has no local accounts.
    """
    have = _running(clients, target)
    if not have.local_accounts:
        what = f"{have.name} lets no local accounts in, so it has no such administrator"
        cure = "leave --auth out, or set entra.local_accounts: true in the profile and run up"
        raise ClusterkitError(what, where="--auth admin", hint=cure)
    text = _kubeconfig(clients, have, ADMIN)
    until = datetime.now(UTC) + LIFE
    return issued.access(text, ADMIN, proxy=clients.wire.proxy, until=until)


def credential(clients: Clients, target: Target, _: int | None) -> Credential:
    """A token of Entra ID, or the cluster's client certificate."""
    found = access(clients, target)
    if found.token is not None:
        bearer = clients.bearer(KUBERNETES)
        return Credential(bearer.expires, token=bearer.token)
    pair = (found.client_certificate or "", found.client_key or "")
    return Credential(datetime.now(UTC) + LIFE, certificate=pair[0], key=pair[1])


def exec_native(_: Target) -> Mapping[str, Any]:
    """The ``exec`` stanza of kubelogin, for clusters with Entra ID, as who is logged in with az."""
    server = KUBERNETES.partition("/")[0]
    return exec_stanza(PLUGIN, ["get-token", "--login", "azurecli", "--server-id", server], {})

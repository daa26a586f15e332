"""How pods push to an Azure registry: as themselves (Entra Workload ID), as their node, or with a
password.

A registry's login server may have a hash in its name, so it is read from the cloud. Credential
helpers show the registry a token of Resource Manager's, which it takes unless its policy says
otherwise (``registry.py`` sees to that).
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import partial

from clusterkit.aks.client import Clients
from clusterkit.aks.iam import kubelet_of
from clusterkit.aks.profile import AksProfile, AksRegistry
from clusterkit.aks.registry import server_of
from clusterkit.engine.scope import Scope
from clusterkit.kube.secrets import Login
from clusterkit.ready.registry import REGCRED, PushAccess

USE = "azure.workload.identity/use"
"""label of the pods that the webhook gives a token; the annotation of their account alone does
nothing (https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html)
"""
NOBODY = "00000000-0000-0000-0000-000000000000"
"""the user name that goes with a registry's refresh token
(https://learn.microsoft.com/azure/container-registry/container-registry-authentication)"""


def access_of(registry: AksRegistry, server: str, kubelet: str, clients: Clients) -> PushAccess:
    """How pods push. ``server`` is the login server, ``kubelet`` the client id of the kubelets'
    identity, which a node has beside others.
    """
    by_secret = registry.push == "secret"
    return PushAccess(
        host=server,
        prefix=registry.name,
        helpers={} if by_secret else {server: "acr-env"},
        secret=REGCRED if by_secret else "",
        pod_labels={} if registry.push in ("node", "secret") else {USE: "true"},
        env={"AZURE_CLIENT_ID": kubelet} if registry.push == "node" else {},
        servers=(server,) if by_secret else (),
        login=partial(login, clients, server) if by_secret else None,
    )


def login(clients: Clients, server: str) -> Login:
    """What logs in for three hours, with the rights of whoever asks: the refresh token that
    ``az acr login --expose-token`` shows.
    """
    token = clients.exchange(server)
    return Login((server,), NOBODY, token, expires(token))


def expires(token: str) -> datetime | None:
    """The end of a JSON web token (RFC 7519, ``exp``); None if it is none."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def push_access(profile: AksProfile, clients: Clients, _: str | None) -> PushAccess | None:
    """``Cloud.push_access``: the login server is read, and the kubelets' identity if they push."""
    wanted = profile.registry
    if wanted is None:
        return None
    scope = Scope(clients, profile.name, profile.region)
    kubelet = kubelet_of(scope) if wanted.push == "node" else ""
    return access_of(wanted, server_of(scope), kubelet, clients)

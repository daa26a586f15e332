"""The kubeconfigs of a cluster: the local administrator's, and that of users of Entra ID.

The vendor's pages "Access and identity options for AKS" and "kubelogin"; words of the refusal with
local accounts off: facts/azure.tsv.
"""

from __future__ import annotations

import base64

import yaml

from clusterkit_sandbox.azure.account import TENANT
from clusterkit_sandbox.azure.entra import KUBERNETES
from clusterkit_sandbox.azure.failure import Json, refusal
from clusterkit_sandbox.azure.resources import Cluster
from clusterkit_sandbox.azure.service import Call, operation

_LONG = 2 * 365 * 24 * 3600
"""Seconds that certificates live ("Certificate rotation in AKS": two years)."""
_CLIENT = "80faf920-1908-4b52-b5ef-a8e7bedfc67a"
"""The application that users log in with (Azure/kubelogin, README)."""


def _cluster(call: Call) -> Cluster:
    _ = call.group
    found = call.require(Cluster, call.path.rpartition("/")[0])
    if not call.clusters.serves(found):
        raise refusal("ControlPlaneNotFound", name=found.name, state=found.state)
    return found


@operation("containerservice:ManagedClusters_ListClusterAdminCredentials")
def _admin(call: Call) -> object:
    cluster = _cluster(call)
    if cluster.properties["disableLocalAccounts"]:
        raise refusal("BadRequest#static-credential")
    return {"kubeconfigs": [_kubeconfig(call, cluster, "clusterAdmin")]}


@operation("containerservice:ManagedClusters_ListClusterUserCredentials")
def _user(call: Call) -> object:
    return {"kubeconfigs": [_kubeconfig(call, _cluster(call), "clusterUser")]}


@operation("containerservice:ManagedClusters_GetAccessProfile")
def _profile(call: Call) -> object:
    place = call.path[: call.path.lower().rindex("/accessprofiles/")]
    cluster = call.require(Cluster, place)
    role = str(call["roleName"])
    entry = _kubeconfig(call, cluster, role)
    return {
        "id": f"{cluster.shown['id']}/accessProfiles/{role}",
        "name": role,
        "type": "Microsoft.ContainerService/ManagedClusters/AccessProfiles",
        "location": cluster.location,
        "properties": {"kubeConfig": entry["value"]},
    }


def _kubeconfig(call: Call, cluster: Cluster, who: str) -> Json:
    name, user = cluster.name, f"{who}_{cluster.parsed.group}_{cluster.name}"
    if who == "clusterUser" and cluster.properties.get("aadProfile"):
        credential = _login(str(call.get("format", "")))
        authority = call.clusters.authority(cluster)
    else:
        authority, certificate, key = call.clusters.certificate(cluster, _LONG)
        credential = {
            "client-certificate-data": _base64(certificate),
            "client-key-data": _base64(key),
        }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": f"https://{cluster.properties['fqdn']}:443",
                    "certificate-authority-data": _base64(authority),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
        "users": [{"name": user, "user": credential}],
    }
    return {"name": who, "value": _base64(yaml.safe_dump(config, sort_keys=False))}


def _login(form: str) -> Json:
    """How a user logs in: with kubelogin; in the old form, with a provider that kubectl had."""
    if form.lower() == "azure":
        settings = {"apiserver-id": KUBERNETES, "client-id": _CLIENT, "config-mode": "1",
                    "environment": "AzurePublicCloud", "tenant-id": TENANT}  # fmt: skip
        return {"auth-provider": {"name": "azure", "config": settings}}
    arguments = {
        "--environment": "AzurePublicCloud",
        "--server-id": KUBERNETES,
        "--client-id": _CLIENT,
        "--tenant-id": TENANT,
        "--login": "devicecode",
    }
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "kubelogin",
            "args": ["get-token", *(part for pair in arguments.items() for part in pair)],
            "env": None,
            "installHint": "kubelogin is not installed: https://aka.ms/aks/kubelogin",
            "provideClusterInfo": False,
        }
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

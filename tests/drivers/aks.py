"""What there is in an Azure subscription, asked for over plain REST without clusterkit's driver."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from requests import Session

from tests.drivers.world import Thing, World

ARM = "https://management.azure.com"
VERSIONS = {
    "Microsoft.Authorization": "2022-04-01",
    "Microsoft.Authorization/locks": "2020-05-01",
    "Microsoft.Compute": "2026-04-01",
    "Microsoft.Compute/disks": "2026-03-02",
    "Microsoft.ContainerRegistry": "2025-11-01",
    "Microsoft.ContainerService": "2026-08-01",
    "Microsoft.KeyVault": "2026-05-15",
    "Microsoft.ManagedIdentity": "2024-11-30",
    "Microsoft.Network": "2026-03-01",
    "Microsoft.Network/dnsZones": "2018-05-01",
    "Microsoft.Storage": "2026-09-01",
}
RESOURCES = "2025-04-01"
KINDS = {
    "microsoft.compute/disks": "disk",
    "microsoft.compute/sshpublickeys": "ssh-public-key",
    "microsoft.compute/virtualmachinescalesets": "scale-set",
    "microsoft.containerregistry/registries": "registry",
    "microsoft.containerservice/managedclusters": "cluster",
    "microsoft.keyvault/vaults": "key-vault",
    "microsoft.managedidentity/userassignedidentities": "identity",
    "microsoft.network/dnszones": "dns-zone",
    "microsoft.network/loadbalancers": "load-balancer",
    "microsoft.network/natgateways": "nat-gateway",
    "microsoft.network/networksecuritygroups": "network-security-group",
    "microsoft.network/publicipaddresses": "public-ip",
    "microsoft.network/routetables": "route-table",
    "microsoft.network/virtualnetworks": "virtual-network",
    "microsoft.storage/storageaccounts": "storage-account",
}
_DESCRIBED = re.compile(r"clusterkit (?P<region>\S+?)/(?P<cluster>[^\s/]+)")
"""the mark of what takes no tags"""


class Refused(Exception):
    """An answer that is not 2xx, or an operation that failed."""


class Account:
    """A subscription of a sandbox. ``account("GET", "/subscriptions/S/…")`` waits for what goes on
    after its answer.
    """

    def __init__(self, world: World, environ: Mapping[str, str] | None = None) -> None:
        """``environ``: whose credentials to use, if not the administrator's."""
        environ = environ or world.sandbox.environment()
        self.subscription = environ["AZURE_SUBSCRIPTION_ID"]
        self.region = world.profile.region
        self._session = Session()
        self._session.trust_env = False
        self._session.proxies = {"https": world.sandbox.proxy}
        self._session.verify = str(world.sandbox.ca_file)
        asked = {
            "grant_type": "client_credentials",
            "client_id": environ["AZURE_CLIENT_ID"],
            "client_secret": environ["AZURE_CLIENT_SECRET"],
            "scope": f"{ARM}/.default",
        }
        login = "https://login.microsoftonline.com"
        url = f"{login}/{environ['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        token = self._session.post(url, data=asked).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        self.who = str(_claims(token)["oid"])
        """the object id of the credentials"""

    @property
    def path(self) -> str:
        """``/subscriptions/S``"""
        return f"/subscriptions/{self.subscription}"

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The answer's JSON, when what it began is over."""
        answer = self.ask(method, path, body, **query)
        if url := answer.headers.get("Azure-AsyncOperation"):
            self._done(url)
        elif answer.status_code == 202:
            self._gone(answer.headers["Location"])
        return answer.json() if answer.content else {}

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The answer, as what it begins goes on."""
        query.setdefault("api-version", version(path))
        answer = self._session.request(method, ARM + path, json=body, params=query)
        if not answer.ok:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def every(self, path: str, **query: str) -> Iterator[Any]:
        """Every item of a list, from all its pages."""
        query.setdefault("api-version", version(path))
        answer = self._session.get(ARM + path, params=query)
        while True:
            if not answer.ok:
                raise Refused(f"GET {path}: {answer.status_code} {answer.text}")
            page = answer.json()
            yield from page["value"]
            if not page.get("nextLink"):
                return
            answer = self._session.get(page["nextLink"])

    def _done(self, url: str) -> None:
        while True:
            found = self._session.get(url)
            if found.status_code == 404 or not found.content:
                return
            shown = found.json()
            if shown["status"] == "Succeeded":
                return
            if shown["status"] in ("Failed", "Canceled"):
                raise Refused(json.dumps(shown))
            time.sleep(0.01)

    def _gone(self, url: str) -> None:
        while self._session.get(url).status_code == 202:
            time.sleep(0.01)


def _claims(token: str) -> Any:
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(f"{middle}=="))


def version(path: str) -> str:
    """The ``api-version`` of what a path names."""
    _, found, after = path.rpartition("/providers/")
    if not found or "/" not in after:
        return RESOURCES
    namespace, kind = after.split("/")[:2]
    return VERSIONS.get(f"{namespace}/{kind}") or VERSIONS.get(namespace) or RESOURCES


def inventory(world: World) -> list[Thing]:
    """Everything in the subscription."""
    account = Account(world)
    return [*_groups(account), *_resources(account), *_assignments(account)]


def _groups(account: Account) -> Iterator[Thing]:
    for shown in account.every(f"{account.path}/resourcegroups"):
        if shown.get("managedBy"):  # AKS made it, and passes the cluster's tags on
            yield Thing("node-group", shown["name"], {}, shown)
        else:
            yield Thing("resource-group", shown["id"].lower(), shown.get("tags") or {}, shown)


def _resources(account: Account) -> Iterator[Thing]:
    for listed in account.every(f"{account.path}/resources"):
        identifier = listed["id"]
        kind = KINDS.get(listed["type"].lower(), listed["type"])
        group = identifier.split("/")[4].lower()
        inside = group.endswith("-nodes")
        try:
            shown = account("GET", identifier)
        except Refused:
            continue  # listed still
        marks = shown.get("tags") or {}
        if inside:  # made by AKS, which passes the cluster's tags on
            kind, marks = f"{kind}-of-nodes", {}
        yield Thing(kind, identifier.lower(), marks, _settled(shown))
        if kind == "cluster":
            for pool in shown["properties"]["agentPoolProfiles"]:
                path = f"{identifier}/agentPools/{pool['name']}".lower()
                yield Thing("node-pool", path, pool.get("tags") or {}, pool)
        if kind == "identity":
            for each in account.every(f"{identifier}/federatedIdentityCredentials"):
                yield Thing("federated-credential", each["id"].lower(), marks, each)


def _settled(shown: Any) -> Any:
    """Without what changes by itself."""
    return {key: value for key, value in shown.items() if key.lower() != "etag"}


def _assignments(account: Account) -> Iterator[Thing]:
    path = f"{account.path}/providers/Microsoft.Authorization/roleAssignments"
    for shown in account.every(path):
        found = _DESCRIBED.match(shown["properties"].get("description") or "")
        marks = {"clusterkit-cluster": found["cluster"]} if found else {}
        yield Thing("role-assignment", shown["id"].lower(), marks, shown)

"""An Azure subscription of a sandbox, asked by hand with a token of its own service principal.

Every answer that passes is held against the vendor's published description of it.
"""

from __future__ import annotations

import base64
import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
import yaml

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure import model
from clusterkit_sandbox.azure.account import SUBSCRIPTION, TENANT
from clusterkit_sandbox.azure.gateway import AzureCloud
from clusterkit_sandbox.azure.store import Conditions
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.kit.shape import Reader
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox

REGION = "eastus"
SUB = f"/subscriptions/{SUBSCRIPTION}"
RG = f"{SUB}/resourceGroups/demo"
NET = f"{RG}/providers/Microsoft.Network"
SUBNET = f"{NET}/virtualNetworks/demo/subnets/nodes"
AKS = f"{RG}/providers/Microsoft.ContainerService/managedClusters"
UAI = f"{RG}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
ACR = f"{RG}/providers/Microsoft.ContainerRegistry/registries"
STORAGE = f"{RG}/providers/Microsoft.Storage/storageAccounts"
VAULTS = f"{RG}/providers/Microsoft.KeyVault/vaults"
ROLES = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "Cluster Admin": "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Identity Operator": "f1a07417-d97a-45cb-824c-7a7467783830",
    "Network Contributor": "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Blob Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Repository Writer": "2a1e307c-b015-4ebd-883e-5b7698a07328",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
}


def wrong(request: Request, answer: Answer) -> Iterator[str]:
    """Where an answer is not what the vendor publishes; nothing if it is."""
    asked = model.find(request)
    if asked is None or asked.name in model.UNDESCRIBED or not answer.body or answer.status == 202:
        return
    description = model.descriptions()[asked.service]
    raw = description.operations[asked.name]
    if answer.status not in (*raw["ok"], 200, 201, 204):
        yield f"{asked.operation}: status {answer.status}"
    shape = asked.described.answer
    if shape is None:
        yield f"{asked.operation}: has a body"
        return
    reader = Reader(description.names, answer=True)
    reader.read(json.loads(answer.body), shape)
    for one in reader.problems:
        # ids of clusters and members that only older versions had are the vendor's own
        yield f"{asked.operation} {one.place}: {one.rule} {one.wanted} {one.value}"


class Judged(AzureCloud):
    """The emulator, with every good answer held against its description."""

    def __init__(self, context: SandboxContext) -> None:
        super().__init__(context)
        self.wrong: list[str] = []

    def _answer(self, request: Request) -> Answer:
        answer = super()._answer(request)
        if request.host == model.MANAGER and answer.status < 300:
            self.wrong += wrong(request, answer)
        return answer


class Azure:
    """One sandbox with nothing but Azure in it."""

    def __init__(self, sandbox: Sandbox, cloud: Judged) -> None:
        self.sandbox = sandbox
        self.cloud = cloud
        self.environ = sandbox.environment()
        self._pool = urllib3.ProxyManager(
            sandbox.proxy, ca_certs=str(sandbox.ca_file), retries=False
        )
        self.token = self.login(self.environ)

    def login(self, environ: Mapping[str, str], scope: str = "https://management.azure.com") -> str:
        """An access token for the service principal of an environment."""
        status, found = self.form(
            f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token",
            grant_type="client_credentials",
            client_id=environ["AZURE_CLIENT_ID"],
            client_secret=environ["AZURE_CLIENT_SECRET"],
            scope=f"{scope}/.default",
        )
        assert status == 200, found
        return str(found["access_token"])

    def form(self, url: str, **fields: str) -> tuple[int, Any]:
        """What a form that is posted is answered with."""
        answer = self._pool.request("POST", url, fields=fields, encode_multipart=False)
        return answer.status, json.loads(answer.data)

    def send(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        version: str = "2026-01-01",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body and headers; ``path`` may be a whole URL."""
        url = path if path.startswith("https:") else f"https://management.azure.com{path}"
        if "api-version" not in url and version:
            url += "?" + urlencode({"api-version": version, **query})
        sent = {"Authorization": f"Bearer {token or self.token}", **(headers or {})}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        answer = self._pool.request(verb, url, headers=sent, body=data)
        found = json.loads(answer.data) if answer.data else None
        return answer.status, found, answer.headers

    def __call__(self, verb: str, path: str, body: Any = None, **more: Any) -> Any:
        """The body of an answer that must be good."""
        status, found, _ = self.send(verb, path, body, **more)
        assert status < 300, (status, found)
        return found

    def refused(self, verb: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        status, found, _ = self.send(verb, path, body, **more)
        assert status >= 400, found
        return status, str(found.get("error", found)["code"])

    def done(self, verb: str, path: str, body: Any = None, **more: Any) -> Any:
        """The resource, or nothing, once a long-running operation has succeeded."""
        error = self.failed(verb, path, body, **more)
        assert error is None, error
        return self("GET", path) if verb != "DELETE" else None

    def failed(self, verb: str, path: str, body: Any = None, **more: Any) -> Any:
        """The error with which a long-running operation ends; None if it succeeds."""
        status, found, headers = self.send(verb, path, body, **more)
        assert status < 300, (status, found)
        poll = headers.get("Azure-AsyncOperation")
        if poll is None and headers.get("Location"):
            place = headers["Location"]
            status, found, _ = eventually(lambda: self.send("GET", place), lambda a: a[0] != 202)
            return found["error"] if status >= 400 else None
        if poll is None:
            return None
        document = eventually(lambda: self("GET", poll), lambda one: one["status"] != "InProgress")
        return document.get("error")

    # -- things most tests begin with ------------------------------------------------------------

    def group(self, name: str = "demo", **tags: str) -> None:
        """A resource group."""
        body = {"location": REGION, "tags": tags}
        self("PUT", f"{SUB}/resourcegroups/{name}", body)

    def network(self, **subnet: Any) -> str:
        """A virtual network with a subnet, whose id is returned."""
        nodes = {"name": "nodes", "properties": {"addressPrefix": "10.1.0.0/20", **subnet}}
        properties = {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [nodes]}
        body = {"location": REGION, "properties": properties}
        self.done("PUT", f"{NET}/virtualNetworks/demo", body)
        return SUBNET

    def identity(self, name: str = "control") -> dict[str, Any]:
        """A managed identity."""
        found: dict[str, Any] = self("PUT", f"{UAI}/{name}", {"location": REGION})
        return found

    def assign(self, role: str, scope: str, principal: str, name: str = "", **more: Any) -> Any:
        """A role assignment."""
        definition = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
        properties = {"roleDefinitionId": definition, "principalId": principal,
                      "principalType": "ServicePrincipal"}  # fmt: skip
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name or uuid.uuid4()}"
        return self("PUT", path, {"properties": {**properties, **more}})

    def wanted(self, **properties: Any) -> dict[str, Any]:
        """The body of a cluster that makes its own network."""
        pool = {"name": "system", "mode": "System", "count": 1, "vmSize": "Standard_D4s_v5"}
        return {
            "location": REGION,
            "identity": {"type": "SystemAssigned"},
            "properties": {"agentPoolProfiles": [pool], **properties},
        }

    def cluster(self, name: str = "demo", **properties: Any) -> dict[str, Any]:
        """A cluster that is up."""
        found: dict[str, Any] = self.done("PUT", f"{AKS}/{name}", self.wanted(**properties))
        return found

    def kubeconfig(self, name: str = "demo", who: str = "Admin", **query: str) -> dict[str, Any]:
        """A kubeconfig of a cluster."""
        found = self("POST", f"{AKS}/{name}/listCluster{who}Credential", **query)
        text = base64.b64decode(found["kubeconfigs"][0]["value"])
        config: dict[str, Any] = yaml.safe_load(text)
        return config


def eventually(look: Callable[[], Any], good: Callable[[Any], Any], seconds: float = 10) -> Any:
    """What ``look`` finds once it is good."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.01)


@contextmanager
def account(directory: Path, pace: float = math.inf) -> Iterator[Azure]:
    """A sandbox with nothing but Azure."""
    made: list[Judged] = []

    def make(context: SandboxContext) -> Judged:
        made.append(Judged(context))
        return made[0]

    with Sandbox(directory=directory, pace=Pace(pace), emulators=[make]) as sandbox:
        yield Azure(sandbox, made[0])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with account(tmp_path_factory.mktemp("azure")) as made:
        yield made


@pytest.fixture
def cloud(shared: Azure) -> Iterator[Azure]:
    """The subscription with a resource group and nothing in it."""
    shared.cloud.store.conditions = Conditions()
    shared.sandbox.reset()
    shared.cloud.wrong.clear()
    shared.group()
    yield shared
    assert shared.cloud.wrong == []

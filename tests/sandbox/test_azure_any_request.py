"""Whatever is sent to the emulated Azure is answered as published, or refused: the emulator itself
never fails.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from clusterkit_sandbox.azure import model
from clusterkit_sandbox.azure.account import SUBSCRIPTION, TENANT
from clusterkit_sandbox.azure.failure import Failure
from clusterkit_sandbox.azure.gateway import handlers
from clusterkit_sandbox.azure.resources import KINDS
from clusterkit_sandbox.kit.shape import Operation, Shape
from clusterkit_sandbox.kit.wire import Request
from tests.sandbox.azurecloud import (
    ACR,
    NET,
    REGION,
    RG,
    STORAGE,
    SUB,
    UAI,
    VAULTS,
    Azure,
    cloud,
    shared,
    wrong,
)

__all__ = ["cloud", "shared"]
SERVICES = sorted(model.NAMESPACES)
TEXTS = [
    "", "demo", "x", REGION, "East US", "10.1.0.0/16", "10.1.32.0/20", "10.0.0.10", "1", "0",
    "Standard_D2s_v5", "1.35", "1.34.9", "System", "Spot", "Standard", "Basic", "azure", "-", "é/ ",
    "tagName eq 'a' and tagValue eq 'b'", "atScope()", "location eq 'eastus'", "null", "[]",
    "system:serviceaccount:a:b", "https://oidc.example.com/", "api://AzureADTokenExchange",
    "ssh-rsa AAAA", f"{SUB}/resourceGroups/none", f"{NET}/natGateways/none", "Merge", "Delete",
]  # fmt: skip
LOCAL = {"name": "Standard_LRS"}
FURNISHED = {
    "BlobContainer", "Cluster", "DnsZone", "Group", "Identity", "Registry", "StorageAccount",
    "Subnet", "Vault",
}  # fmt: skip
REFUSALS = (400, 403, 404, 405, 409, 412, 429, 501)


def furnish(cloud: Azure) -> None:
    """One of most things, in an account that has nothing."""
    cloud.sandbox.reset()
    cloud.group()
    body: dict[str, Any] = {"location": REGION, "sku": {"name": "Standard"}}
    cloud.done("PUT", f"{NET}/publicIPAddresses/demo", body)
    addresses = {"publicIpAddresses": [{"id": f"{NET}/publicIPAddresses/demo"}]}
    cloud.done("PUT", f"{NET}/natGateways/demo", {**body, "properties": addresses})
    cloud.network(natGateway={"id": f"{NET}/natGateways/demo"})
    principal = cloud.identity("demo")["properties"]["principalId"]
    cloud.assign("Reader", f"{UAI}/demo", principal)
    cloud.done("PUT", f"{ACR}/demo12345", body)
    for kind in ("networkSecurityGroups", "routeTables", "applicationSecurityGroups", "ipGroups"):
        cloud.done("PUT", f"{NET}/{kind}/demo", {"location": REGION})
    compute = f"{RG}/providers/Microsoft.Compute"
    cloud("PUT", f"{compute}/sshPublicKeys/demo", {"location": REGION})
    cloud.done("PUT", f"{compute}/virtualMachineScaleSets/demo", {"location": REGION})
    cloud.done("PUT", f"{compute}/disks/demo", {"location": REGION})
    cloud.cluster()
    cloud.done("PUT", f"{STORAGE}/demo", {**body, "kind": "StorageV2", "sku": LOCAL})
    cloud("PUT", f"{STORAGE}/demo/blobServices/default/containers/demo", {})
    cloud.cloud.store.registered[SUBSCRIPTION, "microsoft.keyvault"] = "Registered"
    vault = {"tenantId": TENANT, "sku": {"family": "A", "name": "standard"}}
    for name in ("demo", "gone"):
        cloud("PUT", f"{VAULTS}/{name}", {"location": REGION, "properties": vault})
    cloud("DELETE", f"{VAULTS}/gone")
    cloud("PUT", f"{NET}/dnsZones/example.com", {"location": "global"})


def known(cloud: Azure) -> list[str]:
    """Every id and name there is in the account."""
    found = [SUBSCRIPTION, RG, REGION]
    for kind in KINDS:
        for one in cloud.cloud.store.all(kind):
            found += [str(one.shown["id"]), one.name]
    return found


def made_up(
    shape: Shape, names: Mapping[str, Shape], dice: random.Random, ids: list[str], depth: int = 0
) -> Any:
    """Something of this shape, or now and then of another."""
    while shape.kind == "ref":
        shape = names[shape.ref]
    if depth and dice.random() < 0.01:
        return dice.choice([None, [], {}, [None], {"a": None}, [[1]], "x", 1, True])
    if shape.enum:
        return dice.choice(shape.enum)
    if shape.kind in ("string", "any"):
        return dice.choice(ids if dice.random() < 0.5 else TEXTS)
    if shape.kind in ("integer", "number"):
        return dice.choice([0, 1, 2, 20, 100, -1, 10**6])
    if shape.kind == "boolean":
        return dice.random() < 0.5
    if shape.item is not None:
        if shape.kind == "map":
            key = dice.choice(["a", *ids])
            return {key: made_up(shape.item, names, dice, ids, depth + 1)}
        many = dice.choice([0, 1, 1, 2])
        return [made_up(shape.item, names, dice, ids, depth + 1) for _ in range(many)]
    share = dice.choice([0.2, 0.5, 0.9]) if depth < 2 else 0.3 if depth < 5 else 0.0
    found = {
        name: made_up(field.shape, names, dice, ids, depth + 1)
        for name, field in shape.fields.items()
        if name in shape.required or dice.random() < share
    }
    if "location" in found and dice.random() < 0.95:
        found["location"] = REGION
    return found


def placed(name: str, dice: random.Random, ids: list[str]) -> str:
    """A part of a path: mostly something that is there."""
    usual = {"subscriptionId": SUBSCRIPTION, "resourceGroupName": "demo", "location": REGION,
             "scope": RG[1:], "resourceProviderNamespace": "Microsoft.Network"}  # fmt: skip
    if name in usual and dice.random() < 0.97:
        return usual[name]
    return dice.choice(["demo", "demo", "demo", "system", "demo12345", "nodes", *ids])


def request(
    cloud: Azure, service: str, operation: Operation, dice: random.Random, ids: list[str]
) -> Request:
    names = model.descriptions()[service].names
    path, query, body = operation.path, [("api-version", "2026-01-01")], b""
    for name, field in operation.parameters.fields.items():
        if field.place == "path":
            given = placed(name, dice, ids)
            path = path.replace(f"{{+{name}}}", quote(given, safe="/"))
            path = path.replace(f"{{{name}}}", quote(given, safe=""))
        elif field.place == "query" and dice.random() < 0.4:
            value = made_up(field.shape, names, dice, ids)
            query.append((name, value if isinstance(value, str) else json.dumps(value)))
        elif field.place == "body":
            body = json.dumps(made_up(field.shape, names, dice, ids)).encode()
    headers = {"authorization": f"Bearer {cloud.token}"}
    if dice.random() < 0.1:
        headers["if-match"] = dice.choice(["*", '"x"', 'W/"x"'])
    return Request(model.MANAGER, operation.method, path, tuple(query), headers, body)


def send(cloud: Azure, service: str, name: str, dice: random.Random) -> None:
    """One request of this operation, by whose description the answer is judged."""
    operation = model.descriptions()[service].operation(name)
    asked = request(cloud, service, operation, dice, known(cloud))
    what = (name, asked.path, asked.query, asked.body)
    bad: list[object] = []
    try:
        answer = cloud.cloud._run(asked, model.find(asked))
    except Failure as failure:
        bad = [failure] if failure.status not in REFUSALS else []
    except Exception as error:
        raise AssertionError(what) from error
    else:
        bad = [] if answer.status >= 300 else list(wrong(asked, answer))
    assert not bad, (what, bad)


def operations(service: str) -> Iterator[str]:
    for name in sorted(model.descriptions()[service].operations):
        if f"{service}:{name}" in handlers():
            yield name


def ask_everything(cloud: Azure, service: str, times: int) -> None:
    dice = random.Random(service)
    for name in operations(service):
        for _ in range(times):
            counts = cloud.cloud.store.counts()
            if not counts.keys() >= FURNISHED:
                furnish(cloud)
            send(cloud, service, name, dice)


@pytest.mark.parametrize("service", SERVICES)
def test_any_request(cloud: Azure, service: str) -> None:
    ask_everything(cloud, service, 4)


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
def test_very_many_requests(cloud: Azure, service: str) -> None:
    ask_everything(cloud, service, 100)

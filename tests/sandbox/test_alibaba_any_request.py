"""Whatever is sent to the emulated Alibaba Cloud is answered as published, or refused: the emulator
itself never fails.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import quote

import pytest

from clusterkit_sandbox.alibaba import model
from clusterkit_sandbox.alibaba.account import REGISTRY
from clusterkit_sandbox.alibaba.failure import Failure
from clusterkit_sandbox.alibaba.models import Cluster, Thing
from clusterkit_sandbox.alibaba.request import Request
from clusterkit_sandbox.alibaba.service import HANDLERS
from clusterkit_sandbox.kit.shape import Operation, Shape
from tests.sandbox.aliyun import REGION, VERSIONS, ZONES, Aliyun, account, anew, differences

OPERATIONS = {
    operation.name: operation
    for product in model.products().values()
    for operation in product.operations.values()
}
TEXTS = [
    "", "demo", "x", REGION, *ZONES, "10.0.0.0/16", "192.168.3.0/24", "Enhanced", "Nat", "VPC",
    "CLUSTER", "instance", "keypair", "role", "System", "Custom", "AliyunCSDefaultRolePolicy",
    "TCP", "22/22", "-1/-1", "internet", "PRIVATE", "cloud_essd", "PL0", "InstanceType",
    "SystemDisk", "ecs.g7.xlarge", "ManagedKubernetes", "creatable", "propayasgo", "on", "white",
    "1", "0", "-1", "null", "[]", "[1]", "{}", '["x"]', '[{"entry": "10.0.0.0/8"}]', "a,b", "é/ ",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def furnish(cloud: Aliyun) -> None:
    """One of most things, in an account that has nothing."""
    cloud.sandbox.reset()
    cluster = cloud.cluster()
    cloud.key_pair()
    cloud.done(cloud.pool(cluster, key_pair="demo")["task_id"])
    vpc, vswitches = cluster["vpc_id"], cluster["vswitch_ids"]
    here = {"RegionId": REGION}
    nat = cloud(
        "vpc:CreateNatGateway",
        **here, VpcId=vpc, VSwitchId=vswitches[0], NatType="Enhanced",
    )  # fmt: skip
    eip = cloud("vpc:AllocateEipAddress", **here)
    bound = {"AllocationId": eip["AllocationId"], "InstanceId": nat["NatGatewayId"]}
    cloud("vpc:AssociateEipAddress", **here, InstanceType="Nat", **bound)
    cloud("slb:CreateAccessControlList", **here, AclName="demo")
    cloud("cr:CreateNamespace", InstanceId=REGISTRY, NamespaceName="demo")


def known(cloud: Aliyun) -> list[str]:
    """Every id and every text there is in the account."""
    store, found = cloud.cloud.store, []
    for kind in Thing.__subclasses__():
        for thing in store.all(kind):
            found += [
                value
                for value in (getattr(thing, field.name) for field in fields(thing))
                if isinstance(value, str) and value
            ]
    return found


def made_up(shape: Shape, dice: random.Random, ids: list[str], depth: int = 0) -> Any:
    """Something of this shape, or now and then of another."""
    if depth and dice.random() < 0.02:
        return dice.choice([None, [], {}, [None], {"a": None}, [[1]], "x", 1, True])
    if shape.kind in ("string", "any"):
        return dice.choice(ids if dice.random() < 0.5 else TEXTS)
    if shape.kind == "integer":
        return dice.choice([0, 1, 2, 20, 100, -1, 10**6])
    if shape.kind == "number":
        return dice.choice([0.0, 1.5, -1.0])
    if shape.kind == "boolean":
        return dice.random() < 0.5
    if shape.item is not None:
        if shape.kind == "map":
            return {"a": made_up(shape.item, dice, ids, depth)}
        return [made_up(shape.item, dice, ids, depth) for _ in range(dice.choice([0, 1, 1, 2]))]
    share = dice.choice([0.2, 0.5, 0.9]) if depth == 0 else 0.4
    return {
        name: made_up(field.shape, dice, ids, depth + 1)
        for name, field in shape.fields.items()
        if name in shape.required or dice.random() < share
    }


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """As RPC writes it: ``Tag.1.Key``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from flat(inner, f"{name}.{number}")
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def request(operation: Operation, parameters: dict[str, Any], ids: list[str]) -> Request:
    product, _, action = operation.name.partition(":")
    host = f"{model.HOSTS[product]}.{REGION}.aliyuncs.com"
    headers = {"x-acs-version": VERSIONS[product], "x-acs-region-id": REGION}
    if operation.style == "RPC":
        query = {**dict(flat(parameters)), "Action": action}
        return Request(host, "POST", "/", tuple(query.items()), headers, b"")
    path = operation.path
    for word in ids:
        path = re.sub(r"\{\w+\}", quote(word, safe=""), path, count=1)
    fields = operation.parameters.fields
    query = {
        k: v if isinstance(v, str) else json.dumps(v)
        for k, v in parameters.items()
        if fields[k].place == "query"
    }
    body: Any = {k: v for k, v in parameters.items() if fields[k].place == "body"}
    if operation.whole:
        body = body.get(operation.whole, [])
    data = json.dumps(body).encode() if body else b""
    headers["content-type"] = "application/json"
    return Request(host, operation.method, path, tuple(query.items()), headers, data)


def send(cloud: Aliyun, operation: Operation, dice: random.Random) -> None:
    """One request of this operation, by whose description the answer is judged."""
    ids = known(cloud)
    parameters = made_up(operation.parameters, dice, ids)
    placed = dice.sample(ids, 3)
    clusters = [cluster.id for cluster in cloud.cloud.store.all(Cluster)]
    if clusters and dice.random() < 0.8:
        placed[0] = clusters[0]
    asked = request(operation, parameters, placed)
    try:
        answer = cloud.cloud._run(asked, cloud.cloud._key, "request")
    except Failure as failure:
        fits = bool(failure.code) and failure.status in (400, 403, 404, 409, 501)
    else:
        body = json.loads(answer.body) if answer.body else None
        fits = not list(differences(operation, body))
    assert fits, (operation.name, parameters)


def ask_everything(cloud: Aliyun, product: str, times: int) -> None:
    dice = random.Random(product)
    for name in sorted(HANDLERS):
        if not name.startswith(f"{product}:"):
            continue
        for _ in range(times):
            counts = cloud.cloud.store.counts()
            if not counts.keys() >= {"Cluster", "NodePool", "NatGateway", "KeyPair"}:
                furnish(cloud)
            send(cloud, OPERATIONS[name], dice)


@pytest.mark.parametrize("product", sorted(VERSIONS))
def test_any_request(cloud: Aliyun, product: str) -> None:
    ask_everything(cloud, product, 10)


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("product", sorted(VERSIONS))
def test_very_many_requests(cloud: Aliyun, product: str) -> None:
    ask_everything(cloud, product, 300)

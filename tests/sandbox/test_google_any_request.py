"""Whatever is sent to the emulated Google Cloud is answered as published, or refused: the emulator
itself never fails.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from clusterkit_sandbox.google import model
from clusterkit_sandbox.google.accounts import ServiceAccount
from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool
from clusterkit_sandbox.google.failure import Failure
from clusterkit_sandbox.google.repositories import Repository
from clusterkit_sandbox.google.resources import KINDS
from clusterkit_sandbox.google.service import HANDLERS
from clusterkit_sandbox.kit.shape import Operation, Reader, Shape
from clusterkit_sandbox.kit.wire import Request
from tests.sandbox.gcp import PROJECT, REGION, ZONE, Gcp, cloud, shared

__all__ = ["cloud", "shared"]
METHODS = {
    f"{api.name}.{api.version}.{name}": (api, name)
    for api in model.apis()
    for name in api.methods
    if name in HANDLERS
}
SERVICES = sorted({api.name for api, _ in METHODS.values()})
TEXTS = [
    "", "demo", "x", REGION, ZONE, "10.0.0.0/16", "192.168.3.0/24", "default", "e2-medium", "1.34",
    "global/networks/demo", f"regions/{REGION}/subnetworks/demo", "pd-balanced", "-", "latest",
    "pods", "INGRESS", "AUTO_ONLY", "ALL_SUBNETWORKS_ALL_IP_RANGES", "roles/owner", "allUsers",
    "serviceAccount:x@example.com", "compute.googleapis.com", "https://www.googleapis.com/auth/x",
    "name=demo", "name eq d.*", "1", "0", "-1", "null", "[]", "5s", "description", "DOCKER", "é/ ",
]  # fmt: skip
STORAGE = "storage.googleapis.com/storage/v1"
UPLOAD = "?uploadType=media&name=demo"
REFUSALS = (400, 403, 404, 409, 412, 429, 501)


def furnish(cloud: Gcp) -> None:
    """One of most things, in an account that has nothing."""
    cloud.sandbox.reset()
    cloud.enable("artifactregistry", "cloudresourcemanager", "compute", "container", "iam",
                 "iamcredentials")  # fmt: skip
    cloud.network()
    cloud.cluster()
    cloud.account("demo-account")
    for path in ("routers", "addresses"):
        body = {"name": "demo", **({"network": "global/networks/demo"} if path[0] == "r" else {})}
        cloud.compute("POST", f"regions/{REGION}/{path}", body)
    cloud.compute("POST", "global/firewallPolicies", {"name": "demo"})
    cloud.compute("POST", "global/firewalls", {"name": "demo", "network": "global/networks/demo"})
    parent = f"artifactregistry.googleapis.com/v1/projects/{PROJECT}/locations/{REGION}"
    cloud("POST", f"{parent}/repositories?repositoryId=demo", {"format": "DOCKER"})
    cloud("POST", f"{STORAGE}/b?project={PROJECT}", {"name": "demo"})
    cloud.raw("POST", f"storage.googleapis.com/upload/storage/v1/b/demo/o{UPLOAD}", b"text")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if type(value) is list else ():
        yield from texts(one)


def known(cloud: Gcp) -> list[str]:
    """Every id and every text there is in the account."""
    store, found = cloud.cloud.store, [PROJECT, REGION, ZONE]
    with store.lock:
        for kind in (*KINDS, Cluster, NodePool, Repository):
            for thing in store.all(kind):
                found += [thing.id, thing.id.rpartition("/")[2], *texts(thing.shown)]
        for account in store.all(ServiceAccount):
            found += [account.name, account.email, account.uid]
    return [text for text in found if len(text) < 300]


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
        if shape.format in ("int64", "uint64"):
            return dice.choice(["1", "100", "0", "-1"])
        if shape.format == "byte":
            return "AAAA"
        return dice.choice(ids if dice.random() < 0.5 else TEXTS)
    if shape.kind in ("integer", "number"):
        return dice.choice([0, 1, 2, 20, 100, -1, 10**6])
    if shape.kind == "boolean":
        return dice.random() < 0.5
    if shape.item is not None:
        if shape.kind == "map":
            return {"a": made_up(shape.item, names, dice, ids, depth + 1)}
        many = dice.choice([0, 1, 1, 2])
        return [made_up(shape.item, names, dice, ids, depth + 1) for _ in range(many)]
    share = dice.choice([0.2, 0.5, 0.9]) if depth < 2 else 0.3 if depth < 5 else 0.0
    return {
        name: made_up(field.shape, names, dice, ids, depth + 1)
        for name, field in shape.fields.items()
        if name in shape.required or dice.random() < share
    }


def placed(name: str, shape: Shape, dice: random.Random, ids: list[str]) -> str:
    """A parameter of a path: mostly something that is there."""
    usual = {"project": PROJECT, "projectId": PROJECT, "region": REGION, "zone": ZONE}
    if name in usual and dice.random() < 0.95:
        return usual[name]
    if shape.pattern.startswith("^"):
        pattern = re.compile(shape.pattern)
        fits = [text for text in ids if pattern.fullmatch(text)]
        if fits and dice.random() < 0.9:
            return dice.choice(fits)
        words = shape.pattern.strip("^$").replace("projects/[^/]+", f"projects/{PROJECT}", 1)
        words = words.replace("locations/[^/]+", f"locations/{dice.choice([ZONE, REGION])}")
        return re.sub(r"\[\^/\]\+|\.\*", lambda _: dice.choice(["demo", "default", "x"]), words)
    return dice.choice(["demo", "default", *ids])


def request(
    cloud: Gcp, api: model.Api, operation: Operation, dice: random.Random, ids: list[str]
) -> Request:
    path, query, body = operation.path, [], b""
    for name, field in operation.parameters.fields.items():
        if field.place == "path":
            given = quote(placed(name, field.shape, dice, ids), safe="/@")
            path = path.replace(f"{{+{name}}}", given)
            path = path.replace(f"{{{name}}}", given.replace("/", "%2F"))
        elif field.place == "query" and dice.random() < 0.3:
            value = made_up(field.shape, api.names, dice, ids)
            several = value if isinstance(value, list) else [value]
            query += [(name, one if isinstance(one, str) else json.dumps(one)) for one in several]
        elif field.place == "body":
            body = json.dumps(made_up(field.shape, api.names, dice, ids)).encode()
    headers = {"authorization": f"Bearer {cloud.token}"}
    return Request(api.host, operation.method, path, tuple(query), headers, body)


def send(cloud: Gcp, api: model.Api, name: str, dice: random.Random) -> None:
    """One request of this method, by whose description the answer is judged."""
    operation = api.operation(name)
    asked = request(cloud, api, operation, dice, known(cloud))
    what = (name, asked.path, asked.query, asked.body)
    wrong: list[object] = []
    try:
        answer = cloud.cloud._run(asked)
    except Failure as failure:
        wrong = [failure] if failure.status not in REFUSALS else []
    except Exception as error:
        raise AssertionError(what) from error
    else:
        found = model.find(asked)
        if found is not None and (shape := found.api.operation(found.method).answer) is not None:
            reader = Reader(found.api.names, answer=True)
            reader.read(json.loads(answer.body or b"{}"), shape)
            free = ("response.", "metadata.")
            wrong = [one for one in reader.problems if not one.place.startswith(free)]
    assert not wrong, (what, wrong)


def ask_everything(cloud: Gcp, service: str, times: int) -> None:
    dice = random.Random(service)
    for full in sorted(METHODS):
        api, name = METHODS[full]
        if api.name != service:
            continue
        for _ in range(times):
            counts = cloud.cloud.store.counts()
            if not counts.keys() >= {"Bucket", "Cluster", "NodePool", "Router", "Repository"}:
                furnish(cloud)
            send(cloud, api, name, dice)


@pytest.mark.parametrize("service", SERVICES)
def test_any_request(cloud: Gcp, service: str) -> None:
    ask_everything(cloud, service, 4)


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
def test_very_many_requests(cloud: Gcp, service: str) -> None:
    ask_everything(cloud, service, 100)

"""What the vendor publishes of its APIs: ``data/*.json.xz``, as ``tools/gen_alibaba_models.py``
describes their form.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from clusterkit.sandbox.alibaba.failure import Failure, not_emulated
from clusterkit.sandbox.alibaba.request import Request

Shape = str | Mapping[str, Any]

HOSTS: Mapping[str, str] = {
    "cs": "cs",
    "vpc": "vpc",
    "ecs": "ecs",
    "ram": "ram",
    "sts": "sts",
    "cr": "cr",
    "personalcr": "cr",
    "slb": "slb",
    "nlb": "nlb",
    "location": "location",
}
"""Product file to the first label of its host names (personal and enterprise registry share one).
"""
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(frozen=True)
class Operation:
    """One operation as published."""

    product: str
    name: str
    style: str
    query: frozenset[str]
    comma: frozenset[str]
    whole: str | None
    parameters: Mapping[str, Any]
    answer: Shape | None

    @property
    def full_name(self) -> str:
        """``vpc:CreateVpc``"""
        return f"{self.product}:{self.name}"


@dataclass(frozen=True)
class _Product:
    name: str
    operations: Mapping[str, Operation]
    others: frozenset[str]
    routes: tuple[tuple[str, re.Pattern[str], str], ...]


@cache
def products() -> Mapping[tuple[str, str], _Product]:
    """Every product, by host label and API version."""
    found: dict[tuple[str, str], _Product] = {}
    data = resources.files("clusterkit.sandbox.alibaba") / "data"
    for name, host in HOSTS.items():
        raw = json.loads(lzma.decompress((data / f"{name}.json.xz").read_bytes()))
        routes: list[tuple[str, re.Pattern[str], str]] = []
        operations: dict[str, Operation] = {}
        for action, entry in raw["operations"].items():
            operations[action] = Operation(
                product=name,
                name=action,
                style=entry["style"],
                query=frozenset(entry["query"]),
                comma=frozenset(entry.get("comma", ())),
                whole=entry.get("whole"),
                parameters=entry["parameters"],
                answer=entry["answer"],
            )
            routes.append((entry["method"], _route(entry["path"]), action))
        for action, (method, path) in raw["others"].items():
            routes.append((method, _route(path), action))
        found[host, raw["version"]] = _Product(
            name, operations, frozenset(raw["others"]), tuple(routes)
        )
    return found


def _route(path: str) -> re.Pattern[str]:
    parts = re.split(r"\[(\w+)\]", path)
    for position in range(1, len(parts), 2):
        parts[position] = f"(?P<{parts[position]}>[^/]+)"
    for position in range(0, len(parts), 2):
        parts[position] = re.escape(parts[position])
    return re.compile("".join(parts) + "/?")


def find(request: Request) -> tuple[Operation, Mapping[str, str]]:
    """The operation asked for, and what its path carries.

    Raises the gateway's refusal for what does not exist, and 501 for what exists and is not
    emulated.
    """
    product = products().get((request.product, request.version))
    if product is None:
        if request.product not in HOSTS.values():
            raise not_emulated(f"the service at {request.host}")
        raise Failure(
            404, "InvalidVersion", "Specified parameter Version is not valid.", gateway=True
        )
    action, path = request.action, {}
    if action is None:
        for method, pattern, name in product.routes:
            if method == request.method and (found := pattern.fullmatch(request.path)):
                action, path = name, found.groupdict()
                break
    operation = product.operations.get(action or "")
    if operation is not None and operation.style == request.style:
        return operation, path
    if action in product.others:
        raise not_emulated(f"{product.name}:{action}")
    raise Failure(
        404,
        "InvalidAction.NotFound",
        "Specified api is not found, please check your url and method.",
        gateway=True,
    )


def differences(shape: Shape | None, value: object, place: str) -> Iterator[str]:
    """Where an answer is not what the vendor publishes; nothing if it is."""
    if value is None or shape is None or shape == "any":
        if shape is None and value is not None:
            yield f"{place}: has a body"
        return
    if isinstance(shape, str):
        fits = isinstance(value, _JSON_TYPES[shape])
        if not fits or (isinstance(value, bool) and shape != "boolean"):
            yield f"{place}: {type(value).__name__} instead of {shape}"
    elif "array" in shape:
        if not isinstance(value, list):
            yield f"{place}: {type(value).__name__} instead of array"
            return
        for item in value:
            yield from differences(shape["array"], item, f"{place}[]")
    elif not isinstance(value, dict):
        yield f"{place}: {type(value).__name__} instead of object"
    elif "map" in shape:
        for name, item in value.items():
            yield from differences(shape["map"], item, f"{place}.{name}")
    else:
        for name, item in value.items():
            if name not in shape["fields"]:
                yield f"{place}.{name}: not published"
            else:
                yield from differences(shape["fields"][name], item, f"{place}.{name}")

"""The vendor's published API descriptions: ``data/*.json.xz``, as ``tools/gen_alibaba_models.py``
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
from urllib.parse import unquote

from clusterkit_sandbox.alibaba.failure import Failure, not_emulated
from clusterkit_sandbox.alibaba.request import Request

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
    "alb": "alb",
    "ess": "ess",
    "location": "location",
}
"""Product file to the first label of its host names (personal and enterprise registry share one).
"""


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

    def deprecated(self, parameters: Mapping[str, Any]) -> Iterator[str]:
        """Which of these parameters are deprecated (the vendor still accepts them)."""
        yield from _deprecated(self.parameters, parameters, "")


def _deprecated(shape: Shape, value: Any, place: str) -> Iterator[str]:
    if isinstance(shape, str):
        return
    if "array" in shape and isinstance(value, list):
        for item in value:
            yield from _deprecated(shape["array"], item, f"{place}[].")
    elif "fields" in shape and isinstance(value, dict):
        for name in value:
            # the newer SDKs send every list they know, empty
            if name in shape.get("deprecated", ()) and value[name] not in ([], {}):
                yield place + name
            yield from _deprecated(shape["fields"][name], value[name], f"{place}{name}.")


@dataclass(frozen=True)
class Product:
    """One API of one version."""

    name: str
    operations: Mapping[str, Operation]
    others: frozenset[str]
    routes: tuple[tuple[str, re.Pattern[str], str], ...]


@cache
def products() -> Mapping[tuple[str, str], Product]:
    """Every product, by host label and API version."""
    found: dict[tuple[str, str], Product] = {}
    data = resources.files("clusterkit_sandbox.alibaba") / "data"
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
        found[host, raw["version"]] = Product(
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


def named(request: Request) -> tuple[Product | None, str | None, Mapping[str, str]]:
    """The requested product and operation, as far as they exist, and the path's parameters."""
    product = products().get((request.product, request.version))
    if product is None or request.action is not None:
        return product, request.action, {}
    for method, pattern, name in product.routes:
        if method == request.method and (found := pattern.fullmatch(request.path)):
            return product, name, {k: unquote(v) for k, v in found.groupdict().items()}
    return product, None, {}


def find(request: Request) -> tuple[Operation, Mapping[str, str]]:
    """The requested operation and its path's parameters.

    Raises the gateway's refusal for what does not exist, and 501 for what exists and is not
    emulated.
    """
    product, action, path = named(request)
    if product is None:
        raise Failure(
            404, "InvalidVersion", "Specified parameter Version is not valid.", gateway=True
        )
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

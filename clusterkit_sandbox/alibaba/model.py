"""The vendor's published API descriptions: ``data/*.json.xz``, as ``tools/gen_alibaba_models.py``
describes their form.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from clusterkit_sandbox.alibaba.failure import Failure, not_emulated
from clusterkit_sandbox.alibaba.request import Request
from clusterkit_sandbox.kit import published
from clusterkit_sandbox.kit.shape import Operation
from clusterkit_sandbox.kit.wire import Routes

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
class Product:
    """One API of one version."""

    name: str
    operations: Mapping[str, Operation]
    others: frozenset[str]
    routes: Routes[str]


@cache
def products() -> Mapping[tuple[str, str], Product]:
    """Every product, by host label and API version."""
    found: dict[tuple[str, str], Product] = {}
    data = resources.files("clusterkit_sandbox.alibaba") / "data"
    for name, host in HOSTS.items():
        raw = json.loads(lzma.decompress((data / f"{name}.json.xz").read_bytes()))
        routes = Routes[str]()
        operations: dict[str, Operation] = {}
        for action, entry in raw["operations"].items():
            operations[action] = published.alibaba(name, action, entry)
            routes.add(entry["method"], operations[action].path, action)
        for action, (method, path) in raw["others"].items():
            routes.add(method, published.template(path), action)
        found[host, raw["version"]] = Product(name, operations, frozenset(raw["others"]), routes)
    return found


def named(request: Request) -> tuple[Product | None, str | None, Mapping[str, str]]:
    """The requested product and operation, as far as they exist, and the path's parameters."""
    product = products().get((request.product, request.version))
    if product is None or request.action is not None:
        return product, request.action, {}
    found = product.routes.find(request.method, request.path)
    return (product, *found) if found else (product, None, {})


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

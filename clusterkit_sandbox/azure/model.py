"""What Microsoft publishes of Azure's services: ``data/*.json.xz``, in the form that
``tools/gen_azure_models.py`` describes; and the paths that all services share, which poll an
operation.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.kit import published
from clusterkit_sandbox.kit.shape import Field, Operation, Shape
from clusterkit_sandbox.kit.wire import Request, Routes

NAMESPACES: Mapping[str, str] = {
    "authorization": "Microsoft.Authorization",
    "compute": "Microsoft.Compute",
    "containerregistry": "Microsoft.ContainerRegistry",
    "containerservice": "Microsoft.ContainerService",
    "keyvault": "Microsoft.KeyVault",
    "locks": "Microsoft.Authorization",
    "managedidentity": "Microsoft.ManagedIdentity",
    "network": "Microsoft.Network",
    "dns": "Microsoft.Network",
    "resources": "Microsoft.Resources",
    "storage": "Microsoft.Storage",
    "subscriptions": "Microsoft.Resources",
}
"""Service to the namespace of its resource provider."""
MANAGER = "management.azure.com"
LOGIN = "login.microsoftonline.com"
GRAPH = "graph.microsoft.com"
_LOCATED = "/subscriptions/{subscriptionId}/providers/{namespace}/locations/{location}"
UNDESCRIBED: Mapping[str, str] = {
    "OperationStatuses_Get": f"{_LOCATED}/operations/{{operationId}}",
    "OperationResults_Get": f"{_LOCATED}/operationResults/{{operationId}}",
    "OperationResults_GetOfGroup": "/subscriptions/{subscriptionId}/operationresults/{operationId}",
    "Permissions_ListForSubscription": (
        "/subscriptions/{subscriptionId}/providers/Microsoft.Authorization/permissions"
    ),
}
"""What the descriptions lack: what every service answers of its long-running operations (Resource
Manager, "Track asynchronous operations"), and the caller's permissions in a subscription, as a
sample of Microsoft's asks for them (dushyantgill/VipSwapper, AzureResourceManagerUtil.cs).
"""


class Description:
    """One service."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.service: str = document["service"]
        self.version: str = document["apiVersion"]
        self.operations: Mapping[str, Any] = document["operations"]
        self.others: Mapping[str, Any] = document["others"]
        self._arm = published.Arm(document)
        self._compiled: dict[str, Operation] = {}

    @property
    def names(self) -> Mapping[str, Shape]:
        """The shapes that others refer to."""
        return self._arm.names

    def operation(self, name: str) -> Operation:
        """One operation by its name."""
        if name not in self._compiled:
            self._compiled[name] = self._arm.operation(name)
        return self._compiled[name]

    def compiled(self, type_name: str) -> Shape:
        """A type by its name."""
        return self._arm.named(type_name)


@dataclass(frozen=True)
class Asked:
    """The operation that a request asks for."""

    service: str
    name: str
    """``ManagedClusters_CreateOrUpdate``"""
    template: str
    path: Mapping[str, str]
    """the parameters in the path"""

    @property
    def operation(self) -> str:
        """``containerservice:ManagedClusters_CreateOrUpdate``"""
        return f"{self.service}:{self.name}"

    @property
    def described(self) -> Operation:
        """What the vendor publishes of it."""
        if self.name in UNDESCRIBED:
            return _undescribed(self.name)
        return descriptions()[self.service].operation(self.name)


@cache
def _undescribed(name: str) -> Operation:
    fields = {
        one: Field(Shape("string"), one, "path")
        for one in re.findall(r"{(\w+)}", UNDESCRIBED[name])
    }
    fields |= {one: Field(Shape("string"), one, "query") for one in ("t", "c", "s", "h")}
    return Operation(name, "GET", UNDESCRIBED[name], Shape("object", fields=fields), None)


@cache
def descriptions() -> Mapping[str, Description]:
    """Every service."""
    data = resources.files("clusterkit_sandbox.azure") / "data"
    return {
        name: Description(json.loads(lzma.decompress((data / f"{name}.json.xz").read_bytes())))
        for name in NAMESPACES
    }


@cache
def _routes() -> Routes[tuple[str, str, str]]:
    routes: Routes[tuple[str, str, str]] = Routes(any_case=True)
    for name, template in UNDESCRIBED.items():
        routes.add("GET", template, ("", name, template))
    for service, one in descriptions().items():
        for name, entry in one.operations.items():
            path = published.arm_template(entry["path"])
            routes.add(entry["method"], path, (service, name, path))
        for name, (method, path) in one.others.items():
            routes.add(method, published.arm_template(path), (service, name, path))
    return routes


def path_of(request: Request) -> str:
    """The path without its empty parts: az joins an address that ends in a slash to a path that
    begins with one, and asks for the locks of ``Microsoft.Network//natGateways/demo``.
    """
    return re.sub("/+", "/", request.path)


def find(request: Request) -> Asked | None:
    """The operation that a request to Resource Manager asks for, if there is one."""
    found = _routes().find(request.method, path_of(request))
    if found is None:
        return None
    (service, name, template), path = found
    if not service:
        service = service_of(path.get("namespace") or ids.parse(template).namespace)
    return Asked(service, name, template, path)


def service_of(namespace: str) -> str:
    """The service of a namespace; ``resources`` for one that is not emulated."""
    wanted = namespace.lower()
    return next((s for s, one in NAMESPACES.items() if one.lower() == wanted), "resources")


def emulated(asked: Asked) -> bool:
    """Whether it is no operation that the sandbox only knows the name of."""
    return asked.name in UNDESCRIBED or asked.name in descriptions()[asked.service].operations


def operations_on(kind: str, method: str) -> list[str]:
    """The operations with an HTTP method on one resource of a type, as faults name them:
    ``Microsoft.Network/natGateways`` and ``PUT`` give ``network:NatGateways_CreateOrUpdate``.
    """
    group = kind.lower() == "microsoft.resources/resourcegroups"
    found = []
    for service, one in descriptions().items():
        for name, entry in one.operations.items():
            path, parsed = entry["path"], ids.parse(entry["path"])
            same = path.lower().endswith("/resourcegroups/{resourcegroupname}") if group else (
                parsed.type == kind.lower()
            )  # fmt: skip
            if same and entry["method"] == method and (path.endswith("}") or method == "POST"):
                found.append(f"{service}:{name}")
    return found

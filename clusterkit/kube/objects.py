"""Namespaces and service accounts: what workloads need before they are installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.engine.resource import Change, Ctx, Resource
from clusterkit.kube import ownership
from clusterkit.kube.api import HasKube, Object

_NAMESPACES = "/api/v1/namespaces"


@dataclass(frozen=True)
class NamespaceState:
    """A namespace as the API server shows it."""

    name: str
    status: str
    """``Active`` or ``Terminating``"""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Namespace(Resource[HasKube, NamespaceState]):
    """A namespace; deleting it deletes whatever anybody put into it."""

    kind: ClassVar[str] = "namespace"
    dies_with: ClassVar[str | None] = "cluster"
    best_effort: ClassVar[bool] = True

    cluster: Resource[Any, Any] | None = None
    """order only: whose API server it is in"""
    labels: tuple[tuple[str, str], ...] = ()
    """beside our own"""

    @classmethod
    def owned(cls, cx: Ctx[HasKube]) -> dict[str, NamespaceState]:
        found = cx.clients.kube.list(_NAMESPACES, labels=ownership.selector(cx))
        states = (
            NamespaceState(
                item["metadata"]["name"],
                item["status"]["phase"],
                item["metadata"].get("labels", {}),
            )
            for item in found
        )
        return {state.name: state for state in states}

    def create(self, cx: Ctx[HasKube]) -> None:
        ownership.make(cx, self.key, f"{_NAMESPACES}/{self.name}", self._body(cx))

    def _body(self, cx: Ctx[HasKube]) -> Object:
        labels = {**dict(self.labels), **ownership.labels(cx, self.name)}
        metadata = {"name": self.name, "labels": labels}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

    def diff(self, cx: Ctx[HasKube], have: NamespaceState) -> list[Change]:
        return _missing("label", have.labels, self.labels)

    def update(self, cx: Ctx[HasKube], have: NamespaceState, changes: list[Change]) -> None:
        cx.clients.kube.apply(f"{_NAMESPACES}/{self.name}", self._body(cx))

    @classmethod
    def ready(cls, have: NamespaceState) -> bool:
        return have.status == "Active"

    @classmethod
    def delete(cls, cx: Ctx[HasKube], have: NamespaceState) -> None:
        cx.clients.kube.delete(f"{_NAMESPACES}/{have.name}")

    @classmethod
    def adopt(cls, cx: Ctx[HasKube], name: str, identifier: str) -> None:
        ownership.take(cx, f"{cls.kind}/{name}", f"{_NAMESPACES}/{name}", identifier)


@dataclass(frozen=True)
class ServiceAccountState:
    """A service account as the API server shows it."""

    namespace: str
    name: str
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ServiceAccount(Resource[HasKube, ServiceAccountState]):
    """A service account; ``name`` is ``NAMESPACE/NAME``, and the namespace belongs in ``after``."""

    kind: ClassVar[str] = "service-account"
    dies_with: ClassVar[str | None] = "cluster"
    best_effort: ClassVar[bool] = True

    annotations: tuple[tuple[str, str], ...] = ()

    @classmethod
    def owned(cls, cx: Ctx[HasKube]) -> dict[str, ServiceAccountState]:
        found = cx.clients.kube.list("/api/v1/serviceaccounts", labels=ownership.selector(cx))
        states = (_account(item) for item in found)
        return {f"{state.namespace}/{state.name}": state for state in states}

    def create(self, cx: Ctx[HasKube]) -> None:
        ownership.make(cx, self.key, _path(self.name), self._body(cx))

    def _body(self, cx: Ctx[HasKube]) -> Object:
        namespace, _, name = self.name.partition("/")
        metadata: Object = {
            "name": name,
            "namespace": namespace,
            "labels": ownership.labels(cx, self.name),
        }
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}

    def diff(self, cx: Ctx[HasKube], have: ServiceAccountState) -> list[Change]:
        return _missing("annotation", have.annotations, self.annotations)

    def update(self, cx: Ctx[HasKube], have: ServiceAccountState, changes: list[Change]) -> None:
        cx.clients.kube.apply(_path(self.name), self._body(cx))

    @classmethod
    def delete(cls, cx: Ctx[HasKube], have: ServiceAccountState) -> None:
        cx.clients.kube.delete(_path(f"{have.namespace}/{have.name}"))

    @classmethod
    def adopt(cls, cx: Ctx[HasKube], name: str, identifier: str) -> None:
        ownership.take(cx, f"{cls.kind}/{name}", _path(name), identifier)


def _account(item: Object) -> ServiceAccountState:
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    return ServiceAccountState(metadata["namespace"], metadata["name"], annotations)


def _missing(what: str, have: Mapping[str, str], want: tuple[tuple[str, str], ...]) -> list[Change]:
    return [
        Change(f"{what} {key}", have.get(key), value)
        for key, value in want
        if have.get(key) != value
    ]


def _path(name: str) -> str:
    namespace, _, account = name.partition("/")
    return f"{_NAMESPACES}/{namespace}/serviceaccounts/{account}"

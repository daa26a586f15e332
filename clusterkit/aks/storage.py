"""The default StorageClass, beside those that AKS makes.

AKS's add-on manager has been seen to make its class ``default`` the default one again, within a
minute (Azure/AKS#118, kubernetes/kubernetes#72841); later versions leave it
(Azure/AKS ``CHANGELOG.md``, "You can now mutate the AKS default storage class"). Of two defaults
Kubernetes takes the newer one, which is ours, so what AKS has put back once stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from clusterkit.engine.kind import Kind
from clusterkit.engine.scope import Scope
from clusterkit.kube import storage
from clusterkit.kube.api import HasKube
from clusterkit.kube.manifest import ManifestState

OF_AKS = "default"
DEMOTED = "clusterkit-demoted"
"""annotation of AKS's class once it was made no default"""


class StorageClass(storage.StorageClass):
    """The default class, or the newer of two."""

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        for have in super().list(scope):
            yield replace(have, others=tuple(cls._others(scope, have)))

    @classmethod
    def _others(cls, scope: Scope[HasKube], have: ManifestState) -> Iterator[str]:
        for name in have.others:
            shown = scope.client.kube.get(cls.path(name)) if name == OF_AKS else None
            metadata = (shown or {}).get("metadata") or {}
            older = metadata.get("creationTimestamp", "") <= _made(have)
            if not (older and DEMOTED in (metadata.get("annotations") or {})):
                yield name

    @classmethod
    def demote(cls, scope: Scope[HasKube], name: str) -> None:
        super().demote(scope, name)
        if name == OF_AKS:
            annotations = {DEMOTED: scope.cluster}
            scope.client.kube.patch(cls.path(name), {"metadata": {"annotations": annotations}})


def _made(have: ManifestState) -> str:
    return str(have.body["metadata"].get("creationTimestamp", ""))


def storage_class(
    name: str, driver: str, parameters: Mapping[str, str], **order: Any
) -> StorageClass:
    """The default class; ``order`` is what comes before it."""
    cluster: Kind[Any, Any] | None = order.pop("cluster", None)
    plain = storage.storage_class(name, driver, parameters, cluster=cluster)
    return StorageClass(name=plain.name, cluster=cluster, content=plain.content, **order)

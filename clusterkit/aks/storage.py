"""The default StorageClass, beside those that AKS makes.

AKS's class ``default`` may come minutes after the cluster (Azure/AKS#1834). Its add-on manager has
been seen to make it the default one again, within a minute (Azure/AKS#118,
kubernetes/kubernetes#72841); later versions leave it (Azure/AKS ``CHANGELOG.md``, "You can now
mutate the AKS default storage class"). Of two defaults Kubernetes takes the newer one
(https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass).

So ours is made after AKS's and is the only default one then. What AKS puts back stays so: the newer
one is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, ClassVar

from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.operation import Done, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.kube import storage
from clusterkit.kube.api import HasKube
from clusterkit.kube.manifest import ManifestState

OF_AKS = "default"
DEMOTED = "clusterkit-demoted"
"""annotation of AKS's class once it was made no default"""
LATE = 300.0
"""seconds that AKS's class is waited for (Azure/AKS#1834)"""


class StorageClass(storage.StorageClass):
    """The default class, or the newer of two."""

    patience: ClassVar[float] = 2 * LATE

    def create(self, env: Env[HasKube]) -> Second:  # type: ignore[override]
        return Second(self, env, monotonic() + LATE * env.scale)

    def make(self, env: Env[HasKube]) -> None:
        """Make it, and let AKS's be the default no more."""
        super().create(env)
        shown = env.client.kube.get(self.path(OF_AKS))
        if shown is not None and storage.is_default(shown):
            self.demote(env, OF_AKS)

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


@dataclass
class Second:
    """Ours, made once AKS's is there."""

    wish: StorageClass
    env: Env[HasKube]
    until: float
    """on the monotonic clock: when AKS's is waited for no longer"""

    def poll(self, scope: Scope[HasKube]) -> Outcome:
        """How far it is."""
        if monotonic() < self.until and scope.client.kube.get(self.wish.path(OF_AKS)) is None:
            return Running(f"waiting for AKS's StorageClass {OF_AKS}")
        self.wish.make(self.env)
        return Done()


def _made(have: ManifestState) -> str:
    return str(have.body["metadata"].get("creationTimestamp", ""))


def storage_class(
    name: str, driver: str, parameters: Mapping[str, str], **order: Any
) -> StorageClass:
    """The default class; ``order`` is what comes before it."""
    cluster: Kind[Any, Any] | None = order.pop("cluster", None)
    plain = storage.storage_class(name, driver, parameters, cluster=cluster)
    return StorageClass(name=plain.name, cluster=cluster, content=plain.content, **order)

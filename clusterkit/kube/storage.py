"""The default storage class: exactly one, ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.kube.api import HasKube, Object
from clusterkit.kube.manifest import Manifest, ManifestState, is_ours

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"
"""the API server goes by either (``IsDefaultAnnotation`` of k8s.io/kubernetes/pkg/volume/util)"""

Reclaim = Literal["Delete", "Retain"]
Binding = Literal["WaitForFirstConsumer", "Immediate"]


class StorageClass(Manifest):
    """The one default class; other defaults lose that, and nothing else.

    Most of a class cannot be changed in place (``ValidateStorageClassUpdate`` of
    k8s.io/kubernetes/pkg/apis/storage/validation), so it is replaced: existing volumes do not need
    their class. Of several defaults the newest is used, so claims would not go where the profile
    says.
    """

    kind: ClassVar[str] = "storage-class"
    group: ClassVar[str] = "/apis/storage.k8s.io/v1"
    plural: ClassVar[str] = "storageclasses"
    replaceable: ClassVar[bool] = True

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        found = scope.client.kube.list(f"{cls.group}/{cls.plural}")
        defaults = {item["metadata"]["name"] for item in found if is_default(item)}
        for item in found:
            if is_ours(scope.cluster, item):
                state = cls.state(item)
                yield replace(state, others=tuple(sorted(defaults - {state.id})))

    def create(self, env: Env[HasKube]) -> None:
        super().create(env)  # the list alone tells of other defaults

    def edits(self, env: Env[HasKube], have: ManifestState) -> Iterator[Edit]:
        yield from super().edits(env, have)
        alone = partial(self.alone, env, have.others)
        yield from edit("other default classes", have.others, (), alone)

    def alone(self, env: Env[HasKube], others: Iterable[str]) -> Operation[HasKube] | None:
        """Be the only default class."""
        for other in others:
            self.demote(env, other)
        return None

    @classmethod
    def demote(cls, scope: Scope[HasKube], name: str) -> None:
        """Let a class be the default no more."""
        annotations = {_DEFAULT: "false", _DEFAULT_BETA: None}
        scope.client.kube.patch(cls.path(name), {"metadata": {"annotations": annotations}})


def storage_class(
    name: str,
    provisioner: str,
    parameters: Mapping[str, str],
    *,
    cluster: Kind[Any, Any] | None = None,
    reclaim: Reclaim = "Delete",
    binding: Binding = "WaitForFirstConsumer",
    expansion: bool = True,
) -> StorageClass:
    """The default class."""
    content = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"annotations": {_DEFAULT: "true"}},
        "provisioner": provisioner,
        "parameters": dict(parameters),
        "reclaimPolicy": reclaim,
        "volumeBindingMode": binding,
        "allowVolumeExpansion": expansion,
    }
    return StorageClass(name=name, cluster=cluster, content=content)


def is_default(item: Object) -> bool:
    """Whether claims without a class may get this one."""
    annotations = item["metadata"].get("annotations") or {}
    return "true" in (annotations.get(_DEFAULT), annotations.get(_DEFAULT_BETA))

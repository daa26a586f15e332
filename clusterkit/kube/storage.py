"""The default storage class: exactly one, ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from clusterkit.engine.resource import Change, Ctx, Resource
from clusterkit.kube import ownership
from clusterkit.kube.api import HasKube, Object

_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"
"""the API server goes by either (``IsDefaultAnnotation`` of k8s.io/kubernetes/pkg/volume/util)"""

Reclaim = Literal["Delete", "Retain"]
Binding = Literal["WaitForFirstConsumer", "Immediate"]


@dataclass(frozen=True)
class StorageClassState:
    """A storage class as the API server shows it."""

    name: str
    provisioner: str
    parameters: Mapping[str, str]
    reclaim: str
    binding: str
    expansion: bool
    default: bool
    other_defaults: tuple[str, ...]
    """the other classes that say they are the default; of several the newest is used, so that
    claims would not go where the profile says
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class StorageClass(Resource[HasKube, StorageClassState]):
    """The one default class; other defaults lose that, and nothing else.

    Most of a class cannot be changed in place (``ValidateStorageClassUpdate`` of
    k8s.io/kubernetes/pkg/apis/storage/validation), so it is made anew: the volumes there are do not
    need their class.
    """

    kind: ClassVar[str] = "storage-class"
    dies_with: ClassVar[str | None] = "cluster"
    best_effort: ClassVar[bool] = True

    cluster: Resource[Any, Any] | None = None
    """order only: whose API server it is in"""
    provisioner: str
    parameters: tuple[tuple[str, str], ...] = ()
    reclaim: Reclaim = "Delete"
    binding: Binding = "WaitForFirstConsumer"
    expansion: bool = True

    @classmethod
    def owned(cls, cx: Ctx[HasKube]) -> dict[str, StorageClassState]:
        found = cx.clients.kube.list(_CLASSES)
        defaults = {item["metadata"]["name"] for item in found if _is_default(item)}
        states = (_state(item, defaults) for item in found if ownership.ours(cx, item))
        return {state.name: state for state in states}

    def create(self, cx: Ctx[HasKube]) -> None:
        ownership.make(cx, self.key, f"{_CLASSES}/{self.name}", self._body(cx))

    def _body(self, cx: Ctx[HasKube]) -> Object:
        return {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": self.name,
                "labels": ownership.labels(cx, self.name),
                "annotations": {_DEFAULT: "true"},
            },
            "provisioner": self.provisioner,
            "parameters": dict(self.parameters),
            "reclaimPolicy": self.reclaim,
            "volumeBindingMode": self.binding,
            "allowVolumeExpansion": self.expansion,
        }

    def diff(self, cx: Ctx[HasKube], have: StorageClassState) -> list[Change]:
        fixed = (
            ("provisioner", have.provisioner, self.provisioner),
            ("parameters", dict(have.parameters), dict(self.parameters)),
            ("reclaim", have.reclaim, self.reclaim),
            ("binding", have.binding, self.binding),
        )
        free = (
            ("expansion", have.expansion, self.expansion),
            ("default", have.default, True),
            ("other defaults", ", ".join(have.other_defaults) or "none", "none"),
        )
        return [
            *(Change(name, is_, want, "replace") for name, is_, want in fixed if is_ != want),
            *(Change(name, is_, want) for name, is_, want in free if is_ != want),
        ]

    def update(self, cx: Ctx[HasKube], have: StorageClassState, changes: list[Change]) -> None:
        if any(change.field != "other defaults" for change in changes):
            cx.clients.kube.apply(f"{_CLASSES}/{self.name}", self._body(cx))
        for other in have.other_defaults:
            annotations = {_DEFAULT: "false", _DEFAULT_BETA: None}
            patch = {"metadata": {"annotations": annotations}}
            cx.clients.kube.patch(f"{_CLASSES}/{other}", patch)

    @classmethod
    def delete(cls, cx: Ctx[HasKube], have: StorageClassState) -> None:
        cx.clients.kube.delete(f"{_CLASSES}/{have.name}")

    @classmethod
    def adopt(cls, cx: Ctx[HasKube], name: str, identifier: str) -> None:
        ownership.take(cx, f"{cls.kind}/{name}", f"{_CLASSES}/{name}", identifier)


def _is_default(item: Object) -> bool:
    annotations = item["metadata"].get("annotations") or {}
    return "true" in (annotations.get(_DEFAULT), annotations.get(_DEFAULT_BETA))


def _state(item: Object, defaults: set[str]) -> StorageClassState:
    name = item["metadata"]["name"]
    return StorageClassState(
        name=name,
        provisioner=item["provisioner"],
        parameters=item.get("parameters") or {},
        reclaim=item.get("reclaimPolicy", "Delete"),
        binding=item.get("volumeBindingMode", "Immediate"),
        expansion=bool(item.get("allowVolumeExpansion", False)),
        default=name in defaults,
        other_defaults=tuple(sorted(defaults - {name})),
    )

"""Kubernetes objects as kinds: server-side apply, compared by a server-side dry run.

One class per API kind names its collection; ``namespace()``, ``service_account()`` and their like
return one. An object's name here is ``NAME``, or ``NAMESPACE/NAME``, its identity in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env, Kind, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, Exists, Rejected
from clusterkit.kube.api import HasKube, Object
from clusterkit.naming import CLUSTER, NAME, safe

MANAGED_BY = "app.kubernetes.io/managed-by"
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/"""
_SERVER_FIELDS = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")
"""metadata the API server writes"""


@dataclass(frozen=True)
class ManifestState:
    """An object as the API server shows it."""

    id: str
    """``NAME`` or ``NAMESPACE/NAME``"""
    status: str
    tags: Tags
    """labels"""
    body: Object = field(repr=False)
    others: tuple[str, ...] = ()
    """what others of its kind say that concerns it (``StorageClass``: the other defaults)"""
    reason: str = ""
    """why its status is no better (``Deployment``)"""


def selector(cluster: str) -> dict[str, str]:
    """The labels of every object of ours in this cluster."""
    return {MANAGED_BY: "clusterkit", CLUSTER: cluster}


def is_ours(cluster: str, item: Mapping[str, Any]) -> bool:
    """Whether an object carries our labels."""
    have = item["metadata"].get("labels") or {}
    return all(have.get(key) == value for key, value in selector(cluster).items())


class Manifest(Kind[HasKube, ManifestState]):
    """One Kubernetes object."""

    group: ClassVar[str]
    """``/api/v1``, ``/apis/storage.k8s.io/v1``"""
    plural: ClassVar[str]
    namespaced: ClassVar[bool] = False
    replaceable: ClassVar[bool] = False
    """what cannot be changed in place is deleted and created again"""
    leaving: ClassVar[frozenset[str]] = frozenset({"Terminating"})
    taggable: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    dies_with: ClassVar[str | None] = "cluster"
    optional: ClassVar[bool] = True
    patience: ClassVar[float] = 420.0
    propagation: ClassVar[float] = 420.0
    """a new cluster may take more than five minutes to know who made it (``Access.grace``)"""

    cluster: Kind[Any, Any] | None = None
    """order only: whose API server it is in"""
    content: Mapping[str, Any] = field(default_factory=dict)
    """the object without its identity and our labels"""

    @classmethod
    def path(cls, name: str) -> str:
        """The object's path."""
        namespace, slash, rest = name.rpartition("/")
        inside = f"/namespaces/{namespace}" if slash else ""
        return f"{cls.group}{inside}/{cls.plural}/{rest}"

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        path = f"{cls.group}/{cls.plural}"
        return [cls.state(item) for item in scope.client.kube.list(path, selector(scope.cluster))]

    @classmethod
    def name_of(cls, have: ManifestState) -> str:
        return have.id

    @classmethod
    def state(cls, item: Object) -> ManifestState:
        """An object as the API server shows it."""
        metadata = item["metadata"]
        name = str(metadata["name"])
        if cls.namespaced:
            name = f"{metadata['namespace']}/{name}"
        going = "Terminating" if metadata.get("deletionTimestamp") else ""
        phase = going or str((item.get("status") or {}).get("phase") or "")
        return ManifestState(name, phase, metadata.get("labels") or {}, item)

    def body(self, env: Env[HasKube]) -> Object:
        """The whole object."""
        namespace, _, name = self.name.rpartition("/")
        given = self.content.get("metadata") or {}
        labels = {
            **(given.get("labels") or {}),
            **selector(env.cluster),
            NAME: safe(self.name),
        }
        metadata = {**given, "name": name, "labels": labels}
        if namespace:
            metadata["namespace"] = namespace
        return {**self.content, "metadata": metadata}

    def taken(self, env: Env[HasKube]) -> ManifestState | None:
        there = env.client.kube.get(self.path(self.name))
        if there is None:
            return None
        # one of our labels alone is no proof
        found = self.state(there)
        return found if is_ours(env.cluster, there) else replace(found, tags={})

    def create(self, env: Env[HasKube]) -> ManifestState | None:
        there = env.client.kube.get(self.path(self.name))
        if there is not None and not is_ours(env.cluster, there):
            raise Exists("exists in the cluster and does not carry clusterkit's labels")
        return self.state(self._apply(env))

    def _apply(self, env: Env[HasKube]) -> Object:
        return env.client.kube.apply(self.path(self.name), self.body(env))

    def edits(self, env: Env[HasKube], have: ManifestState) -> Iterator[Edit]:
        try:
            wanted = env.client.kube.apply(self.path(self.name), self.body(env), dry_run=True)
        except Rejected as error:
            if not self.replaceable or error.code != "Invalid":
                raise
            yield Edit("spec", "as created", error.what, replace=True)
            return
        for where, is_, want in _differences(_compared(have.body), _compared(wanted)):
            yield Edit(where, is_, want, lambda: self._apply(env))
            return

    @classmethod
    def delete(cls, scope: Scope[HasKube], have: ManifestState) -> None:
        scope.client.kube.delete(cls.path(have.id))

    @classmethod
    def label(cls, scope: Scope[HasKube], identifier: str, labels: Tags) -> None:
        name = labels[NAME]
        if identifier != name:
            raise ClusterkitError(
                f"a Kubernetes object is identified by its name, and {identifier!r} is another",
                where=f"{cls.kind}/{name}",
                hint=f"--adopt {cls.kind}/{name}={name}",
            )
        ours = {**selector(scope.cluster), NAME: safe(labels[NAME])}
        scope.client.kube.patch(cls.path(identifier), {"metadata": {"labels": ours}})


def _compared(item: Object) -> Object:
    metadata = {k: v for k, v in item["metadata"].items() if k not in _SERVER_FIELDS}
    # the items of a list carry no apiVersion and kind
    rest = {k: v for k, v in item.items() if k not in ("status", "apiVersion", "kind")}
    return {**rest, "metadata": metadata}


def _differences(have: Any, want: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, old and new value of everything that differs."""
    if isinstance(have, Mapping) and isinstance(want, Mapping):
        for key in dict.fromkeys((*have, *want)):
            inside = f"{where}.{key}" if where else key
            yield from _differences(have.get(key), want.get(key), inside)
    elif isinstance(have, list) and isinstance(want, list) and len(have) == len(want):
        for index, (is_, wanted) in enumerate(zip(have, want, strict=True)):
            yield from _differences(is_, wanted, f"{where}[{index}]")
    elif have != want:
        yield where, have, want


class Namespace(Manifest):
    """A namespace; deleting it deletes whatever anybody put into it."""

    kind: ClassVar[str] = "namespace"
    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "namespaces"
    usable: ClassVar[frozenset[str]] = frozenset({"Active"})


class ServiceAccount(Manifest):
    """A service account."""

    kind: ClassVar[str] = "service-account"
    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "serviceaccounts"
    namespaced: ClassVar[bool] = True


class ConfigMap(Manifest):
    """A ConfigMap, of things that may not exist yet."""

    kind: ClassVar[str] = "config-map"
    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "configmaps"
    namespaced: ClassVar[bool] = True
    data: Callable[[Env[Any]], Mapping[str, str]]

    def body(self, env: Env[HasKube]) -> Object:
        data = dict(self.data(env))
        return {"apiVersion": "v1", "kind": "ConfigMap", **super().body(env), "data": data}


def namespace(
    name: str, cluster: Kind[Any, Any] | None = None, labels: Mapping[str, str] | None = None
) -> Namespace:
    """A namespace with these labels beside ours."""
    content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": dict(labels or {})}}
    return Namespace(name=name, cluster=cluster, content=content)


def service_account(
    name: str,
    within: Namespace,
    annotations: Mapping[str, str] | None = None,
    after: tuple[Kind[Any, Any], ...] = (),
    *,
    token: bool = True,
) -> ServiceAccount:
    """A service account in a namespace of ours; ``name`` without the namespace.

    ``token``: whether its pods get one for the Kubernetes API without asking.
    """
    content = account_content(annotations, token=token)
    return ServiceAccount(name=f"{within.name}/{name}", after=(within, *after), content=content)


def account_content(
    annotations: Mapping[str, str] | None = None, *, token: bool = True
) -> dict[str, Any]:
    """The content of a service account."""
    metadata = {"annotations": dict(annotations)} if annotations else {}
    content = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return content if token else {**content, "automountServiceAccountToken": False}

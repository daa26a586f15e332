"""How our mark is spelled on Kubernetes objects: labels, so that one list finds them.

``app.kubernetes.io/managed-by`` is Kubernetes' own word for it
(https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/). An object's name
here is ``NAME``, or ``NAMESPACE/NAME``, because that is its identity in Kubernetes; the label only
repeats it as far as a label can.
"""

from __future__ import annotations

from collections.abc import Mapping

from clusterkit import naming
from clusterkit.engine.resource import Ctx
from clusterkit.errors import ClusterkitError, NotOurs
from clusterkit.kube.api import HasKube, Object

MANAGED_BY = "app.kubernetes.io/managed-by"


def selector(cx: Ctx[HasKube]) -> dict[str, str]:
    """The labels of everything of ours in this cluster."""
    return {MANAGED_BY: "clusterkit", naming.CLUSTER: cx.cluster}


def labels(cx: Ctx[HasKube], name: str) -> dict[str, str]:
    """The mark of one object."""
    return {**selector(cx), naming.NAME: naming.safe(name)}


def ours(cx: Ctx[HasKube], found: Mapping[str, object]) -> bool:
    """Whether an object carries our mark."""
    metadata = found.get("metadata")
    have = metadata.get("labels") or {} if isinstance(metadata, Mapping) else {}
    return all(have.get(key) == value for key, value in selector(cx).items())


def make(cx: Ctx[HasKube], key: str, path: str, body: Object) -> None:
    """Apply the object unless somebody else's is in its place, which raises ``NotOurs``."""
    there = cx.clients.kube.get(path)
    if there is not None and not ours(cx, there):
        raise NotOurs(
            "is in the cluster already, and not clusterkit's",
            where=key,
            hint=f"--adopt {key}={key.partition('/')[2]} takes it over; or remove it",
        )
    cx.clients.kube.apply(path, body)


def take(cx: Ctx[HasKube], key: str, path: str, identifier: str) -> None:
    """Put our mark on an object that is there."""
    name = key.partition("/")[2]
    if identifier != name:
        what = f"a Kubernetes object is known by its name, and {identifier!r} is another"
        raise ClusterkitError(what, where=key, hint=f"--adopt {key}={name}")
    if cx.clients.kube.get(path) is None:
        raise ClusterkitError("there is nothing of this name to adopt", where=key)
    cx.clients.kube.patch(path, {"metadata": {"labels": labels(cx, name)}})

"""What live checks make in a cluster, and how all of it goes again.

Everything has a random name and carries a mark; most of it lies in a namespace of its own. What
a run that was killed has left is removed by the next one: at once if that process ran on this
machine and is gone, otherwise once it has had its time.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from clusterkit.engine.dates import utc
from clusterkit.errors import ClusterkitError, Denied
from clusterkit.kube.api import Object
from clusterkit.ready.checks import Result
from clusterkit.ready.subject import Subject

LABEL = "clusterkit.dev/probe"
LABELS: Mapping[str, str] = {"app.kubernetes.io/managed-by": "clusterkit", LABEL: "verify"}
BY, UNTIL = "clusterkit.dev/probe-by", "clusterkit.dev/probe-until"
"""annotations: the process, as ``HOST/BOOT/PID``, and when its time is over (RFC 3339)"""
LIFE = timedelta(minutes=30)
"""longer than any run of the checks takes"""
GOES = 300.0
"""seconds in which what was made has to go; a load balancer takes minutes"""
PAUSE = "registry.k8s.io/pause:3.10"
"""does nothing, and is on most nodes already"""
SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65535,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""what every Pod Security level admits"""
_NAMESPACES = "/api/v1/namespaces"
_ORDER = ("services", "pods", "persistentvolumeclaims", "configmaps")
"""what is removed first, of a namespace that is not the probe's own"""


def pause(name: str, **spec: Any) -> Object:
    """A pod that does nothing; ``spec`` adds to its spec, ``mounts`` to its container."""
    container: Object = {
        "name": "pause",
        "image": PAUSE,
        "securityContext": dict(SECURITY),
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "volumeMounts": spec.pop("mounts", []),
    }
    whole = {"containers": [container], "automountServiceAccountToken": False, **spec}
    whole["nodeSelector"] = {"kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


def container(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The state of one of a pod's containers; empty before it has one."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == name:
            return dict(status.get("state") or {})
    return {}


class Probe:
    """A context in which things are made; at its end they go."""

    def __init__(self, subject: Subject, topic: str, *, within: str = "") -> None:
        """``within``: a namespace to work in; left out, one of its own, which goes with everything
        in it.
        """
        self._subject = subject
        self.name = f"clusterkit-verify-{topic}-{secrets.token_hex(3)}"
        """of the namespace, and the beginning of other names"""
        self.namespace = within
        self.left: list[Result] = []
        """what would not go, once it has ended"""
        self._made: list[str] = []

    def __enter__(self) -> Probe:
        if self.namespace:
            return self
        path = f"{_NAMESPACES}/{self.name}"
        try:
            self._apply(path, {"apiVersion": "v1", "kind": "Namespace"})
        except Denied:  # then where everybody may be
            builders = self._subject.builders
            self.namespace = builders[0].namespace if builders else "default"
        except ClusterkitError:  # it may have been made all the same
            remove(self._subject, self._made, 0.0)
            raise
        else:
            self.namespace = self.name
        return self

    def path(self, plural: str, name: str = "") -> str:
        """Of an object in the probe's namespace."""
        return "/".join(filter(None, (_NAMESPACES, self.namespace, plural, name)))

    def make(self, plural: str, body: Object) -> str:
        """Make an object in the namespace; its path."""
        path = self.path(plural, body["metadata"]["name"])
        self._apply(path, body)
        return path

    def _apply(self, path: str, body: Mapping[str, Any]) -> None:
        metadata = dict(body.get("metadata") or {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **LABELS}
        marks = {BY: _me(), UNTIL: (datetime.now(UTC) + LIFE).isoformat(timespec="seconds")}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **marks}
        # before it is made: an answer may be lost
        self._made.append(path)
        try:
            self._subject.apply(path, {**body, "metadata": metadata})
        except Denied:
            self._made.remove(path)
            raise

    def events(self, name: str) -> list[str]:
        """What was said of an object, the latest last."""
        found = self._subject.retry(lambda: self._subject.kube.list(self.path("events")))
        about = [one for one in found if (one.get("involvedObject") or {}).get("name") == name]
        about.sort(key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
        return [f"{one.get('reason')}: {one.get('message')}" for one in about]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        patience = 0.0 if self._subject.stop.is_set() else GOES
        self.left = remove(self._subject, self._made, patience)


def remove(subject: Subject, paths: Sequence[str], patience: float) -> list[Result]:
    """Remove these, and wait until they are gone; what is left. Volumes go too, whatever their
    class says.
    """
    left: list[Result] = []
    asked: list[str] = []
    for path in sorted(paths, key=_turn):
        try:
            if "/persistentvolumeclaims/" in path:
                _let_go(subject, path)
            subject.retry(partial(subject.kube.delete, path, grace=_grace(path)))
            asked.append(path)
        except ClusterkitError as error:
            left.append(_stays(path, str(error)))
    if patience:
        end = subject.end(patience)
        for path in asked:
            try:
                if not _gone(subject, path, end):
                    left.append(_stays(path, "it is still being removed"))
            except ClusterkitError as error:
                left.append(_stays(path, str(error)))
    return left


def _gone(subject: Subject, path: str, end: float) -> bool:
    def look() -> bool | None:
        return True if subject.kube.get(path) is None else None

    return subject.wait(look, end) is not None


def _turn(path: str) -> int:
    plural = path.split("/")[-2]
    return _ORDER.index(plural) if plural in _ORDER else len(_ORDER)


def _grace(path: str) -> int | None:
    return 0 if "/pods/" in path else None


def _let_go(subject: Subject, claim: str) -> None:
    """Let the volume of a claim go with it, if its class would keep it."""
    found = subject.now(claim)
    if not (name := found.get("spec", {}).get("volumeName")):
        return
    path = f"/api/v1/persistentvolumes/{name}"
    with suppress(Denied):
        volume = subject.now(path)
        if (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Retain":
            body = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
            subject.retry(lambda: subject.kube.patch(path, body))


def _stays(path: str, why: str) -> Result:
    *_, plural, name = path.split("/")
    place = path.split("/")[4] if path.count("/") > 4 else ""
    where = f"-n {place} " if place else ""
    cure = f"kubectl delete {where}{plural} {name}"
    return Result("warned", f"what was made for the check is still there: {why}", path, cure=cure)


# -- what a run that was killed has left ----------------------------------------------------------


def clear(subject: Subject) -> list[str]:
    """Remove what runs that are over have left; the paths of what was removed."""
    dead = list(_dead(subject))
    remove(subject, dead, 0.0)
    return dead


def _dead(subject: Subject) -> Iterator[str]:
    places = {builder.namespace for builder in subject.builders} | {"default"}
    inside = [f"{_NAMESPACES}/{place}/{plural}" for place in places for plural in _ORDER]
    for path in (_NAMESPACES, *inside):
        try:
            found = subject.retry(partial(subject.kube.list, path, {LABEL: "verify"}))
        except Denied:
            continue
        for item in found:
            if _over(item["metadata"].get("annotations") or {}):
                yield f"{path}/{item['metadata']['name']}"


def _over(annotations: Mapping[str, str]) -> bool:
    """Whether the process that made something works no more."""
    until = utc(annotations.get(UNTIL, ""))
    if until is None or until < datetime.now(UTC):
        return True
    place, _, pid = annotations.get(BY, "").rpartition("/")
    if place != _place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()}/{boot}"


def _me() -> str:
    return f"{_place()}/{os.getpid()}"

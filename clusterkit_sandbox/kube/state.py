"""The state of one cluster: objects, kinds and version."""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from clusterkit_sandbox.kube.kinds import Catalogue, GroupPlural, Object, Resource
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.refusals import not_found
from clusterkit_sandbox.kube.store import Change, Store

CRDS: GroupPlural = ("apiextensions.k8s.io", "customresourcedefinitions")
NAMESPACES: GroupPlural = ("", "namespaces")

_PATCHES = {"1.29": 15, "1.30": 14, "1.31": 14, "1.32": 13, "1.33": 9, "1.34": 5, "1.35": 2}
"""Last patch release by minor version (kubernetes.io/releases, November 2026)"""

SERVICES = "10.100.0.0/16"
"""the range of Services where a cloud says none: a default of Amazon EKS"""
_LINES = 1000
"""of a pod's log that are kept"""


@dataclass(frozen=True)
class Line:
    """A line of a container's log."""

    number: int
    """in the order in which they were written"""
    at: int
    """Unix time in nanoseconds"""
    text: str


class ClusterState:
    """Objects, kinds and version of one cluster."""

    def __init__(self, version: str, ca_pem: str, services: str = "") -> None:
        """``version`` is ``1.34``-like; ``services`` the range of Services' addresses."""
        self.version = f"v{version}.{_PATCHES.get(version, 0)}"
        self.ca_pem = ca_pem
        self.services = IPv4Network(services or SERVICES)
        """the API server's own Service has the first address"""
        self.store = Store()
        self.catalogue = Catalogue()
        self.store.listen(self._definitions)
        self._logs: dict[tuple[str, str], deque[Line]] = {}
        self._count = itertools.count(1)

    def log(self, pod: Object, line: str, container: str = "") -> None:
        """Write a line to the log of a pod's container, else of its first."""
        key = self._log(pod, container)
        written = Line(next(self._count), time.time_ns(), line)
        self._logs.setdefault(key, deque(maxlen=_LINES)).append(written)

    def logged(self, pod: Object, container: str = "") -> Sequence[Line]:
        """The log of a pod's container: the latest lines."""
        return tuple(self._logs.get(self._log(pod, container), ()))

    @staticmethod
    def _log(pod: Object, container: str) -> tuple[str, str]:
        return pod["metadata"]["uid"], container or pod["spec"]["containers"][0]["name"]

    def get(self, key: GroupPlural, namespace: str, name: str) -> Object | None:
        """One object."""
        return self.store.get(key, namespace, name)

    def need(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object; ``Refusal`` 404 if there is none."""
        found = self.store.get(resource.key, namespace if resource.namespaced else "", name)
        if found is None:
            raise not_found(resource, name)
        return found

    def born(self, resource: Resource, body: Object) -> None:
        """Store an object the server makes itself, which is whole already."""
        head = {"apiVersion": resource.group_version, "kind": resource.kind}
        metadata = {**body["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": now()}
        self.store.put(resource.key, {**head, **body, "metadata": metadata})

    def current(self, key: GroupPlural, found: Object) -> Object | None:
        """The latest version of an object, None if it is gone or another of that name came."""
        metadata = found["metadata"]
        latest = self.store.get(key, metadata.get("namespace", ""), metadata["name"])
        return latest if latest and latest["metadata"]["uid"] == metadata["uid"] else None

    def owned(self, key: GroupPlural, owner: Object) -> list[Object]:
        """The objects of a resource that this object controls."""
        uid = owner["metadata"]["uid"]
        return [
            found
            for found in self.store.list(key, owner["metadata"].get("namespace", ""))
            if any(
                reference["uid"] == uid and reference.get("controller")
                for reference in found["metadata"].get("ownerReferences") or ()
            )
        ]

    def in_namespace(self, namespace: str) -> Iterator[tuple[GroupPlural, Object]]:
        """Every object of a namespace."""
        for key, found in self.store.all():
            if found["metadata"].get("namespace") == namespace:
                yield key, found

    def _definitions(self, change: Change) -> None:
        if change.key != CRDS:
            return
        if change.type == "DELETED":
            self.catalogue.remove_custom(change.object)
        elif change.previous is None or change.previous["spec"] != change.object["spec"]:
            self.catalogue.set_custom(change.object)

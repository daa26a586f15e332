"""Which replica of a controller works on what: each shows by a Lease that it lives, and every
object is the work of the living one that ranks highest for it.

No replica is special and nobody counts them: where one comes or goes only its share moves. Whether
another one lives is judged by this machine's own clock. Two that both believe an object to be
theirs for a moment do no harm, because the cluster's lock in the cloud lets one at a time change
anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from clusterkit.errors import ClusterkitError
from clusterkit.kube.api import KubeApi
from clusterkit.naming import digest

MEMBER = "clusterkit.dev/member"
"""label of those Leases: of which group"""
LIFE = 15.0
"""seconds without a renewal after which a replica is taken for dead; leader election of Kubernetes'
own components has the same (``LeaseDuration`` in k8s.io/component-base/config)
"""
BEATS = 3
"""renewals in that time"""


@dataclass
class Members:
    """The replicas of a group, as the one named ``me`` sees them."""

    kube: KubeApi
    namespace: str
    me: str
    life: float = LIFE
    group: str = "all"
    """replicas that work on the same objects; others' Leases in the namespace do not count"""
    _seen: dict[str, tuple[Any, float]] = field(default_factory=dict)
    """name to the last renewal, and when it was first seen"""
    _renewed: float = 0.0

    def renew(self) -> None:
        """Show that this one lives, and look who else does."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        path = _path(self.namespace, self.me)
        began = time.monotonic()
        self.kube.apply(path, _lease(self, now))
        found = self.kube.list(_path(self.namespace), {MEMBER: self.group})
        self._renewed = began
        there = {each["metadata"]["name"]: each["spec"].get("renewTime") for each in found}
        for name, renewed in there.items():
            if name not in self._seen or self._seen[name][0] != renewed:
                self._seen[name] = renewed, time.monotonic()
        for name in self._seen.keys() - there.keys():
            del self._seen[name]
        for name, (_, since) in list(self._seen.items()):
            if time.monotonic() - since > 10 * self.life:
                with suppress(ClusterkitError):
                    self.kube.delete(_path(self.namespace, name))

    def leave(self) -> None:
        """Let the others take over at once."""
        self._renewed = 0.0
        self.kube.delete(_path(self.namespace, self.me))

    @property
    def alive(self) -> frozenset[str]:
        """Those that live; nobody while this one could not show that it does."""
        now = time.monotonic()
        if now - self._renewed > self.life or not self._renewed:
            return frozenset()
        return frozenset(name for name, (_, at) in self._seen.items() if now - at <= self.life)

    def mine(self, uid: str) -> bool:
        """Whether the object with this uid is this one's to work on."""
        alive = self.alive
        return self.me in alive and self.me == max(alive, key=lambda each: digest(each, uid))


def _path(namespace: str, name: str = "") -> str:
    root = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return f"{root}/{name}" if name else root


def _lease(mine: Members, now: str) -> Mapping[str, Any]:
    head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    labels = {MEMBER: mine.group}
    metadata = {"name": mine.me, "namespace": mine.namespace, "labels": labels}
    life = {"leaseDurationSeconds": max(1, round(mine.life)), "renewTime": now}
    return {**head, "metadata": metadata, "spec": {"holderIdentity": mine.me, **life}}

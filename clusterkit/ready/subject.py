"""The cluster that checks ask about: its API, what is known of it, and what it is for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from clusterkit.engine import backoff
from clusterkit.engine.cache import ReadCache
from clusterkit.engine.retry import Retry
from clusterkit.errors import ClusterkitError, Denied, Interrupted
from clusterkit.kube.api import KubeApi, Object, Objects
from clusterkit.profile.model import BaseProfile
from clusterkit.profile.ready import Kaniko
from clusterkit.ready.checks import Purpose
from clusterkit.ready.registry import PushAccess

T = TypeVar("T")

LEAST = 20.0
"""real seconds: a fast sandbox still runs on a slow machine"""
SHORTEST = 0.1
"""real seconds between two looks"""
_RBAC = re.compile(r'User ".*" cannot ')
"""a right that whoever asks lacks (k8s.io/apiserver, ``handlers/responsewriters/errors.go``)"""
_ADMISSION = re.compile(r"is forbidden: |denied (the )?request: ")
"""a plugin, a webhook or a policy that refuses the object (k8s.io/apiserver, ``pkg/admission``:
``errors.go``, ``plugin/webhook/errors/statuserror.go``, ``plugin/policy/validating``)"""


@dataclass(frozen=True)
class Subject:
    """One cluster. Questions that only read are asked once and retried."""

    kube: KubeApi
    profile: BaseProfile | None = None
    """None: a cluster that clusterkit may know nothing of"""
    purposes: frozenset[Purpose] = frozenset(("any",))
    push_access: Callable[[], PushAccess] | None = None
    """how the builds of the profile push, if it has any"""
    requirements: Callable[[], Mapping[str, Any]] | None = None
    """what Jenkins X has to be told, by the profile"""
    stop: threading.Event = field(default_factory=threading.Event)
    scale: float = 1.0
    """how long a second of a real cluster lasts here"""
    _reads: ReadCache = field(default_factory=ReadCache)

    def __post_init__(self) -> None:
        self._reads.share(self.retry)

    @property
    def retry(self) -> Retry:
        """Calls again what may work a moment later."""
        return Retry(self.scale)

    def list(self, path: str) -> Objects:
        """Every object of a collection."""
        return self._reads.answer(f"list {path}", lambda: self.kube.list(path))

    def get(self, path: str) -> Object | None:
        """The object, or None if there is none."""
        return self._reads.answer(f"get {path}", lambda: self.kube.get(path))

    def now(self, path: str) -> Object:
        """The object as it is at this moment; empty if there is none."""
        return self.retry(lambda: self.kube.get(path)) or {}

    def apply(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> None:
        """Make or change an object, or only ask what the server would say to that."""
        self.retry(lambda: self.kube.apply(path, body, dry_run=dry_run))

    def access(self) -> PushAccess | None:
        """How the builds push; None if nothing says where to."""
        ask = self.push_access
        return None if ask is None else self._reads.answer("push access", ask)

    @property
    def builders(self) -> tuple[Kaniko, ...]:
        """Where images are built, by the profile; without one, where they are by default."""
        if self.profile is None:
            return (Kaniko(),) if "kaniko" in self.purposes else ()
        return self.profile.ready.builders

    @property
    def grows(self) -> bool:
        """Whether an autoscaler may add nodes, by the profile."""
        pools = self.profile.pools if self.profile else ()
        return any(pool.maximum > pool.minimum for pool in pools)

    def end(self, patience: float) -> float:
        """When ``patience`` seconds of a real cluster will be over (``time.monotonic``)."""
        return monotonic() + max(LEAST, patience * self.scale)

    def wait(self, ask: Callable[[], T | None], end: float) -> T | None:
        """What ``ask`` gives at last, or None if that is nothing until ``end``; ``Interrupted``
        once ``stop`` is set.
        """
        begun = monotonic()
        while True:
            if (found := self.retry(ask)) is not None:
                return found
            now = monotonic()
            if now >= end:
                return None
            if self.stop.wait(max(SHORTEST, backoff.poll(now - begun, self.scale))):
                raise Interrupted("interrupted: what was made for the checks is removed")


def lacks_right(error: Denied) -> bool:
    """Whether it is who asks that is refused, and not what is asked for."""
    return bool(_RBAC.search(error.what)) or not _ADMISSION.search(error.what)


def message(error: ClusterkitError) -> str:
    """What a server said, in one line."""
    return " ".join(str(error.what).split())

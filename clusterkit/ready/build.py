"""One build in the cluster: its Job, its context, its log and its end.

Nothing of it needs another bucket: a folder goes to the container's standard input. A build changes
nothing of the cluster's own, so it takes no lock.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from clusterkit.engine import threads
from clusterkit.errors import (
    CloudError,
    ClusterkitError,
    Gone,
    Interrupted,
    Rejected,
    Retryable,
    TimedOut,
    Unreachable,
)
from clusterkit.kube.api import KubeApi
from clusterkit.kube.logs import Log
from clusterkit.kube.secrets import EXPIRES, KEY, decoded, encoded, entries, expired
from clusterkit.profile.ready import Kaniko
from clusterkit.ready import kaniko as objects
from clusterkit.ready.kaniko import CONTAINER, Build, Object
from clusterkit.ready.registry import PushAccess

T = TypeVar("T")

POLL = 1.0
"""seconds between two looks at the pod"""
PATIENCE = 900.0
"""seconds in which nothing happens until the container runs: a node may have to be bought first"""
STUCK = 60.0
"""seconds in which what cannot end well by itself may still do so, as a pull that is tried again"""
EARLY = timedelta(minutes=10)
"""a password that ends sooner is renewed before a build"""
HOPELESS = frozenset(
    {"CreateContainerConfigError", "ErrImagePull", "ImagePullBackOff", "InvalidImageName"}
)
"""why a container waits in vain (``pkg/kubelet/images``, ``pkg/kubelet/container`` of
k8s.io/kubernetes)"""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Send = Callable[[bytes], None]


@dataclass(frozen=True)
class Ended:
    """How a build ended."""

    code: int
    """kaniko's exit code"""
    digest: str
    """of the image, as ``sha256:…``; empty unless it was pushed"""
    reason: str
    """Kubernetes' word, as ``OOMKilled``"""
    tail: tuple[str, ...]
    """the end of the log"""
    job: str
    """``NAMESPACE/NAME``"""


def renew(api: KubeApi, kaniko: Kaniko, access: PushAccess) -> bool:
    """Put a fresh password where one has expired or is about to; whether it did. Only into a Secret
    that ``up`` has made.
    """
    if access.login is None or not access.secret:
        return False
    path = f"/api/v1/namespaces/{kaniko.namespace}/secrets/{access.secret}"
    there = api.get(path) or {}
    annotations = (there.get("metadata") or {}).get("annotations") or {}
    if EXPIRES not in annotations or not expired(annotations, EARLY):
        return False
    login, config = access.login(), decoded(there)
    auths = {**config.get("auths", {}), **entries(login)}
    until = login.expires.isoformat(timespec="seconds") if login.expires else ""
    data = {KEY: encoded(auths, config.get("credHelpers", {}))}
    api.patch(path, {"metadata": {"annotations": {EXPIRES: until}}, "data": data})
    return True


class Runner:
    """Runs builds in one cluster."""

    def __init__(
        self,
        api: KubeApi,
        kaniko: Kaniko,
        access: PushAccess,
        *,
        tell: Callable[[str], None],
        log: Callable[[str], None],
        stop: threading.Event,
        scale: float = 1.0,
    ) -> None:
        """``tell`` is told of progress, ``log`` gets kaniko's lines; both on the calling thread.
        ``scale`` is how long a second of a real cluster lasts here.
        """
        self._api, self._kaniko, self._access = api, kaniko, access
        self._tell, self._log, self._stop = tell, log, stop
        self._scale = max(scale, 0.05)
        self._said = ""
        self._core = f"/api/v1/namespaces/{kaniko.namespace}"
        self._jobs = f"/apis/batch/v1/namespaces/{kaniko.namespace}/jobs"

    def __call__(self, build: Build, source: Callable[[Send], None] | None = None) -> Ended:
        """Run it to its end; ``source`` writes the context for ``tar://stdin``.

        A Job whose kaniko failed stays for an hour, any other is removed. ``Interrupted`` once
        ``stop`` is set; ``ClusterkitError`` for what never became a build.
        """
        build = replace(build, name=f"kaniko-{secrets.token_hex(4)}")
        body = objects.job(build, self._kaniko, self._access)
        try:
            try:
                self._again(lambda: self._api.apply(f"{self._jobs}/{build.name}", body))
            except Gone as error:
                what = f"the cluster has no namespace {self._kaniko.namespace}"
                raise ClusterkitError(what, hint="clusterkit up makes it") from error
            ended = self._followed(self._running(build.name), build.name, source)
        except BaseException:
            self._remove(build.name)
            raise
        if ended.code == 0:
            self._remove(build.name)
        return ended

    def _remove(self, name: str) -> None:
        try:
            self._api.delete(f"{self._jobs}/{name}")
        except CloudError as error:
            # its own deadline ends it
            self._tell(f"job/{name} could not be removed: {error}")

    # -- until it runs ----------------------------------------------------------------------------

    def _running(self, name: str) -> Object:
        """The pod, once its container runs or has run."""
        began = changed = time.monotonic()
        hopeless: float | None = None
        while True:
            pod = self._pod(name)
            if {"running", "terminated"} & _state(pod).keys():
                assert pod is not None
                return pod
            why, in_vain = _why(pod)
            now = time.monotonic()
            if pod is None and now - began > 3 * POLL * self._scale:
                why, in_vain = self._refused(name) or (why, False)
            if self._say(why):
                changed = now
            hopeless = (hopeless or now) if in_vain else None
            if hopeless and now - hopeless > STUCK * self._scale:
                hint = "kubectl describe job shows more; clusterkit up puts back what it needs"
                raise ClusterkitError(why, where=f"job/{name}", hint=hint)
            if now - changed > PATIENCE * self._scale:
                raise TimedOut(f"{why}, for too long", where=f"job/{name}")
            self._wait()

    def _refused(self, name: str) -> tuple[str, bool] | None:
        """Why the Job makes no pod; ``Rejected`` if that will not change."""
        for event in self._again(lambda: self._api.list(f"{self._core}/events")):
            about = event.get("involvedObject") or {}
            if about.get("name") == name and event.get("type") == "Warning":
                what = str(event.get("message") or event.get("reason"))
                if "violates PodSecurity" in what:
                    hint = "label the namespace pod-security.kubernetes.io/enforce=baseline, or "
                    hint += "let clusterkit up make it"
                    raise Rejected(what, where=f"job/{name}", hint=hint)
                return what, True
        return None

    def _pod(self, job: str) -> Object | None:
        labels = {"batch.kubernetes.io/job-name": job}
        found = self._again(lambda: self._api.list(f"{self._core}/pods", labels))
        return found[0] if found else None

    # -- while it runs ----------------------------------------------------------------------------

    def _followed(self, pod: Object, name: str, source: Callable[[Send], None] | None) -> Ended:
        """Send the context, pass on the log, and see how it ends."""
        path = f"{self._core}/pods/{pod['metadata']['name']}"
        log = Log(self._api, path, CONTAINER)
        sender = None
        try:
            if source is not None and "running" in _state(pod):
                sender = self._sender(path, source)
            while True:
                self._pass_on(log)
                if sender is not None and sender.failed is not None:
                    raise sender.failed
                found = self._again(lambda: self._api.get(path))
                if found is None:
                    return self._gone(name, log)
                if end := _state(found).get("terminated"):
                    break
                self._wait()
            log.finish()
            self._pass_on(log)
        finally:
            log.stop()
            if sender is not None:
                sender.close()
        code = int(end.get("exitCode", 1))
        digest = _DIGEST.search(str(end.get("message") or "")) if code == 0 else None
        reason = str(end.get("reason") or "")
        return self._ended(name, log, code, reason, digest[0] if digest else "")

    def _ended(self, name: str, log: Log, code: int, reason: str, digest: str = "") -> Ended:
        return Ended(code, digest, reason, tuple(log.tail), f"{self._kaniko.namespace}/{name}")

    def _sender(self, path: str, source: Callable[[Send], None]) -> _Sender | None:
        try:
            return self._again(lambda: _Sender(self._api, path, source))
        except CloudError:
            # it may have ended in the meantime, and its log says why
            if "running" in _state(self._again(lambda: self._api.get(path))):
                raise
            return None

    def _gone(self, name: str, log: Log) -> Ended:
        """The pod is no more: the Job may know why."""
        job = self._again(lambda: self._api.get(f"{self._jobs}/{name}")) or {}
        for condition in (job.get("status") or {}).get("conditions") or ():
            if condition.get("type") in ("Failed", "FailureTarget"):
                return self._ended(name, log, 1, str(condition.get("reason") or ""))
        what = "the pod of the build was removed before it ended"
        raise ClusterkitError(what, where=f"job/{name}", hint="run the build again")

    def _pass_on(self, log: Log) -> None:
        for line in log.new():
            self._log(line)

    def _say(self, text: str) -> bool:
        """Tell it, unless it was the last that was told."""
        if text == self._said:
            return False
        self._said = text
        self._tell(text)
        return True

    def _wait(self) -> None:
        if self._stop.wait(POLL * self._scale):
            raise Interrupted("interrupted: the build is removed")

    def _again(self, ask: Callable[[], T]) -> T:
        """What ``ask`` gives, tried again for a while if the API server does not answer."""
        end = time.monotonic() + STUCK * self._scale
        while True:
            try:
                return ask()
            except Retryable:
                if time.monotonic() > end:
                    raise
                self._wait()


class _Sender:
    """Sends the context on a thread of its own: whoever waits for it could not be interrupted."""

    def __init__(self, api: KubeApi, pod: str, source: Callable[[Send], None]) -> None:
        query = {"container": CONTAINER, "stdin": "true"}
        self._channels = api.attach(f"{pod}/attach", query)
        self._source = source
        self.failed: Exception | None = None
        """what on this machine kept it from sending all"""
        threads.start(self._work, "kubernetes-attach-send")

    def _work(self) -> None:
        try:
            # kaniko that ends early takes no more, and its log says why
            with suppress(Unreachable):
                self._source(self._channels.send)
                self._channels.end()
        except Exception as error:  # of a thread nobody would hear of it
            self.failed = error

    def close(self) -> None:
        """Leave; what is still to be sent is of no use any more."""
        self._channels.close()


def _state(pod: Object | None) -> Object:
    """Of kaniko's container: one of ``waiting``, ``running``, ``terminated``."""
    for status in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == CONTAINER:
            return dict(status.get("state") or {})
    return {}


def _why(pod: Object | None) -> tuple[str, bool]:
    """What a pod waits for, and whether it does so in vain."""
    if pod is None:
        return "waiting for a pod", False
    status = pod.get("status") or {}
    if waiting := _state(pod).get("waiting"):
        reason, message = waiting.get("reason") or "", waiting.get("message") or ""
        told = f"{reason}: {message}" if message else reason
        hopeless = reason in HOPELESS
        return told if hopeless or message else f"waiting for the container: {reason}", hopeless
    if status.get("phase") == "Failed":
        return f"the pod failed: {status.get('message') or status.get('reason') or ''}", True
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"no node yet: {condition.get('message') or condition.get('reason')}", False
    return "waiting for the container", False

"""The programs that run in the pods of a cluster: kaniko's executor, and nothing else.

A container runs it if its image is kaniko's (registries and names: osscontainertools/kaniko,
README.md and docs/releases.md; the archived GoogleContainerTools/kaniko) and no other command is
given. It has what a real one has: its volumes and variables, what the cloud's webhook adds, the
registries and clouds behind the sandbox's proxy, and what answers on its machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kaniko import executor, real
from clusterkit_sandbox.kaniko.container import Container, Door, Stopped
from clusterkit_sandbox.kube.accounts import SERVICE_ACCOUNTS, TokenIssuer
from clusterkit_sandbox.kube.controllers import mounts
from clusterkit_sandbox.kube.controllers.nodes import NODES
from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.controllers.stdin import Stdin
from clusterkit_sandbox.kube.interfaces import Injected, RunningPod
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.selectors import dig

_LOG = logging.getLogger(__name__)
_IMAGE = re.compile(
    r"(?:ghcr\.io/osscontainertools/kaniko|(?:docker\.io/|index\.docker\.io/)?martizih/kaniko"
    r"|gcr\.io/kaniko-project/executor)(?::(?P<tag>[\w.-]+))?(?:@sha256:[0-9a-f]{64})?"
)
_PROGRAM = "/kaniko/executor"
_IMAGE_ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "PATH": "/usr/local/bin:/kaniko",
    "SSL_CERT_DIR": "/kaniko/ssl/certs",
    "DOCKER_CONFIG": "/kaniko/.docker/",
}
"""of the image (kaniko, deploy/Dockerfile)"""
_MESSAGE = 4096
"""Bytes of a termination message; the log's end has half as many, and 80 lines (Kubernetes
documentation, "Determine the Reason for Pod Failure")."""
_LINES = 80


@dataclass
class Build:
    """One container whose program runs or has run."""

    container: Container
    stdin: Stdin | None
    once: bool
    """whether its standard input ends with the first client's"""
    started: str
    code: int | None = None
    """its exit code, once it has ended"""
    finished: str = ""
    lines: list[str] = field(default_factory=list)

    def terminated(self, spec: Object) -> Object:
        """The state of the container (core/v1 ContainerStateTerminated)."""
        path = spec.get("terminationMessagePath") or "/dev/termination-log"
        message = self.container.files.get(path, b"")[:_MESSAGE].decode(errors="replace")
        last = spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and last and self.code:
            message = "".join(f"{one}\n" for one in self.lines[-_LINES:])[-_MESSAGE // 2 :]
        state = {
            "exitCode": self.code,
            "reason": "Error" if self.code else "Completed",
            "startedAt": self.started,
            "finishedAt": self.finished,
        }
        return state | ({"message": message} if message else {})


def tag_of(image: str) -> str | None:
    """The tag of an image of kaniko; None for any other image."""
    found = _IMAGE.fullmatch(image)
    return None if found is None else found["tag"] or "latest"


def runs(container: Object) -> bool:
    """Whether a container's program is kaniko's executor."""
    command = container.get("command")
    return tag_of(container["image"]) is not None and (not command or command[0] == _PROGRAM)


class Builds:
    """Those of one cluster. All but the programs themselves is on the event loop."""

    def __init__(
        self, runtime: Runtime, issuer: TokenIssuer, door: Callable[[], Door] | None
    ) -> None:
        """Without a ``door`` nothing runs."""
        self._runtime = runtime
        self._issuer = issuer
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._builds: dict[tuple[str, str], Build] = {}

    def start(self, pod: Object, ended: Callable[[], None], only: str = "") -> None:
        """Start the programs of a pod's containers, or of one; ``ended`` is called after each."""
        for spec in pod["spec"]["containers"]:
            if self._door is not None and runs(spec) and only in ("", spec["name"]):
                self._start(pod, spec, ended, self._door())

    def get(self, pod: Object, name: str) -> Build | None:
        """A container's program."""
        return self._builds.get((pod["metadata"]["uid"], name))

    def of_pod(self, pod: Object) -> dict[str, Build]:
        """A pod's, by container."""
        uid = pod["metadata"]["uid"]
        return {name: one for (owner, name), one in self._builds.items() if owner == uid}

    def forget(self, uid: str) -> None:
        """The pod is gone: its programs get no more input, and nobody hears from them."""
        for key in [key for key in self._builds if key[0] == uid]:
            build = self._builds.pop(key)
            build.container.stopped.set()
            if build.stdin is not None:
                build.stdin.end()

    def close(self) -> None:
        """End the input of all."""
        for uid, _ in list(self._builds):
            self.forget(uid)

    def _start(self, pod: Object, spec: Object, ended: Callable[[], None], door: Door) -> None:
        asked = self._running(pod)
        hooks = self._runtime.hooks
        stdin = Stdin() if spec.get("stdin") else None
        given, folders = mounts.files(self._runtime.state, pod, spec, asked.token)
        env = _IMAGE_ENVIRONMENT | mounts.environment(self._runtime.state, pod, spec)
        tag = tag_of(spec["image"]) or ""

        def nearby(method: str, url: str, headers: Mapping[str, str]) -> Answer | None:
            return hooks.nearby(asked, method, url, headers)

        container = Container(
            [mounts.expanded(one, env) for one in _arguments(spec)],
            env,
            given,
            folders,
            door,
            nearby,
            helpers="slim" not in tag,
            stdin=stdin or BytesIO(),
        )
        build = Build(container, stdin, bool(spec.get("stdinOnce")), now())
        key = pod["metadata"]["uid"], spec["name"]
        self._builds[key] = build

        def write(line: str) -> None:
            self._soon(lambda: self._written(pod, spec["name"], build, line))

        def over(code: int) -> None:
            build.code, build.finished = code, now()
            ended()

        def work() -> None:
            code = 1
            try:
                added = hooks.injected(asked) or Injected()
                container.environment = {**added.environment, **container.environment}
                for path, audience in added.tokens.items():
                    container.files.setdefault(path, asked.token(audience).encode())
                program = os.environ.get("KANIKO_EXECUTOR")
                if program:
                    code = real.run(program, container, write)
                else:
                    code = executor.run(container, write, tag.partition("-")[0])
            except Stopped:
                code = 143  # as a program that SIGTERM ends
            except Exception as error:
                _LOG.exception("the emulated kaniko failed")
                write(f"the sandbox's kaniko failed: {error!r}")
            finally:
                self._soon(lambda: over(code))

        threading.Thread(target=work, name="sandbox-kaniko", daemon=True).start()

    def _soon(self, work: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:
            _LOG.debug("the sandbox has stopped before a build")

    def _written(self, pod: Object, name: str, build: Build, line: str) -> None:
        build.lines.append(line)
        del build.lines[:-_LINES]
        self._runtime.state.log(pod, line, name)

    def _running(self, pod: Object) -> RunningPod:
        """The pod as its cloud sees it."""
        state, metadata, spec = self._runtime.state, pod["metadata"], pod["spec"]
        name = spec.get("serviceAccountName") or "default"
        account = state.get(SERVICE_ACCOUNTS, metadata["namespace"], name)
        node = state.get(NODES, "", spec["nodeName"])
        bound = {"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}

        def token(audience: str) -> str:
            if account is None:
                return ""
            return self._issuer.issue(account, [audience] if audience else [], bound=bound)[0]

        return RunningPod(
            metadata["namespace"],
            metadata["name"],
            dict(metadata.get("labels") or {}),
            name,
            dict(dig(account, "metadata.annotations") or {}) if account else {},
            str(dig(node, "spec.providerID") or "") if node else "",
            bool(spec.get("hostNetwork")),
            token,
        )


def _arguments(spec: Object) -> Iterator[str]:
    yield from (spec.get("command") or ())[1:]
    yield from spec.get("args") or ()

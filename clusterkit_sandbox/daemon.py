"""Starts, finds and stops the background sandbox, for the command line and for tests.

The functions read the sandbox's directory (``state_dir.py``) and call its control API
(``control.py``); the process itself is ``process.py``.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterkit_sandbox import __version__
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.state_dir import (
    ALREADY_RUNNING,
    HOST,
    AlreadyRunning,
    Info,
    SandboxError,
    StateDir,
)

if TYPE_CHECKING:  # every command on the sandbox imports this module, few need these
    from contextlib import AbstractContextManager

    from clusterkit_sandbox.management import Management
    from clusterkit_sandbox.requestlog import Entry

__all__ = [
    "AlreadyRunning",
    "Info",
    "Pace",
    "SandboxError",
    "describe",
    "ensure",
    "environment",
    "management",
    "requests",
    "reset",
    "set_faults",
    "shell_exports",
    "start",
    "status",
    "stop",
]

_LOG = logging.getLogger(__name__)

DEFAULT_PACE = Pace(60)
"""A cluster takes seconds to create, and its states can still be watched."""
DEFAULT_KUBE = "embedded"
_READY_WITHIN = 60.0
_STOPPED_WITHIN = 20.0
_ANSWER_WITHIN = 60.0
_LOG_LINES = 15
_ATTEMPTS = 3


_VENDOR = ("AWS_", "ALIBABA_CLOUD_")
"""how the variables begin that the emulators must not see: those of an earlier sandbox name files
that are gone
"""


def start(
    pace: Pace = DEFAULT_PACE,
    kube: str = DEFAULT_KUBE,
    faults: str = "",
    directory: Path | None = None,
    emulators: Sequence[str] | None = None,
) -> Info:
    """Start the sandbox in the background and wait until its proxy accepts connections.

    ``kube`` is ``embedded`` or ``envtest``; ``faults`` is text for
    ``Faults.parse``; ``emulators`` are names (default: all); ``directory`` defaults
    to ``state_dir.default_directory()``. A sandbox of another version of clusterkit that
    runs there is stopped first. ``AlreadyRunning`` if one of this version does; ``SandboxError``
    with the end of its log if it does not come up.
    """
    state = StateDir(directory)
    running = state.read()
    if running is not None and running.version != __version__:
        _replace(state, running)
    command = [sys.executable, "-m", "clusterkit_sandbox.process"]
    command += [f"--directory={state.directory}", f"--pace={pace}", f"--kube={kube}"]
    command += [f"--faults={faults}"]
    if emulators is not None:
        command += [f"--emulators={','.join(emulators)}"]
    # a separate session, so that Ctrl-C in this terminal does not stop the sandbox
    done = subprocess.run(
        command,
        env={name: text for name, text in os.environ.items() if not name.startswith(_VENDOR)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode == ALREADY_RUNNING:
        raise AlreadyRunning(state.directory)
    if done.returncode:
        what, _, hint = done.stderr.strip().partition("\n")
        raise SandboxError(what or "the sandbox did not start", hint)
    return _ready(state)


def status(directory: Path | None = None) -> Info | None:
    """The running sandbox, or None. ``describe`` returns more about it."""
    return StateDir(directory).read()


def ensure(
    pace: Pace | None = None, kube: str | None = None, directory: Path | None = None
) -> Info:
    """The running sandbox, started if necessary.

    ``pace`` and ``kube`` left out mean whatever runs, or the defaults. A sandbox that another
    version of clusterkit started is restarted, empty, with the same pace and Kubernetes unless
    given. ``SandboxError`` if the running one differs from what is given.
    """
    state = StateDir(directory)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            info = state.read()
            if info is None and state.held():
                # unless it is stopping
                with suppress(_Ended):
                    info = _ready(state)
            if info is None:
                info = start(pace or DEFAULT_PACE, kube or DEFAULT_KUBE, directory=directory)
            elif info.version != __version__:
                info = start(pace or info.pace, kube or info.kube, directory=directory)
        except AlreadyRunning:
            # another process started one first, or an old one is still stopping
            if attempt == _ATTEMPTS:
                raise
        else:
            _check_same("pace", info.pace, pace)
            _check_same("kube", info.kube, kube)
            return info
    raise AssertionError("the last attempt returns or raises")


def stop(directory: Path | None = None) -> bool:
    """Stop the sandbox; False if none ran. Removes files left by one that crashed."""
    state = StateDir(directory)
    ran = state.held()
    _end(state)
    state.clean_up()
    return ran


def _replace(state: StateDir, running: Info) -> None:
    """Stop this sandbox, but not one that another process has started in its place."""
    _LOG.warning(
        "restarting the sandbox: clusterkit %s started it, this is clusterkit %s; its resources"
        " are gone",
        running.version,
        __version__,
    )
    _end(state, running.pid)


def _end(state: StateDir, only: int | None = None) -> None:
    """Stop the process that holds the lock; if ``only`` is given, only that one."""
    told: int | None = None
    deadline = time.monotonic() + _STOPPED_WITHIN
    while state.held():
        owner = state.owner()
        if only is not None and owner != only:
            return
        late = time.monotonic() > deadline
        if owner is not None and (owner != told or late):
            with suppress(ProcessLookupError):
                os.kill(owner, signal.SIGKILL if late else signal.SIGTERM)
            told = owner
        time.sleep(0.02)


def describe(info: Info) -> dict[str, Any]:
    """Settings and contents: pace, kube, faults, emulators, clusters, requests."""
    found: dict[str, Any] = _ask(info, "GET", "/status")
    return found


def environment(info: Info, allow: Sequence[str] = ()) -> dict[str, str]:
    """The environment variables that make a program use the sandbox, with credentials.

    With ``allow`` they are those of a new user who may do nothing else. Each is an action as
    policies name it (``ec2:Describe*``) or a file with a policy (``permissions.actions``);
    ``SandboxError`` for what is neither.
    """
    if not allow:
        found: dict[str, str] = _ask(info, "GET", "/environment")
        return found
    from clusterkit_sandbox.permissions import actions

    allowed: list[str] = []
    for each in allow:
        file = Path(each)
        try:
            allowed += actions(file.read_text()) if file.is_file() else [each]
        except (OSError, ValueError) as error:
            raise SandboxError(f"{each}: {error}") from error
    limited: dict[str, str] = _ask(info, "POST", "/identity", json.dumps(allowed).encode())
    return limited


def requests(info: Info) -> list[Entry]:
    """The request log, oldest first (the last 20,000 requests)."""
    from clusterkit_sandbox.requestlog import Entry

    return [Entry(**entry) for entry in _ask(info, "GET", "/requests")]


def management(directory: Path, kube: str = "embedded") -> AbstractContextManager[Management]:
    """A Kubernetes API for the operator, in this process (``management.management``)."""
    from clusterkit_sandbox.management import management

    return management(directory, kube)


def reset(info: Info) -> None:
    """Remove every resource; the credentials, the CA and the faults stay."""
    _ask(info, "POST", "/reset")


def set_faults(info: Info, text: str) -> None:
    """Replace the faults (text for ``Faults.parse``); ``SandboxError`` if it is invalid."""
    _ask(info, "PUT", "/faults", text.encode())


def shell_exports(variables: Mapping[str, str]) -> str:
    """Lines that export the variables in a POSIX shell, quoted, for ``eval``."""
    for name in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is not a valid name for a shell variable")
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


class _Ended(SandboxError):
    """The process ended before it was ready."""


def _ready(state: StateDir) -> Info:
    """Wait until the sandbox that was started in ``state`` is ready."""
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        alive = state.held()
        info = state.read()
        if info is not None:
            return info
        if not alive:
            lines = state.last_lines(_LOG_LINES)
            why = lines[-1] if lines else "its log is empty"
            log = "\n".join(["", *lines])
            raise _Ended(
                f"the sandbox did not start: {why}", f"the last lines of {state.log}:{log}"
            )
        if time.monotonic() > deadline:
            raise SandboxError(
                f"the sandbox was not ready within {_READY_WITHIN:.0f} s",
                f"see {state.log}; clusterkit sandbox stop ends it",
            )
        time.sleep(0.01)


def _check_same(what: str, is_: object, asked: object) -> None:
    if asked is not None and asked != is_:
        raise SandboxError(
            f"the running sandbox has {what} {is_}, not {asked}",
            f"run clusterkit sandbox stop first, or leave out --{what}",
        )


def _ask(info: Info, method: str, path: str, body: bytes | None = None) -> Any:
    try:
        context = ssl.create_default_context(cafile=info.ca_file)
        with closing(
            http.client.HTTPSConnection(
                "127.0.0.1", info.port, timeout=_ANSWER_WITHIN, context=context
            )
        ) as connection:
            connection.set_tunnel(HOST, 443)
            headers = {"Authorization": f"Bearer {info.token}"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            value = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SandboxError(
            f"the sandbox at {info.proxy} does not answer: {error}",
            "check with clusterkit sandbox status whether it is still running",
        ) from error
    if answer.status >= 400:
        raise SandboxError(value.get("error", f"the sandbox answered {answer.status}"))
    return value

"""The sandbox in the background: started on first use, kept until it is stopped.

These functions are for the command line and for tests. They read the sandbox's directory
(``state_dir.py``) and talk to its control host (``control.py``); the process itself is
``process.py``.
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
from typing import Any

from clusterkit_sandbox import __version__
from clusterkit_sandbox.control import HOST
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.process import ALREADY_RUNNING
from clusterkit_sandbox.requestlog import Entry
from clusterkit_sandbox.state_dir import AlreadyRunning, Info, SandboxError, StateDir

__all__ = [
    "AlreadyRunning",
    "Info",
    "Pace",
    "SandboxError",
    "describe",
    "ensure",
    "environment",
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
"""A cluster takes seconds, and its states can still be watched."""
DEFAULT_KUBE = "embedded"
_READY_WITHIN = 60.0
_STOPPED_WITHIN = 20.0
_ANSWER_WITHIN = 60.0
_LOG_LINES = 15
_ATTEMPTS = 3


def start(
    pace: Pace = DEFAULT_PACE,
    kube: str = DEFAULT_KUBE,
    faults: str = "",
    directory: Path | None = None,
    emulators: Sequence[str] | None = None,
) -> Info:
    """Start the sandbox in the background and wait until its door is open.

    ``kube`` is ``embedded``, ``envtest`` or ``kubeconfig:PATH``; ``faults`` is text for
    ``Faults.parse``; ``emulators`` are names, all if left out; ``directory`` is
    ``state_dir.default_directory()`` if left out. A sandbox of another version of clusterkit that
    runs there is stopped first. ``AlreadyRunning`` if one of this version does; ``SandboxError``
    with the end of its log if it does not come up.
    """
    place = StateDir(directory)
    running = place.read()
    if running is not None and running.version != __version__:
        _replace(place, running)
    command = [sys.executable, "-m", "clusterkit_sandbox.process"]
    command += [f"--directory={place.directory}", f"--pace={pace}", f"--kube={kube}"]
    command += [f"--faults={faults}"]
    if emulators is not None:
        command += [f"--emulators={','.join(emulators)}"]
    # a session of its own: Ctrl-C in this terminal is not meant for the sandbox
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode == ALREADY_RUNNING:
        raise AlreadyRunning(place.directory)
    if done.returncode:
        what, _, hint = done.stderr.strip().partition("\n")
        raise SandboxError(what or "the sandbox did not start", hint)
    return _ready(place)


def status(directory: Path | None = None) -> Info | None:
    """The sandbox that runs and is ready; None if there is none. ``describe`` asks it for more."""
    return StateDir(directory).read()


def ensure(
    pace: Pace | None = None, kube: str | None = None, directory: Path | None = None
) -> Info:
    """The running sandbox, started if there is none.

    What is left out is as it is, or the default. One that another version of clusterkit started
    is restarted, empty, with the same pace and Kubernetes unless others are asked for.
    ``SandboxError`` if one of this version runs that differs from what is asked for.
    """
    place = StateDir(directory)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            info = place.read()
            if info is None and place.held():
                # unless it is on its way out
                with suppress(_Ended):
                    info = _ready(place)
            if info is None:
                info = start(pace or DEFAULT_PACE, kube or DEFAULT_KUBE, directory=directory)
            elif info.version != __version__:
                info = start(pace or info.pace, kube or info.kube, directory=directory)
        except AlreadyRunning:
            # somebody else was faster, or the old one is on its way out
            if attempt == _ATTEMPTS:
                raise
        else:
            _agrees("pace", info.pace, pace)
            _agrees("kube", info.kube, kube)
            return info
    raise AssertionError("the last attempt returns or raises")


def stop(directory: Path | None = None) -> bool:
    """End the sandbox and everything in it; False if none ran. Clears what a dead one left."""
    place = StateDir(directory)
    ran = place.held()
    _end(place)
    place.heal()
    return ran


def _replace(place: StateDir, running: Info) -> None:
    """End this sandbox, and no other that was started in its place meanwhile."""
    _LOG.warning(
        "restarting the sandbox: clusterkit %s started it, this is clusterkit %s; its resources"
        " are gone",
        running.version,
        __version__,
    )
    _end(place, running.pid)


def _end(place: StateDir, only: int | None = None) -> None:
    """End the process that holds the lock, ``only`` that one if it is given."""
    told: int | None = None
    deadline = time.monotonic() + _STOPPED_WITHIN
    while place.held():
        owner = place.owner()
        if only is not None and owner != only:
            return
        late = time.monotonic() > deadline
        if owner is not None and (owner != told or late):
            with suppress(ProcessLookupError):
                os.kill(owner, signal.SIGKILL if late else signal.SIGTERM)
            told = owner
        time.sleep(0.02)


def describe(info: Info) -> dict[str, Any]:
    """How the sandbox runs and what is in it: pace, kube, faults, emulators, clusters, requests."""
    found: dict[str, Any] = _ask(info, "GET", "/status")
    return found


def environment(info: Info) -> dict[str, str]:
    """The variables that bring any program into the sandbox, credentials included."""
    found: dict[str, str] = _ask(info, "GET", "/environment")
    return found


def requests(info: Info) -> list[Entry]:
    """What was asked of the sandbox, oldest first (the last 20,000)."""
    return [Entry(**entry) for entry in _ask(info, "GET", "/requests")]


def reset(info: Info) -> None:
    """Forget every resource; the credentials, the CA and the faults stay."""
    _ask(info, "POST", "/reset")


def set_faults(info: Info, text: str) -> None:
    """Replace the faults in force (``Faults.parse``); empty for none. ``SandboxError`` if wrong."""
    _ask(info, "PUT", "/faults", text.encode())


def shell_exports(variables: Mapping[str, str]) -> str:
    """Lines that set the variables in a POSIX shell, safely quoted, for ``eval``."""
    for name in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is no name for a shell variable")
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


class _Ended(SandboxError):
    """The process ended before it was ready."""


def _ready(place: StateDir) -> Info:
    """Wait until the sandbox that was started in ``place`` is ready."""
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        alive = place.held()
        info = place.read()
        if info is not None:
            return info
        if not alive:
            lines = place.last_lines(_LOG_LINES)
            why = lines[-1] if lines else "it left no word"
            log = "\n".join(["", *lines])
            raise _Ended(f"the sandbox did not start: {why}", f"the end of {place.log}:{log}")
        if time.monotonic() > deadline:
            raise SandboxError(
                f"the sandbox was not ready within {_READY_WITHIN:.0f} s",
                f"see {place.log}, or: clusterkit sandbox stop",
            )
        time.sleep(0.01)


def _agrees(what: str, is_: object, asked: object) -> None:
    if asked is not None and asked != is_:
        raise SandboxError(
            f"the sandbox that runs has {what} {is_}, not {asked}",
            f"clusterkit sandbox stop, or leave --{what} out",
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
            "clusterkit sandbox status; it may have been stopped meanwhile",
        ) from error
    if answer.status >= 400:
        raise SandboxError(value.get("error", f"the sandbox answered {answer.status}"))
    return value

"""The background process of the sandbox: ``python -m clusterkit_sandbox.process --directory …``.

It checks its arguments and takes the lock in the foreground, so that the caller sees errors, and
then forks into the background. SIGTERM, SIGINT and ``POST /stop`` stop it and remove its files.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from clusterkit_sandbox import __version__
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.state_dir import (
    ALREADY_RUNNING,
    AlreadyRunning,
    Info,
    SandboxError,
    StateDir,
)

_WRONG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the arguments, take the lock, fork and serve; return the exit status."""
    options = _parser().parse_args(arguments)
    state = StateDir(options.directory)
    try:
        pace = Pace.parse(options.pace)
        faults = Faults.parse(options.faults)
        _check(faults, options.emulators)
        state.prepare()
        lock = state.acquire()
        log = state.open_log()
    except AlreadyRunning:
        return ALREADY_RUNNING
    except SandboxError as error:
        return _fail(f"{error}\n{error.hint}")
    except ModuleNotFoundError as error:
        return _fail(_missing_package(error))
    except ValueError as error:
        return _fail(str(error))
    if os.fork():
        return 0
    _background(log)
    state.write_owner(lock)
    try:
        _serve(state, pace, options.kube, faults, options.emulators)
    except ModuleNotFoundError as error:
        traceback.print_exc()
        return _fail(_missing_package(error))
    except Exception as error:
        traceback.print_exc()
        return _fail(str(error) or type(error).__name__)
    finally:
        state.clear()
    return 0


def _check(faults: Faults, emulators: tuple[str, ...] | None) -> None:
    """``ValueError`` for faults that name no operation, while the caller still sees errors."""
    if faults.rules:
        from clusterkit_sandbox.sandbox import EMULATORS, operations_of

        faults.check_against(operations_of(EMULATORS if emulators is None else emulators))


def _missing_package(error: ModuleNotFoundError) -> str:
    return (
        f"the sandbox needs the Python package {error.name!r},"
        " which is not installed; in the folder with clusterkit's source: pip install '.[sandbox]'"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clusterkit_sandbox.process")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--pace", required=True)
    parser.add_argument("--kube", required=True)
    parser.add_argument("--faults", default="")
    parser.add_argument("--emulators", type=_names, help="comma-separated names (default: all)")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _fail(text: str) -> int:
    sys.stderr.write(text.rstrip() + "\n")
    return _WRONG


def _background(log: int) -> None:
    """Detach from the caller: working directory and streams; ``log`` is the new output."""
    os.chdir("/")
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _serve(
    state: StateDir, pace: Pace, kube: str, faults: Faults, emulators: tuple[str, ...] | None
) -> None:
    # not an Event: a signal handler that sets it can deadlock on the lock the main thread holds
    wakes, wake = os.pipe()

    def end(*_: object) -> None:
        with contextlib.suppress(OSError):
            os.write(wake, b".")

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    from clusterkit_sandbox.sandbox import EMULATORS, Sandbox

    with Sandbox(
        directory=state.directory,
        pace=pace,
        kube=kube,
        faults=faults,
        emulators=emulators,
        on_stop=end,
    ) as sandbox:
        state.write(
            Info(
                directory=state.directory,
                pid=os.getpid(),
                port=sandbox.port,
                token=sandbox.token,
                pace=pace,
                kube=kube,
                emulators=EMULATORS if emulators is None else emulators,
                version=__version__,
                started=time.time(),
            )
        )
        os.read(wakes, 1)
        state.unpublish()


if __name__ == "__main__":
    sys.exit(main())

"""The background process of the sandbox: ``python -m clusterkit_sandbox.process --directory …``.

It checks its arguments and takes the lock while whoever started it is still listening, and goes to
the background only then. SIGTERM, SIGINT and ``POST /stop`` end it cleanly, with its files.
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
from clusterkit_sandbox.state_dir import AlreadyRunning, Info, SandboxError, StateDir

ALREADY_RUNNING = 3
"""Exit status: another process has the lock."""
_WRONG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, take the lock, go to the background, serve; the exit status."""
    options = _parser().parse_args(arguments)
    place = StateDir(options.directory)
    try:
        pace = Pace.parse(options.pace)
        faults = Faults.parse(options.faults)
        _check(faults, options.emulators)
        place.prepare()
        lock = place.acquire()
    except AlreadyRunning:
        return ALREADY_RUNNING
    except SandboxError as error:
        return _complain(f"{error}\n{error.hint}")
    except ModuleNotFoundError as error:
        return _complain(_missing_package(error))
    except ValueError as error:
        return _complain(str(error))
    if os.fork():
        return 0
    _background(place.log)
    place.sign(lock)
    try:
        _serve(place, pace, options.kube, faults, options.emulators)
    except ModuleNotFoundError as error:
        traceback.print_exc()
        return _complain(_missing_package(error))
    except Exception as error:
        traceback.print_exc()
        return _complain(str(error) or type(error).__name__)
    finally:
        place.clear()
    return 0


def _check(faults: Faults, emulators: tuple[str, ...] | None) -> None:
    """``ValueError`` for faults that could not hit anything, while somebody is listening."""
    if faults.rules:
        from clusterkit_sandbox.sandbox import EMULATORS, operations_of

        faults.check_against(operations_of(EMULATORS if emulators is None else emulators))


def _missing_package(error: ModuleNotFoundError) -> str:
    return (
        f"the sandbox needs the Python package {error.name!r},"
        " which is not installed: pip install 'clusterkit[sandbox]'"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clusterkit_sandbox.process")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--pace", required=True)
    parser.add_argument("--kube", required=True)
    parser.add_argument("--faults", default="")
    parser.add_argument("--emulators", type=_names, help="names with commas; left out: all")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _complain(text: str) -> int:
    sys.stderr.write(text.rstrip() + "\n")
    return _WRONG


def _background(log: Path) -> None:
    """Let go of whoever started this: their directory, their streams."""
    os.chdir("/")
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _serve(
    place: StateDir, pace: Pace, kube: str, faults: Faults, emulators: tuple[str, ...] | None
) -> None:
    # a signal handler may set no Event that the main thread waits for: it could hold its lock
    wakes, wake = os.pipe()

    def end(*_: object) -> None:
        with contextlib.suppress(OSError):
            os.write(wake, b".")

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    from clusterkit_sandbox.sandbox import EMULATORS, Sandbox

    with Sandbox(
        directory=place.directory,
        pace=pace,
        kube=kube,
        faults=faults,
        emulators=emulators,
        on_stop=end,
    ) as sandbox:
        place.write(
            Info(
                directory=place.directory,
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
        place.withdraw()


if __name__ == "__main__":
    sys.exit(main())

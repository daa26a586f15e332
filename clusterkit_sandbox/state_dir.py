"""The directory of the background sandbox, and whether a sandbox is running.

The sandbox holds ``lock`` with flock(2) while it runs, and writes its process id into it. The
kernel releases the lock however the process ends, so only the lock proves that it is alive: the
process id may have been reused. ``sandbox.json`` says how to reach the sandbox, ``daemon.log`` is
its output, and ``run/`` holds everything else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from clusterkit_sandbox.pace import Pace

VARIABLE = "CLUSTERKIT_SANDBOX_DIR"
"""The environment variable that sets the directory."""
HOST = "sandbox.clusterkit.internal"
"""The host name of the control API, reached through the proxy."""
ALREADY_RUNNING = 3
"""Exit status of the background process: another one holds the lock."""
_LOCK_TIMEOUT = 0.3


class SandboxError(Exception):
    """The sandbox cannot be started, reached or stopped; ``hint`` says what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class AlreadyRunning(SandboxError):
    """Another process holds the lock."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"a sandbox is already running in {directory}",
            "use it, or stop it with clusterkit sandbox stop",
        )


@dataclass(frozen=True)
class Info:
    """A running sandbox, as ``sandbox.json`` describes it."""

    directory: Path
    pid: int
    port: int
    """the proxy's port on 127.0.0.1"""
    token: str = field(repr=False)
    """the bearer token of the control host"""
    pace: Pace
    kube: str
    """``embedded`` or ``envtest``"""
    emulators: tuple[str, ...]
    version: str
    """the version of clusterkit that started it"""
    started: float
    """seconds since the epoch"""

    @property
    def proxy(self) -> str:
        """``http://127.0.0.1:PORT``"""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The CA bundle for clients."""
        return self.directory / "run" / "ca.pem"


def open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file of mode 0600.

    ``OSError`` for anything else: opening a FIFO waits for ever, and a device is another program's.
    """
    with contextlib.suppress(FileNotFoundError):
        _refuse_odd(path, path.stat().st_mode)
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        _refuse_odd(path, os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return handle


def _refuse_odd(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{path.name} is not a regular file: remove it", str(path))


def default_directory() -> Path:
    """``$CLUSTERKIT_SANDBOX_DIR``, else ``clusterkit/sandbox`` in the XDG state directory."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME", "")
    # the XDG specification says to ignore relative paths
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "clusterkit" / "sandbox"


class StateDir:
    """The directory of one background sandbox."""

    def __init__(self, directory: Path | None = None) -> None:
        """Creates nothing; ``directory`` defaults to ``default_directory()``."""
        given = default_directory() if directory is None else directory
        self.directory = Path(given).absolute()
        self.log = self.directory / "daemon.log"
        self._lock = self.directory / "lock"
        self._info = self.directory / "sandbox.json"

    def prepare(self) -> None:
        """Create the directory with mode 0700. ``SandboxError`` if it cannot be used."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.directory.stat()
            if found.st_uid != os.getuid():
                raise SandboxError(
                    f"{self.directory} belongs to another user",
                    f"set {VARIABLE} to a directory that you own",
                )
            if stat.S_IMODE(found.st_mode) & 0o077:
                self._restrict()
        except OSError as error:
            raise SandboxError(
                f"the sandbox cannot use {self.directory}: {error.strerror or error}",
                f"set {VARIABLE} to a writable directory",
            ) from error

    def _restrict(self) -> None:
        if any(self.directory.iterdir()) and not self._lock.exists():
            raise SandboxError(
                f"{self.directory} is accessible to other users and holds other programs' files",
                f"set {VARIABLE} to a directory used only by the sandbox",
            )
        self.directory.chmod(0o700)

    def acquire(self) -> int:
        """Take the lock and remove what a crashed sandbox left; return the locked descriptor.

        ``AlreadyRunning`` if another process holds it.
        """
        handle = self._open(self._lock, os.O_RDWR | os.O_CREAT)
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # held() in another process takes a shared lock for a moment
                if time.monotonic() > deadline:
                    os.close(handle)
                    raise AlreadyRunning(self.directory) from None
                time.sleep(0.02)
        self.write_owner(handle)
        self.clear()
        return handle

    def write_owner(self, handle: int) -> None:
        """Write this process's id into the lock file."""
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def owner(self) -> int | None:
        """The process that holds the lock; only meaningful while ``held()``."""
        try:
            return int(self._text(self._lock))
        except (OSError, ValueError):
            return None

    def held(self) -> bool:
        """Whether a sandbox is running here, ready or not."""
        try:
            handle = open_regular(self._lock, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def write(self, info: Info) -> None:
        """Write ``sandbox.json`` atomically, with mode 0600."""
        text = json.dumps(
            {
                "pid": info.pid,
                "port": info.port,
                "token": info.token,
                "pace": str(info.pace),
                "kube": info.kube,
                "emulators": list(info.emulators),
                "version": info.version,
                "started": info.started,
            }
        )
        draft = self._info.with_suffix(".new")
        handle = self._open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        draft.replace(self._info)

    def read(self) -> Info | None:
        """The sandbox that is running here and ready, or None."""
        if not self.held():
            return None
        try:
            found = json.loads(self._text(self._info))
            return Info(
                directory=self.directory,
                pid=found["pid"],
                port=found["port"],
                token=found["token"],
                pace=Pace.parse(found["pace"]),
                kube=found["kube"],
                emulators=tuple(found["emulators"]),
                version=found["version"],
                started=found["started"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SandboxError(
                f"{self._info} is damaged: {error}",
                "run clusterkit sandbox stop, then start it again",
            ) from error

    @staticmethod
    def _text(path: Path) -> str:
        with os.fdopen(open_regular(path, os.O_RDONLY), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _open(self, path: Path, flags: int) -> int:
        try:
            return open_regular(path, flags)
        except OSError as error:
            raise SandboxError(
                f"the sandbox cannot use {path}: {error.strerror or error}",
                f"set {VARIABLE} to a directory used only by the sandbox",
            ) from error

    def open_log(self) -> int:
        """A descriptor of the emptied log; ``SandboxError`` if it cannot be written."""
        return self._open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def last_lines(self, count: int) -> list[str]:
        """The last lines of the log."""
        try:
            return self._text(self.log).splitlines()[-count:]
        except OSError:
            return []

    def unpublish(self) -> None:
        """Remove ``sandbox.json``, because the sandbox is about to stop."""
        self._remove(self._info)

    @staticmethod
    def _remove(path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            what = f"the sandbox cannot remove {path}: {error.strerror or error}"
            raise SandboxError(what, "remove it by hand") from error

    def clear(self) -> None:
        """Remove everything except the lock and the log; the caller must hold the lock."""
        self.unpublish()
        self._remove(self._info.with_suffix(".new"))
        shutil.rmtree(self.directory / "run", ignore_errors=True)

    def clean_up(self) -> None:
        """Remove what a crashed sandbox left; does nothing while one is running."""
        if not self._lock.exists():
            return
        with contextlib.suppress(AlreadyRunning):
            os.close(self.acquire())

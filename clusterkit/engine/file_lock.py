"""Locks that the kernel frees when their process ends: for runs on one machine."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from clusterkit import localfile
from clusterkit.naming import digest

UNKNOWN = "another process on this machine"


Release = Callable[[], None]


class Place:
    """The file locks of one machine's user, or those of one process."""

    _taken: set[str] = set()  # noqa: RUF012
    _guard = threading.Lock()
    _process = secrets.token_hex(8)

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        words: tuple[object, ...] = (self._process, os.getpid())
        if folder is not None:
            try:
                words = (_token(folder), socket.gethostname(), _boot())
            except OSError:  # read-only or full: the cloud's lock has to do
                self._folder = None
        self.id = digest(*words, length=16)

    def take(self, key: str, holder: str) -> Release | str:
        """Take the lock of this name: what lets it go again, or who has it. ``OSError``."""
        name = f"{self.id}/{key}"
        with self._guard:
            if name in self._taken:
                return "another run of this process"
            self._taken.add(name)
        found: Release | str | None = None
        try:
            found = None if self._folder is None else _file(self._path(key), holder)
        except BaseException:
            self._taken.discard(name)
            raise
        if isinstance(found, str):
            self._taken.discard(name)
            return found

        def release() -> None:
            try:
                if found is not None:
                    found()
            finally:
                self._taken.discard(name)

        return release

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{digest(key, length=16)}.lock"


def _file(path: Path, holder: str) -> Release | str:
    """Take a file's lock; the file is removed with it."""
    import fcntl

    while True:
        number = localfile.opened(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(number).st_nlink:
                break
            os.close(number)  # its last holder removed it in between
        except BlockingIOError:
            who = _holder(number)
            os.close(number)
            return who
        except BaseException:
            os.close(number)
            raise
    with suppress(OSError):  # what it says is only for people
        os.ftruncate(number, 0)
        os.write(number, holder.encode())

    def release() -> None:
        with suppress(OSError):
            path.unlink()
        os.close(number)

    return release


def _holder(number: int) -> str:
    try:
        return os.read(number, 4096).decode(errors="replace") or UNKNOWN
    except OSError:
        return UNKNOWN


def _token(folder: Path) -> str:
    """A random word that says which folder this is; made once."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "place"
    part = folder / f".place.{secrets.token_hex(8)}"
    if not path.exists():
        part.write_text(secrets.token_hex(16))
        try:
            with suppress(FileExistsError):
                os.link(part, path)
        finally:
            part.unlink()
    return localfile.read(path).decode(errors="replace")


def _boot() -> str:
    """Which start of the machine this is, where the kernel tells (Linux: proc(5))."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""

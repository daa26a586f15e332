"""Local files that a user names: only regular files are read, written, locked or replaced.

Opening a FIFO waits for a writer, reading a device may never end, and replacing either by a rename
destroys it for every other program. A symbolic link to a regular file counts as that file.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class NotRegular(OSError):
    """The path leads to something else than a regular file; ``strerror`` says to what."""

    def __init__(self, path: Path, mode: int) -> None:
        if stat.S_ISDIR(mode):
            super().__init__(errno.EISDIR, "it is a directory", str(path))
        else:
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            super().__init__(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def check(path: Path) -> None:
    """``NotRegular`` if the path leads to anything but a regular file; nothing there is fine."""
    with suppress(FileNotFoundError):
        _refuse(path, _stat(path).st_mode)


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except ValueError as error:  # a null byte, or what cannot be encoded: no file has such a name
        raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from error


def _refuse(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegular(path, mode)


def opened(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of the regular file, as ``os.open`` makes it; never waits for another program.

    ``NotRegular``, or the ``OSError`` of ``os.open``.
    """
    # before opening it, which alone has effects on some devices
    if flags & os.O_CREAT:
        check(path)
    else:
        _refuse(path, _stat(path).st_mode)
    number = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, mode)
    try:
        _refuse(path, os.fstat(number).st_mode)
    except BaseException:
        os.close(number)
        raise
    return number


def read(path: Path, limit: int = -1) -> bytes:
    """The file's content, at most ``limit`` bytes of it; ``OSError``."""
    with os.fdopen(opened(path), "rb") as file:
        return file.read(limit)


def replace(path: Path, content: bytes, *, secret: bool = True) -> None:
    """Put a finished file in the place of the one at ``path``; ``secret``: readable by its owner
    only, otherwise as the umask says.

    A link stays a link: what it leads to is replaced. ``OSError`` with nothing changed, also for a
    file that is not writable, although its folder is.
    """
    part = _written(path, content)
    try:
        if not secret:
            part.chmod(0o666 & ~_umask())
        part.replace(os.path.realpath(path))
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _umask() -> int:
    # it can only be read by setting it
    now = os.umask(0o077)
    os.umask(now)
    return now


def check_replaceable(path: Path, content: bytes) -> None:
    """``OSError`` if ``replace`` would fail now; changes nothing."""
    _written(path, content).unlink()


def _written(path: Path, content: bytes) -> Path:
    """A new file beside the one that ``path`` leads to."""
    real = Path(os.path.realpath(path))
    check(real)
    if real.exists() and not os.access(real, os.W_OK):
        raise OSError(errno.EACCES, "it is read-only", str(path))
    number, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")  # mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)

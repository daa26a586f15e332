"""The lock of a kubeconfig file, which kubectl knows too.

kubectl locks every file it may write with ``FILE.lock``, made exclusively, and fails at once if one
is there (client-go, ``tools/clientcmd/config.go``). So do we, except that we wait, and that a lock
of ours ends with its process: it is held by flock too, so that the next one knows a lock that
nobody holds any more, and breaks it.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from clusterkit import localfile
from clusterkit.errors import ClusterkitError

LOCK_PATIENCE = 10.0
"""seconds that one and the same lock of another program is waited for; a kubectl holds a lock for
milliseconds"""
QUEUE_PATIENCE = 120.0
"""seconds for one lock of a clusterkit that is running: time to parse the largest files"""
_LOCK_POLL = (0.02, 0.1)
_OURS = b"clusterkit"
"""what our locks say; those of kubectl are empty"""


def lock(path: Path, stack: ExitStack) -> OSError | None:
    """Lock the file until the stack is closed, or return why it cannot be written at all."""
    beside = path.with_name(f"{path.name}.lock")
    since, held = time.monotonic(), (0, 0)
    while True:
        try:
            number = _take(beside)
        except FileExistsError:
            holder = _holder(beside)
            if holder is None:
                continue
            now = time.monotonic()
            if holder.identity != held:
                since, held = now, holder.identity
            if now - since > (QUEUE_PATIENCE if holder.ours else LOCK_PATIENCE):
                raise _locked(path, beside, holder) from None
            time.sleep(random.uniform(*_LOCK_POLL))
        except OSError as error:
            return error  # a folder that is not there or not ours to write
        else:
            stack.callback(os.close, number)
            stack.callback(beside.unlink, missing_ok=True)
            return None


def _take(lock: Path) -> int:
    """Create the lock, or ``FileExistsError``.

    It is held and says so before it gets its name: a process killed in between leaves no empty
    lock, which would look like kubectl's.
    """
    if os.path.lexists(lock):
        raise FileExistsError
    number, name = tempfile.mkstemp(dir=lock.parent, prefix=f".{lock.name}.")
    try:
        with suppress(OSError):  # some file systems cannot: then it is a lock like kubectl's
            fcntl.flock(number, fcntl.LOCK_EX)
            os.write(number, _OURS)
        try:
            lock.hardlink_to(name)
        except FileExistsError:
            raise
        except OSError:  # no hard links there
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except BaseException:
        os.close(number)
        raise
    finally:
        Path(name).unlink()
    return number


@dataclass(frozen=True)
class _Holder:
    """Who has a lock."""

    ours: bool
    """a clusterkit that is running"""
    identity: tuple[int, int]
    """another one for each time the lock is taken"""


def _holder(lock: Path) -> _Holder | None:
    """Who has the lock; None if nobody: one that was ours and whose process is gone is removed."""
    try:
        found = lock.stat()
        identity = (found.st_ino, found.st_mtime_ns)
        number = localfile.opened(lock)
    except FileNotFoundError:
        return None
    except OSError:
        return _Holder(ours=False, identity=(0, 0))
    try:
        if os.read(number, len(_OURS)) != _OURS:
            return _Holder(ours=False, identity=identity)
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(number).st_ino == lock.stat().st_ino:  # else another was quicker
            lock.unlink()
    except BlockingIOError:
        return _Holder(ours=True, identity=identity)
    except FileNotFoundError:
        return None
    except OSError:
        return _Holder(ours=False, identity=identity)
    else:
        return None
    finally:
        os.close(number)


def _locked(path: Path, lock: Path, holder: _Holder) -> ClusterkitError:
    if holder.ours:
        what = "is locked: another clusterkit has been writing the kubeconfig for minutes"
        return ClusterkitError(what, where=str(path), hint="see whether it hangs, and run it again")
    what = (
        "is locked: another program is writing the kubeconfig, or left the lock behind when it "
        "was killed"
    )
    return ClusterkitError(what, where=str(path), hint=f"if no kubectl runs: rm {lock}")

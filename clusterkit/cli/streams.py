"""Standard input, output and error: one that is closed, and one that cannot be written."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

BROKEN_PIPE = 141
"""what a shell reports of a program that SIGPIPE ended: 128 + 13"""
_CODES = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""what a write to a stream is refused with; errors with files are other classes by then"""


def unwritable(error: BaseException) -> bool:
    """Whether it says that nobody reads the output any more, or that there is no room for it."""
    broken = isinstance(error, BrokenPipeError)  # ours has no errno
    return isinstance(error, OSError) and (broken or error.errno in _CODES)


def open_missing() -> None:
    """A closed descriptor would be given to the next file that is opened, and then written to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def lost(stream: TextIO, error: OSError) -> int:
    """The exit code when what was printed cannot be written: says so, and keeps Python from trying
    again at its end.
    """
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if stream is sys.stdout:
        with suppress(OSError):
            sys.stderr.write(f"error: stdout: cannot be written: {error.strerror or error}\n")
    return 1

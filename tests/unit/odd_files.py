"""Files that are no regular ones, each made by the test itself."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes device nodes")


def _socket(path: Path) -> None:
    folder = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is short: 107 bytes (unix(7))
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(folder)


ODD: dict[str, Callable[[Path], None]] = {
    "named pipe": os.mkfifo,
    "device": _device,
    "socket": _socket,
    "directory": Path.mkdir,
}
"""how an error calls it, and how to make one"""
EACH = pytest.mark.parametrize("kind", ODD)


def same(path: Path) -> tuple[int, int]:
    """Which file it is and of which kind; differs if it was replaced."""
    found = path.stat()
    return found.st_ino, stat.S_IFMT(found.st_mode)

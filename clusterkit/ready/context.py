"""A folder of this machine as a build context: what of it is sent, and how.

It goes to kaniko as a gzipped tar (``--context=tar://stdin``), as docker sends one: links as links,
owners as root, and nothing that ``.dockerignore`` names.
"""

from __future__ import annotations

import fnmatch
import gzip
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from clusterkit.errors import ClusterkitError, UsageError
from clusterkit.ready import dockerignore

PIECE = 32 * 1024
"""bytes of a message, as kubectl sends them (``io.Copy``)"""
GZIP = b"\x1f\x8b"
"""how what is gzipped begins (RFC 1952)"""
SECRETS = (
    ".env",
    ".env.*",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    "*.jks",
    "*.key",
    "*.p12",
    "*.pem",
    "*.pfx",
    "*.tfstate",
    "*/.aws/credentials",
    "*/.docker/config.json",
    "*/.kube/config",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "kubeconfig",
)
"""what usually holds secrets"""
HARMLESS = (".env.example", ".env.sample", ".env.template", ".env.dist")


@dataclass(frozen=True)
class Context:
    """What is sent of a folder."""

    folder: Path
    paths: tuple[str, ...]
    """files, links and folders, with ``/``"""
    files: int
    size: int
    """bytes, before they are packed"""
    left_out: int
    """files and folders that ``.dockerignore`` names; what is in such a folder is not counted"""
    ignore: str
    """the name of that file; empty without one"""
    secrets: tuple[str, ...]
    """paths that usually hold secrets"""


def look(folder: Path, dockerfile: str) -> Context:
    """What would be sent; ``UsageError`` without a folder or its Dockerfile."""
    if not folder.is_dir():
        what = "there is no such folder"
        raise UsageError(what, where=str(folder), hint="CONTEXT is a folder or a URL")
    if not (folder / dockerfile).is_file():
        raise UsageError(
            f"there is no {dockerfile} in it",
            where=str(folder),
            hint="--dockerfile PATH names it, from the folder; it must lie in it",
        )
    patterns, ignore = dockerignore.read(folder, dockerfile)
    needed = {os.path.normpath(dockerfile).replace(os.sep, "/"), ignore}
    paths, files, size, left_out = [], 0, 0, 0
    for path, entry in _walk(folder, patterns):
        if patterns.leaves_out(path) and path not in needed:
            left_out += 1
            continue
        shown = entry.stat(follow_symlinks=False)
        if not (stat.S_ISREG(shown.st_mode) or stat.S_ISDIR(shown.st_mode)):
            if not stat.S_ISLNK(shown.st_mode):
                continue  # sockets and pipes are of running programs
        elif stat.S_ISREG(shown.st_mode):
            files, size = files + 1, size + shown.st_size
        paths.append(path)
    secrets = tuple(path for path in paths if _secret(path) and (folder / path).is_file())
    return Context(folder, tuple(paths), files, size, left_out, ignore, secrets)


def _walk(
    folder: Path, patterns: dockerignore.Patterns, within: str = ""
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        entries = sorted(os.scandir(folder / within), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder / within, error) from error
    for entry in entries:
        path = f"{within}/{entry.name}" if within else entry.name
        yield path, entry
        if entry.is_dir(follow_symlinks=False) and (
            patterns.takes_back or not patterns.leaves_out(path)
        ):
            yield from _walk(folder, patterns, path)


def _secret(path: str) -> bool:
    name = path.rpartition("/")[2]
    if name in HARMLESS:
        return False
    return any(
        fnmatch.fnmatchcase(f"/{path}" if "/" in pattern else name, pattern) for pattern in SECRETS
    )


def pack(context: Context, send: Callable[[bytes], None]) -> None:
    """Give the gzipped tar to ``send``, piece by piece; ``ClusterkitError`` for a file that cannot
    be read, or shrinks meanwhile.
    """
    pieces = _Pieces(send)
    # most of a context is text: the lowest level is enough
    with (
        gzip.GzipFile(
            fileobj=cast("BinaryIO", pieces), mode="wb", compresslevel=1, mtime=0
        ) as packed,
        tarfile.open(fileobj=packed, mode="w|", bufsize=PIECE) as archive,
    ):
        for path in context.paths:
            whole = context.folder / path
            try:
                archive.add(whole, path, recursive=False, filter=_as_root)
            except OSError as error:
                raise _unreadable(whole, error) from error
    pieces.flush()


def stream(file: BinaryIO, where: str, send: Callable[[bytes], None]) -> None:
    """Pass on a gzipped tar as it is; ``UsageError`` for what is none."""
    piece = file.read(PIECE)
    if not piece.startswith(GZIP):
        what = "is not a .tar.gz"
        raise UsageError(what, where=where, hint="tar -cz . | clusterkit kaniko build -")
    while piece:
        send(piece)
        piece = file.read(PIECE)


def stream_file(path: Path, send: Callable[[bytes], None]) -> None:
    """``stream`` of a file."""
    try:
        with path.open("rb") as file:
            stream(file, str(path), send)
    except OSError as error:
        raise _unreadable(path, error) from error


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _unreadable(path: Path, error: OSError) -> ClusterkitError:
    what = f"cannot be read: {error.strerror or error}"
    return ClusterkitError(
        what, where=str(path), hint="name it in .dockerignore, or let it be read"
    )


class _Pieces:
    """A file that passes on what is written to it."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) >= PIECE:
            self._send(bytes(self._waiting[:PIECE]))
            del self._waiting[:PIECE]
        return len(data)

    def flush(self) -> None:
        if self._waiting:
            self._send(bytes(self._waiting))
            self._waiting.clear()

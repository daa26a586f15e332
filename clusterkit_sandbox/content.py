"""What registries hold: blobs in files, and an index of repositories in SQLite.

A blob is kept once, by its digest, and is visible in the repositories that link it. A repository is
a key that its service has made up, and comes into being with the first link.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
"""The algorithm that every registry must know (OCI image specification, descriptor.md)."""
PART = 1 << 16
_SCHEMA = """
CREATE TABLE links (place TEXT, digest TEXT, size INTEGER, PRIMARY KEY (place, digest));
CREATE INDEX links_by_digest ON links (digest);
CREATE TABLE manifests (
    place TEXT, digest TEXT, type TEXT, body BLOB, subject TEXT, artifact TEXT, size INTEGER,
    pushed REAL, PRIMARY KEY (place, digest)
);
CREATE TABLE tags (
    place TEXT, tag TEXT, digest TEXT, pushed REAL, PRIMARY KEY (place, tag)
);
CREATE TABLE uploads (id TEXT PRIMARY KEY, place TEXT);
"""
_FIELDS = "digest, type, body, subject, artifact, size, pushed"


@dataclass(frozen=True)
class Manifest:
    """An image, an index of images, or another artifact."""

    digest: str
    type: str
    body: bytes
    subject: str = ""
    """the digest of the manifest that it is about"""
    artifact: str = ""
    size: int = 0
    """bytes of what it refers to, and its own"""
    pushed: float = 0.0
    """seconds since the epoch"""


def digest_of(body: bytes) -> str:
    """``sha256:…``"""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Content:
    """Everything that the registries of one sandbox hold. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made at the first use."""
        self._directory = directory
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._lock:
            if self._open is None:
                for name in ("blobs", "uploads"):
                    (self._directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
                file = self._directory / "index.sqlite"
                self._open = sqlite3.connect(file, check_same_thread=False)
                self._open.executescript(f"PRAGMA synchronous = OFF; {_SCHEMA}")
            with self._open as transaction:
                yield transaction

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._index() as index:
            return index.execute(query, values).fetchall()

    def clear(self) -> None:
        """Forget everything and close the index."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None
                shutil.rmtree(self._directory, ignore_errors=True)

    # -- blobs -------------------------------------------------------------------------------------

    def _file(self, digest: str) -> Path:
        return self._directory / "blobs" / digest.removeprefix("sha256:")

    def size(self, place: str, digest: str) -> int | None:
        """The size of a blob of a repository; None if it has none with this digest."""
        query = "SELECT size FROM links WHERE place = ? AND digest = ?"
        found = self._rows(query, place, digest)
        return int(found[0][0]) if found else None

    def used(self, prefix: str) -> int:
        """Bytes of the blobs of all repositories whose keys begin so."""
        query = "SELECT DISTINCT digest, size FROM links WHERE substr(place, 1, ?) = ?"
        return sum(size for _, size in self._rows(query, len(prefix), prefix))

    def open(self, digest: str) -> IO[bytes]:
        """A blob, to read."""
        return self._file(digest).open("rb")

    def link(self, place: str, digest: str, source: str) -> bool:
        """Show a blob of another repository in this one; whether the other has it."""
        with self._index() as index:
            values = (place, source, digest)
            known = "SELECT ?, digest, size FROM links WHERE place = ? AND digest = ?"
            index.execute(f"INSERT OR IGNORE INTO links {known}", values)
        return self.size(place, digest) is not None

    def unlink(self, place: str, digest: str) -> bool:
        """Take a blob out of a repository; whether it was there."""
        with self._index() as index:
            gone = index.execute(
                "DELETE FROM links WHERE place = ? AND digest = ?", (place, digest)
            ).rowcount
            self._sweep(index, [digest])
        return gone > 0

    def _sweep(self, index: sqlite3.Connection, digests: list[str]) -> None:
        """Remove the files of blobs that no repository shows any more."""
        for digest in digests:
            if not index.execute("SELECT 1 FROM links WHERE digest = ?", (digest,)).fetchone():
                self._file(digest).unlink(missing_ok=True)

    # -- uploads -----------------------------------------------------------------------------------

    def _upload(self, identifier: str) -> Path:
        return self._directory / "uploads" / identifier

    def begin(self, place: str) -> str:
        """The id of a new upload to a repository."""
        identifier = str(uuid.uuid4())
        with self._index() as index:
            index.execute("INSERT INTO uploads VALUES (?, ?)", (identifier, place))
            self._upload(identifier).touch(mode=0o600)
        return identifier

    def received(self, place: str, identifier: str) -> int | None:
        """How many bytes an upload has; None if there is no such upload to this repository."""
        query = "SELECT 1 FROM uploads WHERE id = ? AND place = ?"
        known = self._rows(query, identifier, place)
        return self._upload(identifier).stat().st_size if known else None

    def append(self, identifier: str, body: IO[bytes]) -> int:
        """Add to an upload; returns how many bytes it has then. A body that breaks off adds
        nothing.
        """
        file = self._upload(identifier)
        before = file.stat().st_size
        with file.open("r+b") as out:
            out.seek(before)
            try:
                while part := body.read(PART):
                    out.write(part)
            except BaseException:
                out.truncate(before)
                raise
            return out.tell()

    def finish(self, place: str, identifier: str, digest: str) -> bool:
        """Make a blob of an upload; False, and the upload stays, if it has another digest."""
        file = self._upload(identifier)
        with file.open("rb") as body:
            if f"sha256:{hashlib.file_digest(body, 'sha256').hexdigest()}" != digest:
                return False
        with self._index() as index:
            size = file.stat().st_size
            file.replace(self._file(digest))
            index.execute("INSERT OR IGNORE INTO links VALUES (?, ?, ?)", (place, digest, size))
            index.execute("DELETE FROM uploads WHERE id = ?", (identifier,))
        return True

    def cancel(self, identifier: str) -> None:
        """Forget an upload."""
        with self._index() as index:
            index.execute("DELETE FROM uploads WHERE id = ?", (identifier,))
            self._upload(identifier).unlink(missing_ok=True)

    # -- manifests and tags ------------------------------------------------------------------------

    def manifest(self, place: str, reference: str) -> Manifest | None:
        """The manifest with this digest or tag."""
        query = f"SELECT {_FIELDS} FROM manifests WHERE place = ? AND digest = ?"
        tagged = "SELECT digest FROM tags WHERE place = ? AND tag = ?"
        if ":" not in reference:
            query = query.replace("digest = ?", f"digest = ({tagged})")
            found = self._rows(query, place, place, reference)
        else:
            found = self._rows(query, place, reference)
        return Manifest(*found[0]) if found else None

    def manifests(self, place: str) -> list[Manifest]:
        """Every manifest of a repository, oldest first."""
        query = f"SELECT {_FIELDS} FROM manifests WHERE place = ? ORDER BY pushed, digest"
        return [Manifest(*row) for row in self._rows(query, place)]

    def put(self, place: str, manifest: Manifest, tag: str = "") -> None:
        """Keep a manifest, and let a tag mean it."""
        now = time.time()
        with self._index() as index:
            index.execute(
                "INSERT OR IGNORE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (place, manifest.digest, manifest.type, manifest.body, manifest.subject,
                 manifest.artifact, manifest.size, now),
            )  # fmt: skip
            if tag:
                values = (place, tag, manifest.digest, now)
                index.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)", values)

    def delete(self, place: str, digest: str) -> bool:
        """Remove a manifest with its tags; whether it was there."""
        with self._index() as index:
            index.execute("DELETE FROM tags WHERE place = ? AND digest = ?", (place, digest))
            gone = index.execute(
                "DELETE FROM manifests WHERE place = ? AND digest = ?", (place, digest)
            )
            return gone.rowcount > 0

    def untag(self, place: str, tag: str) -> bool:
        """Remove a tag; whether it was there."""
        with self._index() as index:
            gone = index.execute("DELETE FROM tags WHERE place = ? AND tag = ?", (place, tag))
            return gone.rowcount > 0

    def tags(self, place: str, digest: str = "") -> dict[str, tuple[str, float]]:
        """Tag to the digest that it means and when it was pushed, in the order of the tags; of one
        manifest, or of all.
        """
        query = "SELECT tag, digest, pushed FROM tags WHERE place = ? ORDER BY tag"
        return {
            tag: (means, pushed)
            for tag, means, pushed in self._rows(query, place)
            if digest in ("", means)
        }

    # -- repositories ------------------------------------------------------------------------------

    def places(self, prefix: str) -> list[str]:
        """The repositories with a manifest whose keys begin so, in the order of their names."""
        query = "SELECT DISTINCT place FROM manifests WHERE substr(place, 1, ?) = ?"
        found = [str(place) for (place,) in self._rows(query, len(prefix), prefix)]
        return sorted(found, key=lambda place: place[:-1])

    def forget(self, prefix: str) -> None:
        """Remove every repository whose key begins so, and its uploads."""
        with self._index() as index:
            where = "WHERE substr(place, 1, ?) = ?"
            values = (len(prefix), prefix)
            blobs = index.execute(f"SELECT DISTINCT digest FROM links {where}", values).fetchall()
            uploads = index.execute(f"SELECT id FROM uploads {where}", values).fetchall()
            for table in ("links", "manifests", "tags", "uploads"):
                index.execute(f"DELETE FROM {table} {where}", values)
            self._sweep(index, [digest for (digest,) in blobs])
            for (identifier,) in uploads:
                self._upload(identifier).unlink(missing_ok=True)

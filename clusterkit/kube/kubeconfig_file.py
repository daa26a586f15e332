"""Reading and writing the user's kubeconfig files: locked, atomic, the rest as it was.

kubectl locks every file it may write with ``FILE.lock``, made exclusively, and fails at once if one
is there (client-go, ``tools/clientcmd/config.go``). So do we, except that we wait, and that a lock
of ours ends with its process: it is held by flock too, so that the next one knows a lock that
nobody holds any more, and breaks it. kubectl writes in place; we put a finished file in its place,
so that no reader ever sees half of one.
"""

from __future__ import annotations

import fcntl
import io
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clusterkit.errors import ClusterkitError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

SECTIONS = ("clusters", "users", "contexts")
LOCK_PATIENCE = 10.0
"""seconds; a kubectl holds a lock for milliseconds"""
_LOCK_POLL = 0.02
_OURS = b"clusterkit"
"""what our locks say; those of kubectl are empty"""
_UNTOUCHED = "it was left as it is: repair it or move it away, or name another with --file"


@dataclass
class Document:
    """One kubeconfig file."""

    path: Path
    root: Any
    """the mapping, with its comments"""
    before: Any
    """what it was when it was read; None for a file that is not there"""
    prefix: str = ""
    """comments of a file that holds nothing else"""

    @classmethod
    def empty(cls, path: Path, prefix: str = "") -> Document:
        """A kubeconfig without a cluster."""
        from ruamel.yaml.comments import CommentedMap

        root = CommentedMap(apiVersion="v1", kind="Config", clusters=[], users=[], contexts=[])
        return cls(path, root, None, prefix)

    @classmethod
    def read(cls, path: Path) -> Document:
        """The file, or an empty document if there is none; ``ClusterkitError`` if it is damaged."""
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            written = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls.empty(path)
        except (OSError, UnicodeDecodeError) as error:
            raise _broken(path, f"cannot be read: {_reason(error)}") from error
        try:
            root = _yaml().load(written)
        except MarkedYAMLError as error:
            # the library's own words quote the file, and a kubeconfig holds secrets
            line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
            raise _broken(path, f"is not valid YAML{line}") from None
        except YAMLError:
            raise _broken(path, "is not valid YAML") from None
        if root is None:
            return cls.empty(path, written)
        _check(path, root)
        return cls(path, root, deepcopy(root))

    def items(self, kind: str) -> list[Any]:
        """The named entries of a section."""
        return list(self.root.get(kind) or ())

    def section(self, kind: str) -> Any:
        """The section's list, made if it is missing."""
        if not self.root.get(kind):  # an empty list may be written as [], which stays on one line
            self.root[kind] = []
        return self.root[kind]

    def dump(self) -> str:
        """The file's text."""
        stream = io.StringIO()
        _yaml().dump(self.root, stream)
        before = (
            self.prefix if not self.prefix or self.prefix.endswith("\n") else f"{self.prefix}\n"
        )
        return before + stream.getvalue()


class Files:
    """Several kubeconfig files, locked while they are open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._documents: list[Document] = []
        self._stack = ExitStack()
        self._unlocked: set[Path] = set()

    def __enter__(self) -> Self:
        if self._paths and not any(path.exists() for path in self._paths):
            folder = self._paths[-1].parent
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise _broken(folder, f"cannot be made: {_reason(error)}") from error
        with ExitStack() as stack:
            for path in sorted(self._paths):
                self._lock(path, stack)
            self._documents = [Document.read(path) for path in self._paths]
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents)

    @property
    def destination(self) -> Document:
        """Where something new goes: the first file that exists, else the last."""
        there = (document for document in self._documents if document.path.exists())
        return next(there, self._documents[-1])

    def write(self) -> None:
        """Write the documents that have changed."""
        for document in self._documents:
            changed = document.root != document.before
            if changed and not (document.before is None and not _holds(document)):
                if document.path in self._unlocked or not _writable(document.path):
                    raise _broken(document.path, "is read-only")
                _replace(document.path, document.dump())

    def _lock(self, path: Path, stack: ExitStack) -> None:
        lock = path.with_name(f"{path.name}.lock")
        end = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                number = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                if _abandoned(lock):
                    continue
                if time.monotonic() > end:
                    raise ClusterkitError(
                        "is locked: another program is writing the kubeconfig, or left the lock "
                        "behind when it was killed",
                        where=str(path),
                        hint=f"if no kubectl runs: rm {lock}",
                    ) from None
                time.sleep(_LOCK_POLL)
            except OSError:
                # a folder that is not there or not ours to write: fine as long as it is only read
                self._unlocked.add(path)
                return
            else:
                stack.callback(os.close, number)
                stack.callback(lock.unlink, missing_ok=True)
                with suppress(
                    OSError
                ):  # some file systems cannot: then it is a lock like kubectl's
                    fcntl.flock(number, fcntl.LOCK_EX)  # before it says whose: see _abandoned
                    os.write(number, _OURS)
                return


def _abandoned(lock: Path) -> bool:
    """Whether the lock was ours and its process is gone; then it is removed."""
    try:
        number = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        if os.read(number, len(_OURS)) != _OURS:
            return False
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(number).st_ino == lock.stat().st_ino:  # else another was quicker
            lock.unlink()
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(number)


def scalars(value: Any) -> Any:
    """``value`` for the file, its text written so that kubectl reads the same."""
    if isinstance(value, dict):
        return {key: scalars(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [scalars(inner) for inner in value]
    return text(value) if isinstance(value, str) else value


def text(value: str) -> str:
    """A string that YAML 1.1 and 1.2 both read as this string (``on`` is a boolean in 1.1)."""
    import yaml
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    with suppress(yaml.YAMLError, ValueError):
        if yaml.safe_load(value) == value:
            return value
    quoted: str = DoubleQuotedScalarString(value)
    return quoted


def _yaml() -> YAML:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**20
    yaml.indent(mapping=2, sequence=2, offset=0)  # as kubectl writes it
    return yaml


def _check(path: Path, root: Any) -> None:
    """That it has the shape of a kubeconfig, as far as we change it."""
    if not isinstance(root, dict):
        raise _broken(path, "is not a kubeconfig: it holds no mapping")
    if root.get("kind", "Config") != "Config":
        raise _broken(path, "is not a kubeconfig: its kind is not Config")
    for kind in SECTIONS:
        entries = root.get(kind)
        if entries is None:
            continue
        if not isinstance(entries, list):
            raise _broken(path, f"is not a kubeconfig: its {kind} are no list")
        for entry in entries:
            inner = kind.removesuffix("s")
            if not (isinstance(entry, dict) and "name" in entry and entry.get(inner) is not None):
                raise _broken(
                    path, f"is not a kubeconfig: one of its {kind} has no name or {inner}"
                )


def _holds(document: Document) -> bool:
    sections = any(document.root.get(kind) for kind in SECTIONS)
    return sections or bool(document.root.get("current-context"))


def _writable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.W_OK)


def _replace(path: Path, content: str) -> None:
    real = Path(os.path.realpath(path))  # a link, of a dotfiles folder say, stays a link
    try:
        number, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")  # 0600
    except OSError as error:
        raise _broken(path, f"cannot be written: {_reason(error)}") from error
    part = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(real)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _broken(path, f"cannot be written: {_reason(error)}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"


def _broken(path: Path, what: str) -> ClusterkitError:
    return ClusterkitError(what, where=str(path), hint=_UNTOUCHED)

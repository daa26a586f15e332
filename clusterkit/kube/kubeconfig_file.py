"""Reading and writing the user's kubeconfig files: locked, atomic, the rest as it was.

kubectl writes in place; we put a finished file in its place, so that no reader ever sees half of
one.

Files are parsed and changed before they are locked, and again only if somebody wrote them in the
meantime: the lock is held for the time of a rename, and fifty writers queue for seconds.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from clusterkit import localfile
from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError
from clusterkit.kube.kubeconfig_lock import lock

if TYPE_CHECKING:
    from ruamel.yaml import YAML

T = TypeVar("T")

SECTIONS = ("clusters", "users", "contexts")
_UNTOUCHED = "it was left as it is: repair it, move it away, or name another in KUBECONFIG"


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
    def read(cls, path: Path, raw: bytes | None) -> Document:
        """The document in the bytes of a file, an empty one for None; ``ClusterkitError`` if it is
        damaged.
        """
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        if raw is None:
            return cls.empty(path)
        try:
            written = raw.decode("utf-8")
            root = _yaml().load(written)
        except UnicodeDecodeError:
            raise _broken(path, "cannot be read: it is not UTF-8 text") from None
        except RecursionError:
            raise _broken(path, "is nested too deeply for a kubeconfig") from None
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
    """Several kubeconfig files, parsed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """``ClusterkitError`` naming the file if one cannot be read."""
        self._raw = {path: _raw(path) for path in paths}
        self._documents = [Document.read(path, self._raw[path]) for path in paths]

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents)

    @property
    def destination(self) -> Document:
        """Where something new goes: the first file that exists, else the last."""
        there = (document for document in self._documents if document.path.exists())
        return next(there, self._documents[-1])

    def current(self) -> bool:
        """Whether every file is still as it was read."""
        return all(_raw(path) == raw for path, raw in self._raw.items())


class _Changed(Generic[T]):
    """What a change would write, and what it returns."""

    def __init__(self, paths: Sequence[Path], change: Callable[[Files], T]) -> None:
        self.files = Files(paths)
        self.result = change(self.files)
        self.texts = {
            document.path: document.dump().encode()
            for document in self.files
            if document.root != document.before
            and not (document.before is None and not _holds(document))
        }


Ends = list[tuple["Future[Any]", Any, ClusterkitError | None]]
"""of changes that are made together: what each returned or refused with"""
_guard = threading.Lock()
_waiting: dict[tuple[Path, ...], list[tuple[Callable[[Files], Any], Future[Any]]]] = {}
"""changes that are asked for, by their files; somebody works on those of each key"""
_resting: dict[tuple[Path, ...], float] = {}
"""until when the next edit waits, by ``time.monotonic()``"""
SHARE = 4
"""times as long as an edit took is waited before the next one"""
LONGEST = 5.0
"""seconds that is at most"""


def edit(paths: Sequence[Path], change: Callable[[Files], T]) -> Future[T]:
    """Change the files: ``change`` edits the parsed documents, and those that differ are written.

    It may be called twice, with documents read again; if it refuses, it does so before it edits
    anything. ``ClusterkitError`` naming the file if one cannot be read, locked or written, with
    nothing changed.

    Returns at once. Hundreds of clusters in one file would each parse and write those of all the
    others: what this process asks for soon after an edit waits for more, and is made together.
    """
    key, mine = tuple(paths), Future[T]()
    with _guard:
        leads = key not in _waiting
        _waiting.setdefault(key, []).append((change, mine))
    if leads:
        try:
            threads.start(partial(_make_all, paths), "clusterkit-kubeconfig")
        except ClusterkitError:
            _make_all(paths)
    return mine


def _make_all(paths: Sequence[Path]) -> None:
    """Make what is asked for, until nothing is any more."""
    key = tuple(paths)
    while True:
        with _guard:
            if not _waiting[key]:
                del _waiting[key]
                return
        time.sleep(max(0.0, _resting.get(key, 0.0) - time.monotonic()))
        with _guard:
            batch, _waiting[key] = _waiting[key], []
        began = time.monotonic()
        try:
            for future, found, error in _edit(paths, batch):
                if error is None:
                    future.set_result(found)
                else:
                    future.set_exception(error)
        except BaseException as error:
            _refuse(batch, error)
            if not isinstance(error, Exception):
                with _guard:
                    left = _waiting.pop(key, [])
                _refuse(left, error)
                raise
        now = time.monotonic()
        _resting[key] = now + min(SHARE * (now - began), LONGEST)


def _refuse(
    batch: Sequence[tuple[Callable[[Files], Any], Future[Any]]], error: BaseException
) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error.copied() if isinstance(error, ClusterkitError) else error)


def _edit(
    paths: Sequence[Path], batch: Sequence[tuple[Callable[[Files], Any], Future[Any]]]
) -> Ends:
    def change(opened: Files) -> Ends:
        ends: Ends = []
        for each, future in batch:
            try:
                ends.append((future, each(opened), None))
            except ClusterkitError as error:
                ends.append((future, None, error))
        return ends

    new = _Changed(paths, change)
    if not new.texts:
        return new.result
    _make_folder(paths)
    with ExitStack() as stack:
        refused = {path: lock(path, stack) for path in sorted(paths)}
        if not new.files.current():
            new = _Changed(paths, change)
        for path, content in new.texts.items():
            if error := refused[path]:
                raise _unwritable(path, error)
            _try(path, localfile.replace, content)
    return new.result


def rehearse(paths: Sequence[Path], change: Callable[[Files], object]) -> None:
    """``ClusterkitError`` if ``edit`` would fail now; only a missing folder is made."""
    _make_folder(paths)
    for path, content in _Changed(paths, change).texts.items():
        _try(path, localfile.check_replaceable, content)


def _try(path: Path, write: Callable[[Path, bytes], None], content: bytes) -> None:
    try:
        write(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _make_folder(paths: Sequence[Path]) -> None:
    if not any(path.exists() for path in paths):
        folder = paths[-1].parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _broken(folder, f"cannot be made: {_reason(error)}") from error


def _raw(path: Path) -> bytes | None:
    try:
        return localfile.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _broken(path, f"cannot be read: {_reason(error)}") from error


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
            raise _broken(path, f"is not a kubeconfig: its {kind} are not a list")
        for entry in entries:
            inner = kind.removesuffix("s")
            if not (isinstance(entry, dict) and "name" in entry and entry.get(inner) is not None):
                raise _broken(
                    path, f"is not a kubeconfig: one of its {kind} has no name or {inner}"
                )


def _holds(document: Document) -> bool:
    sections = any(document.root.get(kind) for kind in SECTIONS)
    return sections or bool(document.root.get("current-context"))


def _unwritable(path: Path, error: OSError) -> ClusterkitError:
    return _broken(path, f"cannot be written: {_reason(error)}")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _broken(path: Path, what: str) -> ClusterkitError:
    return ClusterkitError(what, where=str(path), hint=_UNTOUCHED)

"""A YAML file as plain data, with the line of every value and without YAML's surprises.

PyYAML follows YAML 1.1, where ``yes`` is true, ``012`` is ten, ``1:30`` is ninety, the second of
two equal keys wins and a few lines of aliases expand to gigabytes. Only its scanner and composer
are used, for their nodes and marks; values are built here, and each surprise is a fault with its
line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from clusterkit import localfile
from clusterkit.errors import Finding, ProfileError
from clusterkit.profile.problems import Place, shown

LARGEST = 1 << 20
"""bytes; PyYAML needs about ten seconds for so many, and a profile has under ten thousand"""
DEEPEST = 50
"""levels of nesting; PyYAML's composer recurses"""
MOST = 100_000
"""values, with all aliases expanded"""

_TAG = "tag:yaml.org,2002:"
_HALF = re.compile("[\ud800-\udfff]")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class Mark:
    """The line of a value, and its text if it is a scalar."""

    line: int
    raw: str | None = None


@dataclass(frozen=True)
class Fault:
    """Something that YAML reads differently from what it looks like."""

    line: int
    place: Place
    what: str
    hint: str = ""


@dataclass
class Document:
    """The content of a file. Where there is a fault, the value is the most likely guess."""

    path: Path
    data: dict[str, object] = field(default_factory=dict)
    marks: dict[Place, Mark] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest enclosing value in the file; the first is 1."""
        while place and place not in self.marks:
            place = place[:-1]
        return self.marks[place].line if place in self.marks else 1

    def raw(self, place: Place) -> str | None:
        """The text of the scalar at a place, without quotes."""
        mark = self.marks.get(place)
        return mark.raw if mark else None


def spelled(place: Place) -> str:
    """``pools[0].count``"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


class _Loader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                problem = f"more than {DEEPEST} levels of nesting"
                raise yaml.MarkedYAMLError(None, None, problem, mark)
            return super().compose_node(parent, index)  # type: ignore[arg-type]
        finally:
            self.depth -= 1


def read(path: Path) -> Document:
    """The mapping in the file ``path``; raises ``ProfileError`` if there is none."""
    text = _text(path)
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ProfileError([_syntax(path, error)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {chr(error.character)!r} is not allowed in YAML"
        raise ProfileError([Finding(what, where=f"{path}:{line}")]) from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == f"{_TAG}null"):
        hint = "clusterkit init writes a first profile"
        raise ProfileError([Finding("the file is empty", where=str(path), hint=hint)])
    if not isinstance(root, yaml.MappingNode):
        line = root.start_mark.line + 1
        what = "a profile must be a mapping (lines of 'key: value')"
        raise ProfileError([Finding(what, where=f"{path}:{line}")])
    return _Builder(path).document(root)


def _text(path: Path) -> str:
    def no(what: str, hint: str = "") -> ProfileError:
        return ProfileError([Finding(what, where=str(path), hint=hint)])

    try:
        if path.is_dir():
            raise no("is a directory, not a profile", f"name a file, such as {path}/profile.yaml")
        raw = localfile.read(path, LARGEST + 1)
    except FileNotFoundError:
        raise no("does not exist", "clusterkit init writes a first profile") from None
    except OSError as error:
        raise no(f"cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise no("is larger than 1 MiB, the limit for a profile")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8"
        raise ProfileError([Finding("is not UTF-8 text", f"{path}:{line}", hint)]) from None


def _syntax(path: Path, error: yaml.MarkedYAMLError) -> Finding:
    mark = error.problem_mark or error.context_mark
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return Finding("YAML does not allow tabs for indentation", where, "indent with spaces")
    if "expected a single document" in (error.context or ""):
        hint = "put each profile in its own file"
        return Finding("a second document starts here; a profile is one document", where, hint)
    context = f" {error.context}" if error.context else ""
    if error.context_mark and mark and error.context_mark.line != mark.line:
        context += f" that starts on line {error.context_mark.line + 1}"
    hint = "check the indentation and the brackets, here and in the line before"
    return Finding(f"not YAML: {problem}{context}", where, hint)


class _Builder:
    """Builds the data of a node tree, and records marks and faults."""

    def __init__(self, path: Path) -> None:
        self.result = Document(path)
        self.count = 0
        self.open: set[int] = set()
        """ids of the collections being built; meeting one again is a recursive alias"""
        self.told: set[int] = set()
        """ids of nodes whose fault is recorded; aliases repeat a node"""

    def document(self, root: yaml.MappingNode) -> Document:
        self.result.marks[()] = Mark(root.start_mark.line + 1)
        self.result.data = self.mapping(root, ())
        return self.result

    def fault(self, node: yaml.Node, place: Place, what: str, hint: str = "") -> None:
        if id(node) not in self.told:
            self.told.add(id(node))
            self.result.faults.append(Fault(node.start_mark.line + 1, place, what, hint))

    def stop(self, node: yaml.Node, what: str) -> ProfileError:
        return ProfileError([Finding(what, f"{self.result.path}:{node.start_mark.line + 1}")])

    def check(self, node: yaml.ScalarNode) -> None:
        """Refuse what no file can be written with: an escape may name half of a character."""
        if half := _HALF.search(node.value):
            raise self.stop(node, f"\\u{ord(half[0]):x} is half of a character")

    def value(self, node: yaml.Node, place: Place) -> object:
        self.count += 1
        if self.count > MOST:
            raise self.stop(node, f"more than {MOST:,} values, with aliases expanded")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, place)
        if id(node) in self.open:
            raise self.stop(node, "recursive alias")
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self.fault(node, place, f"the tag {_tag(node)} is not supported", "remove it")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        self.open.add(id(node))
        items = []
        for index, item in enumerate(node.value):
            at = (*place, index)
            self.result.marks[at] = Mark(item.start_mark.line + 1, _raw(item))
            items.append(self.value(item, at))
        self.open.discard(id(node))
        return items

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        if id(node) in self.open:
            raise self.stop(node, "recursive alias")
        self.open.add(id(node))
        merged = [value for key, value in node.value if key.tag == f"{_TAG}merge"]
        made: dict[str, object] = {}
        for value in merged:
            # the first of several sources wins, so it is written last
            sources = reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if isinstance(source, yaml.MappingNode):
                    made |= self.mapping(source, place)
                else:
                    self.fault(source, place, "<< needs a mapping, or a list of mappings")
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                continue
            line = key_node.start_mark.line + 1
            key = self.key(key_node, place)
            if key is None:
                continue
            at = (*place, key)
            if key in first:
                what = f"is a duplicate key, first used on line {first[key]}"
                self.fault(
                    key_node, at, what, "YAML would silently use the last one; remove the others"
                )
                continue
            first[key] = line
            self.result.marks[at] = Mark(line, _raw(value_node))
            made[key] = self.value(value_node, at)
        self.open.discard(id(node))
        self.count += len(node.value)
        if self.count > MOST:
            raise self.stop(node, f"more than {MOST:,} values, with aliases expanded")
        return made

    def key(self, node: yaml.Node, place: Place) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self.fault(node, place, "a key must be text, not a list or a mapping")
            return None
        self.check(node)
        if node.tag in (f"{_TAG}str", f"{_TAG}value"):
            return str(node.value)
        self.fault(
            node,
            (*place, node.value),
            f"YAML reads this key as {_kind(node)}, not as text",
            f'write "{node.value}":',
        )
        return str(node.value)

    def scalar(self, node: yaml.ScalarNode, place: Place) -> object:
        raw: str = node.value
        self.check(node)
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp" | "value":
                return raw
            case "null":
                return None
            case "bool":
                truth = raw.lower() in ("yes", "on", "true")
                if raw.lower() not in ("true", "false"):
                    hint = f'write {str(truth).lower()}, or "{raw}" for text'
                    self.fault(node, place, f"YAML reads {raw} as {str(truth).lower()}", hint)
                return truth
            case "int" if _INT.fullmatch(raw):
                return int(raw)
            case "float" if _FLOAT.fullmatch(raw):
                return float(raw)
            case "int" | "float":
                hint = f'write a decimal number, or "{raw[:40]}" for text'
                self.fault(node, place, f"{shown(raw)} is not a plain decimal number", hint)
                return 0
            case _:
                self.fault(node, place, f"the tag {_tag(node)} is not supported", "remove it")
                return raw


def _kind(node: yaml.ScalarNode) -> str:
    kinds: Mapping[str, str] = {"bool": "true or false", "null": "nothing", "timestamp": "a date"}
    return kinds.get(node.tag.removeprefix(_TAG), "a number")


def _raw(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def _tag(node: yaml.Node) -> str:
    return f"!!{node.tag.removeprefix(_TAG)}" if node.tag.startswith(_TAG) else node.tag

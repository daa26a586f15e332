"""What vendors publish of their APIs, in one neutral form, and the one validator of it.

``published.py`` compiles a vendor's description into this form. Requests are read by it and answers
are held against it; a cloud's emulator says in its vendor's words what a ``Problem`` means.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

Kind = Literal[
    "any", "array", "boolean", "integer", "map", "number", "object", "ref", "string", "timestamp"
]
Place = Literal["body", "header", "path", "query"]
Rule = Literal["enum", "format", "least", "missing", "most", "pattern", "type", "unknown"]
EMPTY: tuple[object, ...] = (None, "", [], {})
_INT64 = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True)
class Shape:
    """A type: of a parameter, an answer, or anything in them."""

    kind: Kind = "any"
    fields: Mapping[str, Field] = field(default_factory=dict)
    """of an object, by the name that handlers use"""
    required: tuple[str, ...] = ()
    """of an object, in the order in which the vendor misses them"""
    item: Shape | None = None
    """of an array or a map"""
    key: Shape | None = None
    """of a map; None for any text"""
    ref: str = ""
    """the name of the shape that is meant, which may be one that this one is part of"""
    enum: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    """of the values of ``enum``, which clients with protocol buffers send in place of names"""
    any_case: bool = False
    """whether the values of ``enum`` may be written in capitals or not (ARM)"""
    pattern: str = ""
    """a regular expression that the whole text matches, in the vendor's dialect"""
    least: float | None = None
    """of a number; of the length of a text, array or map"""
    most: float | None = None
    format: str = ""
    """of a string: ``int64`` and ``uint64`` are integers written as text, ``byte`` is base64"""
    joined: bool = False
    """of an array in a query: one text with commas"""


@dataclass(frozen=True)
class Field:
    """A member of an object."""

    shape: Shape
    wire: str
    """its name in requests and answers"""
    place: Place = "body"
    read_only: bool = False
    """only answers have it; in requests it is dropped, as ARM and Google do"""
    deprecated: bool = False


@dataclass(frozen=True)
class Operation:
    """One operation of an API."""

    name: str
    """``eks:CreateCluster``, as faults and handlers call it"""
    method: str
    path: str
    """a template of ``wire.Routes``"""
    parameters: Shape
    """an object; each field says where it is sent"""
    answer: Shape | None
    """None: no body"""
    style: str = "REST"
    """the protocol, where a service has several: ``RPC`` and ``ROA``"""
    whole: str = ""
    """the parameter that is the request's body as it stands"""

    def of(self, *places: Place) -> Shape:
        """The parameters that are sent in these places."""
        fields = {k: f for k, f in self.parameters.fields.items() if f.place in places}
        required = tuple(name for name in self.parameters.required if name in fields)
        return Shape("object", fields=fields, required=required)


@dataclass(frozen=True)
class Problem:
    """What a value has against its shape."""

    rule: Rule
    place: str
    """``nodePools[0].config.labels``"""
    wanted: object = None
    """the kind, the values, the pattern or the bound; None where there is nothing to say"""
    value: object = None


class Reader:
    """Reads values by their shapes, and collects what is wrong with them.

    What is null or read-only is left out of what was read, as if it had not been sent.
    """

    def __init__(
        self,
        names: Mapping[str, Shape],
        empty: Collection[object] = (None,),
        *,
        answer: bool = False,
    ) -> None:
        """``names`` are the shapes that others refer to. A required member that is one of
        ``empty`` is missing. An ``answer`` may have read-only members, and lack required ones.
        """
        self.problems: list[Problem] = []
        self._names = names
        self._empty = empty
        self._answer = answer

    def resolved(self, shape: Shape) -> Shape:
        """The shape that is meant."""
        while shape.kind == "ref":
            shape = self._names[shape.ref]
        return shape

    def read(self, value: Any, shape: Shape, place: str = "") -> Any:
        """The value as it is meant; ``problems`` grows by what is wrong with it."""
        shape = self.resolved(shape)
        if not _fits(value, shape):
            self._add("type", place, shape.kind, value)
            return value
        self.problems += _broken(value, shape, place)
        if shape.kind == "object":
            return self._object(value, shape, f"{place}." if place else "")
        if shape.kind == "array" and shape.item is not None:
            item = shape.item
            return [self.read(one, item, f"{place}[{i}]") for i, one in enumerate(value)]
        if shape.kind == "map" and shape.item is not None:
            if shape.key is not None:
                for key in value:
                    self.read(key, shape.key, f"{place}.{key}")
            return {key: self.read(one, shape.item, f"{place}.{key}") for key, one in value.items()}
        return value

    def _object(self, value: Mapping[str, Any], shape: Shape, place: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, one in value.items():
            known = shape.fields.get(name)
            if known is None:
                self._add("unknown", place + name, None, one)
            elif one is not None and (self._answer or not known.read_only):
                found[name] = self.read(one, known.shape, place + name)
        for name in shape.required if not self._answer else ():
            if found.get(name) in self._empty and not shape.fields[name].read_only:
                self._add("missing", place + name)
        return found

    def _add(self, rule: Rule, place: str, wanted: object = None, value: object = None) -> None:
        self.problems.append(Problem(rule, place, wanted, value))


_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "map": (dict,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def _fits(value: object, shape: Shape) -> bool:
    wanted = _TYPES.get(shape.kind)
    if wanted is None:
        return True
    if isinstance(value, bool) and shape.kind != "boolean":
        return False
    if shape.format in ("int64", "uint64") and isinstance(value, int):
        return True
    return isinstance(value, wanted)


def _broken(value: Any, shape: Shape, place: str) -> Iterator[Problem]:
    """The constraints that a value of the right type violates."""
    if shape.kind in ("array", "integer", "map", "number", "string"):
        size = value if shape.kind in ("integer", "number") else len(str(value))
        size = len(value) if isinstance(value, list | dict) else size
        if shape.least is not None and size < shape.least:
            yield Problem("least", place, shape.least, value)
        if shape.most is not None and size > shape.most:
            yield Problem("most", place, shape.most, value)
    if shape.kind != "string":
        return
    if shape.enum and value not in shape.enum:
        folded = {one.lower() for one in shape.enum} if shape.any_case else ()
        if str(value).lower() not in folded:
            yield Problem("enum", place, shape.enum, value)
    wanted = expression(shape.pattern)
    if wanted is not None and not wanted.fullmatch(str(value)):
        yield Problem("pattern", place, shape.pattern, value)
    if shape.format and not _formatted(value, shape.format):
        yield Problem("format", place, shape.format, value)


def _formatted(value: object, wanted: str) -> bool:
    if wanted in ("int64", "uint64"):
        return _INT64.fullmatch(str(value)) is not None
    if wanted == "byte":
        try:
            base64.b64decode(str(value).replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error:
            return False
    return True


@cache
def expression(pattern: str) -> re.Pattern[str] | None:
    """A vendor's regular expression (Java's, RE2's, ECMA's); None for none, or one that Python
    lacks.
    """
    if not pattern:
        return None
    text = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s")
    try:
        return re.compile(text)
    except re.error:
        return None


def deprecated(
    value: Any, shape: Shape, names: Mapping[str, Shape], place: str = ""
) -> Iterator[str]:
    """Which members of a value are deprecated; those that are empty do not count."""
    while shape.kind == "ref":
        shape = names[shape.ref]
    if shape.kind == "array" and shape.item is not None:
        for one in value:
            yield from deprecated(one, shape.item, names, f"{place.rstrip('.')}[].")
    elif shape.kind == "object":
        for name, one in value.items():
            known = shape.fields[name]
            # newer SDKs send every list they know, empty
            if known.deprecated and one not in ([], {}):
                yield place + name
            yield from deprecated(one, known.shape, names, f"{place}{name}.")

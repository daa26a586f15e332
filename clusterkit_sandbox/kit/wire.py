"""Requests as HTTP carries them, and what is in them: routes, texts, flat names, JSON.

Flat names are those of query and form protocols (AWS ``query`` and ``ec2``, Alibaba's RPC):
``Tag.1.Key=a``. REST protocols have path templates: ``/clusters/{name}``, with a verb
(``{name}:getIamPolicy``), over several segments (``{+resource}``), in any case (ARM).
"""

from __future__ import annotations

import json
import re
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any, Generic, Self, TypeVar
from urllib.parse import parse_qs, parse_qsl, unquote

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.kit.shape import Operation, Problem, Shape

T = TypeVar("T")
_INDEX = re.compile(r"[0-9]{1,6}")
_CLASS = re.compile(r"\[[^\]]*\][+*]?|\.[+*]")
"""What stands for any text in a regular expression of a path."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
"""what fits into the 64 bits that the vendors' own SDKs for other languages send"""
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,19})?")


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case, ``path`` is as sent, undecoded."""

    host: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, environ: Environ, body: bytes) -> Self:
        """The request of a WSGI environ whose body has been read."""
        headers = {
            key[5:].lower().replace("_", "-"): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(key):
                headers[key.lower().replace("_", "-")] = str(environ[key])
        path, _ = target(environ)
        return cls(
            host=headers.get("host", "").partition(":")[0].lower(),
            method=str(environ["REQUEST_METHOD"]),
            path=path,
            query=tuple(parse_qsl(str(environ["QUERY_STRING"]), keep_blank_values=True)),
            headers=headers,
            body=body,
        )

    @cached_property
    def form(self) -> dict[str, str]:
        """The parameters in a form-encoded body."""
        if "x-www-form-urlencoded" not in self.headers.get("content-type", ""):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @cached_property
    def flat(self) -> dict[str, str]:
        """Query and form together."""
        return {**dict(self.query), **self.form}


def target(environ: Environ) -> tuple[str, str]:
    """Path and query as sent, undecoded: paths contain encoded names."""
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/")
    path, _, query = str(sent).partition("?")
    return path, query


def texts(query: str) -> dict[str, list[str]]:
    """The parameters of a query; one that is repeated has several texts."""
    return parse_qs(query, keep_blank_values=True)


def nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """``{"Tag.1.Key": "a"}`` to ``{"Tag": {"1": {"Key": "a"}}}``; ``ValueError`` names the first
    that is both a text and an object.
    """
    root: dict[str, Any] = {}
    for name, value in flat.items():
        place = root
        *above, last = name.split(".")
        for one in above:
            below = place.setdefault(one, {})
            if not isinstance(below, dict):
                raise ValueError(name)  # noqa: TRY004 - what was sent is wrong, not the caller
            place = below
        place[last] = value
    return root


def parsed(text: str | bytes) -> Any:
    """The JSON in a request; ``ValueError`` for what no answer could carry back: figures that are
    none, halves of characters, depths without end.
    """
    try:
        found = json.loads(text, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def respond(
    environ: Environ, start_response: StartResponse, answer: Callable[[bytes], Answer]
) -> Iterable[bytes]:
    """Answer one WSGI request, whose body ``answer`` gets."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    given = answer(environ["wsgi.input"].read(length) if length else b"")
    start_response(status_line(given.status), list(given.headers))
    return [given.body]


def status_line(status: int) -> str:
    """``404 Not Found``; a status that HTTP does not name is ``Unknown``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


@dataclass(frozen=True)
class _Route(Generic[T]):
    served: T
    method: str
    literal: int
    """how much of it is text"""
    depth: int | None
    """the number of slashes of its paths; None if they differ"""
    text: str
    flags: re.RegexFlag

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        # an API may have a thousand routes, of which few are asked for
        return re.compile(self.text, self.flags)


class Routes(Generic[T]):
    """Finds what serves a path. A route with more literal text wins."""

    def __init__(self, *, any_case: bool = False) -> None:
        self._flags = re.IGNORECASE if any_case else re.NOFLAG
        self._routes: list[_Route[T]] = []

    def add(
        self, method: str, template: str, served: T, patterns: Mapping[str, str] | None = None
    ) -> None:
        """Add a route. ``{name}`` is one segment, ``{+name}`` or ``{name+}`` are one or more, or
        what the regular expression of that name in ``patterns`` says.
        """
        parts = re.split(r"\{(\+?\w+\+?)\}", template)
        literal = sum(len(text) for text in parts[::2])
        patterns = patterns or {}
        literal += sum(len(_CLASS.sub("", one)) for one in patterns.values())
        depth: int | None = template.rstrip("/").count("/")
        for position in range(0, len(parts), 2):
            parts[position] = re.escape(parts[position])
        for position in range(1, len(parts), 2):
            name = parts[position].strip("+")
            if name != parts[position]:
                depth = None
            wanted = patterns.get(name) or (".+?" if name != parts[position] else "[^/]+")
            parts[position] = f"(?P<{name}>{wanted})"
        route = _Route(served, method, literal, depth, "".join(parts) + "/?", self._flags)
        insort(self._routes, route, key=lambda one: -one.literal)

    def find(self, method: str, path: str) -> tuple[T, dict[str, str]] | None:
        """What serves an undecoded path, and the path's parameters, decoded."""
        depth = path.removesuffix("/").count("/")
        for route in self._routes:
            if route.method != method or route.depth not in (None, depth):
                continue
            if found := route.pattern.fullmatch(path):
                given = {name: unquote(text) for name, text in found.groupdict().items()}
                return route.served, given
        return None


def typed(value: Any, shape: Shape, place: str, problems: list[Problem]) -> Any:
    """What a query or form means by a text, or by the object that ``nested`` made of its texts.

    What cannot be meant stays as it is, for the validator; lists and objects may be JSON, and one
    that is not is a problem.
    """
    if shape.kind in ("any", "string", "timestamp", "ref"):
        return value[0] if isinstance(value, list) and shape.kind != "any" else value
    if shape.kind not in ("array", "map", "object"):
        return _scalar(value[0] if isinstance(value, list) else value, shape.kind)
    if isinstance(value, str) and shape.joined:
        value = value.split(",")
    if isinstance(value, str):
        try:
            return parsed(value)
        except ValueError:
            problems.append(Problem("type", place, "JSON", value))
            return None
    if shape.kind == "array":
        if isinstance(value, dict) and all(_INDEX.fullmatch(key) for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        if isinstance(value, list) and shape.item is not None:
            return [typed(v, shape.item, f"{place}[{i}]", problems) for i, v in enumerate(value)]
        return value
    if not isinstance(value, dict):
        return value
    return {
        name: typed(one, inner, f"{place}.{name}".lstrip("."), problems)
        if (inner := shape.item if shape.kind == "map" else _member(shape, name)) is not None
        else one
        for name, one in value.items()
    }


def _member(shape: Shape, name: str) -> Shape | None:
    return shape.fields[name].shape if name in shape.fields else None


def _scalar(value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    if kind == "integer":
        return int(value) if _INTEGER.fullmatch(value) else value
    return float(value) if _NUMBER.fullmatch(value) else value


def gathered(
    operation: Operation, path: Mapping[str, str], query: Mapping[str, Any], body: Any
) -> tuple[dict[str, Any], list[Problem]]:
    """The parameters of a REST request by the names that handlers use, from where the description
    says that they are sent, and what was sent that it does not say.

    ``query`` has texts, lists of texts, or what ``nested`` makes of them.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    known = {(f.place, f.wire): (name, f.shape) for name, f in operation.parameters.fields.items()}
    found |= {known["path", wire][0]: v for wire, v in path.items() if ("path", wire) in known}
    for wire, value in query.items():
        if ("query", wire) not in known:
            problems.append(Problem("unknown", wire, None, value))
            continue
        name, shape = known["query", wire]
        found[name] = typed(value, shape, name, problems)
    if operation.whole:
        shape = operation.parameters.fields[operation.whole].shape
        # clients that know no whole bodies send a list under its name
        named = isinstance(body, dict) and shape.kind == "array"
        body = body if named else {operation.whole: body}
    if not isinstance(body, dict):
        problems.append(Problem("type", "", "object", body))
        return found, problems
    for wire, value in body.items():
        if ("body", wire) not in known:
            problems.append(Problem("unknown", wire, None, value))
        else:
            found[known["body", wire][0]] = value
    return found, problems


def rendered(value: Any, shape: Shape, names: Mapping[str, Shape]) -> Any:
    """A value as an answer carries it: wire names, times in seconds since the epoch, and without
    the members that the description does not have or that are null.
    """
    while shape.kind == "ref":
        shape = names[shape.ref]
    if shape.kind == "object":
        return {
            one.wire: rendered(value[name], one.shape, names)
            for name, one in shape.fields.items()
            if value.get(name) is not None
        }
    if shape.kind == "array" and shape.item is not None:
        return [rendered(one, shape.item, names) for one in value]
    if shape.kind == "map" and shape.item is not None:
        return {key: rendered(one, shape.item, names) for key, one in value.items()}
    return value.timestamp() if isinstance(value, datetime) else value

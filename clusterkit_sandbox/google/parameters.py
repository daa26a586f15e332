"""Queries and bodies as sent, checked against the published description and given their types.

Google's JSON (protobuf.dev, "ProtoJSON Format"): names in camel or in snake case, enums by name or
by number, integers as figures or as text, bytes in either alphabet of base64. What is unknown is
refused with ``google.rpc.BadRequest``, and what only answers have is dropped. Compute Engine is
more lenient: in recorded traffic it has ignored names of its path in a body, and empty enums.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from clusterkit_sandbox.google.failure import Failure, bad_request, compute, invalid, rpc, storage
from clusterkit_sandbox.google.model import Asked
from clusterkit_sandbox.kit import wire
from clusterkit_sandbox.kit.shape import Operation, Problem, Reader, Shape

_COMMON = frozenset({"$alt", "$prettyPrint", "$fields"})
"""What every method takes besides what the documents say (google/api/http, system parameters)."""
_RETIRED: Mapping[str, frozenset[str]] = {"compute": frozenset({"returnPartialSuccess"})}
"""Query parameters that older clients send and newer documents lack."""
_URL_SAFE = str.maketrans("-_", "+/")
"""gcloud writes bytes in the alphabet for URLs."""
_FIGURE = re.compile(r"-?[0-9]{1,19}")
_TYPES = {
    ("integer", ""): "TYPE_INT32",
    ("integer", "uint32"): "TYPE_UINT32",
    ("number", ""): "TYPE_DOUBLE",
    ("boolean", ""): "TYPE_BOOL",
    ("string", "int64"): "TYPE_INT64",
    ("string", "uint64"): "TYPE_UINT64",
    ("string", "byte"): "TYPE_BYTES",
    ("string", ""): "TYPE_STRING",
}


def read(request: wire.Request, asked: Asked, operation: Operation) -> dict[str, Any]:
    """The method's parameters, its body as ``body``; ``Failure`` for what is wrong with them."""
    reader = _Reader(asked, operation)
    query = _query(request, asked, operation)
    sent, problems = wire.gathered(operation, asked.path, query, {})
    sent.pop("body", None)
    shape = operation.of("path", "query")
    found: dict[str, Any] = reader.read(sent, shape)
    problems += reader.problems
    reader.problems = []
    if operation.whole:
        body = _body(request)
        if asked.api.name == "storage":
            body = _without_nulls(body)
        body = reader.meant(body, operation.parameters.fields["body"].shape)
        found["body"] = reader.read(body, operation.parameters.fields["body"].shape)
    problems += reader.problems
    if asked.api.name == "storage":
        _refuse_storage(problems)
    else:
        _refuse(problems, asked, shape)
    return found


def _without_nulls(value: Any) -> Any:
    """What a patch of Cloud Storage leaves: null removes, also a label."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return value


def _refuse_storage(problems: list[Problem]) -> None:
    """Cloud Storage's words (hashicorp/terraform-provider-google#8072; its page of errors). Nobody
    has read of it that it refuses a field that it does not know.
    """
    for problem in problems:
        if problem.place == "acl":
            continue  # with uniform access there is none to send
        if problem.rule == "missing":
            raise storage("required", "Required")
        if problem.rule != "unknown":
            raise storage("invalid", "Invalid Value")


def _refuse(problems: list[Problem], asked: Asked, query: Shape) -> None:
    of_compute = asked.api.name == "compute"
    violations = []
    for problem in problems:
        if of_compute and problem.rule == "missing":
            where = problem.place if problem.place in query.fields else f"resource.{problem.place}"
            raise compute("required", f"Required field '{where}' not specified")
        if of_compute and problem.rule == "pattern":
            where = problem.place if problem.place in query.fields else f"resource.{problem.place}"
            raise invalid(where, problem.value, f"Must be a match of regex '{problem.wanted}'")
        violations.append(_violation(problem, in_query=problem.place in query.fields))
    if violations:
        raise bad_request(violations)


def _violation(problem: Problem, *, in_query: bool) -> tuple[str, str]:
    """Field and text, as the vendor's gateway words them."""
    place = snake(problem.place)
    if problem.rule == "unknown":
        above, _, name = problem.place.rpartition(".")
        above = snake(above)
        if problem.wanted == "query":
            return "", (
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query'
                f" parameter. Field '{name}' could not be found in request message."
            )
        where = f" at '{above}'" if above else ""
        return (
            above,
            f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.',
        )
    if problem.rule == "missing":
        return place, f"Required parameter: {problem.place}"
    value = json.dumps(problem.value) if not in_query else f'"{problem.value}"'
    return place, f"Invalid value at '{place}' ({problem.wanted}), {value:.120}"


def snake(place: str) -> str:
    """``nodePools[0].initialNodeCount`` as ``node_pools[0].initial_node_count``."""
    return re.sub(r"(?<![.\[_A-Z])([A-Z])", lambda found: f"_{found[1].lower()}", place)


def camel(name: str) -> str:
    """``node_pools`` as ``nodePools``."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def _query(request: wire.Request, asked: Asked, operation: Operation) -> dict[str, Any]:
    known = operation.of("query").fields
    own = asked.api.common | _COMMON | _RETIRED.get(asked.api.name, frozenset())
    found: dict[str, list[str]] = {}
    for name, value in request.query:
        called = name if name in known else camel(name)
        if called in known:
            found.setdefault(called, []).append(value)
        elif name not in own and asked.api.name != "storage":
            raise bad_request([_violation(Problem("unknown", name, "query"), in_query=True)])
    return dict(found)


def _body(request: wire.Request) -> Any:
    if not request.body.strip():
        return {}
    try:
        return wire.parsed(request.body)
    except ValueError as error:
        raise _malformed(str(error)) from None


def _malformed(why: str) -> Failure:
    text = f"Invalid JSON payload received. {why}"
    return rpc("INVALID_ARGUMENT", text, reason="parseError")


class _Reader(Reader):
    """Names the type that was wanted as the vendor does."""

    def __init__(self, asked: Asked, operation: Operation) -> None:
        super().__init__(asked.api.names, (None, ""))
        self._lenient = asked.api.name == "compute"
        self._ignored = frozenset(asked.path) if self._lenient else frozenset[str]()

    def meant(self, value: Any, shape: Shape, *, top: bool = True) -> Any:
        """The value with the names and types of its shape, as far as it can be meant."""
        shape = self.resolved(shape)
        if shape.kind == "object" and isinstance(value, dict):
            found = {}
            for name, one in value.items():
                called = name if name in shape.fields else camel(name)
                if called in shape.fields:
                    meant = self.meant(one, shape.fields[called].shape, top=False)
                    found[called] = None if self._empty_enum(meant, shape, called) else meant
                elif not (top and name in self._ignored):
                    found[name] = one
            return found
        if shape.kind == "array" and isinstance(value, list) and shape.item is not None:
            return [self.meant(one, shape.item, top=False) for one in value]
        if shape.kind == "map" and isinstance(value, dict) and shape.item is not None:
            return {name: self.meant(one, shape.item, top=False) for name, one in value.items()}
        return _scalar(value, shape)

    def _empty_enum(self, value: object, shape: Shape, name: str) -> bool:
        return self._lenient and value == "" and bool(self.resolved(shape.fields[name].shape).enum)

    def read(self, value: Any, shape: Shape, place: str = "") -> Any:
        """As ``Reader.read``; problems of type, enum and format name the vendor's type."""
        before = len(self.problems)
        found = super().read(value, shape, place)
        resolved = self.resolved(shape)
        if resolved.kind not in ("object", "array", "map"):
            for position in range(before, len(self.problems)):
                one = self.problems[position]
                if one.rule in ("type", "enum", "format"):
                    wanted = "TYPE_ENUM" if resolved.enum else _type(resolved)
                    self.problems[position] = Problem(one.rule, one.place, wanted, one.value)
        return found


def _type(shape: Shape) -> str:
    return _TYPES.get((shape.kind, shape.format)) or _TYPES.get((shape.kind, ""), shape.kind)


def _scalar(value: Any, shape: Shape) -> Any:
    if isinstance(value, bool):
        return value
    if shape.enum and isinstance(value, int):
        numbers = shape.numbers or tuple(range(len(shape.enum)))
        return shape.enum[numbers.index(value)] if value in numbers else value
    if shape.kind == "integer" and isinstance(value, str) and _FIGURE.fullmatch(value):
        return int(value)
    if shape.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if shape.format in ("int64", "uint64") and isinstance(value, int):
        return str(value)
    if shape.format == "byte" and isinstance(value, str):
        return value.translate(_URL_SAFE)
    if shape.kind == "string" and shape.format == "google-fieldmask" and isinstance(value, list):
        return ",".join(value)
    return value

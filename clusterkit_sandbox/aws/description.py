"""A service's API on the server side, from botocore's model: route, parse, validate, serialise."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from clusterkit_sandbox.aws.refusals import invalid


@dataclass(frozen=True)
class Call:
    """A valid request."""

    operation: str
    parameters: dict[str, Any]


class Description:
    """A rest-json service: EKS."""

    def __init__(self, service: str) -> None:
        import botocore.session

        self._model = botocore.session.get_session().get_service_model(service)
        routes = []
        for name in self._model.operation_names:
            operation = self._model.operation_model(name)
            path = operation.http["requestUri"].split("?")[0]
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
            routes.append((operation.http["method"], re.compile(pattern), operation))
        # a literal path wins over one with a parameter
        self._routes = sorted(routes, key=lambda route: route[1].groups)

    def match(self, method: str, path: str) -> tuple[Any, dict[str, str]] | None:
        """The operation for a raw (still encoded) path, and the path's parameters."""
        for verb, pattern, operation in self._routes:
            if verb == method and (found := pattern.fullmatch(path)):
                return operation, {k: unquote(v) for k, v in found.groupdict().items()}
        return None

    def parse(self, operation: Any, uri: dict[str, str], query: str, body: bytes) -> Call:
        """The parameters; ``InvalidParameterException`` if the model does not allow them."""
        shape = operation.input_shape
        if shape is None:
            return Call(operation.name, {})
        try:
            sent = json.loads(body) if body else {}
        except ValueError as error:
            raise invalid(f"the body is not JSON: {error}") from error
        asked, found, known = parse_qs(query, keep_blank_values=True), {}, set()
        for name, member in shape.members.items():
            place, key = (
                member.serialization.get("location"),
                member.serialization.get("name", name),
            )
            if place == "uri":
                found[name] = uri[key]
            elif place == "querystring":
                if key in asked:
                    found[name] = _typed(member, asked.pop(key))
            elif place is None:
                known.add(key)
                if key in sent:
                    found[name] = sent[key]
        wrong = [f"Unknown member '{key}'" for key in (*(set(sent) - known), *asked)]
        self._check(shape, found, "", wrong)
        if wrong:
            raise invalid("; ".join(sorted(wrong)))
        return Call(operation.name, found)

    def answer(self, operation: str, value: dict[str, Any]) -> bytes:
        """The output's members as JSON; members that the model does not have are left out."""
        shape = self._model.operation_model(operation).output_shape
        return json.dumps(self._plain(shape, value) if shape else {}).encode()

    def _plain(self, shape: Any, value: Any) -> Any:
        match shape.type_name:
            case "structure":
                return {
                    member.serialization.get("name", name): self._plain(member, value[name])
                    for name, member in shape.members.items()
                    if value.get(name) is not None
                }
            case "list":
                return [self._plain(shape.member, item) for item in value]
            case "map":
                return {key: self._plain(shape.value, item) for key, item in value.items()}
            case "timestamp":
                return value.timestamp() if isinstance(value, datetime) else value
            case _:
                return value

    def _check(self, shape: Any, value: Any, at: str, wrong: list[str]) -> None:
        kind, rules = shape.type_name, shape.metadata
        wanted = _PYTHON.get(kind)
        if wanted and (not isinstance(value, wanted) or (kind != "boolean" and value is True)):
            wrong.append(_constraint(at, f"Member must be a {kind}"))
            return
        if kind == "structure":
            for name in shape.required_members:
                if value.get(name) is None:
                    where = f"{at}.{name}".lstrip(".")
                    wrong.append(
                        f"Value null at '{where}' failed to satisfy constraint: Member must not "
                        "be null"
                    )
            for name, item in value.items():
                if name not in shape.members:
                    wrong.append(f"Unknown member '{f'{at}.{name}'.lstrip('.')}'")
                elif item is not None:
                    self._check(shape.members[name], item, f"{at}.{name}", wrong)
        elif kind == "list":
            for index, item in enumerate(value):
                self._check(shape.member, item, f"{at}[{index}]", wrong)
        elif kind == "map":
            for key, item in value.items():
                self._check(shape.key, key, f"{at}.{key}", wrong)
                self._check(shape.value, item, f"{at}.{key}", wrong)
        size = len(value) if kind in ("list", "map", "string") else value
        wrong += [_constraint(at, what) for what in _broken(kind, rules, value, size)]


_PYTHON: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
}


def _constraint(at: str, what: str) -> str:
    return f"Value at '{at.lstrip('.')}' failed to satisfy constraint: {what}"


def _broken(kind: str, rules: Any, value: Any, size: Any) -> list[str]:
    """The constraints of a shape that a value violates."""
    found = []
    if kind in ("list", "map", "string", "integer", "long"):
        if "min" in rules and size < rules["min"]:
            found.append(f"Member must have a length or value of at least {rules['min']}")
        if "max" in rules and size > rules["max"]:
            found.append(f"Member must have a length or value of at most {rules['max']}")
    if kind == "string" and rules.get("enum") and value not in rules["enum"]:
        found.append(f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]")
    if kind == "string" and rules.get("pattern") and not re.fullmatch(rules["pattern"], value):
        found.append(f"Member must satisfy regular expression pattern: {rules['pattern']}")
    return found


def _typed(member: Any, values: list[str]) -> Any:
    match member.type_name:
        case "list":
            return values
        case "integer":
            return int(values[0]) if values[0].lstrip("-").isdigit() else values[0]
        case "boolean":
            return {"true": True, "false": False}.get(values[0], values[0])
        case _:
            return values[0]

"""Parameters as sent, checked against the published description and given their types.

The vendor's gateway ignores parameters it does not know; the sandbox refuses them with
``Sandbox.UnknownParameter``, because a misspelt parameter that does nothing is the one mistake no
other answer shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.model import Operation, Shape
from clusterkit_sandbox.alibaba.request import Request, parsed

_RPC_OWN = frozenset(
    {
        "AccessKeyId",
        "Action",
        "Format",
        "OwnerAccount",
        "OwnerId",
        "RegionId",
        "ResourceOwnerAccount",
        "ResourceOwnerId",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureNonce",
        "SignatureType",
        "SignatureVersion",
        "Timestamp",
        "Version",
    }
)
"""What the gateway itself takes with every RPC request (vendor: "Common parameters")."""
_ROA_OWN = frozenset({"RegionId"})
"""The old SDK puts this into every query."""

_INDEX = re.compile(r"[0-9]{1,6}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
"""What fits into the 64 bits that the vendor's own SDKs for other languages send."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,19})?")


def read(request: Request, operation: Operation) -> dict[str, Any]:
    """The operation's parameters; ``Failure`` for the first that is unknown, missing or wrong."""
    fields = operation.parameters["fields"]
    if operation.style == "RPC":
        sent = {
            name: value
            for name, value in _nested(request.flat).items()
            if name in fields or name not in _RPC_OWN
        }
        return _Wire(operation).fields(sent, operation.parameters, "")
    known = {name: fields[name] for name in operation.query}
    query = {k: v for k, v in _nested(dict(request.query)).items() if k not in _ROA_OWN}
    required = operation.parameters.get("required", ())
    found: dict[str, Any] = _Wire(operation).fields(
        query, {"fields": known, "required": [n for n in required if n in known]}, ""
    )
    rest = {name: shape for name, shape in fields.items() if name not in known}
    body = request.json()
    if operation.whole is not None:
        # SDKs that know no whole bodies send the list under its name
        body = {operation.whole: body} if isinstance(body, list) else body
    if not isinstance(body, dict):
        raise bad("InvalidParameter", "The request body must be a JSON object.")
    if body and not rest:
        raise _unknown(next(iter(body)))
    shape = {"fields": rest, "required": [n for n in required if n in rest]}
    return found | _Body(operation).fields(body, shape, "")


class _Body:
    """Values that come as JSON, with their types."""

    def __init__(self, operation: Operation) -> None:
        self._comma = operation.comma

    def fields(
        self, sent: Mapping[str, Any], shape: Mapping[str, Any], place: str
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in sent.items():
            if name not in shape["fields"]:
                raise _unknown(place + name)
            if value is not None:
                found[name] = self.value(value, shape["fields"][name], place + name)
        self.complete(found, shape.get("required", ()), place)
        return found

    def complete(self, found: Mapping[str, Any], required: Iterable[str], place: str) -> None:
        for name in required:
            if found.get(name) in (None, "", [], {}):
                # the backend's own code for this is not documented
                raise bad("MissingParameter", f"{place}{name} is mandatory for this action.")

    def value(self, value: Any, shape: Shape, place: str) -> Any:
        if isinstance(shape, str):
            return self.scalar(value, shape, place)
        if "array" in shape:
            if not isinstance(value, list):
                raise _mistyped(place, "array", value)
            return [self.value(v, shape["array"], f"{place}[{i}]") for i, v in enumerate(value)]
        if not isinstance(value, dict):
            raise _mistyped(place, "object", value)
        if "map" in shape:
            return {k: self.value(v, shape["map"], f"{place}.{k}") for k, v in value.items()}
        return self.fields(value, shape, f"{place}.")

    def scalar(self, value: Any, kind: str, place: str) -> Any:
        fits = {
            "any": True,
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, int | float) and not isinstance(value, bool),
        }
        if not fits[kind]:
            raise _mistyped(place, kind, value)
        return value


class _Wire(_Body):
    """Values that come as text: from a query or a form."""

    def complete(self, found: Mapping[str, Any], required: Iterable[str], place: str) -> None:
        for name in required:
            if found.get(name) in (None, "", [], {}):
                raise missing(f"{place}{name}")

    def value(self, value: Any, shape: Shape, place: str) -> Any:
        if not isinstance(shape, str) and isinstance(value, str):
            if place in self._comma:
                value = value.split(",")
            else:
                try:
                    sent = parsed(value)
                except ValueError:
                    raise _mistyped(place, "JSON", value) from None
                return _Body.value(self, sent, shape, place)
        if not isinstance(shape, str) and "array" in shape and isinstance(value, dict):
            if not all(_INDEX.fullmatch(key) for key in value):
                raise _mistyped(place, "array", value)
            value = [value[key] for key in sorted(value, key=int)]
        return super().value(value, shape, place)

    def scalar(self, value: Any, kind: str, place: str) -> Any:
        if not isinstance(value, str):
            return super().scalar(value, kind, place)
        if kind == "boolean":
            if value.lower() not in ("true", "false"):
                raise _mistyped(place, kind, value)
            return value.lower() == "true"
        if kind == "integer":
            if not _INTEGER.fullmatch(value):
                raise _mistyped(place, kind, value)
            return int(value)
        if kind == "number":
            if not _NUMBER.fullmatch(value):
                raise _mistyped(place, kind, value)
            return float(value)
        return value


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """``{"Tag.1.Key": "a"}`` to ``{"Tag": {"1": {"Key": "a"}}}``."""
    root: dict[str, Any] = {}
    for name, value in flat.items():
        place = root
        *above, last = name.split(".")
        for part in above:
            below = place.setdefault(part, {})
            if not isinstance(below, dict):
                raise bad("InvalidParameter", f"The specified parameter {name} is not valid.")
            place = below
        place[last] = value
    return root


def _unknown(place: str) -> Failure:
    return bad(
        "Sandbox.UnknownParameter",
        f"{place} is not a parameter of this operation in the published API description;"
        " the vendor would ignore it silently.",
    )


def _mistyped(place: str, kind: str, value: object) -> Failure:
    return bad(
        "InvalidParameter",
        f"The specified parameter {place} is not valid: {kind} is needed, not {value!r:.80}.",
    )

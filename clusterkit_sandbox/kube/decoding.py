"""From a request's body to an object: formats, types, unknown and duplicate fields.

The wording is that of the decoders of k8s.io/apimachinery and sigs.k8s.io/json. What becomes of
unknown and duplicate fields is the client's choice, ``fieldValidation`` (Kubernetes API concepts,
"Validation for unrecognized or duplicate fields"): ``Strict`` refuses, ``Warn`` (the default) drops
them with a ``Warning`` header each, ``Ignore`` drops them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml

from clusterkit_sandbox.kube.kinds import Object, Resource, Schema, definition_name, member, resolve
from clusterkit_sandbox.kube.protobuf import Undecodable
from clusterkit_sandbox.kube.protobuf import decode as decode_protobuf
from clusterkit_sandbox.kube.refusals import (
    BODY_TYPES,
    Cause,
    bad_request,
    invalid,
    unsupported_media,
)

PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON_TYPES = {"", "application/json", "application/octet-stream", "*/*"}
_QUANTITY = re.compile(r"[+-]?[0-9.]+(?:[eEinumkKMGTP]*[-+]?[0-9]*)")
_QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_PYTHON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
    "integer": int,
    "number": (int, float),
}
_KEY = "\0"
"""around the keys of maps in a path, which Go does not name when a type is wrong"""
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
_OPENAPI_NAMES = {**_JSON_NAMES, bool: "boolean", int: "integer"}


class _Duplicates(dict[str, Any]):
    """A JSON object in which a field was there twice."""

    fields: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    marked = _Duplicates(found)
    counts = Counter(name for name, _ in pairs)
    marked.fields = tuple(name for name, count in counts.items() if count > 1)
    return marked


def parse(raw: bytes, content_type: str) -> Any:
    """The body as JSON values; ``Refusal`` 400 or 415. An empty body is an empty object."""
    kind = content_type.split(";")[0].strip().lower()
    if not raw:
        return {}
    if kind == PROTOBUF:
        try:
            return decode_protobuf(raw)
        except Undecodable as error:
            raise unsupported_media(f"{BODY_TYPES} ({error}; send it as JSON)") from error
    try:
        if kind == "application/yaml" or kind.endswith("+yaml"):
            return yaml.safe_load(raw)
        if kind in _JSON_TYPES or kind.endswith("+json"):
            return json.loads(raw, object_pairs_hook=_pairs)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"error decoding the request body: {error}") from error
    raise unsupported_media(BODY_TYPES)


def parse_object(raw: bytes, content_type: str, resource: Resource) -> Object:
    """The body as an object of this resource; its kind, if given, is checked."""
    body = parse(raw, content_type)
    return typed(body, resource)


def typed(body: Any, resource: Resource) -> Object:
    """The same object with apiVersion, kind and metadata; ``Refusal`` 400 if of another kind."""
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized (must be of type Object)")
    kind, version = body.get("kind") or resource.kind, body.get("apiVersion")
    if kind != resource.kind or (version or resource.group_version) != resource.group_version:
        raise bad_request(
            f"the API version in the data ({version or resource.group_version}, Kind={kind}) does"
            f" not match the expected API version ({resource.group_version},"
            f" Kind={resource.kind})"
        )
    found: Object = {"apiVersion": resource.group_version, "kind": resource.kind}
    if isinstance(body, _Duplicates):
        found = _Duplicates(found)
        found.fields = body.fields
    found.update({name: value for name, value in body.items() if name not in found})
    if not isinstance(found.get("metadata") or {}, dict):
        raise bad_request("json: cannot unmarshal metadata into Go value of type v1.ObjectMeta")
    found["metadata"] = found.get("metadata") or {}
    return found


class Decoder:
    """Checks one object against its schema and drops what does not belong to it."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._name = ""
        self.problems: list[str] = []
        """unknown and duplicate fields, as the strict decoder words them"""

    def decode(self, body: Object) -> Object:
        """A clean copy of the object; ``Refusal`` for a wrong type: 400, of a custom kind 422."""
        struct = self._resource.kind
        self._name = str((body.get("metadata") or {}).get("name") or "")
        found: Object = self._value(body, self._resource.schema, "", struct)
        return found

    def refuse_problems(self) -> None:
        """Raise what ``fieldValidation=Strict`` asks for, if there is anything."""
        if self.problems:
            raise self._wrong("strict decoding error: " + ", ".join(self.problems))

    def _wrong(self, why: str) -> Exception:
        resource = self._resource
        return bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a'
            f" {resource.kind}: {why}"
        )

    def _value(self, value: Any, schema: Schema | None, path: str, struct: str) -> Any:
        if schema and "$ref" in schema:
            name = definition_name(schema["$ref"])
            struct = name.rsplit(".", 1)[1]
            if struct == "Quantity":
                return self._quantity(value)
        schema = resolve(schema)
        if schema.get("x-kubernetes-int-or-string") or "oneOf" in schema or not schema:
            return value
        self._check_type(value, schema, path, struct)
        if isinstance(value, dict):
            return self._fields(value, schema, path, struct)
        if isinstance(value, list):
            items = schema.get("items")
            return [
                self._value(item, items, f"{path}[{index}]", struct)
                for index, item in enumerate(value)
                if item is not None
            ]
        return value

    def _fields(self, value: Object, schema: Schema, path: str, struct: str) -> Object:
        properties = schema.get("properties")
        free = schema.get("x-kubernetes-preserve-unknown-fields") or (
            not properties and not isinstance(schema.get("additionalProperties"), dict)
        )
        if isinstance(value, _Duplicates):
            self.problems += [f'duplicate field "{_shown(path, name)}"' for name in value.fields]
        found: Object = {}
        for name, inner in value.items():
            inner_schema = member(schema, name)
            if inner_schema is None:
                if free:
                    found[name] = inner
                else:
                    self.problems.append(f'unknown field "{_shown(path, name)}"')
            elif inner is not None:
                step = name if properties and name in properties else f"{_KEY}{name}{_KEY}"
                found[name] = self._value(inner, inner_schema, _join(path, step), struct)
            elif inner_schema.get("nullable"):
                found[name] = None
        return found

    def _check_type(self, value: Any, schema: Schema, path: str, struct: str) -> None:
        wanted = schema.get("type", "object" if "properties" in schema else None)
        if wanted not in _PYTHON_TYPES:
            return
        right = isinstance(value, _PYTHON_TYPES[wanted])
        if isinstance(value, bool) and wanted in ("integer", "number"):
            right = False
        if isinstance(value, float) and wanted == "integer":
            right = value.is_integer()
        if not right and self._resource.custom and not path.startswith("metadata"):
            # as in github.com/cloudnative-pg/cloudnative-pg/issues/1572
            place, got = path.replace(_KEY, ""), _OPENAPI_NAMES.get(type(value), "object")
            detail = f'"{got}": {place} in body must be of type {wanted}: "{got}"'
            cause = Cause(place, "FieldValueTypeInvalid", f"Invalid value: {detail}")
            raise invalid(self._resource, self._name, [cause])
        if not right:
            got = _JSON_NAMES.get(type(value), "object")
            place = re.sub(rf"\[[0-9]+\]|\.{_KEY}[^{_KEY}]*{_KEY}", "", path)
            raise self._wrong(
                f"json: cannot unmarshal {got} into Go struct field"
                f" {struct}.{place} of type {_go_type(schema, wanted)}"
            )

    def _quantity(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong(_QUANTITY_RULE)
        if isinstance(value, str) and not _QUANTITY.fullmatch(value):
            raise self._wrong(_QUANTITY_RULE)
        return str(value)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(path: str, name: str) -> str:
    return _join(path, name).replace(_KEY, "")


def _go_type(schema: Schema, wanted: str) -> str:
    if wanted == "integer":
        return str(schema.get("format", "int64"))
    names = {"boolean": "bool", "number": "float64", "array": "[]", "object": "map[string]"}
    return names.get(wanted, wanted)

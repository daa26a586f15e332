"""The profile's models as structural schemas, which Kubernetes asks of a CustomResourceDefinition
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/,
"Specifying a structural schema"): no references, one type for each field or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from clusterkit.profile.schema import Schema, json_schema

__all__ = ["Schema", "merged", "structural"]

OPEN = {"x-kubernetes-preserve-unknown-fields": True}
"""a field that takes values of several types, of which such a schema can say nothing"""


def structural(models: Mapping[str, type[BaseModel]]) -> dict[str, Schema]:
    """The schema of each cloud's profile, by its name; with defaults, which are for whoever reads
    it, and have to go before an API server does.
    """
    whole = json_schema(models)
    rules = zip(models, whole["allOf"], strict=True)
    return {cloud: _plain(rule["then"], whole["$defs"]) for cloud, rule in rules}


def _plain(part: Any, defs: Schema) -> Schema:
    """Without references, nulls, defaults, and what a structural schema may not have."""
    if "$ref" in part:
        told = {"description": part["description"]} if "description" in part else {}
        return {**_plain(defs[part["$ref"].rpartition("/")[2]], defs), **told}
    shapes = [each for each in part.get("oneOf", part.get("anyOf", ())) if each != _NULL]
    about = {key: part[key] for key in ("description", "default") if key in part}
    if len(shapes) == 1:
        return {**_plain(shapes[0], defs), **about}
    if shapes or not part.keys() & {"type", "const"}:
        return {**OPEN, **about}
    found = {key: part[key] for key in (*_KEPT, "default") if key in part}
    if "const" in part:
        found |= {"type": "string", "enum": [part["const"]]}
    if "properties" in part:
        found["properties"] = {key: _plain(each, defs) for key, each in part["properties"].items()}
    elif isinstance(more := part.get("additionalProperties"), dict):
        found["additionalProperties"] = _plain(more, defs)
    if "items" in part:
        found["items"] = _plain(part["items"], defs)
    return found


_NULL = {"type": "null"}
_LEAST = ("minimum", "minLength", "minItems")
_MOST = ("maximum", "maxLength", "maxItems")
_KEPT = ("type", "description", "enum", "pattern", "required", *_LEAST, *_MOST)


def merged(parts: Sequence[Schema]) -> Schema:
    """One schema that takes whatever one of these takes, as far as a structural one can."""
    first = parts[0]
    told = {"description": first["description"]} if "description" in first else {}
    if len({part.get("type") for part in parts}) > 1 or "type" not in first:
        return {**OPEN, **told}
    found: Schema = {"type": first["type"], **told}
    if "properties" in first:
        keys = dict.fromkeys(key for part in parts for key in part["properties"])
        found["properties"] = {
            key: merged([p["properties"][key] for p in parts if key in p["properties"]])
            for key in keys
        }
    for key in ("items", "additionalProperties"):
        if key in first:
            found[key] = merged([part[key] for part in parts])
    for key, choose in (*((k, min) for k in _LEAST), *((k, max) for k in _MOST)):
        if all(key in part for part in parts):
            found[key] = choose(part[key] for part in parts)
    if all("enum" in part for part in parts):
        found["enum"] = list(dict.fromkeys(each for part in parts for each in part["enum"]))
    if all(part.get("pattern") == first.get("pattern") for part in parts) and "pattern" in first:
        found["pattern"] = first["pattern"]
    required = [key for key in first.get("required", ())
                if all(key in part.get("required", ()) for part in parts)]  # fmt: skip
    return {**found, "required": required} if required else found

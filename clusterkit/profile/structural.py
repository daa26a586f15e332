"""The profile's models as structural schemas, which Kubernetes asks of a CustomResourceDefinition
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/,
"Specifying a structural schema"): no references, one type for each field or none.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def merged(roots: Mapping[str, Schema]) -> Schema:
    """One schema that takes whatever the schema of one cloud takes, as far as a structural one can.

    Where the clouds mean different things by a field, or only some have it, its description has a
    line for each.
    """
    return _merged(roots, len(roots))


def _merged(clouds: Mapping[str, Schema], of: int) -> Schema:
    """``of``: how many clouds there are, of which these have the field."""
    parts = list(clouds.values())
    first = parts[0]
    words = dict.fromkeys(part["description"] for part in parts if "description" in part)
    told = {"description": "\n".join(_whose(text, clouds, of) for text in words)} if words else {}
    if len({part.get("type") for part in parts}) > 1 or "type" not in first:
        return {**OPEN, **told}
    found: Schema = {"type": first["type"], **told}
    if "properties" in first:
        keys = dict.fromkeys(key for part in parts for key in part["properties"])
        found["properties"] = {
            key: _merged(
                {c: p["properties"][key] for c, p in clouds.items() if key in p["properties"]}, of
            )
            for key in keys
        }
    for key in ("items", "additionalProperties"):
        if key in first:
            found[key] = _merged({cloud: part[key] for cloud, part in clouds.items()}, of)
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


def _whose(text: str, clouds: Mapping[str, Schema], of: int) -> str:
    """A description, after the clouds whose it is unless it is that of all."""
    whose = [cloud for cloud, part in clouds.items() if part.get("description") == text]
    return text if len(whose) == of else f"{', '.join(whose)}: {text}"

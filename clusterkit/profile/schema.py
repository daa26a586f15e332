"""The profile's models as a JSON Schema for editors, and as the table of fields in the
documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

Schema = dict[str, Any]

_DEFS = "#/$defs/"


def json_schema(models: Mapping[str, type[BaseModel]]) -> Schema:
    """A JSON Schema, draft 2020-12, of the profiles of all clouds; ``models`` by the cloud's name.

    ``cloud`` selects the model with if and then, not with oneOf, so that an editor shows the errors
    of that cloud only. The schema checks single fields; ``load`` does the cross-checks.
    """
    refs, schema = models_json_schema([(model, "validation") for model in models.values()])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "clusterkit profile",
        "type": "object",
        "required": ["cloud"],
        "properties": {"cloud": {"enum": list(models), "description": "the cloud"}},
        "allOf": [
            {
                "if": {"properties": {"cloud": {"const": cloud}}, "required": ["cloud"]},
                "then": refs[(model, "validation")],
            }
            for cloud, model in models.items()
        ],
        "$defs": {name: _tidy(part) for name, part in schema["$defs"].items()},
    }


def _tidy(part: Any) -> Any:
    """Without pydantic's titles, which repeat the keys, and with only the first paragraph of
    docstrings."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    tidy = {
        key: _tidy(value)
        for key, value in part.items()
        if not (key == "title" and isinstance(value, str)) and (key, value) != ("default", None)
    }
    if isinstance(text := tidy.get("description"), str):
        tidy["description"] = " ".join(text.partition("\n\n")[0].split())
    return tidy


def markdown(models: Mapping[str, type[BaseModel]]) -> str:
    """Every field of every cloud's profile as tables: field, type, default, meaning."""
    schema = json_schema(models)
    lines = [
        "# The profile",
        "",
        "Generated from the models by `make docs`; do not edit.",
    ]
    for cloud, rule in zip(models, schema["allOf"], strict=True):
        lines += ["", f"## `cloud: {cloud}`"]
        for path, part in _sections("", rule["then"], schema["$defs"]):
            lines += ["", f"### `{path}`", "", part["description"]] if path else []
            lines += ["", "| field | type | default | meaning |", "|---|---|---|---|"]
            lines += _rows(part, schema["$defs"])
    return "\n".join(lines) + "\n"


def _rows(part: Schema, defs: Schema) -> Iterator[str]:
    required = part.get("required", ())
    for key, field in part["properties"].items():
        if key in required:
            default = "required"
        else:
            default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        meaning = field.get("description", "")
        yield f"| `{key}` | {typed(field, defs)} | {default} | {meaning} |"


def _sections(path: str, part: Schema, defs: Schema) -> Iterator[tuple[str, Schema]]:
    """The mappings in a schema, outermost first, each with its path such as ``pools[].disk``."""
    if "$ref" in part:
        model = defs[part["$ref"].removeprefix(_DEFS)]
        yield path, model
        for key, field in model["properties"].items():
            yield from _sections(f"{path}.{key}".removeprefix("."), field, defs)
    for shape in (*part.get("oneOf", ()), *part.get("anyOf", ())):
        yield from _sections(path, shape, defs)
    if "items" in part:
        yield from _sections(f"{path}[]", part["items"], defs)


def fields(part: Schema, defs: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every field below a schema with its path, ``pools[].disk.size``; sections first."""
    if "$ref" in part:
        for key, field in defs[part["$ref"].removeprefix(_DEFS)]["properties"].items():
            name = f"{path}.{key}".removeprefix(".")
            yield name, field
            yield from fields(field, defs, name)
    for shape in (*part.get("oneOf", ()), *part.get("anyOf", ())):
        yield from fields(shape, defs, path)
    if "items" in part:
        yield from fields(part["items"], defs, f"{path}[]")


def typed(part: Schema, defs: Schema) -> str:
    """What a value of a field may be, in a few words."""
    if shapes := part.get("oneOf") or part.get("anyOf"):
        return " or ".join(typed(shape, defs) for shape in shapes if shape.get("type") != "null")
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in part["enum"])
    if "$ref" in part:
        keys = defs[part["$ref"].removeprefix(_DEFS)]["properties"]
        return f"`{{{', '.join(keys)}}}`"
    match part.get("type"):
        case "array":
            return f"list of {typed(part['items'], defs)}"
        case "object":
            return "mapping of text to text"
        case "boolean":
            return "`true`, `false`"
        case "integer":
            least, most = part.get("minimum"), part.get("maximum")
            return f"number, {least} to {most}" if most else f"number, {least} or more"
        case _:
            return "text"

"""What each field of a profile becomes on each cloud, as a page.

Each cloud's package says it for itself (``becomes.py``); a test compares that with what the driver
sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel

from clusterkit.profile.schema import Schema, fields, json_schema, typed


class Becomes(NamedTuple):
    """What a field becomes on a cloud, in the vendor's words."""

    what: str
    calls: tuple[str, ...] = ()
    """``service:operation field``: the requests and their fields that carry its value, as
    ``--trace`` shows them; fields are dotted, without the indices of lists; ``(path)`` is the
    request's path. None where the value stays in the profile
    """


def becomes(what: str, *calls: str) -> Becomes:
    """``Becomes`` as it is written in a table."""
    return Becomes(what, calls)


Table = Mapping[str, Becomes]
"""by the field's dotted path, without the indices of lists: ``pools.disk.size``"""


def plain(path: str) -> str:
    """``pools.disk.size`` of ``pools[].disk.size``."""
    return path.replace("[]", "")


def page(models: Mapping[str, type[BaseModel]], tables: Mapping[str, Table], example: str) -> str:
    """The page: every field that all clouds have, values that differ, and what some have."""
    schema = json_schema(models)
    defs = schema["$defs"]
    found = {
        cloud: dict(fields(rule["then"], defs))
        for cloud, rule in zip(models, schema["allOf"], strict=True)
    }
    order = dict.fromkeys(
        path
        for cloud, paths in found.items()
        for path in paths
        if plain(path) in tables[cloud]  # or a section that is always there: its fields tell
    )
    owners = {path: [cloud for cloud in models if path in found[cloud]] for path in order}
    titles = {
        cloud: str(model.model_fields["cloud"].description) for cloud, model in models.items()
    }
    lines = [*_INTRODUCTION, "```yaml", example.rstrip(), "```", "", "## What each field becomes"]
    lines += _table([path for path in order if len(owners[path]) == len(models)], titles, tables)
    lines += ["", "## Values that differ", "", _VALUES]
    lines += _values(order, owners, titles, found, defs)
    lines += ["", "## What some clouds have"]
    some = [path for path in order if 1 < len(owners[path]) < len(models)]
    lines += _table(some, titles, tables)
    lines += ["", "## What only one cloud has"]
    for cloud, title in titles.items():
        only = [path for path in order if owners[path] == [cloud]]
        lines += ["", f"### {title}", "", "| field | becomes |", "|---|---|"]
        lines += [f"| `{path}` | {_cell(tables[cloud], path)} |" for path in only]
    return "\n".join(lines) + "\n"


_INTRODUCTION = [
    "# One profile on every cloud",
    "",
    "Generated from the models and the drivers by `make docs`; do not edit. Below each meaning is "
    "what carries the value, operation and field as `--trace` shows them; tests compare that with "
    "what the drivers send.",
    "",
    "A profile that has only fields of the first table, with values that every cloud takes, comes "
    "up on each of them when `cloud` and `region` are changed, and nothing else. Sizes of machines "
    "and numbers of zones mean the same everywhere; names of machine types and zones are a "
    "cloud's own. A field that a cloud lacks is refused by `validate`, which says who has it. This "
    "profile is brought up, changed and destroyed on all of them by a test:",
    "",
]
_VALUES = (
    "Of a field that all have: what it may be, and its default in brackets. A value that fits "
    "every cloud fits all columns."
)


def _head(titles: Mapping[str, str]) -> list[str]:
    return ["", f"| field | {' | '.join(titles.values())} |", "|---|" + "---|" * len(titles)]


def _table(
    paths: list[str], titles: Mapping[str, str], tables: Mapping[str, Table]
) -> Iterator[str]:
    yield from _head(titles)
    for path in paths:
        cells = (_cell(tables[cloud], path) for cloud in titles)
        yield f"| `{path}` | {' | '.join(cells)} |"


def _cell(table: Table, path: str) -> str:
    found = table.get(plain(path))
    if found is None:
        return "-"
    return "<br>".join((found.what, *map(_call, found.calls)))


def _call(call: str) -> str:
    operation, _, field = call.partition(":")[2].rpartition(" ")
    return f"`{operation}` {field if field.startswith('(') else f'`{field}`'}"


def _values(
    order: Mapping[str, None],
    owners: Mapping[str, list[str]],
    titles: Mapping[str, str],
    found: Mapping[str, Mapping[str, Schema]],
    defs: Schema,
) -> Iterator[str]:
    yield from _head(titles)
    sections = {plain(path).rpartition(".")[0] for path in order}
    for path in order:
        if path == "cloud" or plain(path) in sections or len(owners[path]) < len(titles):
            continue
        cells = [_value(found[cloud][path], defs) for cloud in titles]
        if len({*cells}) > 1:
            yield f"| `{path}` | {' | '.join(cells)} |"


def _value(part: Schema, defs: Schema) -> str:
    text = typed(part, defs)
    return f"{text} (`{json.dumps(part['default'])}`)" if "default" in part else text

"""Answers as the client wants them: whole objects, tables or metadata only.

Kubernetes documentation, "Kubernetes API Concepts": "Receiving resources as Tables",
``PartialObjectMetadata``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.kube.kinds import Object, Resource
from clusterkit_sandbox.kube.printers.cells import since
from clusterkit_sandbox.kube.printers.columns import COLUMNS, DEFAULT_COLUMNS, Column

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[\?\(@\.(\w+)\s*==\s*[\"']([^\"']*)[\"']\)\]|\[([0-9]+)\]")
_META = "meta.k8s.io/v1"


class Shape:
    """What a client's ``Accept`` and ``includeObject`` ask for."""

    def __init__(self, accept: str, include: str) -> None:
        self._table = "as=Table" in accept
        self._partial = "as=PartialObjectMetadata" in accept
        self._include = include or "Metadata"

    def one(self, resource: Resource, found: Object) -> Object:
        """One object."""
        found = at_version(resource, found)
        if self._table:
            revision = found["metadata"].get("resourceVersion", "")
            return self._as_table(resource, [found], {"resourceVersion": revision}, head=True)
        return _partial(found) if self._partial else found

    def many(self, resource: Resource, found: Sequence[Object], metadata: Object) -> Object:
        """A list."""
        found = [at_version(resource, item) for item in found]
        if self._table:
            return self._as_table(resource, found, metadata, head=True)
        if self._partial:
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": _META,
                "metadata": metadata,
                "items": [{"metadata": item["metadata"]} for item in found],
            }
        items = found
        if not resource.custom:
            # the items of a list of a built-in kind carry neither
            skip = ("apiVersion", "kind")
            items = [{k: v for k, v in item.items() if k not in skip} for item in found]
        return {
            "kind": resource.list_kind,
            "apiVersion": resource.group_version,
            "metadata": metadata,
            "items": items,
        }

    def event(self, resource: Resource, found: Object, *, first: bool) -> Object:
        """One object of a watch; only the first table names the columns."""
        found = at_version(resource, found)
        if self._table:
            metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
            return self._as_table(resource, [found], metadata, head=first)
        return _partial(found) if self._partial else found

    def _as_table(
        self, resource: Resource, found: Sequence[Object], metadata: Object, *, head: bool
    ) -> Object:
        columns = _columns(resource)
        definitions = [
            {
                "name": column.name,
                "type": column.type,
                "format": "name" if column.name == "Name" else "",
                "description": "",
                "priority": column.priority,
            }
            for column in columns
        ]
        rows = []
        for item in found:
            row: Object = {"cells": [column.cell(item) for column in columns]}
            if self._include == "Object":
                row["object"] = item
            elif self._include != "None":
                row["object"] = _partial(item)
            rows.append(row)
        return {
            "kind": "Table",
            "apiVersion": _META,
            "metadata": metadata,
            "columnDefinitions": definitions if head else [],
            "rows": rows,
        }


def at_version(resource: Resource, found: Object) -> Object:
    """The object at the version asked for: custom kinds have one schema under several names."""
    if found.get("apiVersion") == resource.group_version:
        return found
    return {**found, "apiVersion": resource.group_version}


def _partial(found: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": found["metadata"]}


def _columns(resource: Resource) -> tuple[Column, ...]:
    if not resource.columns:
        return COLUMNS.get(resource.key, DEFAULT_COLUMNS)
    return DEFAULT_COLUMNS[:1] + tuple(_custom(column) for column in resource.columns)


def _custom(definition: Mapping[str, Any]) -> Column:
    path, kind = definition["jsonPath"], definition["type"]

    def cell(found: Object) -> Any:
        value = json_path(found, path)
        if kind == "date":
            return since(value) if isinstance(value, str) else "<unknown>"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict | list):
            return str(value)
        return "" if value is None else value

    return Column(definition["name"], cell, int(definition.get("priority", 0)), kind)


def json_path(found: Any, path: str) -> Any:
    """The JSONPath that printer columns use: ``.a.b``, ``[0]`` and ``[?(@.type=="Ready")]``."""
    for field, key, wanted, index in _STEP.findall(path):
        if field:
            found = found.get(field) if isinstance(found, dict) else None
        elif not isinstance(found, list):
            return None
        elif key:
            found = next((i for i in found if isinstance(i, dict) and i.get(key) == wanted), None)
        else:
            found = found[int(index)] if int(index) < len(found) else None
    return found

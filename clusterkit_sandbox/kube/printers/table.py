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
from clusterkit_sandbox.kube.printers.columns import NAME, Column, columns
from clusterkit_sandbox.kube.versions import shown

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
        if self._table:
            revision = found["metadata"].get("resourceVersion", "")
            return self._as_table(resource, [found], {"resourceVersion": revision}, head=True)
        return _partial(found) if self._partial else shown(resource, found)

    def many(self, resource: Resource, found: Sequence[Object], metadata: Object) -> Object:
        """A list."""
        if self._table:
            return self._as_table(resource, found, metadata, head=True)
        if self._partial:
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": _META,
                "metadata": metadata,
                "items": [{"metadata": item["metadata"]} for item in found],
            }
        items = [shown(resource, item) for item in found]
        if not resource.custom:
            # the items of a list of a built-in kind carry neither
            skip = ("apiVersion", "kind")
            items = [{k: v for k, v in item.items() if k not in skip} for item in items]
        return {
            "kind": resource.list_kind,
            "apiVersion": resource.group_version,
            "metadata": metadata,
            "items": items,
        }

    def event(self, resource: Resource, found: Object, *, first: bool) -> Object:
        """One object of a watch; only the first table names the columns."""
        if self._table:
            metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
            return self._as_table(resource, [found], metadata, head=first)
        return _partial(found) if self._partial else shown(resource, found)

    def _as_table(
        self, resource: Resource, found: Sequence[Object], metadata: Object, *, head: bool
    ) -> Object:
        listed = _columns(resource)
        definitions = [dict(column.definition) for column in listed]
        rows = []
        for item in found:
            row: Object = {"cells": [column.cell(item) for column in listed]}
            if self._include == "Object":
                row["object"] = shown(resource, item)
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


def _partial(found: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": found["metadata"]}


def _columns(resource: Resource) -> tuple[Column, ...]:
    declared = resource.declares("additionalPrinterColumns")
    if not declared:
        return columns(resource)
    return (NAME, *(_custom(column) for column in declared))


def _custom(definition: Mapping[str, Any]) -> Column:
    path, kind = definition["jsonPath"], definition["type"]

    def cell(found: Object) -> Any:
        value = json_path(found, path)
        if kind == "date":
            return since(value) if isinstance(value, str) else ""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict | list):
            return str(value)
        return "" if value is None else value

    named = {
        "name": definition["name"],
        "type": kind,
        "format": definition.get("format", ""),
        "description": definition.get("description", ""),
        "priority": int(definition.get("priority", 0)),
    }
    return Column(named, cell)


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

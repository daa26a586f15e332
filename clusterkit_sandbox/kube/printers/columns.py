"""The columns ``kubectl get`` shows: the API server prints them, kubectl only lays them out.

Which columns there are, a real server told; what stands in them is Kubernetes'
``pkg/printers/internalversion``, as ``data/cells.tsv`` says: a field, or a function of
``cells.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.kube.kinds import Resource, recorded, table
from clusterkit_sandbox.kube.printers import cells
from clusterkit_sandbox.kube.printers.cells import Cell


@dataclass(frozen=True)
class Column:
    """One column and how an object's cell is made."""

    definition: Mapping[str, Any]
    """``name``, ``type``, ``format``, ``priority`` (1 is ``-o wide``), ``description``"""
    cell: Cell


_NAME = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
NAME = Column(_NAME, cells.at("metadata.name"))
_AGE = Column({**_NAME, "name": "Age", "format": ""}, cells.age("metadata.creationTimestamp"))


@functools.cache
def _cells() -> Mapping[str, Mapping[str, Cell]]:
    """The cells that are known, by resource and column; ``*`` for all resources."""
    found: dict[str, dict[str, Cell]] = {}
    for resource, column, fields, how, nothing in table("cells.tsv"):
        cell: Any = getattr(cells, how) if how else functools.partial(cells.at, default=nothing)
        found.setdefault(resource, {})[column] = cell(*fields.split()) if fields else cell
    return found


@functools.cache
def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns of a kind of Kubernetes' own."""
    root = f"/apis/{resource.group_version}" if resource.group else f"/api/{resource.version}"
    listed = recorded()["columns"].get(f"{root}/{resource.plural}")
    if listed is None:
        return NAME, _AGE
    own = {**_cells()["*"], **_cells().get(resource.stored_as, {})}
    return tuple(Column(each, own.get(each["name"], _unknown)) for each in listed)


def _unknown(_: object) -> str:
    return "<unknown>"

"""Who owns which field: ``managedFields``, as structured-merge-diff writes them.

A path is a tuple of steps: ``f:name`` (a field), ``k:{"name":"x"}`` (an item of a list that is a
map), ``v:"x"`` (an item of a list that is a set), ``.`` (the item or the map itself). Which is
which is in the schema (``x-kubernetes-list-type``, ``x-kubernetes-map-type``). Format: Kubernetes
API reference, ``FieldsV1``; rules: "Server-Side Apply".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from clusterkit_sandbox.kube.kinds import Object, Resource, Schema, member, resolve

Path = tuple[str, ...]

_META = "f:metadata"
_ENTRY = {"manager", "operation", "fieldsV1"}
SYSTEM_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "name",
    "namespace",
)
"""of the metadata, which no update changes"""
_UNOWNED: frozenset[Path] = frozenset(
    (_META, f"f:{name}")
    for name in (*SYSTEM_FIELDS, "resourceVersion", "managedFields", "generateName")
) | {("f:apiVersion",), ("f:kind",)}


def now() -> str:
    """The present second, as Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def item_key(item: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The key fields of an item of a ``map`` list; ``schema`` is the list's."""
    inner = resolve(schema.get("items"))
    found = {}
    for name in schema["x-kubernetes-list-map-keys"]:
        value = item.get(name, resolve(member(inner, name)).get("default"))
        if value is not None:
            found[name] = value
    return dict(sorted(found.items()))


def leaves(found: Any, schema: Schema | None, at: Path = ()) -> dict[Path, Any]:
    """Every path that can be owned in this object, with its value."""
    if at in _UNOWNED:
        return {}
    schema = resolve(schema)
    paths: dict[Path, Any] = {}
    if isinstance(found, dict) and found and schema.get("x-kubernetes-map-type") != "atomic":
        for name, value in found.items():
            paths |= leaves(value, member(schema, name), (*at, f"f:{name}"))
        return paths
    if isinstance(found, list) and found:
        kind = schema.get("x-kubernetes-list-type")
        if kind == "map":
            for item in found:
                step = "k:" + json.dumps(item_key(item, schema), separators=(",", ":"))
                paths[(*at, step, ".")] = True
                paths |= leaves(item, schema.get("items"), (*at, step))
            return paths
        if kind == "set":
            return {(*at, "v:" + json.dumps(item)): True for item in found}
    return {at: found}


def to_fields(paths: Iterable[Path]) -> dict[str, Any]:
    """Paths as a ``fieldsV1`` trie."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    return root


def from_fields(fields: Mapping[str, Any], at: Path = ()) -> set[Path]:
    """The paths of a ``fieldsV1`` trie."""
    found: set[Path] = set()
    for step, inner in fields.items():
        if inner:
            found |= from_fields(inner, (*at, step))
        else:
            found.add((*at, step))
    return found


def shown(path: Path) -> str:
    """A path as conflicts name it: ``.spec.containers[name="app"].image``."""
    text = ""
    for step in path:
        if step == ".":
            continue
        body = step[2:]
        if step.startswith("f:"):
            text += f".{body}"
        elif step.startswith("k:"):
            keys = json.loads(body).items()
            text += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in keys) + "]"
        else:
            text += f"[={body}]"
    return text


def entry(
    resource: Resource, manager: str, operation: str, paths: Iterable[Path], subresource: str
) -> Object:
    """One item of ``managedFields``."""
    found: Object = {
        "manager": manager,
        "operation": operation,
        "apiVersion": resource.group_version,
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields(paths),
    }
    return found | ({"subresource": subresource} if subresource else {})


def _leaves_but(found: Object, names: Collection[str], schema: Schema) -> dict[Path, Any]:
    """The leaves of an object without these fields."""
    rest = {name: value for name, value in found.items() if name not in names}
    return leaves(rest, schema) if rest else {}


def updated(
    resource: Resource,
    new: Object,
    old: Object | None,
    given: list[Object] | None,
    manager: str,
    subresource: str = "",
) -> list[Object]:
    """``managedFields`` after a create or an update: what it changed is now its manager's.

    Clients may write the field (kubectl does to move from client-side to server-side apply); one
    empty item clears it ("Server-Side Apply", "Clearing managedFields").
    """
    if not given or any(item and not item.keys() >= _ENTRY for item in given):
        given = (old or {}).get("metadata", {}).get("managedFields")
    # what is the same is neither changed nor gone; most updates change the status only
    same_in = {name for name, value in new.items() if old and old.get(name) == value}
    before, after = (_leaves_but(one, same_in, resource.schema) for one in (old or {}, new))
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    found = []
    mine = False
    for have in [item for item in given or () if item]:
        paths = from_fields(have["fieldsV1"]) - gone
        same = (have["manager"], have["operation"], have.get("subresource", "")) == (
            manager,
            "Update",
            subresource,
        )
        paths = paths | changed if same else paths - changed
        mine = mine or same
        if paths:
            kept = {**have, "fieldsV1": to_fields(paths)}
            if same and changed:
                kept["time"] = now()
            found.append(kept)
    if changed and not mine:
        found.append(entry(resource, manager, "Update", changed, subresource))
    return found

"""Server-side apply: merging what one manager wants into what there is.

Rules: Kubernetes documentation, "Server-Side Apply" (conflicts, force, fields that are dropped from
the applied configuration, migration from client-side apply).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.kube.kinds import Object, Resource, Schema, clone, member, resolve
from clusterkit_sandbox.kube.ownership import (
    Path,
    entry,
    from_fields,
    item_key,
    leaves,
    shown,
    to_fields,
)
from clusterkit_sandbox.kube.refusals import Refusal

_KUBECTL = "kubectl"
_LAST = "kubectl.kubernetes.io/last-applied-configuration"
_CLIENT_SIDE = ("kubectl-client-side-apply", "Update")


@dataclass(frozen=True)
class Applied:
    """The object after the merge; ``managed`` goes to its ``managedFields``."""

    object: Object
    managed: list[Object]


def applied(
    resource: Resource,
    live: Object | None,
    wanted: Object,
    manager: str,
    *,
    force: bool,
    subresource: str = "",
) -> Applied:
    """Merge; ``Refusal`` 409 if another manager owns a field with another value, unless forced."""
    want = leaves(wanted, resource.schema)
    mine_now = entry(resource, manager, "Apply", want, subresource)
    if live is None:
        return Applied(clone(wanted), [mine_now])
    have = leaves(live, resource.schema)
    fields: list[Object] = live["metadata"].get("managedFields") or []
    mine: set[Path] = set()
    others: set[Path] = set()
    clashes: list[tuple[Object, set[Path]]] = []
    kept = []
    for item in fields:
        paths = from_fields(item["fieldsV1"])
        same_part = item.get("subresource", "") == subresource
        if (item["manager"], item["operation"]) == (manager, "Apply") and same_part:
            mine |= paths
            if _changes_nothing(paths, want, have):
                # then the object stays as it is, time and all
                mine_now["time"] = item["time"]
            continue
        clash = {path for path in paths & want.keys() if have.get(path) != want[path]}
        migrates = manager == _KUBECTL and (item["manager"], item["operation"]) == _CLIENT_SIDE
        if clash and not migrates:
            clashes.append((item, clash))
        others |= paths - clash
        if paths - clash:
            kept.append({**item, "fieldsV1": to_fields(paths - clash)})
    if clashes and not force:
        raise _conflicts(clashes)
    merged = _merge(clone(live), wanted, resource.schema)
    dropped = mine - want.keys() - others
    for path in sorted(dropped, key=lambda path: (path[-1] != ".", -len(path), path)):
        _remove(merged, path, resource.schema)
    if manager == _KUBECTL and (merged["metadata"].get("annotations") or {}).get(_LAST):
        merged["metadata"]["annotations"][_LAST] = _told(wanted)
    return Applied(merged, [mine_now, *kept])


def _told(wanted: Object) -> str:
    """What kubectl apply would note; the server keeps it up to date for kubectl alone (the same
    page, "Upgrading from client-side apply to server-side apply").
    """
    noted = clone(wanted)
    (noted["metadata"].get("annotations") or {}).pop(_LAST, None)
    return json.dumps(noted, separators=(",", ":"), sort_keys=True) + "\n"


def _changes_nothing(paths: set[Path], want: dict[Path, Any], have: dict[Path, Any]) -> bool:
    return paths == want.keys() and all(have.get(path) == value for path, value in want.items())


def _conflicts(clashes: list[tuple[Object, set[Path]]]) -> Refusal:
    lines = []
    causes = []
    for item, paths in clashes:
        who = f'"{item["manager"]}"'
        if item.get("subresource"):
            who += f' with subresource "{item["subresource"]}"'
        if item["operation"] == "Update":
            who += f" using {item['apiVersion']}"
        fields = [shown(path) for path in sorted(paths)]
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field}
            for field in fields
        ]
        lines.append(f"conflicts with {who}:\n" + "\n".join(f"- {field}" for field in fields))
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return Refusal(409, "Conflict", text, {"causes": causes})


def _merge(live: Any, wanted: Any, schema: Schema | None) -> Any:
    schema = resolve(schema)
    if isinstance(wanted, dict) and isinstance(live, dict):
        if schema.get("x-kubernetes-map-type") == "atomic":
            return clone(wanted)
        for name, value in wanted.items():
            live[name] = _merge(live.get(name), value, member(schema, name))
        return live
    if isinstance(wanted, list) and isinstance(live, list):
        kind = schema.get("x-kubernetes-list-type")
        if kind == "map":
            places = {_id(item, schema): place for place, item in enumerate(live)}
            for item in wanted:
                place = places.get(_id(item, schema))
                if place is None:
                    live.append(clone(item))
                else:
                    live[place] = _merge(live[place], item, schema.get("items"))
            return live
        if kind == "set":
            return live + [item for item in wanted if item not in live]
    return clone(wanted)


def _id(item: Object, schema: Schema) -> str:
    return json.dumps(item_key(item, schema), separators=(",", ":"))


def _remove(found: Any, path: Path, schema: Schema | None) -> None:
    schema = resolve(schema)
    step, rest = path[0], path[1:]
    body = step[2:]
    if step.startswith("f:") and isinstance(found, dict):
        if body not in found:
            return
        if not rest:
            del found[body]
            return
        _remove(found[body], rest, member(schema, body))
        if found[body] in ({}, []):
            del found[body]
    elif step.startswith("v:") and isinstance(found, list):
        found[:] = [item for item in found if json.dumps(item) != body]
    elif step.startswith("k:") and isinstance(found, list):
        for item in [item for item in found if _id(item, schema) == body]:
            if rest == (".",):
                found.remove(item)
            else:
                _remove(item, rest, schema.get("items"))

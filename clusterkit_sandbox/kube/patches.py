"""JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch.

Strategic merge: sig-api-machinery's "Strategic Merge Patch" note; which lists merge, and by which
key, is in the schema (``x-kubernetes-patch-strategy``, ``x-kubernetes-patch-merge-key``).
"""

from __future__ import annotations

from typing import Any

import jsonpatch

from clusterkit_sandbox.kube.kinds import Schema, member, resolve
from clusterkit_sandbox.kube.refusals import bad_request, patch_failed

_ORDER = "$setElementOrder/"
_DROP = "$deleteFromPrimitiveList/"


def json_patch(current: Any, operations: Any) -> Any:
    """The patched copy; ``Refusal`` 422 if an operation does not fit."""
    if not isinstance(operations, list):
        wrong = "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        raise bad_request(f"error decoding patch: {wrong}")
    try:
        return jsonpatch.apply_patch(current, operations)
    except jsonpatch.JsonPatchTestFailed as error:
        raise patch_failed() from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise patch_failed() from error


def merge_patch(current: Any, patch: Any) -> Any:
    """The merged copy; null removes a field."""
    if not isinstance(patch, dict):
        return patch
    found = dict(current) if isinstance(current, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merge_patch(found.get(name), value)
    return found


def strategic_merge_patch(current: Any, patch: Any, schema: Schema | None) -> Any:
    """The merged copy, lists merged where the schema says so."""
    if not isinstance(patch, dict) or not isinstance(current, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if directive == "delete":
        return {}
    schema = resolve(schema)
    found = dict(current)
    if "$retainKeys" in patch:
        found = {name: value for name, value in found.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name in ("$patch", "$retainKeys") or name.startswith(_ORDER):
            continue
        if name.startswith(_DROP):
            field = name[len(_DROP) :]
            found[field] = [item for item in found.get(field) or [] if item not in value]
            continue
        inner = resolve(member(schema, name))
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            found[name] = strategic_merge_patch(found.get(name) or {}, value, inner)
        elif isinstance(value, list) and "merge" in _strategy(inner):
            order = patch.get(_ORDER + name)
            found[name] = _merge_list(found.get(name) or [], value, inner, order)
        else:
            found[name] = value
    for name, order in patch.items():
        field = name.removeprefix(_ORDER)
        if name.startswith(_ORDER) and field not in patch and field in found:
            inner = resolve(member(schema, field))
            key = inner.get("x-kubernetes-patch-merge-key")
            found[field] = _sorted(found[field], order, found[field], key)
    return found


def _strategy(schema: Schema) -> str:
    return str(schema.get("x-kubernetes-patch-strategy", ""))


def _merge_list(have: list[Any], patch: list[Any], schema: Schema, order: Any) -> list[Any]:
    key = schema.get("x-kubernetes-patch-merge-key")
    if not key:
        found = have + [item for item in patch if item not in have]
        return _sorted(found, order or patch, have, None)
    found = list(have)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        found = []
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request(f"invalid patch: an item of a list merged by {key!r} is no object")
        if item.get("$patch") == "replace" and len(item) == 1:
            continue
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, old in enumerate(found) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del found[at]
        elif at is None:
            found.append(strategic_merge_patch({}, item, schema.get("items")))
        else:
            found[at] = strategic_merge_patch(found[at], item, schema.get("items"))
    return _sorted(found, order or patch, have, key)


def _sorted(items: list[Any], order: list[Any], before: list[Any], key: str | None) -> list[Any]:
    """What the client names in its order; each other item before the first of those that it stood
    before, else at the end (sig-api-machinery, "Preserve Order in Strategic Merge Patch").
    """

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted, places = [identity(item) for item in order], [identity(item) for item in before]
    named = sorted(
        (item for item in items if identity(item) in wanted),
        key=lambda item: wanted.index(identity(item)),
    )
    others = [item for item in items if identity(item) not in wanted]
    found = []
    for item in named:
        place = places.index(identity(item)) if identity(item) in places else -1
        while others and places.index(identity(others[0])) < place:
            found.append(others.pop(0))
        found.append(item)
    return found + others

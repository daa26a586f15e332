"""Label and field selectors (Kubernetes concepts, "Labels and Selectors", "Field Selectors")."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit_sandbox.kube.kinds import Object, Resource, table
from clusterkit_sandbox.kube.refusals import Refusal, bad_request

Match = Callable[[Object], bool]
_Lookup = Callable[[str], str | None]

_SET = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(r"([^=!]*?)\s*(!=|==|=)\s*(.*)")
_PARTS = re.compile(r",(?![^()]*\))")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@functools.cache
def _selectable() -> Mapping[str, frozenset[str]]:
    """Fields that may be selected besides metadata.name and metadata.namespace: the
    ``AddFieldLabelConversionFunc`` of each API group.
    """
    return {name: frozenset(paths.split()) for name, paths in table("selectable.tsv")}


_ELSEWHERE = {"source": "source.component", "status.successful": "status.succeeded"}
"""fields that are not called in a selector as in the object"""


def dig(found: Any, path: str) -> Any:
    """The value at a dotted path, None if there is none."""
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def selected(resource: Resource, labels: str, fields: str) -> Match:
    """Whether an object is meant by both selectors; ``Refusal`` 400 for one that cannot be read."""
    by_label, by_field = _parse(labels), _parse_fields(resource, fields)
    if not by_label and not by_field:
        return lambda _: True

    def match(found: Object) -> bool:
        has: dict[str, str] = found["metadata"].get("labels") or {}
        return all(test(has.get) for test in by_label) and all(
            test(lambda path: _text(found, path)) for test in by_field
        )

    return match


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """A ``LabelSelector`` object against labels; no selector matches nothing, an empty one all."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(requirement(item, labels) for item in selector.get("matchExpressions") or ())


def requirement(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """One ``matchExpressions`` item, of a label or a node selector."""
    value = labels.get(item["key"])
    values = item.get("values") or []
    match item["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and value.isdigit() and int(value) > int(values[0])
        case "Lt":
            return value is not None and value.isdigit() and int(value) < int(values[0])
        case _:
            return False


def _text(found: Object, path: str) -> str:
    value = dig(found, _ELSEWHERE.get(path, path))
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None and path in ("spec.unschedulable", "spec.hostNetwork"):
        return "false"
    return "" if value is None else str(value)


def _parse(text: str) -> list[Callable[[_Lookup], bool]]:
    if not text.strip():
        return []
    return [_test(part.strip(), text) for part in _PARTS.split(text)]


def _test(part: str, text: str) -> Callable[[_Lookup], bool]:
    if among := _SET.fullmatch(part):
        key, operator = among[1], among[2]
        values = {value.strip() for value in among[3].split(",")}
        return lambda get: (get(key) in values) is (operator == "in")
    if equal := _EQUAL.fullmatch(part):
        _check_key(equal[1], text)
        return _equals(*equal.groups())
    key = part.removeprefix("!").strip()
    _check_key(key, text)
    return lambda get: (get(key) is None) is part.startswith("!")


def _equals(key: str, sign: str, value: str) -> Callable[[_Lookup], bool]:
    return lambda get: (get(key) == value) is (sign != "!=")


def _check_key(key: str, text: str) -> None:
    if not _KEY.fullmatch(key):
        raise bad_request(
            f'unable to parse requirement: <nil>: Invalid value: "{key}": name part must consist of'
            " alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
            f" character (in {text!r})"
        )


def _parse_fields(resource: Resource, text: str) -> list[Callable[[_Lookup], bool]]:
    known = {"metadata.name", "metadata.namespace"} | _selectable().get(resource.stored_as, set())
    known |= {one["jsonPath"].removeprefix(".") for one in resource.declares("selectableFields")}
    tests: list[Callable[[_Lookup], bool]] = []
    for part in text.split(",") if text.strip() else ():
        equal = _EQUAL.fullmatch(part.strip())
        if equal is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if equal[1] not in known:
            raise _unknown_field(resource, equal[1])
        tests.append(_equals(*equal.groups()))
    return tests


def _unknown_field(resource: Resource, path: str) -> Refusal:
    if resource.custom or resource.stored_as in _selectable():
        return bad_request(f"field label not supported: {path}")
    only = '"metadata.name", "metadata.namespace"'
    return bad_request(f'"{path}" is not a known field selector: only {only}')

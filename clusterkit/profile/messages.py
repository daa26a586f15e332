"""pydantic's errors as findings with lines.

One wrong value gives one finding. pydantic's own messages never reach a user: every kind of error
the models can raise has its message here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clusterkit.errors import Finding
from clusterkit.profile.problems import Place, Refused, shown
from clusterkit.profile.yaml import Document, Fault, spelled


@dataclass(frozen=True)
class _Wrong:
    place: Place
    what: str
    hint: str = ""
    kind: str = ""


def findings(
    document: Document,
    error: ValidationError | None,
    model: type[BaseModel],
    others: Mapping[str, type[BaseModel]] = MappingProxyType({}),
) -> list[Finding]:
    """Every problem of a document, including YAML's faults, in the order of the lines.

    ``others`` are the models of the other clouds, to tell whose a key is that ``model`` lacks.
    """
    lines = [(fault.line, str(fault.place), _finding(document, fault)) for fault in document.faults]
    faulty = {fault.place for fault in document.faults}
    wrong = list(_wrong(document, error, model, others)) if error else []
    typos = {w.hint for w in wrong if w.kind == "extra_forbidden"}
    for w in wrong:
        if any(w.place[: len(place)] == place for place in faulty):
            continue
        if w.kind == "missing" and _meant(spelled(w.place[-1:])) in typos:
            continue
        # pydantic counts the items it could read: a list is also "too short" when an item is wrong
        if w.kind == "too_short" and any(
            other.place[: len(w.place)] == w.place and len(other.place) > len(w.place)
            for other in wrong
        ):
            continue
        fault = Fault(document.line(w.place), w.place, w.what, w.hint)
        lines.append((fault.line, str(w.place), _finding(document, fault)))
    return [finding for *_, finding in sorted(lines, key=lambda entry: entry[:2])]


def _finding(document: Document, fault: Fault) -> Finding:
    subject = f"{spelled(fault.place)}: {fault.what}" if fault.place else fault.what
    return Finding(subject, where=f"{document.path}:{fault.line}", hint=fault.hint)


def _wrong(
    document: Document,
    error: ValidationError,
    model: type[BaseModel],
    others: Mapping[str, type[BaseModel]],
) -> Iterator[_Wrong]:
    for details in error.errors(include_url=False):
        # a union adds the tag of the chosen member, such as <size>, which is no place in the file
        place = tuple(part for part in details["loc"] if not str(part).startswith("<"))
        reason = details.get("ctx", {}).get("error")
        if isinstance(reason, Refused):
            for problem in reason.problems:
                yield _Wrong((*place, *problem.place), problem.what, problem.hint)
        elif details["type"] == "extra_forbidden" and (
            owners := [name for name, other in others.items() if _has(other, place)]
        ):
            yield _foreign(place, owners, _at(model, place[:-1]))
        else:
            yield _explained(document, details, place, model)


_EXAMPLES: Mapping[Place, str] = {
    ("pools",): "add pools: [{name: default, machine: {cpu: 4, memory: 16}, count: 2}]"
}
"""of fields whose descriptions do not tell what to write"""


def _explained(
    document: Document, details: ErrorDetails, place: Place, model: type[BaseModel]
) -> _Wrong:
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        field = _fields(model, place[:-1]).get(str(place[-1]))
        return _Wrong(place, "is missing", _EXAMPLES.get(place, field or ""), kind)
    if kind == "extra_forbidden":
        return _unknown(place, _fields(model, place[:-1]), _at(model, place[:-1]))
    if given is None:
        return _Wrong(place, "is empty", "set a value, or remove the key")
    is_ = _is(document.raw(place), given)
    match kind:
        case "string_type":
            raw = document.raw(place)
            hint = f'write "{raw}", in quotes' if raw is not None and len(raw) < 60 else ""
            return _Wrong(place, f"must be text, {is_}", hint)
        case "int_type" | "int_from_float" | "int_parsing_size":
            hint = "write it without quotes" if _digits(given) else ""
            return _Wrong(place, f"must be a whole number, {is_}", hint)
        case "bool_type":
            return _Wrong(place, f"must be true or false, {is_}")
        case "tuple_type" | "list_type":
            raw = document.raw(place)
            return _Wrong(place, f"must be a list, {is_}", f"write [{raw}]" if raw else "")
        case "dict_type" | "model_type":
            keys = ", ".join(_fields(model, place))
            hint = f"its keys: {keys}" if keys else ""
            return _Wrong(place, f"must be a mapping (keys and values), {is_}", hint)
        case "literal_error":
            return _literal(place, str(context["expected"]), given, is_)
        case "greater_than_equal":
            return _Wrong(place, f"must be at least {context['ge']}, {is_}")
        case "less_than_equal":
            return _Wrong(place, f"must be at most {context['le']}, {is_}")
        case "too_short":
            least = context["min_length"]
            return _Wrong(place, f"needs at least {least}, has {len(given)}", kind=kind)
        case "string_too_short":
            return _Wrong(place, "is empty", "set a value")
        case "choice":
            return _Wrong(place, f"{context['words']}, {is_}")
        case _:
            return _Wrong(place, f"cannot be used here, {is_}")


def _literal(place: Place, expected: str, given: object, is_: str) -> _Wrong:
    single = " or " not in expected
    allowed = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    near = difflib.get_close_matches(given, allowed, 1) if isinstance(given, str) else []
    what = f"must be {expected}" if single else f"must be one of {expected}"
    return _Wrong(place, f"{what}, {is_}", f"did you mean {near[0]}?" if near else "")


def _meant(key: str) -> str:
    return f"did you mean '{key}'?"


def _unknown(place: Place, known: dict[str, str], model: type[BaseModel] | None) -> _Wrong:
    if today := getattr(model, "outdated", {}).get(place[-1]):
        return _Wrong(place, "is not a known key", today)
    near = difflib.get_close_matches(str(place[-1]), known, 1, cutoff=0.6)
    hint = _meant(near[0]) if near else f"known keys: {', '.join(known)}"
    return _Wrong(place, "is not a known key", hint, "extra_forbidden")


def _foreign(place: Place, owners: list[str], model: type[BaseModel] | None) -> _Wrong:
    """A key that was right until ``cloud`` was changed."""
    hint = f"remove it, or set cloud: {' or '.join(owners)} (docs/portability.md)"
    if today := getattr(model, "outdated", {}).get(place[-1]):
        hint = f"remove it, or write {today}"
    what = f"only {' and '.join(owners)} {'has' if len(owners) == 1 else 'have'} this field"
    return _Wrong(place, what, hint, "extra_forbidden")


def _has(model: type[BaseModel], place: Place) -> bool:
    return place[-1] in _fields(model, place[:-1])


def _is(raw: str | None, given: object) -> str:
    match given:
        case dict():
            return "is a mapping"
        case list() | tuple():
            return "is a list"
        case bool():
            return f"is {str(given).lower()}"
        case int() | float():
            return f"is the number {raw if raw is not None and len(raw) < 60 else given}"
        case _:
            return f"is {shown(given)}"


def _digits(given: object) -> bool:
    return isinstance(given, str) and given.isascii() and given.isdigit()


def _fields(model: type[BaseModel], place: Iterable[str | int]) -> dict[str, str]:
    """Names and descriptions of the fields of the model at a place below ``model``."""
    found = _at(model, place)
    if found is None:
        return {}
    return {name: field.description or "" for name, field in found.model_fields.items()}


def _at(model: type[BaseModel], place: Iterable[str | int]) -> type[BaseModel] | None:
    """The model at a place below ``model``."""
    found: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, int) or found is None:
            continue
        field = found.model_fields.get(part)
        found = next(_models(field.annotation), None) if field else None
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)

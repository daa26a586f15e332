"""IAM policies: whether their statements allow an action on a resource.

IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements" (Action, Resource, Principal,
Condition operators). A condition with an operator that is not here never holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, str]
"""condition keys and their values"""
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": lambda value, wanted: value == wanted,
    "stringequalsignorecase": lambda value, wanted: value.lower() == wanted.lower(),
    "stringlike": lambda value, wanted: fnmatchcase(value, _pattern(wanted)),
    "arnequals": lambda value, wanted: fnmatchcase(value, _pattern(wanted)),
    "arnlike": lambda value, wanted: fnmatchcase(value, _pattern(wanted)),
    "bool": lambda value, wanted: value.lower() == wanted.lower(),
}
_NEGATIVE = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}


def parsed(document: Any) -> dict[str, Any]:
    """A policy document, which may be text."""
    found: dict[str, Any] = json.loads(document) if isinstance(document, str) else document
    return found


def allows(
    documents: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Context,
    principal: tuple[str, str] | None = None,
) -> bool:
    """Whether a statement allows it and none denies it; ``resource`` is ``*`` for an action on
    none. ``principal`` is for trust policies: ``("Service", "pods.eks.amazonaws.com")``.
    """
    return decided(documents, action, resource, context, principal) == "Allow"


def decided(
    documents: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Context,
    principal: tuple[str, str] | None = None,
) -> str:
    """``Deny`` or ``Allow``, or nothing if no statement is about it."""
    keys = {key.lower(): value for key, value in context.items()}
    effects = {
        str(statement.get("Effect"))
        for document in documents
        for statement in _list(document.get("Statement"))
        if _acts(statement, action)
        and (_trusts(statement, principal) if principal else _covers(statement, resource))
        and all(_holds(*each, keys) for each in _conditions(statement))
    }
    return "Deny" if "Deny" in effects else next(iter(effects), "")


def _acts(statement: Mapping[str, Any], action: str) -> bool:
    def named(element: str) -> bool:
        patterns = (_pattern(str(one).lower()) for one in _list(statement[element]))
        return any(fnmatchcase(action.lower(), one) for one in patterns)

    if "Action" in statement:
        return named("Action")
    return "NotAction" in statement and not named("NotAction")


def _covers(statement: Mapping[str, Any], resource: str) -> bool:
    def named(element: str) -> bool:
        return any(fnmatchcase(resource, _pattern(str(one))) for one in _list(statement[element]))

    if "Resource" in statement:
        return named("Resource")
    return "NotResource" in statement and not named("NotResource")


def _trusts(statement: Mapping[str, Any], principal: tuple[str, str] | None) -> bool:
    given = statement.get("Principal")
    if given == "*" or principal is None:
        return True
    kind, name = principal
    return isinstance(given, dict) and name in map(str, _list(given.get(kind)))


def _conditions(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, wanted in keys.items():
            yield operator.lower(), key.lower(), [str(one) for one in _list(wanted)]


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    bare = operator.removeprefix("foranyvalue:").removeprefix("forallvalues:")
    optional = bare.endswith("ifexists")
    bare = bare.removesuffix("ifexists")
    value = context.get(key)
    if bare == "null":
        return (value is None) == (wanted[:1] == ["true"])
    if bare in _NEGATIVE:
        test = _OPERATORS[_NEGATIVE[bare]]
        return value is None or not any(test(value, one) for one in wanted)
    if bare not in _OPERATORS:
        return False
    if value is None:
        return optional or operator.startswith("forallvalues:")
    return any(_OPERATORS[bare](value, one) for one in wanted)


def _pattern(text: str) -> str:
    """IAM's wildcards are ``*`` and ``?`` only."""
    return text.replace("[", "[[]")


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

"""The rules of custom kinds: ``x-kubernetes-validations`` (Kubernetes documentation, "Extend the
Kubernetes API with CustomResourceDefinitions", "Validation rules"), in CEL.

Words and order: k8s.io/apiextensions-apiserver, ``pkg/apiserver/schema/cel/validation.go``. What
the library does not evaluate, as the functions that Kubernetes adds to the language, refuses
nothing.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clusterkit_sandbox.kube.kinds import Schema, member, resolve
from clusterkit_sandbox.kube.refusals import Cause

if TYPE_CHECKING:
    import cel

_LOG = logging.getLogger(__name__)
_RULES = "x-kubernetes-validations"
_OLD = re.compile(r"\boldSelf\b")
_REASONS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}


def broken(value: Any, schema: Schema | None, old: Any, path: str = "") -> Iterator[Cause]:
    """The rules that a value breaks, and those of its parts; ``old`` is what it was, None if it was
    not, which skips rules about changes.
    """
    schema = resolve(schema)
    for rule in schema.get(_RULES, ()):
        if old is not None or not _OLD.search(rule["rule"]):
            why = _judged(rule, {"self": value} | ({} if old is None else {"oldSelf": old}))
            if why:
                reason = rule.get("reason", "FieldValueInvalid")
                field = f"{path}{rule.get('fieldPath', '')}".lstrip(".") or "<nil>"
                yield Cause(field, reason, f"{_REASONS.get(reason, reason)}: {why}")
    if isinstance(value, dict):
        for name, inner in value.items():
            known = name in schema.get("properties", {})
            at = f"{path}.{name}".lstrip(".") if known else f"{path}[{name}]"
            before = old.get(name) if isinstance(old, dict) else None
            yield from broken(inner, member(schema, name), before, at)
    elif isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys", ())
        for index, item in enumerate(value):
            before = _same(item, old, keys) if keys else None
            yield from broken(item, schema.get("items"), before, f"{path}[{index}]")


def _same(item: Any, others: Any, keys: list[str]) -> Any:
    """What an item of a list that is a map was."""
    for other in others or ():
        if all(other.get(key) == item.get(key) for key in keys):
            return other
    return None


def _judged(rule: Mapping[str, Any], known: dict[str, Any]) -> str:
    """Why a rule is broken; empty if it is kept, or cannot be told."""
    told = str(rule.get("message") or f"failed rule: {rule['rule'].strip()}")
    try:
        kept = _program(rule["rule"]).execute(known)
        if kept is not False:
            return ""
        if rule.get("messageExpression"):
            return str(_program(rule["messageExpression"]).execute(known)) or told
    except KeyError as error:
        return f"no such key: {error.args[0]} evaluating rule: {told}"
    except (ValueError, TypeError, RuntimeError, IndexError, OverflowError) as error:
        _LOG.warning("the CEL rule %r is not evaluated: %s", rule["rule"], error)
        return ""
    return told


@functools.lru_cache(maxsize=1024)
def _program(expression: str) -> cel.Program:
    # only who has such rules pays for the import
    import cel

    return cel.compile(expression)

"""Queries and bodies as sent, checked against the published description and given their types.

Names of members and values of enums are taken in any case, as the services' JSON readers take them.
What only answers have is dropped. Services differ in what they say of the rest: Kubernetes Service
refuses a member it does not know (Azure/AKS#4060; words: Azure/azure-rest-api-specs#40740), and so
do Resource Manager, Compute and the network provider (their words: those of the JSON reader they
share, in public logs of Terraform); the others are not known to mind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from clusterkit_sandbox.azure import model
from clusterkit_sandbox.azure.failure import Failure, refusal
from clusterkit_sandbox.azure.model import Asked
from clusterkit_sandbox.kit import wire
from clusterkit_sandbox.kit.shape import Operation, Problem, Reader, Shape

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-(preview|alpha|beta|privatepreview))?")
_LENIENT = frozenset(
    {
        "authorization", "containerregistry", "dns", "keyvault", "locks", "managedidentity",
        "storage",
    }
)  # fmt: skip
_INT = re.compile(r"-?[0-9]{1,19}")
_GO: Mapping[str, str] = {
    "array": "[]string",
    "boolean": "bool",
    "integer": "int32",
    "map": "map[string]string",
    "number": "float64",
    "object": "struct",
    "string": "string",
}


def version(request: wire.Request) -> str:
    """The api-version of a request; ``Failure`` for none or a bad one."""
    given = next((v for k, v in request.query if k.lower() == "api-version"), "")
    if not given:
        raise refusal("MissingApiVersionParameter")
    if not _VERSION.fullmatch(given):
        raise refusal("InvalidApiVersionParameter", given=given)
    return given


def read(request: wire.Request, asked: Asked) -> dict[str, Any]:
    """The operation's parameters, its body as ``body``; ``Failure`` for what is wrong with them.

    A preview version may have members that the stable description lacks: they are let through.
    """
    operation = asked.described
    lenient = asked.service in _LENIENT or "-" in version(request)[10:]
    reader = _Reader(asked, lenient=lenient)
    found, problems = wire.gathered(operation, asked.path, _query(request, operation), {})
    found.pop("body", None)
    problems = [one for one in problems if one.place != ""]
    reader.read({name: found[name] for name in found}, operation.of("path", "query"))
    for problem in [*problems, *reader.problems]:
        _refuse_name(problem, asked)
    reader.problems = []
    if operation.whole:
        shape = operation.parameters.fields["body"].shape
        body = reader.meant(_body(request), shape)
        found["body"] = reader.read(body, shape)
        for problem in reader.problems:
            raise _refused(problem, asked)
    return found


def _query(request: wire.Request, operation: Operation) -> dict[str, str]:
    known = {name.lower(): name for name in operation.of("query").fields}
    return {known[k.lower()]: v for k, v in request.query if k.lower() in known}


def _body(request: wire.Request) -> Any:
    if not request.body.strip():
        return {}
    try:
        return wire.parsed(request.body)
    except ValueError as error:
        raise refusal("InvalidRequestContent#json", error=error) from None


def _refuse_name(problem: Problem, asked: Asked) -> None:
    """Refuse a name in the path, or a value in the query."""
    if problem.rule in ("enum", "unknown"):
        return
    text = f"The value '{problem.value}' of '{problem.place}' is invalid"
    if problem.wanted is not None:
        text += f": it must match '{problem.wanted}'"
    raise Failure("InvalidParameter" if asked.service == "containerservice" else "BadRequest", text)


class _Reader(Reader):
    """Lets unknown members go where nobody minds them."""

    def __init__(self, asked: Asked, *, lenient: bool) -> None:
        super().__init__(model.descriptions()[asked.service].names)
        self._lenient = lenient

    def meant(self, value: Any, shape: Shape) -> Any:
        """The value with the names and types of its shape, as far as it can be meant."""
        shape = self.resolved(shape)
        if shape.kind == "object" and isinstance(value, dict):
            known = {name.lower(): name for name in shape.fields}
            found = {}
            for name, one in value.items():
                called = known.get(name.lower())
                if called is not None:
                    found[called] = self.meant(one, shape.fields[called].shape)
                elif not self._lenient:
                    found[name] = one
            return found
        if shape.kind == "array" and isinstance(value, list) and shape.item is not None:
            return [self.meant(one, shape.item) for one in value]
        if shape.kind == "map" and isinstance(value, dict) and shape.item is not None:
            # a null takes a member away
            return {k: self.meant(v, shape.item) for k, v in value.items() if v is not None}
        if shape.enum and isinstance(value, str):
            # an empty text leaves the choice to the service: az sends some
            return next((e for e in shape.enum if e.lower() == value.lower()), value or None)
        if shape.kind == "integer" and isinstance(value, float) and value.is_integer():
            return int(value)
        return value


def _refused(problem: Problem, asked: Asked) -> Failure:
    name = problem.place.rpartition(".")[2]
    value = json.dumps(problem.value)[:120]
    if problem.rule == "missing" and name == "location":
        return refusal("LocationRequired")
    if asked.service == "containerservice":
        return _kubernetes(problem, name, value)
    if problem.rule == "unknown":
        kind = asked.template.rpartition("/")[0].rpartition("/")[2]
        why = f"Could not find member '{name}' on object of type '{kind}'. Path '{problem.place}'."
    elif problem.rule == "missing":
        why = f"Required property '{name}' not found in JSON. Path '{problem.place}'."
    else:
        why = f"Error converting value {value}. Path '{problem.place}'."
    if asked.service == "network":
        detail = {"code": "InvalidJson", "message": why}
        return refusal("InvalidRequestFormat", details=[detail])
    if asked.service == "compute":
        return Failure("BadRequest", why, target=problem.place)
    return refusal("InvalidRequestContent", why=why)


def _kubernetes(problem: Problem, name: str, value: str) -> Failure:
    if problem.rule == "unknown":
        return refusal("UnmarshalError#unknown", name=name)
    if problem.rule == "missing":
        return refusal("InvalidParameter#missing", target=problem.place, place=problem.place)
    if problem.rule == "type":
        return refusal(
            "UnmarshalError#type",
            word=_word(problem.value),
            place=problem.place,
            go=_GO.get(str(problem.wanted), "string"),
        )
    return refusal("InvalidParameter#value", target=problem.place, place=problem.place, value=value)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    words = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return words.get(type(value), "null")

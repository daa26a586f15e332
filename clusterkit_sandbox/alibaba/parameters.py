"""Parameters as sent, checked against the published description and given their types.

The vendor's gateway ignores parameters it does not know; the sandbox refuses them with
``Sandbox.UnknownParameter``, because a misspelt parameter that does nothing is the one mistake no
other answer shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.request import Request
from clusterkit_sandbox.kit.shape import EMPTY, Operation, Place, Problem, Reader, Shape
from clusterkit_sandbox.kit.wire import gathered, nested, typed

_RPC_OWN = frozenset(
    {
        "AccessKeyId",
        "Action",
        "Format",
        "OwnerAccount",
        "OwnerId",
        "RegionId",
        "ResourceOwnerAccount",
        "ResourceOwnerId",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureNonce",
        "SignatureType",
        "SignatureVersion",
        "Timestamp",
        "Version",
    }
)
"""What the gateway itself takes with every RPC request (vendor: "Common parameters")."""
_ROA_OWN = frozenset({"RegionId"})
"""The old SDK puts this into every query."""


def read(request: Request, operation: Operation) -> dict[str, Any]:
    """The operation's parameters; ``Failure`` for the first that is unknown, missing or wrong."""
    if operation.style == "RPC":
        return _rpc(request, operation)
    query = {k: v for k, v in _nested(dict(request.query)).items() if k not in _ROA_OWN}
    sent, problems = gathered(operation, {}, query, request.json())
    for problem in problems:
        raise _refusal(problem)
    found: dict[str, Any] = {}
    for place in _PLACES:
        fields = operation.of(place)
        part = {name: value for name, value in sent.items() if name in fields.fields}
        # the backend's own code for what is missing in a body is not documented
        # in lists that are a whole body the vendor asks for empty texts: GrantPermissions
        empty = (None,) if place == "body" and operation.whole else EMPTY
        found |= _checked(part, fields, missing if place == "query" else _missing_in_body, empty)
    return found


_PLACES: tuple[Place, ...] = ("query", "body")


def _rpc(request: Request, operation: Operation) -> dict[str, Any]:
    fields = operation.parameters.fields
    sent = {
        name: value
        for name, value in _nested(request.flat).items()
        if name in fields or name not in _RPC_OWN
    }
    problems: list[Problem] = []
    meant = typed(sent, operation.parameters, "", problems)
    for problem in problems:
        raise _refusal(problem)
    return _checked(meant, operation.parameters, missing)


def _checked(
    sent: dict[str, Any],
    shape: Shape,
    missing: Callable[[str], Failure],
    empty: tuple[object, ...] = EMPTY,
) -> dict[str, Any]:
    reader = Reader({}, empty)
    found: dict[str, Any] = reader.read(sent, shape)
    for problem in reader.problems:
        raise missing(problem.place) if problem.rule == "missing" else _refusal(problem)
    return found


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    try:
        return nested(flat)
    except ValueError as error:
        message = f"The specified parameter {error} is not valid."
        raise bad("InvalidParameter", message) from None


def _missing_in_body(place: str) -> Failure:
    return bad("MissingParameter", f"{place} is mandatory for this action.")


def _refusal(problem: Problem) -> Failure:
    if problem.rule == "unknown":
        return bad(
            "Sandbox.UnknownParameter",
            f"{problem.place} is not a parameter of this operation in the published API"
            " description; the vendor would ignore it silently.",
        )
    if not problem.place:
        return bad("InvalidParameter", "The request body must be a JSON object.")
    return bad(
        "InvalidParameter",
        f"The specified parameter {problem.place} is not valid: {problem.wanted} is needed, not"
        f" {problem.value!r:.80}.",
    )

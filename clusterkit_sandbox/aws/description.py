"""A rest-json service on the server side, from botocore's model: route, parse, validate, write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clusterkit_sandbox.aws.refusals import invalid
from clusterkit_sandbox.kit.published import Botocore
from clusterkit_sandbox.kit.shape import Operation, Problem, Reader
from clusterkit_sandbox.kit.wire import Routes, gathered, rendered, texts

_KINDS = {"object": "structure", "array": "list"}
"""botocore's words for types, where they are not ours"""
_CONSTRAINTS = {
    "type": "be a {}",
    "least": "have a length or value of at least {}",
    "most": "have a length or value of at most {}",
    "enum": "satisfy enum value set: [{}]",
    "pattern": "satisfy regular expression pattern: {}",
}


class Description:
    """A rest-json service: EKS."""

    def __init__(self, service: str) -> None:
        import botocore.session

        model = botocore.session.get_session().get_service_model(service)
        self._published = Botocore(model)
        self.operation = lru_cache(self._published.operation)
        self._routes = Routes[str]()
        for name in model.operation_names:
            http = model.operation_model(name).http
            self._routes.add(http["method"], http["requestUri"].split("?")[0], name)

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation for a raw (still encoded) path, and the path's parameters."""
        found = self._routes.find(method, path)
        return (self.operation(found[0]), found[1]) if found else None

    def parse(
        self, operation: Operation, path: Mapping[str, str], query: str, body: bytes
    ) -> dict[str, Any]:
        """The parameters; ``InvalidParameterException`` if the model does not allow them."""
        try:
            sent = json.loads(body) if body else {}
        except ValueError as error:
            raise invalid(f"the body is not JSON: {error}") from error
        asked, problems = gathered(operation, path, texts(query), sent)
        reader = Reader(self._published.names)
        found: dict[str, Any] = reader.read(asked, operation.parameters)
        wrong = [_worded(problem) for problem in (*problems, *reader.problems)]
        if wrong:
            raise invalid("; ".join(sorted(wrong)))
        return found

    def answer(self, operation: Operation, value: dict[str, Any]) -> bytes:
        """The output's members as JSON; members that the model does not have are left out."""
        shape = operation.answer
        return json.dumps(rendered(value, shape, self._published.names) if shape else {}).encode()


def _worded(problem: Problem) -> str:
    wanted: Any = problem.wanted
    if problem.rule == "unknown":
        return f"Unknown member '{problem.place}'"
    if problem.rule == "missing":
        return (
            f"Value null at '{problem.place}' failed to satisfy constraint: Member must not be null"
        )
    if problem.rule == "enum":
        wanted = ", ".join(wanted)
    constraint = _CONSTRAINTS[problem.rule].format(_KINDS.get(str(wanted), wanted))
    return f"Value at '{problem.place}' failed to satisfy constraint: Member must {constraint}"

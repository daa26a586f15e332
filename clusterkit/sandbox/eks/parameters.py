"""Requests to moto's services, checked against botocore's description before moto sees them.

Moto takes what it does not know in silence; AWS refuses it. Formats: the ``ec2`` and ``query``
protocols flatten parameters (``TagSpecification.1.Tag.1.Key``), ``json`` sends an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from clusterkit.sandbox.eks.refusals import Refusal
from clusterkit.sandbox.emulator import Answer, Environ

Paged = Callable[[Answer, int | None], Answer]
COMMON = {"Action", "Version"}


class Parameters:
    """The descriptions of the services moto answers for."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def warm(self) -> None:
        """Load the large ones."""
        for service in ("ec2", "iam", "ecr"):
            self._model(service)

    def _model(self, service: str) -> Any:
        if service not in self._models:
            import botocore.session

            session = botocore.session.get_session()
            self._models[service] = session.get_service_model(service)
        return self._models[service]

    def check(self, operation: str, environ: Environ, body: bytes) -> Paged:
        """``Refusal`` for what the description does not allow; returns how the answer is paged."""
        service, _, name = operation.partition(":")
        if service not in ("ec2", "iam", "ecr", "sts", "elb", "elbv2", "logs"):
            raise Refusal("NotImplemented", f"{service} is not in the sandbox", 501)
        model = self._model(service)
        if name not in model.operation_names:
            code = (
                "InvalidAction" if service in ("ec2", "iam", "sts") else "UnknownOperationException"
            )
            raise Refusal(code, f"The action {name} is not valid for this web service.", 400)
        shape = model.operation_model(name).input_shape
        if "HTTP_X_AMZ_TARGET" in environ:
            self._check_json(shape, json.loads(body or b"{}"))
        else:
            pairs = dict(parse_qsl(body.decode(), keep_blank_values=True))
            self._check_flat(service, shape, pairs)
        return _whole

    def _check_json(self, shape: Any, sent: dict[str, Any]) -> None:
        known = shape.members if shape else {}
        unknown = sorted(set(sent) - set(known))
        missing = [n for n in (shape.required_members if shape else []) if sent.get(n) is None]
        if unknown:
            raise Refusal("ValidationException", f"Unknown parameter: {', '.join(unknown)}", 400)
        if missing:
            raise Refusal(
                "InvalidParameterException",
                f"Invalid parameter at '{missing[0]}' failed to satisfy constraint: 'Member must "
                "not be null'",
                400,
            )

    def _check_flat(self, service: str, shape: Any, sent: dict[str, str]) -> None:
        ec2 = service == "ec2"
        keys = set(sent) - COMMON
        known: dict[str, Any] = {}
        for name, member in (shape.members if shape else {}).items():
            known[_wire(name, member, ec2=ec2)] = (name, member)
        for key in sorted(keys):
            head = key.partition(".")[0]
            if head not in known:
                code = "UnknownParameter" if ec2 else "ValidationError"
                raise Refusal(code, f"The parameter {head} is not recognized", 400)
            self._check_value(known[head][1], key, sent[key], ec2=ec2)
        heads = {key.partition(".")[0] for key in keys}
        for name in shape.required_members if shape else []:
            if _wire(name, shape.members[name], ec2=ec2) not in heads:
                code = "MissingParameter" if ec2 else "ValidationError"
                raise Refusal(code, f"The request must contain the parameter {name}", 400)

    def _check_value(self, shape: Any, key: str, value: str, *, ec2: bool) -> None:
        """Follow the dotted key into the shape, and check the scalar at its end."""
        for part in key.split(".")[1:]:
            if shape.type_name == "list":
                if part.isdigit():
                    shape = shape.member
                elif part != (shape.member.serialization.get("name") or "member"):
                    return
            elif shape.type_name == "structure":
                inner = {_wire(n, m, ec2=ec2): m for n, m in shape.members.items()}
                if part not in inner:
                    code = "UnknownParameter" if ec2 else "ValidationError"
                    raise Refusal(code, f"The parameter {key} is not recognized", 400)
                shape = inner[part]
            else:
                return
        kind, enum = shape.type_name, shape.metadata.get("enum")
        code = "InvalidParameterValue" if ec2 else "ValidationError"
        if kind in ("integer", "long") and not re.fullmatch(r"-?\d+", value):
            raise Refusal(code, f"Value ({value}) for parameter {key} is invalid.", 400)
        if kind == "boolean" and value.lower() not in ("true", "false"):
            raise Refusal(code, f"Value ({value}) for parameter {key} is invalid.", 400)
        if kind == "string" and enum and value not in enum:
            raise Refusal(code, f"Value ({value}) for parameter {key} is invalid.", 400)


def _wire(name: str, member: Any, *, ec2: bool) -> str:
    """The name on the wire: EC2 has ``queryName``, or the serialised name with a capital."""
    serialization = member.serialization
    if ec2:
        if found := serialization.get("queryName"):
            return str(found)
        found = str(serialization.get("name") or name)
        return found[:1].upper() + found[1:]
    if member.type_name == "list" and serialization.get("flattened"):
        return str(member.member.serialization.get("name") or name)
    return str(serialization.get("name") or name)


def _whole(answer: Answer, _: int | None) -> Answer:
    return answer

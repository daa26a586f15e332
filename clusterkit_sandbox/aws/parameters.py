"""Requests to moto's services, checked against botocore's description before moto sees them.

Moto takes what it does not know in silence; AWS refuses it. Formats: the ``ec2`` and ``query``
protocols flatten parameters (``TagSpecification.1.Tag.1.Key``), ``json`` sends an object.
"""

from __future__ import annotations

import html
import json
import re
import threading
from typing import Any
from urllib.parse import parse_qsl

from clusterkit_sandbox.answer import Environ
from clusterkit_sandbox.aws import paging
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.kit.shape import expression

COMMON = {"Action", "Version"}
TAGGED = {
    "AllocateAddress": "elastic-ip",
    "CreateInternetGateway": "internet-gateway",
    "CreateKeyPair": "key-pair",
    "CreateLaunchTemplate": "launch-template",
    "CreateNatGateway": "natgateway",
    "CreateNetworkInterface": "network-interface",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVolume": "volume",
    "CreateVpc": "vpc",
    "ImportKeyPair": "key-pair",
}
"""resource types that can be tagged on creation, by operation"""


_KMS = frozenset({
    "CancelKeyDeletion", "CreateAlias", "CreateGrant", "CreateKey", "DeleteAlias", "DescribeKey",
    "DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation", "GetKeyPolicy",
    "GetKeyRotationStatus", "ListAliases", "ListGrants", "ListKeys", "ListResourceTags",
    "PutKeyPolicy", "RevokeGrant", "ScheduleKeyDeletion", "TagResource", "UntagResource",
    "UpdateAlias", "UpdateKeyDescription",
})  # fmt: skip
"""what the keys of clusters and volumes need; nothing is encrypted here"""


_INVALID = {"service-quotas": "IllegalArgumentException"}
"""how JSON services refuse a value, where it is not InvalidParameterException"""


class Parameters:
    """Validates requests to the services that moto implements."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, Any] = {}
        self._paginators: dict[str, Any] = {}
        self._filters: dict[str, frozenset[str]] = {}

    def warm(self) -> None:
        """Load the large models."""
        for service in ("ec2", "iam", "ecr"):
            self._model(service)

    def _model(self, service: str) -> Any:
        with self._lock:
            if service not in self._models:
                import botocore.session

                session = botocore.session.get_session()
                self._paginators[service] = session.get_paginator_model(service)
                self._models[service] = session.get_service_model(service)
            return self._models[service]

    def check(
        self, operation: str, environ: Environ, body: bytes, forced: int | None
    ) -> tuple[paging.Page | None, bytes]:
        """``Refusal`` for what the description does not allow.

        Returns how the answer is to be cut, if it is a list, and the body for moto. ``forced`` is
        the longest page, whatever was asked for.
        """
        service, _, name = operation.partition(":")
        if service not in (
            "autoscaling", "ec2", "iam", "ecr", "sts", "elb", "elbv2", "kms", "logs", "ssm",
            "resourcegroupstaggingapi", "service-quotas",
        ):  # fmt: skip
            raise Refusal("NotImplemented", f"{service} is not in the sandbox", 501)
        model = self._model(service)
        if name not in model.operation_names:
            code = (
                "InvalidAction" if service in ("ec2", "iam", "sts") else "UnknownOperationException"
            )
            raise Refusal(code, f"The action {name} is not valid for this web service.", 400)
        if service == "kms" and name not in _KMS:
            raise Refusal("NotImplemented", f"{operation} is not in the sandbox", 501)
        shape = model.operation_model(name).input_shape
        if "HTTP_X_AMZ_TARGET" in environ:
            code = _INVALID.get(service, "InvalidParameterException")
            self._check_json(shape, json.loads(body or b"{}"), code)
        else:
            pairs = dict(parse_qsl(body.decode(), keep_blank_values=True))
            self._check_flat(service, shape, pairs)
            if service == "ec2":
                self._check_ec2(name, shape, pairs)
        try:
            rules = self._paginators[service].get_paginator(name)
        except ValueError:
            rules = {"input_token": "NextToken", "output_token": "NextToken"}
            output = model.operation_model(name).output_shape
            lists = [n for n, m in (output.members if output else {}).items()
                     if m.type_name == "list"]  # fmt: skip
            if service != "ec2" or not name.startswith("Describe") or len(lists) != 1:
                return None, body
            rules["result_key"] = lists[0]
        return paging.plan(service, rules, model.operation_model(name).output_shape, body, forced)

    def _check_ec2(self, name: str, shape: Any, sent: dict[str, str]) -> None:
        """Rules that the model states only in its documentation."""
        known = self._known_filters(name, shape)
        asked = paging.filters(sent)
        for one in asked if known else ():
            if one not in known and not (one.startswith("tag:") and "tag-key" in known):
                raise Refusal("InvalidParameterValue", f"The filter '{one}' is invalid", 400)
        if wanted := TAGGED.get(name):
            for key, value in sent.items():
                if re.fullmatch(r"TagSpecifications?\.\d+\.ResourceType", key) and value != wanted:
                    raise Refusal(
                        "InvalidParameterValue",
                        f"'{value}' is not a valid taggable resource type for this operation.",
                        400,
                    )
        for key, value in sent.items():
            if re.search(r"Tag\.\d+\.Key$", key) and value.lower().startswith("aws:"):
                raise Refusal(
                    "InvalidParameterValue",
                    "Tag keys starting with 'aws:' are reserved for internal use",
                    400,
                )
        if sent.get("DryRun", "").lower() == "true":
            raise Refusal(
                "DryRunOperation",
                "Request would have succeeded, but DryRun flag is set.",
                412,
            )

    def _known_filters(self, name: str, shape: Any) -> frozenset[str]:
        """The filters documented for an operation; empty if none are."""
        if name not in self._filters:
            members = shape.members if shape else {}
            text = "".join(members[n].documentation for n in ("Filters", "Filter") if n in members)
            self._filters[name] = frozenset(
                html.unescape(found) for found in re.findall(r"<code>(.*?)</code>", text)
            )
        return self._filters[name]

    def _check_json(self, shape: Any, sent: dict[str, Any], code: str) -> None:
        known = shape.members if shape else {}
        unknown = sorted(set(sent) - set(known))
        missing = [n for n in (shape.required_members if shape else []) if sent.get(n) is None]
        if unknown:
            raise Refusal("ValidationException", f"Unknown parameter: {', '.join(unknown)}", 400)
        if missing:
            raise Refusal(
                code,
                f"Invalid parameter at '{missing[0]}' failed to satisfy constraint: 'Member must "
                "not be null'",
                400,
            )
        for name, value in sent.items():
            if value is not None:
                self._check_limits(known[name], name, value, code)

    def _check_limits(self, shape: Any, key: str, value: Any, code: str) -> None:
        """Length, range and pattern of a scalar, worded as IAM and the JSON services do."""
        rules, kind = shape.metadata, shape.type_name
        size = len(value) if kind == "string" and isinstance(value, str) else value
        what = None
        if kind in ("string", "integer", "long") and isinstance(size, int):
            length = "have length" if kind == "string" else "have value"
            if "max" in rules and size > rules["max"]:
                what = f"{length} less than or equal to {rules['max']}"
            if "min" in rules and size < rules["min"]:
                what = f"{length} greater than or equal to {rules['min']}"
        if kind == "string" and what is None and isinstance(value, str):
            pattern = expression(rules.get("pattern", ""))
            if pattern is not None and not pattern.fullmatch(value):
                what = f"satisfy regular expression pattern: {rules['pattern']}"
            if rules.get("enum") and value not in rules["enum"]:
                what = f"satisfy enum value set: [{', '.join(rules['enum'])}]"
        if what is not None:
            start = key[:1].lower() + key[1:]
            raise Refusal(
                code,
                f"1 validation error detected: Value '{value}' at '{start}' failed to satisfy "
                f"constraint: Member must {what}",
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
        """Resolve the dotted key within the shape and check the scalar."""
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
        if not ec2:
            number = kind in ("integer", "long")
            self._check_limits(shape, key, int(value) if number else value, code)
        elif key == "MaxResults":
            _check_page(shape.metadata, value)


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


def _check_page(rules: dict[str, int], value: str) -> None:
    for bound, low in (("min", True), ("max", False)):
        wrong = bound in rules and (int(value) < rules[bound] if low else int(value) > rules[bound])
        if wrong:
            raise Refusal(
                "InvalidParameterValue",
                f"Value ( {value} ) for parameter maxResults is invalid. Expecting a value "
                f"{'greater' if low else 'less'} than {rules[bound]}.",
                400,
            )

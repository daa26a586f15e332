"""The vendor's bytes for a row, and what the driver makes of them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Protocol
from xml.sax.saxutils import escape

from botocore.awsrequest import HeadersDict
from botocore.exceptions import ClientError
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import ERRORS as ALIBABA
from clusterkit.eks.errors import translate
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError
from clusterkit.kube.api import Access
from tests.facts.rows import Fact
from tests.unit.loopback import Loopback

REQUEST = "11111111-2222-3333-4444-555555555555"
KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "key", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}
ANY_AWS = (
    ("ec2", "DescribeVpcs"),
    ("ec2", "CreateVpc"),
    ("eks", "DescribeCluster"),
    ("iam", "GetRole"),
    ("ecr", "DescribeRepositories"),
)
ANY_ALIBABA = (("vpc", "DescribeVpcs"), ("ecs", "DescribeDisks"), ("cs", "DescribeClusterDetail"))
REST = {"cs": "CS"}
WORDS = "The request was refused."


class Driver(Protocol):
    """What a driver makes of a row: an error for each operation it is tried on."""

    def __call__(self, fact: Fact) -> list[ClusterkitError]: ...


# -- AWS -----------------------------------------------------------------------------------------


@cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


def aws(fact: Fact) -> list[ClusterkitError]:
    """Through botocore's own parser for the operation."""
    operations = [pair for pair in ANY_AWS if fact.service in ("*", pair[0])]
    if fact.name != "*":
        operations = [(fact.service, fact.name)]
    return [_aws(fact, service, name) for service, name in operations]


def _aws(fact: Fact, service: str, name: str) -> ClusterkitError:
    model = _model(service)
    protocol = model.resolved_protocol
    answer = {
        "body": _body(protocol, fact).encode(),
        "headers": HeadersDict(
            {"x-amzn-requestid": REQUEST}
            | ({"x-amzn-errortype": fact.code} if protocol == "rest-json" else {})
        ),
        "status_code": fact.status or 400,
    }
    shape = model.operation_model(name).output_shape
    parsed: Any = create_parser(protocol).parse(answer, shape)
    return translate(ClientError(parsed, name))


def _body(protocol: str, fact: Fact) -> str:
    code, message = escape(fact.code), escape(fact.message or WORDS)
    match protocol:
        case "ec2":
            error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            return f"<Response><Errors>{error}</Errors><RequestID>{REQUEST}</RequestID></Response>"
        case "query":
            error = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
            return (
                f"<ErrorResponse><Error>{error}</Error>"
                f"<RequestId>{REQUEST}</RequestId></ErrorResponse>"
            )
        case "json":
            kind = f"com.amazonaws#{fact.code}"
            return json.dumps({"__type": kind, "message": fact.message or WORDS})
        case "rest-json":
            return json.dumps({"message": fact.message or WORDS})
        case _:
            raise AssertionError(f"nobody has written errors of the protocol {protocol} here")


# -- Alibaba Cloud -------------------------------------------------------------------------------


def alibaba(server: Loopback) -> Driver:
    """Through the vendor's SDK, over TLS, from a server that says what the row says."""

    def nowhere(_: Clients) -> Access:
        raise AssertionError("no Kubernetes here")

    target = Target("alibaba", "demo", "ap-southeast-1")
    clients = Clients(target, CloudConnection(server.proxy, server.ca_file, KEY), nowhere)

    def drive(fact: Fact) -> list[ClusterkitError]:
        if fact.playable == "task":
            operation = f"{fact.service.upper()}.{fact.name}"
            return [ALIBABA.classify(fact.code, 0, fact.message or WORDS, operation, REQUEST)]
        operations = [pair for pair in ANY_ALIBABA if fact.service in ("*", pair[0])]
        if fact.name != "*":
            operations = [(fact.service, fact.name)]
        elif not operations:
            operations = [(fact.service, "DescribeAny")]
        return [_alibaba(server, clients, fact, *pair) for pair in operations]

    return drive


def _alibaba(
    server: Loopback, clients: Clients, fact: Fact, service: str, name: str
) -> ClusterkitError:
    message = fact.message or WORDS
    status = fact.status or 400
    said = {"Code": fact.code, "Message": message, "RequestId": REQUEST}
    if service == "cs":
        said = {"message": message, "requestId": REQUEST}
        if fact.code:
            said["code"] = fact.code
    elif service == "cr" and fact.status is None:
        said["IsSuccess"] = False  # type: ignore[assignment]
        status = 200
    server.answer = lambda heard: (status, json.dumps(said).encode())
    try:
        if service == "cs":
            clients.cs(name, "POST", "/clusters", {})
        else:
            clients.rpc(service, name)
    except ClusterkitError as error:
        return error
    raise AssertionError(f"{fact.where}: the driver took the refusal for a success")

"""The vendor's bytes for a row, and what the driver makes of them."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Protocol
from xml.sax.saxutils import escape

from botocore.awsrequest import HeadersDict
from botocore.exceptions import ClientError
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from clusterkit.aks import errors as aks
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import ERRORS as ALIBABA
from clusterkit.eks.errors import translate
from clusterkit.engine.operation import Failed, Operation
from clusterkit.engine.rest import Answer as Rest
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError
from clusterkit.gke import client as gke
from clusterkit.gke.container import METHODS
from clusterkit.gke.operations import compute_operation, container_operation, long_running
from clusterkit.kube.api import Access
from tests.facts.rows import Fact
from tests.unit.loopback import Answer, Heard, Loopback

REQUEST = "11111111-2222-3333-4444-555555555555"
KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "key", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}
ANY_AWS = (
    ("ec2", "DescribeVpcs"),
    ("ec2", "CreateVpc"),
    ("eks", "DescribeCluster"),
    ("iam", "GetRole"),
    ("ecr", "DescribeRepositories"),
    ("s3", "CreateBucket"),
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
            {"x-amzn-requestid": REQUEST, "x-amz-request-id": REQUEST}
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
        case "rest-xml":
            said = f"<Code>{code}</Code><Message>{message}</Message>"
            return f"<Error>{said}<RequestId>{REQUEST}</RequestId></Error>"
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
    clients = Clients(
        target, CloudConnection(server.proxy, server.ca_file, KEY, scale=0.0), nowhere
    )

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


# -- Google Cloud --------------------------------------------------------------------------------

TOKENS = "oauth2.googleapis.com"
LOGIN = {
    "type": "authorized_user",
    "client_id": "id",
    "client_secret": "secret",
    "refresh_token": "refresh",
}
ANY_GCP = (
    ("compute", "networks.insert"),
    ("compute", "subnetworks.patch"),
    ("container", "projects.locations.clusters.create"),
    ("container", "projects.locations.clusters.update"),
    ("iam", "projects.serviceAccounts.create"),
    ("cloudresourcemanager", "projects.get"),
    ("artifactregistry", "projects.locations.repositories.create"),
    ("serviceusage", "services.batchEnable"),
    ("storage", "buckets.insert"),
    ("storage", "buckets.get"),
)
STATUSES = {
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}
"""canonical codes with their numbers (google/rpc/code.proto)"""
RPC = "type.googleapis.com/google.rpc."
PARENT = "projects/demo/locations/europe-west1-b"


def gcp(server: Loopback) -> Driver:
    """Through the REST client, or the vendor's SDK for GKE, over TLS, from a server that says what
    the row says; of an operation, in the answer to the question how far it is.
    """

    def nowhere(_: gke.Clients) -> Access:
        raise AssertionError("no Kubernetes here")

    login = server.ca_file.with_name("login.json")
    login.write_text(json.dumps(LOGIN))
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(login), "GOOGLE_CLOUD_PROJECT": "demo"}
    connection = CloudConnection(server.proxy, server.ca_file, environ, scale=0.0)
    clients = gke.Clients(Target("gke", "demo", "europe-west1"), connection, nowhere)

    def drive(fact: Fact) -> list[ClusterkitError]:
        drive_one = _operation if fact.playable == "task" else _call
        operations = [pair for pair in ANY_GCP if fnmatchcase(".".join(pair), fact.operation)]
        if "*" not in fact.operation:
            operations = [(fact.service, fact.name)]
        assert operations, f"{fact.where}: no operation to try it on"
        return [drive_one(server, clients, fact, *pair) for pair in operations]

    return drive


def _answering(server: Loopback, status: int, body: object) -> None:
    def answer(heard: Heard) -> Answer:
        if heard.host == TOKENS:
            return 200, json.dumps({"access_token": "token", "expires_in": 3600}).encode()
        return status, json.dumps(body).encode()

    server.answer = answer


def _call(
    server: Loopback, clients: gke.Clients, fact: Fact, service: str, name: str
) -> ClusterkitError:
    status = fact.status or 400
    _answering(server, status, {"error": _google_error(fact, status)})
    try:
        if service == "container":
            method = {operation: sdk for sdk, operation in METHODS.items()}
            clients.container(method[name.removeprefix("projects.locations.")], _request(name))
        else:
            reads = name.endswith((".get", ".list"))
            clients.call(service, name, "GET" if reads else "POST", "projects/demo")
    except ClusterkitError as error:
        return error
    raise AssertionError(f"{fact.where}: the driver took the refusal for a success")


def _google_error(fact: Fact, status: int) -> dict[str, Any]:
    """``error.status``, ``error.errors[].reason`` or an ``ErrorInfo``, by the form of the code."""
    message = fact.message or WORDS
    details = [{"@type": f"{RPC}RequestInfo", "requestId": REQUEST}]
    said: dict[str, Any] = {"code": status, "message": message, "details": details}
    for code in filter(None, fact.codes):
        if code in STATUSES:
            said["status"] = code
        elif code.isupper():
            details.append({"@type": f"{RPC}ErrorInfo", "reason": code})
        else:
            said["errors"] = [{"domain": "global", "message": message, "reason": code}]
    return said


def _request(name: str) -> dict[str, Any]:
    cluster = f"{PARENT}/clusters/demo"
    match name.removeprefix("projects.locations.").split("."):
        case ["clusters", "create"]:
            return {"parent": PARENT, "cluster": {"name": "demo"}}
        case ["clusters", "nodePools", "create"]:
            return {"parent": cluster, "nodePool": {"name": "default"}}
        case ["clusters", "nodePools", _]:
            return {"name": f"{cluster}/nodePools/default"}
        case _:
            return {"name": cluster}


def _operation(
    server: Loopback, clients: gke.Clients, fact: Fact, service: str, name: str
) -> ClusterkitError:
    """What comes of an operation that has ended so."""
    message, asked = fact.message or WORDS, f"{service}.{name}"
    began: Operation[gke.Clients]
    ended: dict[str, Any]
    match service:
        case "compute":
            self_link = "https://www.googleapis.com/compute/v1/projects/demo/global/operations/o"
            began = compute_operation({"selfLink": self_link}, asked)
            ended = {"error": {"errors": [{"code": fact.code, "message": message}]}}
        case "container":
            began = container_operation(clients, "europe-west1-b", {"name": "o"}, asked)
            ended = {"error": {"code": 2, "message": message}, "statusMessage": message}
            if fact.code:  # the conditions have GKE's own codes
                ended["clusterConditions"] = [{"code": fact.code, "message": message}]
        case _:
            began = long_running(service, {"name": "operations/o"}, asked)
            ended = {"done": True, "error": {"code": STATUSES[fact.code], "message": message}}
    _answering(server, 200, {"name": "o", "status": "DONE", **ended})
    outcome = began.poll(Scope(clients, "demo", "europe-west1"))
    assert isinstance(outcome, Failed), f"{fact.where}: {outcome}"
    return outcome.error


# -- Azure ---------------------------------------------------------------------------------------

ANY_AZURE = ("Microsoft.Network/virtualNetworks PUT", "Microsoft.Compute/disks GET")


def azure(fact: Fact) -> list[ClusterkitError]:
    """As the REST client hears it: AKS's own refusals have no envelope."""
    operation = fact.operation
    if "/" not in operation.partition(" ")[0]:  # ``any PUT``
        found = [each for each in ANY_AZURE if operation.endswith(each.partition(" ")[2])]
        return [_azure(fact, each) for each in found or ANY_AZURE]
    return [_azure(fact, operation)]


def _azure(fact: Fact, operation: str) -> ClusterkitError:
    told: dict[str, object] = {"code": fact.code, "message": fact.message or WORDS}
    if operation.startswith("Microsoft.ContainerService"):
        body = {**told, "subcode": "", "details": None}
    else:
        body = {"error": told}
    headers = {"x-ms-request-id": REQUEST}
    return aks.refusal(Rest(fact.status or 400, json.dumps(body).encode(), headers, operation))

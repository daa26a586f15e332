"""Trouble with credentials and connections, as boto3 itself raises it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ClientError

from clusterkit.eks.client import Clients, Connections
from clusterkit.eks.errors import ERRORS, call, translate
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Busy,
    ClusterkitError,
    CredentialsError,
    Denied,
    Propagating,
    Rejected,
    ServerError,
)
from clusterkit.kube.api import Access

ALPHA = "[alpha]\naws_access_key_id = a\naws_secret_access_key = b\n"


def absent(clients: Clients) -> Access:
    raise AssertionError("nobody asked for the cluster")


def who(profile: str | None = None, region: str = "eu-west-1") -> ClusterkitError:
    """What asking for one's own identity ends in; the tests let nothing leave the machine."""
    clients = Clients(Target("eks", "demo", region, profile), CloudConnection(), absent)
    with pytest.raises(ClusterkitError) as caught:
        call(clients.sts.get_caller_identity)
    return caught.value


@pytest.mark.parametrize(
    ("text", "profile", "what", "hint"),
    [
        ("", None, "there are no AWS credentials", "aws configure"),
        (ALPHA, "nope", "could not be found", "there are the profiles alpha: "),
        ("", "nope", "could not be found", "there are no profiles: aws configure"),
        ("[alpha\nbroken", "alpha", "Unable to parse config file", "mend that file"),
        ("[alpha]\naws_access_key_id = a\n", "alpha", "Partial credentials", "aws configure"),
        ("[alpha]\nsource_profile = alpha\nrole_arn = r\n", "alpha", "credential", "aws configure"),
    ],
    ids=["none", "another profile", "no profiles", "broken file", "half a key", "loop"],
)
def test_credentials_are_never_a_bug(
    text: str, profile: str | None, what: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(text)
    error = who(profile)
    assert isinstance(error, CredentialsError)
    assert what in str(error)
    assert hint in error.hint


def test_a_program_that_gives_no_credentials() -> None:
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "config").write_text("[profile proc]\ncredential_process = /bin/false\n")
    error = who("proc")
    assert isinstance(error, CredentialsError)
    assert "custom-process" in str(error)


MFA = (
    "[profile base]\naws_access_key_id = a\naws_secret_access_key = b\n"
    "[profile dev]\nrole_arn = arn:aws:iam::123456789012:role/Dev\nsource_profile = base\n"
    "mfa_serial = arn:aws:iam::123456789012:mfa/me\nregion = eu-west-1\n"
)


def nobody(_: str) -> str:
    raise EOFError


@pytest.mark.parametrize("ask", [None, nobody], ids=["as kubectl", "no terminal"])
def test_a_code_that_nobody_can_give(ask: Callable[[str], str] | None) -> None:
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "config").write_text(MFA)
    wire = CloudConnection(ask=ask)
    with pytest.raises(CredentialsError) as caught:
        Clients(Target("eks", "demo", "eu-west-1", "dev"), wire, absent).sts.get_caller_identity()
    assert "arn:aws:iam::123456789012:mfa/me" in str(caught.value)
    assert "aws sts get-caller-identity" in caught.value.hint


class Sts(BaseHTTPRequestHandler):
    """AssumeRole, as STS answers a right code (AWS STS API Reference, AssumeRole)."""

    codes: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert asked["Action"] == ["AssumeRole"]
        self.codes += asked["TokenCode"]
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = "<AccessKeyId>c</AccessKeyId><SecretAccessKey>d</SecretAccessKey>"
        keys += f"<SessionToken>e</SessionToken><Expiration>{end}</Expiration>"
        body = (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>"
            "</AssumeRoleResponse>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_code_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The AWS CLI's cache is read and written: the second process needs no code."""
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "config").write_text(MFA)
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "123456"

    server = HTTPServer(("127.0.0.1", 0), Sts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
    Sts.codes.clear()
    for _ in range(2):
        target = Target("eks", "demo", "eu-west-1", "dev")
        found = Connections(target, CloudConnection(ask=answer)).session().get_credentials()
        assert found is not None
        assert found.get_frozen_credentials().token == "e"
    server.shutdown()
    server.server_close()
    assert len(asked) == 1
    assert Sts.codes == ["123456"]
    assert list((folder / "cli" / "cache").iterdir())


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    error = who(region="eu-wast-1")
    assert isinstance(error, ServerError)
    assert "HTTPS_PROXY" in error.hint
    assert "region" in error.hint


@pytest.mark.parametrize(
    ("operation", "code", "message", "kind"),
    [
        (
            "CreateCluster",
            "InvalidParameterException",
            "The subnet ID 'subnet-1' does not exist (Service: AmazonEC2; Status Code: 400)",
            Rejected,
        ),
        (
            "CreateAccessEntry",
            "InvalidParameterException",
            "The specified principalArn is invalid: invalid principal",
            Rejected,
        ),
        (
            "CreateNodegroup",
            "InvalidRequestException",
            "The role with name demo-nodes cannot be found. (Service: AmazonIdentityManagement)",
            Propagating,
        ),
        (
            "CreateNodegroup",
            "ResourceInUseException",
            "Cannot create nodegroup because cluster demo currently has an update in progress",
            Busy,
        ),
        (
            "ReleaseAddress",
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
            CredentialsError,
        ),
    ],
)
def test_where_only_the_text_tells(
    operation: str, code: str, message: str, kind: type[Exception]
) -> None:
    """A typo is final; a role that IAM does not show yet is not."""
    assert type(ERRORS.classify(code, 400, message, operation)) is kind


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "User: u is not authorized to perform: iam:PassRole on resource: r",
            "the credentials need the IAM permission for iam:PassRole",
        ),
        (
            "User: u is not authorized to perform: eks:CreateCluster on resource: r with an "
            "explicit deny in a service control policy",
            "a service control policy denies eks:CreateCluster: ask who administers that policy",
        ),
    ],
)
def test_the_permission_that_is_missing_is_named(text: str, hint: str) -> None:
    told = {"Error": {"Code": "AccessDeniedException", "Message": text}}
    error = translate(ClientError(cast("Any", told), "CreateNodegroup"))
    assert isinstance(error, Denied)
    assert error.hint == hint


def test_a_region_that_the_account_has_not_enabled() -> None:
    text = "The security token included in the request is invalid."
    error = ERRORS.classify("UnrecognizedClientException", 400, text, "DescribeCluster")
    assert "aws account enable-region" in error.hint


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SignatureDoesNotMatch", "Signature expired: T1 is now earlier than T2 (T3 - 15 min.)"),
        ("InvalidSignatureException", "Signature not yet current: T1 is still later than T2"),
        ("RequestTimeTooSkewed", "The difference between the times is too large."),
    ],
)
def test_a_clock_that_is_wrong_is_told_as_such(code: str, message: str) -> None:
    error = ERRORS.classify(code, 403, message, "GetCallerIdentity")
    assert isinstance(error, CredentialsError)
    assert "clock is wrong" in error.hint

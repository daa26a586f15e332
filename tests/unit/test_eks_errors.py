"""Trouble with credentials and connections, as boto3 itself raises it."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import ERRORS, call
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Busy,
    ClusterkitError,
    CredentialsError,
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

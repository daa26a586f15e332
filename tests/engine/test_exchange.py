"""What an observer may write down: everything but secrets."""

from __future__ import annotations

import base64
import json

import pytest

from clusterkit.engine.exchange import REDACTED, Exchange, redacted

SECRET = "s3cr3t-planted"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "body",
    [
        {"Credentials": {"AccessKeyId": SECRET, "SecretAccessKey": SECRET, "SessionToken": SECRET}},
        {"SecurityToken": SECRET},
        {"config": f"apiVersion: v1\nusers: [{{token: {SECRET}}}]"},
        {"authorizationData": [{"authorizationToken": SECRET}]},
        {"LaunchTemplateData.UserData": base64.b64encode(SECRET.encode()).decode()},
        {"login_password": SECRET},
        {"kind": "Secret", "data": {"a": SECRET}},
        {"kind": "SecretList", "items": [{"data": {"a": SECRET}}, {"stringData": {"a": SECRET}}]},
        {"KeyMaterial": KEY},
        {"text": KEY},
        {"status": {"token": SECRET}},
        {"note": f"see https://sts.amazonaws.com/?Action=X&X-Amz-Signature={SECRET}&b=c"},
        {"note": f"Signature={SECRET}&AccessKeyId={SECRET}"},
        f"k8s-aws-v1.{base64.urlsafe_b64encode(SECRET.encode()).decode()}".encode(),
        json.dumps({"deep": json.dumps({"password": SECRET})}),
        {"masterAuth": {"clientKey": base64.b64encode(SECRET.encode()).decode()}},
        {"assertion": SECRET, "signedJwt": SECRET},
        {"note": f"Bearer ya29.c.{SECRET}"},
        {"note": f"1//0{SECRET}"},
        {"metadata": {"kind": "compute#metadata", "items": [{"key": "kube-env", "value": SECRET}]}},
        [f"eyJhbGciOiJub25lIn0.{base64.urlsafe_b64encode(SECRET.encode()).decode()}.x"],
    ],
)
def test_secrets_are_left_out(body: object) -> None:
    text = json.dumps(redacted(body))
    assert SECRET not in text
    assert base64.b64encode(SECRET.encode()).decode().rstrip("=") not in text
    assert REDACTED in text or "redacted" in text


def test_the_rest_stays() -> None:
    body = {"nextToken": "page-2", "name": "demo", "size": 3, "on": True, "tags": [{"Key": "a"}]}
    assert redacted(body) == body
    assert redacted(b'{"clientRequestToken": "t-1"}') == {"clientRequestToken": "t-1"}
    pages = {"nextPageToken": "page-2", "pageToken": "page-1"}
    assert redacted(pages) == pages
    pool = {"config": {"metadata": {"ssh-keys": "me:ssh-ed25519 AAAA"}}}
    assert redacted(pool) == pool
    assert redacted({"secretRef": {"name": "pull"}}) == {"secretRef": {"name": "pull"}}


def test_urls_and_errors_are_safe_as_soon_as_they_are_there() -> None:
    asked = Exchange(
        "before", "oss", "Get", False, "GET", f"https://me:{SECRET}@host/x?Signature={SECRET}&a=b"
    )
    assert asked.url == f"https://host/x?Signature={REDACTED}&a=b"
    answered = asked.answered(403, error=f"InvalidToken: AccessKeyId={SECRET} is unknown")
    assert SECRET not in answered.error
    assert SECRET not in repr(answered)
    assert answered.number == asked.number
    assert answered.phase == "after"


def test_a_secret_is_known_by_its_path_too() -> None:
    url = "https://host/api/v1/namespaces/default/secrets/pull"
    patch = {"data": {"a": SECRET}}
    asked = Exchange("before", "kubernetes", "PATCH", True, "PATCH", url, sent=patch)
    assert asked.request() == {"data": REDACTED}

"""From ACK's temporary kubeconfig to what kubectl and our own client use."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from clusterkit import alibaba
from clusterkit.alibaba.access import EARLY
from clusterkit.cli.kubeconfig import _status
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Absent, CloudError
from clusterkit.kube import issued
from clusterkit.kube.api import Credential
from tests.unit.loopback import Heard, Loopback, loopback

TARGET = Target("alibaba", "demo", "ap-southeast-1")
ENVIRON = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}
EXPIRES = "2026-11-23T10:00:00Z"


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(**user: str) -> str:
    """As DescribeClusterUserKubeconfig gives it."""
    cluster = {"server": "https://47.0.0.1:6443", "certificate-authority-data": data("CA")}
    pair = {"client-certificate-data": data("CERT"), "client-key-data": data("KEY")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubernetes", "cluster": cluster}],
        "users": [{"name": "2112", "user": user or pair}],
    }
    return yaml.safe_dump(document)


class Account:
    """A cluster in an account, as far as access needs it."""

    def __init__(self) -> None:
        self.state = "running"
        self.tags = [{"key": "clusterkit-cluster", "value": "demo"}]
        self.endpoint = "https://47.0.0.1:6443"
        self.asked: list[dict[str, list[str]]] = []

    def __call__(self, heard: Heard) -> tuple[int, bytes]:
        url = urlsplit(heard.path)
        cluster = {
            "cluster_id": "c1",
            "name": "demo",
            "state": self.state,
            "tags": self.tags,
            "current_version": "1.35.7-aliyun.1",
            "master_url": json.dumps({"api_server_endpoint": self.endpoint}),
        }
        answers: dict[str, Any] = {
            "/api/v1/clusters": {"clusters": [cluster], "page_info": {"total_count": 1}},
            "/clusters/c1": cluster,
            "/k8s/c1/user_config": {"config": config(), "expiration": EXPIRES},
        }
        if url.path == "/k8s/c1/user_config":
            self.asked.append(parse_qs(url.query))
        return 200, json.dumps(answers.get(url.path, {})).encode()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def server(tmp_path: Path, account: Account) -> Iterator[Loopback]:
    with loopback(tmp_path, account) as found:
        yield found


def connect(server: Loopback) -> Any:
    return alibaba.connect(TARGET, CloudConnection(server.proxy, server.ca_file, ENVIRON))


def test_access_is_for_an_hour_and_ends_early(server: Loopback, account: Account) -> None:
    found = alibaba.access(connect(server), TARGET)
    assert (found.server, found.ca) == ("https://47.0.0.1:6443", "CA")
    assert (found.client_certificate, found.client_key) == ("CERT", "KEY")
    assert (found.token, found.proxy) == (None, server.proxy)
    assert "GrantPermissions" in found.rights
    assert found.until == datetime(2026, 11, 23, 10, tzinfo=UTC) - EARLY
    (asked,) = account.asked
    assert asked["TemporaryDurationMinutes"] == ["60"]
    assert asked["PrivateIpAddress"] == ["false"]
    assert "KEY" not in repr(found)


def test_without_a_public_address_it_is_the_private_one(server: Loopback, account: Account) -> None:
    account.endpoint = ""
    alibaba.access(connect(server), TARGET)
    assert account.asked[0]["PrivateIpAddress"] == ["true"]


def test_a_cluster_that_is_made_or_not_ours_is_absent(server: Loopback, account: Account) -> None:
    account.state = "initial"
    with pytest.raises(Absent):
        alibaba.access(connect(server), TARGET)
    account.state, account.tags = "running", []
    with pytest.raises(Absent):
        alibaba.access(connect(server), TARGET)
    assert not account.asked


@pytest.mark.parametrize(("minutes", "asked"), [(None, "60"), (240, "240")])
def test_kubectl_gets_a_certificate(
    server: Loopback, account: Account, minutes: int | None, asked: str
) -> None:
    found = alibaba.credential(connect(server), TARGET, minutes)
    assert account.asked[0]["TemporaryDurationMinutes"] == [asked]
    assert _status(found) == {
        "clientCertificateData": "CERT",
        "clientKeyData": "KEY",
        "expirationTimestamp": EXPIRES,
    }
    assert "KEY" not in repr(found)


def test_or_a_token() -> None:
    found = Credential(datetime(2026, 11, 23, 10, tzinfo=UTC), token="t")
    assert _status(found) == {"token": "t", "expirationTimestamp": EXPIRES}
    assert "token='t'" not in repr(found)


@pytest.mark.parametrize("text", ["", "a: [", "clusters: []", config(token="secret-token"), "- 1"])
def test_what_is_no_kubeconfig_is_not_quoted(text: str) -> None:
    with pytest.raises(CloudError) as caught:
        issued.access(text, "X", proxy=None, until=datetime.now(UTC))
    assert "secret-token" not in str(caught.value)
    assert caught.value.__cause__ is None

"""Credentials of every kind that the vendor's own tools take."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from clusterkit.alibaba import providers
from clusterkit.alibaba.credentials import Source, find, keyring
from clusterkit.alibaba.key import Key
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import CredentialsError
from tests.unit.loopback import Heard, Loopback, loopback
from tests.unit.test_alibaba_clients import AK, TOKEN, clients, configure

TEMPORARY = {"AccessKeyId": "STS.1", "AccessKeySecret": "x", "SecurityToken": TOKEN}
UNTIL = {"Expiration": "2999-01-01T00:00:00Z"}
ROLE = "acs:ram::1:role/x"
PROVIDER = "acs:ram::1:oidc-provider/ack"


def key_of(environ: dict[str, str], name: str | None = None) -> Key:
    """The key that the driver would sign with."""
    source = find(name, environ)
    return source.asked() if source.asked else source.key


@contextmanager
def plain(answers: dict[str, Any]) -> Iterator[str]:
    """A server that speaks HTTP without TLS, and takes the place of a proxy too; its address."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(urlsplit(self.path).path)
            body = found if isinstance(found, str) else json.dumps(found)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_GET

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """STS, where the library finds it by ``HTTPS_PROXY`` and trusts it."""
    asked = {"Credentials": {**TEMPORARY, **UNTIL}}
    with loopback(tmp_path, lambda heard: (200, json.dumps(asked).encode())) as found:
        monkeypatch.setenv("HTTPS_PROXY", found.proxy)
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(found.ca_file))
        monkeypatch.setattr("requests.adapters._preloaded_ssl_context", None, raising=False)
        yield found


def sent(heard: Heard) -> dict[str, str]:
    query = dict(parse_qsl(urlsplit(heard.path).query))
    return {**query, **{k: v[0] for k, v in parse_qs(heard.body.decode()).items()}}


@pytest.mark.parametrize(
    ("key", "secret", "token"),
    [
        *(
            (f"{begin}_ACCESS_KEY_ID", f"{begin}_ACCESS_KEY_SECRET", f"{begin}_SECURITY_TOKEN")
            for begin in ("ALIBABA_CLOUD", "ALIBABACLOUD", "ALICLOUD")
        ),
        ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"),
    ],
)
def test_a_key_by_the_names_of_each_tool(key: str, secret: str, token: str) -> None:
    assert key_of({key: "LTAI", secret: "s"}) == Key("LTAI", "s")
    assert key_of({key: "STS", secret: "s", token: "t"}) == Key("STS", "s", "t")
    for one, other in ((key, secret), (secret, key)):
        with pytest.raises(CredentialsError, match=f"{other} is not set"):
            find(None, {one: "x"})


def test_names_of_two_tools_are_not_mixed() -> None:
    environ = {"ALICLOUD_ACCESS_KEY": "a", "ALICLOUD_SECRET_KEY": "b"}
    both = {**environ, "ALIBABA_CLOUD_ACCESS_KEY_ID": "c", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "d"}
    assert key_of(both) == Key("c", "d")


@pytest.mark.parametrize(
    "name", ["ALIBABACLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE", "ALICLOUD_PROFILE"]
)
def test_a_profile_by_the_names_of_each_tool(name: str) -> None:
    configure(Path.home(), AK, {**AK, "name": "ci", "access_key_id": "LTAICi"})
    assert key_of({name: "ci"}).id == "LTAICi"
    assert key_of({name: ""}).id == "LTAIFile"


def test_a_pod_or_pipeline_has_a_role_for_its_token(vendor: Loopback, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a.b.c")
    environ = dict(zip(providers.OIDC, (ROLE, PROVIDER, str(file)), strict=True))
    configure(Path.home(), AK)  # less than what the environment says
    source = find(None, environ)
    assert source.asked is not None
    assert [source.asked() for _ in range(2)] == [Key("STS.1", "x", TOKEN)] * 2
    [heard] = vendor.heard  # kept until it ends
    asked = sent(heard)
    assert (asked["Action"], asked["RoleArn"]) == ("AssumeRoleWithOIDC", ROLE)
    assert (asked["OIDCProviderArn"], asked["OIDCToken"]) == (PROVIDER, "a.b.c")
    assert asked["RoleSessionName"] == "clusterkit"


def test_profiles_of_roles(vendor: Loopback, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a.b.c")
    oidc = {
        "name": "oidc",
        "mode": "OIDC",
        "ram_role_arn": ROLE,
        "oidc_provider_arn": PROVIDER,
        "oidc_token_file": str(file),
    }
    chain = {
        "name": "chain",
        "mode": "ChainableRamRoleArn",
        "source_profile": "oidc",
        "ram_role_arn": "acs:ram::2:role/y",
        "ram_session_name": "me",
        "sts_region": "ap-southeast-1",
    }
    configure(Path.home(), AK, oidc, chain)
    assert key_of({}, "chain") == Key("STS.1", "x", TOKEN)
    assert [sent(each)["Action"] for each in vendor.heard] == ["AssumeRoleWithOIDC", "AssumeRole"]


def test_single_sign_on(vendor: Loopback) -> None:
    sso = {
        "name": "sso",
        "mode": "CloudSSO",
        "cloud_sso_sign_in_url": "https://signin-x.alibabacloudsso.com/start/login",
        "cloud_sso_account_id": "1",
        "cloud_sso_access_config": "ac-1",
        "access_token": "t",
        "cloud_sso_access_token_expire": 4102444800,
    }
    configure(Path.home(), sso)
    cloud = {"CloudCredential": {**TEMPORARY, **UNTIL}}
    vendor.answer = lambda heard: (200, json.dumps(cloud).encode())
    assert key_of({}, "sso") == Key("STS.1", "x", TOKEN)
    assert vendor.heard[0].host == "signin-x.alibabacloudsso.com"
    configure(Path.home(), {**sso, "cloud_sso_access_token_expire": 1})
    with pytest.raises(
        CredentialsError, match=r"profile 'sso' \(mode CloudSSO\) gave no"
    ) as caught:
        key_of({}, "sso")
    assert "aliyun configure" in caught.value.hint


def test_a_program_of_the_users(tmp_path: Path) -> None:
    program = tmp_path / "keys.py"
    program.write_text(
        'print(\'{"mode": "StsToken", "access_key_id": "STS.2", "access_key_secret": "y",'
        ' "sts_token": "t", "expiration": "2999-01-01T00:00:00Z"}\')'
    )
    external = {
        "name": "mine",
        "mode": "External",
        "process_command": f"{sys.executable} {program}",
    }
    configure(Path.home(), external)
    assert key_of({}, "mine") == Key("STS.2", "y", "t")


def test_an_address_in_the_environment_or_in_a_profile() -> None:
    with plain({"/keys": {"Code": "Success", **TEMPORARY, **UNTIL}}) as address:
        assert key_of({providers.URI: f"{address}/keys"}) == Key("STS.1", "x", TOKEN)
        uri = {"name": "uri", "mode": "CredentialsURI", "credentials_uri": f"{address}/keys"}
        configure(Path.home(), uri)
        assert key_of({}, "uri") == Key("STS.1", "x", TOKEN)


def test_the_role_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product = tmp_path / "product_name"
    monkeypatch.setattr(providers, "PRODUCT", product)
    at, role = "/latest/meta-data/ram/security-credentials/", {**TEMPORARY, **UNTIL}
    pages = {"/latest/api/token": "t", at: "nodes", f"{at}nodes": {"Code": "Success", **role}}
    with pytest.raises(CredentialsError, match="there are no Alibaba Cloud credentials"):
        find(None, {})
    product.write_text(f"{providers.ECS}\n")
    with plain(pages) as address:
        monkeypatch.setenv("HTTP_PROXY", address)
        assert key_of({}) == Key("STS.1", "x", TOKEN)
        configure(Path.home(), {"name": "ecs", "mode": "EcsRamRole", "ram_role_name": "nodes"})
        assert key_of({}, "ecs") == Key("STS.1", "x", TOKEN)
    (Path.home() / ".aliyun" / "config.json").unlink()
    with pytest.raises(CredentialsError, match="there are no Alibaba Cloud credentials"):
        find(None, {providers.NO_ECS: "true"})


def test_the_library_repeats_no_secret() -> None:
    answer = {"Code": "Success", "AccessKeyId": "STS.1", "AccessKeySecret": "hidden"}
    failed = pytest.raises(CredentialsError, match="gave no credentials")
    with plain({"/keys": answer}) as address, failed as caught:
        key_of({providers.URI: f"{address}/keys"})
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


def test_what_is_asked_signs_the_calls(server: Loopback) -> None:
    program = Path.home() / "keys.py"
    program.write_text(
        'print(\'{"mode": "AK", "access_key_id": "LTAI5", "access_key_secret": "y"}\')'
    )
    command = f"{sys.executable} {program}"
    configure(Path.home(), {"name": "default", "mode": "External", "process_command": command})
    clients(server, environ={}).vpc("DescribeVpcs")
    assert sent(server.heard[0])["AccessKeyId"] == "LTAI5"


def test_a_sandbox_is_asked_for_nothing_else(vendor: Loopback) -> None:
    given = dict(zip(providers.OIDC, (ROLE, PROVIDER, "/x"), strict=True))
    wire = CloudConnection(vendor.proxy, vendor.ca_file, given)
    current = keyring(Target("alibaba", "demo", "ap-southeast-1"), wire, _unasked)
    with pytest.raises(CredentialsError, match="the sandbox gave no credentials"):
        current()
    assert not vendor.heard


def _unasked(_: Source) -> Any:
    raise AssertionError("there is no role to assume")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, lambda heard: (200, b"{}")) as found:
        yield found

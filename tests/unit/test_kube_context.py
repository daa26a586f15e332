"""How a cluster of a kubeconfig is reached."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit.errors import ClusterkitError, CredentialsError, UsageError
from clusterkit.kube.api import Access
from clusterkit.kube.context import Context

SERVER = "https://api.example.test:6443"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    """A kubeconfig with one context."""
    where = {"server": SERVER, "certificate-authority-data": encoded("CA"), **(cluster or {})}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "demo",
        "clusters": [{"name": "c", "cluster": where}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "demo", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(body))
    return path


def access(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Access:
    return Context([write(path / "config", user, cluster)])()


def command(path: Path, text: str) -> dict[str, Any]:
    """An ``exec`` stanza that runs this Python."""
    program = path / "plugin.py"
    program.write_text(text)
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(program)],
        "env": [{"name": "GREETING", "value": "hello"}],
        "provideClusterInfo": True,
    }


def credential(**status: str) -> str:
    whole = {"kind": "ExecCredential", "status": status}
    return f"import json, os\nprint(json.dumps({whole!r}))\n"


def test_a_token(tmp_path: Path) -> None:
    found = access(tmp_path, {"token": "t"}, {"proxy-url": "http://proxy.example.test"})
    assert (found.server, found.ca, found.proxy) == (SERVER, "CA", "http://proxy.example.test")
    assert found.token is not None
    assert [found.token(), found.token()] == ["t", "t"]


def test_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    for name in ("token", "ca", "crt", "key"):
        (tmp_path / name).write_text(f"{name.upper()}\n")
    found = access(
        tmp_path,
        {"tokenFile": "token", "client-certificate": "crt", "client-key": "key"},
        {"certificate-authority-data": None, "certificate-authority": "ca"},
    )
    assert found.token is not None
    assert (found.ca, found.token()) == ("CA\n", "TOKEN")
    assert (found.client_certificate, found.client_key) == ("CRT\n", "KEY\n")
    (tmp_path / "token").write_text("NEW\n")
    assert found.token() == "NEW"


def test_a_command(tmp_path: Path) -> None:
    text = (
        "import json, os\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = os.environ['GREETING'] + ' ' + info['spec']['cluster']['server']\n"
        "print(json.dumps({'status': {'token': token}}))\n"
    )
    found = access(tmp_path, {"exec": command(tmp_path, text)})
    assert found.token is not None
    assert [found.token(), found.token()] == [f"hello {SERVER}"] * 2


def test_a_command_gives_a_certificate(tmp_path: Path) -> None:
    text = credential(clientCertificateData="CRT", clientKeyData="KEY")
    found = access(tmp_path, {"exec": command(tmp_path, text)})
    assert (found.token, found.client_certificate, found.client_key) == (None, "CRT", "KEY")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys\nsys.exit('please log in')\n", "gave no credential: please log in"),
        ("print('hello')\n", "printed no ExecCredential"),
    ],
)
def test_a_command_that_fails(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CredentialsError, match=words):
        access(tmp_path, {"exec": command(tmp_path, text)})


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    stanza = {"command": "no-such-plugin", "installHint": "install it from example.test"}
    with pytest.raises(CredentialsError, match="no-such-plugin cannot be run") as caught:
        access(tmp_path, {"exec": stanza})
    assert caught.value.hint == "install it from example.test"


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        ({"token": "t"}, {"server": "http://api.example.test"}, "not an https URL"),
        ({"token": "t"}, {"insecure-skip-tls-verify": True}, "insecure-skip-tls-verify"),
        ({"auth-provider": {"name": "gcp"}}, {}, "auth-provider"),
        ({"client-certificate-data": "%"}, {}, "client-certificate-data is not base64"),
    ],
)
def test_what_is_not_taken(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        access(tmp_path, user, cluster)


def test_which_context(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"token": "a"})
    second = write(tmp_path / "b", {"token": "b"})
    text = yaml.safe_load(second.read_text())
    text["contexts"].append({"name": "other", "context": {"cluster": "c", "user": "u"}})
    second.write_text(yaml.safe_dump(text))
    missing = tmp_path / "missing"
    found = Context([missing, first, second])
    token = found().token
    assert token is not None
    assert (found.name, token()) == ("demo", "a")
    assert Context([first, second], "other").name == "other"
    with pytest.raises(UsageError, match="no context 'nobody'"):
        Context([first], "nobody")
    with pytest.raises(UsageError, match="there is no kubeconfig"):
        Context([missing])
    first.write_text("apiVersion: v1\n")
    with pytest.raises(UsageError, match="no current context"):
        Context([first])
    first.write_text("[1]")
    with pytest.raises(ClusterkitError, match="not a kubeconfig"):
        Context([first])
    first.write_text(json.dumps({"current-context": "demo"}) + "]")
    with pytest.raises(ClusterkitError, match="is not YAML"):
        Context([first])

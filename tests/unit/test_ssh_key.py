"""Keys made by a real library are taken; all else is refused by name, and no private key is ever
shown."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from clusterkit.profile.problems import Refused
from clusterkit.profile.ssh_key import parse, read

Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def public(key: Private) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def refusal(path: str, folder: Path) -> str:
    with pytest.raises(Refused) as refused:
        read(path, folder)
    (problem,) = refused.value.problems
    return f"{problem.what} | {problem.hint}"


def refused_text(text: str | bytes, folder: Path) -> str:
    file = folder / "key.pub"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return refusal("key.pub", folder)


ED25519 = public(ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize("comment", ["", " me@laptop", " Jürgen Groß (work)", " x\r\n", "\n\n"])
def test_ed25519_with_any_comment(comment: str, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(ED25519 + comment)
    key = read("key.pub", tmp_path)
    assert (key.algorithm, key.text) == ("ssh-ed25519", ED25519)


def test_rsa_of_2048_bits(tmp_path: Path) -> None:
    text = public(rsa.generate_private_key(65537, 2048))
    (tmp_path / "key.pub").write_text(f"{text} me")
    assert read(str(tmp_path / "key.pub"), Path("/nowhere")).text == text


def test_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.pub").write_text(ED25519)
    assert read("~/key.pub", Path("/nowhere")).path == "~/key.pub"


def test_short_rsa(tmp_path: Path) -> None:
    text = public(rsa.generate_private_key(65537, 1024))
    assert "RSA key of 1024 bits" in refused_text(text, tmp_path)


def test_other_algorithms_by_name(tmp_path: Path) -> None:
    ecdsa = public(ec.generate_private_key(ec.SECP256R1()))
    assert "an ECDSA key" in refused_text(ecdsa, tmp_path)
    assert "a DSA key" in refused_text("ssh-dss AAAAB3NzaC1kc3M= x", tmp_path)
    sk = "sk-ssh-ed25519@openssh.com AAAA x"
    assert "a security key" in refused_text(sk, tmp_path)


@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_private_key_is_refused_and_not_shown(form: PrivateFormat, tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    said = refused_text(pem, tmp_path)
    assert "is a private key" in said
    assert "key.pub.pub" in said
    assert not any(line in said for line in pem.splitlines()[1:-1])
    assert not any(line in refusal(pem, tmp_path) for line in pem.splitlines()[1:-1])


def test_a_key_instead_of_a_path(tmp_path: Path) -> None:
    assert "must be the path" in refusal(ED25519, tmp_path)


def test_damage(tmp_path: Path) -> None:
    blob = ED25519.split()[1]
    short = base64.b64encode(base64.b64decode(blob)[:-1]).decode()
    swapped = f"ssh-rsa {blob}"
    for text in (f"ssh-ed25519 {short}", swapped, f"ssh-ed25519 {blob[:-3]}", "ssh-ed25519 ä="):
        assert "is damaged" in refused_text(text, tmp_path)


def test_what_is_no_key(tmp_path: Path) -> None:
    assert "0 lines" in refused_text("", tmp_path)
    assert "2 lines" in refused_text(f"{ED25519}\n{ED25519}\n", tmp_path)
    assert "not an OpenSSH public key" in refused_text("ssh-ed25519", tmp_path)
    assert "not an OpenSSH public key" in refused_text(f"restrict {ED25519}", tmp_path)
    assert "PEM" in refused_text("-----BEGIN PUBLIC KEY-----\nAAAA\n", tmp_path)
    assert "not text" in refused_text(b"\xff\xfe\x00", tmp_path)
    assert "larger than" in refused_text("x" * 20_000, tmp_path)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "'none.pub' does not exist" in refusal("none.pub", tmp_path)
    assert "it is a directory" in refusal(str(tmp_path), tmp_path)
    assert "home directory" in refusal("~nobody-has-this-name/key.pub", tmp_path)
    assert "does not exist" in refusal("a\0b", tmp_path)


def test_a_huge_one_is_refused_soon() -> None:
    """The operator takes keys from whoever may write a CloudCluster."""
    began = time.thread_time()
    with pytest.raises(Refused, match="damaged"):
        parse(f"ssh-rsa {'A' * 1_200_000}", "ssh_key")
    assert time.thread_time() - began < 1.0

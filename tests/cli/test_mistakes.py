"""What the user reads after a mistake, without a cloud."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from clusterkit import clouds
from clusterkit.cli import commands, connect, main, operator, receipt, target
from clusterkit.cli.target import Choice, find_target
from clusterkit.cli.trace import Trace
from clusterkit.cluster import Cluster
from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError, ProfileError, UsageError
from tests.unit.odd_files import EACH, ODD, same


def _receipt(**changes: object) -> receipt.Receipt:
    parts: dict[str, object] = {
        "cloud": "eks", "name": "demo", "region": "eu-west-1", "account": "1", "run": "",
        "when": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return receipt.Receipt(**{**parts, **changes})  # type: ignore[arg-type]


def test_the_command_that_destroys_goes_where_the_cluster_was_created() -> None:
    command = receipt.destroy_command(_receipt(sandbox=True, cloud_profile="ci"))
    assert command.endswith("--region eu-west-1 --name demo --cloud-profile ci --sandbox")
    assert "--sandbox" not in receipt.destroy_command(_receipt())


def test_a_port_in_use_is_told_before_anything_starts() -> None:
    with socket.create_server(("", 0)) as taken, pytest.raises(UsageError, match="in use") as seen:
        operator.run(port=taken.getsockname()[1], sandbox=True)
    assert "--port" in seen.value.where
    assert "0 for none" in seen.value.hint


def test_destroy_never_takes_the_only_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    receipt.write(_receipt(), receipt.directory())
    assert find_target(Choice()).name == "demo"
    with pytest.raises(ClusterkitError, match="no cluster given") as caught:
        find_target(Choice(), receipts=False)
    assert "clusterkit destroy --cloud eks --region eu-west-1 --name demo" in caught.value.hint
    with pytest.raises(ClusterkitError, match="no profile given"):
        target.read_profile(Choice(), receipts=False)


@pytest.mark.parametrize(
    ("name", "region", "said"),
    [
        ("*", "eu-west-1", "name: must be lower-case letters"),
        ("demo", "eu-west-1.evil.example/", "region: must be an AWS region"),
        ("demo", "eu-west-1a", "region: must be an AWS region"),
        ("d" * 41, "eu-west-1", "name: must be at most 40 characters"),
    ],
)
def test_options_pass_the_checks_of_a_profile(name: str, region: str, said: str) -> None:
    """In the library too: a name is a filter of tags, a region part of a host."""
    choice = Choice(cloud="eks", name=name, region=region)
    for use in (
        lambda: connect.connected(find_target(choice), choice, print).__enter__(),
        lambda: Cluster(Target("eks", name, region)),
    ):
        with pytest.raises(ProfileError) as caught:
            use()
        assert said in str(caught.value)


@EACH
def test_a_trace_goes_to_regular_files_only(tmp_path: Path, kind: str) -> None:
    odd = tmp_path / "odd"
    ODD[kind](odd)
    before = same(odd)
    with pytest.raises(ClusterkitError, match=f"it is a {kind}"):
        Trace(odd)
    assert same(odd) == before


def test_a_state_directory_that_cannot_be_written_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterkitError, match="cannot be written") as caught:
        receipt.write(_receipt(), tmp_path / "file" / "receipts")
    assert "XDG_STATE_HOME" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Choice(cloud="eks"), "--region and --name are missing"),
        (Choice(cloud="eks", name="demo"), "--region is missing"),
    ],
)
def test_missing_options_are_named(given: Choice, said: str) -> None:
    with pytest.raises(ClusterkitError, match=said):
        find_target(given)


def test_ctrl_c_before_a_run_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer turns it into a bare exit code."""

    def pressed(_choice: Choice) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "read_profile", pressed)
    monkeypatch.setattr(sys, "argv", ["clusterkit", "validate", "profile.yaml"])
    with pytest.raises(SystemExit) as left:
        main.run()
    assert left.value.code == main.INTERRUPTED
    told = capsys.readouterr().err
    assert "interrupted" in told
    assert "run the same command again" in told


def test_what_is_wrong_with_a_profile_is_told_as_json_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "profile.yaml"
    good = "cloud: eks\nname: demo\nregion: eu-west-1\npools: [{name: a, machine: m6i.large}]\n"
    for text, code in ((good, 0), ("cloud: aws\n", 2)):
        profile.write_text(text)
        arguments = ["clusterkit", "validate", str(profile), "--output", "json"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as left:
            main.run()
        assert left.value.code == code
    valid, refused = map(json.loads, capsys.readouterr().out.splitlines())
    assert (valid["event"], valid["name"], valid["profile"]) == ("Valid", "demo", str(profile))
    [error] = refused["errors"]
    [finding] = error["findings"]
    assert finding["where"] == f"{profile}:1"
    assert finding["hint"] == "did you mean eks?"


def test_a_command_that_is_complete_is_not_completed_again() -> None:
    choice = Choice(profile=Path("p.yaml"), sandbox=True)
    error = ClusterkitError("x", hint="then: clusterkit destroy p.yaml --sandbox, or clusterkit up")
    target.complete(choice, error)
    said = "then: clusterkit destroy p.yaml --sandbox, or clusterkit up p.yaml --sandbox"
    assert error.hint == said


def test_the_sandbox_is_used_as_the_limited_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sandbox env --allow`` would prove nothing if the commands went on as the administrator."""
    info = SimpleNamespace(proxy="http://x", ca_file=Path("ca"), pace=SimpleNamespace(factor=60))
    daemon = SimpleNamespace(
        SandboxError=ClusterkitError,
        ensure=lambda directory: info,
        environment=lambda info: {"AWS_ACCESS_KEY_ID": "administrator"},
    )
    monkeypatch.setattr(clouds, "load_sandbox", lambda: daemon)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "limited")
    for limited, key in (("", "administrator"), ("1", "limited")):
        monkeypatch.setenv(clouds.LIMITED, limited)
        assert clouds.sandbox_connection().environ == {"AWS_ACCESS_KEY_ID": key}

"""What the user reads after a mistake, without a cloud."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clusterkit.cli import main, receipt, target
from clusterkit.cli.target import Choice, find_target
from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError


def _receipt(**changes: object) -> receipt.Receipt:
    parts: dict[str, object] = {
        "cloud": "eks", "name": "demo", "region": "eu-west-1", "account": "1", "run": "",
        "when": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return receipt.Receipt(**{**parts, **changes})  # type: ignore[arg-type]


def test_the_destroy_of_a_moved_cluster_goes_where_it_was_created() -> None:
    here = Target("eks", "demo", "us-west-2")
    found = receipt.moved(_receipt(sandbox=True, cloud_profile="ci"), here)
    assert found is not None
    command = "--region eu-west-1 --name demo --cloud-profile ci --sandbox)"
    assert command in found.hint
    real = receipt.moved(_receipt(), here)
    assert real is not None
    assert "--sandbox" not in real.hint


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

    monkeypatch.setattr(target, "read_profile", pressed)
    monkeypatch.setattr(sys, "argv", ["clusterkit", "validate", "profile.yaml"])
    with pytest.raises(SystemExit) as left:
        main.run()
    assert left.value.code == main.INTERRUPTED
    told = capsys.readouterr().err
    assert "interrupted" in told
    assert "run the same command again" in told

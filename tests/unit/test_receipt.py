"""The receipt: a hint that may be missing, damaged or stale, and never stands in the way."""

from __future__ import annotations

import stat
from pathlib import Path

from clusterkit.cli import receipt
from clusterkit.cli.receipt import Receipt
from clusterkit.engine.target import Target

ONE = Receipt("eks", "demo", "eu-west-1", "123456789012", "run", "2026-01-01T00:00:00+00:00")


def test_it_comes_back_as_it_was_written_for_the_user_only(tmp_path: Path) -> None:
    receipt.write(ONE, tmp_path / "r")
    assert receipt.read(tmp_path / "r", "eks", "demo") == ONE
    (file,) = (tmp_path / "r").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o700


def test_damaged_or_missing_counts_as_none(tmp_path: Path) -> None:
    assert receipt.read(tmp_path, "eks", "demo") is None
    assert receipt.every(tmp_path / "nowhere") == []
    receipt.write(ONE, tmp_path)
    (tmp_path / "eks-other.json").write_text("{")
    (tmp_path / "eks-third.json").write_text('{"unknown": 1}')
    assert receipt.every(tmp_path) == [ONE]
    receipt.remove(tmp_path, "eks", "demo")
    receipt.remove(tmp_path, "eks", "demo")
    assert receipt.every(tmp_path) == []


def test_a_changed_region_is_told_with_the_way_out() -> None:
    assert receipt.moved(ONE, Target("eks", "demo", "eu-west-1")) is None
    moved = receipt.moved(ONE, Target("eks", "demo", "us-east-1"))
    assert moved is not None
    assert "eu-west-1" in str(moved)
    assert "--region eu-west-1 --name demo" in moved.hint


def test_the_sandbox_has_receipts_of_its_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    real, sandbox = receipt.directory(environ), receipt.directory(environ, sandbox=True)
    assert real != sandbox
    assert real.is_relative_to(tmp_path)

"""The receipt: a hint that may be missing, damaged or stale, and never stands in the way."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from clusterkit import localfile
from clusterkit.cli import receipt
from clusterkit.cli.receipt import Receipt
from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError
from tests.unit.odd_files import EACH, ODD, same

ACCOUNT = "123456789012"
HERE = Target("eks", "demo", "eu-west-1")
ONE = Receipt("eks", "demo", "eu-west-1", ACCOUNT, "run", "2026-01-01T00:00:00+00:00")


def test_it_comes_back_as_it_was_written_for_the_user_only(tmp_path: Path) -> None:
    receipt.write(ONE, tmp_path / "r")
    assert receipt.read(tmp_path / "r", HERE) == ONE
    (file,) = (tmp_path / "r").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o700


def test_one_for_each_account_region_and_name(tmp_path: Path) -> None:
    there = replace(ONE, region="us-east-1")
    theirs = replace(ONE, account="999999999999", cloud_profile="other")
    for each in (ONE, there, theirs):
        receipt.write(each, tmp_path)
        receipt.write(replace(each, run="again"), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    found = receipt.read(tmp_path, replace(HERE, cloud_profile="other"))
    assert found is not None
    assert found.account == "999999999999"
    receipt.remove(tmp_path, HERE, ACCOUNT)
    receipt.remove(tmp_path, HERE, ACCOUNT)
    assert receipt.read(tmp_path, HERE) is None
    assert {each.region for each in receipt.every(tmp_path)} == {"us-east-1", "eu-west-1"}
    assert len(receipt.every(tmp_path)) == 2


def test_a_cluster_in_a_group_of_its_account(tmp_path: Path) -> None:
    """Whoever does not know the group finds it; another group has another cluster."""
    there = replace(ONE, cloud="aks", region="westeurope", home="theirs")
    receipt.write(there, tmp_path)
    target = Target("aks", "demo", "westeurope")
    assert receipt.read(tmp_path, target) == there
    assert receipt.read(tmp_path, replace(target, home="theirs")) == there
    for home in ("", "other"):
        receipt.remove(tmp_path, replace(target, home=home), ACCOUNT)
        assert receipt.read(tmp_path, replace(target, home=home)) is None
    assert receipt.every(tmp_path) == [there]
    receipt.remove(tmp_path, replace(target, home="theirs"), ACCOUNT)
    assert receipt.every(tmp_path) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "*"},
        {"name": "../../etc/x"},
        {"region": "eu-west-1.evil.example/"},
        {"cloud": "oks"},
        {"cloud": 5},
        {"account": None},
        {"minutes": "long"},
        {"home": 5},
    ],
)
def test_one_that_no_profile_could_have_made_counts_as_none(
    tmp_path: Path, changed: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "eks.json").write_text(json.dumps(asdict(ONE) | changed))
    assert receipt.every(tmp_path) == []
    said = capsys.readouterr().err
    assert f"warning: {tmp_path / 'eks.json'}: this receipt is ignored: it is damaged" in said
    assert "delete it" in said


def test_damaged_or_missing_counts_as_none(tmp_path: Path) -> None:
    assert receipt.read(tmp_path, HERE) is None
    assert receipt.every(tmp_path / "nowhere") == []
    receipt.write(ONE, tmp_path)
    (tmp_path / "eks-other.json").write_text("{")
    (tmp_path / "eks-third.json").write_text('{"unknown": 1}')
    (tmp_path / "eks-fourth.json").write_bytes(b"\xff\xfe\x00")
    assert receipt.every(tmp_path) == [ONE]
    receipt.remove(tmp_path, HERE, ACCOUNT)
    assert receipt.every(tmp_path) == []


def test_each_file_is_read_once_and_again_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command on hundreds of clusters looks for each one's receipt among those of all."""
    every = [replace(ONE, name=f"c{number}") for number in range(20)]
    for each in every:
        receipt.write(each, tmp_path)
    opened: list[Path] = []
    plain = localfile.read
    monkeypatch.setattr(localfile, "read", lambda path: (opened.append(path), plain(path))[1])
    for _ in range(3):
        assert [receipt.read(tmp_path, each.target) for each in every] == every
    assert len(opened) <= 20
    receipt.write(replace(every[3], run="next"), tmp_path)
    found = receipt.read(tmp_path, every[3].target)
    assert found is not None
    assert found.run == "next"


def test_where_in_the_account_things_lie_makes_no_other_cluster(tmp_path: Path) -> None:
    """A profile says so on some clouds, a receipt does not."""
    receipt.write(ONE, tmp_path)
    placed = replace(HERE, home="some-group")
    assert receipt.read(tmp_path, placed) == ONE
    assert receipt.remove(tmp_path, placed, ACCOUNT) == []
    assert receipt.every(tmp_path) == []


@EACH
def test_what_is_no_regular_file_is_told_and_stays(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = receipt.file(tmp_path, ONE)
    ODD[kind](odd)
    before = same(odd)
    assert receipt.read(tmp_path, HERE) is None
    with pytest.raises(ClusterkitError, match=f"it is a {kind}"):
        receipt.write(ONE, tmp_path)
    receipt.remove(tmp_path, HERE, ACCOUNT)
    assert same(odd) == before
    assert f"it is a {kind}" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    receipt.check(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ClusterkitError, match="cannot be written") as caught:
        receipt.check(tmp_path / "file" / "receipts")
    assert "XDG_STATE_HOME" in caught.value.hint


def test_a_profile_whose_region_changed_is_told_with_the_way_out(tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    receipt.write(replace(ONE, profile=str(profile)), tmp_path)
    there = replace(HERE, region="us-east-1")
    assert receipt.moved(tmp_path, HERE, profile) is None
    moved = receipt.moved(tmp_path, there, profile)
    assert moved is not None
    assert "eu-west-1" in str(moved)
    assert "--region eu-west-1 --name demo" in moved.hint
    # one name in two regions: two profiles, or none
    assert receipt.moved(tmp_path, there, tmp_path / "another.yaml") is None
    assert receipt.moved(tmp_path, there, None) is None
    receipt.write(replace(ONE, region="us-east-1"), tmp_path)
    assert receipt.moved(tmp_path, there, tmp_path / "another.yaml") is None


def test_the_sandbox_has_receipts_of_its_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    real, sandbox = receipt.directory(environ), receipt.directory(environ, sandbox=True)
    assert real != sandbox
    assert real.is_relative_to(tmp_path)

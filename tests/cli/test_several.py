"""Several clusters in one command, without a cloud: which ones, what is refused, what is drawn."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from clusterkit import fleet
from clusterkit.cli import heartbeat, summary
from clusterkit.cli.board import Board
from clusterkit.cli.clusters import Result
from clusterkit.cli.jsonl import JsonLines
from clusterkit.cli.plain import Plain
from clusterkit.cli.summary import Row
from clusterkit.cli.target import Choice, check_different, choices, labels
from clusterkit.cli.ui import UI
from clusterkit.engine.events import (
    Event,
    RunEnded,
    RunStarted,
    StepDone,
    StepFailed,
    StepStarted,
    Warned,
)
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.target import Target
from clusterkit.errors import (
    ClusterkitError,
    Finding,
    Interrupted,
    ProfileError,
    Rejected,
    UsageError,
)

EVENTS: list[Event] = [
    RunStarted("up", "demo", "run-1", (("vpc/main", "create"), ("cluster/demo", "create"))),
    StepStarted("vpc/main", "create"),
    StepDone("vpc/main", "create", 1.25),
    StepStarted("cluster/demo", "create", 540.0),
    Warned("ingress/*", "Kubernetes does not answer"),
]
END: list[Event] = [
    StepFailed("cluster/demo", "create", 12.0, Rejected("no capacity")),
    RunEnded("up", "demo", 1, 1, 0, 13.0),
]


def target(name: str, cloud: str = "eks", region: str = "eu-west-1") -> Target:
    return Target(cloud, name, region)


def test_a_folder_is_its_profiles_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fleet_folder = Path("fleet")
    fleet_folder.mkdir()
    for name in ("b.yml", "a.yaml", ".c.yaml", "notes.txt", "d.yaml.bak"):
        (fleet_folder / name).touch()
    (fleet_folder / "e.yaml").mkdir()
    Path("z.yaml").touch()
    found = choices([Path("z.yaml"), fleet_folder], Choice(account="1", sandbox=True))
    assert [str(each.profile) for each in found.each] == ["z.yaml", "fleet/a.yaml", "fleet/b.yml"]
    assert {each.account for each in found.each} == {"1"}
    assert found.command("up") == "clusterkit up z.yaml fleet --account 1 --sandbox"
    monkeypatch.setenv("CLUSTERKIT_PROFILE", "fleet")
    assert len(choices(None, Choice()).each) == 2
    monkeypatch.delenv("CLUSTERKIT_PROFILE")
    assert choices(None, Choice()).each == (Choice(),)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (["a.yaml", "./a.yaml"], Choice(), r"a\.yaml: is given twice"),
        (["a.yaml", "b.yaml", "same"], Choice(), r"same: is the same file as a\.yaml"),
        ([".", "b.yaml"], Choice(), r"b\.yaml: is given twice"),
        (["empty"], Choice(), "empty: this folder has no profiles"),
        (["a.yaml", "b.yaml"], Choice(name="demo"), "--name: choose one cluster"),
        (["a.yaml", "b.yaml"], Choice(cloud="eks", region="x"), "--cloud --region: choose one"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    given: list[str],
    options: Choice,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        Path(name).touch()
    Path("same").symlink_to("a.yaml")
    Path("empty").mkdir()
    with pytest.raises(UsageError, match=said) as caught:
        choices([Path(each) for each in given], options)
    assert caught.value.hint


def test_a_cluster_is_called_by_as_little_as_tells_it_apart() -> None:
    assert labels([target("a"), target("b")]) == ["a", "b"]
    both = [target("a"), target("a", "gke"), target("b")]
    assert labels(both) == ["a (eks)", "a (gke)", "b (eks)"]
    regions = [target("a"), target("a", region="eu-west-3")]
    assert labels(regions) == ["a (eks, eu-west-1)", "a (eks, eu-west-3)"]


def test_clusters_of_two_accounts_and_of_two_places_in_one_are_told_apart() -> None:
    aks = target("a", "aks", "westeurope")
    accounts = [replace(aks, account="1"), replace(aks, account="2")]
    assert labels(accounts) == ["a (aks, westeurope, 1)", "a (aks, westeurope, 2)"]
    homes = [replace(aks, account="1", home="x"), replace(aks, account="1", home="")]
    assert labels(homes) == ["a (aks, westeurope, 1, x)", "a (aks, westeurope, 1)"]
    check_different([(each, each.account, "x.yaml") for each in (*accounts, *homes[:1])])


def test_two_profiles_of_one_cluster_are_refused() -> None:
    check_different([(target("a"), "1", "x.yaml"), (target("a"), "2", "y.yaml")])
    with pytest.raises(UsageError, match=r"x\.yaml and y\.yaml describe one cluster: a on eks"):
        check_different([(target("a"), "1", "x.yaml"), (target("a"), "1", "y.yaml")])


def test_one_that_fails_does_not_stop_the_others_and_all_keep_their_places() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def work(item: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        if item == 3:
            raise ValueError("three")
        return item * 2

    found = fleet.each(range(10), work, at_once=4)
    assert isinstance(found[3], ValueError)
    assert [each for each in found if isinstance(each, int)] == [0, 2, 4, 8, 10, 12, 14, 16, 18]
    assert 1 < most[0] <= 4
    assert fleet.each([threading.get_ident()], lambda me: me == threading.get_ident()) == [True]


def test_after_a_stop_no_other_is_begun() -> None:
    stop = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            stop.set()
        assert stop.wait(10)
        return item

    found = fleet.each(range(6), work, stop=stop, at_once=2)
    assert found[:2] == [0, 1]
    assert len(found) == 6
    assert all(isinstance(each, Interrupted) for each in found[2:])


def test_lines_say_whose_they_are() -> None:
    out, objects = io.StringIO(), io.StringIO()
    with Plain(out) as plain, JsonLines(objects) as lines:
        for name in ("a", "b"):
            emits = (plain.of(target("demo"), name), lines.of(target(name)))
            for event in EVENTS + END:
                for emit in emits:
                    emit(event)
        plain.of(target("demo"), "b")(Warned("demo", "another run works on this cluster"))
        plain.result("a", "failed", "no capacity", ok=False)
    said = out.getvalue().splitlines()
    assert "  warning: b: another run works on this cluster" in said
    assert said[0] == "up a: 2 to do"
    assert "  a: vpc/main: created in 1.2 s" in said
    assert "  warning: b: ingress/*: Kubernetes does not answer" in said
    assert said[-1] == "a: failed: no capacity"
    found = [json.loads(line) for line in objects.getvalue().splitlines()]
    assert [line["name"] for line in found] == ["a"] * 7 + ["b"] * 7
    assert {(line["cloud"], line["region"]) for line in found} == {("eks", "eu-west-1")}


def test_the_reason_of_a_wrong_profile_is_not_its_file_again() -> None:
    found = Finding("pools[0].machine.cpus: is not a known key", "fleet/a.yaml:5")
    assert Result.of(ProfileError([found])).reason == found.what
    refused = Rejected("no capacity", where="node-group/default")
    assert Result.of(refused).reason == "node-group/default: no capacity"


def _frame(board: Board, console: Console) -> list[str]:
    lines = console.render_lines(board, pad=False)
    return ["".join(segment.text for segment in line) for line in lines]


def test_four_hundred_clusters_fit_a_small_terminal() -> None:
    """The counts are always there, and what needs attention is among the lines."""
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=80, height=12, color_system=None, soft_wrap=True
    )
    with Board(console, 400) as board:
        emits = {}
        for number in range(20):
            name = f"team-{number:03}-of-a-rather-long-name"
            emits[name] = board.of(target(name), name)
            for event in EVENTS[:4]:
                emits[name](event)
        fails = "team-017-of-a-rather-long-name"
        emits[fails](END[0])
        emits[fails](EVENTS[4])
        board.result("team-100", "up", "", ok=True)
        board.result("team-101", "failed", f"no capacity {'x' * 200}", ok=False)
        frame = _frame(board, console)
    assert len(frame) <= 12
    assert max(map(len, frame)) <= 80
    assert frame[0].startswith("400 clusters: 20 running, 1 done, 1 failed, 378 waiting, ")
    assert frame[1].startswith("✗ team-017")
    assert "cluster/demo: creating" in frame[2]
    assert "1/2" in frame[2]
    assert frame[-1] == "  and 12 more running"
    said = [line for line in out.getvalue().splitlines() if "team-10" in line]
    assert any("✓ team-100  up" in line for line in said)
    assert any("✗ team-101  failed: no capacity" in line and line.endswith("…") for line in said)
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in said) <= 80


def test_a_summary_is_worth_reading_at_eighty_columns() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None, soft_wrap=True)
    good = [Row(f"n{i}", "eks", "eu-west-1", "up", "", "✓") for i in range(3)]
    bad = [Row(f"bad{i}", "gke", "europe-west1", "failed", "x" * 200, "✗") for i in range(2)]
    summary.summary(console, "up", [*good, *bad], 12.3)
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["✓", "n0", "eks", "eu-west-1", "up"]
    assert lines[3].endswith("…")
    assert lines[-1] == "up of 5 clusters: 3 up, 2 failed in 12 s"
    assert max(map(len, lines)) <= 80
    pipe = io.StringIO()
    summary.summary(Console(file=pipe, width=80, soft_wrap=True), "up", [*good, *bad], 12.3)
    assert max(map(len, pipe.getvalue().splitlines())) > 120, "whole, for whoever searches it"
    out.truncate(0)
    out.seek(0)
    summary.summary(console, "up", good * 100 + bad, 12.3)
    lines = out.getvalue().splitlines()
    assert len(lines) == 3, "of so many only those that need somebody"
    out.truncate(0)
    out.seek(0)
    kept = [Row(f"n{i}", "eks", "eu-west-1", f"deleted, {i} kept", "", "✓") for i in (1, 2)]
    summary.summary(console, "destroy", kept, 12.3)
    assert "of 2 clusters: 2 deleted in" in out.getvalue(), "each line has the number it kept"
    out.truncate(0)
    out.seek(0)
    where = ("aks", "westeurope", "5a6d0000-5b5c-4b0c-8a11-0000000c10cb")
    summary.places(console, [("demo (aks)", where, "10 to delete")])
    lines = out.getvalue().splitlines()
    assert lines[1].startswith(" " * len("  demo (aks): "))
    assert " ".join(out.getvalue().split()).endswith("10 to delete")


def test_while_they_are_looked_at_the_count_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE", 0.05)
    out = io.StringIO()
    console = Console(file=out, width=80)
    with UI(console, console, "plain", debug=False).working("looking at 3 clusters") as tell:
        tell("looking at 3 clusters: 1 done")
        end = time.monotonic() + 20
        while "clusters: 1 done (" not in out.getvalue():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_what_clusters_have_in_common_is_said_once() -> None:
    same = Finding("the endpoint is open", "endpoint", "close it")
    found = summary.joined([*((f"n{i}", same) for i in range(5)), ("x", Finding("other"))])
    assert [str(each) for each in found] == [
        "n0, n1, n2 and 2 more: endpoint: the endpoint is open",
        "x: other",
    ]


def test_work_that_waits_holds_no_thread_and_keeps_its_result_or_error() -> None:
    begun: list[Future[int]] = []

    def work(item: int) -> Generator[Future[int], int, int]:
        first: Future[int] = Future()
        begun.append(first)
        if len(begun) == 40:  # all wait at once, on two threads
            for number, each in enumerate(list(begun)):
                if number % 10:
                    each.set_result(number)
                else:
                    each.set_exception(ValueError(str(number)))
        with suppress(ZeroDivisionError):
            found = yield first
        return found + item

    found: list[int | Exception] = fleet.each(list(range(40)), work, at_once=2)
    assert sum(isinstance(each, ValueError) for each in found) == 4
    assert sum(isinstance(each, int) for each in found) == 36
    done: Future[int] = Future()
    done.set_result(2)

    def alone() -> Generator[Future[int], int, int]:
        return (yield done) + 1

    assert fleet.alone(alone()) == 3


def test_of_many_clusters_plain_output_tells_ends_and_what_is_wrong() -> None:
    out = io.StringIO()
    with Plain(out, total=400) as plain:
        emits = [plain.of(target("demo"), f"n{number}") for number in range(10)]
        for emit in emits:
            for event in EVENTS[:4]:
                emit(event)
        emits[9](EVENTS[4])
        emits[9](END[0])
        plain.result("n0", "up", "", ok=True)
        plain._still(60.0)
    assert out.getvalue().splitlines() == [
        "  warning: n9: ingress/*: Kubernetes does not answer",
        "  n9: cluster/demo: failed after 12 s",
        "n0: up",
        "400 clusters: 9 running, 1 done, 0 failed",
    ]


def test_places_of_many_that_are_alike_are_told_together() -> None:
    out = io.StringIO()
    where = ("eks", "eu-west-1", "1")
    rows = [(f"n{number:03}", where, "13 to create") for number in range(400)]
    summary.places(Console(file=out, width=80, soft_wrap=True), rows)
    said = "n000, n001, n002 and 397 more: eks, eu-west-1, account 1: 13 to create"
    assert " ".join(out.getvalue().split()) == said


def test_a_run_that_may_open_no_more_files_is_told_the_limit() -> None:
    """A driver took it for a disk that is full."""
    error = ClusterkitError(os.strerror(errno.EMFILE), hint="free some disk space")
    result = Result.ended(Outcome(failed={"node-pool/default": error}))
    assert "ulimit -n" in getattr(result.errors[0], "hint", "")

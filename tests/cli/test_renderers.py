"""The same events in a terminal, as lines and as JSON; no renderer decides anything."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from clusterkit.cli import heartbeat, report, verdicts
from clusterkit.cli.board import Board
from clusterkit.cli.jsonl import JsonLines
from clusterkit.cli.live import Live
from clusterkit.cli.plain import Plain
from clusterkit.cli.terminal import SafeConsole
from clusterkit.cli.ui import UI
from clusterkit.engine.events import (
    Event,
    RunEnded,
    RunStarted,
    StepDone,
    StepFailed,
    StepNoted,
    StepRetried,
    StepStarted,
    StepStopped,
    Warned,
)
from clusterkit.engine.step import Step
from clusterkit.engine.target import Target
from clusterkit.engine.words import brief, clock
from clusterkit.errors import Rejected
from clusterkit.ready.checks import Check, Result
from clusterkit.ready.verify import Verdict

LONG = "x" * 300
EVENTS: list[Event] = [
    RunStarted("up", "demo", "run-1", (("vpc/main", "create"), ("cluster/demo", "create"))),
    StepStarted("vpc/main", "create"),
    StepStarted("cluster/demo", "create", 540.0),
    StepNoted("cluster/demo", "creating"),
    StepDone("vpc/main", "create", 1.25),
    StepRetried("cluster/demo", f"throttled {LONG}", 12.0),
    StepStarted("volumes/*", "sweep"),
    StepDone("volumes/*", "sweep", 0.1, "none"),
    Warned("ingress/*", "Kubernetes does not answer"),
    StepFailed("cluster/demo", "create", 12.0, Rejected("no capacity", code="Stock", hint="wait")),
    StepStopped("addon/x", "creating"),
    RunEnded("up", "demo", 1, 1, 1, 13.0),
]


def test_plain_lines_fit_a_log() -> None:
    out = io.StringIO()
    with Plain(out) as render:
        for event in EVENTS:
            render(event)
    lines = out.getvalue().splitlines()
    assert lines[0] == "up demo: 2 to do"
    assert "  vpc/main: created in 1.2 s" in lines
    assert "  cluster/demo: creating (usually 9:00 min)" in lines
    assert not any("volumes" in line for line in lines)
    assert lines[-1] == "up demo: 1 done, 1 failed, 1 unfinished in 13 s"
    assert max(map(len, lines)) < 200


def test_json_lines_are_one_object_per_event() -> None:
    out = io.StringIO()
    with JsonLines(out) as render:
        for event in EVENTS:
            render(event)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [f["event"] for f in found] == [type(e).__name__ for e in EVENTS]
    assert found[9]["error"] == {
        "what": "no capacity",
        "where": "",
        "hint": "wait",
        "code": "Stock",
        "exit": 8,
    }


def test_no_wait_is_silent_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As lines and as JSON, in a run and in whatever comes before it."""
    monkeypatch.setattr(heartbeat, "SILENCE", 0.05)
    lines, objects, before = io.StringIO(), io.StringIO(), io.StringIO()
    console = Console(file=before, width=200)
    shown = UI(console, console, "plain", debug=False)
    with Plain(lines) as plain, JsonLines(objects) as json_lines, shown.working("looking at demo"):
        for event in EVENTS[:4]:
            plain(event)
            json_lines(event)
        end = time.monotonic() + 20
        while not ("still" in lines.getvalue() and "Waiting" in objects.getvalue()):
            assert time.monotonic() < end
            time.sleep(0.01)
        while "still" not in before.getvalue():
            assert time.monotonic() < end
            time.sleep(0.01)
    assert "  cluster/demo: still creating (0.1 s, usually 9:00 min)" in lines.getvalue()
    waiting = [json.loads(line) for line in objects.getvalue().splitlines()][-1]
    assert waiting["event"] == "Waiting"
    assert [step["key"] for step in waiting["steps"]] == ["vpc/main", "cluster/demo"]
    assert before.getvalue().startswith("still looking at demo (")
    said = lines.getvalue()
    time.sleep(0.2)
    assert lines.getvalue() == said  # and nothing after its end


def test_a_full_disk_does_not_stop_a_run() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    with Plain(Full()) as render:
        for event in EVENTS:
            render(event)


def test_live_fits_eighty_columns_and_few_lines() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=10, color_system=None)
    with Live(console) as render:
        for event in EVENTS[:6]:
            render(event)
        for number in range(40):
            render(StepStarted(f"node-group/{number}-{LONG[:60]}", "create", 150.0))
        lines = console.render_lines(render, pad=False)
        for event in EVENTS[6:]:
            render(event)
    frame = ["".join(segment.text for segment in line) for line in lines]
    assert len(frame) <= 10
    assert max(map(len, frame)) <= 78  # and a Ctrl-C's echo fits into the last line
    assert frame[0].startswith("up demo: 1 of 2 done")
    assert "and " in frame[-1]
    text = out.getvalue()
    assert "✓ vpc/main" in text
    assert "✗ cluster/demo" in text
    assert "volumes" not in text


def test_durations_and_reasons_in_words() -> None:
    assert [clock(s) for s in (0.04, 9.94, 12.6, 545, 3720)] == [
        "0.0 s",
        "9.9 s",
        "13 s",
        "9:05 min",
        "1:02 h",
    ]
    assert brief("a\n  b") == "a b"
    assert len(brief("y" * 500)) == 160


def test_a_verdict_fits_a_terminal_and_is_whole_in_a_pipe() -> None:
    cure = "add the charts istio, flagger and prometheus to the cluster repository, and boot again"
    check = Check("K15", "Flagger is there", "static", lambda: ())
    verdict = Verdict(check, (Result("failed", "Flagger is not installed", cure=cure),))
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(
            file=out, force_terminal=terminal, width=80, color_system=None, soft_wrap=True
        )
        verdicts.show(console, "demo", [verdict])
        lines = [line.rstrip() for line in out.getvalue().splitlines()]
        assert (f"        cure: {cure}" in lines) is not terminal
        assert (max(map(len, lines)) <= 80) is terminal
        assert " ".join(out.getvalue().split()).count(cure) == 1


def test_lines_of_many_threads_are_all_there_and_no_frame_stays() -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, width=80, height=60, color_system=None)
    labels = [f"cluster-{number}" for number in range(40)]
    together = threading.Barrier(len(labels))
    with Board(console, len(labels)) as board:
        for label in labels:
            board.of(Target("eks", label, "eu-west-1"), label)

        def end(label: str) -> None:
            together.wait()
            board.result(label, "up", "", ok=True)

        threads = [threading.Thread(target=end, args=(label,)) for label in labels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    shown = [line.split("  ")[0] for line in _screen(out.getvalue()) if line.strip()]
    assert sorted(shown) == sorted(f"✓ {label}" for label in labels)


def _screen(written: str) -> list[str]:
    """What is on a terminal of any height after that: text, line ends, cursor up, erased lines."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[?\d]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
        match part:
            case "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case "\x1b[1A":
                row = max(0, row - 1)
            case "\x1b[2K":
                lines[row] = ""
            case _ if part[0] not in "\r\x1b":
                lines[row] = part
    return lines


def test_a_plan_breaks_its_lines_between_words() -> None:
    wish = SimpleNamespace(details={"endpoint": f"public from {', '.join(['10.0.0.0/8'] * 9)}"})
    step = Step("create", "cluster/demo", cast(Any, None), wish=cast(Any, wish), why="a word " * 20)
    shown = {}
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(
            file=out, force_terminal=terminal, width=80, color_system=None, soft_wrap=True
        )
        report.show_plan(console, "demo", cast(Any, SimpleNamespace(empty=False, todo=[step])))
        shown[terminal] = out.getvalue().splitlines()
    assert max(map(len, shown[True])) <= 80
    assert [len(shown[False]), " ".join(shown[False]).split()] == [3, " ".join(shown[True]).split()]


def test_a_warning_about_one_of_several_is_whole_and_names_it_once() -> None:
    target, told = Target("eks", "demo", "eu-west-1"), f"another run works on it {'since ' * 15}now"
    live, plain = io.StringIO(), io.StringIO()
    console = SafeConsole(file=live, force_terminal=True, width=80, color_system=None)
    with Board(console, 2) as board, Plain(plain, 2) as lines:
        for render in (board, lines):
            for where in ("demo", "vpc/main"):
                render.of(target, "demo (eu-west-1)")(Warned(where, told))
    for written in (" ".join(_screen(live.getvalue())), plain.getvalue()):
        shown = " ".join(written.split())
        assert f"demo (eu-west-1) {told}" in shown.replace(":", "")
        assert f"demo (eu-west-1): vpc/main {told}" in shown.replace("main:", "main")

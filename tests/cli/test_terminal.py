"""Nothing in a profile, a file name or a cloud's answer can act on the terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterkit.cli import report
from clusterkit.cli.jsonl import JsonLines
from clusterkit.cli.live import Live
from clusterkit.cli.plain import Plain
from clusterkit.cli.terminal import SafeConsole, clean
from clusterkit.cluster import Observation, Seen
from clusterkit.engine.events import Event, StepDone, StepFailed, StepNoted, StepStarted, Warned
from clusterkit.engine.target import Target
from clusterkit.errors import Finding, Rejected

BAD = "\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\u202egnp.exe\u2066\u200f\r"
HARMFUL = set(BAD) & {chr(code) for code in range(0x110000) if clean(chr(code)) != chr(code)}
EVENTS: list[Event] = [
    StepStarted(f"vpc/{BAD}", "create", 10.0),
    StepStarted("cluster/demo", "create", 10.0),
    StepNoted("cluster/demo", BAD),
    Warned("somewhere", BAD),
    StepDone(f"vpc/{BAD}", "create", 1.0, BAD),
    StepFailed("cluster/demo", "create", 1.0, Rejected(BAD)),
]


def _console(stream: io.StringIO) -> SafeConsole:
    return SafeConsole(file=stream, width=200, color_system=None, soft_wrap=True)


def _plain(stream: io.StringIO) -> None:
    with Plain(stream) as render:
        for event in EVENTS:
            render(event)


def _live(stream: io.StringIO) -> None:
    console = _console(stream)
    with Live(console) as render:
        for event in EVENTS:
            render(event)
            console.print(render)


def _json(stream: io.StringIO) -> None:
    with JsonLines(stream) as render:
        for event in EVENTS:
            render(event)


def _reports(stream: io.StringIO) -> None:
    console = _console(stream)
    report.show_findings(console, [Finding(BAD, where=BAD, hint=BAD)])
    report.show_error(console, Rejected(BAD, where=BAD, hint=BAD, code=BAD), debug=True)
    report.show_stopped(console, {BAD: BAD}, BAD, f"{BAD} destroy")
    things = (Seen(f"vpc/{BAD}", BAD, BAD, None),)
    report.show_status(console, Target("eks", BAD, BAD), Observation(BAD, things))


@pytest.mark.parametrize("write", [_plain, _live, _json, _reports])
def test_no_renderer_lets_control_characters_through(
    write: Callable[[io.StringIO], None],
) -> None:
    assert len(HARMFUL) == 9
    stream = io.StringIO()
    write(stream)
    text = stream.getvalue()
    assert "title" in text
    assert not HARMFUL & set(text), sorted(HARMFUL & set(text))


def test_what_is_harmless_stays() -> None:
    text = "a\tb\nç 日本 é \U0001f600 ✓"
    assert clean(text) == text
    assert len(clean(BAD)) == len(BAD)


def test_the_commands_consoles_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    report.say(f"{Path(BAD)}: written")
    report.tell(BAD)
    out, err = capsys.readouterr()
    assert not HARMFUL & set(out + err)


def test_json_keeps_the_text_for_machines() -> None:
    stream = io.StringIO()
    _json(stream)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[2]["note"] == BAD


def test_status_does_not_say_that_what_may_not_be_listed_is_not_there() -> None:
    stream = io.StringIO()
    seen = Observation("1", (), (Finding("could not be looked for", where="cluster"),))
    report.show_status(_console(stream), Target("eks", "demo", "eu-west-1"), seen)
    assert stream.getvalue().startswith("demo: nothing of what could be listed carries its tags")

"""The page of --report and --html: what is recorded, the critical path, the drawing, the file."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from clusterkit.cli.clusters import Job, Result
from clusterkit.cli.page import writing
from clusterkit.cli.page.critical_path import critical_path
from clusterkit.cli.page.html import PICTURES, page
from clusterkit.cli.page.layout import GAP, layers, place, reduced
from clusterkit.cli.page.record import Picture, Recording, Thing, observed
from clusterkit.cli.target import Choice
from clusterkit.cluster import Observation, Plan, Seen, Step
from clusterkit.engine.edit import Edit
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
from clusterkit.engine.plan import Snapshot
from clusterkit.engine.target import Target
from clusterkit.errors import Finding, Interrupted, PreflightError, Rejected, UsageError

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = "</style><script>alert(1)</script>\"'&\x1b[31m\u202e\ud800"
VOID = {"meta", "rect", "path", "line"}


def step(op: Any, key: str, *deps: str, **more: Any) -> Step:
    return Step(op, key, cast(Any, None), deps=frozenset(deps), name=key.partition("/")[2], **more)


def plan_of(*steps: Step, states: dict[str, Any] | None = None, **more: Any) -> Plan:
    return Plan(steps, Snapshot(uuid4(), states or {}), **more)


STEPS = plan_of(
    step("keep", "key-pair/old"),
    step("create", "vpc/main", "key-pair/old"),
    step("create", "role/node"),
    step("create", "cluster/demo", "after the network", "vpc/main", "role/node"),
    step("create", "pool/default", "cluster/demo"),
    step("create", "add-on/dns", "pool/default"),
    barriers={"after the network": frozenset({"vpc/main"})},
    states={"key-pair/old": SimpleNamespace(id="key-1")},
)
EVENTS: list[tuple[float, Event]] = [
    (0, RunStarted("up", "demo", "run-1", ())),
    (0, StepStarted("vpc/main", "create")),
    (0, StepStarted("role/node", "create")),
    (2, StepDone("vpc/main", "create", 2, id="vpc-123")),
    (3, StepRetried("role/node", "throttled", 1.5)),
    (5, StepDone("role/node", "create", 5)),
    (6, StepStarted("cluster/demo", "create", 8)),
    (7, StepNoted("cluster/demo", "CREATING")),
    (16, StepDone("cluster/demo", "create", 10)),
    (16, StepStarted("pool/default", "create")),
    (18, Warned("ingress/*", "Kubernetes does not answer")),
    (20, StepFailed("pool/default", "create", 4, Rejected("no capacity", hint="wait"))),
    (20, RunEnded("up", "demo", 3, 1, 0, 20)),
]


def recorded(events: list[tuple[float, Event]]) -> Picture:
    now = 1000.0
    shown = Picture("demo", ("eks", "eu-west-1", "1"), "failed", "bad")
    recording = Recording(shown, lambda: now)
    recording.plan(STEPS)
    for at, event in events:
        now = 1000.0 + at
        recording(event)
    return recording.picture


class Checked(HTMLParser):
    """Whether every element is closed, and what the page would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.said = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


def drawn(*pictures: Picture, verb: str = "up") -> str:
    text = page(verb, pictures, 20.0, WHEN)
    text.encode()  # no surrogates
    found = Checked(text)
    assert found.names.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert not any(name.startswith("on") or name == "src" for name in found.attributes)
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    return text


def test_a_run_is_recorded() -> None:
    shown = recorded(EVENTS)
    things = shown.things
    assert shown.seconds == 20
    assert shown.warnings[-1] == Finding("Kubernetes does not answer", where="ingress/*")
    vpc, role, cluster = things["vpc/main"], things["role/node"], things["cluster/demo"]
    assert (vpc.begin, vpc.end, vpc.word, vpc.id) == (0, 2, "created", "vpc-123")
    assert role.retries == [(3, 1.5, "throttled")]
    assert cluster.needs == {"vpc/main", "role/node"}  # the barrier is none of the things
    assert (cluster.typical, cluster.said) == (8, [(7, "CREATING")])
    assert (things["pool/default"].word, things["pool/default"].tone) == ("failed", "bad")
    assert (things["add-on/dns"].word, things["add-on/dns"].begin) == ("not begun", None)
    assert (things["key-pair/old"].word, things["key-pair/old"].id) == ("unchanged", "key-1")


def test_the_critical_path_adds_up() -> None:
    critical = critical_path(recorded(EVENTS).things)
    assert [each.key for each in critical] == ["role/node", "cluster/demo", "pool/default"]
    assert (sum(each.seconds for each in critical), critical[-1].end) == (
        19,
        20,
    )  # and a second between
    assert critical_path({}) == ()


def test_a_critical_path_goes_through_what_took_no_time() -> None:
    things = {
        "a/1": Thing("a/1", begin=0.0, end=3.0),
        "b/kept": Thing("b/kept", needs=frozenset({"a/1"})),
        "c/1": Thing("c/1", needs=frozenset({"b/kept"}), begin=3.0, end=4.0),
    }
    assert [each.key for each in critical_path(things)] == ["a/1", "c/1"]


def test_what_an_interrupted_run_leaves_is_said() -> None:
    shown = recorded([*EVENTS[:8], (9, StepStopped("cluster/demo", "CREATING")),
                                   (9, RunEnded("up", "demo", 2, 0, 1, 9))])  # fmt: skip
    assert (shown.things["cluster/demo"].word, shown.things["cluster/demo"].end) == ("stopped", 9)
    # one that did not reach its end at all, as after a second Ctrl-C
    shown = recorded(EVENTS[:8])
    assert "creating" in drawn(shown)


def test_the_page_says_everything() -> None:
    shown = recorded(EVENTS)
    shown.errors = (Rejected("no capacity", hint="wait"),)
    shown.scale = 1 / 60
    text = drawn(shown)
    said = Checked(text).said
    for word in ("demo", "failed", "no capacity", "wait", "vpc-123", "throttled", "not begun",
                 "60 times as fast", "20:00 min at the real pace", "Kubernetes does not answer",
                 "ends with pool/default after 20 s"):  # fmt: skip
        assert word in said
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"https?://", text)


def test_hostile_words_stay_words() -> None:
    thing = Thing(f"vpc/{HOSTILE}", word=HOSTILE, id=HOSTILE, about=HOSTILE, begin=0.0, end=1.0)
    thing.said, thing.retries = [(0.1, HOSTILE)], [(0.2, 0.1, HOSTILE)]
    shown = Picture(HOSTILE, (HOSTILE, HOSTILE, HOSTILE), HOSTILE, "bad", {thing.key: thing})
    shown.errors = (Rejected(HOSTILE, hint=HOSTILE), ValueError(HOSTILE),
                    PreflightError([Finding(HOSTILE, where=HOSTILE, hint=HOSTILE)]))  # fmt: skip
    shown.warnings = [Finding(HOSTILE)]
    shown.stay = [SimpleNamespace(key=HOSTILE, reason=HOSTILE, hint=HOSTILE)]  # type: ignore[list-item]
    for text in (drawn(shown), drawn(shown, shown)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<script" not in text


def test_what_exists_is_drawn_with_what_the_profile_has_besides() -> None:
    state = {"tags": {"x": "sub-1"}, "vpc": "vpc-1"}
    found = Observation("1", (
        Seen("vpc/main", "vpc-1", "available", {}),
        Seen("subnet/a", "sub-1", "failed: no room", state, ready=False),
        Seen("subnet/a", "sub-2", "available", {"arns": ("arn:x/vpc-1",)}),
    ))  # fmt: skip
    alone = observed(found, None)
    assert alone["subnet/a"].needs == alone["subnet/a (sub-2)"].needs == {"vpc/main"}
    assert [each.tone for each in alone.values()] == ["good", "late", "late"]
    edit = Edit("cidr", "a", "b", lambda: None)
    compared = observed(found, plan_of(
        step("update", "vpc/main", changes=(edit,)),
        step("keep", "subnet/a", "vpc/main"),
        step("create", "cluster/demo", "subnet/a"),
    ))  # fmt: skip
    assert compared["vpc/main"].word == "available, to update"
    assert str(edit) in compared["vpc/main"].about
    assert compared["cluster/demo"].word == "missing"
    assert compared["cluster/demo"].needs == {"subnet/a"}
    text = drawn(Picture("demo", things=compared), verb="status")
    assert "Timeline" not in text
    assert "missing" in text
    both = drawn(*[Picture(name, things=compared) for name in ("one", "two")], verb="status")
    assert re.findall(r">(took)</th>", both) == []  # nothing ran


def test_layers_follow_the_needs_and_boxes_never_overlap() -> None:
    needs: dict[str, set[str]] = {f"n{i}": {f"n{j}" for j in range(i) if (i * 7 + j * 3) % 5 == 0}
                                  for i in range(60)}  # fmt: skip
    layer = layers(needs)
    assert all(layer[need] < layer[each] for each, direct in needs.items() for need in direct)
    heights = {each: 20.0 + 10 * (len(each) % 3) for each in needs}
    tops, bends = place(reduced(needs), layer, heights)
    for column in set(layer.values()):
        inside = sorted((tops[each], heights[each]) for each in needs if layer[each] == column)
        for (top, height), (below, _) in pairwise(inside):
            assert below >= top + height + GAP - 1e-6
    assert all(len(way) == layer[e[0]] - layer[e[1]] - 1 for e, way in bends.items())


def test_an_edge_that_a_longer_way_says_is_left_out() -> None:
    needs = {"a": set[str](), "b": {"a"}, "c": {"a", "b"}}
    assert reduced(needs) == {"a": set(), "b": {"a"}, "c": {"b"}}
    assert reduced(needs, {("c", "a")}) == needs


def test_many_clusters_stay_small() -> None:
    shown = recorded(EVENTS)
    things = {f"{key}-{n}": Thing(f"{key}-{n}", begin=0.0, end=float(n), needs=each.needs)
              for n in range(12) for key, each in shown.things.items()}  # fmt: skip
    well = [Picture(f"well-{n}", word="up", tone="good", things=things, seconds=1.0 * n,
                    began=WHEN, start=float(n)) for n in range(399)]  # fmt: skip
    text = drawn(*well, shown)
    assert len(text) < 3_000_000
    assert text.count('<div class="timeline"') == PICTURES
    assert text.index('id="c399"') < text.rindex('<div class="timeline"')  # the failed one
    assert "1 failed" in text


@pytest.mark.parametrize("kind", ["folder", "pipe", "nowhere", "read-only", "profile"])
def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "page.html"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "nowhere":
            file = tmp_path / "no" / "page.html"
        case "read-only":
            file.write_text("<!doctype html>")
            if os.geteuid() == 0:
                pytest.skip("root writes everywhere")
            file.chmod(0o400)
        case "profile":
            file.write_text("cloud: eks\n")
        case _:
            raise AssertionError(kind)
    with pytest.raises(UsageError) as refused:
        writing.check("--report", file)
    assert refused.value.exit_code == 2
    assert refused.value.where == f"--report {file}"
    assert sorted(tmp_path.iterdir()) == ([] if kind == "nowhere" else [file])


def test_a_page_or_an_empty_file_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    writing.check("--report", file)
    assert not file.exists()
    file.touch()
    writing.check("--report", file)
    file.write_text("<!DOCTYPE html><p>")
    writing.check("--report", file)
    assert file.read_text() == "<!DOCTYPE html><p>"
    writing.check("--report", None)


class Told:
    """Stands for the terminal."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def line(self, event: str, **_: object) -> None:
        self.said.append(event)


def test_the_page_is_written_whatever_happens(tmp_path: Path) -> None:
    file, told = tmp_path / "page.html", Told()
    job = Job(Choice(), cast(Any, told))
    job.target = Target("sky", "demo", "north")
    job.plan = STEPS
    clusters = cast(Any, SimpleNamespace(jobs=[job], several=False))
    with (
        pytest.raises(Rejected),
        writing.written(file, "up", clusters, cast(Any, told)),
    ):
        raise Rejected("no capacity", hint="wait")
    said = Checked(file.read_text()).said
    assert "no capacity" in said
    assert "not begun" in said
    with writing.written(file, "up", clusters, cast(Any, told)):
        stopped = {"cluster/demo": "CREATING", "pool/default": ""}
        job.result = Result("interrupted", 130, (Interrupted("interrupted"),), stopped, True)
    said = Checked(file.read_text()).said
    assert "no capacity" not in said
    assert f"cluster/demo: {writing.GOING}: CREATING" in said
    assert told.said == [f"wrote {file}", "Page"] * 2
    with writing.written(file, "up", clusters, cast(Any, told)):
        file.unlink()
        file.mkdir()
    assert told.said[-2:] == [
        f"warning: {file}: the page cannot be written: it is a directory",
        "Warnings",
    ]

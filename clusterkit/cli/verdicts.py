"""What checks found, for people, for programs and for CI."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from clusterkit import localfile
from clusterkit.cli.report import labelled
from clusterkit.cli.terminal import clean
from clusterkit.errors import ClusterkitError
from clusterkit.ready.checks import Status
from clusterkit.ready.verify import Verdict

STYLES: Mapping[Status, str] = {
    "passed": "green",
    "warned": "yellow",
    "failed": "red",
    "skipped": "dim",
}


def counts(verdicts: Sequence[Verdict]) -> str:
    """``11 passed, 1 warned``."""
    found = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{found[word]} {word}" for word in STYLES if found[word]) or "no checks"


def show(console: Console, cluster: str, verdicts: Sequence[Verdict]) -> None:
    """A line for each check; what is wrong with its words and its cure."""
    for verdict in verdicts:
        line = Text("  ")
        line.append(f"{verdict.check.id:<4}", style="bold")
        line.append(f"{verdict.status:<8}", style=STYLES[verdict.status])
        line.append(f" {verdict.check.title}")
        console.print(line)
        wrong = [result for result in verdict.results if result.status != "passed"]
        for result, after in zip(wrong, [*wrong[1:], None], strict=False):
            where = f"{result.where}: " if result.where else ""
            style = STYLES[result.status]
            labelled(console, (" " * 8, ""), f"{where}{result.what}", style)
            if result.seen:
                labelled(console, ("        seen as: ", "dim"), result.seen, "dim")
            if result.cure and (after is None or after.cure != result.cure):
                labelled(console, ("        cure: ", "dim"), result.cure, "dim")
    console.print(Text(f"{cluster}: {counts(verdicts)}"))


def as_json(cluster: str, verdicts: Sequence[Verdict]) -> str:
    """One document; ``ok`` is false if a check failed."""
    checks = [
        {
            "id": verdict.check.id,
            "title": verdict.check.title,
            "level": verdict.check.level,
            "purpose": verdict.check.purpose,
            "status": verdict.status,
            "seconds": verdict.seconds,
            "results": [asdict(result) for result in verdict.results],
        }
        for verdict in verdicts
    ]
    counted = Counter(verdict.status for verdict in verdicts)
    whole = {"cluster": cluster, "ok": not counted["failed"], "counts": counted, "checks": checks}
    return json.dumps(whole, indent=2)


def write_junit(path: Path, cluster: str, verdicts: Sequence[Verdict]) -> None:
    """A file as Jenkins and others read it: a test case per check (JUnit's XML)."""
    counted = Counter(verdict.status for verdict in verdicts)
    root = ElementTree.Element(
        "testsuite",
        name=clean(f"clusterkit verify {cluster}"),
        tests=str(len(verdicts)),
        failures=str(counted["failed"]),
        errors="0",
        skipped=str(counted["skipped"]),
        time=f"{sum(verdict.seconds for verdict in verdicts):.3f}",
    )
    for verdict in verdicts:
        check = verdict.check
        case = ElementTree.SubElement(
            root,
            "testcase",
            classname=f"verify.{check.purpose}",
            name=f"{check.id} {check.title}",
            time=f"{verdict.seconds:.3f}",
        )
        told = clean("\n".join(_lines(verdict)))
        if verdict.status == "failed":
            first = next(each.what for each in verdict.results if each.status == "failed")
            ElementTree.SubElement(case, "failure", message=clean(first)).text = told
        elif verdict.status == "skipped":
            ElementTree.SubElement(case, "skipped", message=told)
        elif told:
            ElementTree.SubElement(case, "system-out").text = told
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    try:
        localfile.replace(path, text + b"\n", secret=False)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise ClusterkitError(what, where=str(path), hint="name another file") from error


def _lines(verdict: Verdict) -> list[str]:
    found = []
    for result in verdict.results:
        where = f"{result.where}: " if result.where else ""
        found.append(f"{result.status}: {where}{result.what}")
        found += [f"seen as: {result.seen}"] if result.seen else []
        found += [f"cure: {result.cure}"] if result.cure else []
    return found

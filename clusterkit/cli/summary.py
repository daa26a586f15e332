"""What is printed about several clusters together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.console import Console
from rich.text import Text

from clusterkit.cli.report import labelled
from clusterkit.engine.words import brief, clock
from clusterkit.errors import Finding

MOST = 8
"""clusters whose steps are listed before a question; more than fit on a screen are only counted"""
ROWS = 40
"""rows of a table; where there are more, only what needs somebody's attention is listed"""
NAMED = 3
"""clusters that are named in a message about several"""


class Row(NamedTuple):
    """A cluster in a table."""

    label: str
    cloud: str
    region: str
    result: str
    reason: str
    mark: Literal["✓", "~", "✗"]
    """all is well, there is something to do, something is wrong"""


_STYLES = {"✓": "green", "~": "yellow", "✗": "red"}


def heading(console: Console, label: str, where: Sequence[str]) -> None:
    """What follows is about this cluster."""
    told = Text(label, style="bold")
    cloud, region, account = where
    if account:
        told.append(f"  {cloud}, {region}, account {account}", style="not bold dim")
    elif cloud:
        told.append(f"  {cloud}, {region}", style="not bold dim")
    console.print(told)


def places(console: Console, rows: Iterable[tuple[str, Sequence[str], str]]) -> None:
    """Where each cluster is, and what is to be done to it; those that are alike together where they
    would not fit on a screen.
    """
    rows = list(rows)
    if len(rows) > ROWS:
        alike: dict[tuple[Sequence[str], str], list[str]] = {}
        for label, where, todo in rows:
            alike.setdefault((where, todo), []).append(label)
        rows = [(names(labels), *same) for same, labels in alike.items()]
    for label, (cloud, region, account), todo in rows:
        text = f"{cloud}, {region}, account {account}: {todo}"
        labelled(console, (f"  {label}: ", ""), text)


def table(console: Console, rows: Sequence[Row]) -> None:
    """A line for each, within the width of a terminal."""
    cells = [(row.label, row.cloud, row.region) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row, parts in zip(rows, cells, strict=True):
        line = Text.assemble((row.mark, _STYLES[row.mark]))
        for part, width in zip(parts, widths, strict=True):
            line.append(f" {part:<{width}} ")
        line.append(f" {row.result}")
        if row.reason:
            line.append(f": {brief(row.reason)}", style="dim")
        if console.is_terminal:
            console.print(line, soft_wrap=False, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line)


def summary(console: Console, verb: str, rows: Sequence[Row], seconds: float) -> None:
    """How a command ended, cluster by cluster; the counts last, where they are seen."""
    table(console, rows if len(rows) <= ROWS else [row for row in rows if row.mark == "✗"])
    counts = Counter(row.result.partition(",")[0] for row in rows)  # "deleted, 2 kept"
    told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    console.print(Text(f"{verb} of {len(rows)} clusters: {told} in {clock(seconds)}", style="bold"))


def names(labels: Sequence[str]) -> str:
    """Some clusters in a few words."""
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return f"{', '.join(labels[:NAMED])}{more}"


def joined(findings: Iterable[tuple[str, Finding]]) -> list[Finding]:
    """Each warning once, with the clusters it is about."""
    about: dict[Finding, list[str]] = {}
    for label, finding in findings:
        about.setdefault(finding, []).append(label)
    out = []
    for finding, found in about.items():
        who = names(found)
        where = f"{who}: {finding.where}" if finding.where else who
        out.append(Finding(finding.what, where, finding.hint))
    return out

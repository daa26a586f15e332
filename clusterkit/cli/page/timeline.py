"""The timeline: a row for each step that ran, from when it could begin to when it ended.

The drawing is as wide as the page and has no text, so it may be stretched; all text is HTML.
"""

from __future__ import annotations

from datetime import timedelta

from clusterkit.cli.page.critical_path import waited_for
from clusterkit.cli.page.markup import Markup, joined, tag
from clusterkit.cli.page.record import Picture, Thing
from clusterkit.engine.words import brief, clock

ROW = 22
"""pixels of a row; style.css has the same"""
WIDE = 1000.0
"""units of the drawing's width"""
MARKS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480)),
)
"""seconds between two marks, of which the first is taken that gives at most ``MOST``"""
MOST = 9
ROOM = 0.16
"""share of the width that is enough for words beside a bar"""


def timeline(shown: Picture, critical: tuple[Thing, ...]) -> Markup:
    """The rows, oldest first; empty if nothing ran."""
    ran = [thing for thing in shown.things.values() if thing.begin is not None]
    if not ran:
        return Markup("")
    ran.sort(key=lambda each: (each.begin or 0.0, each.end, each.key))
    whole = max(shown.seconds, *(each.end for each in ran), 1e-3)
    scale = WIDE / whole
    marked = {each.key for each in critical}
    rows = {each.key: number for number, each in enumerate(ran)}
    ticks = _ticks(whole)
    lines = [
        tag("line", x1=at * scale, x2=at * scale, y1=0, y2=ROW * len(ran), class_="grid")
        for at in ticks
    ]
    ways, bars, words = [], [], []
    for each in ran:
        on = " critical" if each.key in marked else ""
        y = rows[each.key] * ROW
        before = waited_for(each, shown.things)
        if before is not None and before.key in rows:
            x, begin = before.end * scale, (each.begin or 0.0) * scale
            way = f"M{x:.1f} {rows[before.key] * ROW + 11} V{y + 11} H{begin:.1f}"
            linked = on if before.key in marked else ""
            ways.append(tag("path", d=way, class_=f"way{linked}"))
        bars.append(_bar(each, y, scale, on))
        words.append(_words(each, y, whole, on))
    ways.sort(key=lambda way: "critical" in way)
    drawing = tag(
        "svg", *lines, *ways, *bars,
        viewBox=f"0 0 {WIDE:.0f} {ROW * len(ran)}", preserveAspectRatio="none",
        height=ROW * len(ran), aria_hidden="true",
    )  # fmt: skip
    names = [tag("li", _name(each), class_="on" if each.key in marked else None) for each in ran]
    return tag(
        "div",
        tag("div", tag("div", "step", class_="corner"), tag("ol", *names), class_="names"),
        tag("div", _axis(shown, ticks, whole), tag("div", drawing, *words, class_="rows"),
            class_="track"),
        class_="timeline", role="group", aria_label="Timeline of the steps",
    )  # fmt: skip


def _name(thing: Thing) -> Markup:
    return joined((tag("span", f"{thing.kind}/", class_="kind"), thing.name))


def _ticks(whole: float) -> list[float]:
    apart = next((mark for mark in MARKS if whole / mark <= MOST), MARKS[-1])
    return [number * apart for number in range(int(whole / apart) + 1)]


def _axis(shown: Picture, ticks: list[float], whole: float) -> Markup:
    fine = len(ticks) > 1 and ticks[1] < 1
    marks = []
    for at in ticks:
        told = f"{at:.1f} s" if fine else clock(at) if at >= 10 else f"{at:.0f} s"
        when = ""
        if shown.began is not None:
            time = shown.began + timedelta(seconds=at)
            when = time.strftime("%H:%M:%S") + (f".{time.microsecond // 100000}" if fine else "")
        if at < whole * 0.94:  # the last has no room
            side = f"left:{at / whole:.2%}"
            marks.append(tag("span", told, tag("small", when), class_="mark", style=side))
    return tag("div", *marks, class_="axis", aria_hidden="true")


def _bar(thing: Thing, y: float, scale: float, on: str) -> Markup:
    begin = (thing.begin or 0.0) * scale
    width = max(2.0, thing.seconds * scale)
    parts = [
        tag("rect", tag("title", _title(thing)), x=begin, y=y + 5, width=width, height=12,
            class_=f"bar {thing.tone}{on}")
    ]  # fmt: skip
    usual = begin + thing.typical * scale
    if thing.typical * scale > 3 and usual <= WIDE:
        parts.append(tag("line", x1=usual, x2=usual, y1=y + 2, y2=y + 20, class_="usual"))
    for at, pause, reason in thing.retries:
        long = max(2.0, min(pause, max(0.0, thing.end - at)) * scale)
        told = tag("title", f"{clock(at)}: retried in {clock(pause)}: {brief(reason)}")
        parts.append(
            tag("rect", told, x=at * scale, y=y + 14, width=long, height=4, class_="retry")
        )
    return joined(parts)


def _words(thing: Thing, y: float, whole: float, on: str) -> Markup:
    told = clock(thing.seconds)
    if thing.tone in ("bad", "late"):
        told += f" {thing.word}"
    many = len(thing.retries)
    more = f", {many} {'retry' if many == 1 else 'retries'}" if many else ""
    before, after = (thing.begin or 0.0) / whole, 1 - thing.end / whole
    if max(before, after) < ROOM:
        on, side = f"{on} inside", f"right:{after:.2%}"
    elif after >= min(before, 0.2):
        side = f"left:{1 - after:.2%}"
    else:
        side = f"right:{1 - before:.2%}"
    style = f"{side};top:{y:.0f}px"
    more_told = tag("span", more, class_="more")
    return tag("span", told, more_told, class_=f"took {thing.tone}{on}", style=style)


def _title(thing: Thing) -> str:
    usual = f", usually {clock(thing.typical)}" if thing.typical >= 1 else ""
    said = [f"{clock(at)}  {brief(note)}" for at, note in thing.said if note]
    return "\n".join((f"{thing.key}: {thing.word} in {clock(thing.seconds)}{usual}", *said))

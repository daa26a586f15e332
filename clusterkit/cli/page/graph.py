"""The graph of resources: a box for the things of one kind in one layer, a line for what needs
what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from clusterkit.cli.page.layout import layers, place, reduced
from clusterkit.cli.page.markup import Markup, joined, tag
from clusterkit.cli.page.record import Thing
from clusterkit.engine.words import brief

LINE, HEAD, PAD = 17.0, 24.0, 10.0
"""heights of a thing and of a kind's name, and the space beside them"""
LETTER = 6.65
"""width of a letter of 11 px in a monospace font (0.6 em)"""
BETWEEN = 42.0
"""between two layers"""
LONGEST, MOST = 30, 9
"""letters of a name, and things of a box; the rest is counted"""
SMALLEST = 0.85
"""share of its own size to which a narrow page shrinks it; then it scrolls"""
SIGNS = {"good": "●", "bad": "✕", "late": "◐", "same": "=", "idle": "○"}

Box = tuple[str, int]
"""kind and layer"""


def graph(things: Mapping[str, Thing], critical: Sequence[Thing]) -> Markup:
    """The drawing at its own size."""
    needs = {key: {n for n in each.needs if n in things} for key, each in things.items()}
    layer = layers(needs)
    box_of = {key: (each.kind, layer[key]) for key, each in things.items()}
    inside: dict[Box, list[Thing]] = {}
    for key, each in things.items():
        inside.setdefault(box_of[key], []).append(each)
    links = [each.key for each in critical]
    marked = {(box_of[user], box_of[need]) for need, user in pairwise(links) if need in needs[user]}
    edges: dict[Box, set[Box]] = {box: set() for box in inside}
    for key, direct in needs.items():
        edges[box_of[key]] |= {box_of[need] for need in direct}
    edges = reduced(edges, marked)
    heights = {box: HEAD + LINE * len(_rows(of)) + 6 for box, of in inside.items()}
    tops, bends = place(edges, {box: box[1] for box in inside}, heights)
    widths: dict[int, float] = {}
    for (kind, column), of in inside.items():
        letters = max(len(kind), *(len(row) + 2 for row in _rows(of)))
        widths[column] = max(widths.get(column, 0.0), letters * LETTER + 2 * PAD)
    lefts, x = {}, 1.0
    for column in sorted(widths):
        lefts[column] = x
        x += widths[column] + BETWEEN
    lines = []
    for (user, need), heights_between in bends.items():
        points = [(lefts[need[1]] + widths[need[1]], tops[need] + heights[need] / 2)]
        for number, y in enumerate(heights_between, need[1] + 1):
            points += [(lefts[number], y), (lefts[number] + widths[number], y)]
        points.append((lefts[user[1]] - 5, tops[user] + heights[user] / 2))
        on = " critical" if (user, need) in marked else ""
        lines.append(
            tag("path", d=_curve(points), class_=f"edge{on}", marker_end=f"url(#to{on[1:]})")
        )
    lines.sort(key=lambda line: "critical" in line)
    on_path = frozenset(links)
    boxes = [
        _box(of, lefts[box[1]], tops[box], widths[box[1]], heights[box], on_path)
        for box, of in inside.items()
    ]
    wide = x - BETWEEN + 1
    high = max((tops[box] + heights[box] for box in inside), default=0.0) + 2
    part = f"-1 -1 {wide + 1:.0f} {high:.0f}"
    return tag(
        "svg", _arrows(), *lines, *boxes, class_="graph", viewBox=part,
        style=f"max-width:{wide:.0f}px;min-width:{wide * SMALLEST:.0f}px", role="img",
        aria_label=f"{len(things)} resources and what each needs; the table below says the same",
    )  # fmt: skip


def _rows(of: Sequence[Thing]) -> list[str]:
    names = [brief(each.name, LONGEST) for each in of[:MOST]]
    return names + ([f"and {len(of) - MOST} more"] if len(of) > MOST else [])


def _box(
    of: Sequence[Thing],
    left: float,
    top: float,
    width: float,
    height: float,
    critical: frozenset[str],
) -> Markup:
    on = " critical" if any(each.key in critical for each in of) else ""
    tone = " bad" if any(each.tone == "bad" for each in of) else ""
    parts = [
        tag("rect", x=left, y=top, width=width, height=height, rx=7, class_=f"box{on}{tone}"),
        tag("text", of[0].kind, x=left + PAD, y=top + 16, class_="head"),
    ]
    for number, name in enumerate(_rows(of)):
        y = top + HEAD + LINE * number + 11
        if number >= MOST:
            parts.append(tag("text", name, x=left + PAD, y=y, class_="row rest"))
            continue
        thing = of[number]
        on = " critical" if thing.key in critical else ""
        sign = tag("tspan", SIGNS[thing.tone], class_=f"sign {thing.tone}")
        told = tag("title", f"{thing.key}: {thing.word}{f' ({thing.id})' if thing.id else ''}")
        place = {"x": left + PAD, "y": y}
        parts.append(tag("text", told, sign, f" {name}", class_=f"row{on}", **place))
    return tag("g", *parts)


def _curve(points: Sequence[tuple[float, float]]) -> str:
    (x, y), told = points[0], f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for number, (to_x, to_y) in enumerate(points[1:]):
        half = (x + to_x) / 2
        straight = number % 2 == 1 or abs(y - to_y) < 0.5
        told += (
            f" L{to_x:.1f} {to_y:.1f}"
            if straight
            else (f" C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        )
        x, y = to_x, to_y
    return told


def _arrows() -> Markup:
    heads = [
        tag("marker", tag("path", d="M0 0L6 3L0 6z", class_=f"arrow {name}"), id=f"to{name}",
            viewBox="0 0 6 6", refX=1, refY=3, markerWidth=6, markerHeight=6,
            markerUnits="userSpaceOnUse", orient="auto")
        for name in ("", "critical")
    ]  # fmt: skip
    return tag("defs", joined(heads))

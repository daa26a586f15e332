"""HTML and SVG elements as text that is escaped once, here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from clusterkit.cli.terminal import clean

EMPTY = frozenset({"meta", "rect", "path", "line"})
"""elements without an end tag of their own: void in HTML, ``/>`` in SVG"""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """The value as text: without control characters, bidirectional marks and lone surrogates."""
    if isinstance(value, Markup):
        return value
    harmless = clean(str(value)).encode("utf-8", "replace").decode("utf-8")
    return Markup(escape(harmless))


def tag(name: str, /, *inside: object, **attributes: object) -> Markup:
    """An element; ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``, None is left out,
    numbers have one decimal.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY and not inside:
        return Markup(f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{joined(inside)}</{name}>")


def joined(parts: Iterable[object]) -> Markup:
    """One after the other."""
    return Markup("".join(text(part) for part in parts))


def _short(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value

"""The critical path of a run: the steps that it could not be faster than."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clusterkit.cli.page.record import Thing


def waited_for(thing: Thing, things: Mapping[str, Thing]) -> Thing | None:
    """Of those it needs, the one that ended last before it began; what took no time stands for
    what it needs itself.
    """
    begin = thing.begin
    if begin is None:
        return None
    before = [each for each in _timed(thing, things) if each.begin is not None]
    return max(before, key=lambda each: (each.end, each.key), default=None)


def _timed(thing: Thing, things: Mapping[str, Thing]) -> Iterator[Thing]:
    seen: set[str] = set()
    left = list(thing.needs)
    while left:
        key = left.pop()
        if key in seen or key not in things:
            continue
        seen.add(key)
        if things[key].begin is None:
            left += things[key].needs
        else:
            yield things[key]


def critical_path(things: Mapping[str, Thing]) -> tuple[Thing, ...]:
    """From what ended last back to the beginning, each with the one it waited for; in the order
    they ran. Their times, and those between them, add up to the end of the last.
    """
    ran = [thing for thing in things.values() if thing.begin is not None]
    links: list[Thing] = []
    at = max(ran, key=lambda each: (each.end, each.key), default=None)
    seen: set[str] = set()
    while at is not None and at.key not in seen:
        seen.add(at.key)
        links.append(at)
        at = waited_for(at, things)
    return tuple(reversed(links))

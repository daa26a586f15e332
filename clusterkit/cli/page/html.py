"""The page: a pure function of what was recorded. Complete without a script, and it loads nothing:
its Content-Security-Policy allows its own style and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from importlib.resources import files

from clusterkit.cli.page.critical_path import critical_path
from clusterkit.cli.page.graph import SIGNS, graph
from clusterkit.cli.page.markup import Markup, joined, tag
from clusterkit.cli.page.record import Picture, Thing, without_idle
from clusterkit.cli.page.timeline import timeline
from clusterkit.engine.words import clock
from clusterkit.errors import ClusterkitError, PreflightError, ProfileError
from clusterkit.version import __version__

PICTURES = 12
"""clusters of a page that are drawn: those that failed, then the slowest; of the others it has the
critical path, so that 400 stay within a few MB
"""
DOCTYPE = "<!doctype html>\n"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(verb: str, pictures: Sequence[Picture], seconds: float, made: datetime) -> str:
    """The whole page of a command (``up``, ``destroy``, ``status``) about these clusters."""
    pictures = [replace(each, things=without_idle(each.things)) for each in pictures]
    title = f"clusterkit {verb}: {_names(pictures)}"
    body = _one(pictures[0], verb) if len(pictures) == 1 else _several(pictures, verb, seconds)
    style = Markup(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", style),
    )
    told = f"Written by clusterkit {__version__} on {_when(made)}. This page loads nothing."
    whole = tag("html", head, tag("body", tag("main", body), tag("footer", told)), lang="en")
    return f"{DOCTYPE}{whole}\n"


def _names(pictures: Sequence[Picture]) -> str:
    return pictures[0].label if len(pictures) == 1 else f"{len(pictures)} clusters"


def _when(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


def _one(shown: Picture, verb: str) -> Markup:
    badge = tag("span", shown.word, class_=f"badge {shown.tone}") if shown.word else ""
    return joined(
        (tag("header", tag("h1", shown.label, " ", badge), _facts(shown, verb)), _body(shown))
    )


def _facts(shown: Picture, verb: str) -> Markup:
    facts = dict(zip(("Cloud", "Region", "Account"), filter(None, shown.where), strict=False))
    facts["Command"] = f"clusterkit {verb}"
    ran = [each for each in shown.things.values() if each.begin is not None]
    if shown.began is not None:
        facts["Began"] = _when(shown.began)
        facts["Took"] = clock(shown.seconds)
    if ran and shown.scale < 1:
        pace = 1 / shown.scale if shown.scale > 0 else 0
        real = f", {clock(shown.seconds * pace)} at the real pace" if 1 < pace < 1e6 else ""
        speed = f"{pace:,.0f} times as fast" if 1 < pace < 1e6 else "without waiting"
        facts["Sandbox"] = f"{speed}{real}"
    facts["Resources"] = _counts(shown)
    rows = [tag("div", tag("dt", key), tag("dd", value)) for key, value in facts.items()]
    return tag("dl", *rows, class_="facts")


def _counts(shown: Picture) -> str:
    count: dict[str, int] = {}
    for each in shown.things.values():
        count[each.word] = count.get(each.word, 0) + 1
    most = sorted(count.items(), key=lambda pair: -pair[1])
    told = [f"{number} {word.split(':')[0]}" for word, number in most[:5]]
    return ", ".join([*told, *(["…"] if len(most) > 5 else [])]) or "none"


def _body(shown: Picture) -> Markup:
    critical = critical_path(shown.things)
    return joined((_told(shown), _times(shown, critical), _drawing(shown, critical), _table(shown)))


def _told(shown: Picture) -> Markup:
    """What went wrong, and what to know."""
    parts = []
    for error in shown.errors:
        findings = error.findings if isinstance(error, ProfileError | PreflightError) else ()
        for what in findings or (error,):
            hint = getattr(what, "hint", "")
            known = findings or isinstance(error, ClusterkitError)
            told = str(what) if known else f"{type(error).__name__}: {error}"
            parts.append(tag("div", tag("strong", told), tag("p", hint) if hint else "",
                             class_="told", role="alert"))  # fmt: skip
    if shown.warnings:
        items = [
            tag("li", str(each), tag("span", f" {each.hint}", class_="soft") if each.hint else "")
            for each in shown.warnings
        ]
        many = f"{len(items)} warnings" if len(items) > 1 else "Warning"
        parts.append(tag("div", tag("strong", many), tag("ul", *items), class_="told warn"))
    if shown.stay:
        rows = [
            tag(
                "tr",
                tag("td", each.key, class_="key"),
                tag("td", each.reason),
                tag("td", each.hint),
            )
            for each in shown.stay
        ]
        parts += [tag("h3", "What stays"), _wide("What stays", _head("thing", "why", ""), rows)]
    return joined(parts)


def _times(shown: Picture, critical: tuple[Thing, ...]) -> Markup:
    if not critical:
        return Markup("")
    last = critical[-1]
    legend = [
        _sample("bar critical", "critical path"),
        _sample("bar", "other steps"),
        _sample("usual", "what it usually takes"),
        _sample("retry", "waits for a retry"),
        tag("li", "lines: what a step waited for"),
    ]
    slowest = max(critical, key=lambda each: each.seconds)
    share = slowest.seconds / max(last.end, 1e-9)
    told = (
        f"The critical path has {len(critical)} step{'s' if len(critical) > 1 else ''} and ends "
        f"with {last.key} after {clock(last.end)}: only a shorter step on it makes the run "
        f"shorter. "
        f"{slowest.key} is {share:.0%} of it."
    )
    return joined(
        (
            tag("h3", "Timeline"),
            tag("p", told, class_="soft"),
            tag("ul", *legend, class_="legend"),
            timeline(shown, critical),
            tag("h3", "Critical path"),
            _critical_table(critical),
        )
    )


def _sample(what: str, told: str) -> Markup:
    drawn = tag("rect", x=1, y=3, width=26, height=9, class_=what)
    if what == "usual":
        drawn = tag("line", x1=14, x2=14, y1=1, y2=13, class_=what)
    return tag("li", tag("svg", drawn, width=28, height=14, aria_hidden="true"), told)


def _critical_table(critical: Sequence[Thing]) -> Markup:
    end = max(critical[-1].end, 1e-9)
    rows, busy = [], 0.0
    for thing in critical:
        share = thing.seconds / end
        busy += thing.seconds
        bar = _span((thing.begin or 0.0) / end, share)
        numbers = map(
            _number, (clock(thing.seconds), _usual(thing), f"{share:.0%}", clock(thing.end))
        )
        rows.append(tag("tr", tag("td", thing.key, class_="key"), *numbers, bar))
    sums = [("together", end)]
    if (gaps := end - busy) / end >= 0.005:
        sums.insert(0, ("between the steps", gaps))
    foot = [
        tag("tr", tag("td", told), _number(clock(took)), tag("td"), _number(f"{took / end:.0%}"))
        for told, took in sums
    ]
    head = _head("step", "#took", "#usually", "#share", "#done after", "")
    return _wide("The critical path", head, rows, foot)


def _usual(thing: Thing) -> str:
    return clock(thing.typical) if thing.typical > 0 else ""


def _span(left: float, width: float) -> Markup:
    """A cell with a bar."""
    style = f"margin-left:{left:.2%};width:{width:.2%}"
    return tag("td", tag("span", class_="share", style=style), class_="span")


def _drawing(shown: Picture, critical: tuple[Thing, ...]) -> Markup:
    if not shown.things:
        return Markup("")
    ran = any(each.begin is not None for each in shown.things.values())
    words = {"good": "done" if ran else "in place", "bad": "failed", "late": "needs a look"}
    words |= {"same": "unchanged", "idle": "not begun" if ran else "missing"}
    tones = dict.fromkeys(each.tone for each in shown.things.values())
    legend = [tag("li", tag("span", f"{SIGNS[tone]} ", class_=tone), words[tone]) for tone in tones]
    told = "Left to right: what comes first stands left of what waits for it."
    where = tag(
        "div", graph(shown.things, critical), class_="wide", role="region", tabindex="0",
        aria_label="Graph of the resources",
    )  # fmt: skip
    return joined(
        (
            tag("h3", "Graph"),
            tag("p", told, class_="soft"),
            tag("ul", *legend, class_="legend"),
            where,
        )
    )


def _table(shown: Picture) -> Markup:
    if not shown.things:
        return Markup("")
    ran = any(each.begin is not None for each in shown.things.values())
    times = ("#began", "#took", "#usually") if ran else ()
    rows = []
    for each in shown.things.values():
        numbers = [_number(told) for told in _clocks(each)] if ran else []
        state = tag("td", f"{SIGNS[each.tone]} {each.word}", class_=each.tone)
        rows.append(
            tag("tr", tag("td", each.key, class_="key"), state, *numbers,
                tag("td", tag("code", each.id), class_="long"),
                tag("td", ", ".join(sorted(each.needs)), class_="long"),
                tag("td", _more(each), class_="long"))
        )  # fmt: skip
    summary = tag("summary", f"All {len(rows)} resources")
    head = _head("thing", "state", *times, "id", "needs", "more")
    return tag("details", summary, _wide("All resources", head, rows))


def _clocks(thing: Thing) -> tuple[str, str, str]:
    began = thing.begin is not None
    return clock(thing.begin or 0) * began, clock(thing.seconds) * began, _usual(thing)


def _more(thing: Thing) -> str:
    retried = [f"{clock(at)} retried: {reason}" for at, _, reason in thing.retries]
    said = [f"{clock(at)} {note}" for at, note in thing.said if note]
    return "; ".join(filter(None, (thing.about, *said, *retried)))


def _head(*names: str) -> Markup:
    cells = [
        tag("th", name.removeprefix("#"), scope="col", class_="number" if name[:1] == "#" else None)
        for name in names
    ]
    return tag("thead", tag("tr", *cells))


def _number(told: str) -> Markup:
    return tag("td", told, class_="number")


def _wide(label: str, head: Markup, rows: Sequence[Markup], foot: Sequence[Markup] = ()) -> Markup:
    parts = [head, tag("tbody", *rows), *([tag("tfoot", *foot)] if foot else [])]
    table = tag("table", *parts, aria_label=label)
    return tag("div", table, class_="wide", role="region", tabindex="0", aria_label=label)


def _several(pictures: Sequence[Picture], verb: str, seconds: float) -> Markup:
    bad, late = (sum(each.tone == tone for each in pictures) for tone in ("bad", "late"))
    word = f"{bad} failed" if bad else f"{late} to look at" if late else "all well"
    badge = tag("span", word, class_=f"badge {'bad' if bad else 'late' if late else 'good'}")
    first = min((each.start for each in pictures if each.began), default=0.0)
    last = max((each.start + each.seconds for each in pictures if each.began), default=first)
    whole = max(last - first, 1e-9)
    ran = any(each.began for each in pictures)
    rows = []
    for number, each in enumerate(pictures):
        times = [_number(clock(each.seconds) if each.began else "")] if ran else []
        bars = [tag("td")] if ran else []
        if each.began:
            bars = [_span((each.start - first) / whole, each.seconds / whole)]
        rows.append(
            tag("tr", tag("td", tag("a", each.label, href=f"#c{number}"), class_="key"),
                tag("td", " ".join(each.where[:2])), tag("td", each.word, class_=each.tone),
                *times, _number(str(len(each.things))), *bars)
        )  # fmt: skip
    words = ("cluster", "where", "result", "#took", "#resources", f"of {clock(whole)}")
    head = _head(*(words if ran else (*words[:3], words[4])))
    facts = {"Command": f"clusterkit {verb}", "Took": clock(seconds)}
    told = [tag("div", tag("dt", key), tag("dd", value)) for key, value in facts.items()]
    drawn = sorted(pictures, key=lambda each: (each.tone != "bad", -each.seconds))[:PICTURES]
    chosen = {id(each) for each in drawn}
    note = ""
    if len(pictures) > PICTURES:
        note = f"{PICTURES} are drawn: those that failed, then the slowest. "
        note += "The others have their critical path."
    sections = [_section(each, number, id(each) in chosen) for number, each in enumerate(pictures)]
    return joined(
        (
            tag(
                "header", tag("h1", _names(pictures), " ", badge), tag("dl", *told, class_="facts")
            ),
            tag("h3", "Clusters"),
            tag("p", note, class_="soft"),
            _wide("Clusters", head, rows),
            *sections,
        )
    )


def _section(shown: Picture, number: int, drawn: bool) -> Markup:
    badge = tag("span", shown.word, class_=f"badge {shown.tone}")
    where = tag("span", f" {' '.join(filter(None, shown.where))} ", class_="soft")
    if drawn:
        inside = _body(shown)
    else:
        critical = critical_path(shown.things)
        table = _critical_table(critical) if critical else ""
        inside = joined((_told(shown), table))
    # a link to what is inside opens it
    inside = tag("div", inside, id=f"c{number}")
    opened = "" if drawn and shown.tone == "bad" else None
    whole = tag("details", tag("summary", shown.label, where, badge), inside, open=opened)
    return tag("section", whole, class_="one")

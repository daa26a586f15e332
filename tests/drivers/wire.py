"""What a profile makes a driver send: for each operation the fields of its requests.

Ids and run ids are different each time and are left out, so that two runs of one profile are equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

from clusterkit.engine.exchange import Exchange
from tests.drivers.fields import Turn
from tests.drivers.world import Case, edited, world

Sent = Mapping[str, Set[tuple[str, str]]]
"""``service:operation`` to the fields and their values; fields are dotted, without the indices"""
PATH = "(path)"
"""the field that is the request's path"""
_RANDOM = re.compile(
    r"(?<!roleDefinitions/)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b(?:acl|eip|eipalloc|eni|igw|key|lb|lt|nat|ngw|rtb|sg|stb|subnet|vpc|vsw)-[0-9a-z]{8,}"
    r"|ssh-rsa \S+"  # a key that nobody has is made anew each time
    r"|\b[0-9]{15,}\b|\b(?:c|np)?[0-9a-f]{32,}\b|\b[0-9A-F]{32}\b|(?<=-)[0-9a-f]{6}\b"
)
_IGNORED = (
    *("ClientToken", "SnatIp", "clientRequestToken", "client_token"),
    # passwords that the cloud makes, and their end
    *("dockerconfigjson", "password", "dev/expires"),
)
"""ends of the names of fields that are different each time"""


def fields(value: Any, within: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a body or of parameters, with its place: ``spec.ports.port``, ``80``."""
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode()
    if isinstance(value, str) and not within and value.startswith("<"):
        value = _elements(ElementTree.fromstring(value))
    if isinstance(value, str) and not within:
        value = json.loads(value) if value[:1] in ("{", "[") else dict(parse_qsl(value))
    if isinstance(value, Mapping):
        for key, inner in value.items():
            parts = [part for part in str(key).split(".") if not part.isdigit()]
            # a key of labels or tags has dots that are no places
            name = key if "/" in str(key) else ".".join(parts)
            yield from fields(inner, f"{within}.{name}" if within else name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from fields(inner, within)
    elif value is not None and within.rpartition(".")[2] not in _IGNORED:
        yield within, str(value)


def _elements(found: ElementTree.Element) -> Any:
    """An element of XML as a mapping of its own elements, those of one name as a list."""
    inner: dict[str, Any] = {}
    for each in found:
        inner.setdefault(each.tag.rpartition("}")[2], []).append(_elements(each))
    return inner or found.text


def _texts(value: Any) -> Iterator[str]:
    return (text for _, text in fields({"": value}))


class Recorder:
    """An observer that keeps what the requests of a driver have in them."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known``: ids in the profile, which are kept as they are."""
        self.sent: dict[str, set[tuple[str, str]]] = {}
        self._known = {*known}

    def __call__(self, seen: Exchange) -> None:
        """Keep one request that changes something."""
        lock = "clusterkit-lock" in f"{seen.url} {seen.sent}"
        if seen.phase != "before" or not seen.mutating or lock:
            return
        url = urlsplit(seen.url)
        kept = self.sent.setdefault(f"{seen.service}:{seen.operation}", set())
        parts = [{PATH: url.path}, dict(parse_qsl(url.query)), seen.sent or {}]
        for part in parts:
            kept.update((field, self._stable(value)) for field, value in fields(part))

    def _stable(self, value: str) -> str:
        known = any(each in value for each in self._known)
        return value if known else _RANDOM.sub("…", value)


def first_up(case: Case, folder: Path, which: Literal["here", "there"], *turns: Turn) -> Sent:
    """What the first ``up`` sends with one of the two values of every turn."""
    with world(case, folder) as found:
        profile: Mapping[str, Any] = found.case.profile
        made: list[str] = []
        for turn in turns:
            values = (turn.here, turn.there) if turn.prepare is None else turn.prepare(found)
            profile = edited(profile, values[which == "there"])
            made += _texts(values) if turn.prepare else ()
        found.profile = found.load(profile)
        recorder = Recorder(made)
        cluster = found.cluster(observe=recorder)
        planned = cluster.plan(found.profile, activate=lambda _: None)
        found.settle(cluster.apply(planned, found.events.append))
        return recorder.sent


def changed(one: Sent, other: Sent) -> set[tuple[str, str]]:
    """The operations and fields that have other values."""
    return {
        (operation, field)
        for operation in one.keys() | other.keys()
        for field, _ in one.get(operation, set()) ^ other.get(operation, set())
    }


def carries(call: str, seen: Iterable[tuple[str, str]]) -> bool:
    """Whether ``service:operation field`` is among these operations and fields: the field itself,
    what lies in it, or the operation on something below the named path.
    """
    operation, _, field = call.rpartition(" ")
    return any(
        (made == operation or made.startswith(f"{operation}/"))
        and (name == field or name.startswith(f"{field}."))
        for made, name in seen
    )

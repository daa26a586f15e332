"""Things that carry the mark as tags, whatever the cloud calls those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clusterkit.engine.resource import C, Change, Ctx, Resource, S
from clusterkit.errors import Gone, Retryable
from clusterkit.naming import CLUSTER, NAME, RUN

Tags = dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Marked(Resource[C, S]):
    """A thing with tags: the mark and the profile's own."""

    tags: tuple[tuple[str, str], ...] = ()

    def wanted_tags(self, cx: Ctx[Any]) -> Tags:
        """Every tag the thing is made with."""
        return {**dict(self.tags), **mark(cx, self.name)}

    def finish(self, cx: Ctx[C], made: Any) -> None:
        """Do to what was just made what an update would do, at once: a death in between costs one
        look more, and every other run one less.

        What comes too early for a service that is consistent in the end is left to that update.
        """
        with suppress(Gone, Retryable):
            if changes := self.diff(cx, made):
                self.update(cx, made, changes)

    def tag_changes(self, have: Mapping[str, str]) -> list[Change]:
        """The profile's tags that are missing or differ; other people's tags are left alone."""
        return [
            Change(f"tags.{key}", have.get(key), value)
            for key, value in self.tags
            if have.get(key) != value
        ]


def mark(cx: Ctx[Any], name: str) -> Tags:
    """The three tags by which the thing called ``name`` is found again."""
    return {CLUSTER: cx.cluster, NAME: name, RUN: str(cx.run_id)}


def retags(changes: Iterable[Change]) -> bool:
    """Whether tags are among the changes."""
    return any(change.field.startswith("tags.") for change in changes)

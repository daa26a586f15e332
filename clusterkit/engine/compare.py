"""What differs between a desired resource and what exists, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import AnyKind, Env, Kind, Leftover
from clusterkit.errors import Immutable


def usable(kind: AnyKind, have: Any) -> bool:
    """Whether it can be used and edited, if need be in poor health."""
    if isinstance(kind, Leftover):
        return True
    return have.status in kind.unhealthy or kind.ready(have)


def differences(wish: Kind[Any, Any], env: Env[Any], have: Any) -> list[Edit]:
    """Every difference between a resource and what exists, tags first."""
    edits: list[Edit] = []
    if wish.taggable:
        want = {**dict(wish.tags), **wish.own_tags()}
        there = have.tags or {}
        missing = {key: value for key, value in want.items() if there.get(key) != value}

        def label() -> object:
            return wish.label(env, have.id, missing)

        edits += [Edit(f"tags.{key}", there.get(key), missing[key], label) for key in missing]
    return [*edits, *wish.edits(env, have)]


def calls(edits: Iterable[Edit]) -> list[Callable[[], Any]]:
    """The calls that make these edits, each once."""
    return list(dict.fromkeys(edit.apply for edit in edits if edit.apply is not None))


def refuse(wish: Kind[Any, Any], edits: Iterable[Edit]) -> None:
    """Raise ``Immutable`` if any of the edits cannot be made."""
    refused = [edit for edit in edits if edit.refused]
    if not refused:
        return
    cures = dict.fromkeys(edit.why for edit in refused if edit.why)
    raise Immutable(
        "cannot be changed in place: " + "; ".join(map(str, refused)),
        where=wish.key,
        hint="; ".join(cures) or "change the profile back, or destroy the cluster and run up again",
    )

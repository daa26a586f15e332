"""Ownership is a tag, never a name: twins, taken names, lost tags, adoption.

Checked once, before the first change, so that nothing is created beside what is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from clusterkit.engine.inventory import Named
from clusterkit.engine.kind import AnyKind, Existing, Kind, Leftover
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.engine.step import Kept
from clusterkit.errors import Absent, ClusterkitError, Exists, NotOurs, UsageError
from clusterkit.naming import CLUSTER, NAME, RUN


def adoption(wanted: str, kinds: Sequence[AnyKind]) -> tuple[type[Kind[Any, Any]], str, str]:
    """``KIND/NAME=ID`` as kind, name and id; ``UsageError`` for what is not of that form."""
    key, equals, identifier = wanted.partition("=")
    kind_name, slash, name = key.partition("/")
    if not (equals and slash and kind_name and name and identifier):
        raise UsageError(
            f"--adopt {wanted}: not of the form KIND/NAME=ID",
            hint="as in --adopt vpc/main=vpc-0123456789abcdef0",
        )
    known = [kind for kind in kinds if not isinstance(kind, Leftover)]
    for kind in known:
        if kind.kind == kind_name:
            return kind, name, identifier
    names = ", ".join(kind.kind for kind in known)
    raise UsageError(f"--adopt {wanted}: there is no kind {kind_name!r}", hint=f"one of {names}")


def adopt(
    wanted: str, kinds: Sequence[AnyKind], scope: Scope[Any], run: UUID
) -> Operation[Any] | None:
    """Put this cluster's tags on something that exists; what that has begun, if it takes time."""
    kind, name, identifier = adoption(wanted, kinds)
    try:
        return kind.label(scope, identifier, {CLUSTER: scope.cluster, NAME: name, RUN: str(run)})
    except Absent as needed:
        raise ClusterkitError(
            f"--adopt {wanted}: {needed} does not exist, and nothing can be adopted in it",
            hint="run clusterkit up without this --adopt first",
        ) from None


def twins(kind: AnyKind, name: str, states: Sequence[Any]) -> NotOurs:
    """The error for several things with the same tags."""
    ids = ", ".join(str(state.id) for state in states)
    return NotOurs(
        f"{len(states)} things of kind {kind.kind} are tagged {NAME}={name}: {ids}",
        where=f"{kind.kind}/{name}",
        hint=f"delete the one that is not in use, or remove its {CLUSTER} tag",
    )


def not_ours(wish: Kind[Any, Any], identifier: str) -> NotOurs:
    """The error for a name that something without these tags already has."""
    take = f"take it over: clusterkit up --adopt {wish.key}={identifier}"
    return NotOurs(
        f"{identifier} exists and does not carry this cluster's tags",
        where=wish.key,
        hint="choose another name, "
        + (f"delete it, or {take}" if wish.adoptable() else "or delete it"),
    )


def untagged(kind: type[Kind[Any, Any]], name: str, identifier: str) -> NotOurs:
    """The error for something that is known to be this cluster's and has lost its tags."""
    key = f"{kind.kind}/{name}"
    return NotOurs(
        f"{identifier} is this cluster's, but does not carry its tags",
        where=key,
        hint=f"clusterkit up --adopt {key}={identifier} tags it again",
    )


def name_taken(wish: Kind[Any, Any], error: Exists) -> NotOurs:
    """The error for a create that the cloud refuses because the name is taken."""
    return NotOurs(
        error.what,
        where=wish.key,
        hint="choose another name, or delete what has it",
    )


def orphans(
    wished: Iterable[Kind[Any, Any]], found: Mapping[AnyKind, Named], missing: Iterable[str]
) -> list[NotOurs]:
    """Things of ours in a parent that is to be created although they already lie in one.

    ``missing``: the keys of what the plan would create.
    """
    absent: dict[str, list[str]] = {}
    for key in missing:
        absent.setdefault(key.partition("/")[0], []).append(key)
    used = {str(wish.state.id) for wish in wished if isinstance(wish, Existing)}
    owned = {
        (kind.kind, str(have.id))
        for kind, named in found.items()
        for states in named.values()
        for have in states
    }
    errors: dict[str, NotOurs] = {}
    for kind, named in found.items():
        if isinstance(kind, Leftover):
            continue
        for state in (state for states in named.values() for state in states):
            if state.status in (kind.failed | kind.leaving):
                continue  # what it lay in may have gone
            for parent, identifier in kind.within(state).items():
                keys = absent.get(parent)
                ours = identifier in used or (parent, identifier) in owned
                if not keys or not identifier or ours or identifier in errors:
                    continue
                same = f"{parent}/{kind.name_of(state)}"
                told = {error.where for error in errors.values()}
                free = [key for key in keys if key not in told]
                key = same if same in free else (free or keys)[0]
                errors[identifier] = NotOurs(
                    f"{kind.kind} {state.id} is this cluster's, but the {parent} it lies in, "
                    f"{identifier}, does not carry its tags",
                    where=key,
                    # it may have been somebody else's, and used only
                    hint=f"if clusterkit created {identifier}, clusterkit up --adopt "
                    f"{key}={identifier} tags it again; if not, change the profile back",
                )
    return list(errors.values())


def strangers(found: Mapping[AnyKind, Named]) -> list[Kept]:
    """What things of ours lie in and destroy leaves, because it does not carry our tags."""
    states = [
        (kind, have)
        for kind, named in found.items()
        if not isinstance(kind, Leftover)
        for same in named.values()
        for have in same
    ]
    owned = {(kind.kind, str(have.id)) for kind, have in states}
    lain_in = dict.fromkeys(
        parent for kind, have in states for parent in kind.within(have).items() if parent[1]
    )
    return [
        Kept(
            f"{parent}/{identifier}",
            "does not carry this cluster's tags, so it stays",
            None,
            hint="if clusterkit created it, delete it too with "
            f"clusterkit destroy --adopt {parent}/main={identifier}",
        )
        for parent, identifier in lain_in
        if (parent, identifier) not in owned
    ]


def all_of(errors: Sequence[NotOurs]) -> NotOurs:
    """Every finding in one error, so that the user hears of all of them at once."""
    if len(errors) == 1:
        return errors[0]
    hints = dict.fromkeys(error.hint for error in errors)
    return NotOurs("\n".join(map(str, errors)), hint="; ".join(hints))

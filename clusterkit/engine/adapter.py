"""Carries resources of the older contract (``resource.py``) until the last of them is migrated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from clusterkit.engine.kind import AnyKind, Durations, Edit, Existing, Kind, Leftover
from clusterkit.engine.resource import Change, Ctx, Resource
from clusterkit.engine.resource import Existing as OldExisting
from clusterkit.engine.scope import Env, Scope
from clusterkit.errors import Finding, Gone, Rejected
from clusterkit.naming import CLUSTER, NAME

READY, WAITING, FAILED, BROKEN = "ready", "waiting", "failed", "broken"


@dataclass(frozen=True)
class Adapted:
    """A state of the older contract."""

    id: str
    inner: Any
    status: str
    tags: Mapping[str, str]
    reason: str = field(default="", compare=False)


class _States(dict[str, Any]):
    """The states an older resource sees: unwrapped."""

    def __init__(self, states: Mapping[str, Any]) -> None:
        super().__init__()
        self._states = states

    def __missing__(self, key: str) -> Any:
        found = self._states[key]
        return found.inner if isinstance(found, Adapted) else found


def context(scope: Scope[Any], destroying: bool = False) -> Ctx[Any]:
    """The older context of a scope or an env."""
    run: UUID | None = scope.run if isinstance(scope, Env) else None
    cx: Ctx[Any] = Ctx(scope.client, scope.cluster, run)
    if isinstance(scope, Env):
        cx.scale = scope.scale
        cx.seen = _States(scope.states)
        cx.remade.update(scope.lives)
    cx.destroying = destroying
    return cx


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptedKind(Kind[Any, Adapted]):
    """A resource of the older contract as a kind."""

    kind: ClassVar[str] = "adapted"
    old: ClassVar[type[Resource[Any, Any]]]
    taggable: ClassVar[bool] = False
    usable: ClassVar[frozenset[str]] = frozenset({READY})
    failed: ClassVar[frozenset[str]] = frozenset({FAILED})
    unhealthy: ClassVar[frozenset[str]] = frozenset({BROKEN})
    wish: Resource[Any, Any]
    edges: tuple[Kind[Any, Any], ...] = ()

    @classmethod
    def list(cls, scope: Scope[Any]) -> Iterable[Adapted]:
        found = cls.old.owned(context(scope))
        return [_adapted(cls.old, scope, name, state) for name, state in found.items()]

    @classmethod
    def name_of(cls, have: Adapted) -> str:
        return str(have.tags[NAME])

    def create(self, env: Env[Any]) -> None:
        self.wish.create(context(env))

    def edits(self, env: Env[Any], have: Adapted) -> Iterator[Edit]:
        cx = context(env)
        if have.status == BROKEN:
            raise Rejected(have.reason)
        changes = self.wish.diff(cx, have.inner)

        def apply() -> None:
            self.wish.update(cx, have.inner, changes)

        for change in changes:
            yield _edit(change, apply)

    @classmethod
    def delete(cls, scope: Scope[Any], have: Adapted) -> None:
        cls.old.delete(context(scope, destroying=True), have.inner)

    @classmethod
    def kept(cls, have: Adapted) -> str | None:
        return cls.old.kept(have.inner)

    @classmethod
    def guarded(cls, have: Adapted) -> Finding | None:
        return cls.old.guarded(have.inner)

    @classmethod
    def label(cls, scope: Scope[Any], identifier: str, labels: Mapping[str, str]) -> None:
        cls.old.adopt(context(scope), labels[NAME], identifier)


def _edit(change: Change, apply: Any) -> Edit:
    if change.how == "refuse":
        return Edit(change.field, change.have, change.want, why=change.why)
    if change.how == "replace":
        return Edit(change.field, change.have, change.want, replace=True)
    return Edit(change.field, change.have, change.want, apply)


def _adapted(old: type[Resource[Any, Any]], scope: Scope[Any], name: str, state: Any) -> Adapted:
    why = ""
    try:
        status = READY if old.ready(state) else WAITING
    except Rejected as error:
        status, why = (FAILED if error.remake else BROKEN), str(error)
    tags = {CLUSTER: scope.cluster, NAME: name}
    return Adapted(name, state, status, tags, why or old.status(state))


@cache
def kind_of(old: type[Resource[Any, Any]]) -> AnyKind:
    """The kind, or the row of leftovers, that stands for an older resource class."""
    takes = Durations(old.takes.create, old.takes.delete)
    if old.only_on_destroy:

        def listed(scope: Scope[Any]) -> Iterable[Adapted]:
            found = old.owned(context(scope, destroying=True))
            return [_adapted(old, scope, name, state) for name, state in found.items()]

        def delete(scope: Scope[Any], have: Adapted) -> None:
            with suppress(Gone):
                old.delete(context(scope, destroying=True), have.inner)

        return Leftover(
            kind=old.kind,
            list=listed,
            delete=delete,
            keep=lambda have: old.kept(have.inner),
            patience=old.patience,
            takes=takes,
            optional=old.best_effort,
        )
    return type(
        old.__name__,
        (AdaptedKind,),
        {
            "__module__": old.__module__,
            "kind": old.kind,
            "old": old,
            "patience": old.patience,
            "takes": takes,
            "dies_with": old.dies_with,
            "optional": old.best_effort,
        },
    )


def kinds(mixed: Sequence[Any]) -> tuple[AnyKind, ...]:
    """A cloud's ``KINDS`` with its older classes adapted."""
    return tuple(
        kind_of(kind) if isinstance(kind, type) and issubclass(kind, Resource) else kind
        for kind in mixed
    )


def wishes(mixed: Iterable[Any]) -> list[Kind[Any, Any]]:
    """A graph whose older resources are adapted; their edges lead to the adapted ones."""
    done: dict[int, Kind[Any, Any]] = {}

    def one(wish: Any) -> Kind[Any, Any]:
        known = done.get(id(wish))
        if known is not None:
            return known
        made: Kind[Any, Any]
        if isinstance(wish, OldExisting):
            made = Existing(name=wish.name, state=wish.state)
        elif isinstance(wish, Resource):
            made_type: Any = kind_of(type(wish))
            edges = tuple(one(needed) for needed in _edges(wish))
            made = made_type(name=wish.name, wish=wish, edges=edges)
        else:
            done[id(wish)] = wish
            keep.append(wish)
            needed = [*_edges(wish)]
            extra = tuple(one(old) for old in needed if isinstance(old, Resource))
            for edge in needed:
                one(edge)
            if extra:
                object.__setattr__(wish, "after", (*wish.after, *extra))
            kind: Kind[Any, Any] = wish
            return kind
        done[id(wish)] = made
        keep.append(wish)
        return made

    keep: list[Any] = []
    return [one(wish) for wish in mixed]


def _edges(wish: Any) -> Iterator[Any]:
    from dataclasses import fields

    for each in fields(wish):
        value = getattr(wish, each.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Resource | Kind):
                yield item

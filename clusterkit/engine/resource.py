"""What a resource is: the wish, the observation, and the six verbs between them.

A resource is a frozen dataclass. Its fields are the wish; a field that is a resource, or a tuple of
resources, is an edge of the graph. What the cloud reports is another frozen dataclass, the
resource's *state*. An edge is typed by the state it needs (``vpc: Resource[Clients, VpcState]``),
so that ``cx[self.vpc].id`` is checked by mypy and anything that yields the state fits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID, uuid4, uuid5

from clusterkit.errors import Absent, ClusterkitError, Finding, NotOurs

C = TypeVar("C", contravariant=True)
"""The clients a resource needs (a driver's, or only ``HasKube``)."""
S = TypeVar("S", covariant=True)
"""What the cloud reports about one such thing: a frozen dataclass."""
K = TypeVar("K", covariant=True)
T = TypeVar("T")

How = Literal["update", "replace", "refuse"]


@dataclass(frozen=True)
class Change:
    """One difference between the wish and what is there, both sides normalised."""

    field: str
    have: object
    want: object
    how: How = "update"
    why: str = ""
    """for ``refuse``: what to do instead"""

    def __str__(self) -> str:
        return f"{self.field}: {self.have} -> {self.want}"


@dataclass(frozen=True)
class Durations:
    """Typical seconds on the real cloud; shown to the user, never waited for."""

    create: float = 0.0
    delete: float = 0.0


class Ctx(Generic[K]):
    """What the verbs get: the clients, the cluster's name, and the states seen so far."""

    def __init__(
        self, clients: K, cluster: str, run_id: UUID | None = None, *, scale: float = 1.0
    ) -> None:
        """``scale`` is how long a second of the real cloud lasts here: 1, less on the sandbox."""
        self._clients = clients
        self.cluster = cluster
        self.run_id = run_id or uuid4()
        self.scale = scale
        self.seen: dict[str, Any] = {}
        self.looked = -math.inf
        """when the plan's look began, on the loop's clock"""
        self.remade: Counter[str] = Counter()
        self.destroying = False
        """whether everything goes, so that what spares the rest of it may be left out"""

    @property
    def clients(self) -> K:
        """The cloud's clients."""
        return self._clients

    def __getitem__(self, needed: Resource[Any, T]) -> T:
        """The state of a resource this one needs; ``Absent`` while there is none."""
        try:
            return self.seen[needed.key]  # type: ignore[no-any-return]
        except KeyError:
            raise Absent(needed.key) from None

    def token(self, resource: Resource[Any, Any]) -> str:
        """The idempotency token for creating this resource in this run.

        It is the same for every retry of one create and another for each run, because a token made
        of the name alone would be answered with the deleted predecessor.
        """
        life = self.remade[resource.key]
        return str(uuid5(self.run_id, f"{self.cluster}/{resource.key}/{life}"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource(ABC, Generic[C, S]):
    """One kind of thing that can carry our mark; an instance is the wish for one of them."""

    kind: ClassVar[str]
    """kebab-case of the class name"""
    patience: ClassVar[float] = 300.0
    """seconds of the real cloud until a step that does not get anywhere is given up"""
    takes: ClassVar[Durations] = Durations()
    dies_with: ClassVar[str | None] = None
    """the kind whose deletion takes this one along"""
    only_on_destroy: ClassVar[bool] = False
    """never wished for: swept, all of it, when the cluster is destroyed (what Kubernetes made in
    the cloud)
    """
    best_effort: ClassVar[bool] = False
    """on destroy a failing look or delete is a warning, because what it would have removed goes
    otherwise
    """

    name: str
    after: tuple[Resource[Any, Any], ...] = ()
    """order only, no data"""

    @property
    def key(self) -> str:
        """``kind/name``, unique in a cluster."""
        return f"{self.kind}/{self.name}"

    def needs(self) -> Iterator[Resource[Any, Any]]:
        """The resources in this one's fields."""
        for field in fields(self):
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Resource):
                    yield item

    @classmethod
    @abstractmethod
    def owned(cls, cx: Ctx[C]) -> Mapping[str, S]:
        """List everything of this kind that carries our mark, to the last page, by name.

        What is gone for good (``deleted``, ``terminated``) is left out; what is on its way out is
        not. Never reads the wish. ``Absent`` where the kind cannot exist yet (no cluster, so no
        Kubernetes objects).
        """

    @abstractmethod
    def create(self, cx: Ctx[C]) -> None:
        """Make it, in one call, marked in the same call where the API can; never wait."""

    def diff(self, cx: Ctx[C], have: Any) -> list[Change]:
        """What differs from the wish; no calls. Asked only when ``ready(have)``."""
        return []

    def update(self, cx: Ctx[C], have: Any, changes: list[Change]) -> None:
        """Make the changes; never wait."""
        raise ClusterkitError(
            f"cannot be updated: {', '.join(map(str, changes))}",
            where=self.key,
            hint="this is a bug in the driver",
        )

    @classmethod
    def ready(cls, have: Any) -> bool:
        """Whether it can be used, and changed. Pure; ``Rejected`` with the cloud's reason when it
        has failed.

        A composite with a part missing is ready: the missing part is a difference, cured by
        ``update``.
        """
        return True

    @classmethod
    @abstractmethod
    def delete(cls, cx: Ctx[C], have: Any) -> None:
        """Remove it, knowing only the state; not found is success, already on its way out is
        nothing to do.
        """

    @classmethod
    def status(cls, have: Any) -> str:
        """The cloud's word for what it is doing (``CREATING``), for the progress display."""
        return str(getattr(have, "status", "") or "")

    @classmethod
    def kept(cls, have: Any) -> str | None:
        """Why destroy leaves it, and what it goes on costing; None for what destroy removes."""
        return None

    @classmethod
    def guarded(cls, have: Any) -> Finding | None:
        """Why destroy may not begin at all, and the cure; None for nearly everything."""
        return None

    @classmethod
    def adopt(cls, cx: Ctx[C], name: str, identifier: str) -> None:
        """Put our mark on something that is there (``--adopt KIND/NAME=ID``)."""
        raise ClusterkitError(
            f"a {cls.kind} cannot be adopted",
            where=f"{cls.kind}/{name}",
            hint="choose another name",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Existing(Resource[Any, S]):
    """Something that is there already and is not ours: used, never made, changed or removed.

    It fits wherever a resource of the same state does.
    """

    kind: ClassVar[str] = "existing"
    state: S

    @classmethod
    def owned(cls, cx: Ctx[Any]) -> Mapping[str, S]:
        """Nothing of it is ours."""
        return {}

    def create(self, cx: Ctx[Any]) -> None:
        """Never asked for: the plan knows its state."""
        raise ClusterkitError("is given and cannot be made", where=self.key)

    @classmethod
    def delete(cls, cx: Ctx[Any], have: Any) -> None:
        """Never asked for: it is not in any cloud's ``KINDS``."""
        raise ClusterkitError("is given and is not ours to remove", where=cls.kind)


class Leftover(Resource[C, S]):
    """What others made in the cloud: never wished for, all of it removed on destroy."""

    only_on_destroy: ClassVar[bool] = True

    def create(self, cx: Ctx[C]) -> None:
        """Never asked for: nothing wishes for it."""
        raise ClusterkitError("is only ever swept", where=self.key, hint="report this bug")


def one_each(found: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Name to state; ``NotOurs`` if two things claim one name, naming both instead of guessing.

    One thing may be listed twice, when others came or went between two pages.
    """
    out: dict[str, T] = {}
    for name, state in found:
        if name in out and not _same(out[name], state):
            raise NotOurs(
                f"two things claim to be {name!r}: {out[name]} and {state}",
                hint="delete the one that is not in use, or remove its clusterkit-name tag",
            )
        out[name] = state
    return out


def _same(one: object, other: object) -> bool:
    """Whether two observations are of one thing: states name it by ``id`` or ``arn``."""
    if one == other:
        return True
    names = [name for name in ("id", "arn") if hasattr(one, name)]
    return any(getattr(one, name) == getattr(other, name, None) for name in names)


def closure(roots: Iterable[Resource[T, Any]]) -> list[Resource[T, Any]]:
    """The resources and everything they need, each once."""
    out: dict[str, Resource[T, Any]] = {}
    todo = list(roots)
    while todo:
        resource = todo.pop()
        known = out.get(resource.key)
        if known is None:
            out[resource.key] = resource
            todo.extend(resource.needs())
        elif known is not resource:
            raise ValueError(f"two different resources are called {resource.key}")
    return list(out.values())

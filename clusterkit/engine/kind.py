"""What a driver says of one kind of thing; the engine does the rest for every kind.

An instance of a kind is the desired state of one thing: its fields that are kinds are edges of the
graph. What the cloud reports is another frozen dataclass, the kind's *state*. An edge is typed by
the state it needs (``vpc: Kind[Clients, VpcState]``), so that ``env[self.vpc].id`` is checked by
mypy and anything that yields the state fits.

The methods of a kind are called from several threads at once. They never wait, retry, print or
swallow an error: ``Gone``, ``Exists``, ``InUse`` and their like come from the client's error table
and are the engine's to judge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar, dataclass_transform
from uuid import UUID, uuid4, uuid5

from clusterkit.engine.backoff import EARLY, PROPAGATION
from clusterkit.engine.edit import Edit
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import K, Scope
from clusterkit.errors import Absent, ClusterkitError, Finding
from clusterkit.naming import CLUSTER, NAME, RUN

Tags = Mapping[str, str]

C = TypeVar("C", contravariant=True)
"""The client a kind needs."""
S = TypeVar("S", covariant=True)
"""What the cloud reports about one thing of the kind."""
T = TypeVar("T")


class State(Protocol):
    """What the cloud reports about one thing: a frozen dataclass with at least these.

    A kind's state may also have ``reason``, the cloud's explanation of its status, ``hint``, what
    to do about it, ``details``, what else ``status`` shows (like ``Kind.details``), and
    ``protected``, whether its deletion protection is on.
    """

    @property
    def id(self) -> str:
        """What ``--adopt KIND/NAME=ID`` takes: the cloud's id, or a name where it has none."""

    @property
    def status(self) -> str:
        """The cloud's own word; empty where it has none."""

    @property
    def tags(self) -> Tags | None:
        """Tags or labels; None if only ``Kind.read`` can tell."""


@dataclass(frozen=True)
class Env(Scope[K]):
    """One run: the states of what already exists, and the tokens that make its creates idempotent.

    ``scale`` is how long a second of the real cloud lasts here: 1, less on the sandbox.
    """

    run: UUID = field(default_factory=uuid4)
    scale: float = 1.0
    states: Mapping[str, Any] = field(default_factory=dict)
    lives: Mapping[str, int] = field(default_factory=dict)
    """how often a resource was replaced in this run, by key"""

    def __getitem__(self, needed: Kind[Any, T]) -> T:
        """The state of a resource this one refers to; ``Absent`` while it does not exist."""
        try:
            found: T = self.states[needed.key]
        except KeyError:
            raise Absent(needed.key) from None
        return found

    def ids(self, needed: Iterable[Kind[Any, State]]) -> list[str]:
        """The ids of resources this one refers to; ``Absent`` while one does not exist."""
        return [self[each].id for each in needed]

    def __contains__(self, needed: object) -> bool:
        """Whether something this one refers to exists."""
        return getattr(needed, "key", None) in self.states

    def token(self, kind: Kind[Any, Any]) -> str:
        """The idempotency token of a create.

        The same for every retry, another for each run and each life: a token made of the name alone
        would be answered with the deleted predecessor.
        """
        life = self.lives.get(kind.key, 0)
        return str(uuid5(self.run, f"{self.cluster}/{kind.key}/{life}"))


@dataclass(frozen=True)
class Durations:
    """Typical seconds on the real cloud (facts/durations.tsv): shown to the user, and when looks
    become frequent (``backoff.poll``); nothing is believed to be over because of them.
    """

    create: float = 0.0
    delete: float = 0.0
    early: float = EARLY
    """the share of these that passes before anybody has seen an end"""


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
@dataclass(frozen=True, kw_only=True, eq=False)
class Kind(ABC, Generic[C, S]):
    """One kind of thing that can carry our tags. Every subclass is a frozen dataclass."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        dataclass(frozen=True, kw_only=True, eq=False)(cls)

    kind: ClassVar[str]
    """kebab-case of the class name"""
    usable: ClassVar[frozenset[str]] = frozenset()
    """statuses in which it can be used and edited; empty: any that is not named below"""
    failed: ClassVar[frozenset[str]] = frozenset()
    """statuses of what will never work: ``up`` removes and creates it again, once a run"""
    unhealthy: ClassVar[frozenset[str]] = frozenset()
    """statuses of what exists and does not work well: a warning, and edits go on"""
    leaving: ClassVar[frozenset[str]] = frozenset()
    """statuses of what is being deleted"""
    serial: ClassVar[bool] = False
    """the service takes one edit at a time"""
    taggable: ClassVar[bool] = True
    """whether the profile's tags can be put on it"""
    by_id: ClassVar[bool] = False
    """its list shows ids only: one that is waited for is read without the others"""
    whole: ClassVar[bool] = False
    """its create sets everything, so that what it returns need not be compared"""
    patience: ClassVar[float] = 300.0
    """seconds of the real cloud in which nothing changes, until a step has timed out"""
    propagation: ClassVar[float] = PROPAGATION
    """seconds in which its service may not know or obey what was just made (``Propagating``)"""
    too_new: ClassVar[str] = ""
    """words of a failed thing's ``reason`` that tell of such news: it is made again, once a run"""
    takes: ClassVar[Durations] = Durations()
    dies_with: ClassVar[str | None] = None
    """the kind whose deletion takes this one along"""
    made_with: ClassVar[str | None] = None
    """the kind whose create may make this one too"""
    uses: ClassVar[tuple[str, ...]] = ()
    """kinds that cannot be deleted while one of these exists; when its deletion fails, they stay"""
    in_place: ClassVar[frozenset[str]] = frozenset()
    """keys of ``details`` that never make it another thing"""
    unseen: ClassVar[str] = "settings that cannot be changed in place differ"
    """why one takes the place of another whose ``details`` are the same"""
    optional: ClassVar[bool] = False
    """reached in another way (Kubernetes): while that fails, a plan leaves it out with a warning,
    and nothing waits for it"""

    name: str
    tags: tuple[tuple[str, str], ...] = ()
    """the profile's"""
    after: tuple[Kind[Any, Any], ...] = ()
    """order only, no data"""

    @property
    def key(self) -> str:
        """``kind/name``, unique in a cluster."""
        return f"{self.kind}/{self.name}"

    @property
    def details(self) -> Mapping[str, str]:
        """What a plan shows of one that is created: what is chosen and paid for."""
        return {}

    def needs(self) -> Iterator[Kind[Any, Any]]:
        """The kinds in this one's fields."""
        for each in fields(self):
            value = getattr(self, each.name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Kind):
                    yield item

    def own_tags(self) -> Tags:
        """Tags of this kind's own, compared and kept like the profile's."""
        return {}

    def marks(self, env: Env[Any]) -> dict[str, str]:
        """Every tag it is created with."""
        ours = {CLUSTER: env.cluster, NAME: self.name, RUN: str(env.run)}
        return {**dict(self.tags), **self.own_tags(), **ours}

    @classmethod
    @abstractmethod
    def list(cls, scope: Scope[C]) -> Iterable[State]:
        """Everything of this kind that may be ours, to the last page; ``Found`` where the cloud
        lists names only.

        What is gone for good (``deleted``, ``terminated``) is left out. Never reads the desired
        state. ``Absent`` or ``Gone`` where the kind cannot exist yet (no cluster).
        """

    @classmethod
    def read(cls, scope: Scope[C], found: Any) -> Any:
        """``found`` with what the list does not show; asked once, and again after our own writes.
        ``Gone`` if it was deleted since.
        """
        return found

    @classmethod
    def name_of(cls, have: Any) -> str:
        """The name within the kind of something that carries our tag."""
        return str(have.tags.get(NAME) or have.id)

    @classmethod
    def stem(cls, name: str) -> str:
        """The part of a name that holds no hash of settings; empty where names hold none."""
        return ""

    @abstractmethod
    def create(self, env: Env[C]) -> State | Operation[C] | None:
        """Create it, in one call that carries ``self.marks(env)`` where the API can.

        A returned state, with its marks, is what a look would show: it is edited at once, and not
        looked at again once it is usable.
        """

    def edits(self, env: Env[C], have: Any) -> Iterable[Edit]:
        """What differs besides tags; ``Absent`` while something it needs does not exist."""
        return ()

    @classmethod
    @abstractmethod
    def delete(cls, scope: Scope[C], have: Any) -> Operation[C] | None:
        """Delete it, knowing only its state."""

    @classmethod
    def occupants(cls, scope: Scope[C], have: Any) -> Iterable[Occupant]:
        """What is not this cluster's, will not go with it, and keeps this from being deleted.

        Asked before the first delete of a destroy, and again when a delete was refused
        (``InUse``); the engine leaves out what it deletes itself.
        """
        return ()

    @classmethod
    def label(cls, scope: Scope[C], identifier: str, labels: Tags) -> Operation[C] | None:
        """Put tags on the thing with this id."""
        raise ClusterkitError(
            f"a {cls.kind} cannot be tagged, so it cannot be adopted",
            where=identifier,
            hint="delete it or choose another name",
        )

    @classmethod
    def unprotect(cls, scope: Scope[C], have: Any) -> Operation[C] | None:
        """Switch off the protection that a delete was refused for (``Protected``)."""
        raise ClusterkitError("is protected from deletion", where=f"{cls.kind} {have.id}")

    def taken(self, env: Env[C]) -> State | None:
        """What already has the name this one would get, ours or not; None where names are free."""
        return None

    @classmethod
    def within(cls, have: Any) -> Mapping[str, str]:
        """Kind to id of the things of ours that it lies in; used to find parents without tags, and
        those that stay because it is kept.
        """
        return {}

    @classmethod
    def kept(cls, have: Any) -> str | None:
        """Why destroy leaves it, and what it goes on costing; None for what destroy removes."""
        return None

    @classmethod
    def noted(cls, have: Any) -> Iterable[Finding]:
        """What others have changed of it that ``up`` leaves as it is, and what that means: warnings
        of a plan.
        """
        return ()

    @classmethod
    def guarded(cls, have: Any) -> Finding | None:
        """Why destroy may not begin at all, and the cure; None for nearly everything."""
        if not getattr(have, "protected", False):
            return None
        cure = "set deletion_protection: false in the profile, run up, then destroy"
        return Finding("deletion protection is on", hint=cure)

    @classmethod
    def occupiable(cls) -> bool:
        """Whether the kind knows how to look for occupants."""
        return cls.occupants.__func__ is not Kind.occupants.__func__  # type: ignore[attr-defined]

    @classmethod
    def adoptable(cls) -> bool:
        """Whether tags can be put on what exists."""
        return cls.label.__func__ is not Kind.label.__func__  # type: ignore[attr-defined]

    @classmethod
    def protectable(cls) -> bool:
        """Whether the kind knows how to switch a protection off."""
        return cls.unprotect.__func__ is not Kind.unprotect.__func__  # type: ignore[attr-defined]

    @classmethod
    def ready(cls, have: Any) -> bool:
        """Whether it can be used and edited."""
        status = have.status
        if status in cls.failed or status in cls.leaving:
            return False
        return not cls.usable or status in cls.usable


class Existing(Kind[Any, S]):
    """Something that exists and is not ours: used, never created, changed or removed.

    It fits wherever a resource with the same state does.
    """

    kind: ClassVar[str] = "existing"
    state: S

    @classmethod
    def list(cls, scope: Scope[Any]) -> Iterable[State]:
        """Nothing of it is ours."""
        return ()

    def create(self, env: Env[Any]) -> None:
        """Never asked for: the plan knows its state."""
        raise ClusterkitError("exists already", where=self.key)

    @classmethod
    def delete(cls, scope: Scope[Any], have: Any) -> None:
        """Never asked for: it is not in any cloud's ``KINDS``."""
        raise ClusterkitError("is not ours to remove", where=cls.kind)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """What a driver's states are made of: each subclass is a frozen dataclass of keywords."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        dataclass(frozen=True, kw_only=True)(cls)


@dataclass(frozen=True)
class Found:
    """What a list shows of a thing when it shows little: a leftover, or what ``read`` completes."""

    id: str
    status: str = ""
    tags: Tags | None = None


@dataclass(frozen=True)
class Leftover(Generic[C]):
    """What others made in the cloud for a cluster: never desired, all removed on destroy.

    ``list`` gives everything that may belong to the cluster, ``belongs`` what provably does.
    ``disarm`` switches off a protection before the delete, ``keep`` says why one stays and what it
    costs, ``occupants`` what others have done that keeps one (``Kind.occupants``).
    """

    kind: str
    list: Callable[[Scope[C]], Iterable[Any]]
    delete: Callable[[Scope[C], Any], object]
    belongs: Callable[[Scope[C], Any], bool] = lambda *_: True
    disarm: Callable[[Scope[C], Any], None] | None = None
    keep: Callable[[Any], str | None] = lambda _: None
    within: Callable[[Any], Mapping[str, str]] = lambda _: {}
    """what one that stays lies in, and keeps (``Kind.within``)"""
    occupants: Callable[[Scope[C], Any], Iterable[Occupant]] | None = None
    patience: float = 900.0
    takes: Durations = Durations()
    uses: tuple[str, ...] = ()
    dies_with: str | None = None
    """the kind in which it lies: nothing of it is removed while one of those stays"""
    optional: bool = False
    """an attempt: what stays is found by a later row"""
    verbs: tuple[str, str] = ("deleting", "removed")
    """what it does, and what it has done"""


AnyKind = type[Kind[Any, Any]] | Leftover[Any]
"""An entry of a cloud's ``KINDS``"""


def closure(roots: Iterable[Kind[Any, Any]]) -> list[Kind[Any, Any]]:
    """The resources and everything they need, each once."""
    out: dict[str, Kind[Any, Any]] = {}
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

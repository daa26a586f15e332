"""From a checked request to its handler: operations, client tokens, pages, tags, faults.

``fault_injection.py`` in front of an emulator refuses, delays and drops calls, and answers 501 for
what no emulator foresaw; the faults of a call that succeeds (late, terminal, short pages) are here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.store import Kept, Store, fingerprint

C = TypeVar("C", bound="Call")
F = TypeVar("F", bound=Callable[..., object])
Item = TypeVar("Item")
Answered = TypeVar("Answered")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One verified and checked request, as its handler gets it; a cloud adds where it is meant for
    and who makes it.
    """

    operation: str
    """``vpc:CreateVpc``"""
    parameters: Mapping[str, Any]
    request_id: str
    faults: Faults

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter, or the default if it was not sent or is empty."""
        value = self.parameters.get(name)
        return default if value is None or value == "" else value

    @property
    def body(self) -> dict[str, Any]:
        """The request's body, where it is a parameter of its own; the handler may keep it."""
        found: dict[str, Any] = self.parameters.get("body") or {}
        return found

    def __getitem__(self, name: str) -> Any:
        """A parameter that the description requires."""
        return self.parameters[name]

    def terminal(self) -> bool:
        """Whether what this call creates must end in its failed state."""
        return self.faults.terminal(self.operation)


class Handlers(dict[str, F]):
    """The operations that an emulator serves, and the function that serves each."""

    def serve(self, *names: str) -> Callable[[F], F]:
        """Register a function, as its decorator: ``@HANDLERS.serve("vpc:CreateVpc")``."""

        def register(function: F) -> F:
            for name in names:
                if name in self:
                    raise ValueError(f"{name} is served twice")
                self[name] = function
            return function

        return register


class Tokens:
    """Client tokens and request ids: a repeated request gets its first answer, and does nothing.

    Call it with the lock held.
    """

    def __init__(self, most: int = 20_000) -> None:
        """``most`` is how many are kept; the oldest are forgotten first, as the vendors' are."""
        self.most = most
        self._known: dict[Hashable, tuple[str, object]] = {}

    def once(
        self,
        key: Hashable,
        meant: object,
        make: Callable[[], Answered],
        mismatch: Exception,
        keep: Callable[[Answered], bool] = lambda _: True,
    ) -> Answered:
        """What ``make`` returns, or what it returned to the same ``key``.

        ``meant`` is the request without its token; another one raises ``mismatch``. An answer that
        is not to ``keep`` is forgotten, at once or when it is asked for again.
        """
        digest = fingerprint(meant)
        if key in self._known:
            before, answer = self._known[key]
            known: Answered = answer  # type: ignore[assignment]
            if keep(known):
                if before != digest:
                    raise mismatch
                return known
        made = make()
        if keep(made):
            self._known[key] = (digest, made)
            if len(self._known) > self.most:
                del self._known[next(iter(self._known))]
        return made

    def clear(self) -> None:
        """Forget every token."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


def cut(
    items: Sequence[Item], start: int, size: int, faults: Faults
) -> tuple[Sequence[Item], int | None]:
    """One page, and where the next one starts; None after the last.

    The fault ``pages=N`` makes pages shorter than was asked for.
    """
    end = start + min(size, faults.page_size or size)
    return items[start:end], end if end < len(items) else None


def page_token(start: int | None) -> str | None:
    """An opaque token for the page that starts there; None for no page."""
    return None if start is None else base64.b64encode(str(start).encode()).decode()


def page_start(token: str | None) -> int:
    """Where the page with this token starts; ``ValueError`` for no token of ours."""
    if not token:
        return 0
    try:
        text = base64.b64decode(token, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{token!r} is no page token") from error
    if not text.isdigit():
        raise ValueError(f"{token!r} is no page token")
    return int(text)


def tagged(has: Mapping[str, str], wanted: Sequence[tuple[str, str | None]]) -> bool:
    """Whether it has all these tags or labels; no value or an empty one stands for any value."""
    return all(key in has and value in (None, "", has[key]) for key, value in wanted)


class Service(Generic[C]):
    """Serves checked calls on a store: what is due first, then one handler with the lock held."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handlers: Mapping[str, Callable[[C], object]],
        late: Mapping[str, type[Kept]],
    ) -> None:
        """``late`` is what the fault of that name hides, by the operation that makes it."""
        self._store = store
        self._clock = clock
        self._handlers = handlers
        self._late = late

    def run(self, call: C, *, reading: bool) -> object:
        """What the handler of the operation returns; ``KeyError`` if nothing serves it."""
        name = call.operation
        serve = self._handlers[name]
        self._clock.advance()
        with self._store.call(reading=reading):
            found = serve(call)
            if name in self._late:
                self._store.hide_added(self._late[name], call.faults.late(name))
        return found

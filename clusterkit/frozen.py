"""``dataclass(frozen=True)`` whose methods are written once.

The standard library's writes and compiles up to six methods for each class, which for the hundred
and fifty classes of a command was an eighth of what an empty plan computes (Python 3.11). These
classes are its dataclasses for ``fields``, ``replace``, ``asdict`` and type checkers, with the same
constructor, comparison and kinds of errors. Where pydantic reads a class, or one may change, the
standard library's serves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls: type | None = None, /, *, frozen: bool, eq: bool = True, kw_only: bool = False
    ) -> Any:
        """As the standard library's."""
        if not frozen:
            raise ValueError("take the standard library's dataclass for what may change")

        def make(cls: type) -> type:
            made = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
            for method in METHODS if eq else METHODS[:-2]:
                if method.__name__ not in vars(cls):
                    setattr(made, method.__name__, method)
            return made

        return make if cls is None else make(cls)


class _Shape(NamedTuple):
    """What the methods need to know of a class."""

    names: frozenset[str]
    positional: tuple[str, ...]
    defaults: dict[str, Any]
    made: dict[str, Callable[[], Any]]
    """what makes a default anew for each instance"""
    finish: bool
    """whether there is a ``__post_init__``"""


@cache
def _shape(cls: Any) -> _Shape:
    found = fields(cls)
    return _Shape(
        frozenset(each.name for each in found),
        tuple(each.name for each in found if not each.kw_only),
        {each.name: each.default for each in found if each.default is not MISSING},
        {each.name: each.default_factory for each in found if each.default_factory is not MISSING},
        hasattr(cls, "__post_init__"),
    )


@cache
def _compared(cls: Any) -> Callable[[Any], Any]:
    """What reads the fields that make two instances equal."""
    names = [each.name for each in fields(cls) if each.compare]
    return attrgetter(*names) if names else lambda _: ()


def __init__(self: Any, /, *given: Any, **named: Any) -> None:
    cls: Any = type(self)
    names, positional, defaults, made, finish = _shape(cls)
    passed = {**dict(zip(positional, given, strict=False)), **named}
    values = {**defaults, **passed}
    for name, make in made.items():
        if name not in values:
            values[name] = make()
    if values.keys() != names or len(passed) != len(given) + len(named):
        raise TypeError(_wrong(cls, given, named, values))
    self.__dict__.update(values)
    if finish:
        self.__post_init__()


def _wrong(cls: type, given: tuple[Any, ...], named: Any, values: Any) -> str:
    """What is wrong with arguments."""
    names, positional, *_ = _shape(cls)
    if len(given) > len(positional):
        return f"{cls.__name__} takes {len(positional)} positional arguments, not {len(given)}"
    if twice := sorted(named.keys() & set(positional[: len(given)])):
        return f"{cls.__name__} got multiple values for {', '.join(twice)}"
    if unknown := sorted(values.keys() - names):
        return f"{cls.__name__} got unexpected arguments: {', '.join(unknown)}"
    return f"{cls.__name__} lacks arguments: {', '.join(sorted(names - values.keys()))}"


def __setattr__(self: Any, name: str, value: object) -> None:
    _refuse(self, "assign to", name)
    object.__setattr__(self, name, value)


def __delattr__(self: Any, name: str) -> None:
    _refuse(self, "delete", name)
    object.__delattr__(self, name)


def _refuse(self: Any, what: str, name: str) -> None:
    """``FrozenInstanceError``, unless a plain subclass has attributes of its own."""
    cls: Any = type(self)
    if "__dataclass_fields__" in vars(cls) or name in _shape(cls).names:
        raise FrozenInstanceError(f"cannot {what} field {name!r}")


@recursive_repr()
def __repr__(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def __eq__(self: Any, other: object) -> bool:
    if type(other) is not type(self):
        return NotImplemented
    cls: Any = type(self)
    read = _compared(cls)
    return bool(read(self) == read(other))


def __hash__(self: Any) -> int:
    cls: Any = type(self)
    return hash(_compared(cls)(self))


METHODS: tuple[Any, ...] = (__init__, __setattr__, __delattr__, __repr__, __eq__, __hash__)
"""the last two make instances with the same fields equal"""

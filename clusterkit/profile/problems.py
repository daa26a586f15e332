"""Problems that a profile's rules report.

pydantic turns a ``ValueError`` of a validator into one error at one place. ``Refused`` is a
``ValueError`` with any number of problems, each with its own place below the validator's and its
own hint, so that one cross-check can report everything it finds.
``clusterkit.profile.messages`` unpacks it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

Place = tuple[str | int, ...]
"""keys and indexes from the place of the validator down to the wrong value"""


@dataclass(frozen=True)
class Problem:
    """What is wrong; the field's path comes before it: ``must be …``, ``overlaps …``."""

    what: str
    hint: str = ""
    place: Place = ()


class Refused(ValueError):
    """One or more problems with a value."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.what for problem in problems))
        self.problems = problems


def refuse(what: str, hint: str = "") -> Refused:
    """The common case: one problem with the value at hand."""
    return Refused(Problem(what, hint))


def shown(value: object) -> str:
    """A value of the profile as an error shows it: at most 60 characters, one line."""
    text = str(value).partition("\n")[0]
    return f"'{text[:59]}…'" if len(text) > 60 or text != str(value) else f"'{text}'"


def seen_again(values: Iterable[Hashable]) -> Iterator[int]:
    """The index of each value that occurred before."""
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index
        seen.add(value)

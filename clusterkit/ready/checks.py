"""What ``clusterkit verify`` asks of a cluster: checks with an id, and what they found.

A check is a question that is already closed over whom it asks, so the same list runs for a cluster
of clusterkit's and for any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

UP = "clusterkit up"
"""the cure of whatever ``up`` makes or sets right"""
Level = Literal["static", "dry-run", "probe"]
"""only reads; asks the API server what it would do; creates something and removes it again"""
Status = Literal["passed", "warned", "failed", "skipped"]
Purpose = Literal["any", "kaniko", "jenkins-x", "jenkins", "progressive-delivery"]
"""what a check is for; ``any``: for every cluster"""


@dataclass(frozen=True)
class Result:
    """What a check found, of one thing."""

    status: Status
    what: str
    """what is so, or why it was skipped"""
    where: str = ""
    """``storageclass/gp2``, ``pool default``"""
    seen: str = ""
    """the message that users see otherwise, in the words of who prints it"""
    cure: str = ""
    """what to do next: a command or a line of the profile"""


@dataclass(frozen=True)
class Check:
    """One question."""

    id: str
    """``K3``, ``E2``"""
    title: str
    """what is expected: ``exactly one default StorageClass``"""
    level: Level
    run: Callable[[], Iterable[Result]]
    """no result: passed. A ``ClusterkitError`` fails the check with the error's own words; a
    ``Denied`` skips it, naming the permission
    """
    purpose: Purpose = "any"
    seen: str = ""
    """how users know the failure; of results that do not say it themselves"""
    cure: str = ""
    """the same for what to do next"""


class Row(NamedTuple):
    """One of a cloud's checks, all of which only read."""

    title: str
    ask: Callable[..., Iterable[Result]]
    seen: str
    cure: str = UP
    purpose: Purpose = "any"


def numbered(letter: str, rows: Sequence[Row], *asked: object) -> list[Check]:
    """Checks ``E1``, ``E2``, …; ``asked`` is what each row's ``ask`` is given."""
    return [
        Check(
            f"{letter}{number}",
            row.title,
            "static",
            partial(row.ask, *asked),
            row.purpose,
            row.seen,
            row.cure,
        )
        for number, row in enumerate(rows, 1)
    ]

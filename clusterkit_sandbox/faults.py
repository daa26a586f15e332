"""Faults on purpose: which calls of the sandbox go wrong, and how.

``Faults`` holds the rules and decides; ``fault_injection.py`` in front of each emulator carries the
decision out, except for ``terminal``, which an emulator asks for itself when it accepts a create.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

Kind = Literal["throttle", "error", "lost", "slow", "terminal"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Rule:
    """Which calls, and what happens to them.

    Without ``nth``, ``times`` and ``rate`` every matching call is hit. ``nth`` (from 1) starts at
    the n-th matching call, and hits that one only unless ``times`` says more; ``times`` alone hits
    the first so many; ``rate`` (0 to 1) hits that share of the calls that are left, at random.
    ``ValueError`` for figures outside their range.
    """

    operation: str
    """a pattern on ``ec2:CreateVpc`` as the shell matches file names; case counts"""
    kind: Kind
    """
    - ``throttle``: the service's throttling error, before anything happens
    - ``error``: the service's 5xx, before anything happens
    - ``lost``: the call takes effect, then the connection is dropped without an answer
    - ``slow``: the call waits ``seconds`` first
    - ``terminal``: the call is accepted, and what it made ends in its failed state
    """
    nth: int | None = None
    times: int | None = None
    rate: float | None = None
    seconds: float = 0

    def __post_init__(self) -> None:
        if not self.operation:
            raise ValueError("a fault needs an operation, like ec2:CreateVpc or *")
        if self.kind not in KINDS:
            raise ValueError(f"fault kind {self.kind!r}: one of {', '.join(KINDS)}")
        if self.nth is not None and self.nth < 1:
            raise ValueError(f"nth is {self.nth}, the first call is 1")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is {self.times}, at least 1 makes sense")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate:g}, a share between 0 and 1 is needed")
        if not 0 <= self.seconds <= 3600:
            raise ValueError(f"seconds is {self.seconds:g}, at most 3600 and not negative")

    def __str__(self) -> str:
        """The text that ``Faults.parse`` takes."""
        text: str = self.kind
        if self.operation != "*":
            text += f":{self.operation}"
        if self.kind == "slow":
            text += f"={self.seconds:g}s"
        if self.rate is not None:
            text += f"={self.rate:g}"
        if self.nth is not None or self.times is not None:
            text += f"@{self.nth or 1}" + (f"x{self.times}" if self.times is not None else "")
        return text


class Faults:
    """The rules in force. Safe to use from any thread; the same seed gives the same dice."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._random = random.Random(seed)
        self._rules: tuple[Rule, ...] = ()
        self._seen: list[int] = []
        self.page_size: int | None = None
        """the longest page of any list call, whatever was asked for; None leaves it to the call"""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, first match first."""
        return self._rules

    def set(self, rules: Iterable[Rule]) -> None:
        """Put these rules in force instead of the others; counting and dice start anew."""
        with self._lock:
            self._rules = tuple(rules)
            self._seen = [0] * len(self._rules)
            self._random = random.Random(self._seed)

    def add(self, rule: Rule) -> None:
        """Put one more rule in force, after the others."""
        with self._lock:
            self._rules = (*self._rules, rule)
            self._seen.append(0)

    def clear(self) -> None:
        """No faults at all: no rules, no page size."""
        self.set(())
        self.page_size = None

    def take(self, other: Faults) -> None:
        """Do as ``other`` says from now on; counting and dice start anew."""
        self.set(other.rules)
        self.page_size = other.page_size

    def draw(self, operation: str) -> Rule | None:
        """The fault that hits this call, if any; every rule that matches counts the call."""
        return self._draw(operation, terminal=False)

    def terminal(self, operation: str) -> bool:
        """Whether the thing made by this accepted create call is to end in its failed state."""
        return self._draw(operation, terminal=True) is not None

    def _draw(self, operation: str, *, terminal: bool) -> Rule | None:
        drawn: Rule | None = None
        with self._lock:
            for position, rule in enumerate(self._rules):
                if (rule.kind == "terminal") is not terminal:
                    continue
                if not fnmatchcase(operation, rule.operation):
                    continue
                self._seen[position] += 1
                if drawn is None and self._hits(rule, self._seen[position]):
                    drawn = rule
        return drawn

    def _hits(self, rule: Rule, seen: int) -> bool:
        if rule.nth is not None or rule.times is not None:
            first = rule.nth or 1
            if not first <= seen < first + (rule.times or 1):
                return False
        return rule.rate is None or self._random.random() < rule.rate

    def __str__(self) -> str:
        """The text that ``parse`` takes."""
        parts = [str(rule) for rule in self._rules]
        if self.page_size is not None:
            parts.append(f"pages={self.page_size}")
        return ",".join(parts)

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read ``throttle=0.1,lost:ec2:CreateVpc@1,slow:ec2:Describe*=2s,error@2x3,pages=1``.

        Each part is ``KIND[:OPERATION][=VALUE][@NTH[xTIMES]]`` or ``pages=N``. VALUE is a share of
        the calls (0 to 1), for ``slow`` a duration (``2s``, ``500ms``), which it needs. Empty text
        means no faults. ``ValueError`` names the part and the cure.
        """
        faults = cls()
        if not text.strip():
            return faults
        for part in text.split(","):
            try:
                faults._take_part(part.strip())
            except ValueError as error:
                raise ValueError(f"fault {part.strip()!r}: {error}") from None
        return faults

    def _take_part(self, part: str) -> None:
        if not part:
            raise ValueError("nothing between two commas")
        if part.partition("=")[0] == "pages":
            size = part.partition("=")[2]
            if not re.fullmatch(r"[1-9][0-9]{0,3}", size):
                raise ValueError("give a page size of at least 1, like pages=1")
            self.page_size = int(size)
            return
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(
                "not understood; write KIND:OPERATION=VALUE@NTHxTIMES, all but the kind optional,"
                " like slow:ec2:Describe*=2s or terminal:eks:CreateNodegroup@1"
            )
        self.add(_rule(**found.groupdict()))


_PART = re.compile(
    r"(?P<kind>[a-z]+)(?::(?P<operation>[^=@]+))?(?:=(?P<value>[^@]*))?"
    r"(?:@(?P<nth>[0-9]{1,6})(?:x(?P<times>[0-9]{1,6}))?)?"
)


def _rule(
    kind: str, operation: str | None, value: str | None, nth: str | None, times: str | None
) -> Rule:
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}; one of {', '.join(KINDS)}, or pages=N")
    return Rule(
        operation=operation or "*",
        kind=kind,
        nth=int(nth) if nth is not None else None,
        times=int(times) if times is not None else None,
        rate=_rate(value) if value is not None and kind != "slow" else None,
        seconds=_seconds(value) if kind == "slow" else 0,
    )


def _rate(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no share of the calls; write one like 0.1") from None


def _seconds(value: str | None) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s)", value or "")
    if found is None:
        raise ValueError("slow needs a duration with its unit, like slow=2s or slow=500ms")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)

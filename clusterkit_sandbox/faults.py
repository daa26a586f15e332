"""Deliberate faults: which calls to the sandbox go wrong, and how.

``Faults`` holds the rules and decides which one hits a call. ``fault_injection.py`` in front of
each emulator and ``kube/fault_injection.py`` in front of each cluster's API carry the decision out.
Two kinds belong to a create that succeeds, so the emulator asks for them: ``terminal`` and
``late``.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from clusterkit_sandbox.fault_targets import Operations, matches, why_no_effect

Kind = Literal["throttle", "error", "lost", "slow", "terminal", "refuse", "denied", "late"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:#-]{0,126}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Rule:
    """Which calls are hit, and what happens to them.

    Without ``nth``, ``times`` and ``rate`` every matching call is hit. ``nth`` (from 1) starts at
    the n-th matching call and hits only that one unless ``times`` says more; ``times`` alone hits
    the first so many; ``rate`` (0 to 1) hits that share of the remaining calls, at random.
    ``ValueError`` for values out of range.
    """

    operation: str
    """A shell pattern on ``ec2:CreateVpc``, case-sensitive. Calls to a cluster's Kubernetes API are
    matched only by patterns that begin with ``kube:`` (``kube:create/namespaces``).
    """
    kind: Kind
    """
    - ``throttle``: the service's throttling error, before anything happens
    - ``error``: the service's 5xx, before anything happens
    - ``denied``: the caller lacks the right, in the service's words, before anything happens
    - ``refuse``: an error of your choice (``code``, ``status``, ``message``) in the service's own
      wire format, before anything happens
    - ``lost``: the call takes effect, then the connection is dropped without an answer
    - ``slow``: the call waits ``seconds`` first
    - ``late``: the create succeeds, but for ``seconds`` reads of the new resource answer "not
      found" and lists leave it out
    - ``terminal``: the create or update is accepted and ends in its failed state
    """
    nth: int | None = None
    times: int | None = None
    rate: float | None = None
    seconds: float = 0
    """real seconds, whatever the pace (``slow`` and ``late``, at most 3600)"""
    code: str = ""
    """``refuse``: the service's error code; for ``kube:`` the reason, ``Conflict`` say"""
    status: int | None = None
    """``refuse``: the HTTP status (400 to 599); None: the published one of that code, else 400"""
    message: str = ""
    """``refuse``: the error message"""
    gateway: bool | None = None
    """``refuse`` on Alibaba Cloud's ROA services: whether the API gateway answers (``Code``,
    ``Message``) or the service (``code``, ``message``); None: decided by the code
    """

    def __post_init__(self) -> None:
        if not self.operation:
            raise ValueError("a fault needs an operation, like ec2:CreateVpc or *")
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault kind {self.kind!r}: one of {', '.join(KINDS)}")
        if self.nth is not None and self.nth < 1:
            raise ValueError(f"nth is {self.nth}, but the first call is 1")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is {self.times}, but must be at least 1")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate:g}, but must be between 0 and 1")
        if not 0 <= self.seconds <= 3600:
            raise ValueError(f"seconds is {self.seconds:g}, but must be between 0 and at most 3600")
        if self.kind == "refuse":
            self._check_refusal()
        elif self.code or self.message or self.status is not None or self.gateway is not None:
            raise ValueError(
                f"code, status, message and gateway belong to refuse, not to {self.kind}"
            )

    def _check_refusal(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise ValueError(
                f"{self.code!r} is not an error code; refuse needs one, like refuse=AccessDenied"
            )
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError(f"status is {self.status}, but must be between 400 and 599")

    def matches(self, operation: str) -> bool:
        """Whether the rule is about this operation."""
        return matches(self.operation, operation)

    @property
    def text(self) -> str:
        """The message of a refusal."""
        return self.message or f"{self.code} (a fault of the sandbox)"

    def __str__(self) -> str:
        """The text that ``Faults.parse`` takes."""
        text: str = self.kind
        if self.operation != "*":
            text += f":{self.operation}"
        if self.kind in _TIMED:
            text += f"={self.seconds:g}s"
        if self.kind == "refuse":
            side = {True: "gateway/", False: "service/", None: ""}[self.gateway]
            text += f"={side}{self.code}"
            if self.status is not None:
                text += f"/{self.status}"
            if self.message:
                # no bare quote inside, so that _COMMA finds the ends
                inner = json.dumps(self.message)[1:-1].replace('\\"', "\\u0022")
                text += f'/"{inner}"'
        if self.rate is not None:
            text += f"={self.rate:g}"
        if self.nth is not None or self.times is not None:
            text += f"@{self.nth or 1}" + (f"x{self.times}" if self.times is not None else "")
        return text


_TIMED: tuple[Kind, ...] = ("slow", "late")


class Faults:
    """The rules in force. Safe to use from any thread; the same seed gives the same dice."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._random = random.Random(seed)
        self._rules: tuple[Rule, ...] = ()
        self._seen: list[int] = []
        self._clouds: Sequence[Operations] = ()
        self.page_size: int | None = None
        """the longest page of any list call, whatever was asked for; None leaves it to the call"""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, first match first."""
        return self._rules

    def check_against(self, clouds: Sequence[Operations]) -> None:
        """Refuse, from now on, rules that could not hit any operation of these clouds.

        ``ValueError`` if one of the rules in force is such a rule.
        """
        _check(self._rules, clouds)
        self._clouds = clouds

    def set(self, rules: Iterable[Rule]) -> None:
        """Replace the rules; counting and dice start again.

        ``ValueError`` for a rule that could not hit anything (``check_against``).
        """
        new = tuple(rules)
        _check(new, self._clouds)
        with self._lock:
            self._rules = new
            self._seen = [0] * len(new)
            self._random = random.Random(self._seed)

    def add(self, rule: Rule) -> None:
        """Put one more rule in force, after the others. ``ValueError`` as ``set``."""
        _check((rule,), self._clouds)
        with self._lock:
            self._rules = (*self._rules, rule)
            self._seen.append(0)

    def clear(self) -> None:
        """Remove all rules and the page size."""
        self.set(())
        self.page_size = None

    def take(self, other: Faults) -> None:
        """Use the rules and page size of ``other``; counting and dice start again. ``ValueError``
        as ``set``.
        """
        self.set(other.rules)
        self.page_size = other.page_size

    def draw(self, operation: str) -> Rule | None:
        """The fault that hits this call, if any; every rule that matches counts the call."""
        return self._draw(operation, [kind for kind in KINDS if kind not in ("terminal", "late")])

    def terminal(self, operation: str) -> bool:
        """Whether what this accepted call makes is to end in its failed state."""
        return self._draw(operation, ["terminal"]) is not None

    def late(self, operation: str) -> float:
        """For how many seconds reads must not find what this successful create made."""
        rule = self._draw(operation, ["late"])
        return rule.seconds if rule is not None else 0

    def _draw(self, operation: str, kinds: Collection[Kind]) -> Rule | None:
        drawn: Rule | None = None
        with self._lock:
            for position, rule in enumerate(self._rules):
                if rule.kind not in kinds or not rule.matches(operation):
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

        Each part is ``KIND[:OPERATION][=VALUE][=RATE][@NTH[xTIMES]]`` or ``pages=N``. RATE is a
        share of the calls (0 to 1). VALUE belongs to three kinds, which need it: a duration for
        ``slow`` and ``late`` (``2s``, ``500ms``), and for ``refuse`` the error,
        ``[gateway/|service/]CODE[/STATUS][/"MESSAGE"]``, the message as a JSON string:
        ``refuse:ec2:CreateVpc=VpcLimitExceeded/400/"too many VPCs"@1``. Empty text means no
        faults. ``ValueError`` names the part and how to correct it.
        """
        faults = cls()
        if not text.strip():
            return faults
        for part in _COMMA.split(text):
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


_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
"""A comma that is not inside quotes."""
_PART = re.compile(
    r"(?P<kind>[a-z]+)(?::(?P<operation>[^=@\"]+))?"
    r"(?P<values>(?:=(?:\"[^\"]*\"|[^=@\"])*)*)"
    r"(?:@(?P<nth>[0-9]{1,6})(?:x(?P<times>[0-9]{1,6}))?)?"
)
_VALUE = re.compile(r"=((?:\"[^\"]*\"|[^=@\"])*)")
_REFUSAL = re.compile(
    r"(?:(?P<side>gateway|service)/)?(?P<code>[^/\"]+)(?:/(?P<status>[0-9]+))?(?:/(?P<message>\".*\"))?"
)


def _rule(
    kind: str, operation: str | None, values: str, nth: str | None, times: str | None
) -> Rule:
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}; one of {', '.join(KINDS)}, or pages=N")
    given = _VALUE.findall(values)
    value = None
    if kind in (*_TIMED, "refuse"):
        value, given = (given[0], given[1:]) if given else ("", [])
    if len(given) > 1:
        raise ValueError(f"too many values; {kind} takes {'two' if value else 'one'} at most")
    error: dict[str, str | None] = {}
    if kind == "refuse":
        found = _REFUSAL.fullmatch(value or "")
        if found is None:
            raise ValueError(
                'refuse needs an error, like refuse=AccessDenied or refuse=Conflict/409/"why"'
            )
        error = found.groupdict()
    status = error.get("status")
    return Rule(
        operation=operation or "*",
        kind=kind,
        nth=int(nth) if nth is not None else None,
        times=int(times) if times is not None else None,
        rate=_rate(given[0]) if given else None,
        seconds=_seconds(kind, value) if kind in _TIMED else 0,
        code=error.get("code") or "",
        status=int(status) if status else None,
        message=_message(error.get("message")),
        gateway={"gateway": True, "service": False}.get(error.get("side") or ""),
    )


def _message(quoted: str | None) -> str:
    if quoted is None:
        return ""
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise ValueError(f"the message {quoted} is not a JSON string") from None


def _rate(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a share of the calls; write one like 0.1") from None


def _seconds(kind: str, value: str | None) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s)", value or "")
    if found is None:
        raise ValueError(f"{kind} needs a duration with its unit, like {kind}=2s or {kind}=500ms")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def _check(rules: Iterable[Rule], clouds: Sequence[Operations]) -> None:
    for rule in rules if clouds else ():
        why = why_no_effect(rule.kind, rule.operation, clouds)
        if why:
            raise ValueError(f"fault {str(rule)!r}: {why}")

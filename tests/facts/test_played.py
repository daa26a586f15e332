"""Rows of ``facts/`` played by the sandbox into real commands, and judged by their outcome alone.

A round refuses the first call of every operation that changes something, each in the words of one
row: the n-th class of error that operation has. What waiting cures must be cured within the same
command; anything else ends it with its exit code, its cause and the vendor's request id, and the
next command goes on from there. In the end everything is there, once, and after ``destroy`` nothing
is left and nothing else was touched.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from clusterkit.engine.events import Warned
from clusterkit.engine.outcome import Outcome
from clusterkit.errors import AlreadyDone, CloudError, ClusterkitError, NotOurs, Retryable
from clusterkit_sandbox.azure.arm import KINDS
from clusterkit_sandbox.azure.gateway import handlers
from clusterkit_sandbox.azure.model import operations_on
from clusterkit_sandbox.azure.resources import ScaleSet
from clusterkit_sandbox.faults import Rule
from tests.drivers.cases import FULL, MINIMAL
from tests.drivers.test_faults import complete, nothing
from tests.drivers.world import Case, World, edited, world
from tests.facts.rows import CLASSES, Fact, read

FILES = {"aks": "azure", "alibaba": "alibaba", "eks": "aws", "gke": "gcp"}
READS = ("batchget", "check", "describe", "get", "list")
ENDS = ("delete", "detach", "disassociate", "release", "remove", "revoke", "unassociate")
LIES = {
    ("ram:CreatePolicy", "exists"): "the driver goes on with the policy that it is told of",
}
"""refusals that say of a thing what is not so, and that a driver has to believe"""
QUICK = {"aks": 0, "alibaba": 0, "eks": 1, "gke": 0}
"""the round of each cloud that ``make test`` plays; the others are deep"""


def rounds(cloud: str) -> list[dict[str, Fact]]:
    """By operation, the row that each round plays."""
    found: dict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in read(FILES[cloud]):
        for one in spread(fact):
            if _playable(one) and played(one):
                found[one.operation].setdefault(one.kind, one)
    most = max(len(kinds) for kinds in found.values())
    return [
        {
            operation: list(kinds.values())[number]
            for operation, kinds in found.items()
            if number < len(kinds)
        }
        for number in range(most)
    ]


def spread(fact: Fact) -> list[Fact]:
    """A row of Azure's for ``any PUT/DELETE``, or any call, as one for each type and method."""
    about, _, methods = fact.operation.partition(" ")
    if about != "any":
        return [fact]
    handlers()  # every type is known once it has been served
    # a lock is renewed when time has passed, and a refusal of that ends a run before it can tell
    # of its others: its type is left to the rows that name it
    kinds = [kind.name for kind in KINDS.values() if kind.record is not ScaleSet]
    kinds += ["Microsoft.Authorization/roleAssignments", "Microsoft.Resources/resourceGroups"]
    return [
        replace(fact, operation=f"{kind} {method}")
        for kind in kinds
        for method in ("DELETE", "PATCH", "PUT")
        if method in methods or methods == "ARM call"
    ]


def played(fact: Fact) -> list[str]:
    """The operations of the sandbox that a row is of. A row of Azure's has a type of resources and
    a method.
    """
    if not fact.where.startswith("azure"):
        return [fact.operation]
    kind, *words = fact.operation.split(" ")
    return operations_on(kind, words[0]) if len(words) == 1 else []


def _playable(fact: Fact) -> bool:
    if fact.playable != "yes" or not fact.code or "*" in fact.name:
        return False
    verb = re.split("[. ]", fact.name)[-1].lower()
    if verb.startswith(READS) or (fact.operation, fact.kind) in LIES:
        return False
    # of what is there, "gone" is a lie
    return not (fact.kind == "gone" and verb.startswith(ENDS))


def games() -> list[object]:
    """Every round of the clouds in FILES: the small profile, in the long matrix the large one."""
    return [
        pytest.param(
            case,
            number,
            id=f"{case.id}-{number}",
            marks=[] if case in MINIMAL and number == QUICK[case.cloud] else pytest.mark.deep,
        )
        for case in (*MINIMAL, *FULL)
        if case.cloud in FILES
        for number in range(len(rounds(case.cloud)))
    ]


@pytest.mark.parametrize(("case", "number"), games())
def test_a_round_of_refusals(case: Case, number: int, tmp_path: Path) -> None:
    facts = rounds(case.cloud)[number]
    with world(case, tmp_path) as found:
        before = found.look()
        found.facts()  # preflight only reads
        found.sandbox.requests.clear()
        found.sandbox.faults.set([rule for fact in facts.values() for rule in _rules(fact)])
        told = _until_done(found.up, facts)
        complete(found)
        if number != QUICK[case.cloud]:
            told |= _changed(found, facts)
        told |= _until_done(found.destroy, facts)
        told |= _warned(found, facts)
        nothing(found, before)
        asked = {entry.operation for entry in found.sandbox.requests.entries()}
        called = {key for key, fact in facts.items() if asked.intersection(played(fact))}
    assert called
    final = {operation for operation in called if not _is_cured_by_waiting(facts[operation])}
    # "gone" right after a create may mean "not visible yet", and "exists" "not listed yet": the
    # engine looks again, and goes on if that is so
    certain = {operation for operation in final if facts[operation].kind not in ("gone", "exists")}
    assert certain <= told <= final


def _changed(found: World, facts: Mapping[str, Fact]) -> set[str]:
    told: set[str] = set()
    shape = found.case.profile
    for _, edits in found.case.changes:
        shape = edited(shape, edits)
        told |= _until_done(partial(found.up, found.load(shape)), facts)
    return told


def _rules(fact: Fact) -> list[Rule]:
    return [
        Rule(name, "refuse", nth=1, code=fact.codes[-1], status=fact.status, message=fact.message)
        for name in played(fact)
    ]


def _is_cured_by_waiting(fact: Fact) -> bool:
    return issubclass(CLASSES[fact.kind], Retryable | AlreadyDone)


def _until_done(command: Callable[[], Outcome], facts: Mapping[str, Fact]) -> set[str]:
    """The command again and again, until it is done; the operations whose refusals it told of."""
    told: set[str] = set()
    for _ in range(len(facts) + 1):
        try:
            outcome = command()
        except ClusterkitError as error:  # of the lock: nothing has been done yet
            told.add(_judged(error, facts, told))
            continue
        if outcome.ok:
            return told
        for error in outcome.failed.values():
            told.add(_judged(error, facts, told))
    raise AssertionError("no end")


def _warned(found: World, facts: Mapping[str, Fact]) -> set[str]:
    """The operations whose refusals stopped nothing and were told all the same."""
    texts = [event.what for event in found.events if isinstance(event, Warned)]
    return {key for key, fact in facts.items() if any(f"{fact.name}: " in text for text in texts)}


def _judged(error: Exception, facts: Mapping[str, Fact], told: set[str]) -> str:
    assert isinstance(error, ClusterkitError), repr(error)
    # the operation, and the cause: two services may have an operation of one name
    matching = [
        fact
        for fact in facts.values()
        if f"{fact.name}: " in str(error) and (fact.message or fact.codes[-1]) in str(error)
    ]
    assert matching, f"not a refusal of this round: {error!r}"
    fact = matching[0]
    assert not _is_cured_by_waiting(fact), f"{fact.where}: {error!r}"
    codes = {CLASSES[fact.kind].exit_code}
    if fact.kind == "exists":
        codes.add(NotOurs.exit_code)
    assert error.exit_code in codes, f"{fact.where}: {error!r}"
    assert fact.operation not in told, f"{fact.where}: refused once, told of twice"
    if isinstance(error, CloudError):
        assert error.code in fact.codes
        assert error.request_id or not fact.request_ids
    return fact.operation

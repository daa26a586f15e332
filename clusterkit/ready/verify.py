"""Which checks there are for a cluster, which of them were asked for, and what they found."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any, get_args

from clusterkit.engine.background import Background
from clusterkit.errors import ClusterkitError, Denied, Interrupted, UsageError
from clusterkit.kube.api import KubeApi
from clusterkit.profile.model import BaseProfile
from clusterkit.ready import builds, cluster, outside, platforms, probe, pushing, storage
from clusterkit.ready.checks import Check, Purpose, Result, Status
from clusterkit.ready.registry import PushAccess
from clusterkit.ready.subject import Subject, lacks_right, message

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
REACHES = "K1"
"""the check without which no other of the cluster's has an answer"""


@dataclass(frozen=True)
class Wanted:
    """What of the checks is asked for."""

    probe: bool = False
    """also what makes things in the cluster and removes them again"""
    purposes: Collection[str] | None = None
    """None: those of the profile"""
    only: Collection[str] = ()
    """ids"""
    skip: Collection[str] = ()
    """ids"""


@dataclass(frozen=True)
class Verdict:
    """What one check found."""

    check: Check
    results: tuple[Result, ...]
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """The worst of its results; none at all is passed."""
        found = {result.status for result in self.results}
        if "failed" in found:
            return "failed"
        if "warned" in found:
            return "warned"
        return "skipped" if found == {"skipped"} else "passed"


def purposes(wanted: Collection[str] | None, profile: BaseProfile | None) -> frozenset[Purpose]:
    """What the cluster is for; ``UsageError`` for a word that is none of ``PURPOSES``."""
    if wanted is None:
        return frozenset(("any", *_of(profile)))
    if unknown := sorted(set(wanted) - set(PURPOSES)):
        hint = f"one of: {', '.join(PURPOSES)}"
        raise UsageError(f"unknown purpose {unknown[0]!r}", where="--for", hint=hint)
    return frozenset(("any", *(each for each in PURPOSES if each in wanted)))


def _of(profile: BaseProfile | None) -> Iterable[Purpose]:
    ready = profile.ready if profile else None
    if ready and ready.kaniko:
        yield "kaniko"
    if ready and ready.jenkins:
        yield "jenkins"
    if ready and ready.jenkins_x:
        yield "jenkins-x"


def subject_of(
    kube: KubeApi,
    wanted: Wanted,
    profile: BaseProfile | None = None,
    push_access: Callable[[], PushAccess] | None = None,
    *,
    requirements: Callable[[], Mapping[str, Any]] | None = None,
    stop: threading.Event | None = None,
    scale: float = 1.0,
) -> Subject:
    """What the checks are about."""
    meant, stop = purposes(wanted.purposes, profile), stop or threading.Event()
    return Subject(kube, profile, meant, push_access, requirements, stop, scale)


def every(subject: Subject) -> tuple[Check, ...]:
    """The checks of every cluster, whatever it is for; no network."""
    found = [
        *cluster.checks(subject),
        *storage.checks(subject),
        *builds.checks(subject),
        *pushing.checks(subject),
        *outside.checks(subject),
        *platforms.checks(subject),
    ]
    return ordered(found)


def ordered(checks: Iterable[Check]) -> tuple[Check, ...]:
    """In the order of their ids."""

    def key(check: Check) -> tuple[bool, str, int]:
        letter, number = re.fullmatch(r"([A-Z]+)(\d+)", check.id).groups()  # type: ignore[union-attr]
        return letter != "K", letter, int(number)

    return tuple(sorted(checks, key=key))


def chosen(checks: Sequence[Check], subject: Subject, wanted: Wanted) -> tuple[Check, ...]:
    """The checks that are asked for; ``UsageError`` for an unknown id, or if none is left."""
    known = {check.id for check in checks}
    for option, ids in (("--only", wanted.only), ("--skip", wanted.skip)):
        if unknown := sorted({each.upper() for each in ids} - known):
            hint = f"one of: {', '.join(check.id for check in checks)}"
            raise UsageError(f"there is no check {unknown[0]}", where=option, hint=hint)
    only, skip = {each.upper() for each in wanted.only}, {each.upper() for each in wanted.skip}
    # builds of Jenkins and of Jenkins X are kaniko's
    built = subject.purposes & {"jenkins", "jenkins-x"}
    meant = {*subject.purposes, *(("kaniko",) if built else ())}
    left = tuple(
        check
        for check in checks
        if check.id not in skip and (check.id in only if only else check.purpose in meant)
    )
    if not left:
        raise UsageError("no check is left", where="--skip", hint="leave out fewer")
    return left


def run(checks: Sequence[Check], subject: Subject, wanted: Wanted) -> tuple[Verdict, ...]:
    """Run them side by side; what they found, in the order of ``checks``. ``Interrupted`` once
    ``subject.stop`` is set and what was made is removed.
    """
    verdicts: dict[str, Verdict] = {}
    reaches = next((check for check in checks if check.id == REACHES), None)
    if reaches is not None:
        verdicts[REACHES] = _judged(reaches, wanted)
        if verdicts[REACHES].status == "failed":
            told = Result("skipped", f"the API does not answer ({REACHES})")
            for check in checks:
                if check.id.startswith("K"):
                    verdicts.setdefault(check.id, Verdict(check, (told,)))
    left = [check for check in checks if check.id not in verdicts]
    if wanted.probe and any(check.level == "probe" for check in left):
        probe.clear(subject)
    with Background() as aside:
        begun = {check.id: aside(partial(_judged, check, wanted)) for check in left}
    verdicts |= {id: future.result() for id, future in begun.items()}
    if subject.stop.is_set():
        raise Interrupted("interrupted: what was made for the checks is removed")
    return tuple(verdicts[check.id] for check in checks)


def _judged(check: Check, wanted: Wanted) -> Verdict:
    begun = monotonic()
    return Verdict(check, tuple(_results(check, wanted)), round(monotonic() - begun, 3))


def _results(check: Check, wanted: Wanted) -> list[Result]:
    if check.level == "probe" and not wanted.probe:
        return [Result("skipped", "makes things in the cluster: --probe runs it")]
    found: list[Result] = []
    try:
        for result in check.run():
            found.append(_complete(check, result))  # noqa: PERF401 - what came before an error counts
    except Interrupted:
        found.append(Result("skipped", "interrupted"))
    except Denied as error:
        if lacks_right(error):
            found.append(Result("skipped", f"may not be asked: {error.what}", error.where))
        else:
            cure = "let the policy that refuses it except what builds need"
            found.append(_complete(check, Result("failed", message(error), error.where, cure=cure)))
    except ClusterkitError as error:
        told = Result("failed", str(error.what), error.where, cure=error.hint)
        found.append(_complete(check, told))
    return found


def _complete(check: Check, result: Result) -> Result:
    """With the words of the check where the result has none."""
    if result.status in ("passed", "skipped"):
        return result
    seen = result.seen or (check.seen if result.status == "failed" else "")
    return replace(result, seen=seen, cure=result.cure or check.cure)


def verify(subject: Subject, wanted: Wanted, more: Iterable[Check] = ()) -> tuple[Verdict, ...]:
    """All of it; ``more`` are the cloud's own checks."""
    checks = ordered([*every(subject), *more])
    return run(chosen(checks, subject, wanted), subject, wanted)

"""The clusters of a command: each has its words, its errors and its exit code. One is the special
case whose errors end the command.
"""

from __future__ import annotations

import itertools
import resource
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from clusterkit import fleet
from clusterkit.cli import report, summary
from clusterkit.cli.connect import Connected, explained, wired
from clusterkit.cli.streams import unwritable
from clusterkit.cli.target import (
    Choice,
    Choices,
    check_different,
    find_target,
    labels,
    profile_target,
    read_profile,
    refuse_for_several,
)
from clusterkit.cli.ui import UI, exit_code, told
from clusterkit.cluster import Observation, Outcome, Plan
from clusterkit.engine.events import Emit
from clusterkit.engine.quotas import too_much
from clusterkit.engine.target import Target
from clusterkit.errors import Finding, Interrupted, PreflightError, ProfileError
from clusterkit.fleet import Waiting

if TYPE_CHECKING:
    from clusterkit.cli.page.record import Recording
    from clusterkit.cli.ui import Renderer
    from clusterkit.profile.model import BaseProfile

FILES = 16_384
"""files that may be open while a command works on several clusters"""


@dataclass(frozen=True)
class Result:
    """How a command ended for one cluster."""

    word: str
    """``up``, ``deleted``, ``failed``, …"""
    code: int = 0
    """what the command exits with if this is the only cluster"""
    errors: tuple[BaseException, ...] = ()
    stopped: Mapping[str, str] = field(default_factory=dict)
    """key to what is still in progress in the cloud"""
    interrupted: bool = False
    context: str | None = None
    """the cluster's, in the kubeconfig"""
    detail: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Result:
        """The end by an error."""
        error = told(error)
        interrupted = isinstance(error, Interrupted)
        word = "interrupted" if interrupted else "failed"
        return cls(word, exit_code(error), (error,), interrupted=interrupted)

    @classmethod
    def ended(cls, outcome: Outcome) -> Result:
        """The end of a run that failed or was interrupted."""
        errors = tuple(map(told, outcome.failed.values())) or (Interrupted("interrupted"),)
        word = "failed" if outcome.failed else "interrupted"
        code = exit_code(errors[0])
        return cls(word, code, errors, outcome.stopped, interrupted=outcome.interrupted)

    @property
    def reason(self) -> str:
        """Why, or how much, in a line."""
        if self.word != "failed" or not self.errors:
            return self.detail
        first = self.errors[0]
        if isinstance(first, ProfileError) and first.findings:  # its row names the file
            return first.findings[0].what
        return str(first)


class Job:
    """One of the clusters. What it has besides its choice and its words is there as soon as it is
    found.
    """

    target: Target
    here: Connected
    profile: BaseProfile
    plan: Plan
    seen: Observation

    def __init__(self, choice: Choice, shown: UI) -> None:
        self.choice = choice
        self.shown = shown
        """what is printed about it"""
        self.label = str(choice.profile or "")
        """what it is called among several: by its file until its name is known"""
        self.account = ""
        self.emit: Emit | None = None
        """where the events of its run go, if they share a display"""
        self.recording: Recording | None = None
        """what a page will show of it, if one is asked for"""
        self.result: Result | None = None
        self.told = False
        """whether its errors are printed"""

    @property
    def where(self) -> tuple[str, str, str]:
        """Cloud, region and account, as far as they are known."""
        target = getattr(self, "target", None)
        return (target.cloud, target.region, self.account) if target else ("", "", "")


class Clusters:
    """The clusters of a command, in the order of its arguments."""

    def __init__(self, choices: Choices, shown: UI) -> None:
        self.choices = choices
        self.shown = shown
        self.jobs = [Job(choice, shown) for choice in choices.each]
        self._screen: Renderer | None = None
        self._progress: Callable[[], None] | None = None
        self._began = time.monotonic()

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.jobs) > 1

    @property
    def open(self) -> list[Job]:
        """Those whose end is still to come."""
        return [job for job in self.jobs if job.result is None]

    def read(self, find: Callable[[Job], None], *, strict: bool) -> None:
        """Read every profile. A broken one is an error of the command if ``strict``, with all that
        is wrong with all of them; else of its cluster only.
        """
        findings: list[Finding] = []
        for job in self.jobs:
            try:
                find(job)
            except ProfileError as error:
                findings += error.findings
                if not self.several:
                    raise
                job.result = Result.of(error)
                if not strict:
                    self.shown.line("Error", profile=job.label, errors=[error], exit=2)
        if strict and findings:
            raise ProfileError(findings)
        found = self.open
        if self.several:
            check_different([(job.target, job.target.account, job.label) for job in found])
            self._check_options({job.target.cloud for job in found})
            for job, label in zip(found, labels([job.target for job in found]), strict=True):
                job.label = label
        for job in found:
            job.shown = self.shown.about(job.target, job.label if self.several else "")

    def _check_options(self, clouds: set[str]) -> None:
        options = self.choices.each[0]
        if len(clouds) > 1:
            of_one = {"--account": options.account, "--cloud-profile": options.cloud_profile}
            hint = "run the command once for each cloud, or leave it out"
            refuse_for_several(
                of_one, f"is of one cloud, and the profiles are of {len(clouds)}", hint
            )

    def each(
        self,
        work: Callable[[Job], Result | Waiting[Result] | Waiting[None] | None],
        jobs: list[Job] | None = None,
        *,
        stop: threading.Event | None = None,
        at_once: int = fleet.AT_ONCE,
    ) -> None:
        """``work`` on those whose end is still to come; what it returns or raises is the end. Work
        that waits is a generator (``fleet.Waiting``). The errors of a single cluster are raised.
        ``at_once`` 1: in their order, on this thread.
        """
        jobs = self.open if jobs is None else jobs

        def explaining(job: Job) -> Waiting[Result | None]:
            with explained(job.target, job.choice):
                found = work(job)
                return (yield from found) if isinstance(found, Generator) else found

        if not self.several:
            for job in jobs:
                job.result = fleet.alone(explaining(job))
            return
        lost: list[OSError] = []

        def ending(job: Job) -> Waiting[None]:
            if self._screen is not None:
                job.emit = self._screen.of(job.target, job.label)
            try:
                job.result = yield from explaining(job)
            except Exception as error:
                job.result = Result.of(error)
                if isinstance(error, OSError) and unwritable(error):
                    lost.append(error)  # nobody learns what happens any more
                    if stop is not None:
                        stop.set()
                    return
            self._ended(job)

        ends: list[Exception | None] = fleet.each(jobs, ending, stop=stop, at_once=at_once)
        for job, error in zip(jobs, ends, strict=True):
            if error is not None and job.result is None:
                job.result = Result.of(error)
        if lost:
            raise lost[0]

    def _ended(self, job: Job) -> None:
        if self._progress is not None:
            self._progress()
        if (result := job.result) is None:
            return
        if result.errors:
            job.shown.line("Error", errors=list(result.errors), exit=result.code)
        if self._screen is not None:
            self._screen.result(job.label, result.word, result.reason, ok=not result.code)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show ``what`` is being done to all of them, and to how many it is done."""
        jobs = self.open
        if not jobs:
            yield
            return
        one = f"{jobs[0].target.name} in {jobs[0].target.region}"
        whole = f"{what} {f'{len(jobs)} clusters' if self.several else one}"
        with self.shown.working(whole) as tell:
            done = itertools.count(1)
            self._progress = lambda: tell(f"{whole}: {next(done)} done")
            yield
        self._progress = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """One display for the runs of several clusters."""
        if not self.several:
            yield
            return
        with self.shown.renderer(len(self.open)) as self._screen:
            yield
        self._screen = None

    @contextmanager
    def display(self, job: Job) -> Iterator[Emit]:
        """Where the events of one run go."""
        if job.emit is not None:
            yield job.emit
            return
        with self.shown.renderer() as alone:
            yield alone.of(job.target)

    def ask(self, question: str, *, expect: str | None = None) -> bool:
        """``UI.ask``; how long the answer takes is not counted as the command's time."""
        since = time.monotonic()
        try:
            return self.shown.ask(question, expect=expect)
        finally:
            self._began += time.monotonic() - since

    def check_accounts(self) -> None:
        """``UsageError`` if two profiles turn out to describe one cluster."""
        if self.several:
            check_different([(job.target, job.account, job.label) for job in self.open])

    def check_quotas(self) -> None:
        """``PreflightError`` if the plans together take more of an account than is left: some of
        the clusters would stay half made.
        """
        plans = [(job.target, job.account, job.plan.facts.shares)
                 for job in self.open if job.plan.facts]  # fmt: skip
        if findings := too_much(plans):
            self.tell_errors()
            raise PreflightError(findings)

    def tell_errors(self) -> None:
        """Print the errors of those that have failed since; what several have in common once."""
        if not self.several:
            return
        alike: dict[object, list[Job]] = {}
        for job in self.jobs:
            if job.result is not None and job.result.errors and not job.told:
                errors = tuple((str(e), getattr(e, "hint", "")) for e in job.result.errors)
                alike.setdefault((errors, *job.result.stopped.items()), []).append(job)
        for jobs in alike.values():
            result = jobs[0].result
            assert result is not None
            where = jobs[0].where if len(jobs) == 1 else ("", "", "")
            summary.heading(self.shown.err, summary.names([job.label for job in jobs]), where)
            for error in result.errors:
                report.show_error(self.shown.err, error, debug=self.shown.debug)
            report.show_going(self.shown.err, result.stopped)
            for job in jobs:
                job.told = True

    def end(self, verb: str, *, changed: int = 0) -> int:
        """The command's exit code, after a summary if there are several: 130 if it was
        interrupted, else that of the first failure; ``changed`` for none of them.
        """
        results = [job.result or Result("unchanged") for job in self.jobs]
        interrupted = any(result.interrupted for result in results)
        failures = [result.code for result in results if result.code not in (0, changed)]
        code = next(iter(failures), changed if any(result.code for result in results) else 0)
        if not self.several:
            return code
        code = Interrupted.exit_code if interrupted else code
        self.tell_errors()
        clusters = [
            {
                "cloud": job.where[0], "region": job.where[1], "account": job.where[2],
                "name": job.target.name if job.where[0] else "",
                "profile": str(job.choice.profile or ""),
                "result": result.word, "exit": result.code, "errors": list(result.errors),
                "context": result.context,
            }
            for job, result in zip(self.jobs, results, strict=True)
        ]  # fmt: skip
        self.shown.line("Summary", command=verb, clusters=clusters, exit=code)
        if not self.shown.json:
            rows = []
            for job, result in zip(self.jobs, results, strict=True):
                mark: Literal["✓", "~", "✗"] = "✗" if result.code else "✓"
                mark = "~" if changed and result.code == changed else mark
                cloud, region, _ = job.where
                rows += [summary.Row(job.label, cloud, region, result.word, result.reason, mark)]
            summary.summary(self.shown.out, verb, rows, time.monotonic() - self._began)
        return code


@contextmanager
def opened(
    choices: Choices, shown: UI, *, whole: bool, strict: bool = False, receipts: bool = True
) -> Iterator[Clusters]:
    """The clusters of a command, connected.

    ``whole``: with their whole profiles, else what tells which cluster it is will do. ``strict``:
    for commands that change something: every profile has to be right before any change.
    ``receipts``: the only receipt's cluster if none is named.
    """
    found = Clusters(choices, shown)

    def find(job: Job) -> None:
        if whole:
            job.profile, _ = read_profile(job.choice, receipts=receipts)
            job.target = profile_target(job.profile, job.choice)
        else:
            job.target = find_target(job.choice, receipts=receipts)

    found.read(find, strict=strict)
    if found.several:
        _allow_files()
    with wired(choices.each[0]) as wire:

        def connect(job: Job) -> None:
            job.here = wire.cluster(job.target, job.choice, job.shown.say)

        found.each(connect, at_once=1)
        yield found


def _allow_files() -> None:
    """Raise the soft limit on open files, which is often 1,024: each cluster keeps connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        with suppress(ValueError, OSError):  # then with those there are
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

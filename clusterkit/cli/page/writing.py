"""The option that writes a page: checked before anything is done, written whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterkit import localfile
from clusterkit.cli.clusters import Clusters, Job
from clusterkit.cli.page.record import Picture, Recording, local_time, observed
from clusterkit.cli.target import profile_path, read_profile
from clusterkit.cli.ui import UI
from clusterkit.errors import ClusterkitError, Finding, Interrupted, UsageError

GOING = "not finished, and possibly still in progress in the cloud"
START = b"<!doctype html"
"""what a file has to begin with to be replaced: a profile named by mistake stays"""


def check(option: str, file: Path | None) -> None:
    """``UsageError`` if the page could not be written to the file."""
    if file is None:
        return
    where, hint = f"{option} {file}", "name another file"
    try:
        localfile.check_replaceable(file, b"")
        there = localfile.read(file, len(START)) if file.exists() else b""
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UsageError(what, where=where, hint=hint) from error
    if there and there.lower() != START:
        what = "exists and is not an HTML page, so it is not replaced"
        raise UsageError(what, where=where, hint=hint)


@contextmanager
def written(file: Path | None, verb: str, clusters: Clusters, shown: UI) -> Iterator[None]:
    """Record what happens to the clusters, and write the page at the end, also by an error."""
    if file is None:
        yield
        return
    began = time.monotonic()
    for job in clusters.jobs:
        job.recording = Recording(Picture(job.label))
    failed: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failed = error
        raise
    finally:
        for job in clusters.jobs:
            _end(clusters, job, failed)
        _write(file, verb, clusters, time.monotonic() - began, shown)


def compare(job: Job) -> None:
    """What exists of the cluster, compared with its profile if it has one that can be planned."""
    assert job.recording is not None
    shown, plan = job.recording.picture, None
    shown.warnings = list(job.seen.warnings)
    if profile_path(job.choice) is not None and not job.choice.name:
        try:
            profile, _ = read_profile(job.choice)
            plan = job.here.cluster.plan(profile)
        except ClusterkitError as error:
            what = f"not compared with the profile: {error}"
            shown.warnings.append(Finding(what, hint=error.hint))
    shown.things = observed(job.seen, plan)


def _end(clusters: Clusters, job: Job, failed: BaseException | None) -> None:
    """How the cluster ended."""
    assert job.recording is not None
    shown = job.recording.picture
    named = clusters.several or not hasattr(job, "target")
    shown.label, shown.where = job.label if named else job.target.name, job.where
    if hasattr(job, "here"):
        shown.scale = job.here.cluster.connection.scale
    if not shown.things and hasattr(job, "plan"):
        job.recording.plan(job.plan)
    result = job.result
    if result is not None:
        shown.word = result.word
        shown.errors = [each for each in result.errors if not isinstance(each, Interrupted)]
        going = {key: note for key, note in result.stopped.items() if note}
        shown.warnings += [Finding(f"{GOING}: {note}", where=key) for key, note in going.items()]
        shown.tone = "late" if result.interrupted else "bad" if result.code else "good"
        if shown.tone == "good" and {"late", "idle"} & {t.tone for t in shown.things.values()}:
            shown.tone = "late"
    elif isinstance(failed, KeyboardInterrupt):
        shown.word, shown.tone = "interrupted", "late"
    elif isinstance(failed, Exception):
        shown.word, shown.tone, shown.errors = "failed", "bad", (failed,)


def _write(file: Path, verb: str, clusters: Clusters, seconds: float, shown: UI) -> None:
    from clusterkit.cli.page.html import page

    pictures = [job.recording.picture for job in clusters.jobs if job.recording]
    text = page(verb, pictures, seconds, local_time())
    try:
        localfile.replace(file, text.encode(), secret=False)
    except OSError as error:  # what was done to the clusters counts, and has its own exit code
        what = f"the page cannot be written: {error.strerror or error}"
        shown.say(f"warning: {file}: {what}")
        shown.line("Warnings", warnings=[{"what": what, "where": str(file), "hint": ""}])
    else:
        shown.say(f"wrote {file}")
        shown.line("Page", file=str(file))

"""From the command line's options to a ``Cluster``: connection, receipt, trace, signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from clusterkit.cli import receipt
from clusterkit.cli.target import Choice, complete, profile_path
from clusterkit.clouds import check_target
from clusterkit.cluster import Cluster
from clusterkit.engine.retry import Told
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.engine.words import NOTED, brief, clock
from clusterkit.errors import ClusterkitError, Finding, PreflightError, WrongAccount
from clusterkit.kube import kubeconfig as files

if TYPE_CHECKING:
    from clusterkit.cli.trace import Trace


@dataclass(frozen=True)
class Connected:
    """A cluster, and what an earlier command remembered about it."""

    cluster: Cluster
    sandbox: bool
    receipts: Path
    known: receipt.Receipt | None
    profile: Path | None
    """the profile's file, if one is named"""

    @property
    def target(self) -> Target:
        """Cloud, name and region."""
        return self.cluster.target


class Wire:
    """What the clusters of a command share: how the clouds are reached, and the trace."""

    def __init__(self, choice: Choice, trace: Trace | None) -> None:
        self._sandbox = choice.sandbox
        self._trace = trace
        self._connection: CloudConnection | None = None

    def cluster(
        self, target: Target, choice: Choice, say: Callable[[str], None], *, asks: bool = True
    ) -> Connected:
        """The cluster, with the account of its receipt as the expected one; no network, but for the
        sandbox, which is started if it is not running. ``say`` tells the user of long retries;
        ``asks``: the user may be asked for the code of a second factor.
        """
        check_target(target)
        folder = receipt.directory(sandbox=choice.sandbox)
        known = receipt.read(folder, target)
        self._connection = self._connection or _connection(self._sandbox)
        observe = self._trace.of(target) if self._trace else None
        connection = replace(
            self._connection,
            observe=observe,
            waiting=_telling(say),
            ask=getpass if asks else None,
            registry_login=choice.login,
        )
        expected = known.account if known else None
        locks = folder.with_name("locks")
        cluster = Cluster(target, connection, expect_account=expected, locks=locks)
        return Connected(cluster, choice.sandbox, folder, known, profile_path(choice))


@contextmanager
def wired(choice: Choice) -> Iterator[Wire]:
    """The wire of a command, with the trace that it asks for."""
    if not choice.trace:
        yield Wire(choice, None)
        return
    from clusterkit.cli.trace import Trace

    trace = Trace(choice.trace)
    try:
        yield Wire(choice, trace)
    finally:
        trace.close()


@contextmanager
def explained(target: Target, choice: Choice) -> Iterator[None]:
    """Errors with cures that are about this cluster."""
    try:
        yield
    except WrongAccount as error:
        folder = receipt.directory(sandbox=choice.sandbox)
        known = receipt.read(folder, target)
        if known is None or error.expected != known.account:
            raise
        error.hint += (
            "; for a cluster in each account name the credentials with --cloud-profile; "
            f"if {error.expected} is out of date, delete {receipt.file(folder, known)}"
        )
        raise
    except ClusterkitError as error:
        complete(choice, error)
        raise


@contextmanager
def connected(
    target: Target, choice: Choice, say: Callable[[str], None], *, asks: bool = True
) -> Iterator[Connected]:
    """One cluster (``Wire.cluster``), and its errors explained."""
    with explained(target, choice), wired(choice) as wire:
        yield wire.cluster(target, choice, say, asks=asks)


def _connection(sandbox: bool) -> CloudConnection:
    if not sandbox:
        return CloudConnection()
    from clusterkit.clouds import sandbox_connection

    return sandbox_connection()


def _telling(say: Callable[[str], None]) -> Told:
    def told(reason: str, delay: float) -> None:
        if delay >= NOTED:
            say(f"{brief(reason)}; trying again in {clock(delay)}")

    return told


@contextmanager
def stop_on_signals(say: Callable[[str], None]) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (SIGINT) or SIGTERM sets, or the terminal's end (SIGHUP,
    unless nohup ignores it); the second Ctrl-C or SIGTERM ends the process.
    """
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop.set()
        with suppress(OSError):  # the terminal is gone
            say("stopping: waiting for calls in flight; press Ctrl-C again to quit at once")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_receipt(
    here: Connected, account: str, run: str, *, profile: Path | None, kubeconfig: Path | None
) -> None:
    """Remember where the cluster is; keeps what an earlier receipt knew of its kubeconfig.

    A receipt is a hint: one that cannot be written is a warning.
    """
    target = here.target
    known = receipt.read(here.receipts, target)
    new = receipt.Receipt(
        cloud=target.cloud,
        name=target.name,
        region=target.region,
        account=account,
        run=run or (known.run if known else ""),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        cloud_profile=target.cloud_profile,
        kubeconfig=str(kubeconfig) if kubeconfig else (known.kubeconfig if known else None),
        profile=str(profile.resolve()) if profile else None,
        sandbox=here.sandbox,
        minutes=known.minutes if known else None,
        home=target.home,
    )
    receipt.note(new, here.receipts)


def check_files(every: Sequence[Connected]) -> dict[Target, PreflightError]:
    """What is wrong, by cluster, with a kubeconfig or a folder of receipts that could not be
    written at the end of ``up``. Both are the same for all of them, and looked at once.
    """
    found: dict[Target, list[ClusterkitError]] = {here.target: [] for here in every}

    def kubeconfig() -> None:
        refused = files.refusals(files.paths(), list(found), sandbox=every[0].sandbox)
        for target, error in zip(found, refused, strict=True):
            if error is not None:
                found[target].append(error)

    for check in (kubeconfig, lambda: receipt.check(every[0].receipts)) if every else ():
        try:
            check()
        except ClusterkitError as error:
            for errors in found.values():
                errors.append(error)
    return {
        target: PreflightError([Finding(each.what, each.where, each.hint) for each in errors])
        for target, errors in found.items()
        if errors
    }

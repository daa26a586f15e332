"""What the commands do, without printing: from a profile to a run, and back to nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from clusterkit.cli import receipt
from clusterkit.cli.sandbox import sandbox_errors
from clusterkit.clouds import Cloud, Facts, load, load_sandbox
from clusterkit.engine.background import Background
from clusterkit.engine.events import Emit
from clusterkit.engine.plan import Kind, Plan, look, plan
from clusterkit.engine.resource import Ctx, Resource
from clusterkit.engine.run import Outcome, Run
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError

if TYPE_CHECKING:
    from clusterkit.profile.model import BaseProfile


@dataclass(frozen=True)
class Session:
    """A cloud, connected."""

    cloud: Cloud[Any]
    target: Target
    wire: CloudConnection
    clients: Any
    account: str
    sandbox: bool

    def context(self) -> Ctx[Any]:
        """A fresh context for one plan and run."""
        return Ctx(self.clients, self.target.name, scale=self.wire.scale)

    @property
    def receipts(self) -> Path:
        """Where receipts of clusters like this one are."""
        return receipt.directory(sandbox=self.sandbox)


def connect(target: Target, *, sandbox: bool) -> Session:
    """Reach the cloud (on the sandbox: start it if need be) and find out who pays."""
    found = connect_quietly(target, sandbox=sandbox)
    return replace(found, account=found.cloud.account(found.clients))


def connect_quietly(target: Target, *, sandbox: bool) -> Session:
    """As ``connect``, without asking the cloud who pays: for calls that must be quick."""
    cloud = load(target.cloud)
    wire = sandbox_wire() if sandbox else CloudConnection()
    return Session(cloud, target, wire, cloud.connect(target, wire), "", sandbox)


def sandbox_directory() -> Path:
    """Where the sandbox of this process lives."""
    daemon = load_sandbox()
    with sandbox_errors():
        directory: Path = daemon.ensure().directory
    return directory


def sandbox_wire() -> CloudConnection:
    """How to reach the sandbox, started with its defaults if it does not run."""
    daemon = load_sandbox()
    with sandbox_errors():
        info = daemon.ensure()
        environ: Mapping[str, str] = daemon.environment(info)
    # at pace max nothing is waited for, and the factor is infinite
    return CloudConnection(
        proxy=info.proxy, ca_file=info.ca_file, environ=environ, scale=1.0 / info.pace.factor
    )


@dataclass(frozen=True)
class Prepared:
    """A profile turned into a plan."""

    session: Session
    facts: Facts
    cx: Ctx[Any]
    plan: Plan


def prepare(
    session: Session,
    profile: BaseProfile,
    *,
    prune: bool,
    adopt: Sequence[str],
    activate: Callable[[str], None] | None = None,
) -> Prepared:
    """Find out who pays, check what the cloud would refuse, mark what is to be adopted, look, and
    compare.

    ``activate`` is the consent to switch on what the account lacks, and is told what was.
    """
    cloud, clients, cx = session.cloud, session.clients, session.context()
    if adopt or activate is not None:
        _paid(session, cloud.account(clients))
    for wanted in adopt:
        _adopt(session, cx, wanted)
    if activate is not None:
        for done in cloud.activate(profile, clients):
            activate(done)
    # preflight and look know nothing of each other, and wait for the cloud most of their time; what
    # both of them want to know is asked once
    clients.share()
    with Background() as aside:
        facts = aside(lambda: cloud.preflight(profile, clients))
        # first of all, for the look tries again and again what cannot be reached
        session = _paid(session, cloud.account(clients))

        def wish() -> Iterator[Resource[Any, Any]]:
            yield from cloud.graph(profile, facts.result())

        try:
            steps = plan(wish(), cloud.KINDS, cx, prune=prune)
        except ClusterkitError:
            facts.result()  # what the account lacks says more than the look that failed for it
            raise
    return Prepared(session, facts.result(), cx, steps)


def _paid(session: Session, account: str) -> Session:
    """The session with its account; ``ClusterkitError`` if the cluster is another account's."""
    known = receipt.read(session.receipts, session.target.cloud, session.target.name)
    if known and (moved := receipt.moved(known, session.target, account)):
        raise moved
    return replace(session, account=account)


def prepare_destroy(session: Session) -> tuple[Ctx[Any], Plan]:
    """What destroy would remove, found by our marks alone."""
    cx = session.context()
    session.clients.share()
    return cx, plan([], session.cloud.KINDS, cx, destroy=True)


def look_at(kinds: Sequence[Kind], cx: Ctx[Any]) -> None:
    """List these kinds into ``cx.seen``; what does not answer counts as not there."""
    look(kinds, cx, destroy=True)


def _adopt(session: Session, cx: Ctx[Any], wanted: str) -> None:
    key, equals, identifier = wanted.partition("=")
    kind_name, slash, name = key.partition("/")
    if not (equals and slash and kind_name and name and identifier):
        raise ClusterkitError(
            f"--adopt {wanted}: not of the form KIND/NAME=ID",
            hint="as in --adopt vpc/main=vpc-0123456789abcdef0",
        )
    for kind in session.cloud.KINDS:
        if kind.kind == kind_name:
            kind.adopt(cx, name, identifier)
            return
    kinds = ", ".join(kind.kind for kind in session.cloud.KINDS if not kind.only_on_destroy)
    raise ClusterkitError(
        f"--adopt {wanted}: there is no kind {kind_name!r}", hint=f"one of {kinds}"
    )


def execute(
    cx: Ctx[Any],
    steps: Plan,
    action: Literal["up", "destroy"],
    emit: Emit,
    interrupted: Callable[[], None],
) -> Outcome:
    """Run the plan; the first Ctrl-C stops it as a failure would, the second leaves at once."""
    cx.clients.unshare()
    running = Run(cx, emit)
    with _stops(running, interrupted):
        return running(steps, action)


@contextmanager
def _stops(running: Run, interrupted: Callable[[], None]) -> Iterator[None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interrupted()
        running.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_receipt(
    session: Session, cx: Ctx[Any], *, profile: Path | None, kubeconfig: Path | None
) -> None:
    """Remember where the cluster is; what an earlier receipt knew of its kubeconfig
    stays.
    """
    target = session.target
    known = receipt.read(session.receipts, target.cloud, target.name)
    new = receipt.Receipt(
        cloud=target.cloud,
        name=target.name,
        region=target.region,
        account=session.account,
        run=str(cx.run_id),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        cloud_profile=target.cloud_profile,
        kubeconfig=str(kubeconfig) if kubeconfig else (known.kubeconfig if known else None),
        profile=str(profile.resolve()) if profile else None,
        sandbox=session.sandbox,
        minutes=known.minutes if known else None,
    )
    receipt.write(new, session.receipts)

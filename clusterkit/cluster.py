"""clusterkit as a library: one cluster, planned, brought up, observed and destroyed.

``Cluster`` has no signals, files or environment of its own (the vendors' SDKs read theirs) and
prints nothing. It is safe on many threads at once: every plan, run and question starts with fresh
memory and shares nothing but connections and credentials, so a process may live for months and
sees every change made outside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from clusterkit.clouds import CLOUDS, Facts, check_minutes, check_target, load, model
from clusterkit.engine import ownership
from clusterkit.engine import plan as engine
from clusterkit.engine.background import Background
from clusterkit.engine.cloud_lock import Times
from clusterkit.engine.edit import Edit
from clusterkit.engine.events import Emit, Warned
from clusterkit.engine.kind import AnyKind, Kind
from clusterkit.engine.lock import Fence, Lock
from clusterkit.engine.observation import Observation, Seen, observation
from clusterkit.engine.operation import ended
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.retry import Retry
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from clusterkit.engine.step import Kept, Step
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Absent,
    CloudError,
    ClusterkitError,
    Interrupted,
    UsageError,
    WrongAccount,
)
from clusterkit.plan import Plan

if TYPE_CHECKING:
    from clusterkit.kube.api import Access, Credential, KubeApi
    from clusterkit.profile.model import BaseProfile
    from clusterkit.ready.jenkinsx import Platform
    from clusterkit.ready.registry import PushAccess
    from clusterkit.ready.verify import Verdict, Wanted

__all__ = ["Cluster", "Edit", "Kept", "Observation", "Outcome", "Plan", "Seen", "Step"]

T = TypeVar("T")


class Cluster:
    """One cluster in one account and region of one cloud.

    All methods raise ``ClusterkitError`` and nothing else: ``CredentialsError`` if there are no
    valid credentials, ``WrongAccount`` before any change if they are of another account than
    expected, ``CloudError`` for what the cloud refuses. Calls that only read are retried for up to
    ``engine.retry.PATIENCE`` seconds.
    """

    def __init__(
        self,
        target: Target,
        connection: CloudConnection | None = None,
        *,
        expect_account: str | None = None,
        locks: Path | None = None,
    ) -> None:
        """No network. ``expect_account``: the only account (project, subscription) in which
        anything may be changed; left out, that of the credentials. ``locks``: the folder of this
        machine's file locks, so that a killed run is taken over at once; left out, only the lock in
        the cloud is held. ``ProfileError`` for a name or region that no profile may have.
        """
        check_target(target)
        self.target = target
        self.connection = connection or CloudConnection()
        self.expect_account = expect_account
        self.profile: BaseProfile | None = None
        """what ``plan`` and ``preflight`` take if they are given none"""
        self._cloud = load(target.cloud)
        self._kinds: Sequence[AnyKind] = self._cloud.KINDS
        # not a method of this object: what closes the clients' connections would hold it for ever
        self._fence = Fence(self.connection.tell)
        self._clients = self._cloud.connect(target, replace(self.connection, observe=self._fence))
        self._locks = locks
        self._retry = Retry(self.connection.scale, self.connection.waiting)

    @classmethod
    def from_profile(
        cls,
        profile: BaseProfile | Path | str,
        connection: CloudConnection | None = None,
        *,
        cloud_profile: str | None = None,
        expect_account: str | None = None,
        locks: Path | None = None,
    ) -> Cluster:
        """The cluster of a profile, or of the file it is in; ``ProfileError`` with everything that
        is wrong with it. ``cloud_profile`` names credentials of the vendor's own configuration.
        """
        if isinstance(profile, Path | str):
            from clusterkit.profile.model import load as load_profile

            profile = load_profile(Path(profile), model, CLOUDS)
        where = (profile.cloud, profile.name, profile.region)
        target = Target(*where, cloud_profile, profile.account, profile.home)
        made = cls(target, connection, expect_account=expect_account, locks=locks)
        made.profile = profile
        return made

    # -- questions --------------------------------------------------------------------------------

    def account(self) -> str:
        """The account (project, subscription) of the credentials."""
        return self._account(self._snapshot())

    def preflight(self, profile: BaseProfile | None = None) -> Facts:
        """What the plan needs to know of the cloud; ``PreflightError`` with all findings."""
        facts: Facts = self._cloud.preflight(self._wanted(profile), self._snapshot())
        return facts

    def observe(self) -> Observation:
        """Everything that carries the cluster's tags. A Kubernetes API that does not answer is a
        warning.
        """
        clients = self._snapshot()
        scope, scale = self._scope(clients), self.connection.scale
        return observation(self._account(clients), self._kinds, scope, scale)

    def access(self) -> Access:
        """How to reach the Kubernetes API; ``ClusterkitError`` while no cluster is running."""
        return self._running(lambda: self._cloud.access(self._snapshot(), self.target))

    def administrator(self) -> Access:
        """The same by the certificate of the cluster's own administrator, if it has one."""
        return self._running(lambda: self._cloud.administrator(self._snapshot(), self.target))

    def credential(self, minutes: int | None = None) -> Credential:
        """A short-lived credential for the Kubernetes API; ``minutes`` where the cloud lets one
        choose (``check_minutes``), None for the driver's default.
        """
        self.check_minutes(minutes)
        snapshot = self._snapshot()
        return self._running(lambda: self._cloud.credential(snapshot, self.target, minutes))

    def check_minutes(self, minutes: int | None) -> None:
        """``UsageError`` unless the cloud issues credentials with this lifetime."""
        check_minutes(self.target.cloud, self._cloud.MINUTES, minutes)

    def exec_native(self) -> Mapping[str, Any]:
        """The kubeconfig ``exec`` stanza of the vendor's own tool, if it has one."""
        return self._cloud.exec_native(self.target)

    @property
    def kube(self) -> KubeApi:
        """The cluster's Kubernetes API; its first call asks for ``access``."""
        from clusterkit.kube.api import KubeApi

        return KubeApi(self.access, observe=self._fence)

    def push_access(
        self, profile: BaseProfile | None = None, account: str | None = None
    ) -> PushAccess:
        """How builds push, by ``ready.kaniko`` and ``ready.jenkins``. The cloud is asked only for
        what neither the profile nor ``account`` tells. ``UsageError`` for a profile without them.
        """
        from clusterkit.ready.registry import with_other

        profile, snapshot = self._wanted(profile), self._snapshot()
        if not profile.ready.builders:
            what = "the profile does not prepare the cluster for kaniko"
            raise UsageError(what, where=self.target.name, hint="add ready: {kaniko: {}}, run up")
        try:
            found = self._cloud.push_access(profile, snapshot, account)
        except Absent:
            what = f"there is no registry in {self.target.region} yet"
            raise ClusterkitError(what, where=self.target.name, hint="clusterkit up") from None
        return with_other(found, profile.ready.builders[0].registry)

    def platform(self, profile: BaseProfile | None = None, account: str | None = None) -> Platform:
        """The cluster as Jenkins X names it, by ``ready.jenkins_x``. ``account`` as above.
        ``UsageError`` for a profile without it, ``ClusterkitError`` while something that has to be
        named does not exist.
        """
        from clusterkit.ready.jenkinsx import with_other

        profile, snapshot = self._wanted(profile), self._snapshot()
        if profile.ready.jenkins_x is None:
            what = "the profile does not prepare the cluster for Jenkins X"
            hint = "add ready: {jenkins_x: {git_url: …}}, run up"
            raise UsageError(what, where=self.target.name, hint=hint)
        found = self._running(lambda: self._cloud.platform(profile, snapshot, account))
        return with_other(found, profile.ready)

    def verify(
        self,
        profile: BaseProfile | None = None,
        wanted: Wanted | None = None,
        stop: threading.Event | None = None,
        kube: KubeApi | None = None,
    ) -> tuple[Verdict, ...]:
        """What is ready and what is not, by the checks of docs/verify.md. ``Interrupted`` once
        ``stop`` is set and what probes have made is removed; ``UsageError`` for an unknown id.
        ``kube``: another way to the cluster's API.
        """
        from clusterkit.ready.verify import Wanted, subject_of, verify

        profile, snapshot = self._wanted(profile), self._snapshot()
        if kube is None:
            self._running(lambda: self._cloud.access(snapshot, self.target))
        push = (lambda: self.push_access(profile)) if profile.ready.builders else None
        wanted, scale = wanted or Wanted(), self.connection.scale
        subject = subject_of(kube or self.kube, wanted, profile, push, stop=stop, scale=scale)
        return verify(subject, wanted, self._cloud.checks(profile, snapshot))

    def why_refused(self, profile: BaseProfile | None = None) -> tuple[Verdict, ...]:
        """What the cloud's own checks find wrong with how pods push to the registry."""
        from clusterkit.ready import verify

        profile, wanted = self._wanted(profile), verify.Wanted()
        every, ids = self._cloud.checks(profile, self._snapshot()), self._cloud.REPAIR.checks
        found = [check for check in verify.ordered(every) if check.id in ids]
        subject = verify.subject_of(self.kube, wanted, profile, scale=self.connection.scale)
        return verify.run(found, subject, wanted)

    # -- plans ------------------------------------------------------------------------------------

    def plan(
        self,
        profile: BaseProfile | None = None,
        facts: Facts | None = None,
        adopt: Sequence[str] = (),
        activate: Callable[[str], None] | None = None,
        *,
        prune: bool = True,
    ) -> Plan:
        """What has to change for the cluster to match the profile. Nothing is changed, but for two
        things, both after the account is checked: ``adopt`` (``KIND/NAME=ID``) tags what exists,
        and ``activate`` is the consent to enable the services and create the service roles that
        the account lacks; it is told what was done.

        ``facts`` is what ``preflight`` returned, to skip it. ``prune=False`` keeps what the profile
        no longer has. Raises ``Immutable`` for what cannot be changed in place, ``NotOurs``.
        """
        profile = self._wanted(profile)
        clients = self._snapshot()
        account = self._account(clients)
        self._check_account(account, profile.account)
        self._adopt_all(adopt)
        if activate is not None:
            # asks what is missing before it creates anything, so it may be retried as a whole
            for done in self._retry(lambda: self._cloud.activate(profile, self._clients.fresh())):
                activate(done)
            clients = self._snapshot()  # what it learnt before is true no longer
        # preflight and the look are independent and spend most of their time waiting
        with Background() as aside:
            found = aside(lambda: facts or self._cloud.preflight(profile, clients))

            def desired() -> Iterator[Kind[Any, Any]]:
                yield from self._cloud.graph(profile, found.result())

            try:
                steps = self._compare(desired(), clients, prune=prune)
            except ClusterkitError:
                found.result()  # preflight's findings say more than the look that failed for them
                raise
        known: Facts = found.result()
        warnings = (*known.warnings, *steps.warnings)
        return Plan.of(replace(steps, warnings=warnings), account, known)

    def plan_repair(self, profile: BaseProfile | None = None) -> Plan:
        """The part of ``plan`` by which pods log in to the registry: nothing else of the cluster
        is changed, and nothing is removed.
        """
        return self.plan(profile, prune=False).repairing(self._cloud.REPAIR)

    def plan_destroy(self, adopt: Sequence[str] = ()) -> Plan:
        """What ``destroy`` would remove: everything that carries the cluster's tags. ``adopt``
        (``KIND/NAME=ID``) puts them on what has lost them, after the account is checked.
        """
        clients = self._snapshot()
        account = self._account(clients)
        if adopt:
            self._check_account(account)
            self._adopt_all(adopt)
        return Plan.of(self._compare([], clients, destroy=True), account)

    # -- the run ----------------------------------------------------------------------------------

    @contextmanager
    def lock(
        self,
        tell: Callable[[str], None] = lambda _: None,
        stop: threading.Event | None = None,
        *,
        take_over: bool = False,
        account: str | None = None,
    ) -> Iterator[Lock]:
        """Keep other runs from working on the cluster; waits while one does, and ``tell``s who it
        is once a minute.

        ``apply`` takes it by itself. Whoever plans and applies takes it before, and plans again if
        it had to wait (``Lock.waited``). ``take_over``: take it from a run on another machine at
        once, which then changes nothing more. ``account``: the one that is meant. Raises
        ``WrongAccount``, ``Interrupted``, ``CloudError``.
        """
        clients = self._clients.fresh()
        found = self._retry(lambda: self._cloud.account(clients))
        self._check_account(found, account)
        target = self.target
        held = Lock(
            self._cloud.LOCK,
            self._scope(clients),
            uuid4(),
            folder=self._locks,
            key=f"{target.cloud}/{found}/{target.region}/{target.name}",
            times=Times.at(self.connection.scale),
            tell=tell,
            stop=stop or threading.Event(),
            take_over=take_over,
        )
        with held:
            self._fence.lock = held
            try:
                yield held
            finally:
                self._fence.lock = None

    def locked(self) -> bool:
        """Whether a run works on the cluster, or has died and left its lock; no where it may not be
        read.
        """
        with suppress(CloudError):
            scope = self._scope(self._snapshot())
            return self._cloud.LOCK.read(scope) is not None
        return False

    def apply(self, plan: Plan, emit: Emit, stop: threading.Event | None = None) -> Outcome:
        """Carry out the plan; ``emit`` gets every event, in order, on the calling thread.

        Set ``stop`` to interrupt it: calls in flight finish, nothing new starts, and another plan
        continues from there. Does not raise for what fails: ``Outcome.failed`` has the errors.
        A plan may be applied again, but not on two threads at once: ``ClusterkitError``. Takes the
        cluster's lock unless this thread holds it (``lock``).
        """
        if not plan.snapshot.turn.acquire(blocking=False):
            what, cure = "this plan is being applied already", "wait for that, or make another plan"
            raise ClusterkitError(what, where=self.target.name, hint=cure)
        stop = stop or threading.Event()

        def warn(told: str) -> None:
            emit(Warned(self.target.name, told))

        try:
            # a run that died after its last change has left only its lock
            idle = plan.empty and not (plan.destroy and self.locked())
            if idle or self._fence.held_here:
                return self._run(plan, emit, stop)
            with self.lock(warn, stop, account=plan.account):
                return self._run(plan, emit, stop)
        except Interrupted:  # while it waited for the lock
            return Outcome(interrupted=True)
        finally:
            plan.snapshot.turn.release()

    def _run(self, plan: Plan, emit: Emit, stop: threading.Event) -> Outcome:
        clients = self._clients.fresh()
        retry = Retry(self.connection.scale, self.connection.waiting, stop)
        self._check_account(retry(lambda: self._cloud.account(clients)), plan.account)
        # a plan may be applied again, and a new life must not be answered with an old one's tokens
        plan = replace(plan, snapshot=replace(plan.snapshot, run=uuid4()))
        return Run(self._scope(clients), plan, emit, scale=self.connection.scale)(stop)

    # -- the parts --------------------------------------------------------------------------------

    def _snapshot(self) -> Any:
        """Clients that ask each question once and retry it: for one plan or one question."""
        clients = self._clients.fresh()
        clients.share(self._retry)
        return clients

    def _scope(self, clients: Any) -> Scope[Any]:
        return Scope(clients, self.target.name, self.target.region)

    def _compare(
        self,
        desired: Iterable[Kind[Any, Any]],
        clients: Any,
        *,
        destroy: bool = False,
        prune: bool = True,
    ) -> engine.Plan:
        scope, scale = self._scope(clients), self.connection.scale
        return engine.plan(desired, self._kinds, scope, scale=scale, destroy=destroy, prune=prune)

    def _wanted(self, profile: BaseProfile | None) -> BaseProfile:
        profile = profile or self.profile
        if profile is None:
            raise ClusterkitError("no profile given", where=self.target.name)
        said = (profile.cloud, profile.name, profile.region)
        if said != (self.target.cloud, self.target.name, self.target.region):
            raise ClusterkitError(
                f"the profile is of {profile.name} on {profile.cloud} in {profile.region}",
                where=f"{self.target.name} on {self.target.cloud} in {self.target.region}",
                hint="make a Cluster for each profile: Cluster.from_profile(profile)",
            )
        if profile.home and profile.home != self.target.home:
            what, hint = f"the profile's cluster lies in {profile.home}", "name it in the Target"
            raise ClusterkitError(what, where=self.target.name, hint=hint)
        return profile

    def _account(self, clients: Any) -> str:
        return self._cloud.account(clients)

    def _check_account(self, account: str, *expected: str | None) -> None:
        for wanted in (self.target.account, self.expect_account, *expected):
            if wanted is not None and account != wanted:
                raise WrongAccount(account, wanted, where=self.target.name)

    def _running(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except Absent:
            what = f"there is no running cluster in {self.target.region}"
            hint = "clusterkit status lists what exists, clusterkit up creates the rest"
            raise ClusterkitError(what, where=self.target.name, hint=hint) from None

    def _adopt_all(self, wanted: Sequence[str]) -> None:
        """Tag what exists, while no other run works on the cluster."""
        if not wanted:
            return
        with nullcontext() if self._fence.held_here else self.lock(self._waits):
            for each in wanted:
                # tagging what is tagged already changes nothing, so it may be retried
                self._retry(partial(self._adopt, each))

    def _waits(self, told: str) -> None:
        if self.connection.waiting is not None:
            self.connection.waiting(told, 60.0)

    def _adopt(self, wanted: str) -> None:
        scope = self._scope(self._clients.fresh())
        operation = ownership.adopt(wanted, self._kinds, scope, uuid4())
        if operation is not None:
            self._retry(partial(ended, operation, scope))

"""clusterkit as a library: one cluster, planned, brought up, observed and destroyed.

``Cluster`` has no signals, files or environment of its own (the vendors' SDKs read theirs) and
prints nothing. It is safe on many threads at once: every plan, run and question starts with fresh
memory and shares nothing but connections and credentials, so a process may live for months and
sees every change made outside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from clusterkit.clouds import CLOUDS, model
from clusterkit.engine import ownership
from clusterkit.engine import plan as engine
from clusterkit.engine.background import Background
from clusterkit.engine.cache import Survey
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Kind
from clusterkit.engine.lock import Lock
from clusterkit.engine.observation import Observation, Seen, observation
from clusterkit.engine.operation import ended
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.step import Kept, Step
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError
from clusterkit.plan import Facts, Plan
from clusterkit.runs import Runs

if TYPE_CHECKING:
    from clusterkit.kube.api import KubeApi
    from clusterkit.profile.model import BaseProfile
    from clusterkit.ready.verify import Verdict, Wanted

__all__ = ["Cluster", "Edit", "Kept", "Observation", "Outcome", "Plan", "Seen", "Step"]


def target_of(profile: BaseProfile, cloud_profile: str | None = None) -> Target:
    """The cluster that a profile describes."""
    where = (profile.cloud, profile.name, profile.region)
    tags = tuple(sorted(profile.tags.items()))
    return Target(*where, cloud_profile, profile.account, profile.home, tags)


class Cluster(Runs):
    """One cluster in one account and region of one cloud.

    All methods raise ``ClusterkitError`` and nothing else: ``CredentialsError`` if there are no
    valid credentials, ``WrongAccount`` before any change if they are of another account than
    expected, ``CloudError`` for what the cloud refuses. Calls that only read are retried for up to
    ``engine.retry.PATIENCE`` seconds.
    """

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
        target = target_of(profile, cloud_profile)
        made = cls(target, connection, expect_account=expect_account, locks=locks)
        made.profile = profile
        return made

    # -- questions --------------------------------------------------------------------------------

    def preflight(self, profile: BaseProfile | None = None) -> Facts:
        """What the plan needs to know of the cloud; ``PreflightError`` with all findings."""
        facts: Facts = self._cloud.preflight(self._wanted(profile), self._snapshot())
        return facts

    def observe(self, survey: Survey | None = None) -> Observation:
        """Everything that carries the cluster's tags. A Kubernetes API that does not answer is a
        warning. ``survey`` as in ``plan``.
        """
        clients = self._snapshot(survey)
        scope, scale = self._scope(clients), self.connection.scale
        try:
            return observation(self._account(clients), self._kinds, scope, scale)
        finally:
            clients.kube.close()

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
        from clusterkit.ready.jenkinsx import requirements
        from clusterkit.ready.verify import Wanted, subject_of, verify

        profile, snapshot = self._wanted(profile), self._snapshot()
        if kube is None:
            self._running(lambda: self._cloud.access(snapshot, self.target))
        push = (lambda: self.push_access(profile)) if profile.ready.builders else None
        asked = profile.ready.jenkins_x
        told = (lambda: requirements(self.platform(profile), asked)) if asked else None
        wanted, kube, scale = wanted or Wanted(), kube or self.kube, self.connection.scale
        more: Any = {"requirements": told, "stop": stop, "scale": scale}
        subject = subject_of(kube, wanted, profile, push, **more)
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
        survey: Survey | None = None,
        lock: Lock | None = None,
    ) -> Plan:
        """What has to change for the cluster to match the profile. Nothing is changed, but for two
        things, both after the account is checked: ``adopt`` (``KIND/NAME=ID``) tags what exists,
        and ``activate`` is the consent to enable the services and create the service roles that
        the account lacks; it is told what was done.

        ``facts`` is what ``preflight`` returned, to skip it. ``prune=False`` keeps what the profile
        no longer has. ``survey`` is what plans of other clusters made at the same time have
        asked. ``adopt`` takes the cluster's lock: ``lock`` is the one that whoever calls has taken
        with ``hold``. Raises ``Immutable`` for what cannot be changed in place, ``NotOurs``.
        """
        profile = self._wanted(profile)
        clients = self._snapshot(survey)
        account = self._account(clients)
        self._check_account(account, profile.account)
        self._adopt_all(adopt, lock)
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
        is changed, and nothing is removed. ``ClusterkitError`` without a running cluster.
        """
        self._running(lambda: self._cloud.access(self._snapshot(), self.target))
        return self.plan(profile, prune=False).repairing(self._cloud.REPAIR)

    def plan_destroy(
        self,
        adopt: Sequence[str] = (),
        survey: Survey | None = None,
        *,
        lock: Lock | None = None,
    ) -> Plan:
        """What ``destroy`` would remove: everything that carries the cluster's tags. ``adopt``
        (``KIND/NAME=ID``) puts them on what has lost them, after the account is checked.
        ``survey`` and ``lock`` as in ``plan``.
        """
        clients = self._snapshot(survey)
        account = self._account(clients)
        if adopt:
            self._check_account(account)
            self._adopt_all(adopt, lock)
        return Plan.of(self._compare([], clients, destroy=True), account)

    # -- the parts --------------------------------------------------------------------------------

    def _compare(
        self,
        desired: Iterable[Kind[Any, Any]],
        clients: Any,
        *,
        destroy: bool = False,
        prune: bool = True,
    ) -> engine.Plan:
        scope, scale = self._scope(clients), self.connection.scale
        more: Any = {"scale": scale, "destroy": destroy, "prune": prune}
        try:
            return engine.plan(desired, self._kinds, scope, **more)
        finally:
            clients.kube.close()

    def _adopt_all(self, wanted: Sequence[str], lock: Lock | None) -> None:
        """Tag what exists, while no other run works on the cluster."""
        if not wanted:
            return
        with nullcontext() if self._holds(lock) else self.lock(self._waits):
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

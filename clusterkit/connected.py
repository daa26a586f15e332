"""A cluster's connection to its cloud, and what one question tells: whose it is, how its Kubernetes
API is reached, how builds push, what Jenkins X calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clusterkit.clouds import check_minutes, check_target, load
from clusterkit.engine.cache import Survey
from clusterkit.engine.fence import Fence
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.retry import Retry
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Absent, ClusterkitError, UsageError, WrongAccount

if TYPE_CHECKING:
    from clusterkit.kube.api import Access, Credential, KubeApi
    from clusterkit.profile.model import BaseProfile
    from clusterkit.ready.jenkinsx import Platform
    from clusterkit.ready.registry import PushAccess

T = TypeVar("T")


class Connected:
    """What plans, runs and checks of one cluster share."""

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
        scale, patience = self.connection.scale, self.connection.patience
        self._retry = Retry(scale, self.connection.waiting, patience=patience)

    def account(self) -> str:
        """The account (project, subscription) of the credentials."""
        return self._account(self._snapshot())

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
            raise UsageError(
                what, where=self.target.name, hint="add ready: {kaniko: {}} and run clusterkit up"
            )
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
            hint = "add ready: {jenkins_x: {git_url: …}} and run clusterkit up"
            raise UsageError(what, where=self.target.name, hint=hint)
        found = self._running(lambda: self._cloud.platform(profile, snapshot, account))
        return with_other(found, profile.ready)

    def _snapshot(self, survey: Survey | None = None) -> Any:
        """Clients that ask each question once and retry it: for one plan or one question."""
        clients = self._clients.fresh()
        shared = survey.of(self._place, self.target.name) if survey else None
        clients.share(self._retry, shared)
        return clients

    @property
    def _place(self) -> str:
        """What it shares connections, and threads for calls, with."""
        return self.connection.reached(self.target.place)

    def _scope(self, clients: Any) -> Scope[Any]:
        return Scope(clients, self.target.name, self.target.region, place=self._place)

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

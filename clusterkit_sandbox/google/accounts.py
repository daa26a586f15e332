"""Service accounts as identities: who they are, and from when the rest of the cloud knows them.

A new account is not known everywhere at once (hashicorp/terraform-provider-google,
resource_google_service_account.go: three reads in a row must find it), and the end of one comes to
policies some time later (``policies.py``).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from clusterkit_sandbox.google.account import PROJECTS
from clusterkit_sandbox.google.store import Store

VISIBLE = "google/service-account/visible"
FORGOTTEN = "google/policy/deleted"
_ACCOUNT = re.compile(r"[^@]+@(?P<project>[a-z0-9-]+)\.iam\.gserviceaccount\.com")
_POOL = re.compile(r"(?P<project>[a-z0-9-]+)\.svc\.id\.goog")


def new_uid() -> str:
    """21 figures, as unique ids have."""
    return "1" + str(secrets.randbelow(10**20)).zfill(20)


@dataclass(kw_only=True, eq=False)
class ServiceAccount:
    """One service account, also one that was deleted and may be restored; implements
    ``kit.store.Kept``.
    """

    email: str
    scope: str
    """its project"""
    uid: str = field(default_factory=new_uid)
    client: str = field(default_factory=new_uid)
    display: str = ""
    description: str = ""
    disabled: bool = False
    known: float = 0
    """from when it is known, by the clock"""
    deleted: float | None = None
    """when it was deleted, by the clock"""
    keys: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The unique id: a name may be given again, to another account."""
        return self.uid

    @property
    def name(self) -> str:
        """The resource's name."""
        return f"projects/{self.scope}/serviceAccounts/{self.email}"

    @property
    def policy(self) -> str:
        """Under what its policy is kept: it goes with the account, not with the name."""
        return f"projects/{self.scope}/serviceAccounts/{self.uid}"

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()


@dataclass(frozen=True)
class WorkloadPool:
    """The workload identity pool of a project, which is there once a cluster has asked for it;
    implements ``kit.store.Kept``.
    """

    id: str
    scope: str = ""

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()


def default_account(project: str) -> str:
    """What machines run as where nothing else is asked for."""
    return f"{PROJECTS[project]}-compute@developer.gserviceaccount.com"


class Identities:
    """Who is who, as policies ask. Call it with the lock held."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, project: str) -> Iterator[ServiceAccount]:
        """Those that exist, oldest first."""
        every = self._store.all(ServiceAccount, project)
        return (one for one in every if one.deleted is None)

    def find(self, project: str, name: str) -> ServiceAccount | None:
        """The one that exists with this name or unique id."""
        return next((one for one in self.all(project) if name in (one.email, one.uid)), None)

    def named(self, email: str) -> ServiceAccount | None:
        """The same, in whatever project."""
        found = (self.find(project, email) for project in PROJECTS)
        return next((one for one in found if one is not None), None)

    def known(self, one: ServiceAccount) -> bool:
        """Whether the rest of the cloud has heard of it."""
        return one.known <= self._store.clock.now and not self._store.hidden(one)

    def uid(self, email: str) -> str | None:
        """The unique id of the account that has this name now, and that policies know already; None
        if there is none, empty for one of another project.
        """
        one = self.named(email)
        if one is not None:
            return one.uid if self.known(one) else None
        found = _ACCOUNT.fullmatch(email)
        return None if found is not None and found["project"] in PROJECTS else ""

    def email(self, uid: str) -> str | None:
        """The name of an account that exists, or whose end has not come to policies yet."""
        now, after = self._store.clock.now, self._store.clock.pace.seconds(FORGOTTEN)
        for one in self._store.all(ServiceAccount):
            if one.uid == uid:
                gone = one.deleted is not None and one.deleted + after <= now
                return None if gone else one.email
        return None

    def pool(self, name: str) -> bool:
        """Whether the workload identity pool exists."""
        found = _POOL.fullmatch(name)
        ours = found is not None and found["project"] in PROJECTS
        return not ours or self._store.get(WorkloadPool, name) is not None

    def usable(self, email: str) -> ServiceAccount | None:
        """The account that machines may run as."""
        one = self.named(email)
        return one if one is not None and self.known(one) and not one.disabled else None

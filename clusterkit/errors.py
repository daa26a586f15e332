"""The error tree: every failure clusterkit reports, each with its exit code.

::

    ClusterkitError            1   what, where (a resource key or file:line), what to do next
    ├─ UsageError              2   an option or argument that cannot be
    ├─ ProfileError            2   everything wrong with a profile, at once, each with file:line
    ├─ CredentialsError        3   missing, expired or refused credentials
    │  └─ WrongAccount         3   credentials of another account than expected
    ├─ PreflightError          4   everything the cloud would refuse, found before any change
    ├─ CloudError              5   the cloud refused: code, operation, request id
    │  ├─ Retryable            5   the engine tries again
    │  │  ├─ Throttled         5   too many requests, or an overloaded service
    │  │  ├─ Busy              5   another operation on the same thing is in progress
    │  │  ├─ InUse             5   something still depends on it
    │  │  ├─ Propagating       5   eventual consistency: not visible to this service yet
    │  │  └─ ServerError       5   5xx or a lost connection: the call may have taken effect
    │  │     └─ Unreachable    5   no connection, or no answer
    │  ├─ Denied               6   a permission is missing
    │  ├─ QuotaExceeded        7   a quota is used up
    │  └─ Rejected             8   waiting does not help
    │     ├─ Gone              8   the thing does not exist
    │     ├─ Exists            8   the name is taken
    │     ├─ AlreadyDone       8   already in the state asked for: success
    │     ├─ Protected         8   a protection must be switched off first
    │     ├─ OutOfStock        8   no capacity for this machine type in this zone
    │     └─ PaymentRequired   8   the account cannot pay
    ├─ NotOurs                 9   our name without our tags, or two things with the same tags
    ├─ Immutable              10   cannot be changed in place
    ├─ Diverged               11   three updates did not settle it: a bug in a driver
    ├─ TimedOut               12   nothing changed for too long; the same command continues
    ├─ Blocked                13   what is not ours keeps a thing of ours from being deleted
    ├─ Locked                 14   another run has taken the cluster over
    └─ Interrupted           130   Ctrl-C; the same command continues

``Absent`` is not among them: it says that something a resource needs does not exist (yet), and
never reaches a user. Drivers raise these and nothing else: SDK exceptions become one of these at
the client's boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


class Absent(LookupError):
    """Something a resource needs is not there (yet)."""


class ClusterkitError(Exception):
    """What went wrong, where, and what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def copied(self) -> Self:
        """The same for somebody else, because whoever catches it may say more of it."""
        new = type(self).__new__(type(self), *self.args)
        new.__dict__.update(self.__dict__)
        return new


def lacks(what: str, package: str, extra: str) -> ClusterkitError:
    """A package that an extra of clusterkit's brings is not installed.

    No package index has clusterkit, and the public one has another project under that name.
    """
    return ClusterkitError(
        f"{what} needs the Python package {package!r}, which is not installed",
        hint=f"in the folder with clusterkit's source: pip install '.[{extra}]'",
    )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a profile, or that the cloud would refuse."""

    what: str
    where: str = ""
    """``profile.yaml:12`` or the field's path"""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class _Findings(ClusterkitError):
    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class UsageError(ClusterkitError):
    """An option or argument of the command line, or of the library, that cannot be."""

    exit_code = 2


class ProfileError(_Findings):
    """All that is wrong with a profile."""

    exit_code = 2


class CredentialsError(ClusterkitError):
    """No credentials, expired ones, or ones the cloud does not know."""

    exit_code = 3


class WrongAccount(CredentialsError):
    """The credentials are of another account than the cluster's; nothing was changed."""

    def __init__(self, account: str, expected: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(
            f"the credentials are of account {account}, but the cluster belongs to {expected}",
            where=where,
            hint=hint or f"use credentials of {expected}, or give this cluster another name",
        )
        self.account = account
        self.expected = expected


class PreflightError(_Findings):
    """All that the cloud would refuse later, found before anything is made."""

    exit_code = 4


class CloudError(ClusterkitError):
    """The cloud's own refusal.

    ``code`` is the vendor's error code, ``operation`` the API operation, ``request_id`` what the
    vendor's support asks for.
    """

    exit_code = 5

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        hint: str = "",
        code: str = "",
        operation: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.code = code
        self.operation = operation
        self.request_id = request_id

    @property
    def origin(self) -> str:
        """What the vendor's support asks for: ``ec2:CreateVpc VpcLimitExceeded, request 7c0d``;
        empty if the error has none of it.
        """
        refused = " ".join(filter(None, (self.operation, self.code)))
        return ", ".join(filter(None, (refused, self.request_id and f"request {self.request_id}")))


class Retryable(CloudError):
    """Worth another try.

    ``after``: the cloud's own Retry-After, in seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        hint: str = "",
        code: str = "",
        operation: str = "",
        request_id: str = "",
        after: float | None = None,
    ) -> None:
        super().__init__(
            what, where=where, hint=hint, code=code, operation=operation, request_id=request_id
        )
        self.after = after


class Throttled(Retryable):
    """Too many requests, or an overloaded service: back off."""


class Busy(Retryable):
    """Another operation on the same thing is in progress: ask again at the pace of a poll."""


class InUse(Busy):
    """Something still depends on it."""


class Propagating(Busy):
    """Something that was just made is not visible to this service yet; bounded in time."""


class ServerError(Retryable):
    """5xx, or the connection was lost: the call may have taken effect."""


class Unreachable(ServerError):
    """No connection, or no answer on it."""


class Denied(CloudError):
    """A permission is missing; ``what`` names it and on what."""

    exit_code = 6


class QuotaExceeded(CloudError):
    """A quota is used up."""

    exit_code = 7


class Rejected(CloudError):
    """Waiting does not help: the cloud refuses a request, or a thing ended in a failed state."""

    exit_code = 8


class Gone(Rejected):
    """The thing does not exist; success for a delete."""


class Exists(Rejected):
    """The name is taken; by whom, only a look can tell."""


class AlreadyDone(Rejected):
    """Already in the state asked for, which some services refuse: success."""


class Protected(Rejected):
    """A protection (deletion protection, a lock) must be switched off first."""


class OutOfStock(Rejected):
    """The cloud has no capacity for this machine type in this zone."""


class PaymentRequired(Rejected):
    """The account cannot pay: balance, payment method, risk control."""


class NotOurs(ClusterkitError):
    """Our name on something without our tags, or two things with the same tags."""

    exit_code = 9


class Immutable(ClusterkitError):
    """The profile asks for what cannot be changed in place."""

    exit_code = 10


class Diverged(ClusterkitError):
    """Still different after three updates: a bug in a driver, made loud."""

    exit_code = 11


class TimedOut(ClusterkitError):
    """Nothing changed for too long; the same command again continues."""

    exit_code = 12


class Blocked(ClusterkitError):
    """Something that is not ours keeps a thing of ours from being deleted; the rest was."""

    exit_code = 13


class Locked(ClusterkitError):
    """Another run works on this cluster, or has taken it over from this one."""

    exit_code = 14


class Interrupted(ClusterkitError):
    """Stopped by the user; the same command again continues."""

    exit_code = 130

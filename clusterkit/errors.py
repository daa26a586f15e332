"""Every failure clusterkit means to have, each with its exit code.

::

    ClusterkitError            1   what, where (a resource key or file:line), what to do next
    ├─ ProfileError            2   everything wrong with a profile, at once, each with file:line
    ├─ CredentialsError        3   none, expired or refused
    ├─ PreflightError          4   everything the cloud would refuse, found before anything is made
    ├─ CloudError              5   the cloud said no: code, operation, request id
    │  ├─ Retryable            5   throttled, busy, 5xx, connection lost: the engine tries again
    │  ├─ Denied               6   a permission is missing
    │  ├─ QuotaExceeded        7   a quota is used up
    │  └─ Rejected             8   waiting will not cure it
    │     └─ Gone              8   the thing is not there
    ├─ NotOurs                 9   our name without our mark, or two things that claim one name
    ├─ Immutable              10   cannot be changed in place
    ├─ Diverged               11   three updates did not settle it: a bug in a driver
    └─ Stopped               130   Ctrl-C, or out of patience; ``up`` again continues

``Absent`` is not among them: it says that something a resource needs is not there (yet), and never
reaches a user. Drivers raise these and nothing else; ``<cloud>/errors.py`` is where SDK exceptions
end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


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


class ProfileError(_Findings):
    """All that is wrong with a profile."""

    exit_code = 2


class CredentialsError(ClusterkitError):
    """No credentials, expired ones, or ones the cloud does not know."""

    exit_code = 3


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


class Retryable(CloudError):
    """Worth another try.

    ``busy``: something else must change first (a dependency is still there, an update runs), so ask
    again at the pace of a poll; otherwise the cloud is overloaded and the engine backs off.
    ``after``: the cloud's own Retry-After, in seconds. ``ambiguous``: the call may have had its
    effect (answer lost, 5xx).
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
        busy: bool = False,
        after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(
            what, where=where, hint=hint, code=code, operation=operation, request_id=request_id
        )
        self.busy = busy
        self.after = after
        self.ambiguous = ambiguous


class Denied(CloudError):
    """A permission is missing; ``what`` names it and on what."""

    exit_code = 6


class QuotaExceeded(CloudError):
    """A quota is used up."""

    exit_code = 7


class Rejected(CloudError):
    """Waiting will not cure it: a request the cloud refuses, or a thing that ended in a failed
    state.

    ``remake``: the thing failed before it ever worked and holds nothing, so a later run may remove
    it and make it again.
    """

    exit_code = 8

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        hint: str = "",
        code: str = "",
        operation: str = "",
        request_id: str = "",
        remake: bool = False,
    ) -> None:
        super().__init__(
            what, where=where, hint=hint, code=code, operation=operation, request_id=request_id
        )
        self.remake = remake


class Gone(Rejected):
    """The thing is not there; success for a delete."""


class NotOurs(ClusterkitError):
    """Our name on something without our mark, or two things that claim one name."""

    exit_code = 9


class Immutable(ClusterkitError):
    """The profile asks for what cannot be changed in place."""

    exit_code = 10


class Diverged(ClusterkitError):
    """Still different after three updates: a bug in a driver, made loud."""

    exit_code = 11


class Stopped(ClusterkitError):
    """Stopped by the user or out of patience; the same command again continues."""

    exit_code = 130

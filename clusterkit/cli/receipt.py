"""The receipts of clusters: hints in the user's state directory, never the truth.

There is one for each account, region and name. It catches a profile whose region or account changed
since the last run, and finds the cluster for commands that only read when no profile is named. It
holds no secret and may be deleted at any time; a damaged one counts as none, with a warning.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from clusterkit import localfile
from clusterkit.clouds import ACCOUNT_FIELDS, check_target
from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError, Finding

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class Receipt:
    """What the last run on a cluster knew."""

    cloud: str
    name: str
    region: str
    account: str
    run: str
    """the last run's id"""
    when: str
    """ISO 8601, UTC"""
    cloud_profile: str | None = None
    kubeconfig: str | None = None
    """the file ``up`` wrote our context to"""
    profile: str | None = None
    """the profile file of the last ``up``"""
    sandbox: bool = False
    minutes: int | None = None
    """how long kubectl's credentials are to live, if ``kubeconfig --minutes`` said so"""
    home: str | None = None
    """``Target.home``"""

    @property
    def target(self) -> Target:
        """The cluster it is about."""
        account = self.account if self.cloud in ACCOUNT_FIELDS else None
        return Target(self.cloud, self.name, self.region, self.cloud_profile, account, self.home)

    def is_of(self, target: Target) -> bool:
        """Whether it is about this cluster, as far as the target says which: its account and its
        home may be unknown.
        """
        home = target.home if None in (target.home, self.home) else self.home
        here = replace(self.target, account=target.account, home=home)
        return here == target and target.account in (None, self.account)


def directory(environ: Mapping[str, str] = os.environ, *, sandbox: bool = False) -> Path:
    """``$XDG_STATE_HOME/clusterkit/receipts`` (XDG Base Directory Specification); the sandbox's
    apart.
    """
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "clusterkit" / ("sandbox-receipts" if sandbox else "receipts")


def file(folder: Path, receipt: Receipt) -> Path:
    """Where this receipt is, or would be written."""
    there = (path for path, found in _sound(folder) if found == receipt)
    account = quote(receipt.account, safe="")
    name = f"{receipt.cloud}_{account}_{receipt.region}_{receipt.name}.json"
    return next(there, folder / name)


def write(receipt: Receipt, folder: Path) -> None:
    """Put it in place of an older one, atomically, readable by the user only;
    ``ClusterkitError`` if the directory cannot be written.
    """
    path = file(folder, receipt)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        localfile.replace(path, _text(receipt))
    except OSError as error:
        raise _unwritable(path, error) from error


def note(receipt: Receipt, folder: Path) -> None:
    """Write it; if that fails, warn once for each command."""
    try:
        write(receipt, folder)
    except ClusterkitError as error:
        _warn(Finding(f"no receipt: {error.what}", error.where, error.hint))


def check(folder: Path) -> None:
    """The error that ``write`` would raise now; only a missing folder is made."""
    path = folder / "receipt.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        localfile.check_replaceable(path, bytes(4096))
    except OSError as error:
        raise _unwritable(folder, error) from error


def _text(receipt: Receipt) -> bytes:
    return (json.dumps(asdict(receipt), indent=2) + "\n").encode()


def _unwritable(path: Path, error: OSError) -> ClusterkitError:
    return ClusterkitError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        hint="set XDG_STATE_HOME to a directory you can write to",
    )


def read(folder: Path, target: Target) -> Receipt | None:
    """The newest receipt of this cluster that was made with the same ``cloud_profile``, in the
    target's account if it names one.
    """
    found = [receipt for receipt in every(folder) if receipt.is_of(target)]
    return max(found, key=lambda receipt: receipt.when, default=None)


def remove(folder: Path, target: Target, account: str) -> list[Finding]:
    """Forget the cluster; what could not be removed."""
    left = []
    for path, receipt in _sound(folder):
        here = replace(receipt, cloud_profile=target.cloud_profile)
        if here.is_of(target) and receipt.account == account:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                what = f"the receipt could not be removed: {error.strerror or error}"
                left.append(Finding(what, str(path), "delete it"))
    return left


def every(folder: Path) -> list[Receipt]:
    """All sound receipts, by file name."""
    return [receipt for _, receipt in _sound(folder)]


def at_kubeconfig(known: Receipt, file: Path, minutes: int | None) -> Receipt:
    """The receipt with another kubeconfig."""
    return replace(known, kubeconfig=str(file.absolute()), minutes=minutes)


def moved(folder: Path, target: Target, profile: Path | None) -> ClusterkitError | None:
    """The error to raise if the last cluster of this very profile was in another region."""
    if profile is None:
        return None
    of_it = [receipt for receipt in every(folder) if receipt.profile == str(profile.resolve())]
    same = [r for r in of_it if (r.cloud, r.name) == (target.cloud, target.name)]
    if not same or any(receipt.region == target.region for receipt in same):
        return None
    last = max(same, key=lambda receipt: receipt.when)
    what = f"the last run was in {last.region}, this one would be in {target.region}"
    hint = (
        f"destroy that cluster first ({destroy_command(last)}), or keep both: "
        "copy the profile to another file"
    )
    return ClusterkitError(what, where=target.name, hint=hint)


def destroy_command(receipt: Receipt) -> str:
    """The command that destroys the receipt's cluster without its profile."""
    words = ["--cloud", receipt.cloud, "--region", receipt.region, "--name", receipt.name]
    words += ["--cloud-profile", receipt.cloud_profile] if receipt.cloud_profile else []
    words += ["--account", receipt.account] if receipt.target.account else []
    words += ["--sandbox"] if receipt.sandbox else []
    return f"clusterkit destroy {' '.join(words)}"


_read: dict[Path, tuple[tuple[int, int, int], Receipt]] = {}
"""what was in each file, and when: a command on hundreds of clusters looks for each one's receipt
among those of all"""


def _sound(folder: Path) -> Iterator[tuple[Path, Receipt]]:
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found = path.stat()
            which = (found.st_ino, found.st_mtime_ns, found.st_size)  # a new file takes its place
            before, receipt = _read.get(path, (None, None))
            if before != which:
                receipt = _parsed(localfile.read(path))
        except FileNotFoundError:  # another run has just ended
            continue
        except OSError as error:
            _ignored(path, error.strerror or str(error))
            continue
        if receipt:
            _read[path] = (which, receipt)
            yield path, receipt
        else:
            _ignored(path, "it is damaged")


@cache
def _adapter() -> TypeAdapter[Receipt]:
    """Made once: that takes longer than reading a receipt."""
    from pydantic import TypeAdapter

    return TypeAdapter(Receipt)


def _parsed(raw: bytes) -> Receipt | None:
    try:
        receipt = _adapter().validate_json(raw, strict=True)
        check_target(receipt.target)
    except (ValueError, ClusterkitError):
        return None
    return receipt


def _ignored(path: Path, why: str) -> None:
    _warn(Finding(f"this receipt is ignored: {why}", str(path), "delete it"))


@cache
def _warn(finding: Finding) -> None:
    """Once for each command."""
    from clusterkit.cli import report

    report.show_findings(report.err(), [finding])

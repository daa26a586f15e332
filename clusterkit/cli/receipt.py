"""The receipt of a cluster: a hint in the user's state directory, never the truth.

It catches a profile whose region or account changed since the last run, and finds the cluster when
no profile is named. It holds no secret and may be deleted at any time; a damaged one counts as
none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError


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

    @property
    def target(self) -> Target:
        """The cluster it is about."""
        return Target(self.cloud, self.name, self.region, self.cloud_profile)


def directory(environ: Mapping[str, str] = os.environ, *, sandbox: bool = False) -> Path:
    """``$XDG_STATE_HOME/clusterkit/receipts`` (XDG Base Directory Specification); the sandbox's
    apart.
    """
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "clusterkit" / ("sandbox-receipts" if sandbox else "receipts")


def file(folder: Path, cloud: str, name: str) -> Path:
    """The file of a cluster's receipt."""
    return folder / f"{cloud}-{name}.json"


def write(receipt: Receipt, folder: Path) -> None:
    """Put it in place of an older one, atomically, readable by the user only;
    ``ClusterkitError`` if the directory cannot be written.
    """
    path = file(folder, receipt.cloud, receipt.name)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.touch(mode=0o600)
        part.write_text(json.dumps(asdict(receipt), indent=2) + "\n")
        part.replace(path)
    except OSError as error:
        raise ClusterkitError(
            f"cannot be written: {error.strerror}",
            where=str(path),
            hint="set XDG_STATE_HOME to a directory you can write to",
        ) from error


def read(folder: Path, cloud: str, name: str) -> Receipt | None:
    """The receipt of this cluster, if there is a sound one."""
    return _load(file(folder, cloud, name))


def remove(folder: Path, cloud: str, name: str) -> None:
    """Forget the cluster; none is fine."""
    file(folder, cloud, name).unlink(missing_ok=True)


def every(folder: Path) -> list[Receipt]:
    """All sound receipts, by file name."""
    if not folder.is_dir():
        return []
    found = (_load(path) for path in sorted(folder.glob("*.json")))
    return [receipt for receipt in found if receipt is not None]


def at_kubeconfig(known: Receipt, file: Path, minutes: int | None) -> Receipt:
    """The receipt with another kubeconfig."""
    return replace(known, kubeconfig=str(file.absolute()), minutes=minutes)


def moved(receipt: Receipt, target: Target) -> ClusterkitError | None:
    """The error to raise if the cluster was last seen in another region."""
    if receipt.region == target.region:
        return None
    what = f"the last run was in {receipt.region}, this one would be in {target.region}"
    words = ["--cloud", receipt.cloud, "--region", receipt.region, "--name", target.name]
    words += ["--cloud-profile", receipt.cloud_profile] if receipt.cloud_profile else []
    words += ["--sandbox"] if receipt.sandbox else []
    hint = (
        f"destroy that cluster first (clusterkit destroy {' '.join(words)}), "
        "or give this one another name"
    )
    return ClusterkitError(what, where=target.name, hint=hint)


def _load(path: Path) -> Receipt | None:
    try:
        return Receipt(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None

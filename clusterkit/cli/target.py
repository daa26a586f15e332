"""Which cluster a command is about: a profile, three options, or the only receipt."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterkit.cli import receipt
from clusterkit.clouds import ACCOUNT_FIELDS, CLOUDS, EXAMPLES, HOME_FIELDS, model, regions
from clusterkit.engine.target import Target, UserLogin
from clusterkit.errors import ClusterkitError, Finding, PreflightError, ProfileError, UsageError

if TYPE_CHECKING:
    from clusterkit.profile.model import BaseProfile

HERE = Path("profile.yaml")


@dataclass(frozen=True)
class Choice:
    """The options that select a cluster and how it is reached."""

    profile: Path | None = None
    cloud: str | None = None
    region: str | None = None
    name: str | None = None
    cloud_profile: str | None = None
    account: str | None = None
    sandbox: bool = False
    trace: Path | None = None
    login: UserLogin | None = None
    """for the registry that is no cloud's"""


@dataclass(frozen=True)
class Choices:
    """The clusters that a command is about, in the order of its arguments."""

    each: tuple[Choice, ...]
    given: tuple[Path, ...]
    """the files and folders on the command line"""

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.each) > 1

    def command(self, verb: str) -> str:
        """The command line that does ``verb`` to all of them."""
        if not self.several:
            return command(verb, self.each[0])
        return _line(["clusterkit", verb, *map(str, self.given)], self.each[0])


def choices(given: Sequence[Path] | None, options: Choice) -> Choices:
    """The profiles of a command line, a folder's in the order of their names.

    ``UsageError`` for a folder without profiles, a profile that is given twice, and options that
    choose one cluster where there are several.
    """
    named = tuple(given or ())
    if not named and not options.name and (default := profile_path(options)):
        named = (default,) if default.is_dir() else ()
    files = [file for path in named for file in _profiles(path)]
    seen: dict[Path, Path] = {}
    for file in files:
        if (first := seen.setdefault(file.resolve(), file)) is not file:
            what = "is given twice" if first == file else f"is the same file as {first}"
            raise UsageError(what, where=str(file), hint="name every profile once")
    if len(files) > 1:
        one = {"--cloud": options.cloud, "--region": options.region, "--name": options.name}
        refuse_for_several(one, "choose one cluster, and several profiles are given")
    each = tuple(replace(options, profile=file) for file in files) or (options,)
    return Choices(each, named)


def refuse_for_several(options: Mapping[str, object], why: str, hint: str = "") -> None:
    """``UsageError`` for options that are set and make no sense for several clusters."""
    if used := [option for option, value in options.items() if value]:
        hint = hint or "leave out the options, or name one profile"
        raise UsageError(why, where=" ".join(used), hint=hint)


def _profiles(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        inside = sorted(path.iterdir(), key=lambda file: file.name)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise UsageError(what, where=str(path), hint="name the profiles instead") from error
    found = [
        file
        for file in inside
        if file.suffix in (".yaml", ".yml") and not file.name.startswith(".") and not file.is_dir()
    ]
    if not found:
        new = shlex.join(["clusterkit", "init", "--cloud", EXAMPLES.cloud])
        raise UsageError(
            "this folder has no profiles (*.yaml, *.yml)",
            where=str(path),
            hint=f"name another folder, or write one with: {new} --file {path / 'profile.yaml'}",
        )
    return found


def labels(targets: Sequence[Target]) -> list[str]:
    """What each is called among the others: its name, with as much of where it is as tells them
    apart.
    """
    told = [t.name for t in targets]
    places = [[t.cloud, t.region, t.account or "", t.home or ""] for t in targets]
    for parts in range(1, 5):
        if len(set(told)) == len(told):
            break
        where = [", ".join(filter(None, place[:parts])) for place in places]
        told = [f"{t.name} ({w})" for t, w in zip(targets, where, strict=True)]
    return told


def check_different(places: Sequence[tuple[Target, str | None, object]]) -> None:
    """``UsageError`` if two of them, each with the account that is known of it and what names it,
    are one cluster.
    """
    seen: dict[tuple[str | None, ...], object] = {}
    for target, account, source in places:
        key = (target.cloud, account, target.region, target.name, target.home)
        if key in seen:
            raise UsageError(
                f"{seen[key]} and {source} describe one cluster: {target.name} on {target.cloud} "
                f"in {target.region}",
                hint="leave one of them out, or give its cluster another name",
            )
        seen[key] = source


def profile_path(choice: Choice, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The profile's file: the argument, ``$CLUSTERKIT_PROFILE``, or ``./profile.yaml`` if there."""
    if choice.profile is not None:
        return choice.profile
    if named := environ.get("CLUSTERKIT_PROFILE"):
        return Path(named)
    return HERE if HERE.exists() else None


def find_profile(choice: Choice) -> Path | None:
    """The same, or the profile of the only receipt."""
    return profile_path(choice) or _receipt_profile(choice)


def command(verb: str, choice: Choice) -> str:
    """The command line that does ``verb`` to this cluster."""
    words = ["clusterkit", verb]
    if choice.name and verb in ("up", "plan"):
        words.append("PROFILE")  # these need one; the one in this folder may be another cluster's
    elif choice.name:
        words += ["--cloud", str(choice.cloud), "--region", str(choice.region)]
        words += ["--name", choice.name]
    elif path := profile_path(choice):
        words.append(str(path))
    return _line(words, choice)


def _line(words: list[str], choice: Choice) -> str:
    if choice.cloud_profile:
        words += ["--cloud-profile", choice.cloud_profile]
    if choice.account:
        words += ["--account", choice.account]
    return shlex.join(words + (["--sandbox"] if choice.sandbox else []))


_COMMAND = re.compile(r"\bclusterkit (up|plan|destroy|status|kubeconfig)\b(?! --cloud)")


def completed(choice: Choice, hint: str) -> str:
    """A hint whose commands are about this cluster and this sandbox."""

    def told(found: re.Match[str]) -> str:
        whole = command(found[1], choice)
        return found[0] if hint.startswith(whole, found.start()) else whole

    return _COMMAND.sub(told, hint)


def complete(choice: Choice, *errors: Exception) -> None:
    """Write the commands in hints so that they are about this cluster and this sandbox."""
    for error in errors:
        if isinstance(error, ProfileError | PreflightError):
            told = (replace(each, hint=completed(choice, each.hint)) for each in error.findings)
            error.findings = tuple(told)
        elif isinstance(error, ClusterkitError):
            error.hint = completed(choice, error.hint)


def read_profile(choice: Choice, *, receipts: bool = True) -> tuple[BaseProfile, Path]:
    """The whole profile, checked; ``ProfileError`` with everything that is wrong.

    ``receipts``: that of the only receipt if none is named; not for commands that change anything.
    """
    path = profile_path(choice) or (_receipt_profile(choice) if receipts else None)
    if path is None:
        raise ClusterkitError(
            "no profile given, $CLUSTERKIT_PROFILE is not set, and ./profile.yaml does not exist",
            hint=f"create one with: clusterkit init --cloud {EXAMPLES.cloud}",
        )
    from clusterkit.profile.model import load

    return load(path, model, CLOUDS), path


def find_target(choice: Choice, *, receipts: bool = True) -> Target:
    """The cluster's cloud, name and region; a profile's other fields may be wrong or missing.

    ``receipts``: that of the only receipt if none is named; not for commands that change anything.
    """
    given = {"--cloud": choice.cloud, "--region": choice.region, "--name": choice.name}
    if any(given.values()):
        if choice.cloud and choice.region and choice.name:
            return _chosen(Target(choice.cloud, choice.name, choice.region), choice)
        missing = [option for option, value in given.items() if not value]
        raise UsageError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            hint="give --cloud, --region and --name together, or a profile",
        )
    if path := profile_path(choice):
        from clusterkit.profile.model import load_identity

        try:
            named = load_identity(path, regions, ACCOUNT_FIELDS, HOME_FIELDS)
        except UsageError as error:  # an unknown cloud
            raise ProfileError([Finding(error.what, str(path), error.hint)]) from error
        where = (named.cloud, named.name, named.region)
        found = Target(*where, account=named.account, home=named.home)
        return _chosen(found, choice)
    return _chosen(_only_receipt(choice, receipts=receipts).target, choice)


def profile_target(profile: BaseProfile, choice: Choice) -> Target:
    """The cluster of a profile."""
    from clusterkit.cluster import target_of

    return _chosen(target_of(profile), choice)


def _chosen(target: Target, choice: Choice) -> Target:
    """With the credentials and the account that the options name."""
    return replace(
        target,
        cloud_profile=choice.cloud_profile or target.cloud_profile,
        account=choice.account or target.account,
    )


def _only_receipt(choice: Choice, *, receipts: bool) -> receipt.Receipt:
    found = receipt.every(receipt.directory(sandbox=choice.sandbox))
    if len(found) == 1 and receipts:
        return found[0]
    hint = "give a profile, or --cloud, --region and --name"
    if not found:
        what = "no cluster given: there is no ./profile.yaml and no receipt of an earlier run"
    elif receipts:
        names = ", ".join(f"{r.name} ({r.cloud}, {r.region})" for r in found)
        what = f"several clusters have receipts: {names}"
    else:
        what = "no cluster given: destroy never takes the one that it finds a receipt of"
        hint += "; clusters you have created: " + "; ".join(map(receipt.destroy_command, found))
    raise ClusterkitError(what, hint=hint)


def _receipt_profile(choice: Choice) -> Path | None:
    found = receipt.every(receipt.directory(sandbox=choice.sandbox))
    if len(found) == 1 and found[0].profile and Path(found[0].profile).exists():
        return Path(found[0].profile)
    return None

"""The command line of the executor (kaniko, cmd/executor/cmd/root.go; words of refusals:
spf13/pflag and spf13/cobra).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from clusterkit_sandbox.kaniko.failure import UsageFailure

_BOOLS = frozenset((
    "cache", "cache-copy-layers", "cache-run-layers", "cleanup", "compressed-caching", "dryrun",
    "force", "force-build-metadata", "ignore-var-run", "insecure", "insecure-pull",
    "log-timestamp", "materialize", "no-push", "no-push-cache", "pre-cleanup",
    "preserve-context", "push-ignore-immutable-tag-errors", "reproducible", "single-snapshot",
    "skip-default-registry-fallback", "skip-push-permission-check", "skip-tls-verify",
    "skip-tls-verify-pull", "skip-unused-stages", "whitelist-var-run"
))  # fmt: skip
_INTS = frozenset(
    ["compression-level", "image-download-retry", "image-fs-extract-retry", "push-retry"]
)
_TEXTS = frozenset((
    "annotation", "bucket", "build-arg", "cache-dir", "cache-repo", "cache-ttl", "compression",
    "context", "context-sub-path", "credential-helpers", "custom-platform", "destination",
    "digest-file", "dockerfile", "git", "ignore-path", "image-format",
    "image-name-tag-with-digest-file", "image-name-with-digest-file", "insecure-registry",
    "kaniko-dir", "label", "log-format", "oci-layout-path", "registry-certificate",
    "registry-client-cert", "registry-map", "registry-mirror", "secret",
    "skip-tls-verify-registry", "snapshot-mode", "tar-path", "target", "verbosity"
))  # fmt: skip
_OLD = {"customPlatform": "custom-platform", "snapshotMode": "snapshot-mode", "tarPath": "tar-path"}
_SHORT = {"b": "bucket", "c": "context", "d": "destination", "f": "dockerfile", "v": "verbosity"}
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_UNIT = r"(?:ns|us|µs|ms|s|m|h)"
_DURATION = re.compile(rf"[-+]?(?:0|(?:\d+\.?\d*|\.\d+){_UNIT}(?:(?:\d+\.?\d*|\.\d+){_UNIT})*)")
_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")


@dataclass
class Flags:
    """What the executor was told."""

    values: dict[str, list[str]] = field(default_factory=dict)
    """by flag, in the order of the command line"""
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """The last value of a flag."""
        return self.values.get(name, [default])[-1]

    def on(self, name: str) -> bool:
        """Whether a switch is on; the ones that are asked for are off by default."""
        return self.text(name) in _TRUE

    @property
    def destinations(self) -> list[str]:
        """Where the image goes."""
        return self.values.get("destination", [])

    @property
    def helpers(self) -> list[str]:
        """The credential helpers that are asked after Docker's configuration."""
        return self.values.get("credential-helpers") or ["env", "google", "ecr", "acr", "gitlab"]


def parse(arguments: Sequence[str]) -> Flags:
    """Read the command line; ``UsageFailure`` in the executor's words."""
    found = Flags()
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            break
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            if not name or name.startswith(("-", "=")):
                raise UsageFailure(f"bad flag syntax: {argument}")
            _take(found, name, value if equals else None, rest, f"--{name}")
        elif argument.startswith("-") and argument != "-":
            name = _SHORT.get(argument[1], "")
            if not name:
                raise UsageFailure(f"unknown shorthand flag: '{argument[1]}' in {argument}")
            value = argument[2:].removeprefix("=")
            _take(found, name, value or None, rest, f"'{argument[1]}' in {argument}")
        else:
            raise UsageFailure(f'unknown command "{argument}" for "executor"')
    _check(found)
    return found


def _take(found: Flags, name: str, value: str | None, rest: Iterator[str], shown: str) -> None:
    known = _OLD.get(name, name)
    if known not in _BOOLS | _INTS | _TEXTS:
        raise UsageFailure(f"unknown flag: --{name}")
    if value is None:
        if known in _BOOLS:
            value = "true"
        else:
            value = next(rest, None)
            if value is None:
                raise UsageFailure(f"flag needs an argument: {shown}")
    why = _wrong(known, value)
    if why:
        short = next((f"-{one}, " for one, long in _SHORT.items() if long == known), "")
        raise UsageFailure(f'invalid argument "{value}" for "{short}--{name}" flag: {why}')
    if known != name:
        found.warnings.append(f"Flag --{name} is deprecated. Use: --{known}")
    found.values.setdefault(known, []).append(value)


def _wrong(name: str, value: str) -> str:
    """Why a value cannot be a flag's; empty if it can."""
    if name in _BOOLS and value not in _TRUE | _FALSE:
        return f'strconv.ParseBool: parsing "{value}": invalid syntax'
    if name in _INTS and not re.fullmatch(r"[-+]?\d+", value):
        return f'strconv.ParseInt: parsing "{value}": invalid syntax'
    if name == "cache-ttl" and not _DURATION.fullmatch(value):
        if re.fullmatch(r"[-+]?\d+\.?\d*", value):
            return f'time: missing unit in duration "{value}"'
        return f'time: invalid duration "{value}"'
    return ""


def _check(found: Flags) -> None:
    """What the executor checks before it looks for its context."""
    level, form = found.text("verbosity", "info"), found.text("log-format", "color")
    if level not in _LEVELS:
        raise UsageFailure(f'parsing log level: not a valid logrus Level: "{level}"')
    if form not in ("text", "color", "json"):
        raise UsageFailure(
            f'not a valid log format: "{form}". Please specify one of (text, color, json)'
        )
    if found.on("force-build-metadata"):
        found.warnings.append(
            "Flag --force-build-metadata is deprecated. This is the new default behaviour"
        )
    if found.on("skip-unused-stages"):
        found.warnings.append(
            "Flag --skip-unused-stages is deprecated. This is the new default behaviour. If you"
            " want to build multiple independent stages pass them as --target instead"
        )
    pushes = not found.on("no-push")
    if pushes and not found.destinations:
        raise UsageFailure("you must provide --destination, or use --no-push")
    cached = found.on("cache") and not found.on("no-push-cache")
    if cached and not pushes and not found.text("cache-repo"):
        raise UsageFailure(
            "cache flags invalid: if using cache with --no-push, specify cache repo with"
            " --cache-repo"
        )

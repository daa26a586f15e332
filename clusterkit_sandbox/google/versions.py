"""The Kubernetes versions on offer: release channels, defaults, aliases, skew.

They are in ``data/versions.json``. Channels and aliases: vendor, "Release channels" and the API's
``Cluster.initialClusterVersion``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.google.tables import table

_TABLE = table("versions")
CHANNELS: Mapping[str, Sequence[str]] = {k: v["valid"] for k, v in _TABLE["channels"].items()}
"""valid versions by channel, newest first"""
DEFAULTS: Mapping[str, str] = {k: v["default"] for k, v in _TABLE["channels"].items()}
STATIC = "UNSPECIFIED"
"""the channel of clusters that are in none"""
_SKEW = 2
"""minor versions that nodes may be behind the control plane (vendor: "GKE version and upgrade
support": nodes cannot be more than two minor versions older)
"""


def number(version: str) -> tuple[int, ...]:
    """``1.35.8-gke.1036000`` as figures that compare."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))


def minor(version: str) -> str:
    """``1.35.8-gke.1036000`` to ``1.35``."""
    return ".".join(version.split(".")[:2])


def offered() -> list[str]:
    """Every version that some channel has, newest first."""
    found = {version for versions in CHANNELS.values() for version in versions}
    return sorted(found, key=number, reverse=True)


def resolve(asked: str, channel: str) -> str | None:
    """The version that is meant; None if it is not on offer there.

    Empty and ``-`` are the channel's default, ``latest`` the newest, ``1.35`` and ``1.35.8`` the
    newest of their kind, all else must be there as it is.
    """
    known = CHANNELS.get(channel) or offered()
    if asked in ("", "-"):
        return DEFAULTS.get(channel, DEFAULTS["REGULAR"])
    if asked == "latest":
        return known[0]
    if asked in known:
        return asked
    if re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", asked):
        parts = number(asked)
        return next((one for one in known if number(one)[: len(parts)] == parts), None)
    return None


def too_far(master: str, wanted: str) -> bool:
    """Whether a control plane would skip a minor version, or go back by one (vendor: "Upgrading the
    cluster": one minor version at a time).
    """
    step = number(wanted)[1] - number(master)[1]
    return not 0 <= step <= 1


def node_fits(master: str, wanted: str) -> bool:
    """Whether nodes of this version may join a control plane of that one."""
    if number(wanted) > number(master):
        return False
    return number(master)[1] - number(wanted)[1] <= _SKEW


def server_config() -> dict[str, Any]:
    """What ``getServerConfig`` answers, in every location."""
    known = offered()
    return {
        "defaultClusterVersion": DEFAULTS["REGULAR"],
        "validMasterVersions": known,
        "validNodeVersions": known,
        "defaultImageType": _TABLE["images"][0],
        "validImageTypes": _TABLE["images"],
        "channels": [
            {
                "channel": channel,
                "defaultVersion": DEFAULTS[channel],
                "upgradeTargetVersion": DEFAULTS[channel],
                "validVersions": list(versions),
            }
            for channel, versions in CHANNELS.items()
        ],
    }

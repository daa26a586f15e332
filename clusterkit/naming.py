"""The tags that every owned thing carries, and names made of them.

The three keys are spelled the same on every cloud and in Kubernetes, and their values keep to
``[a-z0-9-]``, the largest common ground of AWS tags, Alibaba tags, Google labels, Azure tags and
Kubernetes labels.
"""

from __future__ import annotations

import hashlib
import json
import re

CLUSTER = "clusterkit-cluster"
NAME = "clusterkit-name"
RUN = "clusterkit-run"
KEEP = "clusterkit-keep"
"""on things destroy leaves alone, because the profile said so when they were made; on volumes what
their PersistentVolume says: ``true`` or ``false``
"""

STORAGE_CLASS = "clusterkit-storage-class"
"""on volumes: the storage class of ours that made them, whose reclaim policy is ``Delete``"""

HOME = "clusterkit-vpc"
"""on what lies in a network that is not ours: the network's id"""

OWNER = "clusterkit-owner"
"""on everything that an operator made: which CloudCluster it belongs to"""

MACHINE = "clusterkit-machine"
"""on pools: the machine asked for, so that a newer type of the same size changes nothing"""

_MARK = re.compile(
    r"clusterkit (?P<region>[^\s/]+)/(?P<cluster>[^\s/]+)(/(?P<name>\S*))?( (?P<keep>keep|remove))?"
)
_UNSAFE = re.compile(r"[^a-z0-9-]+")


def digest(*parts: object, length: int = 8) -> str:
    """A short hash of JSON-like parts, the same on every machine and run; ``length`` hex digits."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def safe(text: str, limit: int = 63) -> str:
    """``text`` in ``[a-z0-9-]``, at most ``limit`` characters; shortened names end in a hash of the
    whole.
    """
    name = _UNSAFE.sub("-", text.lower()).strip("-")
    if len(name) <= limit and name:
        return name
    return f"{name[: limit - 9].rstrip('-')}-{digest(text)}".lstrip("-")


def mark(region: str, cluster: str, name: str | None = None, keep: bool | None = None) -> str:
    """The description of what takes no tags: whose it is, its name, whether destroy leaves it."""
    text = f"clusterkit {region}/{cluster}" + ("" if name is None else f"/{name}")
    return text if keep is None else f"{text} {'keep' if keep else 'remove'}"


def read_mark(text: str | None, region: str, name: str = "") -> tuple[dict[str, str], bool]:
    """The tags a description stands for, none if it is not a mark of this region, and whether
    destroy leaves the thing. ``name`` is for marks without one.
    """
    found = _MARK.fullmatch(text or "")
    if found is None or found["region"] != region:
        return {}, False
    return {CLUSTER: found["cluster"], NAME: name or found["name"] or ""}, found["keep"] == "keep"

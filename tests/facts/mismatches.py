"""Where a driver treats a code otherwise than its row says, and why: ``facts/mismatches.tsv``.

``python -m tests.facts.mismatches`` writes the file; a test compares it with what is true.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.facts.rows import CLASSES, FOLDER, Fact, read
from tests.facts.wire import Driver, alibaba, aws, azure, gcp
from tests.unit.loopback import loopback

FILE = FOLDER / "mismatches.tsv"
COLUMNS = ("cloud", "operation", "code", "message", "class", "driver", "reason")
NOT_CALLED = "the driver does not call this operation"
REASONS = {
    "Gaia id not found for email": "the account is the cluster's own, and a few seconds old",
    "compute.disks.addResourcePolicies": NOT_CALLED,
    "cr:GetInstance": NOT_CALLED,
    "cs:CreateClusterNodePool": "final too: pools are looked for by name before one is made",
    "cs:DescribeClusterNodePoolDetail": NOT_CALLED,
    "ec2:AssociateAddress": NOT_CALLED,
    "ec2:DisassociateAddress": NOT_CALLED,
    "ec2:TerminateInstances": NOT_CALLED,
    "s3:CreateBucket": "of the global endpoint; the regional one answers BucketAlreadyOwnedByYou",
    "slb:DeleteLoadBalancer": "the protection is switched off before",
    "vpc:DeleteRouteEntry": NOT_CALLED,
}
"""by operation, or by message"""
UNKNOWN = "no reason yet"


def lines(cloud: str, drive: Driver) -> list[str]:
    """One line for each row the driver treats otherwise."""
    found = []
    for fact in read(cloud):
        if fact.playable not in ("yes", "task"):
            continue
        got = {type(error).__name__ for error in drive(fact)}
        if got != {CLASSES[fact.kind].__name__}:
            found.append(_line(cloud, fact, got))
    return found


def _line(cloud: str, fact: Fact, got: set[str]) -> str:
    reason = REASONS.get(fact.operation) or REASONS.get(fact.message) or UNKNOWN
    told = ", ".join(sorted(got))
    return "\t".join((cloud, fact.operation, fact.code, fact.message, fact.kind, told, reason))


def text() -> str:
    """What the file has to hold."""
    with (
        tempfile.TemporaryDirectory(prefix="clusterkit-facts-") as folder,
        loopback(Path(folder), lambda heard: (500, b"{}")) as server,
    ):
        drivers = {"alibaba": alibaba(server), "aws": aws, "azure": azure, "gcp": gcp(server)}
        found = [line for cloud, drive in drivers.items() for line in lines(cloud, drive)]
    return "\n".join(("\t".join(COLUMNS), *found)) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())

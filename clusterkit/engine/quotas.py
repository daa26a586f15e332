"""What plans take of quotas: each alone, and all of one account together.

A preflight sees one plan; many that each have room may have none together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clusterkit.engine.target import Target
from clusterkit.errors import Finding


@dataclass(frozen=True)
class Share:
    """What one plan takes of a quota."""

    quota: str
    """as messages name it: ``the quota NETWORKS``"""
    more: int
    used: int
    """what is in use already, by whomever"""
    most: int
    cure: str
    everywhere: bool = False
    """whether the quota is of all regions of the account together"""

    @property
    def fits(self) -> bool:
        """Whether there is room for this plan alone."""
        return not self.more or self.used + self.more <= self.most


def too_much(plans: Iterable[tuple[Target, str, Iterable[Share]]]) -> list[Finding]:
    """The quotas that several plans exceed together; of each its cluster, the account and what it
    takes.
    """
    taken: defaultdict[tuple[str, str, str, str], list[Share]] = defaultdict(list)
    for target, account, shares in plans:
        for share in shares:
            region = "" if share.everywhere else target.region
            if share.more:
                taken[target.cloud, region, account, share.quota].append(share)
    return [
        _finding(place, shares)
        for place, shares in taken.items()
        if len(shares) > 1 and sum(share.more for share in shares) > _left(shares)
    ]


def _left(shares: Sequence[Share]) -> int:
    """What the last of those that asked may still have: others work in the account meanwhile."""
    return max(0, min(share.most - share.used for share in shares))


def _finding(place: tuple[str, str, str, str], shares: Sequence[Share]) -> Finding:
    cloud, region, account, quota = place
    needed = sum(share.more for share in shares)
    what = (
        f"{len(shares)} of the clusters together need {needed} more of {quota}, and "
        f"{_left(shares)} are left of {shares[0].most}"
    )
    where = ", ".join(filter(None, (cloud, region, f"account {account}")))
    return Finding(what, where, f"bring up fewer clusters at a time, or {shares[0].cure}")

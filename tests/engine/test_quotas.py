"""Plans that each have room may have none together."""

from __future__ import annotations

from clusterkit.engine.quotas import Share, too_much
from clusterkit.engine.target import Target

NETWORKS = Share("the quota NETWORKS", 1, 3, 5, "ask for more", everywhere=True)
CPUS = Share("the quota CPUS", 8, 0, 24, "ask for more")


def _plans(count: int, share: Share, region: str = "r1", account: str = "mine") -> list:
    targets = [Target("gke", f"c{number}", region) for number in range(count)]
    return [(target, account, (share,)) for target in targets]


def test_what_plans_take_is_added_up() -> None:
    assert not too_much(_plans(2, NETWORKS))
    (short,) = too_much(_plans(3, NETWORKS))
    assert short.what == (
        "3 of the clusters together need 3 more of the quota NETWORKS, and 2 are left of 5"
    )
    assert (short.where, short.hint) == (
        "gke, account mine",
        "bring up fewer clusters at a time, or ask for more",
    )


def test_by_account_and_by_region_where_the_quota_is_of_one() -> None:
    assert not too_much([*_plans(3, CPUS), *_plans(3, CPUS, "r2"), *_plans(3, CPUS, "r1", "other")])
    (short,) = too_much([*_plans(3, CPUS), *_plans(4, CPUS, "r2")])
    assert short.where == "gke, r2, account mine"
    assert "need 32 more of the quota CPUS, and 24 are left of 24" in short.what
    (short,) = too_much([*_plans(2, NETWORKS), *_plans(1, NETWORKS, "r2")])
    assert short.where == "gke, account mine"


def test_a_plan_that_takes_nothing_is_held_to_nothing() -> None:
    """The quota may have been lowered since, or be used up by what is there already."""
    nothing = Share("the quota CPUS", 0, 30, 24, "ask for more")
    assert nothing.fits
    assert not too_much(_plans(3, nothing))

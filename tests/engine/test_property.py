"""Random graphs times random faults: converges, each thing once and in order; the next plan is
empty; destroy is clean.
"""

from __future__ import annotations

import time
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterkit.engine import backoff
from clusterkit.engine.events import Event
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.plan import plan
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from tests.engine.dictcloud import DictCloud, Died, Faults
from tests.engine.kinds import KINDS, Item

SCALE = 0.001


@st.composite
def graphs(draw: st.DrawFn) -> list[Item]:
    """Up to twelve resources; an edge leads only to a kind of lower or equal rank made before."""
    made: list[Item] = []
    for number in range(draw(st.integers(1, 12))):
        rank = draw(st.integers(0, len(KINDS) - 1))
        lower = [r for r in made if KINDS.index(type(r)) < rank]
        on = draw(st.lists(st.sampled_from(lower), max_size=3, unique=True)) if lower else []
        made.append(KINDS[rank](name=f"n{number}", size=draw(st.integers(1, 3)), on=tuple(on)))
    return made


faults = st.builds(
    Faults,
    throttled=st.sampled_from([0.0, 0.2]),
    lost=st.sampled_from([0.0, 0.2]),
    slow_listing=st.sampled_from([0.0, 0.004]),
    pending=st.sampled_from([0.0, 0.003]),
)


def ignore(_: Event) -> None:
    return None


def run(cloud: DictCloud, wish: list[Item], threads: int, *, destroy: bool = False) -> Outcome:
    scope = Scope(cloud, "c")
    steps = plan(wish, KINDS, scope, scale=SCALE, destroy=destroy, threads=threads)
    return Run(scope, steps, ignore, scale=SCALE, threads=threads)()


def until_alive(
    cloud: DictCloud, deaths: list[int], wish: list[Item], threads: int, *, destroy: bool
) -> None:
    """Run, dying after each of ``deaths`` calls, then once more without dying."""
    for calls in deaths:
        cloud.reborn(die_after=calls)
        with suppress(Died):
            run(cloud, wish, threads, destroy=destroy)
        # a process takes longer to start than a list lags behind; a faster one no engine can save
        time.sleep(cloud.faults.slow_listing)
    cloud.reborn()
    outcome = run(cloud, wish, threads, destroy=destroy)
    assert outcome.ok, outcome


def plan_is_empty(cloud: DictCloud, wish: list[Item], *, destroy: bool) -> bool:
    return plan(wish, KINDS, Scope(cloud, "c"), scale=SCALE, destroy=destroy).empty


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    wish=graphs(),
    faults=faults,
    seed=st.integers(0, 2**16),
    threads=st.integers(1, 16),
    deaths=st.lists(st.integers(1, 60), max_size=3),
)
def test_converges_once_in_order_and_leaves_nothing(
    wish: list[Item], faults: Faults, seed: int, threads: int, deaths: list[int]
) -> None:
    # a list that lags longer than the engine waits after a lost answer no engine can close
    assert faults.slow_listing < backoff.SETTLE * SCALE
    cloud = DictCloud(faults, seed)
    until_alive(cloud, deaths, wish, threads, destroy=False)
    assert cloud.violations == []
    assert set(cloud.things) == {r.key for r in wish}
    assert set(cloud.made.values()) == {1}
    assert {k: t.size for k, t in cloud.things.items()} == {r.key: r.size for r in wish}
    assert plan_is_empty(cloud, wish, destroy=False)
    until_alive(cloud, deaths, [], threads, destroy=True)
    assert cloud.violations == []
    assert cloud.things == {}

"""Random graphs on a cloud at its worst: every run ends and accounts for every step, and when the
cloud is well again the next ``up`` converges and ``destroy`` leaves nothing.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterkit.engine import backoff
from clusterkit.engine.events import (
    Event,
    StepDone,
    StepFailed,
    StepStarted,
    StepStopped,
)
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.plan import plan
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, NotOurs
from tests.engine.hostilecloud import KINDS, HostileCloud, Hostility, Item, Thing

SCALE = 0.001
share = st.sampled_from([0.0, 0.0, 0.1, 0.4])
hostilities = st.builds(
    Hostility, share, share, share, share, share, share, share, share, share, share
)


@st.composite
def graphs(draw: st.DrawFn) -> list[Item]:
    """Up to eight resources; an edge leads to a lower kind."""
    made: list[Item] = []
    for number in range(draw(st.integers(1, 8))):
        rank = draw(st.integers(0, len(KINDS) - 1))
        lower = [each for each in made if KINDS.index(type(each)) < rank]
        on = draw(st.lists(st.sampled_from(lower), max_size=2, unique=True)) if lower else []
        made.append(KINDS[rank](name=f"n{number}", size=draw(st.integers(1, 3)), on=tuple(on)))
    return made


def run(cloud: HostileCloud, wish: list[Item], *, destroy: bool = False) -> Outcome:
    """One run, of which every step that began is told to have ended."""
    scope = Scope(cloud, "c")
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        # what will never get well is given up soon, what is well may be slow
        patch.setattr(backoff, "LEAST_PATIENCE", 30.0 if cloud.hostility == Hostility() else 0.1)
        steps = plan(wish, KINDS, scope, scale=SCALE, destroy=destroy)
        outcome = Run(scope, steps, events.append, scale=SCALE)()
    began = {event.key for event in events if isinstance(event, StepStarted)}
    ended = [
        event.key for event in events if isinstance(event, StepDone | StepFailed | StepStopped)
    ]
    assert began <= set(ended), (began - set(ended), outcome)
    assert len(ended) == len(set(ended)), ended
    for error in outcome.failed.values():
        assert isinstance(error, ClusterkitError), repr(error)
    if outcome.ok:
        assert not destroy or not cloud.things
    return outcome


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(wish=graphs(), hostility=hostilities, seed=st.integers(0, 2**16), sizes=st.integers(1, 3))
def test_every_run_ends_and_the_next_one_heals(
    wish: list[Item], hostility: Hostility, seed: int, sizes: int
) -> None:
    cloud = HostileCloud(hostility, seed)
    run(cloud, wish)
    changed = [replace(each, size=sizes) for each in wish if not each.on and type(each) is Item]
    run(cloud, changed or wish)
    cloud.calm()
    outcome = run(cloud, wish)
    assert outcome.ok, outcome
    assert sorted((each.kind, each.name, each.size) for each in cloud.things.values()) == sorted(
        (each.kind, each.name, each.size) for each in wish
    )
    assert plan(wish, KINDS, Scope(cloud, "c"), scale=SCALE).empty
    cloud.hostility = hostility
    run(cloud, [], destroy=True)
    cloud.calm()
    outcome = run(cloud, [], destroy=True)
    assert outcome.ok, outcome
    assert cloud.things == {}
    assert cloud.violations == []


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(wish=graphs(), hostility=hostilities, seed=st.integers(0, 2**16), data=st.data())
def test_twins_stop_up_and_are_all_destroyed(
    wish: list[Item], hostility: Hostility, seed: int, data: st.DataObject
) -> None:
    cloud = HostileCloud(Hostility(), seed)
    assert run(cloud, wish).ok
    one = data.draw(st.sampled_from(sorted(cloud.things.values(), key=lambda each: each.id)))
    neighbour = cloud.add(replace(one, cluster="other", needs=frozenset()))
    twins = [cloud.add(one).id for _ in range(data.draw(st.integers(1, 3)))]
    before: dict[str, Thing] = dict(cloud.things)
    with pytest.raises(NotOurs) as caught:
        plan(wish, KINDS, Scope(cloud, "c"), scale=SCALE)
    assert all(identifier in str(caught.value) for identifier in (one.id, *twins))
    assert cloud.things == before
    del cloud.things[neighbour.id]
    cloud.hostility = hostility
    run(cloud, [], destroy=True)
    cloud.calm()
    assert run(cloud, [], destroy=True).ok
    assert cloud.things == {}

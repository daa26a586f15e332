"""What is somebody else's stays and is named; what is ours is known when it lost its tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from clusterkit import clouds
from clusterkit.cluster import Outcome, Plan
from clusterkit.engine.kind import Kind, Leftover, closure
from clusterkit.errors import NotOurs
from tests.drivers import aks_near, alibaba_near, eks_near, gke_near
from tests.drivers.near import Near
from tests.drivers.world import World, edited, world

NEAR: Mapping[str, Near] = {
    "eks": eks_near.NEAR,
    "alibaba": alibaba_near.NEAR,
    "gke": gke_near.NEAR,
    "aks": aks_near.NEAR,
}


def kinds(cloud: str) -> dict[str, type[Kind[Any, Any]]]:
    """The kinds of a cloud's things, without what others made for a cluster."""
    found = clouds.load(cloud).KINDS
    return {kind.kind: kind for kind in found if not isinstance(kind, Leftover)}


def each(table: str, *marks: Any) -> pytest.MarkDecorator:
    """The test for each entry of this table of each cloud."""
    found = [
        pytest.param(cloud, what, marks=marks, id=f"{cloud}-{what}")
        for cloud, near in NEAR.items()
        for what in getattr(near, table)
    ]
    return pytest.mark.parametrize(("cloud", "what"), found)


def named(found: World, kind: str) -> str:
    """The name that the first thing of this kind would get."""
    wished: Any = closure(cast(Any, found.cloud).graph(found.profile, found.facts()))
    return str(next(wish.name for wish in wished if wish.kind == kind))


# -- the same names -------------------------------------------------------------------------------


@pytest.mark.parametrize("cloud", NEAR)
def test_every_kind_with_a_name_of_its_own_has_a_twin(cloud: str) -> None:
    """Of the others, a thing of ours would have to lie in what it lies in."""
    near = NEAR[cloud]
    named = {name for name, kind in kinds(cloud).items() if kind.taken is not Kind.taken}
    assert named - near.twins.keys() <= set(lost(cloud))
    assert near.fixed.keys() <= near.twins.keys()


@each("twins")
def test_a_twin_of_somebody_elses_stops_the_plan(cloud: str, what: str, tmp_path: Path) -> None:
    near = NEAR[cloud]
    with world(near.rich, tmp_path) as found:
        name = named(found, what)
        twin = near.twins[what](found, name)
        before = found.things()
        with pytest.raises(NotOurs) as caught:
            found.plan()
        told = f"{caught.value} {caught.value.hint}"
        assert caught.value.exit_code == 9
        assert twin in told
        if what in near.fixed:
            assert near.fixed[what] in told
        else:
            assert f"--adopt {what}/{name}={twin}" in told
        refused = destroyed(found)
        assert refused is None or twin in refused
        assert found.things() == before


def destroyed(found: World) -> str | None:
    """Destroy all that can be; what a refusal says."""
    try:
        found.settle(found.destroy())
    except NotOurs as error:
        return f"{error} {error.hint}"
    return None


# -- next to ours ---------------------------------------------------------------------------------


def texts(plan: Plan, outcome: Outcome) -> str:
    """All that a destroy says."""
    failed = [f"{error} {error.hint}" for error in outcome.failed.values()]
    stay = [f"{each.key} {each.reason} {each.hint}" for each in (*plan.blocked, *plan.kept)]
    return "\n".join((*map(str, plan.warnings), *stay, *failed))


@each("neighbours", pytest.mark.deep, pytest.mark.long)
def test_a_neighbour_stays_and_is_named_and_the_rest_goes(
    cloud: str, what: str, tmp_path: Path
) -> None:
    near = NEAR[cloud]
    neighbour = near.neighbours[what]
    stay = set(neighbour.stay)
    with world(near.rich, tmp_path) as found:
        empty = found.things()
        found.settle(found.up())
        states = found.plan().snapshot.states
        ours = {(key.partition("/")[0], state.id) for key, state in states.items()}
        theirs = neighbour.make(found, states)
        shown = neighbour.show(found, theirs)
        plan = found.destroy_plan()
        reasons = " ".join(each.reason for each in plan.blocked)
        if stay:
            assert theirs in reasons
            assert "theirs" in reasons
        of_ours = kinds(cloud).keys()
        assert {each.key.partition("/")[0] for each in plan.blocked} & of_ours == stay
        found.settle(found.destroy())
        assert neighbour.show(found, theirs) == shown
        left = {thing[0] for thing in found.things() if thing in ours}
        assert left - {name for name in left if kinds(cloud)[name].dies_with in stay} == stay
        again = found.destroy_plan()
        assert again.empty
        assert {each.key for each in again.blocked} == {each.key for each in plan.blocked}
        neighbour.remove(found, theirs)
        found.settle(found.destroy())
        assert found.things() == empty
        assert found.destroy_plan().empty


# -- without its tag ------------------------------------------------------------------------------


def lost(cloud: str) -> list[str]:
    """Kinds of which a thing may lose its tag."""
    return [name for name in kinds(cloud) if name not in NEAR[cloud].sure]


LOST = [
    pytest.param(cloud, kind, id=f"{cloud}-{kind}")
    for cloud, near in NEAR.items()
    for kind in lost(cloud)
    if (cloud, kind) != ("alibaba", "repository")  # of an instance, which the rich case has not
]


def printed(plan: Callable[[], Plan]) -> str | None:
    """The hint of a plan that is refused, because something is not known to be ours."""
    try:
        plan()
    except NotOurs as error:
        return error.hint
    return None


def stripped(found: World, near: Near, kind: str) -> tuple[str, Any]:
    """Key and state of a thing that has lost the cluster's tag."""
    states = found.plan().snapshot.states
    key = next(key for key in sorted(states) if key.startswith(f"{kind}/"))
    near.strip(found, kind, states[key])
    return key, states[key]


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.parametrize(("cloud", "kind"), LOST)
def test_up_knows_what_lost_its_tag(cloud: str, kind: str, tmp_path: Path) -> None:
    near = NEAR[cloud]
    with world(near.rich, tmp_path) as found:
        found.settle(found.up())
        before = found.look()
        key, have = stripped(found, near, kind)
        cluster = found.cluster()
        hint = printed(lambda: cluster.plan(found.profile))
        adopt = re.findall(r"--adopt (\S+)", hint or "")
        assert hint is None or f"{key}={have.id}" in adopt, hint
        assert found.look() == before
        plan = cluster.plan(found.profile, adopt=adopt)
        found.settle(cluster.apply(plan, found.events.append))
        assert cluster.plan(found.profile).empty
        assert found.look() == before
        found.settle(found.destroy())


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.parametrize(("cloud", "kind"), LOST)
def test_destroy_says_what_lost_its_tag_and_leaves_others_alone(
    cloud: str, kind: str, tmp_path: Path
) -> None:
    near = NEAR[cloud]
    with world(near.rich, tmp_path) as found:
        empty = found.things()
        # a project has one repository behind each host of Container Registry
        decoy = {"name": "demo2", "registry.name": "demo2", "registry.hosts": None}
        other = found.load(edited(found.case.profile, decoy))
        found.settle(found.up(other))
        found.load(found.case.profile)
        neighbours = found.things()
        found.settle(found.up())
        key, have = stripped(found, near, kind)
        hint = printed(found.destroy_plan)
        if hint is not None:
            assert f"--adopt {key}={have.id}" in hint
            return
        plan = found.destroy_plan()
        outcome = found.cluster().apply(plan, found.events.append)
        said = texts(plan, outcome) + "\n".join(map(str, found.events))
        now = found.things()
        left = {thing for thing in now if thing not in neighbours}
        if kind in near.alone:
            # a role's policy, an account's roles, the pods that may act as it
            assert {each for each, _ in left} <= {kind, "policy", "binding", "workload-access"}
        elif left:
            assert have.id in said
            assert not outcome.ok or plan.blocked or plan.kept or plan.warnings
        assert {key: now.get(key) for key in neighbours} == neighbours
        assert empty.keys() <= now.keys()

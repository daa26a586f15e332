"""Zones and machine types are chosen together, and every finding is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterkit.engine.alike import check_alike
from clusterkit.engine.preflight import Choice, Known, MachineType, Offers, Report, Several, choose
from clusterkit.errors import Finding, PreflightError


def kind(
    name: str,
    zones: str,
    cpu: int = 4,
    memory: float = 16,
    arch: str = "amd64",
    generation: int = 7,
    rank: int | None = 0,
    *,
    burstable: bool = False,
) -> MachineType:
    return MachineType(name, cpu, memory, arch, frozenset(zones), generation, rank, burstable)


@dataclass(frozen=True)
class Size:
    cpu: int
    memory: int
    arch: str


@dataclass(frozen=True)
class Pool:
    name: str
    machine: Size | str | tuple[str, ...]
    automatic: bool = False


def asked(*machines: Size | str | tuple[str, ...]) -> list[Pool]:
    return [Pool(f"p{index}", machine) for index, machine in enumerate(machines)]


SMALL = Size(4, 16, "amd64")
ARM = Size(4, 16, "arm64")


def offers(zones: str, types: Sequence[MachineType], pools: int = 2) -> Offers:
    return Offers(frozenset(zones), {f"p{index}": types for index in range(pools)})


def names(choice: Choice) -> dict[str, list[str]]:
    return {pool: [kind.name for kind in types] for pool, types in choice.types.items()}


def test_zones_are_those_that_have_the_machine() -> None:
    """cn-hangzhou: zones g and h come first by name, but arm64 is only sold in i to k."""
    report = Report()
    types = [kind("x86", "ghijk"), kind("arm", "ijk", arch="arm64")]
    choice = choose(asked(ARM), 2, offers("ghijk", types), Known(), report)
    assert choice.zones == ("i", "j")
    assert names(choice) == {"p0": ["arm"]}
    assert not report.errors


@pytest.mark.parametrize(
    ("types", "size", "chosen"),
    [
        ([kind("big", "ab", 8, 32), kind("fits", "ab")], SMALL, "fits"),
        ([kind("old", "ab", generation=6), kind("new", "ab")], SMALL, "new"),
        ([kind("second", "ab", rank=1), kind("first", "ab")], SMALL, "first"),
        ([kind("b", "ab"), kind("a", "ab")], SMALL, "a"),
        ([kind("shared", "ab", burstable=True), kind("full", "ab", 8, 64)], SMALL, "full"),
        ([kind("shared", "ab", burstable=True)], SMALL, "shared"),
        ([kind("gpu", "ab", rank=None), kind("plain", "ab", 8, 32)], SMALL, "plain"),
        ([kind("gpu", "ab", rank=None), kind("plain", "ab", 8, 32)], "gpu", "gpu"),
        ([kind("alone", "a"), kind("both", "ab", 8, 32)], SMALL, "both"),
        # smaller machines count for more than the first zones by name
        ([kind("small", "bc"), kind("large", "abc", 8, 32)], SMALL, "small"),
    ],
)
def test_the_smallest_that_fits(
    types: Sequence[MachineType], size: Size | str, chosen: str
) -> None:
    report = Report()
    zones = "abc" if any("c" in kind.zones for kind in types) else "ab"
    choice = choose(asked(size), 2, offers(zones, types), Known(), report)
    assert names(choice) == {"p0": [chosen]}
    assert not report.errors


def test_several_types_have_the_same_size() -> None:
    types = [
        kind("new", "ab"),
        kind("old", "ab", generation=6),
        kind("wide", "ab", cpu=8, memory=8),
        kind("older", "ab", generation=5),
    ]

    def chosen(several: Several) -> dict[str, list[str]]:
        size, there = asked(Size(4, 8, "amd64")), offers("ab", types)
        return names(choose(size, 2, there, Known(), Report(), several={"p0": several}))

    assert chosen(Several(most=2)) == {"p0": ["new", "old"]}
    assert chosen(Several(most=5)) == {"p0": ["new", "old", "older"]}
    assert chosen(Several(most=5, least=4)) == {"p0": ["new", "old", "older", "wide"]}
    assert chosen(Several(most=5, least=9)) == {"p0": ["new", "old", "older", "wide"]}


def test_all_named_types_are_offered_in_every_zone() -> None:
    types = [kind("first", "abc"), kind("second", "bc"), kind("third", "ab")]

    def told(*machines: str, zones: int | tuple[str, ...] = 2) -> tuple[Choice, list[Finding]]:
        report = Report()
        there = offers("abc", types)
        return choose(asked(machines), zones, there, Known(), report), report.errors

    choice, errors = told("second", "first")
    assert (choice.zones, names(choice), errors) == (("b", "c"), {"p0": ["second", "first"]}, [])
    _, (error,) = told("second", "third")
    assert error.what == (
        "not all of these types are offered in 2 zones: second in b, c; third in a, b"
    )
    _, (error,) = told("second", "fourth", zones=("a", "b"))
    assert error.what == (
        "not all of these types are offered in a, b: second in b, c; fourth in none"
    )
    assert error.where == "pools[0].machine"


@pytest.mark.parametrize(
    ("second", "automatic", "errors", "warnings"),
    [
        (kind("second", "ab"), True, [], []),
        (kind("second", "ab", 8, 32), False, [], []),
        (
            kind("second", "ab", 8, 32),
            True,
            [],
            [
                "the types differ in size: first (4 CPUs and 16 GiB), second (8 CPUs and 32 GiB)",
            ],
        ),
        (
            kind("second", "ab", arch="arm64"),
            True,
            ["the types have different architectures: first (amd64), second (arm64)"],
            [],
        ),
    ],
)
def test_named_types_are_alike(
    second: MachineType, automatic: bool, errors: list[str], warnings: list[str]
) -> None:
    report = Report()
    pool = Pool("p0", ("first", "second"), automatic)
    choice = choose([pool], 2, offers("ab", [kind("first", "ab"), second]), Known(), report)
    check_alike([pool], choice, report)
    assert [finding.what for finding in report.errors] == errors
    assert [finding.what for finding in report.warnings] == warnings


def test_an_existing_cluster_keeps_zones_and_types() -> None:
    types = [kind("new", "abc"), kind("old", "bc", 8, 32)]
    known = Known({0: "c", 1: "b"}, {"p0": [MachineType("old", zones=frozenset("bc"))]})
    choice = choose(asked(SMALL), 2, offers("abc", types), known, Report())
    assert choice.zones == ("c", "b")
    assert names(choice) == {"p0": ["old"]}
    # another zone: the pool is replaced, and gets a type that is offered there
    choice = choose(asked(SMALL), 3, offers("abc", types), known, Report())
    assert choice.zones == ("c", "b", "a")
    assert names(choice) == {"p0": ["new"]}
    # a type that is offered in one of the further zones is kept
    wider = Known(known.zones, {"p0": [MachineType("old", zones=frozenset("bcd"))]})
    choice = choose(asked(SMALL), 3, offers("abcd", types), wider, Report())
    assert choice.zones == ("c", "b", "d")
    assert names(choice) == {"p0": ["old"]}


def test_types_of_an_existing_cluster_may_be_sold_out() -> None:
    report = Report()
    known = Known({0: "a", 1: "b"}, {"p0": [MachineType("gone")]})
    choice = choose(asked("gone", SMALL), 2, offers("abc", [kind("new", "abc")]), known, report)
    assert names(choice) == {"p0": ["gone"], "p1": ["new"]}
    assert not report.errors


def test_a_zone_keeps_its_position_after_an_interrupted_run() -> None:
    choice = choose(asked(SMALL), 2, offers("abc", [kind("x", "abc")]), Known({1: "a"}), Report())
    assert choice.zones == ("b", "a")


def test_fewer_zones_than_before() -> None:
    known = Known({0: "a", 1: "b", 2: "c"})
    choice = choose(asked(SMALL), 2, offers("abc", [kind("x", "abc")]), known, Report())
    assert choice.zones == ("a", "b")


@pytest.mark.parametrize(
    ("machines", "wanted", "types", "findings"),
    [
        (
            [SMALL],
            4,
            [kind("x", "abc")],
            [
                Finding(
                    "asks for 4 zones, but only 3 can be used in this region",
                    "network.zones",
                    "available: a, b, c",
                )
            ],
        ),
        (
            ["x", "y"],
            2,
            [kind("x", "a")],
            [
                Finding(
                    "x is not offered in 2 zones, only in a",
                    "pools[0].machine",
                    "choose other zones, another type, or a size such as {cpu: 4, memory: 16}",
                ),
                Finding(
                    "y is not offered in this region",
                    "pools[1].machine",
                    "choose another type, or a size such as {cpu: 4, memory: 16}",
                ),
            ],
        ),
        (
            [ARM],
            ("a", "b"),
            [kind("arm", "bc", arch="arm64")],
            [
                Finding(
                    "no machine type with at least 4 CPUs and 16 GiB (arm64) is offered in a, b",
                    "pools[0].machine",
                    "choose other zones or a smaller size, or name a machine type",
                )
            ],
        ),
        (
            ["x"],
            ("a", "z"),
            [kind("x", "ab")],
            [
                Finding(
                    "zone z does not exist or has no instance types in stock",
                    "network.zones",
                    "choose from a, b, c",
                )
            ],
        ),
        (
            [ARM, "x"],
            2,
            [kind("arm", "bc", arch="arm64"), kind("x", "ab")],
            [
                Finding(
                    "asks for 2 zones, but no 2 zones offer machines for every "
                    "pool: pool p0 needs b + c; pool p1 needs a + b",
                    "network.zones",
                    "ask for fewer zones, or choose other machines",
                )
            ],
        ),
    ],
)
def test_what_cannot_be_had(
    machines: list[Size | str],
    wanted: int | tuple[str, ...],
    types: list[MachineType],
    findings: list[Finding],
) -> None:
    report = Report()
    choose(asked(*machines), wanted, offers("abc", types), Known(), report)
    assert report.errors == findings


def test_what_else_a_type_must_support_is_named() -> None:
    report = Report()
    there = Offers(frozenset("ab"), {"p0": [kind("x", "a")]}, {"p0": "with a fast disk"})
    choose(asked("x"), ("a", "b"), there, Known(), report)
    assert report.errors[0].what == "x is not offered with a fast disk in a, b, only in a"


machine_types = st.builds(
    MachineType,
    name=st.sampled_from("klmnop"),
    cpu=st.integers(1, 8),
    memory_gib=st.integers(1, 32),
    arch=st.sampled_from(["amd64", "arm64"]),
    zones=st.frozensets(st.sampled_from("abcd")),
    generation=st.integers(1, 3),
    rank=st.none() | st.integers(0, 2),
    burstable=st.booleans(),
)
sizes = st.builds(Size, st.integers(1, 4), st.integers(1, 16), st.sampled_from(["amd64", "arm64"]))
several_names = st.lists(st.sampled_from("klmnop"), min_size=2, unique=True).map(tuple)
catalogues = st.lists(machine_types, max_size=8, unique_by=lambda kind: kind.name)


@given(
    catalogues,
    st.lists(sizes | st.sampled_from("klmnop") | several_names, min_size=1, max_size=3),
    st.integers(1, 4),
)
def test_every_pool_is_served_in_every_zone_or_an_error_is_reported(
    types: list[MachineType], machines: list[Size | str | tuple[str, ...]], wanted: int
) -> None:
    report = Report()
    pools = asked(*machines)
    there = Offers(frozenset("abcd"), {pool.name: types for pool in pools})
    several = {pool.name: Several(most=3, least=2) for pool in pools}
    choice = choose(pools, wanted, there, Known(), report, several=several)
    if report.errors:
        return
    assert len(set(choice.zones)) == wanted
    for pool in pools:
        chosen = choice.types[pool.name]
        if isinstance(pool.machine, tuple):
            assert tuple(kind.name for kind in chosen) == pool.machine
        elif len(chosen) > 2:
            assert len({(kind.cpu, kind.memory_gib) for kind in chosen}) == 1
        for found in chosen:
            assert found.zones >= set(choice.zones)
            if isinstance(pool.machine, Size):
                assert found.rank is not None
                assert found.arch == pool.machine.arch
                assert found.cpu >= pool.machine.cpu
                assert found.memory_gib >= pool.machine.memory
            elif isinstance(pool.machine, str):
                assert found.name == pool.machine


@given(catalogues, sizes | st.sampled_from("klmnop"), st.integers(1, 4))
def test_an_error_means_that_no_type_is_offered_in_so_many_zones(
    types: list[MachineType], machine: Size | str, wanted: int
) -> None:
    report = Report()
    there = Offers(frozenset("abcd"), {"p0": types})
    choose(asked(machine), wanted, there, Known(), report)
    possible = [
        kind
        for kind in types
        if len(kind.zones) >= wanted
        and (
            kind.name == machine
            if isinstance(machine, str)
            else kind.rank is not None
            and (kind.arch, True, True)
            == (machine.arch, kind.cpu >= machine.cpu, kind.memory_gib >= machine.memory)
        )
    ]
    assert bool(report.errors) == (not possible)


@given(catalogues, st.lists(sizes, min_size=1, max_size=2), st.integers(1, 3))
def test_the_next_run_chooses_the_same(
    types: list[MachineType], machines: list[Size | str], wanted: int
) -> None:
    """Also when the run before was interrupted after any of its networks and pools."""
    pools = asked(*machines)
    there = Offers(frozenset("abcd"), {pool.name: types for pool in pools})
    report = Report()
    first = choose(pools, wanted, there, Known(), report)
    if report.errors:
        return
    slots = dict(enumerate(first.zones))
    for kept in ({}, dict(list(slots.items())[-1:]), slots):
        known = Known(kept, first.types if kept == slots else {})
        assert choose(pools, wanted, there, known, report) == first
    assert not report.errors


def test_all_errors_at_once() -> None:
    report = Report()
    report.raise_errors()
    report.warn("costs more", "pools", "use spot")
    report.raise_errors()
    report.error("one", "a")
    report.error("two", "b", "do this")
    with pytest.raises(PreflightError) as caught:
        report.raise_errors()
    assert caught.value.findings == (Finding("one", "a"), Finding("two", "b", "do this"))
    assert report.warnings == [Finding("costs more", "pools", "use spot")]


@pytest.mark.parametrize(
    ("days", "what"),
    [
        (None, None),
        (91, None),
        (89, "support of Kubernetes 1.34 ends in 89 days"),
        (0, "support of Kubernetes 1.34 ends in 0 days"),
        (-2, "support of Kubernetes 1.34 ended on"),
    ],
)
def test_the_end_of_support(days: int | None, what: str | None) -> None:
    report = Report()
    ends = None if days is None else datetime.now(UTC) + timedelta(days=days, hours=1)
    report.end_of_support("1.34", ends, "upgrade")
    assert [what in finding.what for finding in report.warnings if what] == [True] * bool(what)
    assert len(report.warnings) == bool(what)
    assert not report.errors

"""Every field of a cloud's profile model, and what may become of a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel

from tests.drivers.world import Case, Edits, World


@dataclass(frozen=True)
class Turn:
    """A field's value, another one, and back.

    Both are changes to the profile of the case. Of what is refused, the words name both values.
    """

    case: Case
    field: str
    """dotted, without the indices: ``pools.disk.size``"""
    here: Edits
    there: Edits
    refused: Sequence[str] = ()
    """words of what refuses to go there"""
    back: Sequence[str] = ()
    """words of what refuses to come back"""
    invalid: Sequence[str] = ()
    """words of the profile's own refusal of ``there``"""
    quick: bool = False
    """in every run of the tests, with all others of its cloud at once"""
    prepare: Callable[[World], tuple[Edits, Edits]] | None = field(default=None, repr=False)
    """what must be there before, and what both values say of it"""

    @property
    def id(self) -> str:
        """How pytest calls it."""
        return f"{self.case.cloud}-{self.field}"


TAINT = {"key": "build", "value": "yes", "effect": "NoSchedule"}
OWN = {"name": "demo", "repositories": ["app"], "keep": False}
BUILDS = {"registry": {**OWN, "push": ["a/b"]}}
GIT, OTHER_GIT = "https://github.com/a/b", "https://github.com/a/c"


@dataclass(frozen=True)
class Fields:
    """The fields that the profiles of all clouds have, in the words of one."""

    case: Case
    size: Mapping[str, Any]
    """a machine by its size"""

    def turn(self, field: str, here: Any, there: Any, **more: Any) -> Turn:
        """Of a field that has just these two values; None is its default."""
        return Turn(more.pop("case", self.case), field, {field: here}, {field: there}, **more)

    def pool(self, field: str, here: Any, there: Any, **more: Any) -> Turn:
        """Of a field of the only pool."""
        at = f"pools.0.{field}"
        return Turn(self.case, f"pools.{field}", {at: here}, {at: there}, **more)

    def sized(self, field: str, value: Any) -> Edits:
        """The only pool's machine by its size, but for one part of that."""
        return {"pools.0.machine": {**self.size, field: value}}

    def machine(self, field: str, here: Any, there: Any) -> Turn:
        """Of a part of a machine's size."""
        values = self.sized(field, here), self.sized(field, there)
        return Turn(self.case, f"pools.machine.{field}", *values)

    def registry(self, field: str, here: Any, there: Any) -> Turn:
        """Of a field of the registry."""
        values = {"registry": {**OWN, field: here}}, {"registry": {**OWN, field: there}}
        return Turn(self.case, f"registry.{field}", *values)

    def shared(self) -> tuple[Turn, ...]:
        """What holds on every cloud."""
        pool = self.case.profile["pools"][0]
        return (
            self.turn("name", "demo", "demo2", refused=("demo ", "demo2")),
            self.turn("kubernetes", "1.34", "1.35", back=("1.34", "1.35")),
            self.turn(
                "network.cidr", "10.0.0.0/16", "10.7.0.0/16",
                refused=("10.0.0.0/16", "10.7.0.0/16"),
            ),
            self.turn("network.zones", 2, 3),
            self.turn("network.nat", "one", "none", quick=True),
            self.turn("endpoint.allowed", None, ["8.8.8.0/24"], quick=True),
            self.turn("endpoint.allowed", ["8.8.8.0/24"], ["9.9.9.0/24"]),
            self.turn("ssh_key", None, "me.pub", quick=True),
            self.turn("ssh_key", "me.pub", "other.pub"),
            self.turn("pools", [pool], [pool, {**pool, "name": "more"}]),
            self.pool("name", "default", "other"),
            self.pool("count", 2, {"min": 1, "max": 4}, quick=True),
            self.pool("count", 2, 3),
            self._count("min", 1, 2),
            self._count("max", 3, 4),
            self.pool("disk.size", 80, 120),
            self.pool("spot", False, True),
            self.pool("labels", {}, {"a": "b"}),
            self.pool("labels", {"a": "b"}, {"a": "c"}),
            self.pool("taints", [], [TAINT | {"effect": "PreferNoSchedule"}]),
            self._taint("key", "build", "test"),
            self._taint("value", "yes", ""),
            self._taint("effect", "NoSchedule", "NoExecute"),
            self.turn("storage.default", "ssd", "hdd", invalid=("ssd", "hdd")),
            self.turn("storage.keep_volumes", False, True),
            self.turn("registry", None, OWN, quick=True),
            self.registry("name", "demo", "other"),
            self.registry("repositories", ["app", "web"], ["app", "job"]),
            self.registry("cache", True, False),
            self.registry("keep", False, True),
            self.registry("push", [], ["a/b", "c/d"]),
            Turn(self.case, "ready.kaniko", BUILDS, {**BUILDS, "ready.kaniko": {}}),
            self._ready("namespace", "builds", "ci"),
            self._ready("service_account", "kaniko", "builder"),
            self._ready("image", "example.test/kaniko:1", "example.test/kaniko:2"),
            self._ready("registry", None, {"prefix": "me"}),
            self._other("server", "https://index.docker.io/v1/", "ghcr.io"),
            self._other("prefix", "me", "you"),
            Turn(
                self.case, "ready.jenkins_x", BUILDS, {**BUILDS, "ready.jenkins_x.git_url": GIT}
            ),
            Turn(
                self.case, "ready.jenkins_x.git_url",
                {**BUILDS, "ready.jenkins_x.git_url": GIT},
                {**BUILDS, "ready.jenkins_x.git_url": OTHER_GIT},
            ),
            self.jenkins_x("secrets", "cloud", "local"),
            self.jenkins_x("storage", True, False),
            self.jenkins_x("keep_storage", False, True),
            self.jenkins_x("domain", None, "apps.example.com"),
            self.jenkins_x("tls_email", None, "me@example.com", domain="apps.example.com"),
            Turn(self.case, "ready.jenkins", BUILDS, {**BUILDS, "ready.jenkins": {}}),
            Turn(
                self.case, "ready.jenkins.namespace",
                {**BUILDS, "ready.jenkins": {"namespace": "jenkins"}},
                {**BUILDS, "ready.jenkins": {"namespace": "ci"}},
            ),
            self.turn("tags", {}, {"team": "ci"}, quick=True),
            self.turn("tags", {"team": "ci", "a": "b"}, {"team": "ops", "c": "d"}),
            self.turn("deletion_protection", False, True),
        )  # fmt: skip

    def _count(self, field: str, here: int, there: int) -> Turn:
        at, scaling = "pools.0.count", {"min": 1, "max": 3}
        values = {at: scaling | {field: here}}, {at: scaling | {field: there}}
        return Turn(self.case, f"pools.count.{field}", *values)

    def _taint(self, field: str, here: Any, there: Any) -> Turn:
        """Another pool without taints lets the cluster's own pods run."""
        pool = self.case.profile["pools"][0]

        def pools(value: Any) -> Edits:
            return {"pools": [pool, {**pool, "name": "build", "taints": [TAINT | {field: value}]}]}

        return Turn(self.case, f"pools.taints.{field}", pools(here), pools(there))

    def _ready(self, field: str, here: Any, there: Any) -> Turn:
        values = ({**BUILDS, "ready": {"kaniko": {field: value}}} for value in (here, there))
        return Turn(self.case, f"ready.kaniko.{field}", *values)

    def jenkins_x(
        self, field: str, here: Any, there: Any, invalid: Sequence[str] = (), **more: Any
    ) -> Turn:
        """Of a field of ``ready.jenkins_x``, beside others of it."""
        base = {"git_url": GIT, **more}
        values = (
            {**BUILDS, "ready.jenkins_x": base | ({} if value is None else {field: value})}
            for value in (here, there)
        )
        return Turn(self.case, f"ready.jenkins_x.{field}", *values, invalid=invalid)

    def _other(self, field: str, here: Any, there: Any) -> Turn:
        """A registry that is no cloud's."""
        values = (
            {"ready": {"kaniko": {"registry": {"prefix": "me", field: value}}}}
            for value in (here, there)
        )
        return Turn(self.case, f"ready.kaniko.registry.{field}", *values)


@dataclass(frozen=True)
class Subnets:
    """``network.existing`` of the clouds whose VPCs have a subnet in each zone."""

    case: Case
    vpc: Callable[[World], tuple[str, list[str]]]
    """make a VPC of somebody else with four subnets in two zones"""
    subnets: str
    """what ``network.existing`` calls subnets"""
    others: str
    """what it calls those for something else"""
    others_case: Case | None = None
    """the case in which it may have those; left out, ``case``"""

    def turns(self) -> Iterator[Turn]:
        """What holds on all of them."""

        def network(vpc: str, subnets: list[str], others: Sequence[str] = ()) -> Edits:
            more = {self.others: [*others]} if others else {}
            return {"network.existing": {"vpc": vpc, self.subnets: subnets, **more}}

        def none_or_existing(world: World) -> tuple[Edits, Edits]:
            vpc, made = self.vpc(world)
            return {}, network(vpc, made[:2])

        def existing_or_none(world: World) -> tuple[Edits, Edits]:
            none, existing = none_or_existing(world)
            return existing, none

        def another(world: World) -> tuple[Edits, Edits]:
            (vpc, made), (other, others) = self.vpc(world), self.vpc(world)
            return network(vpc, made[:2]), network(other, others[:2])

        def other_subnets(world: World) -> tuple[Edits, Edits]:
            vpc, made = self.vpc(world)
            return network(vpc, made[:2]), network(vpc, made[2:])

        def more_others(world: World) -> tuple[Edits, Edits]:
            vpc, made = self.vpc(world)
            here = made[2:3] if self.others_case else []
            return network(vpc, made[:2], here), network(vpc, made[:2], made[2:])

        def turn(field: str, prepare: Any, *refused: str, case: Case | None = None) -> Turn:
            at = f"network.existing{field}"
            return Turn(case or self.case, at, {}, {}, prepare=prepare, refused=refused)

        yield turn("", none_or_existing, "vpc-")
        yield turn("", existing_or_none, "vpc-", "change the profile back")
        yield turn(".vpc", another, "vpc-")
        yield turn(f".{self.subnets}", other_subnets)
        yield turn(f".{self.others}", more_others, case=self.others_case)


def paths(model: type[BaseModel], within: str = "") -> Iterator[str]:
    """The dotted path of every field; a section that is always there counts by its fields."""
    for name, info in model.model_fields.items():
        sections = [*_models(info.annotation)]
        if info.annotation not in sections:
            yield within + name
        for section in sections:
            yield from paths(section, f"{within}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)

"""Node pools in a profile: machines, counts, disks, labels and taints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from clusterkit.naming import digest
from clusterkit.profile.fields import Form, Many, Strict, choice, every
from clusterkit.profile.labels import Labels, TaintKey, TaintValue
from clusterkit.profile.problems import Problem, Refused, refuse, seen_again, shown

MOST_TYPES = 20
"""machine types of a pool that any cloud takes"""
LONGEST_TEXT = 100
"""characters of ``machine_text``, which then fits the value of any cloud's tag"""


class Machine(Strict):
    """A size; clusterkit chooses the smallest machine type that fits."""

    cpu: int = Field(ge=1, description="virtual CPUs")
    memory: int = Field(ge=1, description="GiB")
    arch: Literal["amd64", "arm64"] = Field(default="amd64", description="CPU architecture")


Size = Annotated[Machine, Tag("<size>")]
"""a pool's machine is a ``Size``, a name that is tagged ``"<type>"``, or a list of names that is
tagged ``"<types>"``; see ``size_or``"""


def size_or(words: str) -> Discriminator:
    """Whether a pool's machine is a size, a name or names; ``words`` describe a name in errors."""
    return choice(
        f"must be a size such as {{cpu: 4, memory: 16}}, or {words}",
        size=(dict, Machine),
        type=str,
        types=(list, tuple),
    )


def several(most: int, cloud: str) -> AfterValidator:
    """An annotation for a list of machine types, of which a pool takes at most so many on this
    cloud; a list of one type is that type.
    """

    def check(names: tuple[str, ...]) -> tuple[str, ...] | str:
        if not names:
            raise refuse("is empty", "name a machine type")
        for index in seen_again(names):
            raise Refused(Problem(f"{shown(names[index])} is listed twice", place=(index,)))
        if len(names) > most:
            takes = "one machine type" if most == 1 else f"at most {most} machine types"
            hint = "name one, or add a pool for each" if most == 1 else "name fewer"
            raise refuse(f"a pool takes {takes} on {cloud}, here are {len(names)}", hint)
        return names[0] if len(names) == 1 else names

    return AfterValidator(check)


class Count(Strict):
    """The range of an autoscaled pool."""

    min: int = Field(ge=0, description="minimum number of nodes")
    max: int = Field(ge=1, description="maximum number of nodes")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.min > self.max:
            yield Problem(f"min {self.min} is greater than max {self.max}", place=("min",))


class Disk(Strict):
    """A node's system disk."""

    size: int = Field(default=80, ge=20, description="GiB")


class Taint(Strict):
    """A taint of every node of the pool."""

    key: TaintKey = Field(description="`name` or `prefix/name`")
    value: TaintValue = Field(default="", description="may be empty")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        description="effect on pods that do not tolerate the taint"
    )


def repeated_taints(taints: tuple[Taint, ...]) -> Iterator[Problem]:
    """A problem for each taint with the key and effect of an earlier one."""
    for index in seen_again((taint.key, taint.effect) for taint in taints):
        taint = taints[index]
        yield Problem(f"{taint.key} with effect {taint.effect} is listed twice", place=(index,))


class Pool(Strict):
    """A pool of identical nodes."""

    name: Annotated[
        str,
        Form(
            r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
            "lower-case letters, digits and '-', beginning and ending with a letter or digit",
            20,
        ),
    ] = Field(description="unique in the profile, at most 20 characters")
    machine: Annotated[
        Size
        | Annotated[str, Tag("<type>")]
        | Annotated[Many[str], several(MOST_TYPES, "any cloud"), Tag("<types>")],
        size_or("the name of a machine type"),
    ] = Field(
        description="a size such as `{cpu: 4, memory: 16}`, or the cloud's name of a machine type, "
        "or several names"
    )
    count: Annotated[
        Annotated[Count, Tag("<range>")] | Annotated[int, Field(ge=1), Tag("<number>")],
        choice(
            "must be a whole number, or a range such as {min: 1, max: 5}",
            range=(dict, Count),
            number=int,
        ),
    ] = Field(
        default=2,
        description="number of nodes, or `{min, max}`: nodes come for pods that fit none, and idle "
        "ones go",
    )
    disk: Disk = Field(default_factory=Disk, description="system disk of each node")
    spot: bool = Field(
        default=False,
        description="use spot capacity: cheaper, but the cloud may reclaim nodes at any time",
    )
    labels: Labels = Field(default_factory=dict, description="Kubernetes labels")
    taints: Annotated[Many[Taint], every(repeated_taints)] = Field(
        default=(), description="Kubernetes taints"
    )

    @property
    def types(self) -> tuple[str, ...]:
        """The machine types that it names, the preferred one first; none for a size."""
        machine = self.machine
        if isinstance(machine, tuple):
            return machine
        return (machine,) if isinstance(machine, str) else ()

    @property
    def automatic(self) -> bool:
        """Whether an autoscaler decides on the number of nodes."""
        return isinstance(self.count, Count)

    @property
    def minimum(self) -> int:
        """Minimum number of nodes."""
        return self.count.min if isinstance(self.count, Count) else self.count

    @property
    def maximum(self) -> int:
        """Maximum number of nodes."""
        return self.count.max if isinstance(self.count, Count) else self.count


def machine_text(pool: Pool) -> str:
    """The requested machine, as recorded in a tag on the pool: ``4x16-amd64``, a type's name, or
    several joined by ``+``; long lists end in a hash.
    """
    machine = pool.machine
    if isinstance(machine, Machine):
        return f"{machine.cpu}x{machine.memory}-{machine.arch}"
    if isinstance(machine, str):
        return machine
    text = "+".join(machine)
    return text if len(text) <= LONGEST_TEXT else f"{machine[0]}+{digest(*machine)}"


def repeated_names(pools: tuple[Pool, ...]) -> Iterator[Problem]:
    """A problem for each pool that has the name of an earlier one."""
    for index in seen_again(pool.name for pool in pools):
        yield Problem(f"pool {shown(pools[index].name)} is listed twice", place=(index, "name"))

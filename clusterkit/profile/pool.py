"""Node pools in a profile: machines, counts, disks, labels and taints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from clusterkit.profile.fields import Form, Many, Strict, choice, every
from clusterkit.profile.labels import Labels, TaintKey, TaintValue
from clusterkit.profile.problems import Problem, seen_again, shown


class Machine(Strict):
    """A size; clusterkit chooses the smallest machine type that fits."""

    cpu: int = Field(ge=1, description="virtual CPUs")
    memory: int = Field(ge=1, description="GiB")
    arch: Literal["amd64", "arm64"] = Field(default="amd64", description="CPU architecture")


Size = Annotated[Machine, Tag("<size>")]
"""a pool's machine is a ``Size``, or a name that is tagged ``"<type>"``; see ``size_or``"""


def size_or(words: str) -> Discriminator:
    """Whether a pool's machine is a size or a name; ``words`` describe the name in errors."""
    return choice(
        f"must be a size such as {{cpu: 4, memory: 16}}, or {words}",
        size=(dict, Machine),
        type=str,
    )


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
        Size | Annotated[str, Tag("<type>")], size_or("the name of a machine type")
    ] = Field(description="a size, or the cloud's name of a machine type")
    count: Annotated[
        Annotated[Count, Tag("<range>")] | Annotated[int, Field(ge=1), Tag("<number>")],
        choice(
            "must be a whole number, or a range such as {min: 1, max: 5}",
            range=(dict, Count),
            number=int,
        ),
    ] = Field(default=2, description="number of nodes, or `{min, max}`")
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
    def minimum(self) -> int:
        """Minimum number of nodes."""
        return self.count.min if isinstance(self.count, Count) else self.count

    @property
    def maximum(self) -> int:
        """Maximum number of nodes."""
        return self.count.max if isinstance(self.count, Count) else self.count


def machine_text(pool: Pool) -> str:
    """The requested machine, as recorded in a tag on the pool: ``4x16-amd64``, or a type's name."""
    machine = pool.machine
    if isinstance(machine, Machine):
        return f"{machine.cpu}x{machine.memory}-{machine.arch}"
    return machine


def repeated_names(pools: tuple[Pool, ...]) -> Iterator[Problem]:
    """A problem for each pool that has the name of an earlier one."""
    for index in seen_again(pool.name for pool in pools):
        yield Problem(f"pool {shown(pools[index].name)} is listed twice", place=(index, "name"))

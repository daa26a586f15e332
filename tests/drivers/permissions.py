"""Which permissions each command needs: ``docs/permissions/``, measured in the sandbox.

``python -m tests.drivers.permissions`` writes the pages and the policies; ``--check`` only compares
(minutes, either way). A user who may do everything takes a small cluster through its life, once for
every profile field that costs permissions of its own; the sandbox notes what each call needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.drivers import alibaba_cases as ack
from tests.drivers import eks_cases as eks
from tests.drivers.world import Case, Edits, World, edited, until_used, world

FOLDER = Path(__file__).parents[2] / "docs" / "permissions"
READS = ("Check", "Describe", "Get", "List")
COMMANDS = ("up", "change", "destroy", "read")
"""``read`` is plan, status, kubeconfig and token"""


def _nothing(_: World) -> None:
    pass


@dataclass(frozen=True)
class Feature:
    """What a profile may have, with the changes that are tried on it."""

    label: str
    edits: Edits = field(default_factory=dict)
    changes: Sequence[Edits] = ()
    prepare: Callable[[World], Edits] = lambda world: {}
    use: Callable[[World], None] = _nothing
    """what happens to the cluster before it is destroyed"""
    activate: bool = False


def _changes(case: Case, *besides: str) -> list[Edits]:
    return [edits for label, edits in case.changes if label not in besides]


def _kill(found: World) -> None:
    """Kubernetes made volumes and load balancers, and does not remove them any more."""
    idle = found.look()
    found.case.busy(found)
    until_used(found, idle)
    assert found.sandbox._server is not None
    for cluster in [*found.sandbox._server._clusters.values()]:  # type: ignore[attr-defined]
        cluster.close()


REGISTRY = {"name": "demo", "repositories": ["app"], "keep": False}
TAGS: Sequence[Edits] = ({"tags": {"team": "ops"}},)
ORPHANS = "what Kubernetes left behind"

FEATURES: Mapping[str, Sequence[Feature]] = {
    "eks": (
        Feature("", changes=_changes(eks.MINIMAL_CASE, "key")),
        Feature("ssh_key", {"ssh_key": "me.pub"}, [{"ssh_key": "other.pub"}]),
        Feature("tags", {"tags": {"team": "ci"}}, TAGS),
        Feature(
            "admins", {"admins": [eks.ADMIN]}, [{"admins": [eks.OTHER_ADMIN]}],
            eks.FULL_CASE.prepare,
        ),
        Feature("logging", {"logging": ["api"]}, [{"log_days": 90}]),
        Feature(
            "registry", {"registry": REGISTRY},
            [{"registry.repositories": ["web"]}, {"registry.cache_days": 3}, *TAGS],
        ),
        Feature(
            "registry.push", {"registry": {**REGISTRY, "push": ["builds/kaniko"]}},
            [{"registry.push": "node"}, {"registry.push": ["a/b"]}],
        ),
        Feature("network.nat", {"network": {"nat": "none"}}, _changes(eks.BARE_CASE)),
        Feature("network.existing", {}, _changes(eks.EXISTING_CASE), eks.EXISTING_CASE.prepare),
        Feature(ORPHANS, use=_kill),
    ),
    "alibaba": (
        Feature(
            "", changes=_changes(ack.MINIMAL_CASE, "key", "tags", "endpoint"),
            prepare=ack.MINIMAL_CASE.prepare,
        ),
        Feature(
            "ssh_key", {"ssh_key": "me.pub"}, [{"ssh_key": "other.pub"}],
            ack.MINIMAL_CASE.prepare,
        ),
        Feature("tags", {"tags": {"team": "ci"}}, TAGS, ack.MINIMAL_CASE.prepare),
        Feature(
            "endpoint.allowed", {"endpoint": {"allowed": ["8.8.8.0/24"]}},
            [{"endpoint.allowed": ["9.9.9.0/24"]}, *TAGS], ack.MINIMAL_CASE.prepare,
        ),
        Feature(
            "network.plugin: terway", {"network": {"plugin": "terway"}, "edition": "standard"},
            _changes(ack.TERWAY_CASE), ack.MINIMAL_CASE.prepare,
        ),
        Feature(
            "registry", {**ack.BUILDS, "registry": ack.REPOSITORIES},
            _changes(ack.PERSONAL_CASE), ack.PERSONAL_CASE.prepare,
        ),
        Feature(
            "registry.instance",
            {**ack.BUILDS, "registry": {**ack.REPOSITORIES, "instance": ack.INSTANCE}},
            _changes(ack.ENTERPRISE_CASE), ack.ENTERPRISE_CASE.prepare,
        ),
        Feature("network.existing", {}, _changes(ack.EXISTING_CASE), ack.EXISTING_CASE.prepare),
        Feature(ORPHANS, prepare=ack.MINIMAL_CASE.prepare, use=_kill),
        Feature("up --activate", activate=True),
    ),
}  # fmt: skip
"""by cloud; the first is what every profile needs"""
CASES = {"eks": eks.MINIMAL_CASE, "alibaba": ack.MINIMAL_CASE}

Used = dict[str, frozenset[str]]
"""command to the actions it needs"""


def life(found: World, feature: Feature) -> Iterator[tuple[str, Callable[[], object]]]:
    """The steps of a cluster with this feature, by command, for the user of the world."""

    def up(profile: Mapping[str, Any]) -> object:
        loaded = found.load(profile)
        cluster = found.cluster(loaded.name)
        told: list[str] = []
        activate = told.append if feature.activate else None
        return cluster.apply(cluster.plan(loaded, activate=activate), found.events.append)

    profile = dict(found.case.profile)
    yield "up", lambda: up(found.case.profile)
    yield "read", lambda: (found.cluster().observe(), found.cluster().credential())
    for edits in feature.changes:
        profile = edited(profile, edits)
        yield "change", lambda changed=profile: up(changed)  # type: ignore[misc]
    feature.use(found)
    yield "destroy", found.destroy


def case_of(cloud: str, feature: Feature) -> Case:
    """The small cluster of a cloud with this feature."""
    from dataclasses import replace

    case = CASES[cloud]
    profile = edited(case.profile, feature.edits)
    return replace(case, profile=profile, prepare=feature.prepare)


def measure(cloud: str, feature: Feature) -> Used:
    """What each command needs of a user with this feature in his profile."""
    used: dict[str, set[str]] = {command: set() for command in COMMANDS}
    folder = tempfile.TemporaryDirectory(prefix="clusterkit-permissions-")
    with folder as name, world(case_of(cloud, feature), Path(name)) as found:
        found.user = found.sandbox.identity(["*"])
        for command, step in life(found, feature):
            outcome = step()
            if command != "read":
                found.settle(outcome)  # type: ignore[arg-type]
            used[command] |= found.user.permissions.drain()
    return {command: frozenset(actions) for command, actions in used.items()}


# -- what no measurement shows --------------------------------------------------------------------

LINKED = "the first time in an account: AWS makes the role of the service"
ALSO: Mapping[str, Mapping[str, str]] = {
    "eks": {
        "iam:CreateServiceLinkedRole": LINKED,
    },
    "alibaba": {
        "ram:CreateServiceLinkedRole": "the first NAT gateway in an account",
    },
}
"""actions that the sandbox never asks for, and when the cloud does"""
OPTIONAL: Mapping[str, frozenset[str]] = {"eks": frozenset(), "alibaba": frozenset()}
"""actions without which the commands on a profile without features warn and go on"""


@dataclass(frozen=True)
class Row:
    """One action."""

    action: str
    commands: tuple[str, ...]
    features: tuple[str, ...]
    """empty: every profile"""
    note: str = ""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.action.partition(":")[2].startswith(READS)


def rows(cloud: str) -> list[Row]:
    """Every action, measured."""
    found = {feature.label: measure(cloud, feature) for feature in FEATURES[cloud]}
    base = frozenset[str]().union(*found[""].values())
    everything = base.union(*(used for each in found.values() for used in each.values()))
    out = []
    for action in sorted(everything):
        with_it = [] if action in base else [
            label for label, used in found.items() if any(action in of for of in used.values())
        ]  # fmt: skip
        commands = [
            command
            for command in COMMANDS
            if any(action in found[label][command] for label in (with_it or [""]))
        ]
        note = "a warning without it" if action in OPTIONAL[cloud] else ""
        out.append(Row(action, tuple(commands), tuple(with_it), note))
    return out

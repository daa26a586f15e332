"""What the generic suite needs of every cloud: a sandbox, a case, and the tool without its command.

Nothing here knows a cloud: a case brings its profile, the changes that are to be tried on it, and
an inventory of the account taken without the driver.
"""

from __future__ import annotations

import atexit
import copy
import gc
import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from clusterkit import Cluster, clouds
from clusterkit.cluster import Outcome, Plan
from clusterkit.engine.events import Event
from clusterkit.engine.exchange import Exchange, Observe
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target, UserLogin
from clusterkit.profile.model import BaseProfile, load
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.permissions import Limited
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers.profiles import FILES

Edits = Mapping[str, Any]
"""dotted path in the profile to its new value; None removes it, ``pools.0.count`` is an index"""


@dataclass(frozen=True)
class Thing:
    """Something in the account that costs money or stands in the way."""

    kind: str
    id: str
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)
    shown: Any = field(default=None, hash=False)


Inventory = Sequence[Thing]


@dataclass(frozen=True)
class Case:
    """A cloud, a profile, and what is to be tried on it."""

    cloud: str
    label: str
    profile: Mapping[str, Any]
    look: Callable[[World], Inventory]
    """everything in the account, asked for with the vendor's SDK alone"""
    changes: Sequence[tuple[str, Edits]] = ()
    """mutable fields: each is changed, one after the other"""
    refused: Sequence[tuple[str, Edits, str]] = ()
    """immutable fields, and the words of the refusal"""
    kept: Sequence[str] = ()
    """kinds that destroy keeps with this profile"""
    files: Mapping[str, str] = field(default_factory=lambda: FILES)
    """what lies beside the profile"""
    prepare: Callable[[World], Edits] = lambda world: {}
    """what must be there before, and what the profile has to say of it"""
    twins: Callable[[World], None] = lambda world: None
    """make things of the same names without our mark"""
    busy: Callable[[World], None] = lambda world: None
    """use the cluster: volumes, load balancers"""
    used: Sequence[str] = ()
    """the kinds there are more of then"""
    unmarked: Sequence[str] = ()
    """kinds the cloud itself makes for a cluster"""
    terminal: Sequence[tuple[str, str]] = ()
    """operations whose thing may end in failure, and the beginning of its key"""
    apiece: Sequence[str] = ()
    """operations that read one thing and are called for each; every other is called once"""
    calls: int = 6
    """so many changes ``up`` makes at least"""
    failing: Sequence[tuple[str, Edits, str, str]] = ()
    """operations whose update may fail, what brings it about, key and the cloud's reason"""

    @property
    def id(self) -> str:
        """How pytest calls it."""
        return f"{self.cloud}-{self.label}"


def edited(profile: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """A copy of the profile with these changes."""
    found = copy.deepcopy(dict(profile))
    for path, value in copy.deepcopy(dict(edits)).items():
        *steps, last = path.split(".")
        node: Any = found
        for step in steps:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        if isinstance(node, list):
            node[int(last)] = value
        elif value is None:
            node.pop(last, None)
        else:
            node[last] = value
    return found


class World:
    """One account of a sandbox, and a person in it with a profile."""

    def __init__(self, sandbox: Sandbox, case: Case, folder: Path) -> None:
        self.sandbox = sandbox
        self.case = case
        self.folder = folder
        self.cloud = clouds.load(case.cloud)
        for name, text in case.files.items():
            (folder / name).write_text(text)
        self.profile = self.load(case.profile)
        self.events: list[Event] = []
        self.requests: list[Exchange] = []
        """what tests had noted of the calls"""
        self.planned: Plan | None = None
        """what the last ``up`` set out to do"""
        self.user: Limited | None = None
        """who works with the driver, if not the account's administrator"""

    def connection(self, observe: Observe | None = None) -> CloudConnection:
        """How the sandbox is reached."""
        return CloudConnection(
            proxy=self.sandbox.proxy,
            ca_file=self.sandbox.ca_file,
            environ=self.user.environment if self.user else self.sandbox.environment(),
            scale=1.0 / self.sandbox.pace.factor,
            observe=observe,
            registry_login=LOGIN,
        )

    def cluster(self, name: str | None = None, observe: Observe | None = None) -> Cluster:
        """The library as a new process would begin with it."""
        return Cluster(self.target(name), self.connection(observe))

    def target(self, name: str | None = None) -> Target:
        """The cluster of the profile, or another one of this name."""
        home = self.profile.home
        return Target(self.case.cloud, name or self.profile.name, self.profile.region, home=home)

    def load(self, profile: Mapping[str, Any]) -> BaseProfile:
        """The profile as the command would read it."""
        path = self.folder / "profile.yaml"
        path.write_text(yaml.safe_dump(dict(profile)))
        return load(path, clouds.model, clouds.CLOUDS)

    def clients(self, name: str | None = None) -> Any:
        """The driver's clients, for tests that prepare or inspect something with them."""
        return self.cloud.connect(self.target(name), self.connection())

    def scope(self, name: str | None = None) -> Scope[Any]:
        """A fresh context, for tests that call a driver's methods."""
        return Scope(self.clients(name), name or self.profile.name, self.profile.region)

    def facts(self, profile: BaseProfile | None = None) -> Any:
        """What preflight finds for a profile; asked for once by all tests of a process, so what it
        says of things that exist is another test's: ask ``cluster().preflight`` for that.
        """
        profile = profile or self.profile
        key = profile.model_dump_json()
        if key not in _FACTS:
            _FACTS[key] = self.cluster(profile.name).preflight(profile)
        return _FACTS[key]

    def plan(self, profile: BaseProfile | None = None) -> Plan:
        """What ``plan`` would say."""
        profile = profile or self.profile
        return self.cluster(profile.name).plan(profile, self.facts(profile))

    def up(self, profile: BaseProfile | None = None, *, observe: Observe | None = None) -> Outcome:
        """What ``up`` would do."""
        profile = profile or self.profile
        facts = self.facts(profile)
        cluster = self.cluster(profile.name, observe)
        self.planned = cluster.plan(profile, facts)
        return cluster.apply(self.planned, self.events.append)

    def destroy(self, name: str | None = None, *, observe: Observe | None = None) -> Outcome:
        """What ``destroy`` would do; it knows cloud, region and name only."""
        cluster = self.cluster(name, observe)
        return cluster.apply(cluster.plan_destroy(), self.events.append)

    def destroy_plan(self) -> Plan:
        """What ``destroy`` would remove."""
        return self.cluster().plan_destroy()

    def look(self) -> Counter[str]:
        """How many of each kind there are, whoever's."""
        return Counter(thing.kind for thing in self.case.look(self))

    def things(self) -> dict[tuple[str, str], Thing]:
        """Everything in the account."""
        return {(thing.kind, thing.id): thing for thing in self.case.look(self)}

    def settle(self, outcome: Outcome) -> None:
        """The run went well and there is nothing left to do."""
        assert outcome.ok, {key: repr(error) for key, error in outcome.failed.items()}


LOGIN = UserLogin("me", "s3cr3t-of-mine")
"""at a registry that is no cloud's"""
_FACTS: dict[str, Any] = {}
"""what preflight found for a profile: in every sandbox the same types, versions and zones"""
_SANDBOXES: dict[tuple[str, Pace], Sandbox] = {}
"""by cloud and pace; starting one takes longer than most tests"""
AT_ONCE = Pace(math.inf)


@contextmanager
def world(case: Case, folder: Path, pace: Pace = AT_ONCE) -> Iterator[World]:
    """The account a case starts from, in a sandbox that is otherwise empty."""
    key = case.cloud, pace
    if key not in _SANDBOXES:
        home = Path(tempfile.mkdtemp(prefix="clusterkit-test-"))
        _SANDBOXES[key] = sandbox = Sandbox(directory=home, pace=pace, emulators=[case.cloud])
        sandbox.start()
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        atexit.register(sandbox.stop)
    sandbox = _SANDBOXES[key]
    try:
        made = World(sandbox, case, folder)
        edits = case.prepare(made)
        if edits:
            case = replace(case, profile=edited(case.profile, edits))
            made = World(sandbox, case, folder)
        yield made
    finally:
        sandbox.faults.clear()
        sandbox.reset()


def occupy(world: World) -> None:
    """Use the cluster through Kubernetes: a claim with a pod that mounts it, a load balancer."""
    kube = world.clients().kube
    core = "/api/v1/namespaces/default"
    kube.apply(
        f"{core}/persistentvolumeclaims/data",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "8Gi"}},
            },
        },
    )
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    kube.apply(
        f"{core}/pods/user",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "user"},
            "spec": {
                "containers": [{"name": "main", "image": "example.test/app"}],
                "volumes": [volume],
                "tolerations": [{"operator": "Exists"}],
            },
        },
    )
    kube.apply(
        f"{core}/services/web",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        },
    )


def until_used(world: World, idle: Counter[str]) -> None:
    """Wait until Kubernetes has made what the case's ``busy`` asks for."""
    end = time.monotonic() + 20
    while not all(world.look()[kind] > idle[kind] for kind in world.case.used):
        assert time.monotonic() < end
        time.sleep(0.05)


class Died(BaseException):
    """The process is dead."""


@contextmanager
def mortal() -> Iterator[None]:
    """Survive ``Died``; the connections of the dead process are closed, as the system would."""
    with suppress(Died):
        yield
    gc.collect()


class Mortal:
    """An observer that kills the process after so many calls that change something, and counts
    them without a limit.
    """

    def __init__(self, after: int | None = None, known: set[str] | None = None) -> None:
        """``known``: at what earlier processes died; asked for again, it changes nothing any more
        and does not count. It grows.
        """
        self.calls = 0
        self._after = after
        self._known = set() if known is None else known

    def __call__(self, seen: Exchange) -> None:
        """Count, and die when it is time: no call leaves a dead process."""
        asked = f"{seen.operation} {seen.url} {seen.sent}"
        answered = seen.phase == "after" and seen.mutating and seen.status is not None
        if answered and asked not in self._known:
            self.calls += 1
        if self._after is not None and self.calls >= self._after:
            if answered:
                self._known.add(asked)
            raise Died

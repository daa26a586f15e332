"""The cluster autoscaler of the sandbox's Kubernetes, on machines that a test keeps."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.interfaces import KubeCluster, Node, NodeGroup, ScalingRules
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import HOST, TOKENS, Cloud, kubeconfig, node
from tests.sandbox.workloads import Workloads, stays, until

NUMBERS = itertools.count()


@dataclass
class Machines:
    """Groups of machines that come at once."""

    least: int = 1
    most: int = 3
    rules: ScalingRules = field(default_factory=ScalingRules)
    joining: bool = True
    trouble: str = ""
    """what a change of a size fails with"""
    opened: KubeCluster | None = None
    target: int = 0
    machines: dict[str, Node] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, opened: KubeCluster, size: int) -> None:
        """Have so many machines at first."""
        self.opened = opened
        self._bring(size)

    def groups(self) -> Sequence[NodeGroup]:
        with self._lock:
            template = node(0)
            return [NodeGroup("big", self.least, self.most, self.target, template,
                              tuple(self.machines))]  # fmt: skip

    def grow(self, group: str, size: int) -> None:
        assert group == "big"
        if self.trouble:
            raise RuntimeError(self.trouble)
        with self._lock:
            self.asked.append(size)
        self._bring(size)

    def remove(self, group: str, machines: Sequence[str]) -> None:
        assert group == "big"
        with self._lock:
            for one in machines:
                del self.machines[one]
            self.asked.append(self.target - len(machines))
            self.target -= len(machines)
        self._show()

    def _bring(self, size: int) -> None:
        with self._lock:
            self.target = size
            while self.joining and len(self.machines) < size:
                made = node(next(NUMBERS))
                self.machines[made.provider_id] = made
        self._show()

    def _show(self) -> None:
        assert self.opened is not None
        self.opened.set_nodes(list(self.machines.values()))


class Lab(Workloads):
    """A cluster with an autoscaler."""

    def __init__(self, opened: KubeCluster, machines: Machines, cloud: Cloud, where: Path) -> None:
        super().__init__(config.new_client_from_config(str(kubeconfig(opened, where))))
        self.machines = machines
        self.cloud = cloud
        self.policy = client.PolicyV1Api(self.api)

    def status(self) -> str:
        """What the autoscaler says of itself."""
        name = "cluster-autoscaler-status"
        return str(self.core.read_namespaced_config_map(name, "kube-system").data["status"])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    servers = []

    def opened(machines: Machines, size: int = 1, pace: float = math.inf) -> Lab:
        server = kube_server("embedded", Pace(pace), tmp_path)
        servers.append(server)
        cloud = Cloud(scaler=machines)
        cluster = server.open("c", hosts=[HOST], version="1.34", review=TOKENS.get, hooks=cloud)
        machines.begin(cluster, size)
        return Lab(cluster, machines, cloud, tmp_path)

    yield opened
    for server in servers:
        server.close()


def test_pods_bring_nodes_and_idle_nodes_go(make: Callable[..., Lab]) -> None:
    lab = make(Machines(least=1, most=3))
    lab.deploy("web", 3)
    until(lambda: lab.running() == 3, "three pods, one on each node")
    assert lab.nodes() == 3
    assert lab.told("TriggeredScaleUp") == {"pod triggered scale-up: [{big 1->3 (max: 3)}]"}
    scaled = lab.told("ScaledUpGroup", "kube-system")
    assert scaled == {"Scale-up: group big size set to 3 instead of 1 (max: 3)"}
    until(lambda: "cloudProviderTarget: 3" in lab.status(), "status")
    lab.scale("web", 0)
    until(lambda: lab.nodes() == 1, "idle nodes gone")
    stays(lambda: lab.nodes() == 1)
    assert lab.told("ScaleDown") == {"node removed by cluster autoscaler"}
    assert min(lab.machines.asked) == 1


def test_the_maximum_is_kept(make: Callable[..., Lab]) -> None:
    lab = make(Machines(most=2))
    lab.deploy("web", 4)
    reached = "pod didn't trigger scale-up: 1 max node group size reached"
    until(lambda: reached in lab.told("NotTriggerScaleUp"), "told")
    until(lambda: lab.running() == 2, "two run")
    stays(lambda: lab.nodes() <= 2)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"cpu": "5"}, "1 Insufficient cpu"),
        ({"nodeSelector": {"disk": "ssd"}}, "1 node(s) didn't match Pod's node affinity/selector"),
    ],
)
def test_what_no_new_node_would_take_brings_none(
    make: Callable[..., Lab], spec: dict[str, Any], why: str
) -> None:
    lab = make(Machines())
    lab.deploy("web", 1, **spec)
    until(lambda: lab.told("NotTriggerScaleUp"), "told")
    assert lab.told("NotTriggerScaleUp") == {f"pod didn't trigger scale-up: {why}"}
    assert lab.machines.asked == []


def test_a_node_on_the_way_is_waited_for(make: Callable[..., Lab]) -> None:
    machines = Machines(most=5)
    lab = make(machines)
    machines.joining = False
    lab.deploy("web", 2)
    until(lambda: machines.asked, "asked")
    stays(lambda: len(machines.asked) <= 1, 1.5)
    assert machines.asked == [2]


def test_machines_that_become_no_nodes_are_given_up(
    make: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterkit_sandbox.kube.controllers.autoscaler._PATIENCE", 0.5)
    machines = Machines(most=5)
    lab = make(machines)
    machines.joining = False
    lab.deploy("web", 2)
    until(lambda: lab.told("ScaleUpTimedOut", "kube-system"), "told")
    told = {"Nodes added to group big failed to register within 15m0s"}
    assert lab.told("ScaleUpTimedOut", "kube-system") == told
    assert machines.asked[:2] == [2, 1]
    machines.joining = True
    until(lambda: lab.running() == 2, "another try")


def test_a_refused_change_is_told(make: Callable[..., Lab]) -> None:
    machines = Machines(trouble="AccessDenied: not you")
    lab = make(machines, pace=100)
    lab.deploy("web", 2)
    failed = "FailedToScaleUpGroup"
    until(lambda: lab.told(failed, "kube-system"), "told")
    told = {"Scale-up failed for group big: AccessDenied: not you"}
    assert lab.told(failed, "kube-system") == told
    assert lab.nodes() == 1
    backoff = "pod didn't trigger scale-up: 1 in backoff after failed scale-up"
    until(lambda: backoff in lab.told("NotTriggerScaleUp"), "backoff")
    machines.trouble = ""
    until(lambda: lab.running() == 2, "another try")


@pytest.mark.parametrize(
    "spec",
    [
        {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        {"volumes": [{"name": "scratch", "emptyDir": {}}]},
    ],
)
def test_pods_that_must_not_move_keep_their_node(
    make: Callable[..., Lab], spec: dict[str, Any]
) -> None:
    lab = make(Machines(rules=ScalingRules(scale_down_unneeded_time=0)))
    lab.deploy("big", 2)
    until(lambda: lab.nodes() == 2, "a second node")
    lab.scale("big", 1)
    until(lambda: lab.nodes() == 1, "it goes")
    # one that only a second node takes, small enough to leave it idle
    lab.deploy("small", 1, "600m", **spec)
    until(lambda: lab.running() == 2, "on the second node")
    lab.scale("big", 0)
    # one of the two is empty now and goes; the small pod's stays
    until(lambda: lab.nodes() == 1, "the empty node goes")
    assert lab.running() == 1
    [pod] = lab.core.list_namespaced_pod("default").items
    [left] = lab.core.list_node().items
    assert pod.spec.node_name == left.metadata.name


def test_pods_move_together_when_they_may(make: Callable[..., Lab]) -> None:
    lab = make(Machines(least=1, most=4))
    lab.deploy("web", 2, "1100m")
    until(lambda: lab.running() == 2, "two nodes")
    lab.deploy("tiny", 2, "100m")
    until(lambda: lab.running() == 4, "all run")
    lab.scale("web", 0)
    until(lambda: lab.nodes() == 1, "one node takes both")
    until(lambda: lab.running() == 2, "both run there")


def test_a_budget_keeps_a_node(make: Callable[..., Lab]) -> None:
    lab = make(Machines(least=1, most=4))
    lab.deploy("web", 2, "1100m")
    until(lambda: lab.running() == 2, "two nodes")
    budget = {
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "tiny"}}},
    }
    lab.policy.create_namespaced_pod_disruption_budget("default", budget)
    lab.deploy("tiny", 2, "100m")
    until(lambda: lab.running() == 4, "all run")
    spread = {pod.spec.node_name for pod in lab.core.list_namespaced_pod("default").items}
    assert len(spread) == 2
    lab.scale("web", 0)
    stays(lambda: lab.nodes() == 2, 1.5)


def test_idle_nodes_stay_for_ten_minutes(make: Callable[..., Lab]) -> None:
    lab = make(Machines(least=0), size=2, pace=400)  # 1.5 s
    until(lambda: lab.nodes() == 2, "nodes")
    began = time.monotonic()
    until(lambda: lab.nodes() == 0, "they go")
    assert time.monotonic() - began > 1.4


def test_a_quiet_cluster_asks_nothing(make: Callable[..., Lab]) -> None:
    lab = make(Machines(), size=1)
    until(lambda: lab.cloud.asked, "a look")
    time.sleep(0.5)
    before = len(lab.cloud.asked)
    time.sleep(1.5)
    assert len(lab.cloud.asked) == before


def test_the_autoscaler_of_a_pod_has_its_identity(make: Callable[..., Lab]) -> None:
    lab = make(Machines())
    account = {"metadata": {"name": "ca", "annotations": {"role": "arn"}}}
    lab.core.create_namespaced_service_account("kube-system", account)
    container = {
        "name": "ca",
        "image": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.1",
        "command": ["./cluster-autoscaler", "--cloud-provider=aws"],
        "args": ["--v=4"],
        "env": [{"name": "AWS_REGION", "value": "eu-west-1"}],
    }
    body = {
        "metadata": {"name": "ca"},
        "spec": {"serviceAccountName": "ca", "containers": [container]},
    }
    lab.core.create_namespaced_pod("kube-system", body)
    until(lambda: lab.cloud.asked[-1:] != [None], "known")
    [pod] = lab.cloud.asked[-1:]
    assert pod is not None
    assert pod.arguments == ("--cloud-provider=aws", "--v=4")
    assert dict(pod.annotations) == {"role": "arn"}
    assert dict(pod.environment) == {"AWS_REGION": "eu-west-1"}
    lab.cloud.trouble = "AccessDenied: no"
    lab.deploy("web", 2)
    until(lambda: lab.told("BackOff", "kube-system"), "told")
    log = lab.core.read_namespaced_pod_log("ca", "kube-system")
    assert log.startswith("F")
    assert log.endswith("] AccessDenied: no\n")
    assert lab.nodes() == 1

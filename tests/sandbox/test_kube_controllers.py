"""What the controllers of the sandbox's Kubernetes make of what clients ask for."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.interfaces import KubeCluster, Node
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import DRIVER, GP3, HOST, TOKENS, Cloud, kubeconfig, node

NUMBERS = itertools.count()
T = Any


class Lab:
    """A cluster, the cloud beneath it, and the official client's APIs."""

    def __init__(self, opened: KubeCluster, cloud: Cloud, folder: Path) -> None:
        self.opened = opened
        self.cloud = cloud
        api = config.new_client_from_config(str(kubeconfig(opened, folder)))
        self.core = client.CoreV1Api(api)
        self.apps = client.AppsV1Api(api)
        self.batch = client.BatchV1Api(api)
        self.storage = client.StorageV1Api(api)

    def nodes(self, *nodes: Node) -> None:
        """Exactly these machines, and all of them Ready."""
        self.opened.set_nodes(nodes)
        names = {item.name for item in nodes}
        until(lambda: {name for name, ready in self.ready().items() if ready} == names, "nodes")

    def ready(self) -> dict[str, bool]:
        """Which nodes there are, and whether each is Ready."""
        return {
            item.metadata.name: any(
                one.type == "Ready" and one.status == "True" for one in item.status.conditions
            )
            for item in self.core.list_node().items
        }

    def pods(self, **labels: str) -> list[client.V1Pod]:
        """The pods of default with these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return self.core.list_namespaced_pod("default", label_selector=selector).items

    def pod(self, name: str = "p", **spec: Any) -> None:
        """Make a pod."""
        body = {"metadata": {"name": name}, "spec": pod_spec(**spec)}
        self.core.create_namespaced_pod("default", body)

    def phase(self, name: str = "p") -> str:
        """A pod's phase."""
        return str(self.core.read_namespaced_pod(name, "default").status.phase)

    def claim(self, name: str = "data", **spec: Any) -> None:
        """Make a claim of 8 GiB."""
        body = {
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "8Gi"}},
                **spec,
            },
        }
        self.core.create_namespaced_persistent_volume_claim("default", body)

    def claimed(self, name: str = "data") -> str:
        """A claim's phase."""
        found = self.core.read_namespaced_persistent_volume_claim(name, "default")
        return str(found.status.phase)

    def balanced(self, name: str = "web", **metadata: Any) -> None:
        """Make a Service with a load balancer."""
        body = {
            "metadata": {"name": name, **metadata},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]},
        }
        self.core.create_namespaced_service("default", body)

    def host(self, name: str = "web") -> str | None:
        """The host name of its load balancer."""
        found = self.core.read_namespaced_service(name, "default").status.load_balancer.ingress
        return found[0].hostname if found else None

    def told(self, name: str) -> dict[str, str]:
        """Reason and message of the events about what has this name, the latest of each."""
        events = self.core.list_namespaced_event(
            "default", field_selector=f"involvedObject.name={name}"
        )
        latest = sorted(events.items, key=lambda item: int(item.metadata.resource_version))
        return {item.reason: item.message for item in latest}


def pod_spec(**more: Any) -> dict[str, Any]:
    """One container that asks for nothing."""
    return {"containers": [{"name": "main", "image": "busybox"}], **more}


def asking(cpu: str) -> list[dict[str, Any]]:
    """One container that asks for this much."""
    return [{"name": "main", "image": "x", "resources": {"requests": {"cpu": cpu}}}]


def mounting(claim: str = "data") -> dict[str, Any]:
    """What of a pod mounts a claim."""
    return {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}


def workload(name: str, **spec: Any) -> dict[str, Any]:
    """A Deployment, StatefulSet or DaemonSet."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def until(true: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: never"
        time.sleep(0.02)


def stays(true: Callable[[], object], seconds: float = 0.3) -> None:
    """It is so, and still is after a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert true()
        time.sleep(0.05)


def gone(read: Callable[..., object], *names: str) -> bool:
    """Whether what is read is not found."""
    try:
        read(*names)
    except ApiException as error:
        if error.status == 404:
            return True
        raise
    return False


def opened(tmp_path: Path, pace: float, *objects: Any) -> Iterator[Lab]:
    """A cluster of this pace."""
    server = kube_server("embedded", Pace(pace), tmp_path)
    cloud = Cloud()
    cluster = server.open(
        f"c{next(NUMBERS)}",
        hosts=[HOST],
        version="1.35",
        review=TOKENS.get,
        hooks=cloud,
        objects=objects,
    )
    yield Lab(cluster, cloud, tmp_path)
    server.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A cluster in which nothing takes time, with two nodes."""
    for found in opened(tmp_path, math.inf, GP3):
        found.nodes(node(1), node(2))
        yield found


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Lab]:
    """A cluster in which a node takes half a second."""
    yield from opened(tmp_path, 30, GP3)


# -- nodes --------------------------------------------------------------------------------------


def test_a_node_turns_ready_when_its_time_has_come(slow: Lab) -> None:
    start = time.monotonic()
    slow.opened.set_nodes([node(1)])
    assert slow.ready() == {"node-1": False}
    [found] = slow.core.list_node().items
    assert [taint.key for taint in found.spec.taints] == ["node.kubernetes.io/not-ready"]
    until(lambda: slow.ready() == {"node-1": True}, "ready")
    assert time.monotonic() - start >= 0.4
    until(lambda: slow.core.read_node("node-1").spec.taints is None, "untainted")
    assert slow.told("node-1")["NodeReady"] == "Node node-1 status is now: NodeReady"


def test_nodes_show_what_the_pool_says(lab: Lab) -> None:
    taint = ("dedicated", "build", "NoSchedule")
    lab.nodes(
        node(7, cpu=4, memory=16384, labels={"team": "a"}, taints=(taint,), internal_ip="10.1.2.3")
    )
    [found] = lab.core.list_node().items
    assert found.metadata.labels["team"] == "a"
    assert found.metadata.labels["node.kubernetes.io/instance-type"] == "m7i.large"
    assert found.metadata.labels["topology.kubernetes.io/zone"] == "eu-west-1a"
    assert found.status.capacity["cpu"] == "4"
    assert found.status.allocatable["memory"] == "16284Mi"
    assert found.status.node_info.kubelet_version.startswith("v1.35.")
    assert found.spec.provider_id == "aws:///eu-west-1a/i-7"
    assert [(t.key, t.value, t.effect) for t in found.spec.taints] == [taint]
    assert {a.type: a.address for a in found.status.addresses}["InternalIP"] == "10.1.2.3"


def test_a_pool_that_changes_changes_its_nodes(lab: Lab) -> None:
    lab.nodes(node(1, labels={"a": "b", "c": "d"}, taints=(("old", "", "NoSchedule"),)))
    lab.core.patch_node("node-1", {"metadata": {"labels": {"mine": "yes"}}})
    uid = lab.core.read_node("node-1").metadata.uid
    lab.nodes(node(1, labels={"a": "x"}, taints=(("new", "y", "NoExecute"),)))
    found = lab.core.read_node("node-1")
    assert found.metadata.uid == uid
    labels = found.metadata.labels
    assert (labels["a"], labels.get("c"), labels["mine"]) == ("x", None, "yes")
    assert [(t.key, t.value, t.effect) for t in found.spec.taints] == [("new", "y", "NoExecute")]
    lab.nodes(node(1))
    assert lab.core.read_node("node-1").spec.taints is None


def test_a_vanished_node_takes_its_pods(lab: Lab) -> None:
    lab.nodes(node(1))
    lab.pod()
    until(lambda: lab.phase() == "Running", "running")
    lab.nodes(node(2))
    until(lambda: gone(lab.core.read_namespaced_pod, "p", "default"), "gone")


def test_another_machine_of_the_same_name_is_another_node(lab: Lab) -> None:
    lab.nodes(node(1))
    uid = lab.core.read_node("node-1").metadata.uid
    lab.nodes(node(1))
    assert lab.core.read_node("node-1").metadata.uid == uid
    lab.nodes(node(1, provider_id="aws:///eu-west-1a/i-other"))
    assert lab.core.read_node("node-1").metadata.uid != uid


# -- scheduling ---------------------------------------------------------------------------------

TAINT = {"taints": (("dedicated", "build", "NoSchedule"),)}
TOLERATION = {"key": "dedicated", "value": "build", "effect": "NoSchedule"}


def required(operator: str, *values: str) -> dict[str, Any]:
    """An affinity to nodes by their architecture."""
    one = {"key": "kubernetes.io/arch", "operator": operator}
    terms = [{"matchExpressions": [one | ({"values": list(values)} if values else {})]}]
    chosen = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": chosen}}


@pytest.mark.parametrize(
    ("there", "spec", "why"),
    [
        ({}, {"nodeSelector": {"a": "b"}}, "didn't match Pod's node affinity/selector"),
        (TAINT, {}, "had untolerated taint {dedicated: build}"),
        (
            TAINT,
            {"tolerations": [{**TOLERATION, "value": "other"}]},
            "had untolerated taint {dedicated: build}",
        ),
        ({}, {"containers": asking("3")}, "Insufficient cpu"),
        ({}, required("In", "arm64"), "didn't match Pod's node affinity/selector"),
        ({}, required("DoesNotExist"), "didn't match Pod's node affinity/selector"),
    ],
)
def test_a_pod_that_fits_nowhere_says_why(
    lab: Lab, there: dict[str, Any], spec: dict[str, Any], why: str
) -> None:
    lab.nodes(node(1, **there))
    lab.pod(**spec)
    until(lambda: "FailedScheduling" in lab.told("p"), "an event")
    full = why.startswith("Insufficient")
    reason = why if full else f"node(s) {why}"
    help_ = (
        "No preemption victims found for incoming pod"
        if full
        else "Preemption is not helpful for scheduling"
    )
    assert lab.told("p")["FailedScheduling"] == (
        f"0/1 nodes are available: 1 {reason}. preemption: 0/1 nodes are available: 1 {help_}."
    )
    status = lab.core.read_namespaced_pod("p", "default").status
    [told] = status.conditions
    assert (told.type, told.status, told.reason) == ("PodScheduled", "False", "Unschedulable")
    assert status.phase == "Pending"


def test_every_node_has_its_reasons(lab: Lab) -> None:
    lab.nodes(node(21), node(22, cpu=1, memory=1024), node(23, **TAINT), node(24, cpu=1))
    requests = {"cpu": "3", "memory": "2Gi", "example.com/chip": "1"}
    lab.pod(
        containers=[
            {
                "name": "main",
                "image": "x",
                "resources": {"requests": requests, "limits": {"example.com/chip": "1"}},
            }
        ]
    )
    until(lambda: "FailedScheduling" in lab.told("p"), "an event")
    assert lab.told("p")["FailedScheduling"] == (
        "0/4 nodes are available: 1 Insufficient memory,"
        " 1 node(s) had untolerated taint {dedicated: build}, 3 Insufficient cpu,"
        " 3 Insufficient example.com/chip. preemption: 0/4 nodes are available:"
        " 1 Preemption is not helpful for scheduling,"
        " 3 No preemption victims found for incoming pod."
    )


@pytest.mark.parametrize(
    ("there", "spec"),
    [
        (TAINT, {"tolerations": [TOLERATION]}),
        (TAINT, {"tolerations": [{"operator": "Exists"}]}),
        (TAINT, {"tolerations": [{"key": "dedicated", "operator": "Exists"}]}),
        ({"taints": (("soft", "", "PreferNoSchedule"),)}, {}),
        ({}, {"containers": asking("2")}),
        ({}, required("NotIn", "arm64")),
        ({"labels": {"a": "b"}}, {"nodeSelector": {"a": "b"}}),
    ],
)
def test_a_pod_that_fits_runs(lab: Lab, there: dict[str, Any], spec: dict[str, Any]) -> None:
    lab.nodes(node(1, **there))
    lab.pod(**spec)
    until(lambda: lab.phase() == "Running", "running")
    found = lab.core.read_namespaced_pod("p", "default")
    assert found.spec.node_name == "node-1"
    assert found.status.host_ip == "10.0.0.1"
    assert found.status.pod_ip
    told = lab.told("p")
    assert told["Scheduled"] == "Successfully assigned default/p to node-1"
    assert told["Started"] == "Started container main"


def test_no_nodes_no_pods(lab: Lab) -> None:
    lab.nodes()
    lab.pod()
    until(lambda: "FailedScheduling" in lab.told("p"), "an event")
    assert lab.told("p")["FailedScheduling"] == "no nodes available to schedule pods"
    lab.nodes(node(1))
    until(lambda: lab.phase() == "Running", "running")


def test_a_cordoned_node_takes_no_more(lab: Lab) -> None:
    lab.nodes(node(1))
    lab.core.patch_node("node-1", {"spec": {"unschedulable": True}})
    lab.pod()
    until(lambda: "FailedScheduling" in lab.told("p"), "an event")
    assert "node(s) were unschedulable" in lab.told("p")["FailedScheduling"]
    lab.core.patch_node("node-1", {"spec": {"unschedulable": None}})
    until(lambda: lab.phase() == "Running", "running")


def test_room_is_counted_and_comes_back(lab: Lab) -> None:
    lab.nodes(node(1))
    for name in ("a", "b"):
        lab.pod(name, containers=asking("1100m"))
    until(lambda: {lab.phase("a"), lab.phase("b")} == {"Running", "Pending"}, "one of them")
    running = next(name for name in ("a", "b") if lab.phase(name) == "Running")
    lab.core.delete_namespaced_pod(running, "default")
    other = {"a": "b", "b": "a"}[running]
    until(lambda: lab.phase(other) == "Running", "the other")


# -- pods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_a_pod_runs_to_completion(lab: Lab, policy: str) -> None:
    lab.pod(restartPolicy=policy)
    until(lambda: lab.phase() == "Succeeded", "succeeded")
    [status] = lab.core.read_namespaced_pod("p", "default").status.container_statuses
    assert status.state.terminated.exit_code == 0
    assert status.state.terminated.reason == "Completed"


def secret(lab: Lab, name: str) -> None:
    lab.core.create_namespaced_secret(
        "default", {"metadata": {"name": name}, "data": {"k": "dg=="}}
    )


def settings(lab: Lab, name: str) -> None:
    lab.core.create_namespaced_config_map("default", {"metadata": {"name": name}})


@pytest.mark.parametrize(
    ("volume", "make", "words"),
    [
        ({"secret": {"secretName": "s"}}, secret, 'secret "s" not found'),
        ({"configMap": {"name": "s"}}, settings, 'configmap "s" not found'),
        (
            {"projected": {"sources": [{"secret": {"name": "s"}}]}},
            secret,
            'secret "s" not found',
        ),
        (
            {"projected": {"sources": [{"configMap": {"name": "s"}}]}},
            settings,
            'configmap "s" not found',
        ),
    ],
)
def test_a_pod_waits_for_what_it_mounts(
    lab: Lab, volume: dict[str, Any], make: Callable[[Lab, str], None], words: str
) -> None:
    lab.pod(volumes=[{"name": "v", **volume}])
    until(lambda: "FailedMount" in lab.told("p"), "an event")
    assert lab.told("p")["FailedMount"] == f'MountVolume.SetUp failed for volume "v" : {words}'
    stays(lambda: lab.phase() == "Pending")
    [status] = lab.core.read_namespaced_pod("p", "default").status.container_statuses
    assert status.state.waiting.reason == "ContainerCreating"
    make(lab, "s")
    until(lambda: lab.phase() == "Running", "running")


@pytest.mark.parametrize(
    ("more", "make", "words"),
    [
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            secret,
            'secret "s" not found',
        ),
        ({"envFrom": [{"configMapRef": {"name": "s"}}]}, settings, 'configmap "s" not found'),
    ],
)
def test_a_container_waits_for_its_environment(
    lab: Lab, more: dict[str, Any], make: Callable[[Lab, str], None], words: str
) -> None:
    lab.pod(containers=[{"name": "main", "image": "x", **more}])

    def waiting() -> Any:
        statuses = lab.core.read_namespaced_pod("p", "default").status.container_statuses
        return statuses and statuses[0].state.waiting

    until(lambda: waiting() and waiting().reason == "CreateContainerConfigError", "waiting")
    assert waiting().message == words
    assert lab.told("p")["Failed"] == f"Error: {words}"
    make(lab, "s")
    until(lambda: lab.phase() == "Running", "running")


@pytest.mark.parametrize(
    "volume",
    [
        {"secret": {"secretName": "s", "optional": True}},
        {"configMap": {"name": "s", "optional": True}},
        {"emptyDir": {}},
        {"projected": {"sources": [{"secret": {"name": "s", "optional": True}}]}},
    ],
)
def test_what_is_optional_is_not_waited_for(lab: Lab, volume: dict[str, Any]) -> None:
    lab.pod(volumes=[{"name": "v", **volume}])
    until(lambda: lab.phase() == "Running", "running")


def test_a_deleted_pod_stops_in_time(slow: Lab) -> None:
    slow.nodes(node(1))
    slow.pod()
    until(lambda: slow.phase() == "Running", "running")
    slow.core.delete_namespaced_pod("p", "default")
    found = slow.core.read_namespaced_pod("p", "default").metadata
    assert found.deletion_timestamp is not None
    assert found.deletion_grace_period_seconds == 30
    until(lambda: gone(slow.core.read_namespaced_pod, "p", "default"), "gone")


def test_a_pod_is_killed_at_once_if_asked_to(slow: Lab) -> None:
    slow.nodes(node(1))
    slow.pod()
    until(lambda: slow.phase() == "Running", "running")
    slow.core.delete_namespaced_pod("p", "default", grace_period_seconds=0)
    assert gone(slow.core.read_namespaced_pod, "p", "default")


def test_a_pod_stops_within_its_grace_at_any_pace(tmp_path: Path) -> None:
    # at this pace a process takes 40 seconds to obey
    for lab in opened(tmp_path, 0.05):
        lab.opened.set_nodes([node(1)])
        lab.pod(nodeName="node-1")
        lab.core.delete_namespaced_pod("p", "default", grace_period_seconds=1)
        until(lambda: gone(lab.core.read_namespaced_pod, "p", "default"), "gone", 5)  # noqa: B023


# -- workloads ----------------------------------------------------------------------------------


def test_a_deployment_rolls_and_rolls_back(lab: Lab) -> None:
    lab.apps.create_namespaced_deployment("default", workload("web", replicas=3))

    def rolled(image: str) -> bool:
        found = lab.apps.read_namespaced_deployment("web", "default")
        status = found.status
        done = status.observed_generation == found.metadata.generation
        counts = (status.replicas, status.updated_replicas, status.available_replicas)
        pods = lab.pods(app="web")
        images = [pod.spec.containers[0].image for pod in pods]
        return done and counts == (3, 3, 3) and images == [image] * 3

    until(lambda: rolled("busybox"), "the first")
    [first] = lab.apps.list_namespaced_replica_set("default").items
    assert first.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
    assert {pod.metadata.owner_references[0].name for pod in lab.pods(app="web")} == {
        first.metadata.name
    }
    template = {"spec": {"containers": [{"name": "main", "image": "new"}]}}
    lab.apps.patch_namespaced_deployment("web", "default", {"spec": {"template": template}})
    until(lambda: rolled("new"), "the second")
    found = lab.apps.read_namespaced_deployment("web", "default")
    assert found.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
    told = {item.type: (item.status, item.reason) for item in found.status.conditions}
    assert told == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    template = {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    lab.apps.patch_namespaced_deployment("web", "default", {"spec": {"template": template}})
    until(lambda: rolled("busybox"), "back again")
    sets = lab.apps.list_namespaced_replica_set("default").items
    assert {item.metadata.name: item.spec.replicas for item in sets}[first.metadata.name] == 3
    assert len(sets) == 2
    revision = lab.apps.read_namespaced_deployment("web", "default").metadata.annotations
    assert revision["deployment.kubernetes.io/revision"] == "3"


def test_a_deployment_is_scaled_and_heals(lab: Lab) -> None:
    lab.apps.create_namespaced_deployment("default", workload("web", replicas=2))
    until(lambda: len(lab.pods(app="web")) == 2, "two")
    lost = lab.pods(app="web")[0].metadata.name
    lab.core.delete_namespaced_pod(lost, "default")
    until(lambda: len({pod.metadata.name for pod in lab.pods(app="web")} - {lost}) == 2, "healed")
    lab.apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 0}})
    until(lambda: not lab.pods(app="web"), "none")
    lab.apps.delete_namespaced_deployment("web", "default")
    until(lambda: not lab.apps.list_namespaced_replica_set("default").items, "no sets")


def test_a_deployment_without_room_is_not_available(lab: Lab) -> None:
    lab.nodes()
    lab.apps.create_namespaced_deployment("default", workload("web", replicas=1))
    until(
        lambda: lab.apps.read_namespaced_deployment("web", "default").status.unavailable_replicas,
        "unavailable",
    )
    found = lab.apps.read_namespaced_deployment("web", "default").status
    told = {item.type: (item.status, item.reason) for item in found.conditions}
    assert told["Available"] == ("False", "MinimumReplicasUnavailable")
    lab.nodes(node(1))
    until(
        lambda: lab.apps.read_namespaced_deployment("web", "default").status.available_replicas,
        "available",
    )


def claims_of_set() -> list[dict[str, Any]]:
    request = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": request}
    return [{"metadata": {"name": "data"}, "spec": spec}]


def test_a_stateful_set_has_pods_in_order_and_keeps_its_claims(lab: Lab) -> None:
    body = workload("db", replicas=3, serviceName="db", volumeClaimTemplates=claims_of_set())
    lab.apps.create_namespaced_stateful_set("default", body)

    def ready() -> Any:
        return lab.apps.read_namespaced_stateful_set("db", "default").status.ready_replicas

    until(lambda: ready() == 3, "three")
    names = [pod.metadata.name for pod in lab.pods(app="db")]
    assert names == ["db-0", "db-1", "db-2"]
    claims = lab.core.list_namespaced_persistent_volume_claim("default").items
    assert [item.metadata.name for item in claims] == ["data-db-0", "data-db-1", "data-db-2"]
    assert {item.status.phase for item in claims} == {"Bound"}
    born = list(lab.core.list_namespaced_event("default").items)
    started = [e.involved_object.name for e in sorted(born, key=version) if e.reason == "Started"]
    assert started == names
    uid = lab.core.read_namespaced_pod("db-1", "default").metadata.uid
    lab.core.delete_namespaced_pod("db-1", "default")
    until(lambda: ready() == 3 and pod_uid(lab, "db-1") not in (None, uid), "the same name again")
    lab.apps.patch_namespaced_stateful_set_scale("db", "default", {"spec": {"replicas": 1}})
    until(lambda: [p.metadata.name for p in lab.pods(app="db")] == ["db-0"], "one")
    assert len(lab.core.list_namespaced_persistent_volume_claim("default").items) == 3
    assert len(lab.cloud.volumes) == 3


def version(found: Any) -> int:
    return int(found.metadata.resource_version)


def pod_uid(lab: Lab, name: str) -> str | None:
    return next((str(p.metadata.uid) for p in lab.pods() if p.metadata.name == name), None)


def test_a_stateful_set_waits_for_its_first_pod(lab: Lab) -> None:
    lab.nodes()
    lab.apps.create_namespaced_stateful_set("default", workload("db", replicas=3))
    until(lambda: [p.metadata.name for p in lab.pods()] == ["db-0"], "the first")
    stays(lambda: len(lab.pods()) == 1)
    parallel = workload("all", replicas=3, podManagementPolicy="Parallel")
    lab.apps.create_namespaced_stateful_set("default", parallel)
    until(lambda: len(lab.pods(app="all")) == 3, "all at once")


def test_a_stateful_set_rolls_from_the_last_to_the_first(slow: Lab) -> None:
    slow.nodes(node(1))
    slow.apps.create_namespaced_stateful_set("default", workload("db", replicas=2))

    def images() -> list[str]:
        return [p.spec.containers[0].image for p in slow.pods() if p.status.phase == "Running"]

    until(lambda: images() == ["busybox", "busybox"], "both")
    template = {"spec": {"containers": [{"name": "main", "image": "new"}]}}
    slow.apps.patch_namespaced_stateful_set("db", "default", {"spec": {"template": template}})
    until(lambda: images() == ["busybox", "new"], "the last one first")
    until(lambda: images() == ["new", "new"], "both again")
    until(
        lambda: (
            slow.apps.read_namespaced_stateful_set("db", "default").status.updated_replicas == 2
        ),
        "counted",
    )
    assert slow.apps.read_namespaced_stateful_set("db", "default").status.update_revision


def test_a_daemon_set_has_a_pod_per_node(lab: Lab) -> None:
    lab.apps.create_namespaced_daemon_set("default", workload("agent"))

    def where() -> list[str]:
        pods = lab.pods(app="agent")
        return sorted(p.spec.node_name for p in pods if p.status.phase == "Running")

    until(lambda: where() == ["node-1", "node-2"], "two")
    tainted = node(4, taints=(("dedicated", "x", "NoSchedule"),))
    lab.nodes(node(1), node(3), tainted)
    until(lambda: where() == ["node-1", "node-3"], "moved")
    until(
        lambda: lab.apps.read_namespaced_daemon_set("agent", "default").status.number_ready == 2,
        "counted",
    )
    status = lab.apps.read_namespaced_daemon_set("agent", "default").status
    assert status.desired_number_scheduled == 2
    lab.core.patch_node("node-1", {"spec": {"unschedulable": True}})
    stays(lambda: where() == ["node-1", "node-3"])


def job(name: str = "build", **spec: Any) -> dict[str, Any]:
    """A Job."""
    template = {"spec": pod_spec(restartPolicy="Never")}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


@pytest.mark.parametrize(
    ("spec", "succeeded"),
    [
        ({}, 1),
        ({"completions": 3}, 3),
        ({"completions": 3, "parallelism": 2}, 3),
        ({"parallelism": 2}, 2),
    ],
)
def test_a_job_completes(lab: Lab, spec: dict[str, Any], succeeded: int) -> None:
    lab.batch.create_namespaced_job("default", job(**spec))
    until(lambda: lab.batch.read_namespaced_job("build", "default").status.completion_time, "done")
    found = lab.batch.read_namespaced_job("build", "default")
    assert found.status.succeeded == succeeded
    assert not found.status.active
    assert "Complete" in {item.type for item in found.status.conditions}
    assert len(lab.pods(**{"batch.kubernetes.io/job-name": "build"})) == succeeded
    assert lab.told("build")["Completed"] == "Job completed"


def test_a_job_fails_when_its_pod_is_told_to(lab: Lab) -> None:
    body = job(backoffLimit=0)
    told = {"annotations": {"sandbox.clusterkit.dev/exit-code": "3"}}
    body["spec"]["template"].setdefault("metadata", {}).update(told)
    lab.batch.create_namespaced_job("default", body)
    until(lambda: lab.batch.read_namespaced_job("build", "default").status.conditions, "over")
    found = lab.batch.read_namespaced_job("build", "default").status
    assert {item.type for item in found.conditions} == {"FailureTarget", "Failed"}
    [pod] = lab.pods(**{"batch.kubernetes.io/job-name": "build"})
    assert pod.status.phase == "Failed"
    assert pod.status.container_statuses[0].state.terminated.exit_code == 3


def test_a_pod_told_to_fail_restarts_if_it_may(lab: Lab) -> None:
    told = {"sandbox.clusterkit.dev/exit-code": "1"}
    body = {"metadata": {"name": "p", "annotations": told}, "spec": pod_spec()}
    lab.core.create_namespaced_pod("default", body)

    def status() -> Any:
        return lab.core.read_namespaced_pod("p", "default").status.container_statuses[0]

    until(lambda: lab.phase() == "Running" and status().restart_count >= 2, "restarted")
    assert status().last_state.terminated.reason == "Error"


def test_a_job_expires(lab: Lab) -> None:
    lab.batch.create_namespaced_job("default", job(ttlSecondsAfterFinished=1))
    until(lambda: gone(lab.batch.read_namespaced_job, "build", "default"), "expired")
    until(lambda: not lab.pods(), "its pods too")


def test_a_suspended_job_waits(lab: Lab) -> None:
    lab.batch.create_namespaced_job("default", job(suspend=True))
    stays(lambda: not lab.pods())
    lab.batch.patch_namespaced_job("build", "default", {"spec": {"suspend": False}})
    until(lambda: lab.batch.read_namespaced_job("build", "default").status.completion_time, "done")


# -- claims and volumes -------------------------------------------------------------------------


def test_a_claim_is_bound_when_somebody_needs_it(lab: Lab) -> None:
    lab.claim()
    until(lambda: "WaitForFirstConsumer" in lab.told("data"), "an event")
    stays(lambda: lab.claimed() == "Pending")
    assert not lab.cloud.volumes
    lab.pod(**mounting(), nodeSelector={"kubernetes.io/hostname": "node-2"})
    until(lambda: lab.phase() == "Running", "running")
    claim = lab.core.read_namespaced_persistent_volume_claim("data", "default")
    assert claim.spec.storage_class_name == "gp3"
    assert claim.status.capacity == {"storage": "8Gi"}
    selected = claim.metadata.annotations["volume.kubernetes.io/selected-node"]
    assert selected == "node-2"
    volume = lab.core.read_persistent_volume(claim.spec.volume_name)
    assert volume.spec.csi.driver == DRIVER
    assert lab.cloud.volumes == {volume.spec.csi.volume_handle: "eu-west-1a 8"}
    assert volume.status.phase == "Bound"
    assert volume.spec.claim_ref.name == "data"
    assert "ProvisioningSucceeded" in lab.told("data")


def test_a_claim_of_an_immediate_class_needs_nobody(lab: Lab) -> None:
    now = {"metadata": {"name": "now"}, "provisioner": DRIVER}
    lab.storage.create_storage_class(now)
    lab.claim(storageClassName="now")
    until(lambda: lab.claimed() == "Bound", "bound")


def test_a_claim_waits_for_the_driver(lab: Lab) -> None:
    lab.cloud.drivers = []
    lab.claim()
    lab.pod(**mounting())
    until(lambda: "ExternalProvisioning" in lab.told("data"), "an event")
    assert DRIVER in lab.told("data")["ExternalProvisioning"]
    stays(lambda: lab.claimed() == "Pending" and lab.phase() == "Pending")
    lab.cloud.drivers = [DRIVER]
    until(lambda: lab.phase() == "Running", "running")
    assert lab.claimed() == "Bound"


def test_a_failing_cloud_is_told_and_tried_again(lab: Lab) -> None:
    lab.cloud.trouble = "VolumeLimitExceeded: too many volumes"
    lab.claim()
    lab.pod(**mounting())
    until(lambda: "ProvisioningFailed" in lab.told("data"), "an event")
    assert lab.cloud.trouble in lab.told("data")["ProvisioningFailed"]
    lab.cloud.trouble = ""
    until(lambda: lab.phase() == "Running", "running")


def test_a_claim_without_a_class_waits_for_ever(lab: Lab) -> None:
    lab.claim(storageClassName="none")
    until(lambda: "ProvisioningFailed" in lab.told("data"), "an event")
    assert 'storageclass.storage.k8s.io "none" not found' in lab.told("data")["ProvisioningFailed"]
    lab.claim("static", storageClassName="")
    until(lambda: "FailedBinding" in lab.told("static"), "an event")
    stays(lambda: lab.claimed() == lab.claimed("static") == "Pending")
    volume = {
        "metadata": {"name": "by-hand"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"},
        },
    }
    lab.core.create_persistent_volume(volume)
    until(lambda: lab.claimed("static") == "Bound", "bound by hand")
    assert lab.core.read_persistent_volume("by-hand").status.phase == "Bound"


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_a_claims_volume_goes_or_stays_with_it(lab: Lab, policy: str) -> None:
    lab.storage.create_storage_class(
        {"metadata": {"name": "x"}, "provisioner": DRIVER, "reclaimPolicy": policy}
    )
    lab.claim(storageClassName="x")
    until(lambda: lab.claimed() == "Bound", "bound")
    [volume] = lab.core.list_persistent_volume().items
    lab.core.delete_namespaced_persistent_volume_claim("data", "default")
    if policy == "Delete":
        until(lambda: not lab.core.list_persistent_volume().items, "no volume")
        until(lambda: not lab.cloud.volumes, "not in the cloud either")
        return
    read = lab.core.read_persistent_volume
    until(lambda: read(volume.metadata.name).status.phase == "Released", "released")
    stays(lambda: len(lab.cloud.volumes) == 1)
    lab.core.delete_persistent_volume(volume.metadata.name)
    until(lambda: gone(read, volume.metadata.name), "forgotten")
    assert len(lab.cloud.volumes) == 1


def test_a_volume_the_cloud_will_not_delete_stays(lab: Lab) -> None:
    lab.claim()
    lab.pod(**mounting())
    until(lambda: lab.phase() == "Running", "running")
    [volume] = lab.core.list_persistent_volume().items
    lab.core.delete_namespaced_pod("p", "default")
    lab.cloud.trouble = "VolumeInUse"
    lab.core.delete_namespaced_persistent_volume_claim("data", "default")
    name = volume.metadata.name
    until(lambda: "VolumeFailedDelete" in lab.told(name), "an event")
    assert "VolumeInUse" in lab.told(name)["VolumeFailedDelete"]
    assert lab.cloud.volumes
    lab.cloud.trouble = ""
    until(lambda: gone(lab.core.read_persistent_volume, name), "gone")
    assert not lab.cloud.volumes


def test_a_claim_in_use_is_protected(lab: Lab) -> None:
    lab.claim()
    lab.pod(**mounting())
    until(lambda: lab.phase() == "Running", "running")
    lab.core.delete_namespaced_persistent_volume_claim("data", "default")
    claim = lab.core.read_namespaced_persistent_volume_claim("data", "default")
    assert claim.metadata.deletion_timestamp is not None
    assert claim.metadata.finalizers == ["kubernetes.io/pvc-protection"]
    [volume] = lab.core.list_persistent_volume().items
    lab.core.delete_persistent_volume(volume.metadata.name)
    stays(lambda: lab.claimed() == "Bound" and lab.cloud.volumes)
    lab.core.delete_namespaced_pod("p", "default")
    until(lambda: gone(lab.core.read_namespaced_persistent_volume_claim, "data", "default"), "gone")
    until(lambda: not lab.core.list_persistent_volume().items, "its volume too")
    until(lambda: not lab.cloud.volumes, "in the cloud too")


def test_a_bound_volume_holds_its_pods_to_its_zone(lab: Lab) -> None:
    lab.nodes(node(1), node(3, zone="eu-west-1b"))
    lab.claim()
    lab.pod("first", **mounting(), nodeSelector={"kubernetes.io/hostname": "node-3"})
    until(lambda: lab.phase("first") == "Running", "running")
    lab.core.delete_namespaced_pod("first", "default")
    lab.core.patch_node("node-3", {"spec": {"unschedulable": True}})
    lab.pod("second", **mounting())
    until(lambda: "FailedScheduling" in lab.told("second"), "an event")
    assert "volume node affinity conflict" in lab.told("second")["FailedScheduling"]


# -- load balancers -----------------------------------------------------------------------------


def test_a_service_gets_a_load_balancer_and_holds_on_to_it(slow: Lab) -> None:
    slow.balanced()
    until(lambda: slow.host() == "default-web.example.test", "a host")
    found = slow.core.read_namespaced_service("web", "default").metadata
    assert found.finalizers == ["service.kubernetes.io/load-balancer-cleanup"]
    assert list(slow.cloud.balancers) == [found.uid]
    assert "EnsuredLoadBalancer" in slow.told("web")
    slow.core.delete_namespaced_service("web", "default")
    found = slow.core.read_namespaced_service("web", "default").metadata
    assert found.deletion_timestamp is not None
    until(lambda: gone(slow.core.read_namespaced_service, "web", "default"), "gone")
    assert not slow.cloud.balancers
    assert "DeletedLoadBalancer" in slow.told("web")


def test_a_load_balancer_that_fails_is_told_and_tried_again(lab: Lab) -> None:
    lab.cloud.trouble = "TooManyLoadBalancers"
    lab.balanced()
    until(lambda: "SyncLoadBalancerFailed" in lab.told("web"), "an event")
    assert lab.told("web")["SyncLoadBalancerFailed"].endswith(
        "failed to ensure load balancer: TooManyLoadBalancers"
    )
    events = lab.core.list_namespaced_event("default").items
    assert {e.type for e in events if e.reason == "SyncLoadBalancerFailed"} == {"Warning"}
    stays(lambda: lab.host() is None)
    lab.cloud.trouble = ""
    until(lab.host, "a host")
    lab.cloud.trouble = "OperationNotPermitted"
    lab.core.delete_namespaced_service("web", "default")
    until(lambda: "OperationNotPermitted" in lab.told("web")["SyncLoadBalancerFailed"], "told")
    stays(lambda: not gone(lab.core.read_namespaced_service, "web", "default"))
    lab.cloud.trouble = ""
    until(lambda: gone(lab.core.read_namespaced_service, "web", "default"), "gone")
    assert not lab.cloud.balancers


def test_a_service_of_another_type_gives_its_load_balancer_back(lab: Lab) -> None:
    lab.balanced()
    until(lab.host, "a host")
    lab.core.patch_namespaced_service("web", "default", {"spec": {"type": "ClusterIP"}})
    until(lambda: not lab.cloud.balancers, "given back")
    until(lambda: lab.host() is None, "no host")
    until(
        lambda: not lab.core.read_namespaced_service("web", "default").metadata.finalizers, "free"
    )


def test_a_namespace_waits_for_its_load_balancers(lab: Lab) -> None:
    lab.core.create_namespace({"metadata": {"name": "ns"}})
    body = {
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    lab.core.create_namespaced_service("ns", body)
    until(lambda: lab.cloud.balancers, "made")
    lab.cloud.trouble = "no"
    lab.core.delete_namespace("ns")
    stays(lambda: lab.core.read_namespace("ns").status.phase == "Terminating")
    lab.cloud.trouble = ""
    until(lambda: gone(lab.core.read_namespace, "ns"), "gone")
    assert not lab.cloud.balancers


# -- the rest -----------------------------------------------------------------------------------


def test_the_same_event_again_is_counted(lab: Lab) -> None:
    lab.cloud.trouble = "no"
    lab.balanced()

    def counts() -> list[int]:
        found = lab.core.list_namespaced_event("default", field_selector="type=Warning").items
        return [item.count for item in found]

    until(lambda: counts() and counts()[0] > 2, "again")
    assert len(counts()) == 1


def test_a_namespace_is_born_with_an_account_and_a_certificate(lab: Lab) -> None:
    lab.core.create_namespace({"metadata": {"name": "ns"}})
    until(lambda: not gone(lab.core.read_namespaced_service_account, "default", "ns"), "account")
    root = lab.core.read_namespaced_config_map("kube-root-ca.crt", "ns")
    assert root.data["ca.crt"] == lab.opened.ca_pem
    lab.core.delete_namespaced_config_map("kube-root-ca.crt", "ns")
    until(
        lambda: not gone(lab.core.read_namespaced_config_map, "kube-root-ca.crt", "ns"),
        "made again",
    )

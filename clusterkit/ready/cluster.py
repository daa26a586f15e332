"""Checks of the cluster itself: its version and its nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from clusterkit.errors import ClusterkitError, Denied
from clusterkit.kube.nodes import is_ready
from clusterkit.kube.quantity import GIB, amount
from clusterkit.ready.checks import Check, Result
from clusterkit.ready.kaniko import Resources
from clusterkit.ready.subject import Subject, message

OLDEST, NEWEST = (1, 23), (1, 34)
"""the versions of Kubernetes that Jenkins X 3 supports, by its documentation of August 2026
(jayex-io/jx-docs)"""
CPU, MEMORY = 4.0, 8.0
"""cores and GiB that Jenkins X needs on all nodes together: four cores and six GiB are the least
that its documentation gives minikube, without anything else there"""
UNKNOWN = ("Unauthorized", "HTTP 401")
"""who asks is nobody, so that no check has an answer (``kube.errors``)"""
Room = Mapping[str, float]
"""resource to amount: cores, bytes"""


def checks(subject: Subject) -> Iterator[Check]:
    """K1 and K2."""
    yield Check(
        "K1",
        "the Kubernetes API answers, in a supported version",
        "static",
        partial(_version, subject),
        seen="Unable to connect to the server",
        cure="run it where the endpoint can be reached, or add this network to endpoint.allowed",
    )
    yield Check(
        "K2",
        "nodes are Ready and have room",
        "static",
        partial(_nodes, subject),
        seen="0/3 nodes are available: 3 Insufficient memory",
        cure="more or larger nodes: pools in the profile, then clusterkit up",
    )


def _version(subject: Subject) -> Iterator[Result]:
    try:
        found = subject.get("/version") or {}
    except Denied as error:
        if error.code not in UNKNOWN:
            raise
        what = f"the cluster does not take these credentials: {message(error)}"
        seen = "You must be logged in to the server (Unauthorized)"
        cure = "log in again, or ask who made the cluster to let you in: admins in the profile"
        yield Result("failed", what, "/version", seen, cure)
        return
    name = str(found.get("gitVersion") or "")
    numbers = name.removeprefix("v").split(".")[:2]
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers):
        raise ClusterkitError("what answers is not a Kubernetes API", where="/version")
    version = (int(numbers[0]), int(numbers[1]))
    if "jenkins-x" in subject.purposes and not OLDEST <= version <= NEWEST:
        older = version < OLDEST
        yield Result(
            "failed" if older else "warned",
            f"{name} is {'older' if older else 'newer'} than what Jenkins X supports "
            f"({_dotted(OLDEST)} to {_dotted(NEWEST)})",
            "version",
            "no matches for kind" if older else "a chart of the version stream is refused",
            "a newer kubernetes in the profile"
            if older
            else "try the boot on a cluster that may break, or take an older version where the "
            "cloud still has one",
        )
        return
    yield Result("passed", name)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _nodes(subject: Subject) -> Iterator[Result]:
    nodes = subject.list("/api/v1/nodes")
    useless = {str(node["metadata"]["name"]): _useless(node) for node in nodes}
    usable = [node for node in nodes if not useless[node["metadata"]["name"]]]
    if not usable:
        why = Counter(filter(None, useless.values()))
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(why.items()))
        what = f"none of {len(nodes)} nodes takes pods: {told}" if nodes else "there are no nodes"
        later = subject.grows and not nodes
        seen = "no nodes available to schedule pods"
        yield Result("warned" if later else "failed", what, "nodes", seen)
        return
    yield Result("passed", f"{len(usable)} of {len(nodes)} nodes take pods")
    free = _free(subject, usable)
    if subject.builders:
        yield from _builds(subject, free)
    if "jenkins-x" in subject.purposes:
        yield from _whole(subject, usable)


def _useless(node: Mapping[str, Any]) -> str:
    """Why no ordinary pod can go to a node; empty if one can."""
    spec, metadata = node.get("spec") or {}, node["metadata"]
    if not is_ready(node):
        return "not Ready"
    if spec.get("unschedulable"):
        return "cordoned"
    if (metadata.get("labels") or {}).get("kubernetes.io/os", "linux") != "linux":
        return "not Linux"
    for taint in spec.get("taints") or ():
        if taint.get("effect") in ("NoSchedule", "NoExecute"):
            return f"tainted {taint['key']}"
    return ""


def _free(subject: Subject, nodes: list[dict[str, Any]]) -> list[Room]:
    """What pods leave of each node."""
    used: dict[str, Counter[str]] = {node["metadata"]["name"]: Counter() for node in nodes}
    for pod in subject.list("/api/v1/pods"):
        there = used.get(pod["spec"].get("nodeName") or "")
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if there is not None and not ended:
            there.update(_requests(pod["spec"]))
    found: list[Room] = []
    for node in nodes:
        gone = used[node["metadata"]["name"]]
        found.append({key: value - gone[key] for key, value in _allocatable(node).items()})
    return found


def _allocatable(node: Mapping[str, Any]) -> Room:
    given = (node.get("status") or {}).get("allocatable") or {}
    return {key: amount(value) for key, value in given.items()}


def _requests(spec: Mapping[str, Any]) -> Room:
    """What the scheduler reckons with (Kubernetes documentation, "Resource Management for Pods"):
    the sum of the containers, or the largest init container.
    """
    total: Counter[str] = Counter()
    for container in spec.get("containers") or ():
        total.update(_asked(container))
    for container in spec.get("initContainers") or ():
        for key, value in _asked(container).items():
            total[key] = max(total[key], value)  # type: ignore[assignment]
    total.update(_asked({"resources": {"requests": spec.get("overhead") or {}}}))
    return total


def _asked(container: Mapping[str, Any]) -> dict[str, float]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {key: amount(value) for key, value in requests.items()}


def _builds(subject: Subject, free: list[Room]) -> Iterator[Result]:
    """Whether a build finds a node."""
    wanted = _asked({"resources": Resources().body})
    short = [
        [key for key, value in wanted.items() if key in room and room[key] < value] for room in free
    ]
    if not all(short):
        return
    reasons = Counter(f"Insufficient {key}" for keys in short for key in keys)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    what = f"no node has room for a build, which asks for {_told(wanted)}"
    if subject.grows:
        what += ": the autoscaler has to add one, which takes minutes"
    yield Result(
        "warned" if subject.grows else "failed",
        what,
        "nodes",
        f"0/{len(free)} nodes are available: {told}",
    )


def _told(room: Room) -> str:
    disk = room["ephemeral-storage"] / GIB
    return f"{room['cpu']:g} CPU, {room['memory'] / GIB:g} GiB of memory, {disk:g} GiB of disk"


def _whole(subject: Subject, nodes: list[dict[str, Any]]) -> Iterator[Result]:
    rooms = [_allocatable(node) for node in nodes]
    cpu = sum(room.get("cpu", 0.0) for room in rooms)
    memory = sum(room.get("memory", 0.0) for room in rooms) / GIB
    if cpu >= CPU and memory >= MEMORY:
        return
    yield Result(
        "warned" if subject.grows else "failed",
        f"the nodes offer {cpu:.1f} CPU and {memory:.1f} GiB; Jenkins X needs {CPU:g} and "
        f"{MEMORY:g}",
        "nodes",
        "Insufficient cpu",
    )

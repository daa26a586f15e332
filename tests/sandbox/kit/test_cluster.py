"""What every managed Kubernetes does, on the sandbox's own Kubernetes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from kubernetes import client

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kit.cluster import Controllers, Endpoints, balancer_name
from clusterkit_sandbox.kit.drain import drain
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kube.embedded import EmbeddedKube
from clusterkit_sandbox.kube.interfaces import VolumeRequest
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import DRIVER, GP3, HOST, TOKENS, node


class Books(Controllers[str]):
    """A cloud that keeps books of what is made."""

    def __init__(self) -> None:
        super().__init__(threading.RLock())
        self.balancers: dict[str, str] = {}
        self.volumes: dict[str, str] = {}
        self.working = [DRIVER]
        self.made = 0

    def balancer(self, uid: str) -> str | None:
        return self.balancers.get(uid)

    def make_balancer(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> str:
        self.made += 1
        self.balancers[uid] = f"{namespace}-{name}"
        return self.balancers[uid]

    def host_of(self, balancer: str) -> str:
        return f"{balancer}.example.test"

    def remove_balancer(self, uid: str) -> None:
        self.balancers.pop(uid, None)

    def drivers(self) -> Sequence[str]:
        return self.working

    def volume(self, name: str) -> str | None:
        return self.volumes.get(name)

    def make_volume(self, asked: VolumeRequest) -> str:
        self.made += 1
        self.volumes[asked.name] = f"vol-{self.made}"
        return self.volumes[asked.name]

    def remove_volume(self, volume: str) -> None:
        self.volumes = {name: one for name, one in self.volumes.items() if one != volume}


def test_what_controllers_make_is_made_once() -> None:
    cloud = Books()
    ask = ("Service", "jx", "web", "7f0c-1", {})
    assert cloud.ensure_load_balancer(*ask) == "jx-web.example.test"
    assert cloud.ensure_load_balancer(*ask) == "jx-web.example.test"
    assert cloud.ensure_load_balancer("Ingress", "jx", "web", "other", {}) == ""
    claim = VolumeRequest(DRIVER, "pvc-1", 10, "a")
    assert cloud.create_volume(claim) == cloud.create_volume(claim) == "vol-2"
    assert cloud.made == 2
    cloud.delete_load_balancer("7f0c-1")
    cloud.delete_volume("vol-2")
    assert not cloud.balancers
    assert not cloud.volumes


def test_a_driver_that_is_not_installed_makes_nothing() -> None:
    cloud = Books()
    cloud.working = []
    assert cloud.provisioners() == []
    with pytest.raises(RuntimeError, match=f"there is no provisioner {DRIVER}"):
        cloud.create_volume(VolumeRequest(DRIVER, "pvc-1", 10, "a"))


def test_the_name_of_a_load_balancer() -> None:
    assert (
        balancer_name("01234567-89ab-cdef-0123-456789abcdef") == "a0123456789abcdef0123456789abcde"
    )


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock(Pace(math.inf))
    yield made
    made.clear()


@pytest.fixture
def endpoints(tmp_path: Path) -> Iterator[Endpoints]:
    server = EmbeddedKube(Pace(math.inf), tmp_path, Faults())
    made = Endpoints(server, "cloud/")
    made.open(
        "c1", hosts=[HOST], version="1.34", review=TOKENS.get, hooks=Books(), admins=["admin"],
        objects=[GP3],
    )  # fmt: skip
    yield made
    made.clear()
    server.close()


def api(endpoints: Endpoints, folder: Path) -> client.CoreV1Api:
    endpoint = endpoints.get("c1")
    assert endpoint is not None
    settings = client.Configuration()
    host, port = endpoint.address
    settings.host = f"https://{host}:{port}"
    settings.ssl_ca_cert = str(folder / "ca.pem")
    (folder / "ca.pem").write_text(endpoint.ca_pem)
    settings.api_key = {"authorization": "Bearer admin"}
    return client.CoreV1Api(client.ApiClient(settings))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_only_machines_that_joined_are_nodes(endpoints: Endpoints, tmp_path: Path) -> None:
    core = api(endpoints, tmp_path)

    def names() -> set[str]:
        return {one.metadata.name for one in core.list_node().items}

    endpoints.sync("c1", lambda: [node(1), node(2)])
    until(lambda: names() == {"node-1", "node-2"})
    endpoints.sync("c1", lambda: [node(2)])
    until(lambda: names() == {"node-2"})
    endpoints.sync("never-opened", lambda: [node(3)])
    assert names() == {"node-2"}


def test_an_endpoint_is_up_until_it_is_closed(endpoints: Endpoints) -> None:
    assert endpoints.get("c1") is not None
    endpoints.close("c1")
    endpoints.close("c1")
    assert endpoints.get("c1") is None
    assert endpoints.drainer("c1") is None
    endpoints.rename("c1", ["other.example.test"])  # nothing to rename


@pytest.mark.parametrize("evict", [True, False])
def test_nodes_are_emptied_before_they_go(
    endpoints: Endpoints, clock: Clock, tmp_path: Path, evict: bool
) -> None:
    core = api(endpoints, tmp_path)
    endpoints.sync("c1", lambda: [node(1)])
    pod = {
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    }
    core.create_namespaced_pod("default", pod)
    until(lambda: core.read_namespaced_pod("web", "default").status.phase == "Running")
    ended: list[object] = []
    drain(
        clock, lambda: endpoints.drainer("c1"), ["node-1"], 20, evict=evict,
        then=lambda: ended.append("empty"), failed=ended.append, wanted=lambda: True,
    )  # fmt: skip
    until(lambda: ended == ["empty"])
    assert core.read_node("node-1").spec.unschedulable
    assert len(core.list_namespaced_pod("default").items) == (0 if evict else 1)


def test_a_drain_ends_when_its_time_is_over_or_nobody_wants_it(
    endpoints: Endpoints, clock: Clock, tmp_path: Path
) -> None:
    core = api(endpoints, tmp_path)
    endpoints.sync("c1", lambda: [node(1)])
    pod = {
        "metadata": {"name": "web", "finalizers": ["example.test/stay"]},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    }
    core.create_namespaced_pod("default", pod)
    until(lambda: core.read_namespaced_pod("web", "default").status.phase == "Running")
    ended: list[object] = []

    def start(wanted: bool) -> None:
        drain(
            clock, lambda: endpoints.drainer("c1"), ["node-1"], 0.1, evict=True,
            then=lambda: ended.append("empty"), failed=ended.append, wanted=lambda: wanted,
        )  # fmt: skip

    start(wanted=False)
    start(wanted=True)
    until(lambda: bool(ended))
    assert ended == [["default/web"]]
    core.patch_namespaced_pod("web", "default", {"metadata": {"finalizers": None}})

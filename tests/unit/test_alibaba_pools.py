"""How a pool goes, on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from clusterkit import alibaba
from clusterkit.alibaba.errors import refusal
from clusterkit.alibaba.nodes import NodePool, NodePoolState, Scaling
from clusterkit.alibaba.tasks import Task
from clusterkit.engine.operation import Done, Failed, Running
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Busy,
    CloudError,
    OutOfStock,
    PaymentRequired,
    QuotaExceeded,
    Rejected,
    Retryable,
)
from tests.unit.loopback import Heard, Loopback, loopback

ENVIRON = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}
POOL = NodePoolState(
    id="np1", cluster="c1", phase="active", automatic=False, minimum=3, maximum=3, labels={},
    taints=frozenset(), types=(), nodes=3, healthy=3, failed=0,
)  # fmt: skip


def answer(heard: Heard) -> tuple[int, bytes]:
    """Three nodes, two on a page."""
    url = urlsplit(heard.path)
    if not url.path.endswith("/clusters/c1/nodes"):
        return 200, b"{}"
    number = int(dict(parse_qsl(url.query))["pageNumber"])
    nodes = [{"instance_id": f"i-{one}"} for one in "abc"][2 * number - 2 : 2 * number]
    return 200, json.dumps({"nodes": nodes, "page": {"total_count": 3}}).encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, answer) as found:
        yield found


def scope(server: Loopback, *, destroying: bool = False) -> Scope[Any]:
    target = Target("alibaba", "demo", "ap-southeast-1")
    wire = CloudConnection(server.proxy, server.ca_file, ENVIRON)
    clients = alibaba.connect(target, wire)
    return Scope(clients, "demo", "ap-southeast-1", destroying=destroying)


def changes(server: Loopback, have: NodePoolState, *, destroying: bool) -> list[Any]:
    """What a deletion sends: method, path, query, body."""
    NodePool.delete(scope(server, destroying=destroying), have)
    sent = []
    for heard in server.heard:
        if heard.method != "GET":
            url = urlsplit(heard.path)
            query = {k: v for k, v in parse_qsl(url.query) if k != "RegionId"}
            sent.append((heard.method, url.path, query, json.loads(heard.body or b"null")))
    return sent


@pytest.mark.parametrize(("destroying", "drain"), [(False, "true"), (True, "false")])
def test_machines_are_drained_while_the_cluster_stays(
    server: Loopback, destroying: bool, drain: str
) -> None:
    [(method, path, query, body)] = changes(server, POOL, destroying=destroying)
    assert (method, path, body) == ("DELETE", "/clusters/c1/nodepools/np1/nodes", None)
    assert json.loads(query.pop("instance_ids")) == ["i-a", "i-b", "i-c"]
    assert query == {"drain_node": drain, "release_node": "true", "concurrency": "true"}


@pytest.mark.parametrize("destroying", [False, True])
def test_an_autoscaler_goes_first(server: Loopback, destroying: bool) -> None:
    [(method, path, _, body)] = changes(
        server, replace(POOL, automatic=True), destroying=destroying
    )
    assert (method, path) == ("PUT", "/clusters/c1/nodepools/np1")
    assert body == {"auto_scaling": {"enable": False}}  # a size beside it is refused


@pytest.mark.parametrize("phase", ["removing", "removing_nodes", "scaling", "updating"])
def test_what_is_busy_is_left_alone(server: Loopback, phase: str) -> None:
    with pytest.raises(Busy, match=phase):
        changes(server, replace(POOL, phase=phase), destroying=False)
    assert not server.heard


@pytest.mark.parametrize(
    "have",
    [
        replace(POOL, nodes=1, failed=1),
        replace(POOL, nodes=0),
        replace(POOL, phase="delete_failed"),
    ],
    ids=["never joined", "empty", "failed to go"],
)
def test_what_holds_no_node_goes(server: Loopback, have: NodePoolState) -> None:
    [(method, path, query, _)] = changes(server, have, destroying=False)
    assert (method, path) == ("DELETE", "/clusters/c1/nodepools/np1")
    assert query == {"force": "true"}


def test_a_pool_that_does_not_go_says_why() -> None:
    stuck = replace(POOL, phase="delete_failed", told="ScalingGroup: MinSize")
    assert stuck.status in NodePool.failed
    assert "MinSize" in stuck.reason
    assert "Auto Scaling" in replace(stuck, told="").reason


@pytest.mark.parametrize(
    ("healthy", "failed", "status"),
    [(3, 0, "active"), (2, 0, "incomplete"), (2, 1, "degraded"), (0, 3, "failed")],
)
def test_a_pool_is_active_with_all_of_its_nodes(healthy: int, failed: int, status: str) -> None:
    pool = replace(POOL, healthy=healthy, failed=failed)
    assert pool.status == status
    assert NodePool.ready(pool) == (status == "active")
    assert pool.reason == ("" if healthy == 3 else f"{healthy} of 3 nodes")


def test_a_pool_at_work_is_waited_for() -> None:
    """Seen by operators: code and words."""
    words = "cannot operate nodepool when nodepool state is removing_nodes"
    code = "InvalidNodePoolStatus.Forbidden"
    error = refusal("CS.ModifyClusterNodePool", 403, code, words, "R")
    assert isinstance(error, Retryable)
    assert isinstance(error, Busy)


class Scarce:
    """Container Service while Auto Scaling tries in vain."""

    def __init__(self, task: str, told: str, *, joined: int = 0, failed: int = 0) -> None:
        self.task = task
        self.told = told
        self.joined = joined
        self.failed = failed

    def __call__(self, heard: Heard) -> tuple[int, bytes]:
        path = urlsplit(heard.path).path
        found: Any = {"state": self.task, "error": {"code": "Failed", "message": self.told}}
        if path.endswith("/events"):
            data = {"level": "err", "reason": "ScalingActivityFailed", "message": self.told}
            found = {"events": [{"subject": "np1", "data": data}]}
        elif path.endswith("/nodepools"):
            info = {"nodepool_id": "np1", "name": "default"}
            counts = {"state": "active", "healthy_nodes": self.joined, "failed_nodes": self.failed}
            group = {"desired_size": 2}
            pool = {"nodepool_info": info, "scaling_group": group, "status": counts}
            found = {"nodepools": [pool]}
        return 200, json.dumps(found).encode()


NO_STOCK = "fail to scale out: OperationDenied.NoStock: the requested resource is sold out"


def polled(server: Loopback, cloud: Scarce, times: int = 3) -> list[Any]:
    server.answer = cloud
    scaling, here = Scaling(Task("T-1", "CreateClusterNodePool"), "c1", "np1"), scope(server)
    return [scaling.poll(here) for _ in range(times)]


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (NO_STOCK, OutOfStock),
        ("QuotaExceed.ElasticQuota: No additional quota is available", QuotaExceeded),
        ("InvalidAccountStatus.NotEnoughBalance: Your account does not have enough balance",
         PaymentRequired),
    ],
)  # fmt: skip
@pytest.mark.parametrize("task", ["running", "success"])
def test_what_scaling_cannot_get_ends_the_wait_after_two_polls(
    server: Loopback, told: str, error: type[CloudError], task: str
) -> None:
    outcomes = polled(server, Scarce(task, told))
    [failed] = [one for one in outcomes if isinstance(one, Failed)][-1:]
    assert isinstance(failed.error, error)
    assert told in failed.error.what
    assert failed.error.hint
    if task == "running":
        assert [type(one) for one in outcomes] == [Running, Running, Failed]


def test_slow_machines_are_waited_for(server: Loopback) -> None:
    outcomes = polled(server, Scarce("success", "the instance is starting", joined=1))
    assert {type(one) for one in outcomes} == {Running}
    assert outcomes[-1].note == "1 of 2 nodes"
    assert polled(server, Scarce("Success", "", joined=2), 1) == [Done()]


def test_a_task_that_fails_says_why(server: Loopback) -> None:
    [failed] = polled(server, Scarce("fail", NO_STOCK), 1)
    assert isinstance(failed.error, OutOfStock)
    [failed] = polled(server, Scarce("canceled", "the machines were stopped by somebody"), 1)
    assert isinstance(failed.error, Rejected)
    assert "stopped by somebody" in str(failed.error)


def test_machines_that_fail_to_join_say_so(server: Loopback) -> None:
    [failed] = polled(server, Scarce("success", "kubelet did not start", failed=2), 1)
    assert isinstance(failed.error, Rejected)
    assert "0 of 2 nodes" in failed.error.what
    assert "kubelet did not start" in failed.error.what

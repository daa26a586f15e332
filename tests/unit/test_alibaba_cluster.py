"""How a cluster is changed, on the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clusterkit import alibaba
from clusterkit.alibaba.cluster import SPECS, Cluster, ClusterState
from clusterkit.alibaba.network import SecurityGroup, Vpc, VpcState, VSwitch, VSwitchState
from clusterkit.engine.kind import Env
from clusterkit.engine.target import CloudConnection, Target
from tests.unit.loopback import loopback

ENVIRON = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}
VPC = Vpc(name="main", cidr="10.0.0.0/16")
VSWITCH = VSwitch(name="nodes-a", vpc=VPC, cidr="10.0.0.0/20", zone="ap-southeast-1a")
CLUSTER = Cluster(
    name="demo",
    version="1.35.7-aliyun.1",
    spec=SPECS["pro"],
    vpc=VPC,
    vswitches=(VSWITCH,),
    security_group=SecurityGroup(name="nodes", vpc=VPC),
    services="172.21.0.0/20",
    rrsa=True,
    protected=True,
)
STATES: dict[str, Any] = {
    VPC.key: VpcState(id="vpc-1", cidr="10.0.0.0/16"),
    VSWITCH.key: VSwitchState(id="vsw-1", cidr="10.0.0.0/20", zone="ap-southeast-1a"),
}
HAVE = ClusterState(
    id="c1",
    name="demo",
    version="1.35.7-aliyun.1",
    spec=SPECS["standard"],
    vswitches=frozenset({"vsw-1"}),
    security_group="sg-1",
    pods="",
    services="172.21.0.0/20",
    public=True,
    protected=False,
)


def test_the_edition_is_changed_in_a_call_of_its_own(tmp_path: Path) -> None:
    """Beside it ACK has been seen to forget deletion protection."""
    target = Target("alibaba", "demo", "ap-southeast-1")
    with loopback(tmp_path, lambda heard: (200, b"{}")) as server:
        wire = CloudConnection(server.proxy, server.ca_file, ENVIRON)
        env = Env(alibaba.connect(target, wire), "demo", "ap-southeast-1", states=STATES)
        edits = [*CLUSTER.edits(env, HAVE)]
        assert [edit.field for edit in edits] == ["deletion protection", "RRSA", "edition"]
        for apply in dict.fromkeys(edit.apply for edit in edits):
            assert apply is not None
            apply()
        bodies = [json.loads(heard.body) for heard in server.heard]
    assert {"cluster_spec": "ack.pro.small"} in bodies
    assert {"deletion_protection": True, "enable_rrsa": True} in bodies

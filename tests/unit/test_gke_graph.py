"""From a GKE profile to resources, and to the bodies of the calls that create them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest
from google.cloud.container_v1.types import cluster_service

from clusterkit.engine.kind import Env, Kind, closure
from clusterkit.engine.preflight import MachineType
from clusterkit.gke.cluster import Cluster
from clusterkit.gke.graph import graph
from clusterkit.gke.nodes import NodePool
from clusterkit.gke.pools import complete, pool_body
from clusterkit.gke.preflight import Facts
from clusterkit.gke.profile import GkeProfile

POOL: Mapping[str, Any] = {"name": "default", "machine": "e2-standard-4"}
REGISTRY: Mapping[str, Any] = {"name": "demo", "repositories": ["app"], "push": ["ci/builder"]}
ZONE = "europe-west1-b"


def _wanted(*pools: Mapping[str, Any], **fields: Any) -> dict[str, Kind[Any, Any]]:
    document = {"cloud": "gke", "name": "demo", "region": "europe-west1", **fields}
    profile = GkeProfile.model_validate({**document, "pools": list(pools or (POOL,))})
    facts = Facts(
        account="my-project",
        number="123456789012",
        version="1.34.1-gke.1",
        zones=(ZONE,),
        location=profile.region if profile.regional else ZONE,
        pools={pool.name: MachineType(str(pool.machine)) for pool in profile.pools},
    )
    return {each.key: each for each in closure(graph(profile, facts))}


def _pool(**fields: Any) -> NodePool:
    found = _wanted({**POOL, **fields}, {**POOL, "name": "system"})
    pools = (each for each in found.values() if isinstance(each, NodePool))
    return next(each for each in pools if each.name.startswith("default-"))


def test_the_first_pools_are_in_the_call_that_creates_the_cluster() -> None:
    found = _wanted(POOL, {**POOL, "name": "other"})
    cluster = found["cluster/demo"]
    assert isinstance(cluster, Cluster)
    pools = [each for each in found.values() if isinstance(each, NodePool)]
    assert [each.body for each in pools] == [
        body for each in pools for body in cluster.first_pools if body["name"] == each.name
    ]
    assert len(cluster.first_pools) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": {"min": 0, "max": 4}, "spot": True, "labels": {"a": "b"}},
        {"taints": [{"key": "a", "value": "b", "effect": "NoExecute"}], "disk": {"size": 30}},
        {"scopes": ["storage-full"], "machine": "n4-standard-2"},
    ],
)
def test_the_sdk_knows_every_field_of_a_pool(fields: Any) -> None:
    body = complete(_pool(**fields).body, Env(None, "demo", "europe-west1"), "a@b")
    message = cluster_service.NodePool()
    import_module("google.protobuf.json_format").ParseDict(
        body, cluster_service.NodePool.pb(message)
    )
    assert message.config.machine_type == body["config"]["machineType"]


def _message(machine: MachineType) -> Any:
    """What the SDK understands of a pool of these machines."""
    profile = GkeProfile.model_validate(
        {"cloud": "gke", "name": "demo", "region": "europe-west1", "pools": [POOL]}
    )
    body, message = pool_body(profile.pools[0], machine, (ZONE,), {}), cluster_service.NodePool()
    import_module("google.protobuf.json_format").ParseDict(
        body, cluster_service.NodePool.pb(message)
    )
    return message


def test_arm_nodes_have_no_taint_that_nobody_asked_for() -> None:
    config = _message(MachineType("c4a-standard-4", arch="arm64")).config
    assert config.taint_config.architecture_taint_behavior.name == "NONE"
    config = _message(MachineType("e2-standard-4")).config
    assert config.taint_config.architecture_taint_behavior.value == 0


def test_gpus_are_named_and_get_their_driver() -> None:
    machine = MachineType("g2-standard-4", accelerator="nvidia-l4", accelerators=1)
    (found,) = _message(machine).config.accelerators
    assert (found.accelerator_type, found.accelerator_count) == ("nvidia-l4", 1)
    assert found.gpu_driver_installation_config.gpu_driver_version.name == "DEFAULT"
    assert "accelerators" not in _pool().body["config"]


@pytest.mark.parametrize(
    "changed",
    [
        {"machine": "n2-standard-4"},
        {"disk": {"size": 81}},
        {"disk": {"type": "pd-ssd"}},
        {"spot": True},
        {"scopes": ["storage-full"]},
    ],
)
def test_what_cannot_be_changed_is_another_pool(changed: Any) -> None:
    assert _pool(**changed).name != _pool().name


@pytest.mark.parametrize("changed", [{"count": 5}, {"labels": {"a": "b"}}])
def test_what_can_be_changed_is_the_same_pool(changed: Any) -> None:
    assert _pool(**changed).name == _pool().name


def test_the_default_storage_class_stays_the_vendors() -> None:
    assert "storage-class/clusterkit-ssd" not in _wanted()


@pytest.mark.parametrize(
    ("pool", "fields", "disk"),
    [
        (POOL, {"storage": {"default": "ssd"}}, "pd-ssd"),
        ({**POOL, "machine": "n4-standard-4"}, {}, "hyperdisk-balanced"),
    ],
)
def test_a_storage_class_of_our_own(pool: Any, fields: Any, disk: str) -> None:
    found: Any = _wanted(pool, **fields)["storage-class/clusterkit-ssd"]
    assert found.content["parameters"]["type"] == disk


def test_pods_push_as_themselves() -> None:
    found: Any = _wanted(registry=REGISTRY)
    access = found["workload-access/repository-demo"]
    assert access.holder is found["repository/demo"]
    assert access.members == (
        "principal://iam.googleapis.com/projects/123456789012/locations/global/"
        "workloadIdentityPools/my-project.svc.id.goog/subject/ns/ci/sa/builder",
    )
    assert "iam-service-account/push" not in found


def test_pods_push_as_an_account_of_googles() -> None:
    found: Any = _wanted(registry={**REGISTRY, "identity": "account"})
    account = found["iam-service-account/push"]
    access = found["workload-access/iam-service-account-push"]
    assert access.holder is account
    assert access.members == ("serviceAccount:my-project.svc.id.goog[ci/builder]",)
    assert found["repository/demo"].writers == (account,)
    assert found["service-account/ci/builder"].account is account


def test_a_host_of_container_registry_is_a_repository_of_that_name() -> None:
    found: Any = _wanted(registry={**REGISTRY, "hosts": ["eu.gcr.io"]})
    there = found["gcr-repository/eu-gcr-io"]
    assert (there.repository, there.place) == ("eu.gcr.io", "europe")
    assert found["repository/demo"].places == ("europe",)


def test_nodes_that_push_show_pods_their_own_account() -> None:
    found: Any = _wanted(registry={**REGISTRY, "push": "node"})
    [pool] = [each for each in found.values() if isinstance(each, NodePool)]
    assert pool.body["config"]["workloadMetadataConfig"] == {"mode": "GCE_METADATA"}
    assert found["repository/demo"].writers == (found["iam-service-account/nodes"],)


def test_autopilot_has_no_pools_of_ours() -> None:
    document = {"cloud": "gke", "name": "demo", "region": "europe-west1", "mode": "autopilot"}
    profile = GkeProfile.model_validate(document)
    facts = Facts("my-project", "1", "1.34.1-gke.1", (), "europe-west1")
    found = closure(graph(profile, facts))
    assert not [each for each in found if isinstance(each, NodePool)]

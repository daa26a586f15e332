"""What Jenkins X gets on Azure: which roles, what it is told, and names that are unique."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from clusterkit.aks.graph import graph
from clusterkit.aks.group import GroupState
from clusterkit.aks.iam import KUBELET, RoleAssignment
from clusterkit.aks.names import LONGEST, made_up
from clusterkit.aks.preflight import Facts
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.workload import FederatedCredential
from clusterkit.aks.zones import ZoneState
from clusterkit.engine.kind import Kind, closure
from clusterkit.engine.preflight import MachineType
from clusterkit.naming import CLUSTER

GIT = {"git_url": "https://github.com/a/b"}
REGISTRY: Mapping[str, Any] = {"name": "demo", "repositories": ["app"]}
GROUP = "/subscriptions/S/resourceGroups/Names"
ZONE = ZoneState(
    id=f"{GROUP}/providers/microsoft.network/dnszones/example.com".lower(),
    path=f"{GROUP}/providers/Microsoft.Network/dnszones/example.com",
    name="example.com",
)


def _profile(**fields: Any) -> AksProfile:
    pools = [{"name": "default", "machine": "Standard_D4s_v5"}]
    document = {"cloud": "aks", "name": "demo", "region": "westeurope", "pools": pools}
    return AksProfile.model_validate({**document, "registry": REGISTRY, **fields})


def _wished(profile: AksProfile, **facts: Any) -> dict[str, Kind[Any, Any]]:
    known = Facts(
        account="S",
        version="1.35",
        zones=(),
        pools={pool.name: MachineType(str(pool.machine)) for pool in profile.pools},
        registry="demo1234",
        storage="demofiles" if profile.keeps_files else "",
        vault="kv-demo" if profile.keeps_secrets else "",
        **facts,
    )
    return {each.key: each for each in closure(graph(profile, known))}


def _roles(wished: Mapping[str, Kind[Any, Any]]) -> dict[str, str]:
    """Of the kubelets' identity: the role by what it is on."""
    return {
        each.on.key: each.role
        for each in wished.values()
        if isinstance(each, RoleAssignment) and each.identity and each.identity.name == KUBELET
        if each.role != "AcrPull"
    }


def test_the_nodes_identity_has_every_right() -> None:
    profile = _profile(ready={"jenkins_x": {**GIT, "domain": "apps.example.com"}})
    wished = _wished(profile, zone=ZONE)
    assert _roles(wished) == {
        "registry/demo1234": "AcrPush",
        "storage-account/demofiles": "Storage Blob Data Contributor",
        "key-vault/kv-demo": "Key Vault Secrets Officer",
        f"existing/{ZONE.id}": "DNS Zone Contributor",
        f"existing/{GROUP.lower()}": "Reader",
    }
    assert not [each for each in wished.values() if isinstance(each, FederatedCredential)]


@pytest.mark.parametrize(
    ("fields", "on"),
    [
        ({"ready": {"jenkins_x": {**GIT, "secrets": "vault"}}}, {"registry", "storage-account"}),
        ({"ready": {"jenkins_x": {**GIT, "storage": False}}}, {"registry", "key-vault"}),
        (
            {"ready": {"jenkins_x": GIT, "kaniko": {"registry": {"prefix": "me"}}}},
            {"storage-account", "key-vault"},
        ),
        ({"ready": {"kaniko": {}}}, set()),
    ],
)
def test_no_right_without_a_use(fields: Mapping[str, Any], on: set[str]) -> None:
    found = _roles(_wished(_profile(**fields)))
    assert {key.partition("/")[0] for key in found} == on


def test_jenkins_x_pushes_as_itself_only_where_the_profile_says_so() -> None:
    push = {**REGISTRY, "push": ["jx/tekton-bot"]}
    assert _profile(ready={"jenkins_x": GIT}).push_accounts == ()
    assert _profile(ready={"jenkins_x": GIT}, registry=push).push_accounts == ("jx/tekton-bot",)


def test_the_zone_may_lie_in_the_group_of_the_cluster() -> None:
    group = GroupState(
        id=GROUP.lower(),
        path=GROUP,
        name="Names",
        status="Succeeded",
        tags={CLUSTER: "demo"},
        region="westeurope",
    )
    profile = _profile(
        ready={"jenkins_x": {**GIT, "domain": "example.com"}}, resource_group="Names"
    )
    assert _roles(_wished(profile, zone=ZONE, group=group))[f"existing/{group.id}"] == "Reader"


def test_names_are_what_azure_takes() -> None:
    long = "a-very-long-name-of-a-cluster-40-letters"
    names = {made_up(name, "S", "g", "westeurope") for name in (long, "7up", "demo")}
    names |= {made_up("demo", "S", "other", "westeurope"), made_up("demo", "T", "g", "westeurope")}
    assert len(names) == 5
    assert all(re.fullmatch(r"[a-z0-9]{3,24}", name) for name in names)
    assert max(map(len, names)) == LONGEST

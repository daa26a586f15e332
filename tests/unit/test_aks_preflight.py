"""What preflight decides for AKS, from what Azure shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from clusterkit.aks.machine_types import NO_ZONE, Offer, _machine_type, _offered
from clusterkit.aks.network import BALANCED, GATEWAY, Outside, VirtualNetworkState
from clusterkit.aks.preflight import (
    _allowed,
    _choose,
    check_system,
    choose_version,
)
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.quotas import addresses_needed, check_networks, check_quota, cores_needed
from clusterkit.engine.preflight import Report

POOL: Mapping[str, Any] = {"name": "default", "machine": {"cpu": 4, "memory": 16}, "count": 3}
VNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"
OFFICIAL, LONG = "KubernetesOfficial", "AKSLongTermSupport"
OFFERED: list[dict[str, Any]] = [
    {"version": "1.34", "capabilities": {"supportPlan": [LONG]}},
    {"version": "1.35", "capabilities": {"supportPlan": [OFFICIAL, LONG]}},
    {"version": "1.36", "capabilities": {"supportPlan": [OFFICIAL]}},
    {"version": "1.37", "isPreview": True, "capabilities": {"supportPlan": [OFFICIAL]}},
]


def _profile(*pools: Mapping[str, Any], **fields: Any) -> AksProfile:
    document = {"cloud": "aks", "name": "demo", "region": "westeurope", **fields}
    return AksProfile.model_validate({**document, "pools": list(pools or (POOL,))})


def _sku(
    name: str, cpu: int, memory: float, zones: str = "123", refused: str = "", **more: Any
) -> dict[str, Any]:
    capabilities = {"vCPUs": cpu, "MemoryGB": memory, **more}
    restrictions = [{"type": "Zone", "restrictionInfo": {"zones": [*refused]}}] if refused else []
    return {
        "name": name,
        "resourceType": "virtualMachines",
        "family": "standardDSv5Family",
        "capabilities": [{"name": k, "value": str(v)} for k, v in capabilities.items()],
        "locationInfo": [{"location": "westeurope", "zones": [*zones]}],
        "restrictions": restrictions,
    }


def _offers(*skus: dict[str, Any]) -> dict[str, Offer]:
    return {each["name"]: Offer(_machine_type(each), each["family"]) for each in skus}


D4 = _sku("Standard_D4s_v5", 4, 16)
OTHERS = (
    _sku("Standard_D4s_v3", 4, 16),
    _sku("Standard_B4s_v2", 4, 16),
    _sku("Standard_D4ps_v5", 4, 16, CpuArchitectureType="Arm64"),
    _sku("Standard_NC4as_T4_v3", 4, 28),
)


@pytest.mark.parametrize(
    ("fields", "there", "version"),
    [
        ({}, None, "1.36"),
        ({"kubernetes": "1.35"}, None, "1.35"),
        ({"support": "long-term", "tier": "premium"}, None, "1.35"),
        ({"support": "long-term", "tier": "premium", "kubernetes": "1.34"}, None, "1.34"),
        ({}, "1.34.2", "1.34.2"),
        ({"kubernetes": "1.34"}, "1.34.2", "1.34.2"),
        ({"kubernetes": "1.35"}, "1.34.2", "1.35"),
    ],
)
def test_version(fields: Mapping[str, Any], there: str | None, version: str) -> None:
    class Shown:
        version = there

    report, cluster = Report(), (Shown() if there else None)
    found = choose_version(_profile(**fields), cluster, OFFERED, report)  # type: ignore[arg-type]
    assert (found, report.errors) == (version, [])


def test_a_version_without_support() -> None:
    report = Report()
    choose_version(_profile(kubernetes="1.34"), None, OFFERED, report)
    (error,) = report.errors
    assert "1.34" in error.what
    assert error.hint == "choose from 1.35, 1.36; support: long-term has older ones"


def test_the_newest_general_machine_is_chosen() -> None:
    report = Report()
    choice = _choose(_profile(), [], _offers(*OTHERS, D4), {}, report)
    assert (choice.types["default"][0].name, report.errors) == ("Standard_D4s_v5", [])
    assert choice.zones == ("1", "2")


def test_arm() -> None:
    pool = {**POOL, "machine": {"cpu": 4, "memory": 16, "arch": "arm64"}}
    choice = _choose(_profile(pool), [], _offers(*OTHERS, D4), {}, Report())
    assert choice.types["default"][0].name == "Standard_D4ps_v5"


def test_zones_that_the_subscription_may_not_use() -> None:
    offered = _offers(_sku("Standard_D4s_v5", 4, 16, refused="2"), _sku("Standard_X_v5", 1, 1))
    assert _choose(_profile(), [], offered, {}, Report()).zones == ("1", "3")
    report = Report()
    _choose(_profile(network={"zones": ["2"]}), [], offered, {}, report)
    assert "no machine type" in report.errors[0].what


def test_sizes_that_the_subscription_may_not_use() -> None:
    assert not _offered({**D4, "restrictions": [{"type": "Location"}]})
    assert _offered(D4)


def test_a_region_without_zones() -> None:
    report = Report()
    choice = _choose(_profile(), [], _offers(_sku("Standard_D4s_v5", 4, 16, zones="")), {}, report)
    assert (choice.zones, report.errors) == ((NO_ZONE,), [])
    assert "no availability zones" in report.warnings[0].what


def test_an_existing_pool_keeps_its_size_and_zones() -> None:
    there = {
        "name": "default12345",
        "vmSize": "Standard_D4s_v3",
        "availabilityZones": ["2", "3"],
        "tags": {"clusterkit-machine": "4x16-amd64", "clusterkit-cluster": "demo"},
        "count": 3,
    }
    offered = _offers(*OTHERS, D4)
    choice = _choose(_profile(), [there], offered, {}, Report())
    assert (choice.types["default"][0].name, choice.zones) == ("Standard_D4s_v3", ("2", "3"))
    assert not cores_needed(_profile(), choice, [there], offered)


def test_quotas_of_family_and_region() -> None:
    profile, offered = _profile(POOL, {**POOL, "name": "spot", "spot": True}), _offers(D4)
    choice = _choose(profile, [], offered, {}, Report())
    needed = cores_needed(profile, choice, [], offered)
    assert needed == {"cores": 12, "standardDSv5Family": 12, "lowPriorityCores": 12}
    report = Report()
    used = {"cores": (90, 100), "standarddsv5family": (0, 10), "lowprioritycores": (0, 100)}
    check_quota(needed, used, report)
    assert [each.what.split(";")[0] for each in report.errors] == [
        "the pools need 12 more cores vCPUs",
        "the pools need 12 more standardDSv5Family vCPUs",
    ]


def test_the_quota_of_addresses() -> None:
    wanted = addresses_needed(_profile(), None)
    assert wanted == [
        "VirtualNetworks",
        "NatGateways",
        "PublicIPAddresses",
        "StandardSkuPublicIpAddresses",
    ]
    report = Report()
    check_networks(wanted, {"publicipaddresses": (3, 3), "virtualnetworks": (1, 1000)}, report)
    (error,) = report.errors
    assert "PublicIPAddresses, of which 3 of 3 are in use in the region" in error.what
    state = VirtualNetworkState(id="n", path="n", name="n", cidr="10.0.0.0/8")
    network = {"existing": {"vpc": VNET, "subnet": "s"}}
    for outbound, needed in ((BALANCED, wanted[2:]), (GATEWAY, [])):
        outside = Outside(network=state, outbound=outbound)
        assert addresses_needed(_profile(network=network), outside) == needed


def test_a_family_whose_quota_has_room_is_chosen_together_with_its_zones() -> None:
    amd = {**_sku("Standard_D4as_v5", 4, 16, zones="13"), "family": "standardDASv5Family"}
    offered = _offers(D4, amd)
    used = {"standarddsv5family": (95, 100), "standarddasv5family": (0, 100)}
    report = Report()
    choice = _choose(_profile(), [], offered, used, report)
    assert choice.types["default"][0].name == "Standard_D4as_v5"
    assert choice.zones == ("1", "3")
    check_quota(cores_needed(_profile(), choice, [], offered), used, report)
    assert report.errors == []
    # without room anywhere the best one is named, with its quota
    full = dict.fromkeys(used, (95, 100))
    choice = _choose(_profile(), [], offered, full, report)
    check_quota(cores_needed(_profile(), choice, [], offered), full, report)
    assert "standardDSv5Family" in report.errors[0].what


def test_system_pools_need_room() -> None:
    small = _sku("Standard_B1s_v2", 1, 1)
    profile, report = _profile({**POOL, "machine": "Standard_B1s_v2"}), Report()
    check_system(profile, _choose(profile, [], _offers(small), {}, Report()), report)
    assert "a system pool needs 2 vCPUs" in report.errors[0].what


@pytest.mark.parametrize(
    ("permission", "may"),
    [
        ({"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}, False),
        ({"actions": ["Microsoft.Authorization/roleAssignments/*"]}, True),
        ({"actions": ["*/read"]}, False),
        ({"actions": ["*"]}, True),
    ],
)
def test_permissions(permission: Mapping[str, Any], may: bool) -> None:
    assert _allowed("Microsoft.Authorization/roleAssignments/write", [permission]) is may

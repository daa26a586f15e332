"""What the account may not have is said before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit import Cluster
from clusterkit.errors import PreflightError
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import EXISTING_CASE, MINIMAL, MINIMAL_CASE
from tests.drivers.world import World, edited, world

INLAND: Mapping[str, Any] = edited(MINIMAL, {"region": "cn-hangzhou", "mirror": "m.example.com"})


def conditions(found: World) -> Any:
    """What differs between accounts."""
    [emulator] = found.sandbox._emulators
    return emulator.store.conditions  # type: ignore[attr-defined]


def wrong(found: World, profile: Mapping[str, Any]) -> list[str]:
    """What preflight refuses."""
    loaded = found.load(profile)
    try:
        Cluster.from_profile(loaded, found.connection()).preflight()
    except PreflightError as error:
        return [f"{finding.what} | {finding.hint}" for finding in error.findings]
    return []


@pytest.mark.parametrize(
    ("name", "profile", "refused"),
    [
        ("none", INLAND, True),
        ("yes", INLAND, False),
        ("unnecessary", INLAND, False),
        ("none", MINIMAL, False),  # outside the mainland nobody asks
    ],
)
def test_the_owners_name(
    name: str, profile: Mapping[str, Any], refused: bool, tmp_path: Path
) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        there = conditions(found)
        before, there.real_name = there.real_name, name
        try:
            told = wrong(found, profile)
        finally:
            there.real_name = before
    assert bool(told) == refused
    assert all("identity is not verified" in one for one in told)


def test_processors(tmp_path: Path) -> None:
    """Only what is missing counts: a cluster that is there needs no room for itself."""
    with world(MINIMAL_CASE, tmp_path) as found:
        quotas = conditions(found).quotas
        before = dict(quotas)
        quotas["vcpu"] = 11
        try:
            for count, fits in ((2, True), (3, False)):
                told = wrong(found, edited(MINIMAL, {"pools.0.count": count}))
                assert (not told) == fits, told
            assert "need 12 more pay-as-you-go vCPUs; 0 of 11 are in use" in told[0]
            two = edited(MINIMAL, {"pools.0.count": 2})
            found.settle(found.up(found.load(two)))
            assert not wrong(found, two)
            told = wrong(found, edited(MINIMAL, {"pools.0.count": 3}))
            assert "need 4 more pay-as-you-go vCPUs; 8 of 11 are in use" in told[0]
            size = {"machine": {"cpu": 16, "memory": 32}, "spot": True, "name": "more"}
            quotas["spot-vcpu"] = 15
            told = wrong(found, {**two, "pools": [*two["pools"], size]})
            assert "more spot vCPUs; 0 of 15 are in use" in told[0]
        finally:
            quotas.clear()
            quotas.update(before)


def test_the_ranges_of_other_clusters_in_the_vpc(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        existing = found.profile.network.existing  # type: ignore[attr-defined]
        made = {
            "name": "theirs",
            "region_id": found.profile.region,
            "cluster_type": "ManagedKubernetes",
            "vpcid": existing.vpc,
            "vswitch_ids": list(existing.vswitches),
            "container_cidr": "172.20.0.0/16",
            "service_cidr": "172.21.0.0/20",
            "endpoint_public_access": False,
            "snat_entry": False,
            "is_enterprise_security_group": True,
            "addons": [{"name": "flannel"}],
        }
        Account(found)("cs:CreateCluster", **made)
        with pytest.raises(PreflightError) as caught:
            found.cluster().preflight(found.profile)
        said = {finding.where: finding.what for finding in caught.value.findings}
        whose = f"of the cluster theirs in {existing.vpc}"
        assert said == {
            "network.pods": f"172.20.0.0/16 overlaps 172.20.0.0/16 {whose}",
            "network.services": f"172.21.0.0/20 overlaps 172.21.0.0/20 {whose}",
        }
        network = {"pods": "172.24.0.0/16", "services": "172.25.0.0/20"}
        apart = {f"network.{name}": range for name, range in network.items()}
        free = found.load(edited(_written(found), apart))
        found.settle(found.up(free))
        assert found.plan(free).empty  # nor do its own ranges count


def _written(found: World) -> Mapping[str, Any]:
    """The profile with what the case prepared."""
    written: Mapping[str, Any] = yaml.safe_load((found.folder / "profile.yaml").read_text())
    return written

"""What preflight decides for GKE, from what Google Cloud shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from clusterkit.engine.preflight import Choice, MachineType, Report
from clusterkit.gke.machine_types import _machine_type
from clusterkit.gke.preflight import (
    check_disks,
    check_quota,
    choose_version,
    everywhere_needed,
    quota_needed,
)
from clusterkit.gke.profile import GkeProfile

POOL: Mapping[str, Any] = {"name": "default", "machine": "e2-standard-4", "count": 3}
OFFERED = {
    "defaultClusterVersion": "1.33.5-gke.1",
    "channels": [
        {
            "channel": "REGULAR",
            "defaultVersion": "1.34.2-gke.7",
            "validVersions": ["1.34.9-gke.3", "1.34.10-gke.1", "1.34.2-gke.7", "1.35.1-gke.1"],
        },
        {"channel": "STABLE", "defaultVersion": "1.33.5-gke.1", "validVersions": ["1.33.5-gke.1"]},
    ],
}


def _profile(*pools: Mapping[str, Any], **fields: Any) -> GkeProfile:
    document = {"cloud": "gke", "name": "demo", "region": "europe-west1", **fields}
    return GkeProfile.model_validate({**document, "pools": list(pools or (POOL,))})


def _choice(*types: str) -> Choice:
    kinds = {f"p{index}": (MachineType(name, cpu=4),) for index, name in enumerate(types)}
    return Choice(("europe-west1-b",), {**kinds, "default": kinds["p0"]})


@pytest.mark.parametrize(
    ("wanted", "channel", "there", "version"),
    [
        (None, "regular", None, "1.34.2-gke.7"),
        (None, "stable", None, "1.33.5-gke.1"),
        ("1.34", "regular", None, "1.34.10-gke.1"),
        (None, "regular", "1.33.1-gke.9", "1.33.1-gke.9"),
        ("1.34", "regular", "1.34.2-gke.7", "1.34.2-gke.7"),
        ("1.35", "regular", "1.34.2-gke.7", "1.35.1-gke.1"),
    ],
)
def test_version(wanted: str | None, channel: str, there: str | None, version: str) -> None:
    report, profile = Report(), _profile(kubernetes=wanted, channel=channel)
    assert choose_version(profile, there, OFFERED, report) == version
    assert not report.errors


def test_a_version_of_another_channel_is_refused_with_those_there_are() -> None:
    report = Report()
    choose_version(_profile(kubernetes="1.35", channel="stable"), None, OFFERED, report)
    [error] = report.errors
    assert "1.35" in error.what
    assert "1.33" in error.hint


def test_a_regional_pool_begins_with_as_many_nodes_in_each_zone() -> None:
    pool = {**POOL, "count": {"min": 1, "max": 5}, "disk": {"size": 100}}
    profile = _profile(pool, network={"zones": 3})
    needed = quota_needed(profile, _choice("e2-standard-4"), {"default": 3}, {}, new_network=True)
    assert needed == {"CPUS": 12, "SSD_TOTAL_GB": 300, "INSTANCES": 3, "IN_USE_ADDRESSES": 1}


def test_each_series_has_its_quota() -> None:
    profile = _profile({**POOL, "machine": "n4-standard-4", "disk": {"size": 50}})
    needed = quota_needed(profile, _choice("n4-standard-4"), {"default": 2}, {}, new_network=False)
    assert needed == {"N4_CPUS": 8, "HDB_TOTAL_GB": 100, "INSTANCES": 2}


def test_a_short_quota_is_an_error_and_an_unknown_one_is_none() -> None:
    quotas = {"SSD_TOTAL_GB": {"metric": "SSD_TOTAL_GB", "limit": 500.0, "usage": 250.0}}
    report = Report()
    check_quota(quotas, {"SSD_TOTAL_GB": 250, "CPUS": 10_000}, report)
    assert not report.errors
    check_quota(quotas, {"SSD_TOTAL_GB": 251}, report)
    assert "250 of 500" in report.errors[0].what


@pytest.mark.parametrize(("limit", "metric"), [(0.0, "N2_CPUS"), (64.0, "PREEMPTIBLE_CPUS")])
def test_spot_machines_without_a_quota_of_their_own_count_as_others(
    limit: float, metric: str
) -> None:
    profile = _profile({**POOL, "machine": "n2-standard-4", "spot": True})
    quotas = {"PREEMPTIBLE_CPUS": {"metric": "PREEMPTIBLE_CPUS", "limit": limit}}
    choice = _choice("n2-standard-4")
    needed = quota_needed(profile, choice, {"default": 2}, quotas, new_network=False)
    assert needed[metric] == 8


def test_mixed_kinds_of_volumes_are_a_warning() -> None:
    pools = [{**POOL, "name": "p0"}, {**POOL, "name": "p1", "machine": "c4-standard-4"}]
    report = Report()
    check_disks(_profile(*pools), _choice("e2-standard-4", "c4-standard-4"), report)
    assert "Hyperdisk" in report.warnings[0].what
    assert not report.errors


@pytest.mark.parametrize(
    ("type_", "metric"), [("nvidia-l4", "NVIDIA_L4_GPUS"), ("nvidia-tesla-t4", "NVIDIA_T4_GPUS")]
)
@pytest.mark.parametrize("spot", [False, True])
def test_gpus_have_quotas_in_the_region_and_in_the_project(
    type_: str, metric: str, spot: bool
) -> None:
    cards = [{"guestAcceleratorType": type_, "guestAcceleratorCount": 2}]
    shown = {"name": "g2-standard-24", "guestCpus": 24, "memoryMb": 98304, "accelerators": cards}
    kind = _machine_type(shown, frozenset({"europe-west1-b"}))
    choice = Choice(("europe-west1-b",), {"default": (kind,)})
    profile = _profile({**POOL, "machine": "g2-standard-24", "spot": spot})
    quotas = {"PREEMPTIBLE_CPUS": {"metric": "PREEMPTIBLE_CPUS", "limit": 100.0}}
    needed = quota_needed(profile, choice, {"default": 3}, quotas, new_network=False)
    assert needed[f"PREEMPTIBLE_{metric}" if spot else metric] == 6
    total = everywhere_needed(needed, new_network=True)
    network = {"NETWORKS": 1, "ROUTERS": 1}
    assert total == (
        network if spot else {**network, "CPUS_ALL_REGIONS": 72, "GPUS_ALL_REGIONS": 6}
    )
    report = Report()
    none = {"metric": "GPUS_ALL_REGIONS", "limit": 0.0, "usage": 0.0}
    check_quota({"GPUS_ALL_REGIONS": none, "NETWORKS": {"limit": 5, "usage": 5}}, total, report)
    told = [each.what.partition(",")[0] for each in report.errors]
    assert told[0] == "the network needs 1 more of the quota NETWORKS"
    assert told[1:] == ([] if spot else ["the pools need 6 more of the quota GPUS_ALL_REGIONS"])

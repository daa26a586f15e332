"""What Azure would refuse is refused offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.aks.profile import PODS, SERVICES, AksProfile
from clusterkit.clouds import CLOUDS, HOME_FIELDS, model, regions
from clusterkit.errors import ProfileError
from clusterkit.profile.model import load, load_identity

GOOD = """\
cloud: aks
name: demo
region: westeurope
pools:
  - {name: default, machine: Standard_D4s_v5}
"""
VNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"


def loaded(folder: Path, text: str) -> AksProfile:
    path = folder / "profile.yaml"
    path.write_text(text)
    profile = load(path, model, CLOUDS)
    assert isinstance(profile, AksProfile)
    return profile


def said(folder: Path, text: str) -> list[str]:
    with pytest.raises(ProfileError) as error:
        loaded(folder, text)
    return [f"{finding.where} {finding.what} | {finding.hint}" for finding in error.value.findings]


def test_what_is_elsewhere_or_too_small(tmp_path: Path) -> None:
    for region in ("chinaeast2", "usgovvirginia"):
        (told,) = said(tmp_path, GOOD.replace("westeurope", region))
        assert f"region: '{region}' is in another cloud of Microsoft's" in told
    many = GOOD.replace("v5}", "v5, count: 28}") + "network: {cidr: 10.9.0.0/27}"
    (told,) = said(tmp_path, many)
    assert "network.cidr: 10.9.0.0/27 has addresses for 27 nodes, the pools may have 28" in told


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("subscription: mine", "subscription: must be the id of a subscription"),
        ("subscription: 0000000A-0000-0000-0000-000000000000", "write 0000000a-"),
        ("resource_group: /subscriptions/s/resourceGroups/g", "write g"),
        ("network: {zones: [a]}", "'a' is not a zone; Azure calls them"),
        ("network: {zones: 5}", "network.zones: must be 1 to 4 zones, is 5"),
        ("network: {nat: per-zone}", "network.nat: cannot be per-zone"),
        ("network: {cidr: 10.0.0.0/28}", "network.cidr: must be between /8 and /27"),
        ("network: {cidr: 172.30.0.0/16}", "overlaps 172.30.0.0/16, which Azure keeps"),
        ("network: {cidr: 10.244.0.0/16}", "network.pods: the default 10.244.0.0/16 overlaps cidr"),
        ("network: {services: 10.0.0.0/16}", "10.0.0.0/16 overlaps cidr, the default 10.0.0.0/16"),
        ("kubernetes: 1.35.2", 'write "1.35": the cloud chooses the patch release'),
        ("entra: true", "its keys: admins, local_accounts"),
        ("registry: {name: demo, repositories: [app], acr: demos.azurecr.io}", "write demos"),
        (f"network: {{existing: {{vpc: {VNET}, subnet: s}}, nat: true}}", "network.nat: cannot be"),
        ("network: {existing: {vpc: v, subnet: s}}", "must be the id of a virtual network"),
        ("support: long-term", "support: needs tier: premium"),
        ("registry: {name: demo, repositories: [app], acr: kaniko-demo}", "write kanikodemo"),
        ("registry: {name: demo, repositories: [app], acr: demo}", "5 to 50 lower-case letters"),
        ("entra: {admins: []}", "entra.admins"),
        ("entra: {admins: [me]}", "must be an object id in Microsoft Entra ID"),
        ("tags: {a/b: c}", "tags.a/b: the key must not contain /"),
        ("tags: {azure-x: c}", "the prefix azure is reserved by the cloud"),
        ("node_count: 3", "count: 3"),
        ("attach_acr: demo", "registry: {name: demo"),
        ("endpoint: {public: false, allowed: [203.0.113.0/24]}", "cannot be combined"),
    ],
)
def test_what_azure_would_refuse(tmp_path: Path, more: str, what: str) -> None:
    assert any(what in line for line in said(tmp_path, f"{GOOD}{more}\n"))


@pytest.mark.parametrize(
    ("pool", "what"),
    [
        ("vm_size: Standard_D4s_v5", "machine: Standard_D4s_v5"),
        ("machine: Standard_D4s_v5, minCount: 1", "count: {min: 1, max: 5}"),
        ("machine: e2-standard-4", "a size such as {cpu: 4, memory: 16} works on every cloud"),
        ("machine: standard_d4s_v5", "write Standard_d4s_v5"),
        ("machine: Standard_D4s_v5, mode: system, spot: true", "cannot use spot capacity"),
        ("machine: Standard_D4s_v5, mode: system, count: {min: 0, max: 2}", "at least one node"),
        ("machine: Standard_D4s_v5, mode: user", "AKS needs a system pool"),
        (
            "machine: [Standard_D4s_v5, Standard_D4as_v5]",
            "a pool takes one machine type on AKS, here are 2 | name one, or add a pool for each",
        ),
        ("machine: Standard_D4s_v5, disk: {size: 25}", "disk.size"),
        ("machine: Standard_D4s_v5, count: 300", "10.244.0.0/16 has room for 256 nodes"),
    ],
)
def test_pools_that_azure_would_refuse(tmp_path: Path, pool: str, what: str) -> None:
    text = GOOD.replace("machine: Standard_D4s_v5", pool)
    assert any(what in line for line in said(tmp_path, text))


@pytest.mark.parametrize(
    ("region", "cure"),
    [("West Europe", "write westeurope"), ("eu-west-1", "this is another cloud's")],
)
def test_regions(tmp_path: Path, region: str, cure: str) -> None:
    assert any(cure in line for line in said(tmp_path, GOOD.replace("westeurope", region)))


def test_the_first_pool_that_can_is_a_system_pool(tmp_path: Path) -> None:
    more = "  - {name: second, machine: Standard_D4s_v5}\n"
    spot = GOOD.replace("v5}", "v5, spot: true, count: 1}") + more
    profile = loaded(tmp_path, spot)
    assert [profile.mode(pool) for pool in profile.pools] == ["user", "system"]
    profile = loaded(tmp_path, GOOD + more)
    assert [profile.mode(pool) for pool in profile.pools] == ["system", "user"]
    profile = loaded(tmp_path, GOOD + more.replace("}", ", mode: system}"))
    assert [profile.mode(pool) for pool in profile.pools] == ["system", "system"]


def test_ranges_have_defaults(tmp_path: Path) -> None:
    network = loaded(tmp_path, GOOD).network
    assert (network.pod_range, network.service_range) == (PODS, SERVICES)
    assert network.dns_address == "10.240.0.10"


def test_account_and_place_are_known_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    accounts = {"aks": "subscription"}
    path.write_text(GOOD + "resource_group: shared\nsubscription: s\nnonsense: 1\n")
    named = load_identity(path, regions, accounts, HOME_FIELDS)
    assert (named.account, named.home) == ("s", "shared")
    path.write_text(GOOD)
    assert load_identity(path, regions, accounts, HOME_FIELDS).home == ""
    assert loaded(tmp_path, GOOD).home == ""


def test_one_profile_fits_here_too(tmp_path: Path) -> None:
    """The fields that all clouds share."""
    text = """\
cloud: aks
name: demo
region: westeurope
network: {cidr: 10.0.0.0/16, zones: 2, nat: true, pods: 172.20.0.0/16, services: 172.21.0.0/20}
pools:
  - {name: default, machine: {cpu: 4, memory: 16}, count: {min: 1, max: 3}, labels: {a: b}}
  - {name: batch, machine: {cpu: 4, memory: 16}, taints: [{key: a, value: b, effect: NoSchedule}]}
storage: {default: ssd}
registry: {name: demo, repositories: [kaniko-demo]}
tags: {team: ci}
"""
    assert [*loaded(tmp_path, text).push_accounts] == []


def test_warnings(tmp_path: Path) -> None:
    more = "endpoint: {public: true, private: true}\n"
    text = GOOD + "  - {name: s, machine: Standard_D4s_v5, spot: true}\n" + more
    where = [each.where for each in loaded(tmp_path, text).warnings()]
    assert where == ["endpoint.allowed", "endpoint.private", "pools[1].spot"]

"""What Google Cloud would refuse is refused offline."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from clusterkit.clouds import CLOUDS, model
from clusterkit.errors import ProfileError
from clusterkit.gke.fields import AUTH, SCOPES, disk_type
from clusterkit.gke.profile import IAP, GkeProfile
from clusterkit.profile.model import load

GOOD = """\
cloud: gke
name: demo
region: europe-west1
pools:
  - {name: default, machine: e2-standard-4}
"""


def loaded(folder: Path, text: str) -> GkeProfile:
    path = folder / "profile.yaml"
    path.write_text(text)
    profile = load(path, model, CLOUDS)
    assert isinstance(profile, GkeProfile)
    return profile


def said(folder: Path, text: str) -> list[str]:
    with pytest.raises(ProfileError) as error:
        loaded(folder, text)
    return [f"{finding.what} | {finding.hint}" for finding in error.value.findings]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("project: Big", "project: must be the id of a project"),
        ("network: {zones: 5}", "network.zones: must be 1 to 4 zones, is 5"),
        (
            "network: {zones: [europe-west1b]}",
            "is not a zone of europe-west1, such as",
        ),
        ("network: {nat: per-zone}", "network.nat: cannot be per-zone"),
        ("network: {cidr: 10.0.0.0/30}", "network.cidr: must be between /8 and /28"),
        ("network: {cidr: 169.254.0.0/16}", "network.cidr: 169.254.0.0/16 is reserved"),
        ("network: {cidr: 172.20.0.0/16}", "network.pods: the default 172.20.0.0/14 overlaps cidr"),
        ("network: {pods: 172.21.0.0/22}", "network.pods: must be between /9 and /21"),
        ("network: {zones: 3}", "2 nodes cannot be spread evenly over 3 zones | count: 3"),
        ("endpoint: {private: false}", "endpoint.private: cannot be false on GKE"),
        ("mode: autopilot", "pools: cannot be combined with mode: autopilot"),
        ("ssh_from: iap", "ssh_from: needs a key to log in with"),
        ("ssh_from: everybody", "ssh_from"),
        ("tags: {Team: a}", "tags.Team: the key must begin with a letter"),
        ("tags: {team: A}", "the value 'A' may have lower-case letters"),
        ("tags: {goog-a: b}", "the prefix goog is reserved by the cloud"),
        ("num_nodes: 3", "count: 3"),
        ("registry: {name: Demo, repositories: [app]}", "registry.name: must be a repository"),
        (
            "network: {existing: {vpc: a, subnetwork: b, pods: c, services: d}, pods: 10.0.0.0/16}",
            "network.pods: cannot be combined with network.existing",
        ),
        (
            "network: {existing: {vpc: a, subnetwork: b, pods: c, services: d}, cidr: 10.0.0.0/16}",
            "network.cidr: cannot be combined with network.existing",
        ),
    ],
)
def test_what_google_cloud_would_refuse(tmp_path: Path, more: str, what: str) -> None:
    assert any(what in line for line in said(tmp_path, f"{GOOD}{more}\n"))


JENKINS_X = """\
registry: {name: demo, repositories: [app]}
ready: {jenkins_x: {git_url: "https://github.com/a/b"}}
"""


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("name: demo\n", "name: ab\n", "name: must have 3 to 23 characters for Jenkins X"),
        ("name: demo\n", f"name: {'a' * 24}\n", "after it, has 24"),
        ("name: demo\n", "name: my-g00gle\n", "name: cannot be in the names of buckets"),
        ("[app]}", "[app], push: node}", "registry.push: cannot be combined with ready.jenkins_x"),
    ],
)
def test_what_jenkins_x_cannot_have(tmp_path: Path, old: str, new: str, what: str) -> None:
    good = GOOD + JENKINS_X
    loaded(tmp_path, good)
    assert any(what in line for line in said(tmp_path, good.replace(old, new)))


def test_a_cluster_without_jenkins_x_may_have_a_longer_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD.replace("demo", "g00gle-" + "a" * 24)).name[-1] == "a"


def test_names_begin_with_a_letter(tmp_path: Path) -> None:
    text = GOOD.replace("name: demo", "name: 1demo").replace("name: default", "name: 2x")
    assert said(tmp_path, text) == [
        "name: must begin with a letter, is '1demo' | ",
        "pools[0].name: must begin with a letter, is '2x' | ",
    ]


@pytest.mark.parametrize(
    ("pool", "what"),
    [
        ("machine: m7i.large", "this is another cloud's"),
        (
            "machine: n4-standard-2, disk: {type: pd-ssd}",
            "n4 machines boot from hyperdisk",
        ),
        ("machine: e2-small, disk: {type: hyperdisk-balanced}", "e2 machines cannot boot from"),
        (
            "machine: n2-standard-4, disk: {type: hyperdisk-balanced}",
            "n2 machines cannot boot from",
        ),
        ("machine: a3-ultragpu-8g, disk: {type: pd-ssd}", "boot from hyperdisk-balanced only"),
        ("machine: e2-small, scopes: [storage]", "must be an access scope such as storage-full"),
        ("machine: e2-small, scopes: []", "pools[0].scopes"),
        (
            "machine: [e2-small, e2-medium]",
            "a pool takes one machine type on GKE, here are 2 | name one, or add a pool for each",
        ),
        ("machine: e2-small, count: 5000", "172.20.0.0/14 has room for 1024 nodes, a /24 each"),
    ],
)
def test_what_a_pool_cannot_have(tmp_path: Path, pool: str, what: str) -> None:
    text = f"cloud: gke\nname: demo\nregion: europe-west1\npools: [{{name: a, {pool}}}]\n"
    assert any(what in line for line in said(tmp_path, text))


@pytest.mark.parametrize(
    ("region", "hint"),
    [("europe-west1-b", "its region is europe-west1"), ("eu-west-1", "this is another cloud's")],
)
def test_a_region_of_another_form(tmp_path: Path, region: str, hint: str) -> None:
    (told,) = said(tmp_path, GOOD.replace("europe-west1", region))
    assert hint in told


def test_one_zone_is_zonal_and_several_are_regional(tmp_path: Path) -> None:
    assert not loaded(tmp_path, GOOD).regional
    assert loaded(tmp_path, f"{GOOD}network: {{zones: 2}}\n").regional
    assert loaded(tmp_path, f"{GOOD}location: regional\n").regional
    assert not loaded(tmp_path, f"{GOOD}location: zonal\nnetwork: {{zones: 2}}\n").regional
    auto = "cloud: gke\nname: demo\nregion: europe-west1\nmode: autopilot\n"
    assert loaded(tmp_path, auto).regional
    assert any("location: cannot be zonal" in t for t in said(tmp_path, f"{auto}location: zonal"))


def test_zones_may_be_chosen_in_an_existing_network(tmp_path: Path) -> None:
    existing = "network: {existing: {vpc: a, subnetwork: b, pods: c, services: d}, zones: 2}\n"
    network = loaded(tmp_path, GOOD + existing).network
    assert (network.zone_number, network.pod_range, network.service_range) == (2, None, None)


def test_scopes_have_gclouds_short_names(tmp_path: Path) -> None:
    scopes = f"scopes: [storage-full, {AUTH}logging.write]"
    profile = loaded(tmp_path, GOOD.replace("e2-standard-4", f"e2-standard-4, {scopes}"))
    assert profile.pools[0].scope_urls == (
        "https://www.googleapis.com/auth/devstorage.full_control",
        "https://www.googleapis.com/auth/logging.write",
    )
    assert loaded(tmp_path, GOOD).pools[0].scope_urls == (AUTH + SCOPES["cloud-platform"],)


def test_the_disk_is_what_the_series_takes() -> None:
    assert disk_type("e2-standard-4", None) == "pd-balanced"
    assert disk_type("n4-standard-4", None) == "hyperdisk-balanced"
    assert disk_type("c3-standard-4", "pd-ssd") == "pd-ssd"


def test_who_may_log_in(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43} me\n")
    profile = loaded(tmp_path, f"{GOOD}ssh_key: key.pub\nssh_from: iap\n")
    assert profile.ssh_ranges == (IAP,)
    profile = loaded(tmp_path, f"{GOOD}ssh_key: key.pub\nssh_from: [203.0.113.0/24]\n")
    assert profile.ssh_ranges == (IPv4Network("203.0.113.0/24"),)
    assert loaded(tmp_path, GOOD).ssh_ranges == ()


def test_the_dns_name_reaches_a_private_endpoint(tmp_path: Path) -> None:
    private = loaded(tmp_path, f"{GOOD}endpoint: {{public: false}}\n")
    assert "endpoint.public" in [each.where for each in private.warnings()]
    named = loaded(tmp_path, f"{GOOD}endpoint: {{public: false, dns: true}}\n")
    assert "endpoint.public" not in [each.where for each in named.warnings()]

"""One profile with everything wrong: every error at once, in plain words, with its line and its
cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit import clouds
from clusterkit.clouds import model
from clusterkit.eks.profile import EksProfile
from clusterkit.errors import Finding, ProfileError
from clusterkit.profile.model import BaseProfile, load, load_identity

CLOUDS = ("eks", "gke")
GOOD = """\
cloud: eks
name: demo
region: eu-west-1
pools:
  - {name: default, machine: m7i.xlarge}
"""


def models(cloud: str) -> type[BaseProfile]:
    return EksProfile if cloud in CLOUDS else model(cloud)


def write(folder: Path, text: str) -> Path:
    path = folder / "profile.yaml"
    path.write_text(text)
    return path


def findings(path: Path) -> list[Finding]:
    with pytest.raises(ProfileError) as error:
        load(path, models, CLOUDS)
    return list(error.value.findings)


def said(folder: Path, text: str) -> list[str]:
    """``line: field: what | hint`` of all findings."""
    path = write(folder, text)
    return [f"{f} | {f.hint}".removeprefix(f"{path}:") for f in findings(path)]


def test_defaults(tmp_path: Path) -> None:
    profile = load(write(tmp_path, GOOD), models, CLOUDS)
    assert isinstance(profile, EksProfile)
    assert (profile.name, profile.kubernetes, profile.ssh_public_key) == ("demo", None, None)
    assert (profile.pools[0].minimum, profile.pools[0].maximum) == (2, 2)
    assert profile.network.nat == "one"
    assert profile.storage.keep_volumes is False
    assert profile.registry is None


def test_everything_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
cloud: eks
name: Demo_X
regoin: eu-west-1
kubernetes: 1.30
network: {cidr: 10.0.0.5/16, nat: yes}
pools:
  - name: a
    machine: {cpu: four, memory: 16}
    count: two
    disk: {size: "120"}
    colour: red
  - name: b
    machine: [m7i.large, large]
    count: {min: 5, max: 1}
    taints: [{key: a, effect: NoSchedul}]
  - 7
endpoint:
storage: ssd
logging: api
tags: [team]
"""
    assert said(tmp_path, text) == [
        "2: name: must be lower-case letters, digits and '-', beginning and ending with a letter "
        "or digit, is 'Demo_X' | ",
        "3: regoin: is not a known key | did you mean 'region'?",
        '4: kubernetes: must be text, is the number 1.30 | write "1.30", in quotes',
        "5: network.cidr: 10.0.0.5/16 has host bits set | "
        "the network is 10.0.0.0/16; the single address is 10.0.0.5/32",
        '5: network.nat: YAML reads yes as true | write true, or "yes" for text',
        "8: pools[0].machine.cpu: must be a whole number, is 'four' | ",
        "9: pools[0].count: must be a whole number, or a range such as {min: 1, max: 5}, "
        "is 'two' | ",
        "10: pools[0].disk.size: must be a whole number, is '120' | write it without quotes",
        "11: pools[0].colour: is not a known key | known keys: name, machine, count, disk, spot, "
        "labels, taints, max_unavailable",
        "13: pools[1].machine[1]: must be an EC2 instance type such as m7i.xlarge, is 'large' | ",
        "14: pools[1].count.min: min 5 is greater than max 1 | ",
        "15: pools[1].taints[0].effect: must be one of 'NoSchedule', 'PreferNoSchedule' or "
        "'NoExecute', is 'NoSchedul' | did you mean NoSchedule?",
        "16: pools[2]: must be a mapping (keys and values), is the number 7 | its keys: name, "
        "machine, count, disk, spot, labels, taints, max_unavailable",
        "17: endpoint: is empty | set a value, or remove the key",
        "18: storage: must be a mapping (keys and values), is 'ssd' | its keys: default, "
        "keep_volumes",
        "19: logging: must be a list, is 'api' | write [api]",
        "20: tags: must be a mapping (keys and values), is a list | ",
    ]


def test_fields_of_other_clouds_are_named_when_only_cloud_was_changed(tmp_path: Path) -> None:
    text = """\
cloud: aks
name: demo
region: westeurope
location: regional
logging: [api]
network: {plugin: terway}
pools: [{name: a, machine: {cpu: 2, memory: 8}, disk: {encrypted: true}}]
"""
    path = write(tmp_path, text)
    with pytest.raises(ProfileError) as error:
        load(path, clouds.model, clouds.CLOUDS)
    told = [f"{f} | {f.hint}".removeprefix(f"{path}:") for f in error.value.findings]
    assert told == [
        "4: location: only gke has this field | remove it, or write region: westeurope",
        "5: logging: only eks has this field | remove it, or set cloud: eks (docs/portability.md)",
        "6: network.plugin: only alibaba has this field | remove it, or set cloud: alibaba "
        "(docs/portability.md)",
        "7: pools[0].disk.encrypted: only alibaba and eks have this field | remove it, or set "
        "cloud: alibaba or eks (docs/portability.md)",
    ]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (
            "kubernetes: v1.35",
            'kubernetes: must be a version such as "1.35", is \'v1.35\' | write "1.35"',
        ),
        ('kubernetes: "1.35.2"', "is '1.35.2' | write \"1.35\": the cloud"),
        ("kubernetes: 1.36.1", "kubernetes: must be"),
        (
            "endpoint: {public: false, private: false}",
            "endpoint: public and private cannot both be false",
        ),
        (
            "endpoint: {public: false, allowed: [0.0.0.0/0]}",
            "endpoint.allowed: cannot be combined with public: false",
        ),
        ("endpoint: {allowed: []}", "endpoint.allowed: is an empty list"),
        (
            "endpoint: {allowed: [8.8.8.0/24, 8.8.8.0/24]}",
            "endpoint.allowed[1]: range '8.8.8.0/24' is",
        ),
        ("endpoint: {public: maybe}", "endpoint.public: must be true or false, is 'maybe'"),
        (
            "network: {services: 10.0.4.0/22}",
            "network.services: 10.0.4.0/22 overlaps cidr, the default 10.0.0.0/16",
        ),
        ("network: {zones: []}", "network.zones: needs at least 1, has 0"),
        ("network: {zones: true}", "network.zones: must be a number of zones, or a list"),
        ("storage: {default: hdd}", "storage.default: must be 'ssd', is 'hdd'"),
        ("ready: {kaniko: {}}", "ready.kaniko: needs a registry to push to | add registry:"),
        ("ready: {kaniko: {namespace: Builds}}", "ready.kaniko.namespace: must be lower-case"),
        ("ready: {jenkins_x: {}}", "ready.jenkins_x.git_url: is missing | https URL"),
        ("ready: {jenkins_x: {git_url: git@github.com:a/b}}", "must be the https URL"),
        ("ready: {jenkins_x: {git_url: 'https://[x'}}", "git_url: is not a URL"),
        (
            "ready: {jenkins_x: {git_url: 'https://github.com/a/b'}}",
            "ready.jenkins_x: needs a registry to push to",
        ),
        ("ready: {jenkins: {}}", "ready.jenkins: needs a registry to push to"),
        (
            "ready: {jenkins_x: {git_url: 'https://github.com/a/b', tls_email: a@b.io}}",
            "ready.jenkins_x.tls_email: needs a domain",
        ),
        ("tags: {clusterkit-name: x}", "tags.clusterkit-name: the prefix clusterkit- is reserved"),
        ("tags: {cost: 12}", 'tags.cost: must be text, is the number 12 | write "12", in quotes'),
        ("registry: {name: demo, repositories: []}", "registry.repositories: needs at least 1"),
        (
            "registry: {name: a, repositories: [b, b]}",
            "registry.repositories[1]: repository 'b' is",
        ),
        (
            "registry: {name: a, repositories: [b, b/cache]}",
            "'b/cache' is the name of the layer cache",
        ),
        ("netwrk: {}", "netwrk: is not a known key | did you mean 'network'?"),
        ("network: {cdir: 10.0.0.0/16}", "network.cdir: is not a known key | did you mean 'cidr'?"),
    ],
)
def test_one_error(tmp_path: Path, more: str, what: str) -> None:
    (found,) = said(tmp_path, f"{GOOD}{more}\n")
    assert found.startswith("6: ")
    assert what in found


@pytest.mark.parametrize(
    ("pool", "what"),
    [
        ("{name: default, machine: t3.large}", "pools[1].name: pool 'default' is listed twice"),
        ("{name: x_y, machine: t3.large}", "pools[1].name: must be lower-case letters"),
        (f"{{name: {'x' * 21}, machine: t3.large}}", "must be at most 20 characters, has 21"),
        ("{machine: t3.large}", "pools[1].name: is missing | unique in the profile"),
        ("{name: a, machine: {cpu: 4}}", "pools[1].machine.memory: is missing | GiB"),
        ("{name: a, machine: 4}", "pools[1].machine: must be a size such as {cpu: 4, memory: 16}"),
        ("{name: a, machine: []}", "pools[1].machine: is empty | name a machine type"),
        (
            "{name: a, machine: [t3.large, t3.large]}",
            "pools[1].machine[1]: 't3.large' is listed twice",
        ),
        (
            "{name: a, machine: {cpu: 0, memory: 4}}",
            "machine.cpu: must be at least 1, is the number 0",
        ),
        ("{name: a, machine: {cpu: 1.5, memory: 4}}", "must be a whole number, is the number 1.5"),
        ("{name: a, machine: t3.large, count: 0}", "pools[1].count: must be at least 1"),
        ("{name: a, machine: t3.large, count: true}", "pools[1].count: must be a whole number, or"),
        ("{name: a, machine: t3.large, labels: {a b: x}}", "labels.a b: 'a b' must be at most 63"),
        (
            "{name: a, machine: t3.large, labels: {-/b: x}}",
            "the part before '/' must be a DNS name",
        ),
        ("{name: a, machine: t3.large, labels: {b: -x}}", "the value '-x' must be empty or"),
        (
            "{name: a, machine: t3.large, taints: [{key: a, effect: NoExecute}, "
            "{key: a, value: b, effect: NoExecute}]}",
            "taints[1]: a with effect NoExecute is listed twice",
        ),
        ("{name: a, machine: t3.large, spot: 1}", "pools[1].spot: must be true or false"),
    ],
)
def test_one_error_in_a_pool(tmp_path: Path, pool: str, what: str) -> None:
    (found,) = said(tmp_path, f"{GOOD}  - {pool}\n")
    assert found.startswith("6: ")
    assert what in found


@pytest.mark.parametrize(
    "more", ["count: {min: 0, max: 3}", "taints: [{key: a, effect: NoExecute}]"]
)
def test_cluster_dns_needs_a_node(tmp_path: Path, more: str) -> None:
    (found,) = said(tmp_path, GOOD.replace("m7i.xlarge}", f"m7i.xlarge, {more}}}"))
    assert "CoreDNS cannot be scheduled" in found


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: x\n", "1: cloud: is missing | cloud: eks | gke"),
        (
            "name: x\ncloud: ekss\n",
            "2: cloud: must be one of eks, gke, is 'ekss' | did you mean eks?",
        ),
        ("cloud: AWS\n", "1: cloud: must be one of eks, gke, is 'AWS' | did you mean eks?"),
        ("cloud: [eks]\n", "1: cloud: must be one of eks, gke"),
        ("cloud: no\n", "1: cloud: YAML reads no as false"),
    ],
)
def test_the_cloud_comes_first(tmp_path: Path, text: str, what: str) -> None:
    (found,) = said(tmp_path, text)
    assert found.startswith(what)


def test_credentials_in_a_url_are_not_repeated(tmp_path: Path) -> None:
    more = 'ready: {jenkins_x: {git_url: "https://me:hunter2@github.com/a/b"}}\n'
    (found,) = said(tmp_path, GOOD + more)
    assert "contains credentials" in found
    assert "hunter2" not in found


def test_no_pool_at_all(tmp_path: Path) -> None:
    (found,) = said(tmp_path, GOOD.partition("pools")[0] + "pools: []\n")
    assert found == "4: pools: needs at least 1, has 0 | "
    (found,) = said(tmp_path, GOOD.partition("pools")[0])
    assert found == (
        "1: pools: is missing | "
        "add pools: [{name: default, machine: {cpu: 4, memory: 16}, count: 2}]"
    )


def test_an_ssh_key_is_looked_for_beside_the_profile(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
    (tmp_path / "keys" / "me.pub").write_text(f"{text} me@home\n")
    path = write(tmp_path, GOOD + "ssh_key: keys/me.pub\n")
    profile = load(path, models, CLOUDS)
    assert profile.ssh_public_key == text
    assert profile.model_dump(mode="json")["ssh_key"] == "keys/me.pub"
    (found,) = said(tmp_path, GOOD + "ssh_key: keys/you.pub\n")
    assert found.startswith("6: ssh_key: 'keys/you.pub' does not exist")


def test_a_target_needs_three_fields_and_forgives_the_rest(tmp_path: Path) -> None:
    text = GOOD + "pools: nonsense\nnetwork: {nat: yes, cidr: 7}\ncolour: red\n"
    assert load_identity(write(tmp_path, text), clouds.regions, {})[:3] == (
        "eks",
        "demo",
        "eu-west-1",
    )


def test_a_target_is_sure_of_its_three_fields(tmp_path: Path) -> None:
    path = write(tmp_path, "cloud: eks\nname: a\nname: b\n")
    with pytest.raises(ProfileError) as error:
        load_identity(path, clouds.regions, {})
    assert [str(finding) for finding in error.value.findings] == [
        f"{path}:1: region: is missing",
        f"{path}:3: name: is a duplicate key, first used on line 2",
    ]

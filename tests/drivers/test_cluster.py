"""clusterkit as a library: a process that lives, many at once, accounts, reads that fail."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import clusterkit
from clusterkit.engine.events import Event
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError, CredentialsError, Throttled, WrongAccount
from clusterkit.profile.model import BaseProfile
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers import aks, alibaba, aws, gke
from tests.drivers.cases import MINIMAL, each
from tests.drivers.world import AT_ONCE, Case, World, edited, world

Retag = Callable[[World, str, str], None]
"""(world, id, value): set the tag ``team`` with the vendor's SDK alone"""


class Calls(list[Exchange]):
    """An observer that remembers what was answered."""

    def __call__(self, seen: Exchange) -> None:
        if seen.phase == "after":
            self.append(seen)

    def changes(self) -> list[str]:
        """The operations that change something."""
        return [seen.operation for seen in self if seen.mutating]


def _ec2(there: World, identifier: str, value: str) -> None:
    tags = [{"Key": "team", "Value": value}]
    aws.Account(there).ec2.create_tags(Resources=[identifier], Tags=tags)


def _role(there: World, identifier: str, value: str) -> None:
    aws.Account(there).iam.tag_role(RoleName=identifier, Tags=[{"Key": "team", "Value": value}])


def _eks(there: World, identifier: str, value: str) -> None:
    client = aws.Account(there).eks
    arn = client.describe_cluster(name=identifier)["cluster"]["arn"]
    client.tag_resource(resourceArn=arn, tags={"team": value})


def _aliyun(product: str, kind: str) -> Retag:
    def retag(there: World, identifier: str, value: str) -> None:
        tag = [{"Key": "team", "Value": value}]
        here = {"ResourceType": kind, "ResourceId": [identifier], "Tag": tag}
        alibaba.Account(there)(f"{product}:TagResources", **here)

    return retag


def _gke_cluster(there: World, identifier: str, value: str) -> None:
    account, (place, _, name) = gke.Account(there), identifier.partition("/")
    path = f"projects/{account.project}/locations/{place}/clusters/{name}"
    shown = account("container", "GET", path)
    labels = {**shown["resourceLabels"], "team": value}
    body = {"resourceLabels": labels, "labelFingerprint": shown["labelFingerprint"]}
    account("container", "POST", f"{path}:setResourceLabels", body)


def _gke_pool(there: World, identifier: str, value: str) -> None:
    account, name = gke.Account(there), identifier.rpartition("/")[2]
    clusters = f"projects/{account.project}/locations/-/clusters"
    [cluster] = account("container", "GET", clusters)["clusters"]
    [pool] = [one for one in cluster["nodePools"] if one["name"] == name]
    labels = {**pool["config"]["resourceLabels"], "team": value}
    where = f"projects/{account.project}/locations/{cluster['location']}/clusters"
    path = f"{where}/{cluster['name']}/nodePools/{name}"
    account("container", "PUT", path, {"resourceLabels": {"labels": labels}})


def _azure(there: World, identifier: str, value: str) -> None:
    tags = {"operation": "Merge", "properties": {"tags": {"team": value}}}
    path = f"{identifier}/providers/Microsoft.Resources/tags/default"
    aks.Account(there)("PATCH", path, tags)


BY_HAND: Mapping[str, Mapping[str, Retag]] = {
    "eks": {
        "vpc": _ec2, "subnet": _ec2, "nat-gateway": _ec2, "internet-gateway": _ec2,
        "elastic-ip": _ec2, "route-table": _ec2, "role": _role, "cluster": _eks,
    },
    "alibaba": {
        "vpc": _aliyun("vpc", "VPC"),
        "vswitch": _aliyun("vpc", "VSWITCH"),
        "eip": _aliyun("vpc", "EIP"),
        "nat-gateway": _aliyun("vpc", "NATGATEWAY"),
        "security-group": _aliyun("ecs", "securitygroup"),
    },
    "gke": {"cluster": _gke_cluster, "node-pool": _gke_pool},
    "aks": dict.fromkeys(("cluster", "identity", "virtual-network", "nat-gateway"), _azure),
}  # fmt: skip
"""kind in the inventory to how one of it is tagged"""


@each(MINIMAL)
def test_a_process_that_lives_sees_every_change_made_by_hand(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        profile = there.load(edited(there.case.profile, {"tags": {"team": "ci"}}))
        cluster = there.cluster()
        there.settle(cluster.apply(cluster.plan(profile), there.events.append))
        ways = BY_HAND[case.cloud]
        kinds = list(ways)
        for change in range(10):
            kind = kinds[change % len(kinds)]
            thing = next(
                thing for thing in there.case.look(there)
                if thing.kind == kind and thing.marks.get("team")
            )  # fmt: skip
            ways[kind](there, thing.id, f"by-hand-{change}")
            found = cluster.plan(profile)
            seen = [str(edit) for step in found.todo for edit in step.changes]
            assert f"tags.team: by-hand-{change} -> ci" in seen, (kind, seen)
            assert len(cluster.observe().things) > 5
        there.settle(cluster.apply(found, there.events.append))
        assert cluster.plan(profile).empty
        there.settle(cluster.apply(cluster.plan_destroy(), there.events.append))
        assert cluster.observe().things == ()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "count", [3, pytest.param(32, marks=[pytest.mark.deep, pytest.mark.crowd])]
)
def test_many_clusters_on_as_many_threads(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many on each cloud, in one process, all at the same time: each comes up and goes."""
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")
    home = tmp_path / "sandbox"
    with Sandbox(directory=home, pace=AT_ONCE) as sandbox:
        connection = CloudConnection(sandbox.proxy, sandbox.ca_file, sandbox.environment(), 0.0)
        worlds = {case.cloud: World(sandbox, case, tmp_path) for case in MINIMAL}
        for there in worlds.values():
            there.case.prepare(there)
        gate = threading.Barrier(count)

        def live(number: int) -> tuple[str, list[str]]:
            there = list(worlds.values())[number % len(worlds)]
            profile = _named(there, f"many-{number}")
            cluster = clusterkit.Cluster.from_profile(profile, connection)
            gate.wait(60)
            stop = threading.Event()
            errors = cluster.apply(cluster.plan(), lambda _: None, stop).failed
            assert not errors, errors
            assert cluster.plan().empty
            made = [thing.key for thing in cluster.observe().things]
            errors = cluster.apply(cluster.plan_destroy(), lambda _: None, stop).failed
            assert not errors, errors
            return profile.name, made

        with ThreadPoolExecutor(count) as pool:
            lived = dict(pool.map(live, range(count)))
        assert len(lived) == count
        assert all(len(made) > 5 for made in lived.values())
        for there in worlds.values():
            left = [t for t in there.case.look(there) if "clusterkit-cluster" in t.marks]
            assert left == []


def _named(there: World, name: str) -> BaseProfile:
    """The case's profile for a cluster of this name, of one small pool."""
    return there.profile.model_copy(update={"name": name})


@each(MINIMAL)
@pytest.mark.parametrize("what", ["plan", "adopt", "activate"])
def test_a_wrong_account_makes_no_change(case: Case, what: str, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        calls = Calls()
        cluster = clusterkit.Cluster(
            there.target(), there.connection(calls), expect_account="999999999999"
        )
        activated: list[str] = []
        with pytest.raises(WrongAccount) as told:
            cluster.plan(
                there.profile,
                adopt=["vpc/main=vpc-12345678"] if what == "adopt" else (),
                activate=activated.append if what == "activate" else None,
            )
        assert isinstance(told.value, CredentialsError)
        assert "999999999999" in str(told.value)
        assert calls.changes() == []
        assert activated == []


@each(MINIMAL)
def test_a_plan_of_another_account_is_not_applied(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        calls = Calls()
        cluster = there.cluster(observe=calls)
        planned = replace(cluster.plan(there.profile), account="999999999999")
        with pytest.raises(WrongAccount):
            cluster.apply(planned, there.events.append)
        assert calls.changes() == []
        assert there.events == []


WHO = {
    "eks": ("GetCallerIdentity", "sts:*"),
    "alibaba": ("GetCallerIdentity", "sts:*"),
    "gke": ("projects.get", "cloudresourcemanager.*"),
    "aks": ("Microsoft.Resources/subscriptions GET", "subscriptions:*"),
}
"""the operation that tells the account, and a pattern of it"""
AKS_KEY = (
    "ssh-public-key/x=/subscriptions/5a6d0000-5b5c-4b0c-8a11-0000000c10cb/resourceGroups/g"
    "/providers/Microsoft.Compute/sshPublicKeys/x"
)
ADOPTED = {"": "vpc/main=vpc-0123456789abcdef0", "gke": "firewall/ssh=theirs", "aks": AKS_KEY}
"""what is not there"""


@each(MINIMAL)
def test_adoption_tags_after_the_account_is_checked(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        calls = Calls()
        cluster = there.cluster(observe=calls)
        with pytest.raises(ClusterkitError):
            cluster.plan(there.profile, adopt=[ADOPTED.get(case.cloud, ADOPTED[""])])
        asked = [seen.operation for seen in calls]
        who, _ = WHO[case.cloud]
        assert who in asked
        assert calls.changes()
        assert asked.index(who) < asked.index(calls.changes()[0])


@each(MINIMAL)
@pytest.mark.parametrize("kind", ["throttle", "error", "lost"])
def test_reads_outside_a_run_are_retried(case: Case, kind: Any, tmp_path: Path) -> None:
    """Account, preflight, plan, access and credential, with a third of all calls failing."""
    with world(case, tmp_path) as there:
        there.settle(there.up())
        waits: list[tuple[str, float]] = []
        connection = replace(
            there.connection(), waiting=lambda reason, delay: waits.append((reason, delay))
        )
        cluster = clusterkit.Cluster(there.target(), connection)
        there.sandbox.faults.set([Rule("*", kind, rate=0.3)])
        for _ in range(5):
            assert cluster.account()
            assert cluster.access().server.startswith("https://")
            assert cluster.credential().expires
        assert cluster.preflight(there.profile).account
        assert cluster.plan(there.profile).empty
        there.sandbox.faults.clear()
        assert len(waits) > 3


@each(MINIMAL)
def test_a_read_that_always_fails_ends_with_the_clouds_reason(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusterkit.engine import backoff

    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 1.0)
    with world(case, tmp_path) as there:
        there.sandbox.faults.set([Rule(WHO[case.cloud][1], "throttle")])
        told: list[str] = []
        connection = replace(there.connection(), throttled=told.append)
        with pytest.raises(Throttled):
            clusterkit.Cluster(there.target(), connection).account()
        assert len(told) > 1
        assert len(set(told)) == 1  # the API
        there.sandbox.faults.clear()


def test_stop_interrupts_a_run(tmp_path: Path) -> None:
    with world(MINIMAL[0], tmp_path) as there:
        stop = threading.Event()
        cluster = there.cluster()

        def emit(event: object) -> None:
            stop.set()

        outcome = cluster.apply(cluster.plan(there.profile), emit, stop)
        assert outcome.interrupted
        assert not outcome.ok
        there.settle(there.up())


def test_a_plan_may_be_applied_again_but_not_twice_at_once(tmp_path: Path) -> None:
    with world(MINIMAL[1], tmp_path) as there:
        cluster = there.cluster()
        plan = cluster.plan(there.profile, there.facts())
        second: list[ClusterkitError] = []

        def emit(_: Event) -> None:
            if not second:
                with pytest.raises(ClusterkitError, match="being applied already") as caught:
                    cluster.apply(plan, lambda _: None)
                second.append(caught.value)

        there.settle(cluster.apply(plan, emit))
        assert second
        made = there.things().keys()
        there.settle(cluster.apply(plan, lambda _: None))
        assert there.things().keys() == made
        gone = cluster.plan_destroy()
        there.settle(cluster.apply(gone, lambda _: None))
        there.settle(cluster.apply(gone, lambda _: None))
        there.settle(cluster.apply(plan, lambda _: None))
        assert there.plan().empty
        there.settle(there.destroy())


def test_whoever_holds_the_lock_plans_and_applies_under_it(tmp_path: Path) -> None:
    with world(MINIMAL[0], tmp_path) as there:
        there.settle(there.up())
        cluster = there.cluster()
        lock = cluster.hold().result()
        vpc = next(each for each in cluster.observe().things if each.key == "vpc/main")
        assert cluster.plan(there.profile, adopt=[f"vpc/main={vpc.id}"], lock=lock).empty
        gone = cluster.plan_destroy([f"vpc/main={vpc.id}"], lock=lock)
        there.settle(cluster.apply(gone, there.events.append, lock=lock))
        cluster.let_go(lock, well=True).result()
        with pytest.raises(ClusterkitError, match="was let go of"):
            cluster.apply(gone, there.events.append, lock=lock)
        assert not cluster.locked()


def test_a_lock_that_is_let_go_late_leaves_the_next_ones_guard(tmp_path: Path) -> None:
    """Somebody took it over meanwhile, in the same process."""
    with world(MINIMAL[0], tmp_path) as there:
        cluster = there.cluster()
        first = cluster.hold().result()
        second = cluster.hold(take_over=True).result()
        cluster.let_go(first, well=True).result()
        assert cluster._fence.lock is second
        there.settle(cluster.apply(cluster.plan(there.profile), there.events.append, lock=second))
        cluster.let_go(second, well=True).result()
        assert not cluster.locked()
        there.settle(there.destroy())


def _open_files() -> int:
    """The sandbox's end of each connection too, which is in this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@each(MINIMAL)
def test_what_was_asked_of_a_cluster_leaves_no_connection_to_it(case: Case, tmp_path: Path) -> None:
    """Whether or not garbage is collected: of hundreds they would be more than may be open."""
    with world(case, tmp_path) as there:
        cluster = there.cluster()
        there.settle(cluster.apply(cluster.plan(there.profile), there.events.append))
        cluster.observe()
        gc.collect()
        gc.disable()
        try:
            before = _open_files()
            for _ in range(4):
                assert cluster.plan(there.profile).empty
                cluster.observe()
            assert _open_files() < before + 60  # else some 60 each time
        finally:
            gc.enable()
        there.settle(there.destroy())


def test_a_profile_is_of_its_own_cluster_only(tmp_path: Path) -> None:
    with world(MINIMAL[0], tmp_path) as there:
        other = clusterkit.Cluster(Target("eks", "other", "eu-west-1"), there.connection())
        with pytest.raises(ClusterkitError, match="other on eks in eu-west-1"):
            other.plan(there.profile)
        with pytest.raises(ClusterkitError, match="no profile given"):
            other.plan()


@each(MINIMAL)
def test_a_trace_has_every_call_and_no_secret(case: Case, tmp_path: Path) -> None:
    from clusterkit.cli.trace import Trace

    file = tmp_path / "trace.jsonl"
    file.touch(0o644)
    with world(case, tmp_path) as there:
        trace = Trace(file)
        cluster = there.cluster(observe=trace)
        there.settle(cluster.apply(cluster.plan(there.profile), there.events.append))
        credential = cluster.credential()
        bearer = cluster.access().token
        kube = there.cloud.connect(there.target(), there.connection(trace)).kube
        path = "/api/v1/namespaces/default/secrets/planted"
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"}}
        kube.apply(path, {**body, "stringData": {"password": "hunter2-planted"}})
        kube.patch(path, {"stringData": {"other": "hunter3-planted"}})
        kube.list("/api/v1/namespaces/default/secrets")
        trace.close()
        known = there.connection().environ
        text = file.read_text()
        lines = text.splitlines()
        assert len(lines) > 100
        whats = Counter((line["number"], line["what"]) for line in map(json.loads, lines))
        assert set(whats.values()) == {1}
        assert len(whats) == 2 * len({number for number, _ in whats})
    planted = [value for name, value in known.items() if "SECRET" in name or "KEY_ID" in name]
    planted += [credential.token, credential.key, bearer() if bearer else ""]
    planted += ["hunter2-planted", "hunter3-planted", "aHVudGVyMi1wbGFudGVk", "PRIVATE KEY"]
    planted += ["client-key-data", "X-Amz-Signature=", "k8s-aws-v1."]
    assert len([secret for secret in planted if secret]) > 6
    for secret in planted:
        assert not secret or secret not in text, secret
    assert file.stat().st_mode & 0o777 == 0o600


@each(MINIMAL)
def test_a_cluster_that_is_done_with_goes_with_its_connections(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        found = there.cluster()
        found.observe()
        left = weakref.ref(found)
        del found
        gc.collect()
        assert left() is None

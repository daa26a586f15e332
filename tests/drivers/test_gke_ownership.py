"""Whose things are whose on GKE: lost labels, other people's clusters, what others changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.cluster import Plan
from clusterkit.engine.kind import Leftover
from clusterkit.errors import Denied, NotOurs, PreflightError
from clusterkit.gke.cluster import Cluster
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.google.gateway import GoogleCloud
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers.gke import Account
from tests.drivers.gke_cases import MINIMAL, MINIMAL_CASE, REGION, ZONES
from tests.drivers.gke_near import NEAR, OURS
from tests.drivers.near import of_the_cloud
from tests.drivers.world import AT_ONCE, World, edited, world


def adopt(found: World, wanted: str) -> Plan:
    """What ``plan --adopt`` says."""
    return found.cluster().plan(found.profile, found.facts(), adopt=[wanted])


def refusal(plan: Callable[[], Plan]) -> NotOurs:
    with pytest.raises(NotOurs) as caught:
        plan()
    return caught.value


def test_what_lost_its_mark_is_named_and_can_be_adopted(tmp_path: Path) -> None:
    with world(NEAR.rich, tmp_path) as found:
        found.settle(found.up())
        states = found.plan().snapshot.states
        one_each = {key.partition("/")[0]: key for key in sorted(states, reverse=True)}
        assert one_each.keys() >= of_the_cloud(found)
        for kind in of_the_cloud(found) - NEAR.sure.keys():
            key = one_each[kind]
            NEAR.strip(found, kind, states[key])
            error = refusal(found.plan)
            wanted = f"{key}={states[key].id}"
            assert f"--adopt {wanted}" in error.hint, (key, str(error), error.hint)
            assert adopt(found, wanted).empty, key
        found.settle(found.destroy())


def test_a_pool_keeps_the_labels_that_others_gave_it(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        states = found.plan().snapshot.states
        key, have = next(each for each in states.items() if each[0].startswith("node-pool/"))
        account = Account(found)
        theirs = {"resourceLabels": {"labels": {"cost-center": "theirs"}}}
        account("container", "PUT", have.path, theirs)
        refusal(found.plan)
        adopt(found, f"{key}={have.id}")
        labels = account("container", "GET", have.path)["config"]["resourceLabels"]
        assert labels["cost-center"] == "theirs"
        assert labels["clusterkit-cluster"] == "demo"


def test_a_cluster_of_somebody_elses_is_not_touched(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        have = found.plan().snapshot.states["cluster/demo"]
        NEAR.strip(found, "cluster", have)
        for plan in (found.plan, found.destroy_plan):
            error = refusal(plan)
            assert f"--adopt cluster/demo={ZONES[0]}/demo" in error.hint
        assert adopt(found, f"cluster/demo={have.id}").empty
        found.settle(found.destroy())


def test_what_only_carries_the_name_of_a_cluster_is_kept(tmp_path: Path) -> None:
    """A disk of a cluster that clusterkit never had."""
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        labels = {"goog-k8s-cluster-name": "demo", "goog-k8s-cluster-location": ZONES[0]}
        body = {"name": "pvc-1", "sizeGb": "10", "labels": labels}
        account.compute("POST", f"zones/{ZONES[0]}/disks", body)
        network = {"name": "theirs", "autoCreateSubnetworks": False}
        account.compute("POST", "global/networks", network)
        rule = {
            "name": "gke-demo-12345678-all",
            "network": f"projects/{account.project}/global/networks/theirs",
            "sourceRanges": ["10.0.0.0/8"],
            "allowed": [{"IPProtocol": "tcp"}],
        }
        account.compute("POST", "global/firewalls", rule)
        before = found.things()
        plan = found.destroy_plan()
        assert plan.empty
        assert [kept.key.partition("/")[0] for kept in plan.kept] == ["disks"]
        found.settle(found.destroy())
        assert found.things() == before


def test_an_account_of_a_cluster_elsewhere_keeps_what_it_has_on_our_repository(
    tmp_path: Path,
) -> None:
    profile = edited(MINIMAL, {"registry": {"name": "demo", "repositories": ["app"]}})
    with world(replace(MINIMAL_CASE, profile=profile), tmp_path) as found:
        found.settle(found.up())
        account, path = Account(found), found.plan().snapshot.states["repository/demo"].id
        theirs = {"description": "clusterkit us-central1/demo/nodes remove"}
        body = {"accountId": "ck-demo-nodes-abcdef", "serviceAccount": theirs}
        made = account("iam", "POST", f"projects/{account.project}/serviceAccounts", body)
        policy = account("artifactregistry", "GET", f"{path}:getIamPolicy")
        readers = {
            "role": "roles/artifactregistry.reader",
            "members": [f"serviceAccount:{made['email']}"],
        }
        policy = {**policy, "bindings": [*policy["bindings"], readers]}
        account("artifactregistry", "POST", f"{path}:setIamPolicy", {"policy": policy})
        assert found.plan().empty


def test_pods_that_others_let_push_keep_that(tmp_path: Path) -> None:
    registry = {"name": "demo", "repositories": ["app"], "push": ["builds/kaniko"]}
    profile = edited(MINIMAL, {"registry": registry})
    with world(replace(MINIMAL_CASE, profile=profile), tmp_path) as found:
        found.settle(found.up())
        account, path = Account(found), found.plan().snapshot.states["repository/demo"].id
        policy = account("artifactregistry", "GET", f"{path}:getIamPolicy")
        [writers] = [one for one in policy["bindings"] if one["role"].endswith(".writer")]
        [ours] = writers["members"]
        theirs = ours.replace("builds/sa/kaniko", "other/sa/pusher")
        writers["members"].append(theirs)
        account("artifactregistry", "POST", f"{path}:setIamPolicy", {"policy": policy})
        assert found.plan().empty
        less = found.load(edited(profile, {"registry.push": []}))
        found.settle(found.up(less))
        found.settle(found.destroy())
        after = account("artifactregistry", "GET", f"{path}:getIamPolicy")
        held = [who for one in after["bindings"] for who in one["members"]]
        assert theirs in held
        assert ours not in held


def test_a_disk_of_a_region_whose_name_begins_as_ours_is_not_seen(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        labels = {
            "clusterkit-cluster": "demo",
            "clusterkit-keep": "false",
            "goog-k8s-cluster-name": "demo",
            "goog-k8s-cluster-location": f"{REGION}2-a",
        }
        body = {"name": "pvc-1", "sizeGb": "10", "labels": labels}
        account.compute("POST", f"zones/{ZONES[0]}/disks", body)
        before = found.things()
        plan = found.destroy_plan()
        assert (plan.empty, list(plan.kept)) == (True, [])
        found.settle(found.destroy())
        assert found.things() == before


def test_a_cluster_that_stays_keeps_what_it_uses(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        up = found.look()
        deletes = "container.projects.locations.clusters.delete"
        found.sandbox.faults.set([Rule(deletes, "refuse", code="PERMISSION_DENIED", status=403)])
        outcome = found.destroy()
        assert list(outcome.failed) == ["cluster/demo"]
        assert isinstance(outcome.failed["cluster/demo"], Denied)
        assert "network/main" in outcome.stopped
        kinds = ("binding", "iam-service-account", "network", "subnetwork", "firewall")
        assert {kind: found.look()[kind] for kind in kinds} == {kind: up[kind] for kind in kinds}
        rows = {kind.kind for kind in found.cloud.KINDS if isinstance(kind, Leftover)}
        drains = {kind.kind for kind in found.cloud.KINDS if kind.optional}
        told = {"unmarked-accounts", "volume-snapshots"}
        assert rows - drains - told <= set(Cluster.uses)
        found.sandbox.faults.clear()
        found.settle(found.destroy())
        assert found.look() == before


def test_what_others_changed_comes_back(tmp_path: Path) -> None:
    profile = edited(MINIMAL, {"ssh_key": "me.pub", "ssh_from": "iap"})
    with world(replace(MINIMAL_CASE, profile=profile), tmp_path) as found:
        found.settle(found.up())
        account, states = Account(found), found.plan().snapshot.states
        router, network = states["router/main"].id, states["network/main"].id
        account.compute("PATCH", f"regions/{REGION}/routers/{router}", {"nats": []})
        rule = f"global/firewalls/{OURS}-ssh"
        shown = account.compute("GET", rule)
        changed = {"name": shown["name"], "network": shown["network"]}
        account.compute("PATCH", rule, {**changed, "sourceRanges": ["0.0.0.0/0"]})
        subnetwork = f"regions/{REGION}/subnetworks/{states['subnetwork/nodes'].id}"
        access = {"privateIpGoogleAccess": False}
        account.compute("POST", f"{subnetwork}/setPrivateIpGoogleAccess", access)
        left = {step.key: [edit.field for edit in step.changes] for step in found.plan().todo}
        assert left == {
            "router/main": ["NAT"],
            "firewall/ssh": ["sources"],
            "subnetwork/nodes": ["private Google access"],
        }
        found.settle(found.up())
        assert found.plan().empty
        assert account.compute("GET", f"global/networks/{network}")["name"] == OURS


def test_a_secondary_range_that_somebody_removed_comes_back(tmp_path: Path) -> None:
    """While no cluster uses it; others that were added stay."""
    with world(MINIMAL_CASE, tmp_path) as found:
        account = Account(found)
        network = {"name": OURS, "autoCreateSubnetworks": False}
        network["description"] = f"clusterkit {REGION}/demo/main"
        account.compute("POST", "global/networks", network)
        theirs = {"rangeName": "theirs", "ipCidrRange": "10.99.0.0/20"}
        body = {
            "name": f"{OURS}-nodes",
            "description": f"clusterkit {REGION}/demo/nodes",
            "network": f"projects/{account.project}/global/networks/{OURS}",
            "ipCidrRange": "10.0.0.0/16",
            "privateIpGoogleAccess": True,
            "secondaryIpRanges": [theirs],
        }
        account.compute("POST", f"regions/{REGION}/subnetworks", body)
        [step] = [each for each in found.plan().todo if each.key == "subnetwork/nodes"]
        assert [(edit.field, edit.want) for edit in step.changes] == [
            ("secondary ranges", "pods, services")
        ]
        found.settle(found.up())
        assert found.plan().empty
        shown = account.compute("GET", f"regions/{REGION}/subnetworks/{OURS}-nodes")
        assert theirs in shown["secondaryIpRanges"]
        assert len(shown["secondaryIpRanges"]) == 3


def test_roles_that_others_took_or_gave_are_put_right(tmp_path: Path) -> None:
    """And what others have in the same policy stays, with its condition."""
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        email = found.plan().snapshot.states["iam-service-account/nodes"].id
        ours, path = f"serviceAccount:{email}", f"projects/{account.project}"
        options = {"options": {"requestedPolicyVersion": 3}}
        policy = account("cloudresourcemanager", "POST", f"{path}:getIamPolicy", options)
        until = {
            "title": "a while",
            "expression": "request.time < timestamp('2030-01-01T00:00:00Z')",
        }
        theirs = [
            {"role": "roles/browser", "members": ["user:theirs@example.com"]},
            {"role": "roles/viewer", "members": [ours, "user:a@example.com"], "condition": until},
        ]
        kept = [
            {**one, "members": [each for each in one["members"] if each != ours]}
            for one in policy["bindings"]
        ]
        bindings = [*(one for one in kept if one["members"]), *theirs]
        bindings.append({"role": "roles/owner", "members": [ours]})
        body = {"policy": {**policy, "bindings": bindings, "version": 3}}
        account("cloudresourcemanager", "POST", f"{path}:setIamPolicy", body)
        [step] = found.plan().todo
        assert step.key == "iam-service-account/nodes"
        found.settle(found.up())
        assert found.plan().empty
        after = account("cloudresourcemanager", "POST", f"{path}:getIamPolicy", options)
        assert theirs[0] in after["bindings"]
        assert theirs[1] in after["bindings"], "a binding with a condition is nobody's of ours"
        held = {one["role"] for one in after["bindings"] if ours in one["members"]}
        assert held == {"roles/container.defaultNodeServiceAccount", "roles/viewer"}


def test_a_project_that_is_not_set_up_is_told_so_and_can_be(tmp_path: Path) -> None:
    made: list[GoogleCloud] = []

    def make(context: SandboxContext) -> GoogleCloud:
        made.append(GoogleCloud(context))
        return made[-1]

    with Sandbox(directory=tmp_path / "sandbox", pace=AT_ONCE, emulators=[make]) as sandbox:
        made[0].store.conditions.activated = False
        sandbox.reset()
        found = World(sandbox, MINIMAL_CASE, tmp_path)
        with pytest.raises(PreflightError, match=r"container\.googleapis\.com") as caught:
            found.cluster().plan(found.profile)
        assert "up --activate" in caught.value.findings[0].hint
        told: list[str] = []
        cluster = found.cluster()
        plan = cluster.plan(found.profile, activate=told.append)
        assert any("container.googleapis.com" in text for text in told), told
        found.settle(cluster.apply(plan, found.events.append))
        assert found.cluster().plan(found.profile).empty
        found.settle(found.destroy())

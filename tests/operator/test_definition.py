"""The CustomResourceDefinition and the manifests: structural, complete, and as the drivers are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit.clouds import ACCOUNT_FIELDS, CLOUDS, HOME_FIELDS, model
from clusterkit.cluster import target_of
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Denied, Immutable
from clusterkit.kube.conditions import Condition, merged
from clusterkit.operator.conditions import told
from clusterkit.operator.crd import OWN, crd
from clusterkit.operator.manifests import manifests
from clusterkit.operator.metrics import Metrics
from clusterkit.operator.wanted import check_same, recorded, target_in
from tests.drivers.cases import CASES
from tests.drivers.world import edited

ROOT = Path(__file__).parent.parent.parent
SPEC = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def nodes(part: Mapping[str, Any], path: str = "spec") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema in a schema."""
    yield path, part
    for key, inner in part.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        if isinstance(part.get(key), dict):
            yield from nodes(part[key], f"{path}[]")


def test_the_schema_is_structural() -> None:
    for path, part in nodes(SPEC):
        assert "type" in part or part.get("x-kubernetes-preserve-unknown-fields"), path
        assert not part.keys() & {"$ref", "oneOf", "anyOf", "const", "title", "$defs"}, path
        assert not ("properties" in part and "additionalProperties" in part), path


def test_it_has_every_field_of_every_cloud() -> None:
    for cloud in CLOUDS:
        assert SPEC["properties"].keys() >= model(cloud).model_fields.keys()
        assert not OWN.keys() & model(cloud).model_fields.keys()


def test_explain_says_what_a_field_is_on_each_cloud() -> None:
    """Not what it is on the first of them; the words of ``kubectl explain``."""
    told = {path: part.get("description", "") for path, part in nodes(SPEC)}
    assert told["spec"].count("\n") == len(CLOUDS) - 1
    regions = told["spec.region"].splitlines()
    assert [line.partition(":")[0] for line in regions] == list(CLOUDS)
    assert told["spec.cloud"].startswith("alibaba: ")
    assert told["spec.network.plugin"].startswith("alibaba: ")  # no other cloud has it
    assert told["spec.pools[].name"] == "unique in the profile, at most 20 characters"  # all have


def test_no_default_takes_the_place_of_what_was_not_said() -> None:
    """The models tell a field that is left out from one with the default in it."""
    for path, part in nodes(SPEC):
        assert "default" not in part or path.split(".")[1] in OWN, path


def broken(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The messages of the rules that refuse this change, by an evaluator of CEL."""
    import cel

    values = {"self": dict(new), "oldSelf": dict(old)}
    rules = SPEC["x-kubernetes-validations"]
    return [each["message"] for each in rules if cel.evaluate(each["rule"], values) is not True]


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=lambda case: case.id)
def test_what_a_driver_refuses_a_rule_refuses(case: Any) -> None:
    """But for versions and ranges of subnetworks, of which only the cloud knows what is there."""
    assert broken(case.profile, case.profile) == []
    for label, edits, _ in case.refused:
        if label != "back" and (case.cloud, label) != ("gke", "cidr"):
            assert broken(case.profile, edited(case.profile, edits)), label


@pytest.mark.parametrize("case", [case for case in CASES if case.changes], ids=lambda case: case.id)
def test_what_a_driver_changes_no_rule_refuses(case: Any) -> None:
    for label, edits in case.changes:
        assert broken(case.profile, edited(case.profile, edits)) == [], label


def test_identity_has_rules() -> None:
    before = {"cloud": "aks", "region": "westeurope"}
    fields = {*ACCOUNT_FIELDS.values(), *HOME_FIELDS.values(), "name", "region"}
    for field in fields - {"project"}:
        assert any(f"{field} cannot" in told for told in broken(before, {**before, field: "b"}))
    before["cloud"] = "gke"
    assert "project cannot" in broken(before, {**before, "project": "b"})[0]


def test_a_field_of_another_cloud_is_refused() -> None:
    wrong = {"cloud": "eks", "region": "eu-west-1", "tier": "free"}
    assert broken(wrong, wrong) == ["only aks has tier"]


def test_the_operator_refuses_another_cluster_itself() -> None:
    before = Target("eks", "demo", "eu-west-1")
    check_same(None, before)
    check_same(before, before)
    with pytest.raises(Immutable, match="region cannot be changed from eu-west-1 to eu-north-1"):
        check_same(before, Target("eks", "demo", "eu-north-1"))


def test_conditions_keep_the_time_of_what_stays() -> None:
    first = merged([], [Condition("Ready", True, "Running")], 1)
    first[0]["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    again = merged(first, [Condition("Ready", True, "Running", "still")], 2)
    assert again[0]["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert again[0]["observedGeneration"] == 2
    other = merged(again, [Condition("Ready", False, "Gone")], 2)
    assert other[0]["status"] == "False"
    assert other[0]["lastTransitionTime"] != "2020-01-01T00:00:00Z"


def test_errors_are_told_as_on_the_command_line() -> None:
    error = Denied("no right", where="vpc/main", hint="ask", code="UnauthorizedOperation",
                   operation="ec2:CreateVpc", request_id="r-1")  # fmt: skip
    assert told(error) == (
        "vpc/main: no right (ec2:CreateVpc UnauthorizedOperation, request r-1); ask"
    )
    assert told(KeyError("secret")) == (
        "this is a bug in clusterkit (KeyError); the operator's log has it"
    )


def test_metrics_are_in_prometheus_format() -> None:
    metrics = Metrics()
    metrics.took("run", time.monotonic() - 700.0, cloud='a"b', action="up", result="ok")
    metrics.gauge("clusters", lambda cloud: 3 * (cloud == "eks"))
    lines = metrics.text().splitlines()
    run = 'action="up",cloud="a\\"b"'
    for end, count in (("600.0", 0), ("900.0", 1), ("+Inf", 1)):
        row = f'clusterkit_run_seconds_bucket{{{run},le="{end}",result="ok"}} {count}.0'
        assert row in lines
    [total] = (line for line in lines if line.startswith("clusterkit_run_seconds_sum"))
    assert float(total.split()[-1]) == pytest.approx(700.0, abs=1.0)
    assert 'clusterkit_clusters{cloud="eks"} 3.0' in lines
    metrics.watched(CloudConnection(), "eks").throttled("ec2")  # type: ignore[misc]
    assert 'clusterkit_cloud_throttles_total{cloud="eks",service="ec2"} 1.0' in metrics.text()


def test_the_manifests_are_hardened_and_complete() -> None:
    found = {each["kind"]: each for each in manifests("example.test/op:1", "ops", 3, ["--x"])}
    assert set(found) == {
        "CustomResourceDefinition", "Namespace", "ServiceAccount", "ClusterRole",
        "ClusterRoleBinding", "Role", "RoleBinding", "Deployment",
    }  # fmt: skip
    deployment = found["Deployment"]
    assert deployment["metadata"]["namespace"] == "ops"
    assert deployment["spec"]["replicas"] == 3
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["image"] == "example.test/op:1"
    assert container["args"] == ["operator", "run", "--namespace", "ops", "--x"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert yaml.safe_load(yaml.safe_dump(list(found.values())))
    assert len(json.dumps(found["CustomResourceDefinition"])) < 200_000  # kubectl's annotation


def test_the_target_is_the_profiles() -> None:
    from clusterkit.operator.wanted import profile_of

    body = {
        "metadata": {"namespace": "n", "name": "demo"},
        "spec": {
            "cloud": "aks",
            "region": "westeurope",
            "resource_group": "rg",
            "policy": "Manage",
            "pools": [{"name": "a", "machine": {"cpu": 2, "memory": 8}}],
            "tags": {"owner": "team"},
        },
    }
    target = target_of(profile_of(body))
    assert target == Target("aks", "demo", "westeurope", home="rg")
    assert target.tags == (("owner", "team"),)
    again = target_in({"target": recorded(target)}, body["spec"])
    assert again == target
    assert again.tags == target.tags  # a company may require them on the lock

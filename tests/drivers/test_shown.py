"""What a plan and ``status`` show of what is paid for, and why a pool takes another's place."""

from __future__ import annotations

from pathlib import Path

from clusterkit.engine.seen import details
from tests.drivers import cases
from tests.drivers.world import Case, edited, world

OTHER = {
    "eks": "m6i.xlarge",
    "alibaba": "ecs.g7.2xlarge",
    "gke": "e2-standard-8",
    "aks": "Standard_D8s_v5",
}


@cases.each(cases.MINIMAL)
def test_what_is_bought_and_why_it_changes(case: Case, tmp_path: Path) -> None:
    machine = case.profile["pools"][0]["machine"]
    with world(case, tmp_path) as found:
        first = {step.key: step.details for step in found.plan().steps}
        [pool] = [about for about in first.values() if about.get("machine")]
        assert pool["machine"] == machine
        assert pool["nodes"] == "2"
        assert pool["disk"].endswith(" GiB")
        assert any(about.get("Kubernetes", "").startswith("1.") for about in first.values())
        assert any("/" in about.get("range", "") for about in first.values())
        found.settle(found.up())
        seen = [details(thing.state) for thing in found.cluster().observe().things]
        assert [each["nodes"] for each in seen if each.get("machine") == machine] == ["2"]
        assert any(each.get("Kubernetes", "").startswith("1.") for each in seen)
        other = found.load(edited(case.profile, {"pools.0.machine": OTHER[case.cloud]}))
        new, old = found.plan(other).todo
        assert (new.op, old.op) == ("create", "delete")
        changed = f"machine: {machine} -> {OTHER[case.cloud]}"
        assert new.why == f"takes the place of {old.key}: {changed}"
        assert old.why == f"{new.key} takes its place"
        larger = edited(case.profile, {"pools.0.disk.size": 200})
        why = [step.why for step in found.plan(found.load(larger)).todo if step.details.get("disk")]
        assert len(why) == 1
        assert "disk" in why[0]
        found.settle(found.destroy())

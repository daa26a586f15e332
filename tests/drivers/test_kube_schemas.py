"""Whatever clusterkit sends to Kubernetes is valid by the official schemas, from the oldest version
that it supports to the newest: what `up` makes, what `verify --probe` makes, agents of Jenkins.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from clusterkit.engine.exchange import Exchange
from clusterkit.ready import jenkins
from clusterkit.ready.verify import Wanted
from tests.drivers.alibaba_cases import PERSONAL_CASE
from tests.drivers.cases import MINIMAL
from tests.drivers.world import Case, edited, world

VERSIONS = sorted(
    {v for v in kubernetes_validate.utils.all_versions() if int(v.split(".")[1]) >= 32}
)
PROFILE = {
    "registry": {"name": "demo", "repositories": ["app"], "keep": False},
    "ready": {
        "kaniko": {},
        "jenkins": {},
        "jenkins_x": {"git_url": "https://github.com/a/b", "keep_storage": False},
    },
    "storage": {"default": "ssd"},
}
CASES = [*(case for case in MINIMAL if case.cloud != "alibaba"), PERSONAL_CASE]
PROBED = {"PersistentVolumeClaim", "Pod", "Service"}
MADE = {"ConfigMap", "Namespace", "ServiceAccount", "StorageClass"}


def valid(body: Any) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(body, version, strict=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cloud)
def test_whatever_is_sent_is_valid(case: Case, tmp_path: Path) -> None:
    assert VERSIONS[0].startswith("1.32.")
    seen: list[Exchange] = []
    with world(case, tmp_path) as found:
        edits = PROFILE | {"pools.0.count": {"min": 1, "max": 3}}
        profile = found.load(edited(case.profile, edits))
        cluster = found.cluster(observe=seen.append)
        plan = cluster.plan(profile, activate=lambda _: None)
        found.settle(cluster.apply(plan, found.events.append))
        cluster.verify(profile, Wanted(probe=True))
        access, agents = cluster.push_access(profile), profile.ready.agents
        assert access is not None
        assert agents
        values = jenkins.values(agents, access)
    sent = [one.sent for one in seen if one.service == "kubernetes" and one.phase == "before"]
    whole = [body for body in sent if isinstance(body, dict) and "apiVersion" in body]
    bodies = list({json.dumps(body): body for body in whole}.values())
    assert {body["kind"] for body in bodies} >= PROBED | MADE
    [template] = yaml.safe_load(values["agent"]["podTemplates"]["kaniko"])
    agent = yaml.safe_load(template["yaml"])
    assert agent["kind"] == "Pod"
    for body in [*bodies, {**agent, "metadata": {**agent["metadata"], "name": "agent"}}]:
        valid(body)

"""How often the cloud is asked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit import Cluster
from clusterkit.errors import CredentialsError, PreflightError
from clusterkit_sandbox.alibaba.gateway import AlibabaCloud
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers import alibaba_cases
from tests.drivers.cases import FULL, MINIMAL, each
from tests.drivers.world import AT_ONCE, Case, World, world


@each((*MINIMAL, *FULL))
def test_unchanged_up_asks_each_question_once(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        there.settle(there.up())
        before = there.sandbox.requests.count()
        assert there.cluster().plan(there.profile).empty
        asked = there.sandbox.requests.entries()[before - there.sandbox.requests.count() :]
        counted = Counter(request.operation for request in asked)
        assert len(counted) >= 15
        twice = {what: times for what, times in counted.items() if times > 1}
        assert set(twice) <= set(case.apiece), twice


@each(MINIMAL)
def test_what_waits_is_asked_anew(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        cluster = there.cluster()
        there.settle(cluster.apply(cluster.plan(there.profile), there.events.append))
        assert there.plan().empty


@each(MINIMAL)
def test_preflight_says_what_is_wrong_while_the_look_goes_on(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        asked = there.profile.model_copy(update={"kubernetes": "1.11"})
        with pytest.raises(PreflightError, match=r"1\.11"):
            there.cluster().plan(asked)


@each(MINIMAL)
def test_unknown_credentials_are_told_as_such_whichever_call_fails_first(
    case: Case, tmp_path: Path
) -> None:
    with world(case, tmp_path) as there:
        known = there.connection().environ
        wrong = {name: "AKIAWRONG" if name.endswith("KEY_ID") else known[name] for name in known}
        if file := known.get("GOOGLE_APPLICATION_CREDENTIALS"):
            key = json.loads(Path(file).read_text()) | {"client_email": "nobody@example.com"}
            (tmp_path / "key.json").write_text(json.dumps(key))
            wrong["GOOGLE_APPLICATION_CREDENTIALS"] = str(tmp_path / "key.json")
        if "AZURE_CLIENT_SECRET" in known:
            wrong["AZURE_CLIENT_SECRET"] = "wrong"
        cluster = Cluster(there.target(), replace(there.connection(), environ=wrong))
        with pytest.raises(CredentialsError):
            cluster.plan(there.profile)


def test_account_that_is_not_set_up_is_told_so_and_not_which_look_failed_for_it(
    tmp_path: Path,
) -> None:
    made: list[AlibabaCloud] = []

    def make(context: SandboxContext) -> AlibabaCloud:
        made.append(AlibabaCloud(context))
        return made[-1]

    with Sandbox(directory=tmp_path / "sandbox", pace=AT_ONCE, emulators=[make]) as sandbox:
        made[0].store.conditions.activated = False
        sandbox.reset()
        there = World(sandbox, alibaba_cases.MINIMAL_CASE, tmp_path)
        with pytest.raises(PreflightError, match="lacks service roles"):
            there.cluster().plan(there.profile)

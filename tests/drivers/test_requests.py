"""How often the cloud is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.cli import session
from clusterkit.errors import CredentialsError, PreflightError
from clusterkit_sandbox.alibaba.gateway import AlibabaCloud
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers import alibaba_cases
from tests.drivers.cases import FULL, MINIMAL, each
from tests.drivers.world import AT_ONCE, Case, World, world


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def _session(there: World) -> session.Session:
    target, wire = there.target(), there.wire
    return session.Session(there.cloud, target, wire, there.clients(), "", sandbox=True)


@each((*MINIMAL, *FULL))
def test_unchanged_up_asks_each_question_once(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        there.settle(there.up())
        here, before = _session(there), there.sandbox.requests.count()
        prepared = session.prepare(here, there.profile, prune=True, adopt=())
        assert prepared.plan.empty
        there.cloud.access(here.clients, here.target)  # what the kubeconfig is made of
        asked = there.sandbox.requests.entries()[before - there.sandbox.requests.count() :]
        counted = Counter(request.operation for request in asked)
        assert len(counted) > 15
        twice = {what: times for what, times in counted.items() if times > 1}
        assert set(twice) <= set(case.apiece), twice


@each(MINIMAL)
def test_what_waits_is_asked_anew(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        here = _session(there)
        prepared = session.prepare(here, there.profile, prune=True, adopt=())
        done = session.execute(prepared.cx, prepared.plan, "up", there.events.append, lambda: None)
        there.settle(done)
        assert there.plan().empty


@each(MINIMAL)
def test_preflight_says_what_is_wrong_while_the_look_goes_on(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        asked = there.profile.model_copy(update={"kubernetes": "1.11"})
        with pytest.raises(PreflightError, match=r"1\.11"):
            session.prepare(_session(there), asked, prune=True, adopt=())


@each(MINIMAL)
def test_unknown_credentials_are_told_as_such_whichever_call_fails_first(
    case: Case, tmp_path: Path
) -> None:
    with world(case, tmp_path) as there:
        known = there.wire.environ
        wrong = {name: "AKIAWRONG" if name.endswith("KEY_ID") else known[name] for name in known}
        wire = replace(there.wire, environ=wrong)
        clients = there.cloud.connect(there.target(), wire)
        here = replace(_session(there), wire=wire, clients=clients)
        with pytest.raises(CredentialsError):
            session.prepare(here, there.profile, prune=True, adopt=())


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
            session.prepare(_session(there), there.profile, prune=True, adopt=())

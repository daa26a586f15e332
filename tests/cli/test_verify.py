"""``clusterkit verify`` as it is typed, on a cluster that clusterkit did not make."""

from __future__ import annotations

import base64
import errno
import json
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner, Result

import clusterkit_sandbox.kube as sandbox_kube
from clusterkit.cli.connect import stop_on_signals
from clusterkit.cli.main import app
from clusterkit.errors import ClusterkitError, UsageError
from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, Cloud, node


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster without a storage driver."""
    folder = tmp_path_factory.mktemp("kube")
    served = sandbox_kube.kube_server("embedded", Pace(math.inf), folder)
    opened = served.open(
        "any", hosts=["c.example.test"], version="1.34", hooks=Cloud(drivers=[]), objects=[GP3],
        review=lambda token: Identity("admin", ("system:masters",)) if token == "t" else None,
    )  # fmt: skip
    opened.set_nodes([node(1)])
    host, port = opened.address
    ca = base64.b64encode(opened.ca_pem.encode()).decode()
    cluster = {"server": f"https://{host}:{port}", "certificate-authority-data": ca}
    body = {
        "current-context": "mine",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "mine", "context": {"cluster": "c", "user": "u"}}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(body))
    yield path
    served.close()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for name in ("CLUSTERKIT_SANDBOX", "CLUSTERKIT_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["verify", *words], standalone_mode=False)


def test_people_get_what_is_wrong_and_its_cure(config: Path) -> None:
    done = run("--kubeconfig", str(config))
    assert done.return_value == 1
    assert "K3  passed   exactly one StorageClass is the default\n" in done.stdout
    assert "        storageclass/gp3: there is no CSIDriver ebs.csi.aws.com\n" in done.stdout
    assert "        seen as: Waiting for a volume to be created" in done.stdout
    assert "        cure: install the driver" in done.stdout
    assert done.stdout.endswith("mine: 3 passed, 1 failed, 3 skipped\n")
    assert done.stderr == "context mine\n"


def test_the_current_context_if_there_is_no_profile(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(config))
    done = run("--skip", "K4")
    assert done.return_value == 0
    assert "mine: 3 passed, 3 skipped" in done.stdout


def test_without_a_profile_and_a_context() -> None:
    done = run()
    assert isinstance(done.exception, UsageError)
    assert "name a profile" in done.exception.hint


def test_programs_get_one_document(config: Path) -> None:
    done = run("--kubeconfig", str(config), "--only", "k3,K4", "--output", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["cluster"], found["ok"]) == ("mine", False)
    assert found["counts"] == {"passed": 1, "failed": 1}
    k3, k4 = found["checks"]
    assert (k3["id"], k3["status"], k3["level"], k3["purpose"]) == ("K3", "passed", "static", "any")
    [result] = k4["results"]
    assert result["status"] == "failed"
    assert all(result[key] for key in ("what", "where", "seen", "cure"))
    assert done.return_value == 1


def umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def test_ci_gets_junit(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "verify.xml"
    run("--kubeconfig", str(config), "--for", "kaniko", "--junit", str(file))
    assert file.stat().st_mode & 0o444 == 0o444 & ~umask()
    suite = ElementTree.parse(file).getroot()
    cases = {case.attrib["name"].split()[0]: case for case in suite}
    assert len(cases) == int(suite.attrib["tests"])
    assert suite.attrib["failures"] == str(len(suite.findall("testcase/failure")))
    assert suite.attrib["skipped"] == str(len(suite.findall("testcase/skipped")))
    failure = cases["K4"].find("failure")
    assert failure is not None
    assert "no CSIDriver" in failure.attrib["message"]
    assert "cure: " in (failure.text or "")
    assert cases["K3"].find("*") is not None
    assert cases["K5"].find("skipped") is not None


def test_a_file_that_cannot_be_written_costs_no_answer(config: Path, tmp_path: Path) -> None:
    done = run("--kubeconfig", str(config), "--only", "K3", "--junit", str(tmp_path))
    assert isinstance(done.exception, ClusterkitError)
    assert "K3  passed" in done.stdout


def test_the_end_of_the_terminal_stops_a_run_as_ctrl_c_does() -> None:
    def gone(_text: str) -> None:
        raise OSError(errno.EIO, "the terminal is gone")

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with stop_on_signals(gone) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.is_set()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stop_on_signals(gone) as stop:  # by nohup
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("words", "where", "what"),
    [
        (("--only", "K99"), "--only", "no check K99"),
        (("--skip", "X1"), "--skip", "no check X1"),
        (("--for", "jx"), "--for", "unknown purpose 'jx'"),
    ],
)
def test_words_that_mean_nothing(
    config: Path, words: tuple[str, ...], where: str, what: str
) -> None:
    done = run("--kubeconfig", str(config), *words)
    assert isinstance(done.exception, UsageError)
    assert done.exception.where == where
    assert what in done.exception.what
    assert done.exception.hint.startswith("one of: ")

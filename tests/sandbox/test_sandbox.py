"""The sandbox in one process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.echo import HOST, Echo


class World:
    """A sandbox with one emulator of our own."""

    def __init__(self, directory: Path) -> None:
        self.echoes: list[Echo] = []
        self.stops = threading.Event()
        self.sandbox = Sandbox(
            directory=directory,
            pace=Pace(math.inf),
            emulators=[self._echo],
            faults=Faults.parse("error:echo:Broken"),
            on_stop=self.stops.set,
        )

    def _echo(self, context: SandboxContext) -> Echo:
        assert context.directory.is_dir()
        self.echoes.append(Echo(context))
        return self.echoes[-1]

    def control(self, method: str, path: str, **more: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method,
                f"https://sandbox.clusterkit.internal{path}",
                headers={"Authorization": f"Bearer {more.get('token', self.sandbox.token)}"},
                data=more.get("body"),
                proxies={"https": self.sandbox.proxy},
                verify=str(self.sandbox.ca_file),
                timeout=10,
            )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "sandbox")
    with made.sandbox:
        yield made


PROGRAM = f"""
import urllib.request, urllib.error
print(urllib.request.urlopen("https://{HOST}/Create").status)
try:
    urllib.request.urlopen("http://example.com/")
except urllib.error.HTTPError as error:
    print(error.code)
try:
    urllib.request.urlopen("https://example.com/")
except urllib.error.URLError as error:
    print(error.reason)
"""


def test_its_environment_is_all_a_program_needs(world: World) -> None:
    machine = {
        **os.environ,
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "https_proxy": "http://127.0.0.1:1",
        "no_proxy": f"{HOST},example.com",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**machine, **world.sandbox.environment()},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    status, clear, refused = done.stdout.splitlines()
    assert (status, clear) == ("200", "403")
    assert "the sandbox does not emulate example.com" in refused
    assert world.echoes[0].created == 1


def test_every_variable_for_an_authority_names_ours_alone(world: World) -> None:
    variables = world.sandbox.environment()
    ours = str(world.sandbox.ca_file)
    for name in (
        "AWS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "HTTPLIB2_CA_CERTS",
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
    ):
        assert variables[name] == ours
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == world.sandbox.proxy
    assert variables["NO_PROXY"] == variables["no_proxy"] == "localhost,127.0.0.1,::1"
    assert variables["ECHO_KEY"] == "it's secret"


def test_emulators_are_warmed_and_end_empty(world: World) -> None:
    assert world.echoes[0].warmed.wait(10)
    world.sandbox.stop()
    assert world.echoes[0].resets == 1
    assert not world.sandbox.ca_file.parent.exists()
    world.sandbox.stop()


def test_its_files_are_for_the_owner_only(world: World) -> None:
    assert world.sandbox.ca_file.parent.stat().st_mode & 0o777 == 0o700


def test_the_control_host_wants_its_token(world: World) -> None:
    for token in ("", "wrong", "ümlaut".encode().decode("latin-1")):
        answer = world.control("POST", "/stop", token=token)
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
    assert not world.stops.is_set()
    assert world.control("POST", "/stop").status_code == 202
    assert world.stops.is_set()


def test_control(world: World) -> None:
    found = world.control("GET", "/status").json()
    assert found["pace"] == "max"
    assert found["emulators"] == ["echo"]
    assert found["faults"] == "error:echo:Broken"
    assert world.control("GET", "/environment").json() == world.sandbox.environment()
    assert world.control("PUT", "/faults", body="pages=1,lost=0.5").json()["faults"] == (
        "lost=0.5,pages=1"
    )
    assert world.sandbox.faults.page_size == 1
    wrong = world.control("PUT", "/faults", body="brake=1")
    assert wrong.status_code == 400
    assert "brake=1" in wrong.json()["error"]
    assert world.sandbox.faults.page_size == 1
    assert world.control("GET", "/nothing").status_code == 404


def test_reset_forgets_resources_and_requests_and_keeps_faults(world: World) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": world.sandbox.proxy}
        session.verify = str(world.sandbox.ca_file)
        assert session.post(f"https://{HOST}/Create").status_code == 200
        assert session.post(f"https://{HOST}/Broken").status_code == 503
        entries = world.control("GET", "/requests").json()
        assert [entry["operation"] for entry in entries] == ["echo:Create", "echo:Broken"]
        assert world.control("POST", "/reset").json()["requests"] == 0
        assert world.echoes[0].created == 0
        assert session.post(f"https://{HOST}/Broken").status_code == 503


def test_an_unknown_emulator_or_kube_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no emulator 'moon'; one of alibaba, eks"):
        Sandbox(directory=tmp_path, pace=Pace(1), emulators=["moon"])
    broken = Sandbox(directory=tmp_path, pace=Pace(1), emulators=[], kube="minikube")
    with pytest.raises(ValueError, match="minikube"):
        broken.start()
    assert not (tmp_path / "run").exists()


def test_nothing_listens_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = Sandbox(directory=tmp_path, pace=Pace(1), emulators=[]).proxy

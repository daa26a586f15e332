"""An emulated kaniko: its command line, its context, Docker's configuration, and its Job."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.registry import hub
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.builds import NAMESPACE, NOTE, Alone, Builder, archive, docker
from tests.sandbox.oci import Client, files
from tests.sandbox.workloads import until

REGISTRY = "index.docker.io"
TO = "--destination=docker.io/sandbox/app:v1"
DOCKER = {
    "name": "docker",
    "secret": {
        "secretName": "regcred",
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    },
}
MOUNTED = {"volumeMounts": [{"name": "docker", "mountPath": "/kaniko/.docker"}]}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Sandbox, Alone]]:
    made: list[Alone] = []

    def make(context: Any) -> Alone:
        made.append(Alone(context))
        return made[0]

    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=[make]) as sandbox:
        yield sandbox, made[0]


@pytest.fixture
def sandbox(world: tuple[Sandbox, Alone]) -> Sandbox:
    return world[0]


@pytest.fixture
def builder(world: tuple[Sandbox, Alone], tmp_path: Path) -> Builder:
    return Builder.alone(world[1], tmp_path)


def pulling(sandbox: Sandbox) -> Client:
    return Client(sandbox, "registry-1.docker.io")


def login(builder: Builder, sandbox: Sandbox, password: str = "") -> None:
    environ = sandbox.environment()
    pair = f"{environ[hub.USER]}:{password or environ[hub.PASSWORD]}"
    auth = base64.b64encode(pair.encode()).decode()
    builder.regcred(docker(auths={"https://index.docker.io/v1/": {"auth": auth}}))


def build(builder: Builder, *arguments: str, **more: Any) -> tuple[int, str]:
    return builder.built(*arguments, pod={"volumes": [DOCKER]}, container=dict(MOUNTED), **more)


def test_an_image_of_the_context(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    builder.context(hello="world")
    code, digest = build(builder, TO)
    assert code == 0, builder.log()
    found = pulling(sandbox)("GET", "/v2/sandbox/app/manifests/v1")
    assert found.headers["Docker-Content-Digest"] == digest
    (layer,) = pulling(sandbox).pull("sandbox/app", "v1")
    assert files(layer) == {"Dockerfile": "FROM scratch\nCOPY . /\n", "hello": "world"}
    assert NOTE in builder.log()
    assert f"Pushed {REGISTRY}/sandbox/app@{digest}" in builder.log()
    until(lambda: builder.batch.read_namespaced_job("kaniko", NAMESPACE).status.succeeded, "job")
    assert builder.pod().status.phase == "Succeeded"
    assert builder.state().terminated.reason == "Completed"
    image = pulling(sandbox)("GET", f"/v2/sandbox/app/blobs/{found.json['config']['digest']}")
    assert NOTE in image.data.decode()


def test_a_wrong_password_is_refused_by_the_registry(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox, "wrong")
    builder.context()
    code, message = build(builder, TO)
    assert code == 1
    assert (
        f'error checking push permissions: checking push permission for "{REGISTRY}/sandbox/app:v1"'
        f": creating push check transport for {REGISTRY} failed: GET https://auth.docker.io/token?"
    ) in message
    assert message.endswith("UNAUTHORIZED: incorrect username or password\n")
    assert NOTE not in builder.log()
    status = builder.batch.read_namespaced_job("kaniko", NAMESPACE).status
    assert [one.reason for one in status.conditions] == ["BackoffLimitExceeded"] * 2
    assert (status.failed, status.succeeded, builder.pod().status.phase) == (1, None, "Failed")


def test_without_credentials_nothing_is_pushed(builder: Builder) -> None:
    builder.context()
    code, message = builder.built(TO)
    assert code == 1
    assert "POST https://index.docker.io/v2/sandbox/app/blobs/uploads/: UNAUTHORIZED:" in message


def test_a_helper_that_the_image_does_not_have(builder: Builder) -> None:
    builder.context()
    builder.config_map("docker", config__json=docker(credsStore="acr"))
    volume = {"name": "docker", "configMap": {"name": "docker"}}
    pod, to = {"volumes": [volume]}, "--destination=x.azurecr.io/app:v1"
    code, message = builder.built(to, pod=pod, container=dict(MOUNTED))
    assert code == 1
    assert message.endswith(
        "resolving authorization for x.azurecr.io failed: error getting credentials - err: exec:"
        ' "docker-credential-acr": executable file not found in $PATH, out: ``\n'
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "Error: unknown flag: --nonsense"),
        (
            [TO, "--cache-ttl=2"],
            'Error: invalid argument "2" for "--cache-ttl" flag: time: missing unit in duration'
            ' "2"',
        ),
        (
            ["--no-push", "--cache=true"],
            "Error: cache flags invalid: if using cache with --no-push, specify cache repo with"
            " --cache-repo",
        ),
        (
            [TO, "--dockerfile=Other"],
            "Error: error resolving dockerfile path: please provide a valid path to a Dockerfile"
            " within the build context with --dockerfile",
        ),
        ([], "Error: you must provide --destination, or use --no-push"),
        (
            [TO, "--context=git://github.com/a/b.git"],
            'Error: error resolving source context: Get "https://github.com/a/b.git/info/refs'
            '?service=git-upload-pack": the sandbox does not emulate github.com',
        ),
    ],
)
def test_what_the_executor_does_not_take(
    builder: Builder, arguments: list[str], message: str
) -> None:
    builder.context()
    code, _ = builder.built(*arguments)
    assert code == 1
    assert builder.log().splitlines()[0] == message


RUNS = "FROM scratch\nCOPY . /\nRUN true\n"


def test_only_what_runs_is_cached(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    builder.context()
    cache = ("--cache=true", "--cache-repo=docker.io/sandbox/app-cache")
    assert build(builder, TO, *cache)[0] == 0, builder.log()
    tags = "/v2/sandbox/app-cache/tags/list"
    assert pulling(sandbox)("GET", tags).status != 200
    assert build(builder, TO, *cache, "--cache-copy-layers=true", name="copied")[0] == 0
    assert len(pulling(sandbox)("GET", tags).json["tags"]) == 1


def test_whether_a_repository_takes_a_push_is_asked_without_one(
    sandbox: Sandbox, builder: Builder
) -> None:
    login(builder, sandbox)
    builder.context()
    asking = ("--no-push", "--cache=true")
    code, _ = build(builder, *asking, "--cache-repo=docker.io/sandbox/app")
    assert code == 0, builder.log()
    assert pulling(sandbox)("GET", "/v2/sandbox/app/tags/list").status != 200
    code, message = build(builder, *asking, "--cache-repo=docker.io/other/app", name="other")
    assert code == 1
    assert 'checking push permission for "index.docker.io/other/app:latest": POST' in message


def test_the_cache_repository_is_not_asked_before(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    builder.context(Dockerfile=RUNS)
    code, _ = build(builder, TO, "--cache=true", "--cache-repo=docker.io/other/cache")
    assert code == 0
    (line,) = [one for one in builder.log().splitlines() if "Error uploading layer" in one]
    assert "failed to push to destination index.docker.io/other/cache:" in line
    assert "level=warning" in line
    code, _ = build(
        builder, TO, "--cache=true", "--cache-repo=docker.io/sandbox/app-cache", name="second"
    )
    assert code == 0
    assert "Error uploading" not in builder.log("second")
    assert len(pulling(sandbox)("GET", "/v2/sandbox/app-cache/tags/list").json["tags"]) == 1


def test_logs(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    builder.context()
    build(builder, TO)
    lines = builder.log().splitlines()
    assert builder.log(tail_lines=1).splitlines() == lines[-1:]
    stamped = builder.log(timestamps=True).splitlines()
    stamp, _, text = stamped[-1].partition(" ")
    assert (len(stamp), stamp[-1], text) == (30, "Z", lines[-1])
    assert builder.log(follow=True).splitlines() == lines
    assert builder.log(limit_bytes=5) == lines[0][:5]
    assert builder.log(since_seconds=3600).splitlines() == lines


def waiting(builder: Builder, name: str = "kaniko", **job: Any) -> None:
    """A build that waits for its context."""
    builder.job(
        "--context=tar://stdin", TO, name=name, pod={"volumes": [DOCKER]}, job=job,
        container={"stdin": True, "stdinOnce": True, **MOUNTED},
    )  # fmt: skip
    until(lambda: builder.state(name).running is not None, "the container")


def test_a_context_from_standard_input(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    waiting(builder)
    data = archive(src__main="hello")
    parts = [b"\0" + data[:20], b"\0" + data[20:], b"\xff\0"]
    protocol, heard = builder.attach("kaniko", "v5.channel.k8s.io", *parts)
    assert protocol == "v5.channel.k8s.io"
    assert heard[-1][:1] == b"\x03"
    assert b'"Success"' in heard[-1]
    assert NOTE.encode() in b"".join(one[1:] for one in heard if one[:1] == b"\x01")
    code, digest = builder.ended()
    assert code == 0, builder.log()
    (layer,) = pulling(sandbox).pull("sandbox/app", digest)
    assert files(layer) == {"Dockerfile": "FROM scratch\n", "src/main": "hello"}


def test_the_end_of_the_connection_ends_standard_input(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    waiting(builder)
    builder.attach("kaniko", "v4.channel.k8s.io", b"\0" + archive())
    assert builder.ended()[0] == 0, builder.log()
    waiting(builder, "half")
    builder.attach("half", "v4.channel.k8s.io", b"\0" + archive()[:40])
    code, _ = builder.ended("half")
    assert code == 1
    assert "error resolving source context: unexpected EOF" in builder.log("half")


def test_a_deadline_ends_a_build(sandbox: Sandbox, builder: Builder) -> None:
    login(builder, sandbox)
    waiting(builder, activeDeadlineSeconds=2)
    until(lambda: not builder.pods(), "the end of the pod")
    assert pulling(sandbox)("GET", "/v2/sandbox/app/tags/list").status != 200
    conditions = builder.batch.read_namespaced_job("kaniko", NAMESPACE).status.conditions
    assert {one.reason for one in conditions} == {"DeadlineExceeded"}


def test_a_real_executor(
    sandbox: Sandbox, builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "executor"
    program.write_text(
        '#!/bin/sh\ncat "$KANIKO_ROOT/workspace/Dockerfile"\necho "$1" "$DOCKER_CONFIG"\n'
        'printf sha256:abc > "$KANIKO_ROOT/dev/termination-log"\nexit 7\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("KANIKO_EXECUTOR", str(program))
    login(builder, sandbox)
    builder.context()
    assert build(builder, TO) == (7, "sha256:abc")
    first, _, last = builder.log().splitlines()
    assert first == "FROM scratch"
    context, config = last.split(" ")
    assert (context[:15], context[-10:]) == ("--context=dir:/", "/workspace")
    assert config.endswith("/kaniko/.docker/")
    assert NOTE not in builder.log()


def test_a_container_that_fails_runs_again(builder: Builder) -> None:
    builder.context()
    volume = {"name": "context", "configMap": {"name": "context"}}
    builder.job(
        "--context=dir:///workspace", "--nonsense",
        pod={"restartPolicy": "OnFailure", "volumes": [volume]}, job={"activeDeadlineSeconds": 60},
    )  # fmt: skip
    until(lambda: builder.pod().status.container_statuses[0].restart_count > 1, "two restarts")
    status = builder.pod().status
    assert status.phase == "Running"
    assert status.container_statuses[0].last_state.terminated.exit_code == 1


def test_a_job_tries_again_as_often_as_it_says(builder: Builder) -> None:
    builder.job("--nonsense", job={"backoffLimit": 2})
    until(
        lambda: builder.batch.read_namespaced_job("kaniko", NAMESPACE).status.conditions, "the end"
    )
    assert len(builder.pods()) == 3
    assert builder.batch.read_namespaced_job("kaniko", NAMESPACE).status.failed == 3


def test_a_real_executor_ends_with_its_pod(
    sandbox: Sandbox, builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, mark = tmp_path / "executor", tmp_path / "mark"
    program.write_text(
        f"#!/bin/sh\ntrap 'echo ended > {mark}; exit 143' TERM\necho up\nsleep 60 & wait\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("KANIKO_EXECUTOR", str(program))
    builder.job(TO)
    until(lambda: builder.state().running and builder.log(), "the program")
    builder.core.delete_namespaced_pod(builder.pod().metadata.name, NAMESPACE)
    until(mark.exists, "the end of the program")

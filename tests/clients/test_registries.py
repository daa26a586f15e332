"""Other people's registry clients push a layer to each emulated registry and get it back.

skopeo is looked for as ``$SKOPEO`` and on PATH, oras-py among the installed packages, kaniko's
credential helpers as ``$DOCKER_CREDENTIAL_ECR_LOGIN``, ``$DOCKER_CREDENTIAL_ACR_ENV`` and
``$DOCKER_CREDENTIAL_GCR`` and on PATH.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.alibaba.account import REGISTRY
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.registry import hub
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox import aliyun, azurecloud, gcp, oci, test_eks_service
from tests.sandbox.test_google_registry import repository

ECR = f"123456789012.dkr.ecr.{test_eks_service.REGION}.amazonaws.com"
ACR = "kanikodemo.azurecr.io"
GAR = f"{gcp.REGION}-docker.pkg.dev"
REGISTRIES = ("ecr", "acr", "gar", "alibaba", "hub")
Login = tuple[str, str, str]
"""a repository with its host, a user and a password"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    directory = tmp_path_factory.mktemp("registries")
    with Sandbox(directory=directory, pace=Pace(math.inf)) as made:
        yield made


@pytest.fixture(scope="module")
def logins(sandbox: Sandbox) -> Mapping[str, Login]:
    """A repository of each registry."""
    nothing: Any = None
    aws = test_eks_service.Aws(sandbox)
    aws.ecr.create_repository(repositoryName="demo/app")
    data = aws.ecr.get_authorization_token()["authorizationData"][0]
    user, password = base64.b64decode(data["authorizationToken"]).decode().split(":")
    azure = azurecloud.Azure(sandbox, nothing)
    azure.group()
    body = {"location": azurecloud.REGION, "sku": {"name": "Basic"}, "properties": {}}
    azure.done("PUT", f"{azurecloud.ACR}/kanikodemo", body)
    _, found = azure.form(
        f"https://{ACR}/oauth2/exchange", grant_type="access_token", service=ACR,
        access_token=azure.token,
    )  # fmt: skip
    google = gcp.Gcp(sandbox, nothing)
    repository(google)
    ali = aliyun.Aliyun(sandbox, nothing)
    ali("cr:CreateNamespace", InstanceId=REGISTRY, NamespaceName="demo", AutoCreateRepo=True)
    temporary = ali("cr:GetAuthorizationToken", InstanceId=REGISTRY)
    environ = sandbox.environment()
    return {
        "ecr": (f"{ECR}/demo/app", user, password),
        "acr": (f"{ACR}/demo/app", "00000000-0000-0000-0000-000000000000", found["refresh_token"]),
        "gar": (f"{GAR}/{gcp.PROJECT}/demo/app", "oauth2accesstoken", google.token),
        "alibaba": (
            f"sandbox-registry.{aliyun.REGION}.cr.aliyuncs.com/demo/app",
            temporary["TempUsername"],
            temporary["AuthorizationToken"],
        ),
        "hub": ("docker.io/sandbox/app", environ[hub.USER], environ[hub.PASSWORD]),
    }


def program(name: str) -> str:
    """A client's path; skips if it is not there."""
    variable = name.upper().replace("-", "_")
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        pytest.skip(f"no {name}: set {variable} to one, or put it on PATH")
    return found


def layout(folder: Path) -> bytes:
    """An OCI image layout with one image of one layer, which is returned (image-layout.md)."""
    data = oci.layer(**{"hello.txt": "hello"})
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(text: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(text).hexdigest()
        (blobs / digest).write_bytes(text)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(text)}

    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci.IMAGE,
        "config": put(json.dumps(config).encode(), oci.CONFIG),
        "layers": [put(data, oci.LAYER)],
    }
    entry = put(json.dumps(manifest).encode(), oci.IMAGE)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return data


@pytest.mark.parametrize("name", REGISTRIES)
def test_skopeo(sandbox: Sandbox, logins: Mapping[str, Login], name: str, tmp_path: Path) -> None:
    skopeo, (image, user, password) = program("skopeo"), logins[name]
    data = layout(tmp_path / "in")
    environ = {**os.environ, **sandbox.environment(), "HOME": str(tmp_path)}

    def run(*arguments: str) -> str:
        command = [skopeo, "--insecure-policy", *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    there, login = f"docker://{image}:v1", f"{user}:{password}"
    run("copy", "--dest-creds", login, f"oci:{tmp_path / 'in'}", there)
    assert "v1" in json.loads(run("inspect", "--creds", login, there))["RepoTags"]
    run("copy", "--src-creds", login, there, f"dir:{tmp_path / 'out'}")
    assert (tmp_path / "out" / hashlib.sha256(data).hexdigest()).read_bytes() == data


@pytest.mark.parametrize("name", REGISTRIES)
def test_docker(sandbox: Sandbox, logins: Mapping[str, Login], name: str, tmp_path: Path) -> None:
    """What docker's command does without its daemon: log in, and read and push manifests."""
    docker, (image, user, password) = program("docker"), logins[name]
    host = image.partition("/")[0]
    api = "registry-1.docker.io" if name == "hub" else host
    client = oci.Client(sandbox, api, user, password)
    repository = image.partition("/")[2]
    assert client.push(repository, "docker", oci.layer(a=name), kind=oci.DOCKER).status == 201
    environ = {**os.environ, **sandbox.environment(), "HOME": str(tmp_path)}
    environ |= {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [docker, *arguments], input=password, env=environ, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    server = [] if name == "hub" else [host]
    assert "Login Succeeded" in run("login", "--username", user, "--password-stdin", *server)
    found = json.loads(run("manifest", "inspect", f"{image}:docker"))
    assert found["layers"][0]["digest"] == oci.digest_of(oci.layer(a=name))
    run("manifest", "create", f"{image}:many", f"{image}:docker")
    run("manifest", "push", f"{image}:many")
    many = client("GET", f"/v2/{repository}/manifests/many", Accept="*/*").json
    assert many["manifests"][0]["mediaType"] == oci.DOCKER


@pytest.mark.parametrize("name", ["ecr", "acr", "gar"])
def test_oras(
    sandbox: Sandbox, logins: Mapping[str, Login], name: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With Basic credentials: its way with tokens asks for no more than the first challenge names,
    which is to pull.
    """
    client = pytest.importorskip("oras.client", reason="oras-py is not installed")
    for variable, value in {**sandbox.environment(), "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(variable, value)
    image, user, password = logins[name]
    one = client.OrasClient(hostname=image.partition("/")[0], auth_backend="basic")
    one.auth.set_basic_auth(user, password)
    monkeypatch.chdir(tmp_path)
    Path("hello.txt").write_text("hello", encoding="ascii")
    pushed = one.push(target=f"{image}:oras", files=["hello.txt"])
    assert pushed.status_code == 201
    [back] = one.pull(target=f"{image}:oras", outdir=str(tmp_path / "out"))
    assert Path(back).read_text(encoding="ascii") == "hello"


@pytest.mark.parametrize(
    ("helper", "host", "variables"),
    [
        ("docker-credential-ecr-login", ECR, {"AWS_ECR_DISABLE_CACHE": "true"}),
        ("docker-credential-acr-env", ACR, {}),
        ("docker-credential-gcr", GAR, {}),
    ],
)
def test_helpers_of_kaniko(
    sandbox: Sandbox, logins: Mapping[str, Login], tmp_path: Path,
    helper: str, host: str, variables: Mapping[str, str],
) -> None:  # fmt: skip
    """What kaniko gets from its helper lets a client of ours push."""
    environ = {**os.environ, **sandbox.environment(), **variables, "HOME": str(tmp_path)}
    done = subprocess.run(
        [program(helper), "get"], input=host, env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    user = "00000000-0000-0000-0000-000000000000" if host == ACR else found["Username"]
    client = oci.Client(sandbox, host, user, found["Secret"])
    image = next(one for one, _, _ in logins.values() if one.startswith(host))
    assert client.push(image.partition("/")[2], "helper", oci.layer(a="1")).status == 201


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("ecr", ["aws", "ecr", "describe-images", "--repository-name", "demo/app"]),
        ("gar", ["gcloud", "artifacts", "docker", "images", "list",
                 f"{GAR}/{gcp.PROJECT}/demo", "--include-tags", "--format=json"]),
    ],
)  # fmt: skip
def test_what_the_vendors_commands_list(
    sandbox: Sandbox, logins: Mapping[str, Login], tmp_path: Path, name: str, command: list[str]
) -> None:
    image, user, password = logins[name]
    host, _, repository_name = image.partition("/")
    client = oci.Client(sandbox, host, user, password)
    pushed = client.push(repository_name, "listed", oci.layer(a="listed"))
    environ = {**os.environ, **sandbox.environment(), "HOME": str(tmp_path), "PYTHONPATH": ""}
    done = subprocess.run(
        [program(command[0]), *command[1:]], env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pushed.headers["Docker-Content-Digest"] in done.stdout
    assert "listed" in done.stdout

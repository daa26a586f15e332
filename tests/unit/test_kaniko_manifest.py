"""Builds as Kubernetes objects, held to manifests that ran with the real kaniko v1.28.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest

from clusterkit.aks import builds as aks
from clusterkit.aks.profile import AksRegistry
from clusterkit.alibaba import builds as alibaba
from clusterkit.alibaba.profile import AlibabaRegistry
from clusterkit.eks import builds as eks
from clusterkit.eks.profile import EksRegistry
from clusterkit.errors import UsageError
from clusterkit.gke import builds as gke
from clusterkit.gke.profile import GkeRegistry
from clusterkit.profile.ready import Kaniko, OtherRegistry
from clusterkit.ready.kaniko import Build, Resources, check, job, notes, pod
from clusterkit.ready.registry import PushAccess, untagged, with_other

VERSIONS = sorted(
    {v for v in kubernetes_validate.utils.all_versions() if int(v.split(".")[1]) >= 32}
)
"""official schemas, from the oldest that clusterkit supports"""
GIT = "git://github.com/carlossg/kaniko-demo.git#refs/heads/master"
ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ACR = "crpi-xxxx-vpc.ap-southeast-1.personal.cr.aliyuncs.com"
CONFIG_MAP = {"docker-config": {"configMap": {"name": "docker-config"}}}
REGCRED = {
    "docker-config": {
        "secret": {
            "secretName": "regcred",
            "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
        }
    }
}
KEY = {
    "kaniko-secret": {
        "secret": {
            "secretName": "kaniko-secret",
            "items": [{"key": "kaniko-secret", "path": "secret.json"}],
        }
    }
}
FLAGS = {
    "--cache=true",
    "--cache-ttl=336h",
    "--snapshot-mode=redo",
    "--compressed-caching=false",
    "--push-retry=3",
    "--image-download-retry=3",
    "--digest-file=/dev/termination-log",
    "--log-format=text",
    "--dockerfile=Dockerfile",
    f"--context={GIT}",
}


class _Eks:
    """What a driver's clients tell without a call."""

    partition = "aws"

    class target:
        region = "us-east-1"


def named(model: Any, **more: Any) -> Any:
    return model(**{"name": "demo", "repositories": ("kaniko-demo",), **more})


def ecr(**more: Any) -> PushAccess:
    registry = named(EksRegistry, name="kanikorepo", **more)
    clients: Any = _Eks()
    return eks.access_of(registry, "123456789012", clients)


def acr(**more: Any) -> PushAccess:
    nobody: Any = None
    return aks.access_of(named(AksRegistry, **more), "kanikodemo.azurecr.io", "kubelet-id", nobody)


def gar(**more: Any) -> PushAccess:
    return gke.access_of(named(GkeRegistry, **more), "us-central1", "myprojectid")


def aliyun() -> PushAccess:
    nobody: Any = None
    return alibaba.access_of(named(AlibabaRegistry, name="jx"), (ACR, "public"), nobody)


AWS_ENV = {
    "AWS_REGION": "us-east-1",
    "AWS_SDK_LOAD_CONFIG": "true",
    "AWS_ECR_DISABLE_CACHE": "true",
}
GOLDEN: Mapping[str, tuple[PushAccess, str, str | None, Mapping[str, str], Any, Any]] = {
    "ecr": (
        ecr(),
        f"{ECR}/kanikorepo/kaniko-demo:latest",
        f"{ECR}/kanikorepo/kaniko-demo/cache",
        AWS_ENV,
        CONFIG_MAP,
        {},
    ),
    "ecr by node": (
        ecr(push="node"),
        f"{ECR}/kanikorepo/kaniko-demo:latest",
        f"{ECR}/kanikorepo/kaniko-demo/cache",
        AWS_ENV,
        CONFIG_MAP,
        {},
    ),
    "ecr by secret": (
        ecr(push="secret"),
        f"{ECR}/kanikorepo/kaniko-demo:latest",
        f"{ECR}/kanikorepo/kaniko-demo/cache",
        {},
        REGCRED,
        {},
    ),
    "acr": (
        acr(),
        "kanikodemo.azurecr.io/demo/kaniko-demo:latest",
        None,
        {},
        CONFIG_MAP,
        {"azure.workload.identity/use": "true"},
    ),
    "acr by node": (
        acr(push="node"),
        "kanikodemo.azurecr.io/demo/kaniko-demo:latest",
        None,
        {"AZURE_CLIENT_ID": "kubelet-id"},
        CONFIG_MAP,
        {},
    ),
    "acr by token": (
        acr(push="secret"),
        "kanikodemo.azurecr.io/demo/kaniko-demo:latest",
        None,
        {},
        REGCRED,
        {},
    ),
    "artifact registry": (
        gar(),
        "us-central1-docker.pkg.dev/myprojectid/demo/kaniko-demo:latest",
        None,
        {},
        {},
        {},
    ),
    "artifact registry by key": (
        gar(push="secret"),
        "us-central1-docker.pkg.dev/myprojectid/demo/kaniko-demo:latest",
        None,
        {"GOOGLE_APPLICATION_CREDENTIALS": "/kaniko-secret/secret.json"},
        KEY,
        {},
    ),
    "docker hub": (
        with_other(None, OtherRegistry(prefix="user")),
        "docker.io/user/kaniko-demo:latest",
        "docker.io/user/kaniko-demo-cache",
        {},
        REGCRED,
        {},
    ),
    "alibaba": (
        aliyun(),
        f"{ACR}/jx/kaniko-demo:latest",
        f"{ACR}/jx/kaniko-demo-cache",
        {},
        REGCRED,
        {},
    ),
}
FOLDERS = {"docker-config": "/kaniko/.docker", "kaniko-secret": "/kaniko-secret"}
BUILD = Build(GIT, ("kaniko-demo:latest",))


@pytest.mark.parametrize("name", GOLDEN)
def test_a_pod_is_what_ran(name: str) -> None:
    access, image, cache, env, volumes, labels = GOLDEN[name]
    made = pod(BUILD, Kaniko(), access)
    assert made["metadata"]["namespace"] == "builds"
    ours = {"app.kubernetes.io/name": "kaniko", "app.kubernetes.io/managed-by": "clusterkit"}
    assert made["metadata"]["labels"] == {**ours, **labels}
    assert made["metadata"]["annotations"] == {
        "sidecar.istio.io/inject": "false",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }
    spec = made["spec"]
    [container] = spec.pop("containers")
    assert {one.pop("name"): one for one in spec.pop("volumes")} == volumes
    assert spec == {
        "restartPolicy": "Never",
        "serviceAccountName": "kaniko",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
    }
    mounts = [{"name": v, "mountPath": FOLDERS[v], "readOnly": True} for v in volumes]
    assert container.pop("volumeMounts") == mounts
    caches = {f"--cache-repo={cache}"} if cache else set()
    assert {*container.pop("args")} == FLAGS | {f"--destination={image}"} | caches
    assert {one["name"]: one["value"] for one in container.pop("env")} == env
    assert container == {
        "name": "kaniko",
        "image": "ghcr.io/osscontainertools/kaniko:v1.28.3",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {
                "drop": ["ALL"],
                "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETFCAP", "SETGID", "SETUID"],
            },
            "seccompProfile": {"type": "RuntimeDefault"},
            "runAsUser": 0,
        },
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "4Gi"},
            "limits": {"memory": "2Gi", "ephemeral-storage": "10Gi"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_kubernetes_takes_it(version: str) -> None:
    images = ("kaniko-demo:1", "other.test/b:1")
    mounted = Build("dir:///workspace", images, claim="c", env_from=("s",), build_args=("A=b",))
    stdin = Build("tar://stdin", images, cache=False)
    bodies = [job(BUILD, Kaniko(), each[0]) for each in GOLDEN.values()]
    bodies += [made(build, Kaniko(), acr()) for made in (pod, job) for build in (mounted, stdin)]
    for body in bodies:
        kubernetes_validate.validate(body, version, strict=True)


def test_a_job_is_one_try() -> None:
    made = job(BUILD, Kaniko(namespace="ci"), acr())
    assert made["metadata"]["namespace"] == "ci"
    assert made["spec"]["backoffLimit"] == 0
    template = made["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert template["spec"] == pod(BUILD, Kaniko(namespace="ci"), acr())["spec"]


def test_what_is_asked_for() -> None:
    asked = Build(
        "tar:///ctx/app.tar.gz",
        ("kaniko-demo:1", "quay.test:5000/a/b@sha256:" + "0" * 64),
        "docker/Dockerfile",
        cache=False,
        build_args=("VERSION=1.2", "TOKEN"),
        image="example.test/kaniko:1",
        resources=Resources(cpu="2", memory="4Gi", memory_limit="8Gi"),
        env_from=("git-token",),
        claim="contexts",
        arguments=("--target=test",),
    )
    [container] = pod(asked, Kaniko(), gar())["spec"]["containers"]
    flags = container["args"]
    assert not [flag for flag in flags if flag.startswith("--cache")]
    assert "--build-arg=VERSION=1.2" in flags
    assert flags[-1] == "--target=test"
    assert f"--destination={asked.destinations[1]}" in flags
    assert container["image"] == "example.test/kaniko:1"
    assert container["envFrom"] == [{"secretRef": {"name": "git-token"}}]
    assert container["resources"]["limits"]["memory"] == "8Gi"
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/ctx"]
    assert "stdin" not in container


def test_a_registry_of_ones_own_keeps_the_clouds_for_pulls() -> None:
    both = with_other(ecr(), OtherRegistry(server="ghcr.io", prefix="org"))
    assert both.image("app:1") == "ghcr.io/org/app:1"
    assert both.helpers == {ECR: "ecr-login"}
    assert both.secret == "regcred"
    assert both.env == ecr().env
    assert both.repositories is None


@pytest.mark.parametrize(
    ("server", "host", "key"),
    [
        ("https://index.docker.io/v1/", "docker.io", "https://index.docker.io/v1/"),
        ("docker.io", "docker.io", "https://index.docker.io/v1/"),
        ("registry.test:5000", "registry.test:5000", "registry.test:5000"),
    ],
)
def test_names_of_a_registry(server: str, host: str, key: str) -> None:
    other = OtherRegistry(server=server, prefix="a/b")
    assert (other.host, other.key) == (host, key)
    assert with_other(None, other).image("c") == f"{host}/a/b/c"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("host:5000/a/b:1", "host:5000/a/b"),
        ("host/a@sha256:0", "host/a"),
        ("host/a:1@sha256:0", "host/a"),
        ("host:5000/a", "host:5000/a"),
    ],
)
def test_images_without_their_tags(name: str, plain: str) -> None:
    assert untagged(name) == plain


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (Build(".", ("a:1",)), "reads no context"),
        (Build("http://a/b.tar.gz", ("a:1",)), "reads no context"),
        (Build("https://github.com/a/b", ("a:1",)), "takes what https:// names for a .tar.gz"),
        (Build(GIT, ()), "an image to build is missing"),
        (Build(GIT, ("a:1",), build_args=("1=2",)), "must be NAME=VALUE"),
    ],
)
def test_what_kaniko_would_misunderstand(build: Build, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check(build)


@pytest.mark.parametrize(
    ("build", "access", "words"),
    [
        (BUILD, gar(), []),
        (Build(GIT, ("kaniko-demo",)), gar(), ["has no tag and becomes :latest"]),
        (
            Build(GIT, ("web:1",)),
            ecr(),
            ["no repository kanikorepo/web, and", "kanikorepo/web/cache: kaniko builds without"],
        ),
        (Build(GIT, ("kaniko-demo:1",)), ecr(cache=False), ["kaniko builds without a cache"]),
        (Build(GIT, ("kaniko-demo:1",), cache=False), ecr(cache=False), []),
        (Build(GIT, ("web:1",), cache=False), aliyun(), ["no repository jx/web, and"]),
        (
            Build(GIT, ("a:1",), image="gcr.io/kaniko-project/executor:latest"),
            gar(),
            ["no longer maintained", "another kaniko tomorrow"],
        ),
        (
            Build("https://acc.blob.core.windows.net/c/a.tar.gz", ("a:1",)),
            gar(),
            ["with AZURE_STORAGE_ACCESS_KEY only"],
        ),
        (Build("dir:///workspace", ("a:1",)), gar(), ["nothing is mounted at /workspace"]),
    ],
)
def test_what_probably_goes_wrong(build: Build, access: PushAccess, words: list[str]) -> None:
    told = [each.what for each in notes(build, Kaniko(), access)]
    assert len(told) == len(words), told
    for what, expected in zip(told, words, strict=True):
        assert expected in what

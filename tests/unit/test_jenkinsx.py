"""What Jenkins X and Jenkins are told, without a cluster."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from clusterkit.profile.ready import Jenkins, JenkinsX, Kaniko, OtherRegistry, Ready
from clusterkit.ready import jenkins, jenkinsx
from clusterkit.ready.jenkinsx import Platform
from clusterkit.ready.registry import PushAccess
from tests.unit.jx_requirements import REQUIREMENTS

GIT = "https://github.com/me/cluster"
AZURE = {"azure": {"clusterNodes": {"clientID": "c"}, "storage": {"storageAccountName": "s"}}}
PLATFORM = Platform(
    "aks",
    "demo",
    "r.azurecr.io",
    organization="images",
    region="westeurope",
    secret_storage="azurekeyvault",
    storage={"logs": "azblob://logs", "repository": "azblob://repository"},
    cluster_extra=AZURE,
)


def document(platform: Platform = PLATFORM, **wanted: Any) -> dict[str, Any]:
    found = jenkinsx.requirements(platform, JenkinsX(git_url=GIT, **wanted))
    jsonschema.validate(found, REQUIREMENTS)
    spec: dict[str, Any] = found["spec"]
    return spec


def test_the_schema_refuses_what_jenkins_x_does_not_know() -> None:
    found = jenkinsx.requirements(PLATFORM, JenkinsX(git_url=GIT))
    found["spec"]["cluster"]["kanikoSAName"] = "kaniko-sa"
    with pytest.raises(jsonschema.ValidationError, match="kanikoSAName"):
        jsonschema.validate(found, REQUIREMENTS)


def test_only_what_is_known_is_told() -> None:
    spec = document()
    assert spec["cluster"] == {
        "provider": "aks",
        "clusterName": "demo",
        "region": "westeurope",
        "registry": "r.azurecr.io",
        "dockerRegistryOrg": "images",
        **AZURE,
    }
    # what the repository says of them stays
    assert not {"ingress", "repository", "vault", "environments"} & spec.keys()
    assert spec["secretStorage"] == "azurekeyvault"
    assert spec["storage"][0] == {"name": "logs", "url": "azblob://logs"}
    bare = document(Platform("alibaba", "demo", "h"))
    assert not {"storage", "repository", "vault"} & bare.keys()


def test_a_domain_stays_when_there_is_a_load_balancer() -> None:
    spec = document(domain="apps.example.com", tls_email="me@example.com")
    assert spec["ingress"] == {
        "domain": "apps.example.com",
        "ignoreLoadBalancer": True,
        "externalDNS": True,
        "tls": {"enabled": True, "email": "me@example.com", "production": True},
    }
    assert "tls" not in document(domain="apps.example.com")["ingress"]


@pytest.mark.parametrize(
    ("secrets", "cloud", "told"),
    [
        (None, "gsm", "gsm"),
        ("cloud", "gsm", "gsm"),
        ("local", "gsm", "local"),
        ("vault", "gsm", "vault"),
        (None, None, "local"),
        ("vault", None, "vault"),
    ],
)
def test_where_secrets_are_kept(secrets: Any, cloud: str | None, told: str) -> None:
    ready = Ready(jenkins_x=JenkinsX(git_url=GIT, secrets=secrets))
    assert jenkinsx.secret_storage(ready, cloud) == told


def test_the_users_own_registry_takes_the_clouds_place() -> None:
    other = OtherRegistry(prefix="me")
    ready = Ready(kaniko=Kaniko(registry=other), jenkins_x=JenkinsX(git_url=GIT))
    found = jenkinsx.with_other(PLATFORM, ready)
    assert (found.registry, found.organization) == ("docker.io", "me")
    assert jenkinsx.with_other(PLATFORM, Ready(jenkins_x=ready.jenkins_x)) is PLATFORM


def test_the_operators_values_hold_no_secret_but_all_it_needs() -> None:
    platform = Platform(
        "gke", "demo", "h", boot_annotations={"iam.gke.io/gcp-service-account": "demo-boot@p"},
        boot_env={"AZURE_TENANT_ID": "t"},
    )  # fmt: skip
    found = jenkinsx.operator_values(platform, JenkinsX(git_url=GIT))
    assert found == {
        "url": GIT,
        "bootServiceAccount": {
            "enabled": True,
            "annotations": {"iam.gke.io/gcp-service-account": "demo-boot@p"},
        },
        "env": {"NO_RESOURCE_APPLY": "true"},
        "jxBootJobEnvVarSecrets": {"AZURE_TENANT_ID": "t"},
    }


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (GIT, []),
        ("https://github.com/jx3-gitops-repositories/jx3-eks-asm", ["is a template"]),
        ("https://github.com/me/jx3-terraform-eks", ["for Terraform"]),
    ],
)
def test_a_repository_that_cannot_be_right_is_named(url: str, words: list[str]) -> None:
    told = [str(each.what) for each in jenkinsx.notes(JenkinsX(git_url=url))]
    assert len(told) == len(words)
    assert all(word in text for word, text in zip(words, told, strict=True))


# -- Jenkins --------------------------------------------------------------------------------------

ACCESS = PushAccess(
    "h.example",
    prefix="demo",
    cache="-cache",
    secret="regcred",
    pod_labels={"azure.workload.identity/use": "true"},
    env={"A": "b"},
)


def test_agents_are_like_builds_but_wait_for_commands() -> None:
    values = jenkins.values(Kaniko(namespace="jenkins"), ACCESS)
    [template] = yaml.safe_load(values["agent"]["podTemplates"]["kaniko"])
    assert (template["label"], template["serviceAccount"]) == ("kaniko", "kaniko")
    pod = yaml.safe_load(template["yaml"])
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "namespace" not in pod["metadata"]
    [container] = pod["spec"]["containers"]
    assert container["image"].endswith(":v1.28.3-debug")
    assert container["command"] == ["/busybox/sleep"]
    assert {"name": "REGISTRY", "value": "h.example/demo"} in container["env"]
    [mount] = container["volumeMounts"]
    assert mount["mountPath"] == "/kaniko/.docker"
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    # rendered by the chart as a template
    assert "{{" not in json.dumps(values)


@pytest.mark.parametrize(
    ("image", "told", "warned"),
    [
        ("a/kaniko:v1", "a/kaniko:v1-debug", False),
        ("a/kaniko:v1-debug", "a/kaniko:v1-debug", False),
        ("a/kaniko@sha256:" + "0" * 64, "a/kaniko@sha256:" + "0" * 64, True),
    ],
)
def test_agents_need_a_shell(image: str, told: str, warned: bool) -> None:
    assert jenkins.with_shell(image) == told
    assert bool([*jenkins.notes(Kaniko(image=image))]) is warned


def test_the_pipeline_caches_where_the_registry_can() -> None:
    assert "--cache-repo=$REGISTRY/app-cache" in jenkins.pipeline(ACCESS, "app")
    assert "--cache-repo" not in jenkins.pipeline(PushAccess("h.example"), "app")


def test_jenkins_builds_as_kaniko_does_in_its_own_namespace() -> None:
    kaniko = Kaniko(namespace="ci", service_account="builder", image="a/kaniko:v1")
    ready = Ready(kaniko=kaniko, jenkins=Jenkins())
    assert [each.account for each in ready.builders] == ["ci/builder", "jenkins/kaniko"]
    assert ready.builders[1].image == "a/kaniko:v1"
    together = Ready(kaniko=kaniko, jenkins=Jenkins(namespace="ci"))
    assert together.builders == (kaniko,)
    assert Ready(jenkins=Jenkins()).pushers == ("jenkins/kaniko",)

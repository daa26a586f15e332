"""What `ready.jenkins_x` and `ready.jenkins` make in Kubernetes, on every cloud."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from clusterkit.errors import UsageError
from clusterkit.kube.secrets import EXPIRES
from clusterkit.profile.model import BaseProfile
from clusterkit.ready import jenkinsx
from clusterkit.ready.verify import Wanted
from tests.drivers.cases import MINIMAL, each
from tests.drivers.test_builds import HUB, OTHER, PASSWORD, REGISTRY, get, reach, with_login
from tests.drivers.world import LOGIN, Case, World, edited, world
from tests.unit.jx_requirements import REQUIREMENTS

GIT = "https://github.com/me/cluster"
JENKINS_X = {"git_url": GIT, "keep_storage": False}
READY = {"registry": REGISTRY, "ready": {"jenkins_x": JENKINS_X, "jenkins": {}}}
NAMESPACE = "/api/v1/namespaces/jx"
AUTH = f"{NAMESPACE}/secrets/container-registry-auth"
SECRETS = {"eks": "secretsManager", "gke": "gsm", "aks": "azurekeyvault", "alibaba": "local"}
ACK = [case for case in MINIMAL if case.cloud == "alibaba"]


def told(found: World) -> Mapping[str, Any]:
    """What Jenkins X is told, by its schema."""
    shown = get(found, "/api/v1/namespaces/default/configmaps/terraform-jx-requirements")
    document = yaml.safe_load(shown["data"]["jx-requirements.yml"])
    jsonschema.validate(document, REQUIREMENTS)
    spec: Mapping[str, Any] = document["spec"]
    return spec


def login(found: World) -> dict[str, str]:
    """What the login Secret of Jenkins X holds."""
    data = get(found, AUTH)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def verdict(found: World, profile: BaseProfile) -> list[str]:
    """What check K13 finds wrong with what Jenkins X is told."""
    [found_] = found.cluster().verify(profile, Wanted(only=["K13"]))
    wrong = [each for each in found_.results if each.status == "failed"]
    return [each.what for each in wrong if each.where.startswith("configmap/")]


@each(MINIMAL)
def test_jenkins_x_is_told_of_the_cluster(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.things().keys()
        profile = found.load(edited(case.profile, READY))
        reach(found, profile)
        platform = found.cluster().platform(profile)
        wanted = profile.ready.jenkins_x
        assert wanted is not None
        assert told(found) == jenkinsx.requirements(platform, wanted)["spec"]
        assert told(found)["cluster"]["provider"] == case.cloud
        assert told(found)["cluster"]["clusterName"] == profile.name
        assert told(found)["secretStorage"] == SECRETS[case.cloud]
        assert verdict(found, profile) == []
        path = "/api/v1/namespaces/default/configmaps/terraform-jx-requirements"
        shown = get(found, path)["data"]["jx-requirements.yml"]
        other = shown.replace(platform.registry, "registry.example.com")
        found.cluster().kube.patch(path, {"data": {"jx-requirements.yml": other}})
        [wrong] = verdict(found, profile)
        assert wrong.startswith("spec.cluster.registry is registry.example.com, and has to be")
        reach(found, profile)
        access = found.cluster().push_access(profile)
        said = told(found)["cluster"]
        # as its pipelines join them
        assert access.image("app") == f"{said['registry']}/{said['dockerRegistryOrg']}/app"
        # the service account is of its own charts, and so is the namespace
        assert (get(found, NAMESPACE) is not None) == (case.cloud == "alibaba")
        assert get(found, f"{NAMESPACE}/serviceaccounts/tekton-bot") is None
        jenkins = "/api/v1/namespaces/jenkins"
        assert get(found, f"{jenkins}/serviceaccounts/kaniko")
        labels = get(found, jenkins)["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
        reach(found, found.load(edited(case.profile, {"registry": REGISTRY})))
        assert get(found, jenkins) is None
        found.settle(found.destroy())
        assert found.things().keys() == before


@each(ACK)
def test_pipelines_get_a_login_that_is_renewed(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        profile = found.load(edited(case.profile, READY))
        reach(found, profile)
        assert "clusterkit-cluster" not in get(found, NAMESPACE)["metadata"].get("labels", {})
        first = login(found)
        assert first["url"] == told(found)["cluster"]["registry"]
        past = {EXPIRES: "2026-01-01T00:00:00+00:00"}
        found.clients().kube.patch(AUTH, {"metadata": {"annotations": past}})
        (step,) = with_login(found, profile, None).plan(profile).todo
        assert [change.field for change in step.changes] == ["password"]
        reach(found, profile)
        assert login(found)["password"] != first["password"]
        # the user's own, which lasts, stays until another is given
        reach(found, profile, LOGIN)
        assert login(found) == {"url": first["url"], "username": "me", "password": PASSWORD}
        assert EXPIRES not in (get(found, AUTH)["metadata"].get("annotations") or {})
        seen = " ".join(f"{one.request()} {one.answer()}" for one in found.requests)
        seen += " ".join(map(repr, found.events))
        assert "container-registry-auth" in seen
        assert PASSWORD not in seen
        assert base64.b64encode(PASSWORD.encode()).decode() not in seen
        # what others put beside it stays
        theirs = f"{NAMESPACE}/configmaps/theirs"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}
        found.clients().kube.apply(theirs, body)
        reach(found, found.load(edited(case.profile, {"registry": REGISTRY})))
        assert get(found, AUTH) is None
        assert get(found, theirs)


@each([case for case in MINIMAL if case.cloud == "eks"])
def test_pipelines_push_to_the_users_own_registry(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        ready = OTHER | {"ready.jenkins_x": JENKINS_X}
        profile = found.load(edited(case.profile, ready))
        with pytest.raises(UsageError, match="no user and password for https://index"):
            with_login(found, profile, None).plan(profile)
        reach(found, profile, LOGIN)
        assert login(found) == {"url": HUB, "username": "me", "password": PASSWORD}
        said = told(found)["cluster"]
        assert (said["registry"], said["dockerRegistryOrg"]) == ("docker.io", "me")


@each([case for case in MINIMAL if case.cloud == "gke"])
def test_each_namespace_has_a_key_of_its_own(case: Case, tmp_path: Path) -> None:
    """A key that ``up`` makes for an account replaces all others of that account."""
    with world(case, tmp_path) as found:
        ready = READY | {"registry.push": "secret", "ready.kaniko": {}}
        reach(found, found.load(edited(case.profile, ready)))
        paths = (
            f"/api/v1/namespaces/{name}/secrets/kaniko-secret" for name in ("builds", "jenkins")
        )
        keys = [get(found, path)["data"]["kaniko-secret"] for path in paths]
        emails = {json.loads(base64.b64decode(key))["client_email"] for key in keys}
        assert len(emails) == 2

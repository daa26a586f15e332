"""What `ready.kaniko` makes in Kubernetes, on every cloud and with every way to push."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit import Cluster
from clusterkit.engine.rest import cloud_pool
from clusterkit.engine.target import UserLogin
from clusterkit.errors import ClusterkitError, UsageError
from clusterkit.kube.secrets import EXPIRES
from clusterkit.profile.model import BaseProfile
from clusterkit.profile.ready import Kaniko
from clusterkit.ready.build import renew
from tests.drivers.cases import MINIMAL, each
from tests.drivers.world import LOGIN, Case, World, edited, world

REGISTRY = {"name": "demo", "repositories": ["app"], "keep": False}
KANIKO = {"registry": REGISTRY, "ready": {"kaniko": {}}}
HUB = "https://index.docker.io/v1/"
OTHER = {"ready": {"kaniko": {"registry": {"prefix": "me"}}}}
PASSWORD = LOGIN.password
CORE = "/api/v1/namespaces/builds"
IDENTITIES = {
    "eks": None,  # an association of EKS Pod Identity
    "gke": None,  # a member of the repository's policy
    "aks": "azure.workload.identity/client-id",
    "alibaba": "pod-identity.alibabacloud.com/role-name",
}
"""the annotation that gives the service account its identity"""
HELPERS = {"eks": "ecr-login", "aks": "acr-env"}


def get(found: World, path: str) -> Any:
    return found.clients().kube.get(path)


def config(found: World) -> Mapping[str, Any]:
    """The docker config that pods of the namespace mount."""
    if there := get(found, f"{CORE}/configmaps/docker-config"):
        told: Mapping[str, Any] = json.loads(there["data"]["config.json"])
        return told
    if there := get(found, f"{CORE}/secrets/regcred"):
        assert there["type"] == "kubernetes.io/dockerconfigjson"
        secret: Mapping[str, Any] = json.loads(base64.b64decode(there["data"][".dockerconfigjson"]))
        return secret
    return {}


def host(found: World, profile: BaseProfile) -> str:
    access = found.cloud.push_access(profile, found.clients(), None)
    assert access is not None
    return access.host


def with_login(found: World, profile: BaseProfile, login: UserLogin | None = LOGIN) -> Cluster:
    connection = replace(found.connection(found.requests.append), registry_login=login)
    return Cluster(found.target(), connection)


def reach(found: World, profile: BaseProfile, login: UserLogin | None = None) -> None:
    """Apply it; then there is nothing to do, with the login and without."""
    cluster = with_login(found, profile, login)
    plan = cluster.plan(profile, activate=lambda _: None)
    found.settle(cluster.apply(plan, found.events.append))
    assert with_login(found, profile, login).plan(profile).empty
    assert with_login(found, profile, None).plan(profile).empty


@each(MINIMAL)
def test_builds_come_and_go(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        before = found.things().keys()
        with pytest.raises(ClusterkitError, match="there is no running cluster"):
            found.cluster().kube.get("/version")
        profile = found.load(edited(case.profile, KANIKO))
        reach(found, profile)
        labels = get(found, CORE)["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
        account = get(found, f"{CORE}/serviceaccounts/kaniko")
        assert account["automountServiceAccountToken"] is False
        annotation, annotations = IDENTITIES[case.cloud], account["metadata"].get("annotations")
        assert annotation is None or annotations[annotation]
        registry, helper = host(found, profile), HELPERS.get(case.cloud)
        told = config(found)
        assert told.get("credHelpers", {}) == ({registry: helper} if helper else {})
        assert "credsStore" not in told
        assert (registry in told.get("auths", {})) == (case.cloud == "alibaba")

        elsewhere = edited(case.profile, KANIKO | {"ready.kaniko.namespace": "ci"})
        reach(found, found.load(elsewhere))
        assert get(found, CORE) is None
        assert get(found, "/api/v1/namespaces/ci/serviceaccounts/kaniko")
        reach(found, found.load(edited(case.profile, {"registry": REGISTRY})))
        assert get(found, "/api/v1/namespaces/ci") is None
        found.settle(found.destroy())
        assert found.things().keys() == before


@each([case for case in MINIMAL if case.cloud != "alibaba"])
def test_nodes_push(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        profile = found.load(edited(case.profile, KANIKO | {"registry.push": "node"}))
        reach(found, profile)
        metadata = get(found, f"{CORE}/serviceaccounts/kaniko")["metadata"]
        assert not metadata.get("annotations")
        access = found.cloud.push_access(profile, found.clients(), None)
        assert access is not None
        assert not access.pod_labels
        # a node of AKS has several identities: the helper has to be told which
        assert ("AZURE_CLIENT_ID" in access.env) == (case.cloud == "aks")
        assert set(config(found).get("credHelpers", {}).values()) == {
            HELPERS[case.cloud] for _ in (1,) if case.cloud in HELPERS
        }


def begins_upload(found: World, registry: str, image: str) -> int:
    """The status of an upload that is begun with the password in the docker config, as kaniko tries
    it first (distribution spec, "Pushing Blobs", and docker's "Token Authentication").
    """
    pool = cloud_pool(f"https://{registry}", found.connection())
    url = f"https://{registry}/v2/{image}/blobs/uploads/"
    basic = {"Authorization": f"Basic {config(found)['auths'][registry]['auth']}"}
    asked = pool.request("POST", url, headers={}, redirect=False)
    assert asked.status == 401
    scheme, _, rest = asked.headers["WWW-Authenticate"].partition(" ")
    if scheme.lower() == "basic":
        return pool.request("POST", url, headers=basic, redirect=False).status
    wanted = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    fields = {"service": wanted["service"], "scope": f"repository:{image}:pull,push"}
    answer = pool.request("GET", wanted["realm"], fields=fields, headers=basic)
    told = json.loads(answer.data)
    bearer = {"Authorization": f"Bearer {told.get('token') or told['access_token']}"}
    return pool.request("POST", url, headers=bearer, redirect=False).status


@each(MINIMAL)
def test_a_secret_pushes_and_is_renewed(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        profile = found.load(edited(case.profile, KANIKO | {"registry.push": "secret"}))
        reach(found, profile)
        assert not get(found, f"{CORE}/serviceaccounts/kaniko")["metadata"].get("annotations")
        if case.cloud == "gke":
            secret = get(found, f"{CORE}/secrets/kaniko-secret")
            key = json.loads(base64.b64decode(secret["data"]["kaniko-secret"]))
            assert key["type"] == "service_account"
            return
        registry = host(found, profile)
        assert set(config(found)["auths"]) >= {registry}
        assert begins_upload(found, registry, "demo/app") == 202
        path = f"{CORE}/secrets/regcred"
        assert get(found, path)["metadata"]["annotations"][EXPIRES] > "2026"
        past = {EXPIRES: "2026-01-01T00:00:00+00:00"}
        found.clients().kube.patch(path, {"metadata": {"annotations": past}})
        (step,) = found.cluster().plan(profile).todo
        assert [change.field for change in step.changes] == ["password"]
        access, kube = found.cluster().push_access(profile), found.cluster().kube
        assert renew(kube, Kaniko(), access)
        assert not renew(kube, Kaniko(), access)
        assert found.cluster().plan(profile).empty
        assert begins_upload(found, registry, "demo/app") == 202


@each(MINIMAL)
def test_a_registry_of_the_users_own(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        profile = found.load(edited(case.profile, OTHER))
        with pytest.raises(UsageError, match="no user and password for https://index") as caught:
            with_login(found, profile, None).plan(profile)
        assert "CLUSTERKIT_REGISTRY_PASSWORD" in caught.value.hint
        reach(found, profile, LOGIN)
        pair = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        assert config(found) == {"auths": {HUB: {"auth": pair}}}

        (step,) = with_login(found, profile, UserLogin("me", "another")).plan(profile).todo
        assert [change.field for change in step.changes] == ["login"]
        assert "another" not in str(step.changes[0]).replace("another ->", "")
        reach(found, profile, UserLogin("me", "another"))

        both = found.load(edited(case.profile, KANIKO | OTHER))
        reach(found, both)
        told = config(found)
        assert HUB in told["auths"]
        assert set(told.get("credHelpers", {}).values()) == {
            HELPERS[case.cloud] for _ in (1,) if case.cloud in HELPERS
        }
        seen = " ".join(f"{one.request()} {one.answer()}" for one in found.requests)
        seen += " ".join(map(repr, found.events))
        assert "regcred" in seen
        assert PASSWORD not in seen
        assert pair not in seen


def test_a_key_that_is_gone_is_made_again(tmp_path: Path) -> None:
    [case] = (one for one in MINIMAL if one.cloud == "gke")
    with world(case, tmp_path) as found:
        profile = found.load(edited(case.profile, KANIKO | {"registry.push": "secret"}))
        reach(found, profile)
        path = f"{CORE}/secrets/kaniko-secret"
        annotation = "clusterkit.dev/key"
        key = get(found, path)["metadata"]["annotations"][annotation]
        found.clients().call("iam", "projects.serviceAccounts.keys.delete", "DELETE", key)
        (step,) = found.cluster().plan(profile).todo
        assert [change.field for change in step.changes] == ["key"]
        reach(found, profile)
        new = get(found, path)["metadata"]["annotations"][annotation]
        assert new != key
        account = new.rpartition("/keys/")[0]
        listed = found.clients().call(
            "iam", "projects.serviceAccounts.keys.list", "GET", f"{account}/keys"
        )
        assert [one["name"] for one in listed["keys"] if one["keyType"] == "USER_MANAGED"] == [new]

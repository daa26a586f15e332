"""Who may use what: credentials, other namespaces' Secrets, clusters of others."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.clouds import CLOUDS
from clusterkit.engine.target import CloudConnection
from clusterkit.environment import SECRETS
from clusterkit.errors import Absent, CredentialsError, Denied, NotOurs
from clusterkit.kube import tokens
from clusterkit.kube.api import KubeApi
from clusterkit.operator import names
from clusterkit.operator.credentials import CredentialSource
from clusterkit.operator.names import core
from clusterkit.operator.wanted import profile_of
from clusterkit.profile.model import BaseProfile
from tests.operator.world import REGIONS, World, spec, text, world


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An operator whose own credentials only ``default`` may use."""
    with world(tmp_path_factory.mktemp("operator"), "eks") as made:
        for name in ("tenant-a", "tenant-b"):
            made.namespace(name, trusted=False)
        environ = made.sandbox.environment()
        made.secret("aws", {key: environ[key] for key in SECRETS["eks"].needed}, "tenant-a")
        with made.operator():
            yield made


def test_a_namespace_needs_leave_to_use_the_operators_credentials(here: World) -> None:
    here.apply("free", spec(policy="Observe"), "tenant-b")
    told = here.until_reason("free", "CredentialsError", namespace="tenant-b")["message"]
    assert "may not use the operator's own credentials" in told
    assert "clusterkit.dev/default-credentials=true" in told


def test_a_tenants_secret_is_enough_and_no_other_namespaces(here: World) -> None:
    mine = spec(policy="Observe", credentials={"secretRef": {"name": "aws"}})
    here.apply("mine", mine, "tenant-a")
    here.until_reason("mine", "Drifted", namespace="tenant-a")
    here.apply("mine", mine, "tenant-b")
    told = here.until_reason("mine", "CredentialsError", namespace="tenant-b")["message"]
    assert "Secret tenant-b/aws: does not exist" in told
    ready = here.condition("mine", "Ready", "tenant-b")
    assert (ready["status"], ready["reason"]) == ("Unknown", "CredentialsError")
    secret = here.sandbox.environment()["AWS_SECRET_ACCESS_KEY"]
    assert secret not in text(here.get("mine", "tenant-a"))
    assert secret not in text(here.events("mine", "tenant-a"))


def test_what_to_do_about_refused_credentials_is_no_login(here: World) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "AKIAWRONG", "AWS_SECRET_ACCESS_KEY": "wrong"}
    here.secret("wrong", wrong, "tenant-b")
    named = spec(policy="Observe", credentials={"secretRef": {"name": "wrong"}})
    here.apply("refused", named, "tenant-b")
    told = here.until_reason("refused", "CredentialsError", namespace="tenant-b")["message"]
    assert "spec.credentials" in told
    assert "aws configure" not in told


def test_what_cannot_be_looked_at_is_not_taken_for_gone(here: World) -> None:
    """An object of a backup has its finalizer and no status; its Secret is to come yet."""
    named = spec(credentials={"secretRef": {"name": "later"}})
    here.apply("restored", named, "tenant-b")
    path = names.path("tenant-b", "restored")
    here.kube.patch(path, {"metadata": {"finalizers": [names.FINALIZER]}})
    here.delete("restored", "tenant-b")
    told = here.until_reason("restored", "CredentialsError", "Deleting", "tenant-b")["message"]
    assert "Secret tenant-b/later: does not exist" in told
    assert "spec.deletionPolicy: Orphan lets the object go" in told
    here.patch("restored", "tenant-b", deletionPolicy="Orphan")
    here.until_gone("restored", "tenant-b")


def test_an_object_of_which_nothing_was_made_goes_at_once(here: World) -> None:
    here.apply("typo", spec(credentials={"secretRef": {"name": "typo"}}), "tenant-b")
    here.until_reason("typo", "CredentialsError", namespace="tenant-b")
    here.delete("typo", "tenant-b")
    assert here.get("typo", "tenant-b") is None


def test_a_key_that_is_broken_over_lines_is_not_told(here: World, tmp_path: Path) -> None:
    """HTTP clients refuse it with a message that has the whole of it."""
    environ = here.sandbox.environment()
    keys = {key: environ[key] for key in SECRETS["eks"].needed}
    here.secret("broken", {**keys, "AWS_SESSION_TOKEN": "t0p-\n s3cret"}, "tenant-a")
    credentials = CredentialSource(here.kube, CloudConnection(), tmp_path, everybody=False)
    with pytest.raises(CredentialsError, match="AWS_SESSION_TOKEN is broken over lines") as found:
        credentials.connection(_body("broken"), "eks")
    assert "s3cret" not in str(found.value)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_cloud_takes_its_keys_from_a_secret(here: World, cloud: str, tmp_path: Path) -> None:
    """And nothing else that the Secret holds: no file, no address, no program."""
    keys = SECRETS[cloud]
    good = {name: f"a-{name}" for name in (*keys.needed, *keys.optional)}
    if keys.file:
        good[keys.needed[0]] = json.dumps({**keys.like, "private_key": "k"})
    more = {"AWS_CONFIG_FILE": "/etc/passwd", "HTTPS_PROXY": "http://evil.test"}
    here.secret(f"keys-{cloud}", {**good, **more}, "tenant-a")
    credentials = CredentialSource(here.kube, CloudConnection(), tmp_path, everybody=False)
    environ = credentials.connection(_body(f"keys-{cloud}"), cloud).environ
    assert environ.items() >= keys.closed.items()
    assert "/etc/passwd" not in environ.values()
    assert "http://evil.test" not in environ.values()
    if keys.file:
        file = Path(environ[keys.file])
        assert file.read_text() == good[keys.needed[0]]
        assert file.stat().st_mode & 0o077 == 0
    else:
        assert environ.items() >= {name: f"a-{name}" for name in keys.needed}.items()
    here.secret(f"few-{cloud}", more, "tenant-a")
    with pytest.raises(CredentialsError, match=f"lacks {keys.needed[0]}"):
        credentials.connection(_body(f"few-{cloud}"), cloud)


@pytest.mark.parametrize(
    "key",
    [
        {"type": "external_account", "credential_source": {"file": "/etc/passwd"}},
        {"type": "service_account", "token_uri": "http://169.254.169.254/token"},
        {"type": "authorized_user", "token_uri": "https://oauth2.googleapis.com/token"},
    ],
)
def test_google_keys_that_read_files_or_ask_addresses_are_refused(
    here: World, key: dict[str, object], tmp_path: Path
) -> None:
    here.secret("odd", {SECRETS["gke"].needed[0]: json.dumps(key)}, "tenant-a")
    credentials = CredentialSource(here.kube, CloudConnection(), tmp_path, everybody=False)
    with pytest.raises(CredentialsError, match="must be a key with type: service_account"):
        credentials.connection(_body("odd"), "gke")


def test_a_login_for_another_registry_comes_from_a_secret(here: World, tmp_path: Path) -> None:
    here.secret("login", {"username": "me", "password": "s3cr3t"}, "default")
    body = _body("", "default")
    body["spec"]["registryLogin"] = {"secretRef": {"name": "login"}}
    credentials = CredentialSource(here.kube, CloudConnection(), tmp_path, everybody=False)
    login = credentials.connection(body, "eks").registry_login
    assert login is not None
    assert (login.user, login.password) == ("me", "s3cr3t")


@pytest.mark.parametrize("cloud", [pytest.param(cloud, marks=[pytest.mark.deep] if cloud != "gke"
                                                 else []) for cloud in CLOUDS])  # fmt: skip
def test_a_kubeconfig_is_good_for_its_own_cluster_only(cloud: str, tmp_path: Path) -> None:
    """Although one identity makes both, and may use both."""
    with world(tmp_path, cloud) as there, there.operator():
        for namespace in ("tenant-a", "tenant-b"):
            there.namespace(namespace)
            there.apply(f"of-{namespace}", spec(cloud), namespace)
        for namespace in ("tenant-a", "tenant-b"):
            there.until_reason(f"of-{namespace}", "InSync", namespace=namespace)
        mine, other = (there.reached(f"of-{each}", each) for each in ("tenant-a", "tenant-b"))
        assert mine.token is not None
        nodes = "/api/v1/nodes"
        assert len(KubeApi(lambda: mine).list(nodes)) == 2
        with pytest.raises((CredentialsError, Denied)):
            KubeApi(lambda: replace(other, token=mine.token)).list(nodes)
        claims = json.loads(base64.urlsafe_b64decode(mine.token().split(".")[1] + "=="))
        assert claims["sub"] == "system:serviceaccount:kube-system:clusterkit-kubeconfig"
        assert claims["exp"] - claims["iat"] == 3600


def test_a_service_account_of_that_name_that_is_not_ours_is_left_alone(here: World) -> None:
    kube, there = here.kube, f"/api/v1/namespaces/kube-system/serviceaccounts/{tokens.ACCOUNT}"
    with pytest.raises(Absent):
        tokens.administrator(kube, "clusterkit-owner", "me", make=False)
    before = kube.apply(there, {"apiVersion": "v1", "kind": "ServiceAccount"})
    with pytest.raises(NotOurs, match="ServiceAccount clusterkit-kubeconfig"):
        tokens.administrator(kube, "clusterkit-owner", "me")
    assert kube.get(there) == before
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert kube.get(f"{bindings}/{tokens.ACCOUNT}") is None


def test_a_persons_cluster_is_not_taken_over_by_one_that_began_too(tmp_path: Path) -> None:
    """The status tells of a run, which was stopped before it made anything."""
    with world(tmp_path, "gke") as there:
        cluster = there.cluster("demo", "gke")
        assert cluster.apply(cluster.plan(_profile("demo", "gke")), lambda _: None).ok
        made = there.things("demo", "gke")
        there.apply("demo", spec("gke"))
        target = {"cloud": "gke", "name": "demo", "region": REGIONS["gke"]}
        account = cluster.account()
        status = {"status": {"target": target, "account": account}}
        there.kube.patch(names.path("default", "demo", "status"), status)
        began = {"metadata": {"finalizers": [names.FINALIZER]}}
        there.kube.patch(names.path("default", "demo"), began)
        with there.operator():
            told = there.until_reason("demo", "NotOurs")["message"]
            assert "clusterkit.dev/adopt=demo" in told
            there.annotate("demo", confirm_deletion="demo")
            there.delete("demo")
            there.until_reason("demo", "NotOurs", "Deleting")
            there.patch("demo", deletionPolicy="Orphan")
            there.until_gone("demo")
        assert there.things("demo", "gke") == made


@pytest.mark.deep
def test_clusters_of_others_are_not_taken_over(here: World) -> None:
    """Neither another tenant's, nor one that a person has made, unless that is said."""
    made = here.cluster("shared")
    profile = _profile("shared")
    outcome = made.apply(made.plan(profile), lambda _: None)
    assert outcome.ok
    there = here.things("shared")
    mine = spec(credentials={"secretRef": {"name": "aws"}})
    here.apply("shared", mine, "tenant-a")
    told = here.until_reason("shared", "NotOurs", namespace="tenant-a")["message"]
    assert "clusterkit.dev/adopt=shared" in told
    here.annotate("shared", "tenant-a", adopt="shared")
    here.until_reason("shared", "InSync", namespace="tenant-a")
    assert here.things("shared") == there
    here.apply("other", {**spec(), "name": "shared"}, "default", {"clusterkit.dev/adopt": "other"})
    told = here.until_reason("other", "NotOurs")["message"]
    assert "belongs to another CloudCluster" in told
    here.patch("other", paused=True)
    here.until_reason("other", "Paused", "Paused")
    here.until_reason("other", "NotOurs")
    here.patch("other", paused=False)
    here.until_reason("other", "NotOurs")
    assert here.kube.get(core("default", "secrets", "other-kubeconfig")) is None
    here.annotate("other", confirm_deletion="other")
    here.delete("other")
    here.until_gone("other")
    assert here.things("shared") == there
    here.annotate("shared", "tenant-a", confirm_deletion="shared")
    here.delete("shared", "tenant-a")
    here.until_gone("shared", "tenant-a")
    assert here.things("shared") == set()


def _body(secret: str, namespace: str = "tenant-a") -> dict[str, dict[str, object]]:
    named = {"credentials": {"secretRef": {"name": secret}}} if secret else {}
    return {"metadata": {"namespace": namespace, "name": "any"}, "spec": named}


def _profile(name: str, cloud: str = "eks") -> BaseProfile:
    return profile_of({"metadata": {"namespace": "default", "name": name}, "spec": spec(cloud)})

"""The operator's rights are those it uses, each of them, and what it counts and publishes."""

from __future__ import annotations

import copy
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit.kube.api import Access, KubeApi
from clusterkit.operator import names
from clusterkit.operator.manifests import manifests
from clusterkit_sandbox.kube.rbac import Attributes, Authorizer
from tests.operator.world import CRDS, Body, World, spec, world

RBAC = "/apis/rbac.authorization.k8s.io/v1"
USER = f"system:serviceaccount:{names.NAMESPACE}:{names.ACCOUNT}"
PROFILES = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/default/clusterprofiles"
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
INVENTORY = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "clusterprofiles.multicluster.x-k8s.io",
        "annotations": {"api-approved.kubernetes.io": "https://kep.k8s.io/4322"},
    },
    "spec": {
        "group": "multicluster.x-k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "ClusterProfile", "plural": "clusterprofiles"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": OPEN, "status": OPEN},
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With the inventory's CRD, and the operator's account and roles."""
    with world(tmp_path_factory.mktemp("operator"), "eks") as made:
        made.kube.apply(f"{CRDS}/{INVENTORY['metadata']['name']}", INVENTORY)
        for body in manifests("image"):
            if (path := _path(body)) is not None:
                made.kube.apply(path, body)
        yield made


def test_it_has_the_rights_that_it_uses_and_no_others(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: set[tuple[str, str, str]] = set()
    refused: set[tuple[str, str, str]] = set()
    with recorded(monkeypatch, used, refused), _metrics(here) as read:
        here.apply("demo", spec())
        here.until_reason("demo", "InSync")
        here.until(lambda: here.kube.get(f"{PROFILES}/demo"), "the ClusterProfile")
        _published(here)
        page = read()
        assert 'clusterkit_clusters{cloud="eks"} 1' in page
        assert 'clusterkit_run_seconds_count{action="up",cloud="eks",result="ok"} 1.0' in page
        [run] = (line for line in page.splitlines() if "clusterkit_run_seconds_sum" in line)
        assert 0.1 < float(run.split()[-1]) < 60.0
        assert 'clusterkit_reconcile_seconds_count{cloud="eks",result="InSync"}' in page
        assert 'clusterkit_cloud_call_seconds_count{cloud="eks",service="ec2"}' in page
        here.annotate("demo", confirm_deletion="demo")
        here.delete("demo")
        here.until_gone("demo")
    here.until(lambda: here.kube.get(f"{PROFILES}/demo") is None, "it goes with the cluster")
    assert refused == set()
    granted = {
        (group, resource, verb)
        for body in manifests("image")
        for rule in body.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    # an apply that makes an object needs create besides (k8s.io/apiserver/pkg/endpoints/handlers,
    # patch.go), which the sandbox's server does not ask for
    applied = {(group, what, "create") for group, what, verb in used if verb == "patch"}
    assert used <= granted
    assert granted - used <= applied


@pytest.mark.deep
@pytest.mark.parametrize("lost", [("secrets", "patch"), ("cloudclusters/status", "patch")])
def test_without_one_of_them_it_does_not_work(
    here: World, lost: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = next(each for each in manifests("image") if each["kind"] == "ClusterRole")
    less = copy.deepcopy(whole)
    for rule in less["rules"]:
        if rule["resources"] == [lost[0]]:
            rule["verbs"].remove(lost[1])
    less["rules"] = [rule for rule in less["rules"] if rule["verbs"]]
    here.kube.apply(f"{RBAC}/clusterroles/{names.ACCOUNT}", less)
    refused: set[tuple[str, str, str]] = set()
    try:
        with recorded(monkeypatch, set(), refused), here.operator(_account(here)):
            here.apply("less", spec(deletionPolicy="Orphan"))
            here.until(lambda: refused, f"without the right to {lost[1]} {lost[0]}")
            assert {each[1:] for each in refused} == {lost}
    finally:
        here.kube.apply(f"{RBAC}/clusterroles/{names.ACCOUNT}", whole)


def _published(here: World) -> None:
    profile = here.until(
        lambda: ((found := here.kube.get(f"{PROFILES}/demo")) or {}).get("status") and found,
        "its status",
    )
    assert profile["metadata"]["labels"] == {"x-k8s.io/cluster-manager": "clusterkit"}
    assert profile["spec"]["clusterManager"] == {"name": "clusterkit"}
    assert profile["status"]["version"]["kubernetes"].startswith("v1.")
    told = {each["name"]: each["value"] for each in profile["status"]["properties"]}
    assert told["cloud.clusterkit.dev"] == "eks"
    assert profile["status"]["conditions"][0]["type"] == "ControlPlaneHealthy"


def _path(body: Body) -> str | None:
    """Where it goes; None for what needs a machine."""
    metadata = body["metadata"]
    inside = f"namespaces/{metadata.get('namespace')}"
    match body["kind"]:
        case "ServiceAccount":
            return names.core(metadata["namespace"], "serviceaccounts", metadata["name"])
        case "ClusterRole" | "ClusterRoleBinding":
            return f"{RBAC}/{body['kind'].lower()}s/{metadata['name']}"
        case "Role" | "RoleBinding":
            return f"{RBAC}/{inside}/{body['kind'].lower()}s/{metadata['name']}"
        case _:
            return None


def _account(here: World) -> Access:
    """The management cluster as the operator's ServiceAccount reaches it."""
    path = names.core(names.NAMESPACE, "serviceaccounts", names.ACCOUNT)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = here.kube.create(f"{path}/token", asked)["status"]["token"]
    return replace(here.access, token=lambda: token, client_certificate=None, client_key=None)


@contextmanager
def recorded(
    monkeypatch: pytest.MonkeyPatch,
    used: set[tuple[str, str, str]],
    refused: set[tuple[str, str, str]],
) -> Iterator[None]:
    """What the API server is asked for in the name of the operator's account."""
    ask = Authorizer.allowed

    def allowed(self: Authorizer, user: Any, wanted: Attributes) -> str:
        why = ask(self, user, wanted)
        if user.username == USER and not wanted.path:
            (used if why else refused).add((wanted.group, wanted.resource, wanted.verb))
        return why

    with monkeypatch.context() as patch:
        patch.setattr(Authorizer, "allowed", allowed)
        yield


@contextmanager
def _metrics(here: World) -> Iterator[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def read(path: str = "metrics") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as page:
            return str(page.read().decode())

    def up() -> bool:
        try:
            return read("readyz") == "ok"
        except (urllib.error.URLError, ConnectionError):
            return False

    with here.operator(_account(here), port=port):
        here.until(up, "it says that it is ready")
        assert read("healthz") == "ok"
        yield read


def test_without_the_crd_it_says_what_to_do(tmp_path: Path) -> None:
    from clusterkit.errors import ClusterkitError

    with world(tmp_path, "eks") as made:
        made.kube.delete(f"{CRDS}/{names.PLURAL}.{names.GROUP}")
        api = KubeApi(lambda: made.access)
        made.until(
            lambda: (
                not any(
                    each["name"] == names.PLURAL
                    for each in (api.get(f"/apis/{names.GROUP}/{names.VERSION}") or {}).get(
                        "resources", ()
                    )
                )
            ),
            "the API no longer knows it",
        )
        with (
            pytest.raises(ClusterkitError, match="does not know CloudClusters"),
            made.operator() as thread,
        ):
            thread.join(30)

"""``clusterkit verify`` on the sandbox: every cluster is ready, and each check can fail."""

from __future__ import annotations

import base64
import itertools
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import clusterkit_sandbox.kube as sandbox_kube
from clusterkit.engine import backoff
from clusterkit.errors import Interrupted, UsageError
from clusterkit.gke.registry import Repository
from clusterkit.kube.api import Access, KubeApi
from clusterkit.kube.secrets import EXPIRES
from clusterkit.profile.model import BaseProfile
from clusterkit.ready import probe
from clusterkit.ready.checks import Result
from clusterkit.ready.registry import PushAccess, SecretFile
from clusterkit.ready.subject import Subject
from clusterkit.ready.verify import Verdict, Wanted, subject_of, verify
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.interfaces import Identity, Node
from clusterkit_sandbox.pace import Pace
from tests.drivers.cases import MINIMAL, each
from tests.drivers.world import Case, World, edited, world
from tests.sandbox.kubes import DRIVER, GP3, Cloud, node

REGISTRY = {"name": "demo", "repositories": ["app"], "keep": False}
KANIKO = {"registry": REGISTRY, "ready": {"kaniko": {}, "jenkins": {}}}
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
BUILDS = "/api/v1/namespaces/builds"
PROBE = Wanted(probe=True)
STATIC = Wanted()


def by_id(verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    return {verdict.check.id: verdict for verdict in verdicts}


def told(verdict: Verdict) -> str:
    return "\n".join(
        f"{r.status} {r.where} {r.what} | {r.seen} | {r.cure}" for r in verdict.results
    )


def failed(verdict: Verdict, *words: str) -> Result:
    """The failure: it has these words, one that users know, and a cure."""
    assert verdict.status == "failed", told(verdict)
    found = next(result for result in verdict.results if result.status == "failed")
    for word in words:
        assert word in f"{found.where} {found.what} {found.seen} {found.cure}", told(verdict)
    assert found.seen
    assert found.cure
    return found


# -- a cluster of any maker ------------------------------------------------------------------------


class Any_:
    """A cluster without a profile, and a cloud beneath it that keeps books."""

    def __init__(self, opened: Any, cloud: Cloud, faults: Faults) -> None:
        host, port = opened.address
        self.cluster, self.cloud, self.faults = opened, cloud, faults
        access = Access(f"https://{host}:{port}", opened.ca_pem, lambda: "admin")
        self.kube = KubeApi(lambda: access)
        weak = Access(f"https://{host}:{port}", opened.ca_pem, lambda: "nobody")
        self.weak = KubeApi(lambda: weak)

    def subject(self, wanted: Wanted, kube: KubeApi | None = None) -> Subject:
        return subject_of(kube or self.kube, wanted, scale=0.0)

    def verify(
        self,
        *only: str,
        probe: bool = False,
        purposes: Sequence[str] | None = None,
        kube: KubeApi | None = None,
    ) -> dict[str, Verdict]:
        wanted = Wanted(probe, purposes, only)
        return by_id(verify(self.subject(wanted, kube), wanted))

    def __call__(self, id: str, **options: Any) -> Verdict:
        return self.verify(id, **options)[id]

    def put(self, path: str, kind: str, api: str = "v1", **body: Any) -> None:
        name = path.rpartition("/")[2]
        metadata = {"name": name, **body.pop("metadata", {})}
        self.kube.apply(path, {"apiVersion": api, "kind": kind, "metadata": metadata, **body})

    def probes(self) -> list[str]:
        """The namespaces that checks have made."""
        found = self.kube.list("/api/v1/namespaces", probe.LABELS)
        return [item["metadata"]["name"] for item in found]


def review(token: str) -> Identity | None:
    return {
        "admin": Identity("admin", ("system:masters",)),
        "nobody": Identity("nobody", ("developers",)),
    }.get(token)


NUMBERS = itertools.count()
FAULTS = Faults()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("kube")
    served = sandbox_kube.kube_server("embedded", Pace(math.inf), folder, FAULTS)
    yield served
    served.close()


@pytest.fixture
def any_(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any_]:
    monkeypatch.setattr("clusterkit.ready.subject.LEAST", 3.0)
    cloud = Cloud()
    opened = server.open(
        f"v{next(NUMBERS)}", hosts=["c.example.test"], version="1.34", review=review, hooks=cloud,
        objects=[GP3],
    )  # fmt: skip
    opened.set_nodes([node(1), node(2)])
    FAULTS.clear()
    yield Any_(opened, cloud, FAULTS)
    FAULTS.clear()
    opened.close()


def test_any_cluster_is_ready(any_: Any_) -> None:
    found = any_.verify(probe=True)
    assert {id: verdict.status for id, verdict in found.items()} == dict.fromkeys(
        ("K1", "K2", "K3", "K4", "K5", "K10", "K12"), "passed"
    ), "\n".join(map(told, found.values()))
    assert any_.probes() == []
    assert any_.cloud.volumes == {}
    assert any_.cloud.balancers == {}
    assert found["K3"].results == (Result("passed", "gp3 is the default"),)


def test_nothing_is_made_without_probe(any_: Any_) -> None:
    before = [item["metadata"]["resourceVersion"] for item in any_.kube.list("/api/v1/namespaces")]
    found = any_.verify(purposes=["kaniko", "jenkins-x"])
    probes = {id for id, verdict in found.items() if verdict.check.level == "probe"}
    assert {found[id].status for id in probes} == {"skipped"}
    after = [item["metadata"]["resourceVersion"] for item in any_.kube.list("/api/v1/namespaces")]
    assert before == after


def test_which_checks_run(any_: Any_) -> None:
    assert set(any_.verify()) == {"K1", "K2", "K3", "K4", "K5", "K10", "K12"}
    assert {"K13", "K14"} <= set(any_.verify(purposes=["jenkins-x"]))
    assert "K6" in any_.verify(purposes=["jenkins-x"])
    assert set(any_.verify(purposes=["progressive-delivery"])) - set(any_.verify()) == {"K15"}
    assert list(any_.verify("k3", "K1")) == ["K1", "K3"]
    wanted = Wanted(skip=("K3",))
    assert "K3" not in by_id(verify(any_.subject(wanted), wanted))
    with pytest.raises(UsageError, match="no check K99"):
        any_.verify("K99")
    none = Wanted(only=("K3",), skip=("K3",))
    with pytest.raises(UsageError, match="no check is left"):
        verify(any_.subject(none, None), none)
    with pytest.raises(UsageError, match="unknown purpose 'jenkinsx'"):
        any_.verify(purposes=["jenkinsx"])


def test_k1_fails_without_an_answer(any_: Any_, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 0.2)

    def lost() -> Access:
        return Access("https://127.0.0.1:1", any_.cluster.ca_pem, lambda: "admin")

    monkey = KubeApi(lost)
    wanted = Wanted()
    found = by_id(verify(subject_of(monkey, wanted, scale=0.0), wanted))
    failed(found["K1"])
    assert {verdict.status for id, verdict in found.items() if id != "K1"} == {"skipped"}
    assert "K1" in found["K3"].results[0].what


def test_k1_fails_for_credentials_that_the_cluster_does_not_know(any_: Any_) -> None:
    host, port = any_.cluster.address
    stranger = Access(f"https://{host}:{port}", any_.cluster.ca_pem, lambda: "expired")
    found = any_.verify(kube=KubeApi(lambda: stranger))
    failed(found["K1"], "You must be logged in to the server")
    assert found["K2"].status == "skipped"


def test_k1_knows_what_jenkins_x_supports(server: Any) -> None:
    opened = server.open(
        f"v{next(NUMBERS)}", hosts=["c.example.test"], version="1.36", review=review, hooks=Cloud()
    )
    newer = Any_(opened, Cloud(), FAULTS)
    assert newer("K1").status == "passed"
    verdict = newer("K1", purposes=["jenkins-x"])
    assert verdict.status == "warned"
    assert "v1.36.0 is newer" in told(verdict)
    opened.close()


def test_k2_fails_without_a_node_that_takes_pods(any_: Any_) -> None:
    any_.kube.patch("/api/v1/nodes/" + node(1).name, {"spec": {"unschedulable": True}})
    assert any_("K2").status == "passed"
    taints = [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]
    any_.kube.patch("/api/v1/nodes/" + node(2).name, {"spec": {"taints": taints}})
    failed(any_("K2"), "none of 2 nodes takes pods: 1 cordoned, 1 tainted dedicated")
    any_.cluster.set_nodes([])
    failed(any_("K2"), "there are no nodes")


def test_k2_fails_without_room(any_: Any_) -> None:
    assert any_("K2", purposes=["kaniko"]).status == "passed"
    for number in (1, 2):
        container = {
            "name": "big",
            "image": "example.test/big",
            "resources": {"requests": {"cpu": f"{node(number).cpu * 1000 - 400}m"}},
        }
        spec = {"nodeName": node(number).name, "containers": [container]}
        any_.put(f"/api/v1/namespaces/default/pods/big{number}", "Pod", spec=spec)
    verdict = any_("K2", purposes=["kaniko"])
    failed(verdict, "0/2 nodes are available: 2 Insufficient cpu")
    assert any_("K2").status == "passed"


def test_k2_fails_without_enough_for_jenkins_x(any_: Any_) -> None:
    small = Node("small", "aws:///a/i-small", "t3.small", "a", "r", 2, 2048)
    any_.cluster.set_nodes([small])
    failed(any_("K2", purposes=["jenkins-x"]), "Jenkins X needs 4 and 8")


def test_k3_fails_without_a_default_class(any_: Any_) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "false"}
    any_.kube.patch(f"{CLASSES}/gp3", {"metadata": {"annotations": annotations}})
    failed(any_("K3"), "no StorageClass is the default", "no storage class is set")
    assert any_("K4").status == "skipped"


def test_k3_warns_of_a_second_default(any_: Any_) -> None:
    theirs: Any = GP3["metadata"]
    other = {**GP3, "metadata": {**theirs, "name": "gp2"}}
    any_.kube.apply(f"{CLASSES}/gp2", other)
    verdict = any_("K3")
    assert verdict.status == "warned"
    assert "2 classes are the default" in verdict.results[0].what
    assert "kubectl annotate --overwrite storageclass" in verdict.results[0].cure


def test_k4_fails_without_the_driver(any_: Any_) -> None:
    assert any_("K4").status == "passed"
    any_.cloud.drivers.clear()
    failed(any_("K4"), f"no CSIDriver {DRIVER}")


@pytest.mark.parametrize(
    ("provisioner", "status"),
    [
        ("kubernetes.io/aws-ebs", "passed"),
        ("kubernetes.io/gce-pd", "failed"),
        ("kubernetes.io/no-provisioner", "failed"),
        ("rancher.io/local-path", "skipped"),
    ],
)
def test_k4_knows_other_provisioners(any_: Any_, provisioner: str, status: str) -> None:
    any_.kube.delete(f"{CLASSES}/gp3")
    any_.kube.apply(f"{CLASSES}/gp3", {**GP3, "provisioner": provisioner})
    assert any_("K4").status == status


def test_k5_fails_with_the_drivers_words(any_: Any_) -> None:
    any_.cloud.trouble = "UnauthorizedOperation: not authorized to perform ec2:CreateVolume"
    verdict = any_("K5", probe=True)
    failed(verdict, "a claim of 1 GiB is still Pending", "UnauthorizedOperation")
    assert len([r for r in verdict.results if r.status == "failed"]) == 2
    assert any_.probes() == []


def test_k5_leaves_no_volume_of_a_class_that_keeps_them(any_: Any_) -> None:
    any_.kube.delete(f"{CLASSES}/gp3")
    any_.kube.apply(f"{CLASSES}/gp3", {**GP3, "reclaimPolicy": "Retain"})
    assert any_("K5", probe=True).status == "passed"
    subject = any_.subject(PROBE)
    gone = subject.wait(lambda: True if not any_.cloud.volumes else None, subject.end(1.0))
    assert gone, any_.cloud.volumes


def test_k10_fails_with_the_controllers_words(any_: Any_) -> None:
    any_.cloud.trouble = "could not find any suitable subnets for creating the ELB"
    wanted = Wanted(probe=True, only=("K10",))
    subject = any_.subject(wanted)
    timer = threading.Timer(3.5, lambda: setattr(any_.cloud, "trouble", ""))
    timer.start()  # or the namespace could not go
    verdict = by_id(verify(subject, wanted))["K10"]
    timer.join()
    failed(verdict, "no address after five minutes", "could not find any suitable subnets")


def test_k12_fails_where_a_registry_is_out_of_reach(any_: Any_) -> None:
    any_.faults.set(Faults.parse("error:kube:pull/quay.io").rules)
    verdict = any_("K12", probe=True, purposes=["jenkins-x"])
    found = failed(verdict, "quay.io", "ErrImagePull", "i/o timeout", "ImagePullBackOff")
    assert found.where == "quay.io"
    assert [r.where for r in verdict.results if r.status == "failed"] == ["quay.io"]


def test_what_may_not_be_asked_is_skipped(any_: Any_) -> None:
    found = any_.verify(kube=any_.weak)
    assert found["K1"].status == "passed"
    assert found["K2"].status == "skipped"
    assert 'User "nobody" cannot list resource "nodes"' in told(found["K2"])
    assert any_("K8", purposes=["kaniko"], kube=any_.weak).status == "skipped"


# -- probes ----------------------------------------------------------------------------------------


def test_interrupted_probes_remove_what_they_made(any_: Any_) -> None:
    any_.cloud.trouble = "not yet"
    stop = threading.Event()
    wanted = Wanted(probe=True, only=("K5",))
    subject = subject_of(any_.kube, wanted, stop=stop, scale=1.0)
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    with pytest.raises(Interrupted):
        verify(subject, wanted)
    any_.cloud.trouble = ""
    until = any_.subject(wanted)
    assert until.wait(lambda: None if any_.probes() else True, until.end(1.0))


def abandoned(any_: Any_, by: str, until: datetime) -> str:
    annotations = {probe.BY: by, probe.UNTIL: until.isoformat()}
    metadata = {"labels": dict(probe.LABELS), "annotations": annotations}
    name = f"clusterkit-verify-k5-{next(NUMBERS):06x}"
    any_.put(f"/api/v1/namespaces/{name}", "Namespace", metadata=metadata)
    return name


def test_the_next_run_removes_what_a_killed_one_left(any_: Any_) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    here, later = probe._place(), datetime.now(UTC) + timedelta(minutes=5)
    dead = abandoned(any_, f"{here}/{int(child.stdout)}", later)
    late = abandoned(any_, "elsewhere/boot/1", datetime.now(UTC) - timedelta(minutes=1))
    alive = abandoned(any_, f"{here}/{os.getpid()}", later)
    distant = abandoned(any_, "elsewhere/boot/1", later)
    assert {path.rpartition("/")[2] for path in probe.clear(any_.subject(PROBE))} == {dead, late}
    until = any_.subject(PROBE)
    left = {alive, distant}
    assert until.wait(lambda: True if set(any_.probes()) == left else None, until.end(1.0))


def test_without_a_right_to_make_namespaces_another_is_used(any_: Any_) -> None:
    rules = [
        {"apiGroups": ["", "storage.k8s.io"], "resources": ["*"], "verbs": ["get", "list"]},
        {
            "apiGroups": [""],
            "resources": ["persistentvolumeclaims", "pods"],
            "verbs": ["create", "patch", "delete"],
        },
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    api = "rbac.authorization.k8s.io/v1"
    any_.put(f"{rbac}/clusterroles/some", "ClusterRole", api, rules=rules)
    any_.put(
        f"{rbac}/clusterrolebindings/some", "ClusterRoleBinding", api,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "some"},
        subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}],
    )  # fmt: skip
    verdict = any_("K5", probe=True, kube=any_.weak)
    assert verdict.status == "passed", told(verdict)
    assert any_.kube.list("/api/v1/namespaces/default/persistentvolumeclaims") == []


# -- Jenkins X and progressive delivery ------------------------------------------------------------

REQUIREMENTS: Mapping[str, Any] = {
    "apiVersion": "core.jenkins-x.io/v4beta1",
    "kind": "Requirements",
    "spec": {
        "cluster": {"provider": "kubernetes", "clusterName": "demo", "registry": "r.example.test"},
        "ingress": {"domain": "apps.example.com", "tls": {"enabled": False}},
    },
}
CONFIG_MAP = "/api/v1/namespaces/default/configmaps/terraform-jx-requirements"


def requirements(any_: Any_, **spec: Any) -> None:
    whole = {**REQUIREMENTS, "spec": {**REQUIREMENTS["spec"], **spec}}
    any_.put(CONFIG_MAP, "ConfigMap", data={"jx-requirements.yml": json.dumps(whole)})


def secret(any_: Any_, place: str, **data: str) -> None:
    namespace, _, name = place.partition("/")
    any_.put(f"/api/v1/namespaces/{namespace}", "Namespace")
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    any_.put(f"/api/v1/namespaces/{namespace}/secrets/{name}", "Secret", data=encoded)


def jx(any_: Any_, id: str = "K13") -> Verdict:
    return any_(id, purposes=["jenkins-x"])


def test_k13_fails_without_what_jenkins_x_reads(any_: Any_) -> None:
    failed(jx(any_), "terraform-jx-requirements", "it does not exist")
    any_.put(CONFIG_MAP, "ConfigMap", data={"jx-requirements.yml": "[1"})
    failed(jx(any_), "is not YAML")
    requirements(any_, cluster={"provider": "kubernetes", "registry": "1.dkr.ecr.r.amazonaws.com"})
    failed(jx(any_), "spec.cluster.clusterName is missing")


def test_k13_fails_without_the_registrys_password(any_: Any_) -> None:
    requirements(any_)
    failed(jx(any_), "jx/container-registry-auth", "r.example.test needs a password")
    secret(any_, "jx/container-registry-auth", url="r.example.test", username="me")
    failed(jx(any_), "lacks password")
    secret(any_, "jx/container-registry-auth", url="r.example.test", username="me", password="p")
    verdict = jx(any_)
    assert verdict.status == "passed", told(verdict)
    assert "not installed yet" in told(verdict)
    annotations = {EXPIRES: (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    path = "/api/v1/namespaces/jx/secrets/container-registry-auth"
    any_.kube.patch(path, {"metadata": {"annotations": annotations}})
    failed(jx(any_), "the password expired at", "clusterkit up")


@pytest.mark.parametrize(
    ("url", "username", "status", "words"),
    [
        ("https://me:p4ss@github.com/o/cluster-demo.git", "me", "passed", "github.com/o/cluster"),
        ("https://github.com/o/terraform-demo", "me", "warned", "the infrastructure's repository"),
        ("https://github.com/o/cluster-demo", "me@example.com", "failed", "has an @"),
        ("", "me", "failed", "not a URL"),
    ],
)
def test_k13_looks_at_the_operators_secret(
    any_: Any_, url: str, username: str, status: str, words: str
) -> None:
    requirements(any_, cluster={**REQUIREMENTS["spec"]["cluster"], "registry": "gcr.io/p"})
    secret(any_, "jx-git-operator/jx-boot", url=url, username=username, password="p4ss")
    verdict = jx(any_)
    assert verdict.status == status, told(verdict)
    assert words in told(verdict)
    assert "p4ss" not in told(verdict)


@pytest.mark.parametrize(
    ("ingress", "words"),
    [
        (
            {"domain": "1.2.3.4.nip.io", "tls": {"enabled": True, "email": "a@b.c"}},
            "1.2.3.4.nip.io",
        ),
        ({"domain": "", "tls": {"enabled": True, "email": "a@b.c"}}, "no domain"),
        ({"domain": "apps.example.com", "tls": {"enabled": True}}, "there is none"),
    ],
)
def test_k14_fails_for_tls_that_cannot_be(any_: Any_, ingress: dict[str, Any], words: str) -> None:
    requirements(any_)
    assert jx(any_, "K14").status == "passed"
    requirements(any_, ingress=ingress)
    failed(jx(any_, "K14"), words)


def test_k15_fails_until_all_of_it_is_there(any_: Any_) -> None:
    def look() -> Verdict:
        return any_("K15", purposes=["progressive-delivery"])

    def misses() -> list[str]:
        return [result.where for result in look().results if result.status == "failed"]

    failed(look(), "Flagger is not installed")
    for name, kind in (("canaries.flagger.app", "Canary"),
                       ("virtualservices.networking.istio.io", "VirtualService")):  # fmt: skip
        plural, _, group = name.partition(".")
        schema = {"openAPIV3Schema": {"type": "object"}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        spec = {"group": group, "names": {"plural": plural, "kind": kind}, "scope": "Namespaced",
                "versions": [version]}  # fmt: skip
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        any_.put(path, "CustomResourceDefinition", "apiextensions.k8s.io/v1", spec=spec)
    assert misses() == ["namespaces", "services"]
    labels = {"labels": {"istio-injection": "enabled"}}
    any_.put("/api/v1/namespaces/jx-staging", "Namespace", metadata=labels)
    assert misses() == ["services"]
    any_.put("/api/v1/namespaces/istio-system", "Namespace")
    ports = {"ports": [{"name": "http", "port": 9090}]}
    any_.put("/api/v1/namespaces/istio-system/services/prometheus", "Service", spec=ports)
    assert look().status == "passed"


# -- builds ----------------------------------------------------------------------------------------

HOST = "registry.example.test"


def builds(
    any_: Any_, id: str, access: PushAccess | None = None, kube: KubeApi | None = None
) -> Verdict:
    wanted = Wanted(probe=id == "K11", purposes=("kaniko",), only=(id,))
    asked = None if access is None else lambda: access
    subject = subject_of(kube or any_.kube, wanted, push_access=asked, scale=0.0)
    return by_id(verify(subject, wanted))[id]


def place(any_: Any_, **labels: str) -> None:
    found = {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
    any_.put(BUILDS, "Namespace", metadata={"labels": found})
    any_.put(f"{BUILDS}/serviceaccounts/kaniko", "ServiceAccount")


def test_k6_fails_without_the_account_or_its_identity(any_: Any_) -> None:
    access = PushAccess(HOST, annotations={"example.test/role": "push"})
    failed(builds(any_, "K6", access), "serviceaccount/builds/kaniko", "does not exist")
    place(any_)
    assert builds(any_, "K6", PushAccess(HOST)).status == "passed"
    failed(builds(any_, "K6", access), "annotation example.test/role is missing, must be push")
    metadata = {"annotations": {"example.test/role": "pull"}}
    any_.put(f"{BUILDS}/serviceaccounts/kaniko", "ServiceAccount", metadata=metadata)
    failed(builds(any_, "K6", access), "example.test/role is pull, must be push")
    metadata = {"annotations": {"example.test/role": "push"}}
    any_.put(f"{BUILDS}/serviceaccounts/kaniko", "ServiceAccount", metadata=metadata)
    assert builds(any_, "K6", access).status == "passed"


GOOD = base64.b64encode(b"me:p4ss").decode()


@pytest.mark.parametrize(
    ("config", "status", "words"),
    [
        ({"auths": {HOST: {"auth": GOOD}}}, "passed", ""),
        ({"auths": {HOST: {"identitytoken": "t"}}}, "passed", ""),
        ({"credHelpers": {HOST: "ecr-login"}}, "passed", ""),
        ("no JSON", "failed", "holds no docker config"),
        ({"auths": {"other.example.test": {"auth": GOOD}}}, "failed", f"names no login for {HOST}"),
        ({"auths": {HOST: {}}}, "failed", "is empty"),
        ({"auths": {HOST: {"auth": GOOD + "\n"}}}, "failed", "not base64 in one line"),
        ({"auths": {HOST: {"auth": base64.b64encode(b"me:p4ss\n").decode()}}}, "failed", "printf"),
        ({"auths": {HOST: {"auth": base64.b64encode(b"me").decode()}}}, "failed", "USER:PASSWORD"),
        (
            {"auths": {HOST: {"auth": GOOD}}, "credsStore": "acr"},
            "failed",
            "credsStore acr is asked for every registry",
        ),
        (
            {"auths": {HOST: {"auth": GOOD}}, "credsStore": "ecr-login"},
            "warned",
            "credsStore ecr-login is asked for every registry",
        ),
        ({"credHelpers": {HOST: "acr"}}, "failed", "docker-credential-acr"),
    ],
)
def test_k7_reads_the_docker_config(any_: Any_, config: Any, status: str, words: str) -> None:
    place(any_)
    text = config if isinstance(config, str) else json.dumps(config)
    secret(any_, "builds/regcred", **{".dockerconfigjson": text})
    verdict = builds(any_, "K7", PushAccess(HOST, secret="regcred"))
    assert verdict.status == status, told(verdict)
    assert words in told(verdict)
    any_.put(f"{BUILDS}/configmaps/docker-config", "ConfigMap", data={"config.json": text})
    verdict = builds(any_, "K7", PushAccess(HOST, helpers={HOST: "ecr-login"}))
    assert verdict.status == status, told(verdict)
    assert words in told(verdict)
    assert "p4ss" not in told(verdict)
    assert GOOD not in told(verdict)


def test_k7_fails_without_the_config_and_for_an_old_password(any_: Any_) -> None:
    place(any_)
    with_secret, with_map = (
        PushAccess(HOST, secret="regcred"),
        PushAccess(HOST, helpers={HOST: "gcr"}),
    )
    failed(builds(any_, "K7", with_secret), "secret/regcred", "does not exist")
    failed(builds(any_, "K7", with_map), "configmap/docker-config", "does not exist")
    assert builds(any_, "K7", PushAccess(HOST)).status == "passed"
    assert builds(any_, "K7").status == "skipped"
    secret(
        any_,
        "builds/regcred",
        **{".dockerconfigjson": json.dumps({"auths": {HOST: {"auth": GOOD}}})},
    )

    def ends(hours: int) -> Verdict:
        until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        annotations = {"metadata": {"annotations": {EXPIRES: until}}}
        any_.kube.patch(f"{BUILDS}/secrets/regcred", annotations)
        return builds(any_, "K7", with_secret)

    assert ends(1).status == "passed"
    failed(ends(-1), "the password expired at", "clusterkit up")


def test_k7_reads_the_key_of_an_account(any_: Any_) -> None:
    place(any_)
    access = PushAccess(HOST, files=(SecretFile("kaniko-secret", "kaniko-secret", "/k", "s"),))
    failed(builds(any_, "K7", access), "secret/kaniko-secret", "does not exist")
    secret(any_, "builds/kaniko-secret", other="{}")
    failed(builds(any_, "K7", access), "holds no key of an account")
    secret(any_, "builds/kaniko-secret", **{"kaniko-secret": json.dumps({"private_key": "p"})})
    assert builds(any_, "K7", access).status == "passed"


def test_k8_fails_in_the_servers_words(any_: Any_) -> None:
    failed(builds(any_, "K8"), 'namespaces "builds" not found', "clusterkit up")
    place(any_, enforce="baseline")
    assert builds(any_, "K8").status == "passed"
    place(any_, enforce="restricted")
    found = failed(builds(any_, "K8"), 'violates PodSecurity "restricted:latest"')
    assert "pod-security.kubernetes.io/enforce=baseline" in found.cure
    place(any_, enforce="privileged")
    any_.kube.delete(f"{BUILDS}/serviceaccounts/kaniko")
    failed(builds(any_, "K8"), "serviceaccount", "clusterkit up")
    assert any_.kube.list(f"{BUILDS}/pods") == []


def test_k7_knows_which_helper_is_the_hosts(any_: Any_) -> None:
    place(any_)
    text = json.dumps({"credHelpers": {HOST: "gcr"}})
    any_.put(f"{BUILDS}/configmaps/docker-config", "ConfigMap", data={"config.json": text})
    verdict = builds(any_, "K7", PushAccess(HOST, helpers={HOST: "ecr-login"}))
    failed(verdict, f"gcr is not a helper for {HOST}: ecr-login is")


def test_what_a_policy_refuses_is_no_missing_right(any_: Any_) -> None:
    place(any_, enforce="restricted")
    verdict = builds(any_, "K11", PushAccess(HOST))
    failed(verdict, 'violates PodSecurity "restricted:latest"')
    assert any_.kube.list(f"{BUILDS}/configmaps", {"clusterkit.dev/probe": "verify"}) == []


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("gcr.io/kaniko-project/executor:v1.9.1-debug", "no longer maintained"),
        ("ghcr.io/osscontainertools/kaniko:latest", "another kaniko tomorrow"),
        ("ghcr.io/osscontainertools/kaniko", "another kaniko tomorrow"),
    ],
)
def test_k9_warns_of_images(any_: Any_, image: str, words: str) -> None:
    assert builds(any_, "K9").status == "passed"
    spec = {"containers": [{"name": "kaniko", "image": image}]}
    any_.put("/api/v1/namespaces/default/pods/build", "Pod", spec=spec)
    verdict = builds(any_, "K9")
    assert verdict.status == "warned"
    assert "pod/default/build" in told(verdict)
    assert words in told(verdict)


def test_k11_has_nothing_to_ask_without_repositories(any_: Any_) -> None:
    place(any_)
    verdict = builds(any_, "K11", PushAccess(HOST, repositories=frozenset()))
    assert verdict.status == "skipped"
    assert "no repositories to push to" in told(verdict)
    assert builds(any_, "K11").status == "skipped"


# -- clusters of clusterkit's ----------------------------------------------------------------------


def reached(found: World, profile: BaseProfile) -> None:
    cluster = found.cluster()
    plan = cluster.plan(profile, activate=lambda _: None)
    found.settle(cluster.apply(plan, found.events.append))


def break_push(found: World) -> None:
    """Take from the builds what they push with."""
    kube = found.clients().kube
    match found.case.cloud:
        case "eks":
            found.clients().ecr.delete_repository(repositoryName="demo/app", force=True)
        case "aks":
            annotations = {"azure.workload.identity/client-id": "0000"}
            body = {"metadata": {"annotations": annotations}}
            kube.patch(f"{BUILDS}/serviceaccounts/kaniko", body)
        case "alibaba":
            there = kube.get(f"{BUILDS}/secrets/regcred")
            config = json.loads(base64.b64decode(there["data"][".dockerconfigjson"]))
            wrong = base64.b64encode(b"me:wrong").decode()
            config["auths"] = {key: {"auth": wrong} for key in config["auths"]}
            encoded = base64.b64encode(json.dumps(config).encode()).decode()
            kube.patch(f"{BUILDS}/secrets/regcred", {"data": {".dockerconfigjson": encoded}})
        case _:
            [repository] = Repository.list(found.scope())
            Repository.delete(found.scope(), repository)


@each(MINIMAL)
def test_a_cluster_is_ready_and_k11_can_fail(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        profile = found.load(edited(case.profile, KANIKO))
        reached(found, profile)
        before = found.look()
        verdicts = by_id(found.cluster().verify(profile, PROBE))
        lost = "\n".join(f"{id} {told(each)}" for id, each in verdicts.items())
        assert not [id for id, each in verdicts.items() if each.status == "failed"], lost
        common = {id: each.status for id, each in verdicts.items() if id.startswith("K")}
        assert set(common.values()) == {"passed"}, lost
        pushed = [result.where for result in verdicts["K11"].results]
        # image and cache, of kaniko's builds and of Jenkins'
        assert len(pushed) == 4, pushed
        assert found.plan(profile).empty
        assert found.look() == before

        break_push(found)
        verdict = by_id(found.cluster().verify(profile, Wanted(probe=True, only=("K11",))))["K11"]
        failed(verdict, "app")
        assert found.clients().kube.list(f"{BUILDS}/pods") == []
        assert found.clients().kube.list(f"{BUILDS}/configmaps", probe.LABELS) == []

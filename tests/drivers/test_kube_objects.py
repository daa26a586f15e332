"""Storage classes, namespaces, accounts and the drain, on the sandbox's Kubernetes."""

from __future__ import annotations

import base64
import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

import clusterkit_sandbox.kube as sandbox_kube
from clusterkit.engine.events import Event, Warned
from clusterkit.engine.inventory import Inventory
from clusterkit.engine.kind import AnyKind, Env, Kind
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.ownership import adopt
from clusterkit.engine.plan import Plan, plan
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, CloudError, ClusterkitError, NotOurs
from clusterkit.kube.api import Access, KubeApi, Object
from clusterkit.kube.drain import Ingresses, LoadBalancerServices, volume_claims
from clusterkit.kube.manifest import Namespace, ServiceAccount, namespace, service_account
from clusterkit.kube.secrets import EXPIRES, DockerConfig, Login
from clusterkit.kube.storage import StorageClass, storage_class
from clusterkit_sandbox.kube.interfaces import Identity, Node, VolumeRequest
from clusterkit_sandbox.pace import Pace

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
BETA = "storageclass.beta.kubernetes.io/is-default-class"
DRIVER = "ebs.csi.aws.com"


class Login_(DockerConfig):
    kind: ClassVar[str] = "login"

    def login(self, env: Env[Any]) -> Login:
        return Login(self.servers, "me", "pass", datetime.now(UTC) + timedelta(hours=1))


VOLUME_CLAIMS = volume_claims(lambda scope: False)
KINDS: tuple[AnyKind, ...] = (
    StorageClass,
    Namespace,
    ServiceAccount,
    Login_,
    VOLUME_CLAIMS,
    Ingresses,
    LoadBalancerServices,
)


def old_class(name: str, annotation: str) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {annotation: "true", "other": "stays"}},
        "provisioner": "kubernetes.io/aws-ebs",
        "parameters": {"type": "gp2"},
        "volumeBindingMode": "WaitForFirstConsumer",
    }


@dataclass
class Cloud:
    """What Kubernetes makes outside itself."""

    balancers: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    _count: Iterator[int] = field(default_factory=itertools.count)

    def ensure_load_balancer(
        self, kind: str, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> str:
        return self.balancers.setdefault(uid, f"{namespace}-{name}.example")

    def delete_load_balancer(self, uid: str) -> None:
        self.balancers.pop(uid, None)

    def provisioners(self) -> Sequence[str]:
        return [DRIVER]

    def create_volume(self, asked: VolumeRequest) -> str:
        volume = f"vol-{next(self._count)}"
        self.volumes[volume] = asked.name
        return volume

    def delete_volume(self, volume: str) -> None:
        self.volumes.pop(volume, None)


@dataclass(frozen=True)
class Clients:
    kube: KubeApi


class World:
    """A fresh cluster with an older default class or two."""

    def __init__(self, opened: Any, cloud: Cloud) -> None:
        host, port = opened.address
        self.cloud = cloud
        self.cluster = opened
        self.access = Access(f"https://{host}:{port}", opened.ca_pem, lambda: "t")
        self.kube = KubeApi(lambda: self.access)
        self.events: list[Event] = []

    @property
    def scope(self) -> Scope[Clients]:
        return Scope(Clients(self.kube), "demo")

    def plan(
        self,
        *wish: Kind[Any, Any],
        destroy: bool = False,
        kinds: Sequence[AnyKind] = KINDS,
    ) -> Plan:
        return plan(wish, kinds, self.scope, scale=0.0, destroy=destroy)

    def run(
        self,
        *wish: Kind[Any, Any],
        destroy: bool = False,
        kinds: Sequence[AnyKind] = KINDS,
    ) -> Outcome:
        steps = self.plan(*wish, destroy=destroy, kinds=kinds)
        return Run(self.scope, steps, self.events.append, scale=0.0)()

    def refusal(self, *wish: Kind[Any, Any]) -> NotOurs:
        """What a plan says of names that are taken."""
        with pytest.raises(NotOurs) as caught:
            self.plan(*wish)
        return caught.value

    def adopt(self, wanted: str) -> None:
        adopt(wanted, KINDS, self.scope, uuid4())

    def up(self, *wish: Kind[Any, Any]) -> None:
        outcome = self.run(*wish)
        assert outcome.ok, outcome
        assert self.plan(*wish).empty

    def get(self, path: str) -> Object:
        found = self.kube.get(path)
        assert found is not None, path
        return found

    def defaults(self) -> set[str]:
        """Names of the classes that Kubernetes takes for the default."""
        return {
            item["metadata"]["name"]
            for item in self.kube.list(CLASSES)
            if "true"
            in {(item["metadata"].get("annotations") or {}).get(key) for key in (DEFAULT, BETA)}
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("kube")
    served = sandbox_kube.kube_server("embedded", Pace(math.inf), folder)
    yield served
    served.close()


NUMBERS = itertools.count()


@pytest.fixture
def world(server: Any) -> Iterator[World]:
    cloud = Cloud()
    opened = server.open(
        f"c{next(NUMBERS)}",
        hosts=["c.example.test"],
        version="1.35",
        review=lambda token: Identity("admin", ("system:masters",)) if token == "t" else None,
        hooks=cloud,
        objects=[old_class("gp2", DEFAULT), old_class("gp1", BETA)],
    )
    yield World(opened, cloud)
    opened.close()


def gp3(**more: Any) -> StorageClass:
    parameters = more.pop("parameters", {"type": "gp3", "encrypted": "true"})
    return storage_class("gp3", DRIVER, parameters, **more)


def until(true: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


# -- storage classes ---------------------------------------------------------------------------


def test_there_is_exactly_one_default_class_and_it_is_ours(world: World) -> None:
    assert world.defaults() == {"gp1", "gp2"}
    world.up(gp3())
    assert world.defaults() == {"gp3"}
    made = world.get(f"{CLASSES}/gp3")
    assert made["parameters"] == {"type": "gp3", "encrypted": "true"}
    assert made["volumeBindingMode"] == "WaitForFirstConsumer"
    assert made["reclaimPolicy"] == "Delete"
    assert made["allowVolumeExpansion"] is True
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "clusterkit",
        "clusterkit-cluster": "demo",
        "clusterkit-name": "gp3",
    }
    other = world.get(f"{CLASSES}/gp2")
    assert other["metadata"]["annotations"] == {DEFAULT: "false", "other": "stays"}
    assert other["parameters"] == {"type": "gp2"}


def test_a_second_default_class_is_a_difference(world: World) -> None:
    world.up(gp3())
    world.kube.patch(f"{CLASSES}/gp2", {"metadata": {"annotations": {DEFAULT: "true"}}})
    [step] = world.plan(gp3()).todo
    assert [str(change) for change in step.changes] == ["other default classes: gp2 -> none"]
    world.up(gp3())
    assert world.defaults() == {"gp3"}


def test_what_others_changed_is_put_back(world: World) -> None:
    world.up(gp3())
    world.kube.patch(f"{CLASSES}/gp3", {"metadata": {"annotations": {DEFAULT: "false"}}})
    assert world.defaults() == set()
    world.up(gp3())
    assert world.defaults() == {"gp3"}


def test_expansion_is_changed_in_place(world: World) -> None:
    world.up(gp3())
    uid = world.get(f"{CLASSES}/gp3")["metadata"]["uid"]
    world.up(gp3(expansion=False))
    changed = world.get(f"{CLASSES}/gp3")
    assert changed["allowVolumeExpansion"] is False
    assert changed["metadata"]["uid"] == uid


@pytest.mark.parametrize(
    "more",
    [
        {"parameters": {"type": "io2"}},
        {"parameters": {}},
        {"reclaim": "Retain"},
        {"binding": "Immediate"},
    ],
)
def test_what_cannot_change_is_made_anew(world: World, more: dict[str, Any]) -> None:
    world.up(gp3())
    uid = world.get(f"{CLASSES}/gp3")["metadata"]["uid"]
    [step] = world.plan(gp3(**more)).todo
    assert step.op == "replace"
    world.up(gp3(**more))
    assert world.get(f"{CLASSES}/gp3")["metadata"]["uid"] != uid


def test_a_class_of_our_name_is_not_taken_over_silently(world: World) -> None:
    theirs = {**old_class("gp3", "x"), "apiVersion": "storage.k8s.io/v1"}
    world.kube.apply(f"{CLASSES}/gp3", theirs)
    assert "--adopt storage-class/gp3=gp3" in world.refusal(gp3()).hint
    assert world.get(f"{CLASSES}/gp3")["parameters"] == {"type": "gp2"}
    with pytest.raises(ClusterkitError, match="identified by its name"):
        world.adopt("storage-class/gp3=gp2")
    world.adopt("storage-class/gp3=gp3")
    world.up(gp3())
    assert world.get(f"{CLASSES}/gp3")["parameters"]["type"] == "gp3"


# -- namespaces and service accounts -----------------------------------------------------------


def account(within: Namespace, name: str = "kaniko") -> ServiceAccount:
    return service_account(name, within)


def test_a_namespace_and_its_account_come_and_go(world: World) -> None:
    world.up(account(namespace("kaniko")))
    made = world.get("/api/v1/namespaces/kaniko/serviceaccounts/kaniko")
    assert made["metadata"]["labels"]["clusterkit-name"] == "kaniko-kaniko"
    other = namespace("other")
    world.up(other, account(other, "one"), account(other, "two"))
    assert world.kube.get("/api/v1/namespaces/kaniko") is None
    world.up(other, account(other, "two"))
    assert world.kube.get("/api/v1/namespaces/other/serviceaccounts/one") is None
    assert world.run(destroy=True).ok
    assert world.kube.get("/api/v1/namespaces/other") is None
    assert world.get("/api/v1/namespaces/default")


def test_labels_and_annotations_are_put_on_and_back(world: World) -> None:
    space = namespace("builds", labels={"inject": "on"})
    account = service_account("kaniko", space, {"role": "a"})
    world.up(space, account)
    assert world.get("/api/v1/namespaces/builds")["metadata"]["labels"]["inject"] == "on"
    path = "/api/v1/namespaces/builds/serviceaccounts/kaniko"
    world.kube.patch(path, {"metadata": {"annotations": {"role": "b", "theirs": "stays"}}})
    assert not world.plan(space, account).empty
    world.up(space, account)
    assert world.get(path)["metadata"]["annotations"] == {"role": "a", "theirs": "stays"}


def test_a_registrys_password_is_renewed_once_it_has_expired(world: World) -> None:
    space = namespace("builds")
    login = Login_(name="builds/registry", servers=("r.example",), after=(space,))
    world.up(space, login)
    path = "/api/v1/namespaces/builds/secrets/registry"
    past = {EXPIRES: "2026-01-01T00:00:00+00:00"}
    world.kube.patch(path, {"metadata": {"annotations": past}})
    (step,) = world.plan(space, login).todo
    assert [change.field for change in step.changes] == ["password"]
    world.up(space, login)
    made = world.get(path)
    config = json.loads(base64.b64decode(made["data"][".dockerconfigjson"]))
    assert config == {"auths": {"r.example": {"auth": base64.b64encode(b"me:pass").decode()}}}
    assert "pass" not in repr(login.login(Env(Clients(world.kube), "demo")))
    (step,) = world.plan(
        space, Login_(name=login.name, servers=("s.example",), after=(space,))
    ).todo
    assert [change.field for change in step.changes] == ["servers"]
    world.up(space)
    assert world.kube.get(path) is None


@pytest.mark.parametrize("left", [{"auths": {}}, {"auths": None}, {}, [], None])
def test_a_registrys_login_that_somebody_has_taken_out_comes_back(
    left: object, world: World
) -> None:
    space = namespace("builds")
    login = Login_(name="builds/registry", servers=("r.example",), after=(space,))
    world.up(space, login)
    path = "/api/v1/namespaces/builds/secrets/registry"
    text = "" if left is None else base64.b64encode(json.dumps(left).encode()).decode()
    world.kube.patch(path, {"data": {".dockerconfigjson": text}})
    (step,) = world.plan(space, login).todo
    assert [change.field for change in step.changes] == ["logins that are missing"]
    world.up(space, login)
    config = json.loads(base64.b64decode(world.get(path)["data"][".dockerconfigjson"]))
    assert [*config["auths"]] == ["r.example"]
    assert world.plan(space, login).empty


def test_a_namespace_of_somebody_else_is_left_alone(world: World) -> None:
    assert "--adopt namespace/default=default" in world.refusal(namespace("default")).hint
    assert world.run(destroy=True).ok
    assert world.get("/api/v1/namespaces/default")["status"]["phase"] == "Active"
    with pytest.raises(CloudError, match="not found"):
        world.adopt("namespace/missing=missing")


def test_another_clusters_mark_is_not_ours(world: World) -> None:
    world.up(namespace("a"))
    labels = {"clusterkit-cluster": "another"}
    world.kube.patch("/api/v1/namespaces/a", {"metadata": {"labels": labels}})
    assert world.plan(destroy=True).empty
    assert world.refusal(namespace("a")).where == "namespace/a"


# -- what is drained ---------------------------------------------------------------------------


def node(number: int) -> Node:
    return Node(
        name=f"node-{number}",
        provider_id=f"aws:///eu-west-1a/i-{number}",
        instance_type="m7i.large",
        zone="eu-west-1a",
        region="eu-west-1",
        cpu=4,
        memory=16384,
    )


IMAGE = {"name": "main", "image": "example.test/app"}


def claim(name: str, **more: Any) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**spec, **more},
    }


def workload(kind: str, name: str, volumes: Sequence[Object] = (), **more: Any) -> Object:
    pod = {"containers": [IMAGE], "volumes": list(volumes)}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 1, "selector": selector, "template": template, **more},
    }


def busy(world: World) -> None:
    """Workloads with volumes of every kind, a load balancer, an ingress, and bystanders."""
    world.cluster.set_nodes([node(1), node(2)])
    world.up(gp3())
    retained = storage_class("keep", DRIVER, {}, reclaim="Retain")
    keep = retained.body(Env(Clients(world.kube), "demo"))
    keep["metadata"].pop("annotations")
    keep["metadata"].pop("labels")
    world.kube.apply(f"{CLASSES}/keep", keep)
    core, apps = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
    for name, more in (("data", {}), ("kept", {"storageClassName": "keep"})):
        world.kube.apply(f"{core}/persistentvolumeclaims/{name}", claim(name, **more))
    uses = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("data", "kept")
    ]
    world.kube.apply(f"{apps}/deployments/web", workload("Deployment", "web", uses))
    world.kube.apply(f"{apps}/deployments/plain", workload("Deployment", "plain"))
    template = claim("disk")
    template["metadata"].pop("namespace")
    stateful = workload(
        "StatefulSet", "db", serviceName="db", volumeClaimTemplates=[template], replicas=2
    )
    world.kube.apply(f"{apps}/statefulsets/db", stateful)
    for name, kind in (("front", "LoadBalancer"), ("inside", "ClusterIP")):
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": kind, "selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
        world.kube.apply(f"{core}/services/{name}", service)
    backend = {"service": {"name": "inside", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "site", "namespace": "default"},
        "spec": {"ingressClassName": "alb", "defaultBackend": backend},
    }
    world.kube.apply("/apis/networking.k8s.io/v1/namespaces/default/ingresses/site", ingress)
    until(lambda: len(world.cloud.volumes) == 4, "four volumes")
    until(lambda: len(world.cloud.balancers) == 2, "two load balancers")
    until(lambda: len(running(world)) == 4, "four pods")


def running(world: World) -> set[str]:
    """The apps that have a running pod on a node, once per pod."""
    pods = world.kube.list("/api/v1/namespaces/default/pods")
    return {p["metadata"]["name"] for p in pods if p["status"].get("phase") == "Running"}


def test_destroy_gives_back_what_kubernetes_made_in_the_cloud(world: World) -> None:
    busy(world)
    sweeps = {step.key: step.found for step in world.plan(destroy=True).todo if step.op == "sweep"}
    assert sweeps == {"volume-claims/*": 3, "ingresses/*": 1, "load-balancer-services/*": 1}
    kept = {
        item["metadata"]["name"]
        for item in world.kube.list("/api/v1/persistentvolumes")
        if item["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    }
    assert world.run(destroy=True).ok
    assert not [event for event in world.events if isinstance(event, Warned)]
    assert world.cloud.balancers == {}
    assert set(world.cloud.volumes.values()) == kept
    assert any(name.startswith("plain-") for name in running(world))
    assert world.get("/api/v1/namespaces/default/services/inside")
    assert world.plan(destroy=True).empty


def test_volumes_that_are_to_be_kept_are_kept(world: World) -> None:
    busy(world)
    kept = volume_claims(lambda scope: True)
    kinds = [kept if kind is VOLUME_CLAIMS else kind for kind in KINDS]
    assert world.run(destroy=True, kinds=kinds).ok
    assert len(world.cloud.volumes) == 4
    assert world.cloud.balancers == {}
    assert not world.get("/api/v1/nodes/node-1")["spec"].get("unschedulable")


def test_up_never_looks_at_what_is_only_drained(world: World) -> None:
    busy(world)
    world.up(gp3())
    assert len(world.cloud.volumes) == 4
    assert len(world.cloud.balancers) == 2


def test_a_dead_kubernetes_does_not_stop_a_destroy(world: World) -> None:
    busy(world)
    world.cluster.close()
    found = world.plan(destroy=True)
    told = {kind for warning in found.warnings for kind in warning.where.split(", ")}
    assert told == {kind.kind for kind in KINDS}
    assert all("does not answer" in warning.what for warning in found.warnings)
    assert found.empty


def test_no_cluster_is_no_object(world: World) -> None:
    def access() -> Access:
        raise Absent("cluster/main")

    scope = Scope(Clients(KubeApi(access)), "demo")
    assert plan([], KINDS, scope, scale=0.0, destroy=True).empty
    assert [step.op for step in plan([gp3()], KINDS, scope, scale=0.0).todo] == ["create"]


def test_many_threads_look_at_once(world: World) -> None:
    world.up(gp3(), *(namespace(f"n{number}") for number in range(30)))
    failed: list[BaseException] = []

    def looking() -> None:
        try:
            assert len(Inventory(world.scope).owned(Namespace)) == 30
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=looking) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed

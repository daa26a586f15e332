"""The official Python client against the sandbox's Kubernetes."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.kinds import built_in
from clusterkit_sandbox.kube.patches import strategic_merge_patch
from clusterkit_sandbox.kube.printers.columns import columns
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig, node

FORBIDDEN = "FieldValueForbidden"
MORE = "string(self.least) + ' is more than most'"
"""CEL"""


class Cluster:
    """A cluster, and clients of it by who they are."""

    def __init__(self, opened: Any, folder: Path) -> None:
        self.opened = opened
        self.folder = folder

    def client(self, token: str = "admin") -> client.ApiClient:
        """The official client, with a bearer token."""
        path = kubeconfig(self.opened, self.folder, token)
        return config.new_client_from_config(str(path))

    def dynamic(self) -> dynamic.DynamicClient:
        """The dynamic client; its cache is ours."""
        return dynamic.DynamicClient(self.client(), cache_file=str(self.folder / "cache.json"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    server = kube_server("embedded", Pace(math.inf), tmp_path)
    opened = server.open(
        "c", hosts=[HOST], version="1.35", review=TOKENS.get, hooks=Cloud(), objects=[GP3]
    )
    yield Cluster(opened, tmp_path)
    server.close()


def refused(work: Any, *args: Any, **more: Any) -> ApiException:
    """What the server refuses a call with."""
    with pytest.raises(ApiException) as caught:
        work(*args, **more)
    return caught.value


def said(error: ApiException) -> str:
    """The message of the server's Status."""
    return str(json.loads(error.body)["message"])


def settings(name: str = "s", **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_who_may_do_what(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    core.create_namespaced_config_map("default", settings())
    developer = client.CoreV1Api(cluster.client("nobody"))
    error = refused(developer.list_namespaced_config_map, "default")
    assert error.status == 403
    assert 'User "nobody" cannot list resource "configmaps"' in said(error)
    assert refused(client.CoreV1Api(cluster.client("wrong")).list_node).status == 401
    rbac = client.RbacAuthorizationV1Api(cluster.client())
    rbac.create_namespaced_role_binding(
        "default",
        client.V1RoleBinding(
            metadata=client.V1ObjectMeta(name="developers"),
            role_ref=client.V1RoleRef(
                api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="view"
            ),
            subjects=[client.RbacV1Subject(kind="Group", name="developers")],
        ),
    )
    assert [i.metadata.name for i in developer.list_namespaced_config_map("default").items]
    assert refused(developer.delete_namespaced_config_map, "s", "default").status == 403
    assert refused(developer.list_namespaced_secret, "default").status == 403


def test_a_client_certificate_says_who_comes(cluster: Cluster) -> None:
    certificate, key = cluster.opened.client_certificate("boss", ["system:masters"], 600)
    for name, text in (("c.pem", certificate), ("k.pem", key)):
        (cluster.folder / name).write_text(text)
    path = kubeconfig(cluster.opened, cluster.folder)
    made = yaml.safe_load(path.read_text())
    made["users"][0]["user"] = {
        "client-certificate": str(cluster.folder / "c.pem"),
        "client-key": str(cluster.folder / "k.pem"),
    }
    path.write_text(yaml.safe_dump(made))
    found = config.new_client_from_config(str(path))
    who = client.AuthenticationV1Api(found).create_self_subject_review({})
    assert who.status.user_info.username == "boss"


def test_objects_are_made_changed_and_lost(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    made = core.create_namespaced_config_map("default", settings(a="1"))
    assert refused(core.create_namespaced_config_map, "default", settings()).status == 409
    core.patch_namespaced_config_map("s", "default", {"data": {"b": "2"}})
    made.data = {"c": "3"}
    stale = refused(core.replace_namespaced_config_map, "s", "default", made)
    assert stale.status == 409
    assert "the object has been modified" in said(stale)
    made.metadata.resource_version = None
    assert core.replace_namespaced_config_map("s", "default", made).data == {"c": "3"}
    core.patch_namespaced_config_map("s", "default", {"data": {"d": "4"}}, dry_run="All")
    assert core.read_namespaced_config_map("s", "default").data == {"c": "3"}
    core.delete_namespaced_config_map("s", "default")
    missing = refused(core.read_namespaced_config_map, "s", "default")
    assert missing.status == 404
    assert 'configmaps "s" not found' in said(missing)
    wrong = refused(core.create_namespaced_config_map, "default", settings("Not_A_Name"))
    assert wrong.status == 422
    assert "RFC 1123" in said(wrong)


def test_appliers_own_what_they_applied(cluster: Cluster) -> None:
    maps = cluster.dynamic().resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager: str, *, force: bool = False, **data: str) -> Any:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": data}
        return maps.server_side_apply(
            body, name="s", namespace="default", field_manager=manager, force_conflicts=force
        )

    apply("one", a="1", b="1")
    with pytest.raises(dynamic.exceptions.ConflictError) as caught:
        apply("two", a="2")
    assert 'conflict with "one"' in said(caught.value)
    apply("two", force=True, a="2")
    left = apply("one", b="1")
    assert left.data.to_dict() == {"a": "2", "b": "1"}
    assert apply("one").data.to_dict() == {"a": "2"}


def test_applying_by_the_server_keeps_what_kubectl_noted(cluster: Cluster) -> None:
    """kubectl apply, then kubectl apply --server-side: the requests that kubectl makes."""
    noted = "kubectl.kubernetes.io/last-applied-configuration"
    maps = cluster.dynamic().resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}}
    by_client = {
        **body,
        "metadata": {"name": "s", "annotations": {noted: "{}"}},
        "data": {"a": "1", "b": "1"},
    }
    maps.create(by_client, namespace="default", field_manager="kubectl-client-side-apply")

    def apply(**data: str) -> Any:
        return maps.server_side_apply(
            {**body, "data": data}, name="s", namespace="default", field_manager="kubectl"
        )

    found = apply(a="2")
    assert found.data.to_dict() == {"a": "2", "b": "1"}
    told = json.loads(found.metadata.annotations[noted])
    assert (told["data"], told["metadata"]["name"]) == ({"a": "2"}, "s")
    owners = [item.manager for item in found.metadata.managedFields]
    assert owners == ["kubectl", "kubectl-client-side-apply"]
    # kubectl's own move: what it owned as a client, it owns as an applier
    fields = [item.to_dict() for item in found.metadata.managedFields]
    fields[0]["fieldsV1"]["f:data"]["f:b"] = {}
    moved = [{"op": "replace", "path": "/metadata/managedFields", "value": fields[:1]}]
    patched = maps.patch(
        moved, name="s", namespace="default", content_type="application/json-patch+json"
    )
    assert [item.manager for item in patched.metadata.managedFields] == ["kubectl"]
    found = apply(a="3")
    assert found.data.to_dict() == {"a": "3"}
    assert json.loads(found.metadata.annotations[noted])["data"] == {"a": "3"}


@pytest.mark.parametrize(
    ("patch", "left"),
    [
        ({"ports": [{"port": 3}]}, [3, 1, 2]),
        ({"ports": [{"port": 2}, {"port": 3}]}, [1, 2, 3]),
        ({"ports": [{"port": 3}, {"port": 2}]}, [3, 1, 2]),
        ({"ports": [{"port": 1, "$patch": "delete"}, {"port": 3}]}, [3, 2]),
        ({"$setElementOrder/ports": [{"port": 2}, {"port": 1}]}, [2, 1]),
        ({"$setElementOrder/ports": [{"port": 3}], "ports": [{"port": 3}]}, [3, 1, 2]),
    ],
)
def test_a_strategic_merge_orders_lists(patch: dict[str, Any], left: list[int]) -> None:
    schema = {
        "properties": {
            "ports": {
                "type": "array",
                "x-kubernetes-patch-strategy": "merge",
                "x-kubernetes-patch-merge-key": "port",
            }
        }
    }
    found = strategic_merge_patch({"ports": [{"port": 1}, {"port": 2}]}, patch, schema)
    assert [item["port"] for item in found["ports"]] == left


def test_a_wrong_type_in_a_map_names_the_map(cluster: Cluster) -> None:
    maps = cluster.dynamic().resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a.b": 3}}
    with pytest.raises(dynamic.exceptions.BadRequestError) as caught:
        maps.create(body, namespace="default")
    assert said(caught.value) == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number'
        " into Go struct field ConfigMap.data of type string"
    )


def test_a_watch_tells_every_change_once(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    start = core.list_namespaced_config_map("default").metadata.resource_version

    def change() -> None:
        other = client.CoreV1Api(cluster.client())
        other.create_namespaced_config_map("default", settings("w"))
        other.patch_namespaced_config_map("w", "default", {"data": {"x": "y"}})
        other.delete_namespaced_config_map("w", "default")

    thread = threading.Thread(target=change)
    thread.start()
    seen = []
    for event in watch.Watch().stream(
        core.list_namespaced_config_map, "default", resource_version=start, timeout_seconds=20
    ):
        if event["object"].metadata.name == "w":
            seen.append(event["type"])
        if seen[-1:] == ["DELETED"]:
            break
    thread.join()
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


def test_lists_have_pages_and_selectors(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    for number in range(7):
        body = settings(f"p{number}")
        body.metadata.labels = {"even": str(number % 2 == 0).lower()}
        core.create_namespaced_config_map("default", body)
    names: list[str] = []
    token = None
    while token is None or token:
        page = core.list_namespaced_config_map("default", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert [name for name in names if name.startswith("p")] == [f"p{n}" for n in range(7)]
    even = core.list_namespaced_config_map("default", label_selector="even=true").items
    assert len(even) == 4
    one = core.list_namespaced_config_map("default", field_selector="metadata.name=p3").items
    assert [item.metadata.name for item in one] == ["p3"]


def test_finalizers_hold_and_namespaces_take_everything(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="ns")))
    body = settings("held")
    body.metadata.finalizers = ["example.test/hold"]
    core.create_namespaced_config_map("ns", body)
    core.delete_namespace("ns")
    held = core.read_namespaced_config_map("held", "ns")
    assert held.metadata.deletion_timestamp is not None
    assert core.read_namespace("ns").status.phase == "Terminating"
    late = refused(core.create_namespaced_config_map, "ns", settings("late"))
    assert late.status == 403
    core.patch_namespaced_config_map("held", "ns", {"metadata": {"finalizers": None}})
    assert refused(core.read_namespace, "ns").status == 404


def test_a_service_accounts_token_lives_as_long_as_the_account(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    core.create_namespaced_service_account(
        "default", client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="bot"))
    )
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
    made = core.create_namespaced_service_account_token(
        "bot", "default", client.AuthenticationV1TokenRequest(spec=spec)
    )
    bot = cluster.client(made.status.token)
    who = client.AuthenticationV1Api(bot).create_self_subject_review({})
    assert who.status.user_info.username == "system:serviceaccount:default:bot"
    core.delete_namespaced_service_account("bot", "default")
    again = refused(client.AuthenticationV1Api(bot).create_self_subject_review, {})
    assert again.status == 401


def things(cluster: Cluster, spec: dict[str, Any]) -> dynamic.Resource:
    """A custom kind ``Thing`` whose spec has this schema."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.test"},
        "spec": {
            "group": "example.test",
            "names": {"plural": "things", "kind": "Thing", "singular": "thing"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    api = "apiextensions.k8s.io/v1"
    made = cluster.dynamic()
    made.resources.get(api_version=api, kind="CustomResourceDefinition").create(crd)
    made.resources.invalidate_cache()
    return made.resources.get(api_version="example.test/v1", kind="Thing")


def thing(**spec: Any) -> dict[str, Any]:
    head = {"apiVersion": "example.test/v1", "kind": "Thing", "metadata": {"name": "t"}}
    return {**head, "spec": spec}


def test_custom_kinds_are_served_and_checked(cluster: Cluster) -> None:
    fields = {
        "size": {"type": "integer", "minimum": 1},
        "color": {"type": "string", "default": "blue"},
    }
    api = things(cluster, {"required": ["size"], "properties": fields})
    assert refused(api.create, thing(size=0), namespace="default").status == 422
    wrong = refused(api.create, thing(size=2, color=1.35), namespace="default")
    assert wrong.status == 422
    assert said(wrong) == (
        'Thing.example.test "t" is invalid: spec.color: Invalid value: "number": spec.color in body'
        ' must be of type string: "number"'
    )
    stored = api.create(thing(size=2), namespace="default")
    assert stored.spec.to_dict() == {"size": 2, "color": "blue"}


def test_custom_kinds_keep_to_their_rules(cluster: Cluster) -> None:
    """Words: apiextensions-apiserver ``pkg/apiserver/schema/cel/validation.go``."""
    pool = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "zone": {
                "type": "string",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "reason": FORBIDDEN}],
            },
        },
    }
    rules = [
        {"rule": "self.cloud == oldSelf.cloud", "message": "the cloud cannot change"},
        {"rule": "!has(self.least) || self.least <= self.most", "messageExpression": MORE},
        {"rule": "isURL(self.cloud) == false"},
    ]
    fields = {
        "cloud": {"type": "string"},
        "least": {"type": "integer"},
        "most": {"type": "integer"},
        "pools": {
            "type": "array",
            "items": pool,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    }
    api = things(cluster, {"properties": fields, "x-kubernetes-validations": rules})
    least = refused(api.create, thing(cloud="eks", least=3, most=2), namespace="default")
    assert said(least).endswith('"t" is invalid: spec: Invalid value: 3 is more than most')
    lacking = refused(api.create, thing(cloud="eks", least=3), namespace="default")
    assert "spec: Invalid value: no such key: most evaluating rule: failed rule" in said(lacking)
    pools = [{"name": "a", "zone": "1"}, {"name": "b", "zone": "2"}]
    api.create(thing(cloud="eks", pools=pools), namespace="default")

    def change(**spec: Any) -> Any:
        merge = "application/merge-patch+json"
        return api.patch({"spec": spec}, "t", "default", content_type=merge)

    assert said(refused(change, cloud="gke")).endswith(
        "spec: Invalid value: the cloud cannot change"
    )
    moved = refused(change, pools=[{"name": "b", "zone": "3"}, pools[0]])
    assert said(moved).endswith("spec.pools[0].zone: Forbidden: failed rule: self == oldSelf")
    assert change(pools=[{"name": "c", "zone": "3"}, *pools]).spec.pools[0].name == "c"


def test_what_was_wrong_already_may_stay(cluster: Cluster) -> None:
    """Kubernetes documentation of custom kinds, "Validation ratcheting"."""
    fields = {"size": {"type": "integer"}, "color": {"type": "string"}}
    api = things(cluster, {"properties": fields})
    api.create(thing(size=1), namespace="default")
    crds = client.ApiextensionsV1Api(cluster.client())
    place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/minimum"
    crds.patch_custom_resource_definition(
        "things.example.test", [{"op": "add", "path": place, "value": 5}]
    )
    merge = "application/merge-patch+json"
    api.patch({"spec": {"color": "red"}}, "t", "default", content_type=merge)
    smaller = refused(api.patch, {"spec": {"size": 2}}, "t", "default", content_type=merge)
    assert "should be greater than or equal to 5" in said(smaller)


def scaler(share: int) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": share}
    head = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    return {**head, "metadata": {"name": "a"}, "spec": spec}


def test_an_object_has_the_shape_of_the_version_that_is_asked_for(cluster: Cluster) -> None:
    old, new = client.AutoscalingV1Api(cluster.client()), client.AutoscalingV2Api(cluster.client())

    def shares() -> set[int]:
        """As each version shows it, alone and in a list."""
        loads = [
            *old.list_namespaced_horizontal_pod_autoscaler("default").items,
            old.read_namespaced_horizontal_pod_autoscaler("a", "default"),
        ]
        metrics = [
            *new.list_namespaced_horizontal_pod_autoscaler("default").items,
            new.read_namespaced_horizontal_pod_autoscaler("a", "default"),
        ]
        targets = (each.spec.metrics[0].resource.target for each in metrics)
        found = {each.spec.target_cpu_utilization_percentage for each in loads}
        return found | {each.average_utilization for each in targets}

    old.create_namespaced_horizontal_pod_autoscaler("default", scaler(70))
    assert shares() == {70}
    api = cluster.dynamic().resources.get(api_version="autoscaling/v1", kind=scaler(1)["kind"])
    api.server_side_apply(
        body=scaler(60), name="a", namespace="default", field_manager="me", force_conflicts=True
    )
    assert shares() == {60}
    new.delete_namespaced_horizontal_pod_autoscaler("a", "default")
    api.server_side_apply(body=scaler(50), name="a", namespace="default", field_manager="me")
    assert shares() == {50}


def test_every_cell_is_of_a_column_that_a_real_server_has() -> None:
    asked: dict[str, set[str]] = {}
    for one in built_in():
        name = ".".join(filter(None, (one.plural, one.key[0])))
        asked.setdefault(name, set()).update(each.definition["name"] for each in columns(one))
    asked["*"] = set().union(*asked.values())
    cells = files("clusterkit_sandbox.kube").joinpath("data/cells.tsv").read_text()
    for line in cells.splitlines()[1:]:
        resource, column, *_ = line.split("\t")
        assert column in asked[resource], line


def test_pods_run_and_wait_for_what_they_need(cluster: Cluster) -> None:
    core = client.CoreV1Api(cluster.client())
    body = {
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "main", "image": "x", "resources": {"requests": {"cpu": "1"}}}],
            "nodeSelector": {"kubernetes.io/arch": "arm64"},
            "restartPolicy": "Never",
        },
    }
    core.create_namespaced_pod("default", body)
    cluster.opened.set_nodes([node(1)])
    waiting = core.read_namespaced_pod("p", "default")
    assert waiting.status.phase == "Pending"
    told = [c.message for c in waiting.status.conditions if c.type == "PodScheduled"]
    assert "didn't match Pod's node affinity/selector" in told[0]
    cluster.opened.set_nodes([node(1), node(2, architecture="arm64")])
    for event in watch.Watch().stream(
        core.list_namespaced_pod, "default", field_selector="metadata.name=p", timeout_seconds=20
    ):
        if event["object"].status.phase == "Succeeded":
            assert event["object"].spec.node_name == "node-2"
            break
    else:
        raise AssertionError("it never ran")
    cluster.opened.set_nodes([node(1)])
    assert refused(core.read_namespaced_pod, "p", "default").status == 404

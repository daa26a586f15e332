"""The neutral schema: fragments of four vendors' descriptions, and what is wrong with values."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest

from clusterkit_sandbox.kit.published import Arm, Botocore, Discovery, alibaba
from clusterkit_sandbox.kit.shape import (
    EMPTY,
    Field,
    Operation,
    Problem,
    Reader,
    Shape,
    deprecated,
)

TEXT = Shape("string")


def member(shape: Shape, name: str = "", **more: Any) -> Field:
    return Field(shape, name, **more)


GOOGLE = {
    # container v1, as its discovery document has them
    "Cluster": Shape(
        "object",
        fields={
            "name": member(TEXT),
            "initialNodeCount": member(Shape("integer", least=-(2**31), most=2**31 - 1)),
            "resourceLabels": member(Shape("map", item=TEXT)),
            "nodePools": member(Shape("array", item=Shape("ref", ref="NodePool"))),
            "status": member(Shape("string", enum=("RUNNING", "ERROR")), read_only=True),
            "releaseChannel": member(Shape("ref", ref="ReleaseChannel")),
            "caCertificate": member(Shape("string", format="byte")),
        },
    ),
    "NodePool": Shape("object", fields={"diskSizeGb": member(Shape("string", format="int64"))}),
    "ReleaseChannel": Shape(
        "object", fields={"channel": member(Shape("string", enum=("RAPID", "REGULAR")))}
    ),
    # a schema that is part of itself
    "Expr": Shape("object", fields={"and": member(Shape("array", item=Shape("ref", ref="Expr")))}),
}
POOL = r"^[a-z][a-z0-9]{0,11}$"
AZURE = {
    # Microsoft.ContainerService/managedClusters, as the SDK's models have it
    "ManagedCluster": Shape(
        "object",
        fields={
            "location": member(TEXT),
            "id": member(TEXT, read_only=True),
            "properties": member(
                Shape(
                    "object",
                    fields={
                        "provisioningState": member(TEXT, read_only=True),
                        "agentPoolProfiles": member(
                            Shape("array", item=Shape("ref", ref="AgentPool"), least=1)
                        ),
                    },
                )
            ),
        },
        required=("location", "id"),
    ),
    "AgentPool": Shape(
        "object",
        fields={
            "name": member(Shape("string", pattern=POOL)),
            "osType": member(Shape("string", enum=("Linux", "Windows"), any_case=True)),
        },
        required=("name",),
    ),
}


def read(names: dict[str, Shape], name: str, value: Any, **more: Any) -> tuple[Any, list[Problem]]:
    reader = Reader(names, **more)
    return reader.read(value, Shape("ref", ref=name)), reader.problems


def test_what_fits_is_read_without_what_is_null_or_read_only() -> None:
    sent = {
        "name": "jx", "initialNodeCount": 3, "status": "WHATEVER", "resourceLabels": {"a": "b"},
        "nodePools": [{"diskSizeGb": "100"}, {"diskSizeGb": None}], "caCertificate": "_-8=",
    }  # fmt: skip
    found, problems = read(GOOGLE, "Cluster", sent)
    assert not problems
    assert found == {
        "name": "jx", "initialNodeCount": 3, "resourceLabels": {"a": "b"},
        "nodePools": [{"diskSizeGb": "100"}, {}], "caCertificate": "_-8=",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"nope": 1}, Problem("unknown", "nope", None, 1)),
        (
            {"nodePools": [{}, {"size": "x"}]},
            Problem("unknown", "nodePools[1].size", None, "x"),
        ),
        ({"initialNodeCount": "3"}, Problem("type", "initialNodeCount", "integer", "3")),
        ({"initialNodeCount": True}, Problem("type", "initialNodeCount", "integer", True)),
        ({"initialNodeCount": 2**31}, Problem("most", "initialNodeCount", 2**31 - 1, 2**31)),
        ({"resourceLabels": {"a": 1}}, Problem("type", "resourceLabels.a", "string", 1)),
        ({"nodePools": {}}, Problem("type", "nodePools", "array", {})),
        ({"nodePools": [None]}, Problem("type", "nodePools[0]", "object", None)),
        (
            {"nodePools": [{"diskSizeGb": "much"}]},
            Problem("format", "nodePools[0].diskSizeGb", "int64", "much"),
        ),
        ({"caCertificate": "a"}, Problem("format", "caCertificate", "byte", "a")),
        (
            {"releaseChannel": {"channel": "rapid"}},
            Problem("enum", "releaseChannel.channel", ("RAPID", "REGULAR"), "rapid"),
        ),
    ],
)
def test_what_does_not_fit_a_discovery_document(value: Any, wrong: Problem) -> None:
    assert read(GOOGLE, "Cluster", value)[1] == [wrong]


def test_an_int64_is_a_text_or_a_number() -> None:
    for value in ("100", 100):
        assert not read(GOOGLE, "NodePool", {"diskSizeGb": value})[1]
    assert read(GOOGLE, "NodePool", {"diskSizeGb": 1.5})[1]


def test_a_shape_may_be_part_of_itself() -> None:
    assert not read(GOOGLE, "Expr", {"and": [{"and": [{}]}, {}]})[1]
    assert read(GOOGLE, "Expr", {"and": [{"or": []}]})[1][0].place == "and[0].or"


def test_an_arm_model() -> None:
    good = {
        "location": "westeurope",
        "properties": {"agentPoolProfiles": [{"name": "default", "osType": "linux"}]},
    }
    assert read(AZURE, "ManagedCluster", good) == (good, [])
    bad = {"properties": {"agentPoolProfiles": [{"name": "Default", "osType": "BeOS"}]}}
    where = "properties.agentPoolProfiles[0]"
    assert read(AZURE, "ManagedCluster", bad)[1] == [
        Problem("pattern", f"{where}.name", POOL, "Default"),
        Problem("enum", f"{where}.osType", ("Linux", "Windows"), "BeOS"),
        Problem("missing", "location"),
    ]
    none = {"location": "x", "properties": {"agentPoolProfiles": []}}
    assert [p.rule for p in read(AZURE, "ManagedCluster", none)[1]] == ["least"]


def test_an_answer_has_read_only_members_and_may_lack_required_ones() -> None:
    answer = {"id": "/subscriptions/1", "properties": {"provisioningState": "Creating"}}
    assert read(AZURE, "ManagedCluster", answer, answer=True) == (answer, [])
    assert read(AZURE, "ManagedCluster", {"ID": "x"}, answer=True)[1]


def test_what_counts_as_missing_is_the_vendors_choice() -> None:
    sent = {"location": ""}
    assert not read(AZURE, "ManagedCluster", sent)[1]
    assert read(AZURE, "ManagedCluster", sent, empty=EMPTY)[1] == [Problem("missing", "location")]


def test_a_pattern_that_python_lacks_is_not_held_against_a_value() -> None:
    shape = Shape("object", fields={"a": member(Shape("string", pattern=r"\p{IsGreek}+"))})
    assert not read({"X": shape}, "X", {"a": "b"})[1]
    shape = Shape("object", fields={"a": member(Shape("string", pattern=r"[\p{L}\p{Z}]*"))})
    assert not read({"X": shape}, "X", {"a": "é a"})[1]
    assert read({"X": shape}, "X", {"a": "!"})[1]


def test_botocore_is_compiled() -> None:
    compiled = Botocore(botocore.session.get_session().get_service_model("eks"))
    operation = compiled.operation("CreateNodegroup")
    assert (operation.name, operation.method) == ("eks:CreateNodegroup", "POST")
    assert operation.path == "/clusters/{name}/node-groups"
    fields = operation.parameters.fields
    assert (fields["clusterName"].place, fields["clusterName"].wire) == ("path", "name")
    assert fields["labels"].shape.kind == "map"
    listed = compiled.operation("ListNodegroups").parameters
    assert listed.fields["maxResults"] == Field(
        Shape("integer", least=1, most=100), "maxResults", "query"
    )
    reader = Reader(compiled.names)
    reader.read(
        {
            "clusterName": "a", "nodegroupName": "b", "nodeRole": "arn", "amiType": "BEOS",
            "subnets": ["s", 1], "scalingConfig": {"minSize": -1, "size": 3},
        },
        operation.parameters,
    )  # fmt: skip
    assert sorted((p.rule, p.place) for p in reader.problems) == [
        ("enum", "amiType"),
        ("least", "scalingConfig.minSize"),
        ("type", "subnets[1]"),
        ("unknown", "scalingConfig.size"),
    ]


def test_every_operation_of_eks_can_be_compiled() -> None:
    model = botocore.session.get_session().get_service_model("eks")
    compiled = Botocore(model)
    for name in model.operation_names:
        operation = compiled.operation(name)
        reader = Reader(compiled.names)
        reader.read({}, operation.parameters)
        assert {p.place for p in reader.problems} == set(operation.parameters.required)


ALIBABA = {
    "style": "ROA",
    "method": "POST",
    "path": "/clusters/[ClusterId]/nodepools",
    "query": ["Ids"],
    "comma": ["Ids"],
    "parameters": {
        "fields": {
            "Ids": {"array": "string"},
            "count": "integer",
            "labels": {"map": "string"},
            "old": {"array": {"fields": {"x": "any"}, "deprecated": ["x"]}},
        },
        "required": ["count"],
        "deprecated": ["count"],
    },
    "answer": None,
}


def test_alibabas_form_is_compiled() -> None:
    operation = alibaba("cs", "CreateClusterNodePool", ALIBABA)
    assert operation.name == "cs:CreateClusterNodePool"
    assert operation.path == "/clusters/{ClusterId}/nodepools"
    assert operation.answer is None
    ids = operation.parameters.fields["Ids"]
    assert (ids.place, ids.shape.joined) == ("query", True)
    assert operation.of("query").required == ()
    assert operation.of("body").required == ("count",)


DISCOVERY = {
    "servicePath": "compute/v1/",
    "methods": {
        "compute.disks.insert": {
            "httpMethod": "POST",
            "path": "projects/{project}/disks",
            "parameters": {
                "project": {"location": "path", "required": True, "type": "string"},
                "tag": {"location": "query", "repeated": True, "type": "string"},
            },
            "request": "Disk",
            "response": "Operation",
        },
        "compute.disks.get": {
            "httpMethod": "GET",
            "path": "disks/{disk}",
            "parameters": {"disk": {"location": "path", "required": True, "type": "string"}},
            "response": "Disk",
        },
    },
    "schemas": {
        "Operation": {"type": "object", "properties": {}},
        "Disk": {
            "type": "object",
            "properties": {
                "name": {
                    "type": "string",
                    "annotations": {"required": ["compute.disks.insert"]},
                },
                "sizeGb": {"type": "string", "format": "int64"},
                "mode": {"type": "string", "enum": ["NONE", "READ"], "numbers": [0, 2]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "selfLink": {"type": "string", "readOnly": True},
                "copies": {"type": "array", "items": {"$ref": "Disk"}},
            },
        },
    },
}


def test_a_discovery_document_is_compiled() -> None:
    compiled = Discovery(DISCOVERY)
    operation = compiled.operation("compute.disks.insert")
    assert (operation.method, operation.path) == ("POST", "/compute/v1/projects/{project}/disks")
    assert operation.parameters.required == ("project",)
    assert operation.parameters.fields["tag"].shape == Shape("array", item=Shape("string"))
    assert operation.whole == "body"
    disk = operation.parameters.fields["body"].shape
    assert disk.fields["mode"].shape.numbers == (0, 2)
    reader = Reader(compiled.names)
    sent = {"sizeGb": "x", "labels": {"a": 1}, "selfLink": "l", "copies": [{"size": 1}]}
    found = reader.read(sent, disk)
    assert "selfLink" not in found
    assert sorted((p.rule, p.place) for p in reader.problems) == [
        ("format", "sizeGb"),
        ("missing", "name"),
        ("type", "labels.a"),
        ("unknown", "copies[0].size"),
    ]
    # what one method requires, another does not
    answer = compiled.operation("compute.disks.get").answer
    assert answer is not None
    assert answer.required == ()


ARM: dict[str, Any] = {
    "service": "demo",
    "operations": {
        "Things_CreateOrUpdate": {
            "method": "PUT",
            "path": "/subscriptions/{subscriptionId}/things/{name}",
            "patterns": {"name": {"pattern": "^[a-z]+$", "most": 5}},
            "query": {"$top": "integer"},
            "required": [],
            "body": {"ref": "Thing"},
            "answer": {"ref": "Thing"},
            "ok": [200],
        },
        "Things_List": {
            "method": "GET",
            "path": "/{scope}/things",
            "patterns": {},
            "query": {"$filter": "string"},
            "required": ["$filter"],
            "answer": {"fields": {"value": {"array": {"ref": "Thing"}}, "nextLink": "string"}},
            "ok": [200],
        },
    },
    "types": {
        "Thing": {
            "fields": {
                "id": "string",
                "location": "string",
                "tags": {"map": "string"},
                "tier": {"enum": ["Free", "Paid"]},
                "part": {"ref": "Thing"},
                "properties": {"fields": {"size": "integer"}, "required": ["size"]},
            },
            "readOnly": ["id"],
            "required": ["location"],
        }
    },
}


def test_a_description_of_azure_is_compiled() -> None:
    compiled = Arm(ARM)
    operation = compiled.operation("Things_CreateOrUpdate")
    assert (operation.name, operation.method) == ("demo:Things_CreateOrUpdate", "PUT")
    assert operation.whole == "body"
    fields = operation.parameters.fields
    assert fields["name"].place == "path"
    assert (fields["name"].shape.pattern, fields["name"].shape.most) == ("^[a-z]+$", 5)
    assert fields["$top"].shape == Shape("integer")
    reader = Reader(compiled.names)
    sent = {"id": "x", "location": "here", "tier": "PAID", "part": {"location": "there"}}
    assert reader.read(sent, fields["body"].shape) == {k: v for k, v in sent.items() if k != "id"}
    assert reader.problems == []
    reader.read({"tier": "Old", "properties": {}, "more": 1}, fields["body"].shape)
    assert [(one.rule, one.place) for one in reader.problems] == [
        ("enum", "tier"),
        ("missing", "properties.size"),
        ("unknown", "more"),
        ("missing", "location"),
    ]
    listed = compiled.operation("Things_List")
    assert listed.path == "/{+scope}/things"
    assert listed.parameters.required == ("$filter",)
    assert compiled.named("Thing").fields["id"].read_only


def test_what_is_deprecated_and_not_empty_is_told() -> None:
    shape = alibaba("cs", "X", ALIBABA).parameters
    value = {"count": 1, "old": [{"x": []}, {"x": "y"}], "labels": {}}
    assert list(deprecated(value, shape, {})) == ["count", "old[].x"]


def test_a_shape_is_a_value() -> None:
    """Descriptions are shared by threads and kept for the life of a process."""
    with pytest.raises(AttributeError):
        TEXT.kind = "any"  # type: ignore[misc]
    assert Operation("a:B", "GET", "/", TEXT, None) == Operation("a:B", "GET", "/", TEXT, None)


def test_threads_compile_one_operation_at_a_time() -> None:
    """A shape that another thread is about to compile has no members yet."""
    inside, release = threading.Event(), threading.Event()

    class Slow(dict[str, Any]):
        def items(self) -> Any:
            inside.set()
            assert release.wait(10)
            return super().items()

    time = SimpleNamespace(type_name="timestamp", metadata={}, serialization={})
    of = {"required_members": (), "metadata": {}, "serialization": {}}
    cluster = SimpleNamespace(
        type_name="structure", name="Cluster", members=Slow(createdAt=time), **of
    )
    answer = SimpleNamespace(members={"cluster": cluster}, **of)
    http = {"method": "GET", "requestUri": "/"}
    model = SimpleNamespace(input_shape=None, output_shape=answer, http=http)
    published = Botocore(SimpleNamespace(operation_model=lambda _: model, service_name="eks"))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(published.operation, "DescribeCluster")
        assert inside.wait(10)
        second = pool.submit(published.operation, "CreateCluster")
        assert not wait([second], 0.2).done
        release.set()
        assert first.result().answer == second.result().answer
    assert published.names["Cluster"].fields["createdAt"].shape.kind == "timestamp"

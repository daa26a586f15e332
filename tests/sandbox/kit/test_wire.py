"""Requests as HTTP carries them."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kit.shape import Field, Operation, Problem, Shape
from clusterkit_sandbox.kit.wire import (
    Request,
    Routes,
    gathered,
    nested,
    parsed,
    rendered,
    respond,
    status_line,
    texts,
    typed,
)

ARM = "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.ContainerService"


def test_the_more_literal_route_wins() -> None:
    routes = Routes[str]()
    routes.add("GET", "/clusters/{name}", "one")
    routes.add("GET", "/clusters/versions", "versions")
    routes.add("POST", "/clusters/{name}", "change")
    assert routes.find("GET", "/clusters/versions") == ("versions", {})
    assert routes.find("GET", "/clusters/a%2Fb") == ("one", {"name": "a/b"})
    assert routes.find("GET", "/clusters/a/") == ("one", {"name": "a"})
    assert routes.find("POST", "/clusters/versions") == ("change", {"name": "versions"})
    assert routes.find("GET", "/clusters/a/b") is None
    assert routes.find("DELETE", "/clusters/a") is None


def test_googles_verbs_and_names_of_several_segments() -> None:
    routes = Routes[str]()
    routes.add("POST", "/v1/projects/{project}", "update")
    routes.add("POST", "/v1/projects/{project}:getIamPolicy", "policy")
    routes.add("GET", "/v1/{+name}", "any")
    routes.add("GET", "/v1/{+parent}/clusters", "clusters")
    assert routes.find("POST", "/v1/projects/p:getIamPolicy") == ("policy", {"project": "p"})
    assert routes.find("POST", "/v1/projects/p") == ("update", {"project": "p"})
    found = routes.find("GET", "/v1/projects/p/locations/l/clusters")
    assert found == ("clusters", {"parent": "projects/p/locations/l"})
    found = routes.find("GET", "/v1/projects/p/locations/l/operations/o")
    assert found == ("any", {"name": "projects/p/locations/l/operations/o"})


def test_patterns_tell_names_of_several_segments_apart() -> None:
    routes = Routes[str]()
    cluster = r"projects/[^/]+/clusters/[^/]+"
    routes.add("GET", "/v1/{+name}", "project", {"name": r"projects/[^/]+"})
    routes.add("GET", "/v1/{+name}", "cluster", {"name": cluster})
    routes.add("POST", "/v1/{+name}:stop", "stop", {"name": cluster})
    name = "projects/p/clusters/c"
    assert routes.find("GET", f"/v1/{name}") == ("cluster", {"name": name})
    assert routes.find("GET", "/v1/projects/p") == ("project", {"name": "projects/p"})
    assert routes.find("POST", f"/v1/{name}:stop") == ("stop", {"name": name})
    assert routes.find("GET", f"/v1/{name}/x") is None


def test_arm_does_not_mind_capitals() -> None:
    routes = Routes[str](any_case=True)
    routes.add("PUT", f"{ARM}/managedClusters/{{name}}", "cluster")
    path = f"{ARM}/managedclusters/Jx".replace("resourceGroups", "resourcegroups")
    found = routes.find("PUT", path.replace("{sub}", "0-1").replace("{group}", "Rg"))
    assert found == ("cluster", {"sub": "0-1", "group": "Rg", "name": "Jx"})


def test_a_request_is_read_undecoded() -> None:
    environ = {
        "REQUEST_METHOD": "POST", "RAW_URI": "/tags/arn%3Aaws%2Fx?a=1&b=&a=2",
        "PATH_INFO": "/tags/arn:aws/x", "QUERY_STRING": "a=1&b=&a=2",
        "HTTP_HOST": "EKS.example.com:443", "HTTP_X_ACS_VERSION": "1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "",
    }  # fmt: skip
    request = Request.read(environ, b"c=%C3%A9&b=3")
    assert (request.host, request.method) == ("eks.example.com", "POST")
    assert request.path == "/tags/arn%3Aaws%2Fx"
    assert request.headers["x-acs-version"] == "1"
    assert "content-length" not in request.headers
    assert request.flat == {"a": "2", "b": "3", "c": "é"}
    assert texts("a=1&b=&a=2") == {"a": ["1", "2"], "b": [""]}


def test_a_request_is_answered() -> None:
    said: list[object] = []
    environ = {"CONTENT_LENGTH": "2", "wsgi.input": io.BytesIO(b"hi, there")}
    body = respond(
        environ, lambda *head: said.append(head), lambda sent: Answer(404, (("A", "b"),), sent * 2)
    )
    assert (list(body), said) == ([b"hihi"], [("404 Not Found", [("A", "b")])])
    assert status_line(499) == "499 Unknown"


def test_flat_names() -> None:
    assert nested({"Tag.1.Key": "a", "Tag.1.Value": "b", "X": "c"}) == {
        "Tag": {"1": {"Key": "a", "Value": "b"}},
        "X": "c",
    }
    with pytest.raises(ValueError, match=r"Tag\.Key\.A"):
        nested({"Tag.Key": "a", "Tag.Key.A": "b"})


@pytest.mark.parametrize("text", ["NaN", "-Infinity", '"\\ud800"', "[" * 100_000, "{", ""])
def test_json_that_no_answer_could_carry_back(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its words are the json module's own
        parsed(text)


NUMBERS = Shape("array", item=Shape("integer"))
TAGS = Shape(
    "array",
    item=Shape("object", fields={"Key": Field(Shape("string"), "Key")}),
)


@pytest.mark.parametrize(
    ("value", "shape", "meant"),
    [
        ("7", Shape("integer"), 7),
        ("seven", Shape("integer"), "seven"),
        ("1" * 20, Shape("integer"), "1" * 20),
        ("1.5", Shape("number"), 1.5),
        ("True", Shape("boolean"), True),
        ("yes", Shape("boolean"), "yes"),
        ("7", Shape("string"), "7"),
        (["7", "8"], Shape("integer"), 7),
        (["7", "8"], NUMBERS, [7, 8]),
        ({"2": "8", "1": "7", "10": "9"}, NUMBERS, [7, 8, 9]),
        ({"a": "7"}, NUMBERS, {"a": "7"}),
        ("7,8", Shape("array", item=Shape("integer"), joined=True), [7, 8]),
        ("[7]", NUMBERS, [7]),
        ('["7"]', NUMBERS, ["7"]),
        ({"1": {"Key": "a", "Other": "b"}}, TAGS, [{"Key": "a", "Other": "b"}]),
        ({"a": "7"}, Shape("map", item=Shape("integer")), {"a": 7}),
    ],
)
def test_what_a_text_means(value: Any, shape: Shape, meant: Any) -> None:
    problems: list[Problem] = []
    assert typed(value, shape, "", problems) == meant
    assert not problems


def test_a_list_that_is_no_json_is_a_problem() -> None:
    problems: list[Problem] = []
    typed({"Ids": "[7"}, Shape("object", fields={"Ids": Field(NUMBERS, "Ids")}), "", problems)
    assert problems == [Problem("type", "Ids", "JSON", "[7")]


UPDATE = Operation(
    "container:Update",
    "PUT",
    "/v1/{+name}",
    Shape(
        "object",
        fields={
            "resource": Field(Shape("string"), "name", "path"),
            "dryRun": Field(Shape("boolean"), "validate_only", "query"),
            "apiVersion": Field(Shape("string"), "api-version", "query"),
            "size": Field(Shape("integer"), "nodeCount"),
        },
    ),
    None,
)


def test_parameters_come_from_where_the_description_says() -> None:
    found, problems = gathered(
        UPDATE,
        {"name": "projects/p"},
        {"validate_only": ["true"], "api-version": "2025-01-01"},
        {"nodeCount": 3},
    )
    assert not problems
    assert found == {
        "resource": "projects/p", "dryRun": True, "apiVersion": "2025-01-01", "size": 3,
    }  # fmt: skip
    _, problems = gathered(UPDATE, {}, {"nodeCount": "3"}, {"validate_only": True, "size": 3})
    assert [(p.rule, p.place) for p in problems] == [
        ("unknown", "nodeCount"), ("unknown", "validate_only"), ("unknown", "size"),
    ]  # fmt: skip
    assert gathered(UPDATE, {}, {}, [])[1] == [Problem("type", "", "object", [])]


def test_a_body_that_is_one_parameter() -> None:
    def whole(kind: Any) -> Operation:
        fields = {"body": Field(Shape(kind), "body")}
        parameters = Shape("object", fields=fields)
        return Operation("x:Y", "POST", "/", parameters, None, whole="body")

    assert gathered(whole("object"), {}, {}, {"a": 1}) == ({"body": {"a": 1}}, [])
    assert gathered(whole("array"), {}, {}, [1]) == ({"body": [1]}, [])
    # SDKs that know no whole bodies
    assert gathered(whole("array"), {}, {}, {"body": [1]}) == ({"body": [1]}, [])


def test_an_answer_has_wire_names_and_no_more_than_is_described() -> None:
    names = {"Pool": Shape("object", fields={"made": Field(Shape("timestamp"), "createdAt")})}
    shape = Shape(
        "object",
        fields={
            "name": Field(Shape("string"), "Name"),
            "note": Field(Shape("string"), "note"),
            "pools": Field(Shape("array", item=Shape("ref", ref="Pool")), "pools"),
            "tags": Field(Shape("map", item=Shape("string")), "tags"),
        },
    )
    value = {
        "name": "x", "note": None, "ours": 1, "tags": {"a": "b"},
        "pools": [{"made": datetime(2026, 1, 1, tzinfo=UTC)}],
    }  # fmt: skip
    assert rendered(value, shape, names) == {
        "Name": "x",
        "tags": {"a": "b"},
        "pools": [{"createdAt": 1767225600.0}],
    }

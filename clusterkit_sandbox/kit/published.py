"""Compilers of what vendors publish of their APIs into neutral shapes.

Botocore's service models, as botocore loads them, and the forms in which
``tools/gen_alibaba_models.py``, ``tools/gen_google_discovery.py`` and ``tools/gen_azure_models.py``
keep those of Alibaba Cloud, of Google and of Azure.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clusterkit_sandbox.kit.shape import Field, Kind, Operation, Place, Shape

_BOTOCORE: Mapping[str, Kind] = {
    "structure": "object",
    "list": "array",
    "map": "map",
    "string": "string",
    "character": "string",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
    "timestamp": "timestamp",
}
_PLACES: Mapping[str | None, Place] = {
    "uri": "path",
    "querystring": "query",
    "header": "header",
    "headers": "header",
}


class Botocore:
    """Compiles the shapes of one botocore service model; ``names`` has those that are referred to,
    as far as they have been asked for.
    """

    def __init__(self, service: Any) -> None:
        """``service`` is a ``botocore.model.ServiceModel``."""
        self._service = service
        self._compiling = threading.Lock()
        self.names: dict[str, Shape] = {}

    def operation(self, name: str) -> Operation:
        """One operation by its published name."""
        model = self._service.operation_model(name)
        asked, answered = model.input_shape, model.output_shape
        with self._compiling:  # a name stands for nothing until its members are known
            return Operation(
                name=f"{self._service.service_name}:{name}",
                method=model.http["method"],
                path=model.http["requestUri"].split("?")[0],
                parameters=self._members(asked) if asked is not None else Shape("object"),
                answer=self._members(answered) if answered is not None else None,
            )

    def _shape(self, model: Any) -> Shape:
        if model.type_name == "structure":
            if model.name not in self.names:
                self.names[model.name] = Shape()  # one that is part of itself refers to it
                self.names[model.name] = self._members(model)
            return Shape("ref", ref=model.name)
        rules = model.metadata
        return Shape(
            _BOTOCORE.get(model.type_name, "any"),
            item=self._item(model),
            key=self._shape(model.key) if model.type_name == "map" else None,
            enum=tuple(rules.get("enum", ())),
            pattern=rules.get("pattern", ""),
            least=rules.get("min"),
            most=rules.get("max"),
        )

    def _item(self, model: Any) -> Shape | None:
        if model.type_name == "list":
            return self._shape(model.member)
        return self._shape(model.value) if model.type_name == "map" else None

    def _members(self, model: Any) -> Shape:
        fields = {
            name: Field(
                self._shape(member),
                member.serialization.get("name", name),
                _PLACES.get(member.serialization.get("location"), "body"),
            )
            for name, member in model.members.items()
        }
        return Shape("object", fields=fields, required=tuple(model.required_members))


def alibaba(product: str, name: str, entry: Mapping[str, Any]) -> Operation:
    """One operation of ``clusterkit_sandbox/alibaba/data``."""
    query, joined = frozenset(entry["query"]), frozenset(entry.get("comma", ()))
    parameters = _alibaba(entry["parameters"], query, joined)
    answer = entry["answer"]
    return Operation(
        name=f"{product}:{name}",
        method=entry["method"],
        path=template(entry["path"]),
        parameters=parameters,
        answer=None if answer is None else _alibaba(answer),
        style=entry["style"],
        whole=entry.get("whole") or "",
    )


def template(path: str) -> str:
    """A path of Alibaba Cloud's, ``/clusters/[ClusterId]``, as a template of ``wire.Routes``."""
    return path.replace("[", "{").replace("]", "}")


def _alibaba(
    raw: str | Mapping[str, Any],
    query: frozenset[str] = frozenset(),
    joined: frozenset[str] = frozenset(),
) -> Shape:
    if isinstance(raw, str):
        kinds: Mapping[str, Kind] = {
            "string": "string", "integer": "integer", "number": "number", "boolean": "boolean",
        }  # fmt: skip
        return Shape(kinds.get(raw, "any"))
    if "array" in raw:
        return Shape("array", item=_alibaba(raw["array"]))
    if "map" in raw:
        return Shape("map", item=_alibaba(raw["map"]))
    old = frozenset(raw.get("deprecated", ()))
    fields = {
        name: Field(
            replace(_alibaba(inner), joined=True) if name in joined else _alibaba(inner),
            name,
            "query" if name in query else "body",
            deprecated=name in old,
        )
        for name, inner in raw["fields"].items()
    }
    return Shape("object", fields=fields, required=tuple(raw.get("required", ())))


class Discovery:
    """Compiles the shapes of one of Google's discovery documents; ``names`` has those that are
    referred to, as far as they have been asked for.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._compiling = threading.Lock()
        self.names: dict[str, Shape] = {}

    def operation(self, name: str) -> Operation:
        """One method by its id; its body, if it has one, is the parameter ``body``.

        Compute Engine alone says in a form for programs what a body must have.
        """
        method = self._document["methods"][name]
        asked, answered = method.get("request"), method.get("response")
        fields = {}
        for called, one in method["parameters"].items():
            place: Place = "path" if one["location"] == "path" else "query"
            fields[called] = Field(
                self._schema(one, repeated=bool(one.get("repeated"))), called, place
            )
        with self._compiling:  # a name stands for nothing until its members are known
            if asked is not None:
                body = self._named(asked)
                required = self._required(asked, name)
                fields["body"] = Field(replace(body, required=required), "body")
            answer = None if answered is None else self._named(answered)
        needed = tuple(n for n, one in method["parameters"].items() if one.get("required"))
        return Operation(
            name=name,
            method=method["httpMethod"],
            path=f"/{self._document['servicePath']}{method['path']}",
            parameters=Shape("object", fields=fields, required=needed),
            answer=answer,
            whole="" if asked is None else "body",
        )

    def _required(self, schema: str, method: str) -> tuple[str, ...]:
        properties = self._document["schemas"][schema].get("properties", {})
        return tuple(
            name
            for name, one in properties.items()
            if method in one.get("annotations", {}).get("required", ())
        )

    def _named(self, name: str) -> Shape:
        if name not in self.names:
            self.names[name] = Shape()  # one that is part of itself refers to it
            self.names[name] = self._schema(self._document["schemas"][name])
        return self.names[name]

    def _schema(self, raw: Mapping[str, Any], *, repeated: bool = False) -> Shape:
        if repeated:
            return Shape("array", item=self._schema(raw))
        if "$ref" in raw:
            self._named(raw["$ref"])
            return Shape("ref", ref=raw["$ref"])
        if raw.get("type") == "array":
            return Shape("array", item=self._schema(raw["items"]))
        if "additionalProperties" in raw:
            return Shape("map", item=self._schema(raw["additionalProperties"]))
        if raw.get("type") == "object":
            fields = {
                name: Field(
                    self._schema(one),
                    name,
                    read_only=one.get("readOnly", False),
                    deprecated=one.get("deprecated", False),
                )
                for name, one in raw.get("properties", {}).items()
            }
            return Shape("object", fields=fields)
        return Shape(
            _DISCOVERY.get(raw.get("type", "any"), "any"),
            enum=tuple(raw.get("enum", ())),
            numbers=tuple(raw.get("numbers", ())),
            pattern=raw.get("pattern", ""),
            format=raw.get("format", ""),
        )


_DISCOVERY: Mapping[str, Kind] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}


class Arm:
    """Compiles the shapes of one service of Azure; ``names`` has those that are referred to, as far
    as they have been asked for. Enums may be written in any case, as the vendor takes them.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        """``document`` is one of ``clusterkit_sandbox/azure/data``."""
        self._document = document
        self._compiling = threading.Lock()
        self.names: dict[str, Shape] = {}

    def operation(self, name: str) -> Operation:
        """One operation by its name; its body, if it has one, is the parameter ``body``."""
        entry = self._document["operations"][name]
        fields = {}
        for called in re.findall(r"{\+?(\w+)}", entry["path"]):
            rule = entry["patterns"].get(called, {})
            shape = Shape("string", pattern=rule.get("pattern", ""), least=rule.get("least"),
                          most=rule.get("most"))  # fmt: skip
            fields[called] = Field(shape, called, "path")
        body, answer = entry.get("body"), entry.get("answer")
        with self._compiling:  # a name stands for nothing until its members are known
            for called, raw in entry["query"].items():
                fields[called] = Field(self._shape(raw), called, "query")
            if body is not None:
                fields["body"] = Field(self._shape(body), "body")
            return Operation(
                name=f"{self._document['service']}:{name}",
                method=entry["method"],
                path=arm_template(entry["path"]),
                parameters=Shape("object", fields=fields, required=tuple(entry["required"])),
                answer=None if answer is None else self._shape(answer),
                whole="" if body is None else "body",
            )

    def named(self, name: str) -> Shape:
        """One type by its name."""
        with self._compiling:
            return self._named(name)

    def _named(self, name: str) -> Shape:
        if name not in self.names:
            self.names[name] = Shape()  # one that is part of itself refers to it
            self.names[name] = self._shape(self._document["types"][name])
        return self.names[name]

    def _shape(self, raw: str | Mapping[str, Any]) -> Shape:
        if isinstance(raw, str):
            return Shape(_DISCOVERY.get(raw, "any"))
        if "array" in raw:
            return Shape("array", item=self._shape(raw["array"]))
        if "map" in raw:
            return Shape("map", item=self._shape(raw["map"]))
        if "enum" in raw:
            return Shape("string", enum=tuple(raw["enum"]), any_case=True)
        if "ref" in raw:
            self._named(raw["ref"])
            return Shape("ref", ref=raw["ref"])
        read_only = frozenset(raw.get("readOnly", ()))
        fields = {
            name: Field(self._shape(inner), name, read_only=name in read_only)
            for name, inner in raw["fields"].items()
        }
        return Shape("object", fields=fields, required=tuple(raw.get("required", ())))


def arm_template(path: str) -> str:
    """A path of Azure's as a template of ``wire.Routes``: a scope is a path of its own."""
    return path.replace("{scope}", "{+scope}")

"""Write ``clusterkit_sandbox/google/data/*.json.xz``: what Google publishes of its APIs.

The source is the discovery documents that ``google-api-python-client`` carries (Apache-2.0): the
vendor's own description of routes, query parameters and bodies. Their prose is left behind. They
lack the numbers of enums, which clients with protocol buffers send in place of names: those of
Kubernetes Engine come from ``google-cloud-container``.

One file per API and version, written the same way each time: an ``xz`` of

    {"name", "version", "revision", "rootUrl", "servicePath", "batchPath",
     "parameters": {name: SCHEMA},
     "methods": {id: {"httpMethod", "path", "parameters": {name: SCHEMA},
                      "request": schema name?, "response": schema name?}},
     "others": {id: [http method, path, {path parameter: pattern}]},
     "schemas": {name: SCHEMA}}

``others`` exist but are not emulated. A SCHEMA is the discovery document's own, without prose;
``numbers`` are those of its ``enum`` where they do not just count from 0.

``--check`` compares what is checked in with what the installed package says.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import lzma
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "clusterkit_sandbox" / "google" / "data"
DOCUMENTS = "googleapiclient/discovery_cache/documents"
WANTED: Mapping[str, tuple[str, ...]] = {
    "artifactregistry.v1": (),
    "cloudresourcemanager.v1": (),
    "cloudresourcemanager.v3": (),
    "compute.v1": (
        "addresses",
        "backendServices",
        "diskTypes",
        "disks",
        "firewalls",
        "forwardingRules",
        "globalAddresses",
        "globalForwardingRules",
        "globalOperations",
        "healthChecks",
        "httpHealthChecks",
        "instanceGroupManagers",
        "instanceGroups",
        "instances",
        "machineTypes",
        "networkEndpointGroups",
        "networkFirewallPolicies",
        "networks",
        "projects",
        "regionBackendServices",
        "regionHealthChecks",
        "regionOperations",
        "regions",
        "routers",
        "routes",
        "subnetworks",
        "targetHttpProxies",
        "targetHttpsProxies",
        "targetPools",
        "urlMaps",
        "zoneOperations",
        "zones",
    ),
    "container.v1": (),
    "iam.v1": ("permissions", "projects.roles", "projects.serviceAccounts", "roles"),
    "iamcredentials.v1": (),
    "serviceusage.v1": (),
    "storage.v1": ("buckets", "managedFolders", "objects", "projects"),
    "sts.v1": (),
}
"""Document to the resources that are wanted; none: all of them."""
KEPT = (
    "$ref",
    "additionalProperties",
    "annotations",
    "deprecated",
    "enum",
    "format",
    "items",
    "location",
    "pattern",
    "properties",
    "readOnly",
    "repeated",
    "required",
    "type",
)
"""The words of a schema that mean something to a program."""


def methods(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every method of a resource and of those in it."""
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


def stripped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without its prose; one that prose says only answers have is read-only."""
    found: dict[str, Any] = {name: schema[name] for name in KEPT if name in schema}
    prose = schema.get("description", "").lstrip().lower()
    if prose.startswith(("output only", "[output only]", "[output_only]")):
        found["readOnly"] = True
    for name in ("items", "additionalProperties"):
        if name in found:
            found[name] = stripped(found[name])
    if "properties" in found:
        found["properties"] = {k: stripped(v) for k, v in found["properties"].items()}
    return found


def references(schema: Any) -> Iterator[str]:
    """The names of the schemas that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for inner in schema.values():
            yield from references(inner)


def container_enums() -> dict[tuple[str, str], dict[str, int]]:
    """The numbers of each enum of Kubernetes Engine, by message and JSON name of the field."""
    from google.cloud.container_v1.types import cluster_service

    found: dict[tuple[str, str], dict[str, int]] = {}

    def walk(message: Any) -> None:
        for field in message.fields:
            if field.enum_type:
                numbers = {one.name: one.number for one in field.enum_type.values}
                found[message.name, field.camelcase_name] = numbers
        for inner in message.nested_types:
            walk(inner)

    for name in cluster_service.__protobuf__.manifest:
        made = getattr(cluster_service, name)
        if hasattr(made, "pb"):
            walk(made.pb().DESCRIPTOR)
    return found


def number(schemas: Mapping[str, Any]) -> None:
    """Add the numbers of enums; -1 for a value that the package does not know."""
    enums = container_enums()
    for message, schema in schemas.items():
        for name, one in schema.get("properties", {}).items():
            values = one if "enum" in one else one.get("items", {})
            known = enums.get((message, name))
            if known is None or "enum" not in values:
                continue
            numbers = [known.get(value, -1) for value in values["enum"]]
            if numbers != list(range(len(numbers))):
                values["numbers"] = numbers


def described(method: Mapping[str, Any]) -> dict[str, Any]:
    """One method."""
    found: dict[str, Any] = {
        "httpMethod": method["httpMethod"],
        "path": method["path"],
        "parameters": {k: stripped(v) for k, v in method.get("parameters", {}).items()},
    }
    for name in ("request", "response"):
        if name in method:
            found[name] = method[name]["$ref"]
    return found


def other(method: Mapping[str, Any]) -> list[Any]:
    """What tells that a path is this method's."""
    patterns = {
        name: one["pattern"]
        for name, one in method.get("parameters", {}).items()
        if one["location"] == "path" and "pattern" in one and f"{{+{name}}}" in method["path"]
    }
    return [method["httpMethod"], method["path"], patterns]


def describe(document: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    """One API's file."""
    prefixes = tuple(f"{document['name']}.{one}." for one in wanted) or ("",)
    every = {method["id"]: method for method in methods(document)}
    kept = {i: described(m) for i, m in every.items() if i.startswith(prefixes)}
    schemas = {name: stripped(one) for name, one in document["schemas"].items()}
    if document["name"] == "container":
        number(schemas)
    todo = [m[part] for m in kept.values() for part in ("request", "response") if part in m]
    needed: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += references(schemas[name])
    words = ("name", "version", "revision", "rootUrl", "servicePath", "batchPath")
    return {
        **{word: document[word] for word in words},
        "parameters": {k: stripped(v) for k, v in document["parameters"].items()},
        "methods": kept,
        "others": {i: other(m) for i, m in every.items() if i not in kept},
        "schemas": {name: schemas[name] for name in needed},
    }


def main() -> int:
    """Write or check every file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they differ")
    check: bool = parser.parse_args().check
    package = importlib.metadata.distribution("google-api-python-client")
    stale = []
    for name, wanted in WANTED.items():
        source = Path(str(package.locate_file(f"{DOCUMENTS}/{name}.json")))
        found = describe(json.loads(source.read_text(encoding="utf-8")), wanted)
        text = json.dumps(found, sort_keys=True, separators=(",", ":"))
        file = DATA / f"{name}.json.xz"
        if file.exists() and lzma.decompress(file.read_bytes()).decode() == text:
            continue
        stale.append(file.name)
        if not check:
            DATA.mkdir(parents=True, exist_ok=True)
            file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    word = "differs from the installed package" if check else "written"
    sys.stderr.write("".join(f"{name}: {word}\n" for name in stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

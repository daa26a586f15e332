"""Discovery (aggregated and legacy) and OpenAPI v3.

Kubernetes documentation, "The Kubernetes API": aggregated discovery is what kubectl asks for first,
the old form is what ``kubectl auth can-i`` and the Python client ask for. OpenAPI v2 is not served;
kubectl needs it up to 1.28 only.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from clusterkit_sandbox.kube.kinds import Object, Resource, Schema, definition_name, definitions
from clusterkit_sandbox.kube.state import ClusterState

_AGGREGATED = re.compile(
    r"application/json;g=apidiscovery\.k8s\.io;v=(v2|v2beta1);as=APIGroupDiscoveryList"
)
_REF = "#/components/schemas/"
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")


def aggregated(accept: str) -> str:
    """The version of aggregated discovery a client accepts, empty for none."""
    found = _AGGREGATED.search(accept)
    return found[1] if found else ""


class Discovery:
    """The discovery documents of one cluster."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def group_list(self, version: str, *, core: bool) -> tuple[Object, str]:
        """Aggregated discovery of ``/api`` or ``/apis``, and its content type."""
        items = []
        for group, versions in self._state.catalogue.groups().items():
            if (group == "") is not core:
                continue
            metadata = {"name": group, "creationTimestamp": None} if group else {}
            served = [
                {
                    "version": name,
                    "resources": [dict(each.entry) for each in found],
                    "freshness": "Current",
                }
                for name, found in versions.items()
            ]
            items.append({"metadata": metadata, "versions": served})
        body = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }
        kind = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        return body, kind

    def plain(self, path: str, host: str) -> Object | None:
        """The legacy documents: ``/api``, ``/apis``, ``/apis/GROUP``, ``/apis/GROUP/VERSION``."""
        groups = self._state.catalogue.groups()
        if path == "/api":
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": host}
            versions = {"kind": "APIVersions", "versions": ["v1"]}
            return versions | {"serverAddressByClientCIDRs": [address]}
        if path == "/apis":
            named = [_group(group, versions) for group, versions in groups.items() if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        if path == "/api/v1":
            return _resource_list("v1", groups[""]["v1"])
        match path.removeprefix("/apis/").split("/"):
            case [group] if group in groups:
                return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, groups[group])
            case [group, version] if version in groups.get(group, {}):
                return _resource_list(f"{group}/{version}", groups[group][version])
        return None

    def paths(self) -> Object:
        """``/``"""
        groups = [group for group in self._state.catalogue.groups() if group]
        known = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis"]
        known += [f"/apis/{group}" for group in groups]
        known += ["/healthz", "/livez", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"]
        return {"paths": sorted(known)}

    def openapi_index(self) -> Object:
        """``/openapi/v3``"""
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_built(resources)[1]}"}
            for path, resources in self._documents().items()
        }
        return {"paths": paths}

    def openapi(self, path: str) -> tuple[bytes, str] | None:
        """The document of ``apis/GROUP/VERSION`` or ``api/v1`` and its hash."""
        resources = self._documents().get(path)
        return _built(resources) if resources else None

    def _documents(self) -> dict[str, tuple[Resource, ...]]:
        return {
            f"apis/{group}/{version}" if group else f"api/{version}": tuple(resources)
            for group, versions in self._state.catalogue.groups().items()
            for version, resources in versions.items()
        }


def version(state: ClusterState) -> Object:
    """``/version``"""
    major, minor, _ = state.version.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "gitVersion": state.version,
        "gitCommit": hashlib.sha1(state.version.encode(), usedforsecurity=False).hexdigest(),
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "linux/amd64",
    }


def _group(group: str, versions: Iterable[str]) -> Object:
    served = [{"groupVersion": f"{group}/{name}", "version": name} for name in versions]
    return {"name": group, "versions": served, "preferredVersion": served[0]}


def _storage_hash(resource: Resource) -> str:
    """apiserver ``pkg/endpoints/discovery``, ``StorageVersionHash``."""
    text = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _resource_list(group_version: str, resources: Iterable[Resource]) -> Object:
    found = []
    for resource in resources:
        entry: Object = {
            "name": resource.plural,
            "singularName": resource.entry["singularResource"],
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.entry["verbs"],
        }
        named = ("shortNames", "categories")
        entry |= {name: resource.entry[name] for name in named if name in resource.entry}
        if "list" in resource.entry["verbs"]:
            entry["storageVersionHash"] = _storage_hash(resource)
        found.append(entry)
        for part in resource.entry.get("subresources", ()):
            kind = part["responseKind"]
            more = kind if kind["group"] and kind["group"] != resource.group else {}
            found.append(
                {
                    "name": f"{resource.plural}/{part['subresource']}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    **{name: more[name] for name in ("group", "version") if more},
                    "kind": kind["kind"],
                    "verbs": part["verbs"],
                }
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": found,
    }


@functools.lru_cache(maxsize=256)
def _built(resources: tuple[Resource, ...]) -> tuple[bytes, str]:
    # resources are compared by identity, so built-in groups are made once for all clusters
    schemas: dict[str, Schema] = {}
    paths: Object = {}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in _PARAMETERS
    ]
    for resource in resources:
        kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
        name = _schema_name(resource, schemas)
        body = {"content": {"application/json": {"schema": {"$ref": _REF + name}}}}
        answer = {"200": {"description": "OK"} | body}
        root = f"/apis/{resource.group_version}" if resource.group else "/api/v1"
        space = "/namespaces/{namespace}" if resource.namespaced else ""
        operations = {
            method: {
                "x-kubernetes-action": method,
                "x-kubernetes-group-version-kind": kind,
                "parameters": parameters,
                "responses": answer,
            }
            for method in ("get", "put", "patch")
        }
        paths[f"{root}{space}/{resource.plural}/{{name}}"] = operations
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    text = json.dumps(document).encode()
    return text, hashlib.sha512(text).hexdigest().upper()


def _schema_name(resource: Resource, schemas: dict[str, Schema]) -> str:
    if not resource.custom:
        name = definition_name(resource.schema["$ref"])
    else:
        reverse = ".".join(reversed(resource.group.split(".")))
        name = f"{reverse}.{resource.version}.{resource.kind}"
        kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
        schemas[name] = {**resource.schema, "x-kubernetes-group-version-kind": [kind]}
    _collect({"$ref": _REF + name} if name not in schemas else schemas[name], schemas)
    return name


def _collect(node: Any, schemas: dict[str, Schema]) -> None:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            name = definition_name(reference)
            if name not in schemas:
                schemas[name] = definitions()[name]
                _collect(schemas[name], schemas)
        for value in node.values():
            _collect(value, schemas)
    elif isinstance(node, list):
        for value in node:
            _collect(value, schemas)

"""The kinds the endpoint serves: Kubernetes' own, shared by all clusters, and a cluster's custom
ones.

The data is read once per process: OpenAPI definitions of Kubernetes 1.36, packed by
``tools/gen_kube_schema.py``, and what a real API server of that version told about itself, packed
by ``tools/gen_kube_recorded.py``.
"""

from __future__ import annotations

import functools
import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as JSON. One that is stored is never changed again; writers copy."""

Schema = Mapping[str, Any]
"""An OpenAPI v3 schema."""

GroupPlural = tuple[str, str]
"""What identifies a resource whatever its version: ``("apps", "deployments")``."""

PODS: GroupPlural = ("", "pods")
CONFIG_MAPS: GroupPlural = ("", "configmaps")
SECRETS: GroupPlural = ("", "secrets")
CLASSES: GroupPlural = ("storage.k8s.io", "storageclasses")

_REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
_CUSTOM_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def clone(found: Any) -> Any:
    """A deep copy of JSON values; several times as fast as ``copy.deepcopy``."""
    if isinstance(found, dict):
        return {name: clone(value) for name, value in found.items()}
    if isinstance(found, list):
        return [clone(item) for item in found]
    return found


@dataclass(frozen=True, eq=False)
class Resource:
    """One kind at one version, and what discovery says about it."""

    group: str
    version: str
    entry: Mapping[str, Any]
    """its entry in aggregated discovery"""
    list_kind: str
    schema: Schema
    declared: Mapping[str, Any] = field(default_factory=dict)
    """a custom kind's version in its CustomResourceDefinition; empty for Kubernetes' own"""

    @functools.cached_property
    def kind(self) -> str:
        """``Deployment``"""
        return str(self.entry["responseKind"]["kind"])

    @functools.cached_property
    def plural(self) -> str:
        """``deployments``"""
        return str(self.entry["resource"])

    @functools.cached_property
    def namespaced(self) -> bool:
        """Whether its objects are in namespaces."""
        return bool(self.entry["scope"] == "Namespaced")

    @functools.cached_property
    def subresources(self) -> frozenset[str]:
        """``status``, ``scale``, ``log`` ..."""
        return frozenset(each["subresource"] for each in self.entry.get("subresources", ()))

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition made it."""
        return bool(self.declared)

    @functools.cached_property
    def has_rules(self) -> bool:
        """Whether its schema has CEL rules."""
        return "x-kubernetes-validations" in json.dumps(self.schema)

    def declares(self, name: str) -> Sequence[Mapping[str, Any]]:
        """A list of a custom kind's version: ``additionalPrinterColumns``, ``selectableFields``."""
        return self.declared.get(name) or ()

    @property
    def key(self) -> GroupPlural:
        """Where its objects are stored."""
        found = self.group, self.plural
        return _STORED_AS.get(found, found)

    @property
    def stored_as(self) -> str:
        """The same as one word, as tables of the data have it: ``deployments.apps``, ``events``."""
        group, plural = self.key
        return f"{plural}.{group}" if group else plural

    @property
    def group_version(self) -> str:
        """``apps/v1``, ``v1``"""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """``deployments.apps``, ``pods``"""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        """Whether status is written apart from the rest."""
        return "status" in self.subresources

    @property
    def is_namespace(self) -> bool:
        """Whether it is ``namespaces`` of the core group."""
        return self.key == ("", "namespaces")


_STORED_AS: Mapping[GroupPlural, GroupPlural] = {("events.k8s.io", "events"): ("", "events")}


def _packed(name: str) -> dict[str, Any]:
    packed = resources.files(__package__).joinpath(f"data/{name}.json.xz").read_bytes()
    found: dict[str, Any] = json.loads(lzma.decompress(packed))
    return found


def table(name: str, separator: str = "\t") -> Iterator[list[str]]:
    """The rows of a text file of the data; ``#`` begins a comment."""
    text = resources.files(__package__).joinpath(f"data/{name}").read_text()
    return (line.split(separator) for line in text.splitlines() if line[0] != "#")


@functools.cache
def recorded() -> dict[str, Any]:
    """What a real server told: ``discovery``, ``columns`` by path, ``roles``."""
    return _packed("recorded")


@functools.cache
def definitions() -> Mapping[str, Schema]:
    """Every OpenAPI definition by its long name, with defaults and choices that are not published
    but in Kubernetes' code (``data/schema.tsv``).
    """
    found: dict[str, Any] = _packed("kubernetes")["definitions"]
    for name, part, key, value in table("schema.tsv"):
        found[f"io.k8s.api.{name}"]["properties"][part][key] = json.loads(value)
    return found


@functools.cache
def built_in() -> tuple[Resource, ...]:
    """Kubernetes' own stable resources."""
    schemas = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, body in definitions().items()
        for kind in body.get("x-kubernetes-group-version-kind", ())
    }
    return tuple(
        Resource(
            group=group,
            version=version,
            entry=row,
            list_kind=kind + "List",
            schema={"$ref": _REF + schemas[group, version, kind]},
        )
        for group, version, row in discovered()
        if (kind := row["responseKind"]["kind"])
    )


def discovered() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Group, version and entry of every resource in the recorded discovery, in its order."""
    for document in recorded()["discovery"].values():
        for group in document["items"]:
            for version in group["versions"]:
                for row in version["resources"]:
                    yield group["metadata"].get("name", ""), version["version"], row


def definition_name(ref: str) -> str:
    """The long name a ``$ref`` points at."""
    return ref[len(_REF) :]


def resolve(schema: Schema | None) -> Schema:
    """The schema itself, references followed; ``{}`` for none."""
    while schema:
        if "$ref" in schema:
            target = definitions()[definition_name(schema["$ref"])]
            if len(schema) == 1:
                schema = target
            else:
                schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        elif len(schema.get("allOf", ())) == 1:
            inner = schema["allOf"][0]
            schema = {**inner, **{k: v for k, v in schema.items() if k != "allOf"}}
        else:
            return schema
    return {}


def member(schema: Schema, name: str) -> Schema | None:
    """The schema of one field of a resolved object or map schema; None if there is none."""
    found = schema.get("properties", {}).get(name)
    if found is None and isinstance(schema.get("additionalProperties"), dict):
        found = schema["additionalProperties"]
    return found if isinstance(found, dict) else None


def custom(crd: Object) -> Iterator[Resource]:
    """The served versions of a CustomResourceDefinition that has passed validation."""
    spec = crd["spec"]
    names = spec["names"]
    meta = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": f"{_REF}{_META}ObjectMeta"},
    }
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        own = {"group": spec["group"], "version": version["name"], "kind": names["kind"]}
        entry = {
            "resource": names["plural"],
            "responseKind": own,
            "scope": spec["scope"],
            "singularResource": names.get("singular") or names["kind"].lower(),
            "verbs": _CUSTOM_VERBS,
        }
        entry |= {name: names[name] for name in ("shortNames", "categories") if names.get(name)}
        subresources = [
            {
                "subresource": name,
                "responseKind": _SCALE if name == "scale" else own,
                "verbs": ["get", "patch", "update"],
            }
            for name in sorted(version.get("subresources") or ())
        ]
        yield Resource(
            group=spec["group"],
            version=version["name"],
            entry=entry | ({"subresources": subresources} if subresources else {}),
            list_kind=names.get("listKind") or names["kind"] + "List",
            schema={**schema, "properties": {**schema.get("properties", {}), **meta}},
            declared=version,
        )


class Catalogue:
    """The resources that one cluster serves."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str, str], Resource] = {}
        self._current: dict[GroupPlural, Resource] = {}
        for resource in built_in():
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        self._served[resource.group, resource.version, resource.plural] = resource
        self._current.setdefault(resource.key, resource)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at exactly this version."""
        return self._served.get((group, version, plural))

    def current(self, key: GroupPlural) -> Resource:
        """The resource at the version its objects are stored in; ``KeyError`` if not served."""
        return self._current[key]

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an object's ``apiVersion`` and ``kind``."""
        for resource in self._served.values():
            if resource.kind == kind and resource.group_version == api_version:
                return resource
        return None

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._served.values()))

    def serves(self, key: GroupPlural) -> bool:
        """Whether a resource is served, at whatever version."""
        return key in self._current

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """Group to version to resources; the core group is ``""``."""
        found: dict[str, dict[str, list[Resource]]] = {}
        for resource in self._served.values():
            found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        return found

    def set_custom(self, crd: Object) -> None:
        """Serve this version of a CustomResourceDefinition."""
        self.remove_custom(crd)
        storage = next(v["name"] for v in crd["spec"]["versions"] if v.get("storage"))
        for resource in sorted(custom(crd), key=lambda found: found.version != storage):
            self._add(resource)

    def remove_custom(self, crd: Object) -> None:
        """Stop serving a CustomResourceDefinition."""
        key = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        self._current.pop(key, None)
        self._served = {k: v for k, v in self._served.items() if v.key != key}

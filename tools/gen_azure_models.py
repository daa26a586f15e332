"""Write ``clusterkit_sandbox/azure/data/*.json.xz``: what Microsoft publishes of Azure's APIs.

The source is the vendor's own Python SDK (the ``azure-mgmt-*`` packages, MIT), which is generated
from the same specifications as the services' other clients. The packages are read, never imported:
``_operations.py`` says how an operation is called, ``_models.py`` has the wire names and types, and
which members only answers have. Older packages have both in another form. Prose is left behind.

One file per service, written the same way each time: an ``xz`` of

    {"service", "source", "apiVersion",
     "operations": {name: {"method", "path", "query": {name: SHAPE}, "required": [query name],
                           "body": SHAPE?, "answer": SHAPE?, "ok": [status],
                           "patterns": {path name: {"pattern"?, "least"?, "most"?}}}},
     "others": {name: [method, path]},
     "types": {name: {"fields": {wire name: SHAPE}, "required": [name]?, "readOnly": [name]?}}}

Names are those of the specifications: ``ManagedClusters_CreateOrUpdate``. ``others`` exist but are
not emulated. A SHAPE is ``"string"``, ``"integer"``, ``"number"``, ``"boolean"``, ``"any"``,
``{"array": SHAPE}``, ``{"map": SHAPE}``, ``{"enum": [text]}``, ``{"ref": type name}`` or
``{"fields": {…}, …}`` like a type.

``--check`` compares what is checked in with what the installed packages say.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import lzma
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "clusterkit_sandbox" / "azure" / "data"
SCALARS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
TEXTS = {"bytes", "datetime", "date", "time", "timedelta"}
OLD = {"str": "string", "int": "integer", "long": "integer", "bool": "boolean", "float": "number"}
OLD_TEXTS = {"iso-8601", "duration", "bytearray", "base64", "date", "unix-time"}

Shape = str | dict[str, Any]


@dataclass(frozen=True)
class Service:
    """Where a service is described, and the groups of operations that are wanted."""

    name: str
    distribution: str
    folder: str
    groups: tuple[str, ...]
    but: tuple[str, ...] = ()
    """operations of these groups that are not wanted"""


SERVICES = (
    Service(
        "authorization",
        "azure-mgmt-authorization",
        "azure/mgmt/authorization/v2022_04_01",
        ("Permissions", "RoleAssignments", "RoleDefinitions"),
        ("ById", "Permissions_ListForResource"),
    ),
    Service(
        "compute",
        "azure-mgmt-compute",
        "azure/mgmt/compute",
        ("Disks", "ResourceSkus", "SshPublicKeys", "Usage", "VirtualMachineScaleSets"),
        ("Disks_GrantAccess", "Disks_RevokeAccess"),
    ),
    Service(
        "containerregistry",
        "azure-mgmt-containerregistry",
        "azure/mgmt/containerregistry",
        ("CacheRules", "CredentialSets", "Registries"),
    ),
    Service(
        "containerservice",
        "azure-mgmt-containerservice",
        "azure/mgmt/containerservice",
        ("AgentPools", "ManagedClusters"),
    ),
    Service("dns", "azure-mgmt-dns", "azure/mgmt/dns", ("Zones",)),
    Service(
        "keyvault",
        "azure-mgmt-keyvault",
        "azure/mgmt/keyvault",
        ("Vaults",),
        # Resource Manager's own list of resources
        ("Vaults_List",),
    ),
    Service(
        "locks",
        "azure-mgmt-resource-locks",
        "azure/mgmt/resource/locks",
        ("ManagementLocks",),
        # a resource is a scope
        ("AtResourceLevel",),
    ),
    Service(
        "managedidentity",
        "azure-mgmt-msi",
        "azure/mgmt/msi/v2024_11_30",
        ("FederatedIdentityCredentials", "UserAssignedIdentities"),
    ),
    Service(
        "network",
        "azure-mgmt-network",
        "azure/mgmt/network",
        (
            "ApplicationSecurityGroups",
            "IpGroups",
            "LoadBalancers",
            "NatGateways",
            "NetworkSecurityGroups",
            "PublicIPAddresses",
            "RouteTables",
            "SecurityRules",
            "Subnets",
            "Usages",
            "VirtualNetworks",
        ),
    ),
    Service(
        "resources",
        "azure-mgmt-resource",
        "azure/mgmt/resource/resources",
        ("Providers", "ResourceGroups", "Resources", "Tags"),
        # what works on any type is the type's own to describe
        (
            "ById",
            "ManagementGroupScope",
            "Resources_CheckExistence",
            "Resources_CreateOrUpdate",
            "Resources_Delete",
            "Resources_Get",
            "Resources_Update",
        ),
    ),
    Service(
        "storage",
        "azure-mgmt-storage",
        "azure/mgmt/storage",
        ("BlobContainers", "BlobServices", "StorageAccounts"),
        (
            "Failover",
            "ImmutabilityPolicy",
            "LegalHold",
            "Migration",
            "Sas",
            "_Lease",
            "_ObjectLevelWorm",
            "_RestoreBlobRanges",
            "_RevokeUserDelegationKeys",
        ),
    ),
    Service(
        "subscriptions",
        "azure-mgmt-resource-subscriptions",
        "azure/mgmt/resource/subscriptions",
        ("Subscriptions", "Tenants"),
    ),
)


@dataclass
class Request:
    """What the function that builds a request says of it."""

    method: str = ""
    path: str = ""
    version: str = ""
    query: list[str] = field(default_factory=list)
    types: dict[str, ast.expr] = field(default_factory=dict)
    """of the parameters in the query"""
    required: list[str] = field(default_factory=list)
    patterns: dict[str, dict[str, Any]] = field(default_factory=dict)


class Package:
    """The description of one service in an installed package."""

    def __init__(self, service: Service) -> None:
        distribution = importlib.metadata.distribution(service.distribution)
        self.service = service
        self.source = f"{service.distribution} {distribution.version}"
        self.root = Path(str(distribution.locate_file(service.folder)))
        self.types: dict[str, Any] = {}

    def trees(self, folder: str, pattern: str) -> Iterator[ast.Module]:
        """The modules of a folder."""
        for file in sorted((self.root / folder).glob(pattern)):
            yield ast.parse(file.read_text(encoding="utf-8"))

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Models and enums, by name."""
        nodes = [node for tree in self.trees("models", "*.py") for node in tree.body]
        return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}

    def enum(self, name: str) -> list[str] | None:
        """The values of an enum; None for another class."""
        node = self.classes.get(name)
        if node is None or not any("Enum" in ast.unparse(base) for base in node.bases):
            return None
        values = [one.value for one in node.body if isinstance(one, ast.Assign)]
        return [str(one.value) for one in values if isinstance(one, ast.Constant)]

    # -- types -------------------------------------------------------------------------------------

    def annotated(self, node: ast.expr) -> Shape:
        """The shape that an annotation means."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        text = ast.unparse(node)
        if isinstance(node, ast.Subscript):
            outer = ast.unparse(node.value).rpartition(".")[2]
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if outer in ("Optional", "Union"):
                found = [self.annotated(one) for one in inner if ast.unparse(one) != "None"]
                enums = [one for one in found if isinstance(one, dict) and "enum" in one]
                return enums[0] if enums else found[0]
            if outer in ("list", "List", "Sequence", "ItemPaged", "Iterable"):
                return {"array": self.annotated(inner[0])}
            if outer in ("dict", "Dict", "Mapping", "MutableMapping"):
                return {"map": self.annotated(inner[1])}
            return self.annotated(inner[0]) if outer == "LROPoller" else "any"
        name = text.rpartition(".")[2]
        if name in SCALARS:
            return SCALARS[name]
        return "string" if name in TEXTS else self.named(name)

    def named(self, name: str) -> Shape:
        """The shape of a class; its type is noted."""
        values = self.enum(name)
        if values is not None:
            return {"enum": values}
        if name not in self.classes or "__mapping__" in ast.unparse(self.classes[name]):
            return "any"
        if name not in self.types:
            self.types[name] = {}
            node = self.classes[name]
            literals = {
                ast.unparse(one.targets[0]): one.value
                for one in node.body
                if isinstance(one, ast.Assign)
            }
            if "_attribute_map" in literals:
                rules = literals.get("_validation")
                self.types[name] = self.old(
                    ast.literal_eval(literals["_attribute_map"]),
                    ast.literal_eval(rules) if rules is not None else {},
                )
            else:
                self.types[name] = self.new(name)
        return {"ref": name}

    def new(self, name: str) -> dict[str, Any]:
        """A model whose members are annotated."""
        fields: dict[str, Shape] = {}
        required, read_only = [], []
        for cls in reversed(self.ancestry(name)):
            for node in cls.body:
                if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)):
                    continue
                words = {k.arg: ast.literal_eval(k.value) for k in node.value.keywords if k.arg in (
                    "name", "visibility",
                )}  # fmt: skip
                wire = words.get("name", ast.unparse(node.target))
                fields[wire] = self.annotated(node.annotation)
                if words.get("visibility") == ["read"]:
                    read_only.append(wire)
                elif not re.match("Optional|Any|Literal", ast.unparse(node.annotation)):
                    required.append(wire)
        return described(fields, required, read_only)

    def ancestry(self, name: str) -> list[ast.ClassDef]:
        """The class and those that it inherits from."""
        found = []
        while name in self.classes:
            found.append(self.classes[name])
            bases = [ast.unparse(base).rpartition(".")[2] for base in found[-1].bases]
            name = next((base for base in bases if base in self.classes), "")
        return found

    def old(self, members: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
        """A model that has a table of its members; a member of a member has a name with a dot."""
        root: dict[str, Any] = described({}, [], [])
        for name, one in members.items():
            *above, last = re.split(r"(?<!\\)\.", one["key"])
            rule, place = rules.get(name, {}), root
            for part in above:
                if rule.get("required"):
                    place["required"] = sorted({*place.get("required", ()), part})
                place = place["fields"].setdefault(part, described({}, [], []))
            place["fields"][last.replace("\\", "")] = self.old_type(one["type"])
            for word, kept in (("readonly", "readOnly"), ("required", "required")):
                if rule.get(word):
                    place[kept] = sorted({*place.get(kept, ()), last})
        return root

    def old_type(self, text: str) -> Shape:
        """The shape that a word of such a table means."""
        if text[0] in "[{":
            return {"array" if text[0] == "[" else "map": self.old_type(text[1:-1])}
        if text in OLD:
            return OLD[text]
        return "string" if text in OLD_TEXTS else self.named(text)

    # -- operations --------------------------------------------------------------------------------

    def operations(self) -> Iterator[tuple[str, str, Request, list[ast.FunctionDef]]]:
        """Group, name, request and methods of every operation."""
        for tree in self.trees("operations", "_*operations.py"):
            functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            builders = {one.name: one for one in functions if one.name.startswith("build_")}
            for cls in tree.body:
                if not (isinstance(cls, ast.ClassDef) and cls.name.endswith("Operations")):
                    continue
                methods: dict[str, list[ast.FunctionDef]] = {}
                for node in cls.body:
                    if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                        name = re.sub("^_?(begin_)?|_initial$", "", node.name)
                        methods.setdefault(name, []).append(node)
                for name, nodes in methods.items():
                    built = next(filter(None, map(builder, nodes)), "")
                    if built in builders:
                        group = cls.name.removesuffix("Operations")
                        yield group, name, read_request(builders[built]), nodes

    def describe(self) -> dict[str, Any]:
        """The service's file."""
        wanted: dict[str, Any] = {}
        others: dict[str, list[str]] = {}
        versions = set()
        for group, name, request, nodes in self.operations():
            called = f"{group}_{camel(name)}"
            versions.add(request.version)
            if group in self.service.groups and not called.endswith(self.service.but or ("\0",)):
                wanted[called] = self.operation(request, nodes)
            elif group and not re.match("/{|.*{parentResourcePath}|.*/resources$", request.path):
                others[called] = [request.method, request.path]
        return {
            "service": self.service.name,
            "source": self.source,
            "apiVersion": max(versions),
            "operations": wanted,
            "others": others,
            "types": self.types,
        }

    def operation(self, request: Request, nodes: list[ast.FunctionDef]) -> dict[str, Any]:
        """One operation."""
        arguments: dict[str, ast.expr] = {}
        for node in nodes:
            for one in (*node.args.args, *node.args.kwonlyargs):
                if one.annotation is not None and "_models." in ast.unparse(one.annotation):
                    arguments.setdefault(one.arg, one.annotation)
        named = {snake(one) for one in (*request.query, *re.findall(r"{(\w+)}", request.path))}
        bodies = [
            one
            for name, one in arguments.items()
            if snake(name) not in named and "MatchConditions" not in ast.unparse(one)
        ]
        found: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": {name: self.query(name, request.types) for name in request.query},
            "required": request.required,
            "patterns": request.patterns,
            "ok": statuses(nodes),
        }
        if bodies and request.method in ("PUT", "PATCH", "POST"):
            found["body"] = self.annotated(bodies[0])
        answer = self.answer(nodes)
        if answer is not None:
            found["answer"] = answer
        return found

    def query(self, name: str, types: dict[str, ast.expr]) -> Shape:
        """The shape of a parameter of the query."""
        given = [one for key, one in types.items() if snake(key) == snake(name)]
        return self.annotated(given[0]) if given else "string"

    def answer(self, nodes: list[ast.FunctionDef]) -> Shape | None:
        """The shape of the answer's body."""
        returned = [
            ast.unparse(node.returns)
            for node in nodes
            if node.returns is not None and "Iterator" not in ast.unparse(node.returns)
        ]
        text = next((one for one in returned if "_models." in one), "")
        if not text:
            return None
        shape = self.annotated(ast.parse(text, mode="eval").body)
        if isinstance(shape, dict) and "array" in shape and re.match("ItemPaged|Iterable", text):
            return described({"value": shape, "nextLink": "string"}, [], [])
        return shape


def described(
    fields: dict[str, Shape], required: list[str], read_only: list[str]
) -> dict[str, Any]:
    """An object's shape."""
    found: dict[str, Any] = {"fields": fields}
    if required:
        found["required"] = sorted(set(required))
    if read_only:
        found["readOnly"] = sorted(set(read_only))
    return found


def camel(name: str) -> str:
    """``list_by_resource_group`` as ``ListByResourceGroup``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def snake(name: str) -> str:
    """``server-fqdn`` and ``$filter`` as Python's arguments are called."""
    return re.sub("[^a-z]", "", re.sub("^filter$|^filter_parameter$", "filter", name.lower()))


def builder(node: ast.FunctionDef) -> str | None:
    """The name of the function that builds the request of a method."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and ast.unparse(one.func).startswith("build_"):
            return ast.unparse(one.func)
    return None


def statuses(nodes: list[ast.FunctionDef]) -> list[int]:
    """The statuses of success of an operation."""
    for node in nodes:
        found = re.search(r"status_code not in (\[[0-9, ]+\])", ast.unparse(node))
        if found is not None:
            return sorted(json.loads(found[1]))
    return [200]


def read_request(function: ast.FunctionDef) -> Request:
    """What such a function says."""
    found = Request()
    for one in (*function.args.args, *function.args.kwonlyargs):
        if one.annotation is not None:
            found.types[one.arg] = one.annotation
    conditional = {
        ast.unparse(inner)
        for node in ast.walk(function)
        if isinstance(node, ast.If)
        for inner in node.body
    }
    for node in ast.walk(function):
        text = ast.unparse(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ""
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if text.startswith("_url") and not found.path and value is not None:
            last = value.args[-1] if isinstance(value, ast.Call) else value
            if isinstance(last, ast.Constant):
                found.path = str(last.value)
        elif "_params.pop('api-version'" in text:
            found.version = text.rpartition(", '")[2].partition("'")[0]
        elif text.startswith("_params['"):
            name = text.removeprefix("_params['").partition("'")[0]
            if name != "api-version":
                found.query.append(name)
                if text not in conditional:
                    found.required.append(name)
        elif text.startswith("path_format_arguments") and isinstance(value, ast.Dict):
            for key, call in zip(value.keys, value.values, strict=True):
                rules = limits(call)
                if isinstance(key, ast.Constant) and rules:
                    found.patterns[str(key.value)] = rules
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "HttpRequest":
            words = {k.arg: k.value for k in node.keywords}
            if isinstance(words.get("method"), ast.Constant):
                found.method = ast.literal_eval(words["method"])
    if found.path and not found.path.startswith("/"):
        found.path = f"/{found.path}"
    found.query.sort()
    found.required.sort()
    return found


def limits(call: ast.expr) -> dict[str, Any]:
    """What a part of the path must be like."""
    names = {"pattern": "pattern", "max_length": "most", "min_length": "least"}
    keywords = call.keywords if isinstance(call, ast.Call) else []
    return {names[k.arg]: ast.literal_eval(k.value) for k in keywords if k.arg in names}


def main() -> int:
    """Write or check every file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they differ")
    check: bool = parser.parse_args().check
    stale = []
    for service in SERVICES:
        text = json.dumps(Package(service).describe(), sort_keys=True, separators=(",", ":"))
        file = DATA / f"{service.name}.json.xz"
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

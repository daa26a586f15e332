"""The sandbox's Kubernetes schemas and resources, as one packed data file.

Reads two packages of the development dependencies: kubernetes-validate (Kubernetes' own OpenAPI
definitions as JSON Schema, descriptions included, which is what ``kubectl explain`` shows) and
lightkube-models (which resources there are, their verbs and subresources). What neither has, short
names and categories, is the short table below, as ``kubectl api-resources`` prints it.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate

VERSION = "1.36.0"
TARGET = Path(__file__).parent.parent / "clusterkit_sandbox/kube/data/kubernetes.json.xz"
REF = "#/components/schemas/"
VERBS = {"post": "create", "put": "update", "global_list": "list", "global_watch": "watch"}
UNSTABLE = re.compile(r"alpha|beta")
SKIPPED_GROUPS = {
    "autoscaling/v1",  # autoscaling/v2 is served; one version of a kind needs no conversion
    "events.k8s.io/v1",  # the same objects as core/v1 events
    "apiregistration.k8s.io/v1",  # an aggregation layer the sandbox does not have
    "storagemigration.k8s.io/v1",
}
SKIPPED_ACTIONS = re.compile(r"proxy/path|attach|exec|portforward|proxy")
SHORT = {
    "certificatesigningrequests": "csr",
    "componentstatuses": "cs",
    "configmaps": "cm",
    "cronjobs": "cj",
    "customresourcedefinitions": "crd crds",
    "daemonsets": "ds",
    "deployments": "deploy",
    "endpoints": "ep",
    "events": "ev",
    "horizontalpodautoscalers": "hpa",
    "ingresses": "ing",
    "ipaddresses": "ip",
    "limitranges": "limits",
    "namespaces": "ns",
    "networkpolicies": "netpol",
    "nodes": "no",
    "persistentvolumeclaims": "pvc",
    "persistentvolumes": "pv",
    "poddisruptionbudgets": "pdb",
    "pods": "po",
    "priorityclasses": "pc",
    "replicasets": "rs",
    "replicationcontrollers": "rc",
    "resourcequotas": "quota",
    "serviceaccounts": "sa",
    "services": "svc",
    "statefulsets": "sts",
    "storageclasses": "sc",
    "volumeattributesclasses": "vac",
}
CATEGORY_ALL = {
    "pods",
    "services",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "replicationcontrollers",
    "horizontalpodautoscalers",
}
# kubernetes-validate loses defaults; these two are keys of list items, so apply needs them
DEFAULTS = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}
EXTRA = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.api.authentication.v1.TokenRequest",
)


def cleaned(node: Any) -> Any:
    """JSON Schema as kubernetes-validate writes it, turned back into OpenAPI v3."""
    if isinstance(node, list):
        return [cleaned(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: cleaned(value) for key, value in node.items()}
    if isinstance(found.get("type"), list):
        found["type"] = next(kind for kind in found["type"] if kind != "null")
    if isinstance(found.get("$ref"), str):
        found["$ref"] = REF + found["$ref"].rsplit("/", 1)[1]
    return found


def definitions() -> dict[str, Any]:
    """Every definition of this version of Kubernetes."""
    root = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    text = (root / f"v{VERSION}-local" / "_definitions.json").read_text()
    definitions = json.loads(text)["$defs"]
    found: dict[str, Any] = {name: cleaned(body) for name, body in definitions.items()}
    for name, defaults in DEFAULTS.items():
        for field, value in defaults.items():
            found[name]["properties"][field]["default"] = value
    for body in found.values():
        for field in ("apiVersion", "kind"):
            # the enum is kubernetes-validate's own addition
            body.get("properties", {}).get(field, {}).pop("enum", None)
    return found


def calls(path: Path) -> list[tuple[bool, dict[str, Any]]]:
    """The ``ApiInfo(...)`` of every class of one lightkube module; whether it is namespaced."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for line in node.body:
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Call):
                arguments = {word.arg: literal(word.value) for word in line.value.keywords}
                namespaced = any("Namespaced" in ast.unparse(base) for base in node.bases)
                found.append((namespaced, arguments))
    return found


def literal(node: ast.expr) -> Any:
    """A literal, or the arguments of a ``ResourceDef``."""
    if isinstance(node, ast.Call):
        return tuple(ast.literal_eval(argument) for argument in node.args)
    return ast.literal_eval(node)


def resources(schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """The stable resources, with what discovery says about each."""
    by_kind = {}
    for name, body in schemas.items():
        for kind in body.get("x-kubernetes-group-version-kind", ()):
            by_kind.setdefault((kind["group"], kind["version"], kind["kind"]), name)
    spec = importlib.util.find_spec("lightkube")
    assert spec is not None
    assert spec.submodule_search_locations
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    subresources = []
    for path in sorted(Path(spec.submodule_search_locations[0], "resources").glob("*_v*.py")):
        for namespaced, info in calls(path):
            group, version, kind = info["resource"]
            parent = info.get("parent") or info["resource"]
            if info.get("action"):
                subresources.append((tuple(parent), info["action"]))
                continue
            name = f"{group}/{version}" if group else version
            if UNSTABLE.search(version) or name in SKIPPED_GROUPS:
                continue
            found[(group, version, kind)] = {
                "group": group,
                "version": version,
                "kind": kind,
                "plural": info["plural"],
                "namespaced": namespaced,
                "verbs": sorted({VERBS.get(verb, verb) for verb in info["verbs"]}),
                "short": SHORT.get(info["plural"], "").split(),
                "categories": ["all"] if info["plural"] in CATEGORY_ALL else [],
                "subresources": [],
                "schema": by_kind.get((group, version, kind)),
            }
    for parent, action in subresources:
        if parent in found and not SKIPPED_ACTIONS.fullmatch(action):
            found[parent]["subresources"].append(action)
    for resource in found.values():
        resource["subresources"] = sorted(set(resource["subresources"]))
    # lightkube-models is a version ahead: what VERSION does not describe it does not have
    return [found[key] for key in sorted(found) if found[key]["schema"]]


def reachable(schemas: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The named definitions and all they refer to."""
    found: dict[str, Any] = {}
    todo = sorted(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = schemas[name]
        todo += re.findall(rf'"\$ref": "{REF}([^"]+)"', json.dumps(schemas[name]))
    return dict(sorted(found.items()))


def main() -> int:
    """Write the data file."""
    schemas = definitions()
    table = resources(schemas)
    names = {resource["schema"] for resource in table}
    data = {
        "version": VERSION,
        "resources": table,
        "definitions": reachable(schemas, names | set(EXTRA)),
    }
    packed = lzma.compress(
        json.dumps(data, separators=(",", ":")).encode(), preset=9 | lzma.PRESET_EXTREME
    )
    TARGET.write_bytes(packed)
    sys.stderr.write(
        f"{len(table)} resources, {len(data['definitions'])} definitions, {len(packed)} bytes\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

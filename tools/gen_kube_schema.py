"""The sandbox's Kubernetes schemas, as one packed data file.

Reads kubernetes-validate of the development dependencies (Kubernetes' own OpenAPI definitions as
JSON Schema, descriptions included, which is what ``kubectl explain`` shows), and takes the
definitions of the resources that a real server was recorded to have (``gen_kube_recorded.py``).
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate

VERSION = "1.36.0"
DATA = Path(__file__).parent.parent / "clusterkit_sandbox/kube/data"
REF = "#/components/schemas/"
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
        if len(found) > 1:
            # OpenAPI v3 ignores what stands beside a reference
            found["allOf"] = [{"$ref": found.pop("$ref")}]
    return found


def definitions() -> dict[str, Any]:
    """Every definition of this version of Kubernetes."""
    root = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    text = (root / f"v{VERSION}-local" / "_definitions.json").read_text()
    definitions = json.loads(text)["$defs"]
    found: dict[str, Any] = {name: cleaned(body) for name, body in definitions.items()}
    for body in found.values():
        for field in ("apiVersion", "kind"):
            # the enum is kubernetes-validate's own addition
            body.get("properties", {}).get(field, {}).pop("enum", None)
    return found


def wanted(schemas: dict[str, Any]) -> set[str]:
    """The definitions of the recorded resources."""
    kinds: dict[tuple[str, ...], str] = {}
    for name, body in schemas.items():
        for kind in body.get("x-kubernetes-group-version-kind", ()):
            kinds.setdefault((kind["group"], kind["version"], kind["kind"]), name)
    recorded = json.loads(lzma.decompress((DATA / "recorded.json.xz").read_bytes()))
    return {
        kinds[group["metadata"].get("name", ""), version["version"], row["responseKind"]["kind"]]
        for document in recorded["discovery"].values()
        for group in document["items"]
        for version in group["versions"]
        for row in version["resources"]
    }


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
    found = reachable(schemas, wanted(schemas) | set(EXTRA))
    text = json.dumps({"version": VERSION, "definitions": found}, separators=(",", ":"))
    packed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    (DATA / "kubernetes.json.xz").write_bytes(packed)
    sys.stderr.write(f"{len(found)} definitions, {len(packed)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

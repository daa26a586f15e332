"""The CustomResourceDefinition of CloudCluster, made of the profile's models.

Its schema is structural (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema) and holds the fields of all clouds; CEL
rules say which cloud has which, and what cannot be changed. A field that takes values of several
types has none in the schema, and is checked by the operator alone, as are the rules that join
fields. Defaults are the models', never the API server's: the models tell what was said from what
was not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from clusterkit.clouds import CLOUDS, model
from clusterkit.profile.structural import Schema, merged, structural

Roots = Mapping[str, Schema]
"""by cloud"""

FRAME: Schema = yaml.safe_load((Path(__file__).parent / "cloudcluster.yaml").read_text())
"""the definition without what the profile's models say"""
OWN: Mapping[str, Schema] = FRAME["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "spec"
]["properties"]
"""the fields of ``spec`` that are no profile's"""


def crd() -> Schema:
    """The CustomResourceDefinition."""
    found = deepcopy(FRAME)
    whole = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    whole["properties"]["spec"] = spec()
    return found


def spec() -> Schema:
    """The schema of ``spec``: what the profiles of all clouds have, and ``OWN``."""
    roots = structural({cloud: model(cloud) for cloud in CLOUDS})
    found = merged(list(roots.values()))
    found["properties"]["cloud"] = {"type": "string", "enum": list(CLOUDS)}
    found["required"] = ["cloud", "region"]  # the name is the object's unless the spec has one
    found["properties"]["ssh_key"]["description"] = "an OpenSSH public key: its text, not a path"
    found["properties"] |= OWN
    found["x-kubernetes-validations"] = [*_owners(roots), *_fixed(roots)]
    return found


def _owners(roots: Roots) -> Iterator[dict[str, str]]:
    """A rule for each field that some clouds lack."""
    every = dict.fromkeys(key for root in roots.values() for key in root["properties"])
    for key in every:
        have = [cloud for cloud, root in roots.items() if key in root["properties"]]
        if len(have) < len(roots):
            what = f"only {' and '.join(have)} {'has' if len(have) == 1 else 'have'} {key}"
            yield {"rule": f"!has(self.{key}) || self.cloud in {_list(have)}", "message": what}


def _fixed(roots: Roots) -> Iterator[dict[str, str]]:
    """A rule for each field that cannot be changed, as drivers refuse it."""
    for key in ("cloud", "region"):
        yield {"rule": f"self.{key} == oldSelf.{key}", "message": f"{key} cannot be changed"}
    yield _same("name", list(roots), "", len(roots))
    paths = dict.fromkeys(path for cloud in roots for path in model(cloud).immutable)
    for path in paths:
        have = [cloud for cloud in roots if path in model(cloud).immutable]
        for default in {_default(roots[cloud], path): None for cloud in have}:
            those = [cloud for cloud in have if _default(roots[cloud], path) == default]
            yield _same(path, those, default, len(roots))


def _same(path: str, clouds: Sequence[str], default: Any, of: int) -> dict[str, str]:
    rule = " == ".join(_value(root, path, default) for root in ("self", "oldSelf"))
    if len(clouds) < of:
        rule = f"!(self.cloud in {_list(clouds)}) || {rule}"
    hint = "delete the CloudCluster and make another one"
    return {"rule": rule, "message": f"{path} cannot be changed: {hint}"}


def _value(root: str, path: str, default: Any) -> str:
    parts = path.split(".")
    there = (f"has({'.'.join((root, *parts[: end + 1]))})" for end in range(len(parts)))
    return f"({' && '.join(there)} ? {root}.{path} : {_literal(default)})"


def _default(root: Schema, path: str) -> Any:
    part = root
    for key in path.split("."):
        part = part["properties"][key]
    return part.get("default", "")


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else f"'{value}'"


def _list(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_literal, words))}]"

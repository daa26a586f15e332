"""The CustomResourceDefinition of CloudCluster, made of the profile's models.

Its schema is structural and holds the fields of all clouds; CEL rules say which cloud has which,
and what cannot be changed. A field that takes values of several types has none in the schema, and
is checked by the operator alone, as are the rules that join fields. Defaults are the models', never
the API server's: the models tell what was said from what was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import yaml

from clusterkit.clouds import CLOUDS, model
from clusterkit.profile.rules import rules
from clusterkit.profile.structural import Schema, merged, structural

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
    found = merged(roots)
    found["properties"]["cloud"] |= {"type": "string", "enum": list(CLOUDS)}
    found["required"] = ["cloud", "region"]  # the name is the object's unless the spec has one
    found["properties"]["ssh_key"]["description"] = "an OpenSSH public key: its text, not a path"
    found["properties"] |= OWN
    found["x-kubernetes-validations"] = rules(
        roots, {cloud: model(cloud).immutable for cloud in roots}
    )
    return found

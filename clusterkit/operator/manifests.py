"""What ``clusterkit operator manifests`` prints: all that a cluster needs to run the operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from clusterkit.operator import names
from clusterkit.operator.crd import crd

Objects = list[dict[str, Any]]


def manifests(
    image: str, namespace: str = names.NAMESPACE, replicas: int = 1, options: Sequence[str] = ()
) -> Objects:
    """The objects, in the order they are to be created; ``options`` are those of ``operator run``.

    Rights are granted as ``install.yaml`` says: each is one that the operator uses.
    """
    text = (Path(__file__).parent / "install.yaml").read_text()
    filled = Template(text).substitute(namespace=namespace, image=image, replicas=replicas)
    found: Objects = [crd(), *yaml.safe_load_all(filled)]
    if options:
        found[-1]["spec"]["template"]["spec"]["containers"][0]["args"] += options
    return found

"""Jenkins with agents that build with kaniko, as values of its chart
(jenkinsci/helm-charts ``charts/jenkins``, 5.9.53). Pure.

An agent is a pod of the cluster in which a pipeline runs commands, for which kaniko's own image has
no shell: those named ``-debug`` have one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusterkit.errors import Finding
from clusterkit.profile.ready import Kaniko
from clusterkit.ready import kaniko as objects
from clusterkit.ready import yaml
from clusterkit.ready.registry import PushAccess

REPOSITORY = "https://charts.jenkins.io"
DEBUG = "-debug"
LABEL = "kaniko"
REGISTRY = "REGISTRY"
"""variable of the agents: what every image's name begins with"""


def with_shell(image: str) -> str:
    """The variant of a kaniko image that has one; a digest names one image, and stays."""
    return image if "@" in image or image.endswith(DEBUG) else image + DEBUG


def notes(agents: Kaniko) -> Iterator[Finding]:
    """What will probably not do what is meant."""
    if "@" in agents.image and DEBUG not in agents.image:
        what = f"agents need a shell, and {agents.image} may be an image without one"
        yield Finding(what, "ready.kaniko.image", "take the digest of a -debug image")


def agent(agents: Kaniko, access: PushAccess) -> dict[str, Any]:
    """The pod of an agent; Jenkins adds its own container, and the workspace to all of them."""
    build = objects.Build("dir:///", (), cache=False, image=with_shell(agents.image))
    whole = objects.pod(build, agents, access)
    [container] = whole["spec"]["containers"]
    env = [*container["env"], {"name": REGISTRY, "value": access.image("").rstrip("/")}]
    container |= {"env": env, "command": ["/busybox/sleep"], "args": ["9999999"]}
    metadata = {key: whole["metadata"][key] for key in ("labels", "annotations")}
    spec = {key: value for key, value in whole["spec"].items() if value != []}
    return {**whole, "metadata": metadata, "spec": spec}


def values(agents: Kaniko, access: PushAccess) -> dict[str, Any]:
    """The chart's values; whatever else it has keeps its default, as the claim of 8 GiB does."""
    template = {
        "name": LABEL,
        "label": LABEL,
        "nodeUsageMode": "EXCLUSIVE",
        "serviceAccount": agents.service_account,
        "yaml": yaml.dump(agent(agents, access)),
    }
    # the chart takes a template as text, and renders it (``agent.podTemplates``)
    return {"agent": {"podTemplates": {LABEL: yaml.dump([template])}}}


def pipeline(access: PushAccess, image: str) -> str:
    """A Jenkinsfile that builds and pushes an image of the cluster's registry."""
    flags = [
        "--context=dir://$WORKSPACE",
        f"--destination=${REGISTRY}/{image}:$BUILD_NUMBER",
        "--cache=true",
    ]
    if access.cache is not None:
        flags.append(f"--cache-repo=${REGISTRY}/{image}{access.cache}")
    return f"""\
node('{LABEL}') {{
  checkout scm
  container('{LABEL}') {{
    sh '/kaniko/executor {" ".join(flags)}'
  }}
}}
"""

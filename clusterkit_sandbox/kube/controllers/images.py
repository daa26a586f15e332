"""Images of containers: all are there, unless a fault says that their registry is out of reach.

Words: containerd, ``core/remotes/docker/resolver.go``; reasons: k8s.io/kubernetes,
``pkg/kubelet/images/types.go``.
"""

from __future__ import annotations

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.operations import PULL

HUB = "docker.io"
BACK_OFF = 10.0
"""seconds until an image is pulled again (``pkg/kubelet/kubelet.go``, ``imageBackOffPeriod``)"""


def registry(image: str) -> str:
    """The host an image is pulled from (distribution/reference, ``splitDockerDomain``)."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else HUB


def unpulled(faults: Faults, pod: Object) -> list[str | None]:
    """For each container why its image cannot be pulled."""
    return [_refused(faults, container["image"]) for container in pod["spec"]["containers"]]


def _refused(faults: Faults, image: str) -> str | None:
    host = registry(image)
    rule = faults.draw(f"{PULL}{host}")
    if rule is None or rule.kind not in ("denied", "error", "refuse", "throttle"):
        return None
    if rule.kind == "throttle":
        why = "unexpected status from HEAD request: 429 Too Many Requests"
    elif rule.kind == "refuse":
        why = rule.text
    elif rule.kind == "denied":
        why = "unexpected status from HEAD request: 403 Forbidden"
    else:
        why = f'failed to do request: Head "https://{host}/v2/": dial tcp: i/o timeout'
    return (
        f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {why}'
    )

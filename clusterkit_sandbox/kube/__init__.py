"""Kubernetes for the sandbox's clusters: embedded, or a real API server for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from clusterkit_sandbox.faults import Faults

if TYPE_CHECKING:
    from clusterkit_sandbox.kaniko.container import Door
    from clusterkit_sandbox.kube.interfaces import KubeServer
    from clusterkit_sandbox.kube.serving import Public
    from clusterkit_sandbox.pace import Pace


def kube_server(
    kind: str,
    pace: Pace,
    directory: Path,
    faults: Faults | None = None,
    public: Public | None = None,
    door: Callable[[], Door] | None = None,
) -> KubeServer:
    """The Kubernetes side of a sandbox.

    ``kind`` is ``embedded`` (the endpoint of clusterkit) or ``envtest`` (kube-apiserver and etcd,
    from ``KUBEBUILDER_ASSETS`` or ``PATH``). ``directory`` is private to the sandbox.
    ``door`` is the way of what runs in pods to everything else; without one nothing runs there.
    ``public`` finds what answers under a name that has a certificate clients trust anyway.
    ``ValueError`` for anything else, or if what it needs is missing, with what to do.
    """
    if faults is None:
        faults = Faults()
    if kind == "embedded":
        from clusterkit_sandbox.kube.embedded import EmbeddedKube

        return EmbeddedKube(pace, directory, faults, public, door)
    if kind == "envtest":
        from clusterkit_sandbox.kube.envtest import EnvtestKube

        return EnvtestKube(directory, faults, public)
    raise ValueError(f"--kube {kind}: give embedded or envtest")

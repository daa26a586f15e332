"""How nodes come to pull the usual registries' images through a mirror.

containerd reads ``hosts.toml`` of a registry at each pull, without a restart
(https://github.com/containerd/containerd/blob/main/docs/hosts.md), on ACK below
``/etc/containerd/cert.d``: the vendor's page "Pod troubleshooting", on images of unknown
authorities. The script is the pool's ``user_data``, which runs when a machine has become a node.
"""

from __future__ import annotations

from base64 import b64encode
from shlex import quote

REGISTRIES = {
    "docker.io": "registry-1.docker.io",
    "gcr.io": "gcr.io",
    "ghcr.io": "ghcr.io",
    "quay.io": "quay.io",
    "registry.k8s.io": "registry.k8s.io",
}
"""what images are called, to the host that has them when the mirror does not"""
FOLDER = "/etc/containerd/cert.d"


def user_data(mirror: str) -> str:
    """``kubernetes_config.user_data`` of CreateClusterNodePool: the script in base64."""
    return b64encode(script(mirror).encode()).decode()


def script(mirror: str, folder: str = FOLDER) -> str:
    """A script for sh, to the same effect however often it runs: ``MIRROR/gcr.io/…`` stands for
    ``gcr.io/…``.
    """
    host, slash, path = mirror.partition("/")
    lines = ["#!/bin/sh", "set -eu", "umask 022"]
    for registry, server in REGISTRIES.items():
        hosts = (
            f'server = "https://{server}"\n\n[host."https://{host}/v2/{path}{slash}{registry}"]\n'
            '  capabilities = ["pull", "resolve"]\n  override_path = true\n'
        )
        there = quote(f"{folder}/{registry}")
        lines += [
            f"mkdir -p {there}",
            f"cat >{there}/hosts.toml.new <<'END'\n{hosts}END",
            f"mv -f {there}/hosts.toml.new {there}/hosts.toml",
        ]
    return "\n".join([*lines, ""])

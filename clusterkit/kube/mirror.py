"""How nodes pull the usual registries' images through a mirror.

containerd reads ``hosts.toml`` of a registry at each pull, without a restart
(https://github.com/containerd/containerd/blob/main/docs/hosts.md).
"""

from __future__ import annotations

from shlex import quote

REGISTRIES = {
    "docker.io": "registry-1.docker.io",
    "gcr.io": "gcr.io",
    "ghcr.io": "ghcr.io",
    "quay.io": "quay.io",
    "registry.k8s.io": "registry.k8s.io",
}
"""what images are called, to the host that has them when the mirror does not"""


def script(mirror: str, folder: str) -> str:
    """A script for sh, to the same effect however often it runs: ``MIRROR/gcr.io/…`` stands for
    ``gcr.io/…``. ``folder`` is where containerd looks for registries (``config_path``).
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

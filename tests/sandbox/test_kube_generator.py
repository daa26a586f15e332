"""The tool that records a real API server, run against the sandbox's own."""

from __future__ import annotations

import contextlib
import json
import lzma
import math
from pathlib import Path
from typing import Any

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.kinds import recorded
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import HOST, TOKENS, Cloud, kubeconfig
from tools.gen_kube_recorded import Server, packed, record


def fields(found: Any) -> set[str]:
    """The paths of the fields in it, whatever the values."""
    if isinstance(found, dict):
        return {f".{name}{path}" for name, inner in found.items() for path in fields(inner)}
    if isinstance(found, list):
        return {f"[]{path}" for inner in found for path in fields(inner)}
    return {f": {type(found).__name__}"}


def test_the_recording_of_this_server_is_that_of_the_real_one(tmp_path: Path) -> None:
    server = kube_server("embedded", Pace(math.inf), tmp_path)
    try:
        opened = server.open("c", hosts=[HOST], version="1.36", review=TOKENS.get, hooks=Cloud())
        with contextlib.closing(Server(kubeconfig(opened, tmp_path))) as asked:
            found = json.loads(lzma.decompress(packed(record(asked))))
    finally:
        server.close()
    known = recorded()
    assert found.keys() == known.keys()
    assert found["columns"] == known["columns"]
    for part in ("discovery", "roles"):
        assert fields(known[part]) <= fields(found[part])

    def named(data: Any) -> set[tuple[str, str]]:
        return {(role["kind"], role["metadata"]["name"]) for role in data["roles"]}

    assert named(found) == named(known)

"""What a real API server tells about itself, as one packed data file of the sandbox: discovery, the
columns of its tables, and the roles it is born with.

``python tools/gen_kube_recorded.py KUBECONFIG`` asks the current context's server, which needs a
token or a client certificate there. The file in the repository was recorded from Kubernetes 1.36.2;
this tool has since been run against the sandbox's own server only, which a test does.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import lzma
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

TARGET = Path(__file__).parent.parent / "clusterkit_sandbox/kube/data/recorded.json.xz"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
BORN = "kubernetes.io/bootstrapping"
"""label of the roles and bindings a server is born with"""
SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "managedFields")


class Server:
    """The server of a kubeconfig's current context."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        folder = kubeconfig.parent
        tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority", folder))
        if "client-certificate" in user or "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile("w") as pair:
                pair.write(_text(user, "client-certificate", folder))
                pair.write(_text(user, "client-key", folder))
                pair.flush()
                tls.load_cert_chain(pair.name)
        url = urlsplit(cluster["server"])
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._to = http.client.HTTPSConnection(url.hostname or "", url.port, context=tls)

    def close(self) -> None:
        """Close the connection."""
        self._to.close()

    def get(self, path: str, accept: str) -> Any:
        """A document; ``SystemExit`` if it is refused."""
        self._to.request("GET", path, headers={**self._headers, "Accept": accept})
        answer = self._to.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300].decode(errors='replace')}")
        return json.loads(body)


def _named(items: Any, name: str) -> Any:
    return next(item for item in items if item["name"] == name)


def _text(found: Any, key: str, folder: Path) -> str:
    if f"{key}-data" in found:
        return base64.b64decode(found[f"{key}-data"]).decode()
    return (folder / found[key]).read_text()


def record(server: Server) -> dict[str, Any]:
    """All that is recorded."""
    discovery = {path: server.get(path, AGGREGATED) for path in ("/api", "/apis")}
    columns = {}
    for path, document in discovery.items():
        for group in document["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                for resource in version["resources"]:
                    if "list" in resource["verbs"]:
                        root = f"{path}/{name}/{version['version']}".replace("//", "/")
                        place = f"{root}/{resource['resource']}"
                        columns[place] = server.get(place, TABLE)["columnDefinitions"]
    roles = []
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        listed = server.get(f"{RBAC}/{kind.lower()}s", "application/json")["items"]
        for item in listed:
            if BORN in (item["metadata"].get("labels") or {}):
                for field in SERVER_FIELDS:
                    item["metadata"].pop(field, None)
                roles.append({**item, "kind": kind})
    return {"discovery": discovery, "columns": columns, "roles": roles}


def packed(found: dict[str, Any]) -> bytes:
    """The bytes of the data file."""
    text = json.dumps(found, separators=(",", ":"), sort_keys=True)
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def main(words: list[str]) -> int:
    """Write the data file."""
    if len(words) != 1:
        sys.stderr.write("usage: python tools/gen_kube_recorded.py KUBECONFIG\n")
        return 2
    with contextlib.closing(Server(Path(words[0]))) as server:
        TARGET.write_bytes(packed(record(server)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

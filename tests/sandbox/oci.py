"""A client of registries, written from the OCI distribution specification and distribution's pages
on tokens: it asks, is challenged, gets a token and asks again, and knows no cloud.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from clusterkit_sandbox.sandbox import Sandbox

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_CHUNK = 1 << 16


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(**files: str) -> bytes:
    """A layer with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def files(data: bytes) -> dict[str, str]:
    """The files of a layer."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        return {one.name: tar.extractfile(one).read().decode() for one in tar}  # type: ignore[union-attr]


class Answer:
    """A response."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.data = answer.data

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of a refusal."""
        one = self.json["errors"][0]
        return self.status, one["code"], one["message"]


class Client:
    """One user of one registry; nobody, without ``user``."""

    def __init__(self, sandbox: Sandbox, host: str, user: str = "", password: str = "") -> None:
        self.host = host
        self._pool = urllib3.ProxyManager(
            sandbox.proxy, ca_certs=str(sandbox.ca_file), retries=False, maxsize=8
        )
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._basic = {"Authorization": f"Basic {pair}"} if user else {}
        self._tokens: dict[str, str] = {}

    def raw(self, method: str, url: str, body: Any = None, **headers: str) -> Answer:
        """One request, as it is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = url if url.startswith("https://") else f"https://{self.host}{url}"
        return Answer(self._pool.request(method, url, body=body, headers=sent, redirect=False))

    def stream(self, path: str, **headers: str) -> Iterator[bytes]:
        """A body in parts."""
        url = f"https://{self.host}{path}"
        answer = self._pool.request("GET", url, headers=headers, preload_content=False)
        yield from answer.stream(1 << 16)

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request, with a token if it is asked for one."""
        answer = self.raw(method, path, body, **headers)
        if answer.status == 401 and "Www-Authenticate" in answer.headers:
            found = self.authorization(answer.headers["Www-Authenticate"])
            if isinstance(found, Answer):
                return found
            answer = self.raw(method, path, body, **headers, **found)
        return answer

    def authorization(self, challenge: str) -> Mapping[str, str] | Answer:
        """The header that answers a challenge, or the token service's refusal."""
        scheme, _, rest = challenge.partition(" ")
        if scheme == "Basic":
            return self._basic
        given = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        query = urlencode({k: given[k] for k in ("service", "scope") if k in given})
        answer = self.raw("GET", f"{given['realm']}?{query}", **self._basic)
        if answer.status != 200:
            return answer
        token = answer.json.get("token") or answer.json["access_token"]
        return {"Authorization": f"Bearer {token}"}

    # -- images ------------------------------------------------------------------------------------

    def blob(self, repository: str, data: bytes) -> Answer:
        """Push a blob as docker and kaniko do; the first refusal, or the last answer."""
        answer = self("POST", f"/v2/{repository}/blobs/uploads/")
        if answer.status == 202:
            answer = self("PATCH", answer.headers["Location"], data)
        if answer.status == 202:
            where = answer.headers["Location"]
            mark = "&" if "?" in where else "?"
            answer = self("PUT", f"{where}{mark}digest={digest_of(data)}")
        return answer

    def push(self, repository: str, tag: str, *layers: bytes, kind: str = IMAGE) -> Answer:
        """Push an image; the first answer that is a refusal, or that to the manifest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {}}).encode()
        parts = []
        for data, media in ((config, CONFIG), *((one, LAYER) for one in layers)):
            answer = self.blob(repository, data)
            if answer.status != 201:
                return answer
            parts.append({"mediaType": media, "digest": digest_of(data), "size": len(data)})
        body: dict[str, Any] = {"schemaVersion": 2, "mediaType": kind}
        body |= {"config": parts[0], "layers": parts[1:]}
        return self.put(repository, tag, body)

    def put(self, repository: str, reference: str, body: Mapping[str, Any]) -> Answer:
        """Push a manifest."""
        text = json.dumps(body).encode()
        path = f"/v2/{repository}/manifests/{reference}"
        return self("PUT", path, text, Content_Type=str(body["mediaType"]))

    def pull(self, repository: str, reference: str) -> Iterator[bytes]:
        """The layers of an image, checked."""
        found = self("GET", f"/v2/{repository}/manifests/{reference}", Accept=f"{IMAGE}, {DOCKER}")
        assert found.status == 200, found.data
        assert found.headers["Docker-Content-Digest"] == digest_of(found.data)
        for one in found.json["layers"]:
            data = self("GET", f"/v2/{repository}/blobs/{one['digest']}").data
            assert (digest_of(data), len(data)) == (one["digest"], one["size"])
            yield data

"""Google's published API descriptions: ``data/*.json.xz``, as ``tools/gen_google_discovery.py``
describes their form.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from clusterkit_sandbox.google import uploads
from clusterkit_sandbox.kit import published
from clusterkit_sandbox.kit.shape import Operation, Shape
from clusterkit_sandbox.kit.wire import Request, Routes

_FOLDER = resources.files("clusterkit_sandbox.google") / "data"
_FILES = tuple(sorted(one.name for one in _FOLDER.iterdir() if one.name.endswith(".json.xz")))
SERVICES = tuple(sorted({name.partition(".")[0] for name in _FILES}))
OLD_HOST = "www.googleapis.com"
"""Where older clients still find the APIs that have a service path."""
TOKENS = "oauth2.googleapis.com"
"""Where access tokens come from."""


class Api:
    """One API of one version."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.name: str = document["name"]
        self.version: str = document["version"]
        self.host: str = urlsplit(document["rootUrl"]).hostname or ""
        self.path: str = f"/{document['servicePath']}"
        self.common = frozenset(document["parameters"])
        """query parameters that every method takes"""
        self.methods: Mapping[str, Any] = document["methods"]
        self.others: Mapping[str, Any] = document["others"]
        self._discovery = published.Discovery(document)
        self._compiled: dict[str, Operation] = {}

    def operation(self, method: str) -> Operation:
        """One method by its id."""
        if method not in self._compiled:
            self._compiled[method] = self._discovery.operation(method)
        return self._compiled[method]

    @property
    def names(self) -> Mapping[str, Shape]:
        """The shapes that others refer to."""
        return self._discovery.names

    @cached_property
    def routes(self) -> list[tuple[str, str, str, dict[str, str]]]:
        """Method id, HTTP method, path and the patterns of its parameters."""
        found = []
        for method, raw in self.methods.items():
            patterns = {
                name: one["pattern"]
                for name, one in raw["parameters"].items()
                if f"{{+{name}}}" in raw["path"] and "pattern" in one
            }
            found.append((method, raw["httpMethod"], raw["path"], patterns))
        for method, (verb, path, patterns) in self.others.items():
            found.append((method, verb, path, patterns))
        return found


@dataclass(frozen=True)
class Asked:
    """The method that a request asks for."""

    api: Api
    method: str
    """its id: ``compute.networks.insert``"""
    path: Mapping[str, str]
    """the parameters in the path"""


@cache
def apis() -> tuple[Api, ...]:
    """Every API."""
    packed = (lzma.decompress((_FOLDER / name).read_bytes()) for name in _FILES)
    return tuple(Api(json.loads(text)) for text in packed)


@cache
def load() -> Mapping[str, Routes[tuple[Api, str]]]:
    """What serves a path, by host."""
    found: dict[str, Routes[tuple[Api, str]]] = {}
    for api in apis():
        hosts = (api.host,) if api.path == "/" else (api.host, OLD_HOST)
        for routes in [found.setdefault(host, Routes()) for host in hosts]:
            for method, verb, path, patterns in api.routes:
                inner = {name: one.strip("^$") for name, one in patterns.items()}
                routes.add(verb, f"{api.path}{path}", (api, method), inner)
    return found


def hosts() -> frozenset[str]:
    """Every host that the APIs and the token endpoint have."""
    return frozenset({f"{name}.googleapis.com" for name in SERVICES} | {OLD_HOST, TOKENS})


def find(request: Request) -> Asked | None:
    """The method that a request asks for, if there is one."""
    routes = load().get(request.host)
    # the parts of an object that is sent in parts belong to the method that began that
    verb = "POST" if request.method == "PUT" and uploads.is_upload(request) else request.method
    found = routes.find(verb, path(request)) if routes is not None else None
    return Asked(*found[0], found[1]) if found is not None else None


def path(request: Request) -> str:
    """The path of the request in the version that is emulated."""
    # clients with an address of an API that ends in a slash ask for //v1
    found = re.sub("^/+", "/", request.path)
    if request.host == "artifactregistry.googleapis.com":
        # gcloud asks the older version, which is alike, for the locations of repositories
        return re.sub("^/v1beta2/", "/v1/", found)
    # objects are sent and fetched at addresses of their own (the document's ``mediaUpload``)
    return re.sub("^(/resumable)?/(upload|download)/storage/v1/", "/storage/v1/", found)


def service(request: Request) -> str:
    """The service that a request is meant for: ``compute``."""
    if request.host == OLD_HOST:
        return "storage" if "storage" in request.path.split("/")[1:4] else "compute"
    return request.host.partition(".")[0]

"""Artifact Registry v1: the images of a repository, which is what was pushed to its host.

Fields and names: the discovery document, ``DockerImage``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from clusterkit_sandbox.google.failure import Json, rpc
from clusterkit_sandbox.google.repositories import find
from clusterkit_sandbox.google.service import Call, method, rfc3339

_IMAGES = "artifactregistry.projects.locations.repositories.dockerImages"


def _images(call: Call, name: str) -> Iterator[Json]:
    """The images of a repository, by name."""
    _ = find(call, name)
    content, prefix = call.store.content, f"pkg/{name}/"
    _, project, _, location, _, repository = name.split("/")
    host = f"{location}-docker.pkg.dev/{project}/{repository}"
    for place in content.places(prefix):
        image = place[len(prefix) : -1]
        for one in content.manifests(place):
            body = json.loads(one.body)
            shown: Json = {
                "name": f"{name}/dockerImages/{image.replace('/', '%2F')}@{one.digest}",
                "uri": f"{host}/{image}@{one.digest}",
                "tags": list(content.tags(place, one.digest)),
                "imageSizeBytes": str(one.size),
                "uploadTime": rfc3339(one.pushed),
                "updateTime": rfc3339(one.pushed),
                "mediaType": one.type,
                "artifactType": body.get("artifactType"),
            }
            yield {name: value for name, value in shown.items() if value}


@method(f"{_IMAGES}.list")
def _list(call: Call) -> object:
    some, after = call.page(list(_images(call, call["parent"])), default=100, most=1000)
    listed: Json = {"dockerImages": list(some)} if some else {}
    return listed | ({"nextPageToken": after} if after else {})


@method(f"{_IMAGES}.get")
def _get(call: Call) -> object:
    name = str(call["name"]).replace("%2F", "/")
    for one in _images(call, name.partition("/dockerImages/")[0]):
        if one["name"].replace("%2F", "/") == name:
            return one
    raise rpc("NOT_FOUND", "Requested entity was not found.")

"""Artifact Registry v1: repositories and their policies.

Recorded of the real service (Config Connector's traffic): the form of a repository and of the
operations, ``Requested entity was not found.``, a patch that answers the repository itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from clusterkit_sandbox.google import access, account
from clusterkit_sandbox.google.catalogue import REGIONS
from clusterkit_sandbox.google.failure import Failure, Json, rpc
from clusterkit_sandbox.google.longrunning import LongRunning, begin
from clusterkit_sandbox.google.policies import Policy
from clusterkit_sandbox.google.service import Call, method, rfc3339

_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LEGACY = ("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io")
"""repositories that serve the hosts of Container Registry (vendor: "Transition to gcr.io")"""
_MULTI = ("asia", "europe", "us")
"""locations that are no regions (vendor: "Repository locations")"""
_TYPE = "type.googleapis.com/google.devtools.artifactregistry.v1."
_FIXED = ("format", "mode", "kmsKeyName", "name")


@dataclass(kw_only=True, eq=False)
class Repository:
    """One repository; implements ``kit.store.Kept``."""

    id: str
    """its name: ``projects/P/locations/L/repositories/R``"""
    shown: Json
    going: bool = False
    scope: str = field(default="")

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()


def _missing() -> Failure:
    return rpc("NOT_FOUND", "Requested entity was not found.")


def find(call: Call, name: str) -> Repository:
    """The repository of this name; ``Failure`` if there is none."""
    found = call.store.get(Repository, name)
    if found is None or found.going:
        raise _missing()
    return found


@method("artifactregistry.projects.locations.list")
def _locations(call: Call) -> object:
    return {
        "locations": [
            {"name": f"{call['name']}/locations/{one}", "locationId": one}
            for one in (*_MULTI, *sorted(REGIONS))
        ]
    }


@method("artifactregistry.projects.locations.repositories.create")
def _create(call: Call) -> object:
    parent, identifier = str(call["parent"]), str(call.get("repositoryId", ""))
    location = parent.rpartition("/")[2]
    if location not in REGIONS and location not in _MULTI:
        raise rpc(
            "INVALID_ARGUMENT", f"Location {location} is not found or access is unauthorized."
        )
    if not _ID.fullmatch(identifier) and identifier not in _LEGACY:
        raise rpc("INVALID_ARGUMENT", f'invalid repository id "{identifier}"')
    kind = call.body.get("format") or "FORMAT_UNSPECIFIED"
    if kind == "FORMAT_UNSPECIFIED":
        raise rpc("INVALID_ARGUMENT", "Repository format must be set")
    name = f"{parent}/repositories/{identifier}"
    if call.store.get(Repository, name) is not None:
        raise rpc("ALREADY_EXISTS", "the repository already exists")
    repository = new(name, call.body)

    def created() -> Json:
        call.store.add(repository)
        return {"@type": f"{_TYPE}Repository", **repository.shown}

    # not there before the operation has ended, but its name is taken
    operation = _operation(call, parent, name)
    return begin(call.store, operation, "google/repository/create", created,
                 terminal=call.terminal())  # fmt: skip


def new(name: str, body: Json) -> Repository:
    """A repository as it is once it was made."""
    _, project, _, location, _, identifier = name.split("/")
    scan = {
        "enablementState": "SCANNING_DISABLED",
        "enablementStateReason": "API containerscanning.googleapis.com is not enabled.",
    }
    mode = str(body.get("mode") or "MODE_UNSPECIFIED")
    made = {
        **body,
        "mode": "STANDARD_REPOSITORY" if mode == "MODE_UNSPECIFIED" else mode,
        "name": name,
        "createTime": rfc3339(),
        "updateTime": rfc3339(),
        "satisfiesPzi": True,
        "vulnerabilityScanningConfig": scan,
    }
    host = f"{location}-{str(body['format']).lower()}.pkg.dev"
    made["registryUri"] = f"{host}/{account.project_id(project) or project}/{identifier}"
    return Repository(id=name, shown=made)


def _operation(call: Call, parent: str, name: str) -> LongRunning:
    for one in call.store.all(LongRunning):
        if one.parent == name and not one.done:
            # facts: artifactregistry.* answers 409 where an operation is in the way
            raise rpc("ABORTED", "unable to queue the operation")
    metadata = {"@type": f"{_TYPE}OperationMetadata"}
    identifier = f"{parent}/operations/{call.store.new_uuid()}"
    return LongRunning(id=identifier, parent=name, metadata=metadata)


@method("artifactregistry.projects.locations.repositories.get")
def _get(call: Call) -> object:
    return find(call, call["name"]).shown


@method("artifactregistry.projects.locations.repositories.list")
def _list(call: Call) -> object:
    parent = f"{call['parent']}/repositories/"
    found = [one.shown for one in call.store.all(Repository) if one.id.startswith(parent)]
    some, after = call.page(found, default=100, most=1000)
    listed: Json = {"repositories": list(some)} if some else {}
    return listed | ({"nextPageToken": after} if after else {})


@method("artifactregistry.projects.locations.repositories.patch")
def _patch(call: Call) -> object:
    found, mask = find(call, call["name"]), call.get("updateMask", "")
    names = [_camel(one) for one in str(mask).split(",")] if mask else list(call.body)
    for name in names:
        if name in _FIXED and call.body.get(name, found.shown.get(name)) != found.shown.get(name):
            raise rpc("INVALID_ARGUMENT", f"field {name} is immutable")
    wanted = {name: call.body.get(name) for name in names if name not in _FIXED}
    for name, value in wanted.items():
        if value in (None, "", {}, []):
            found.shown.pop(name, None)
        else:
            found.shown[name] = value
    found.shown["updateTime"] = rfc3339()
    return found.shown


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name.strip())


@method("artifactregistry.projects.locations.repositories.delete")
def _delete(call: Call) -> object:
    found = find(call, call["name"])
    parent = found.id.partition("/repositories/")[0]
    operation = _operation(call, parent, found.id)

    def deleted() -> Json:
        call.store.remove(found)
        call.store.content.forget(f"pkg/{found.id}/")
        policy = call.store.get(Policy, found.id)
        if policy is not None:
            call.store.remove(policy)
        return {"@type": "type.googleapis.com/google.protobuf.Empty"}

    doomed = call.terminal()
    found.going = not doomed
    return begin(call.store, operation, "google/repository/delete", deleted, terminal=doomed)


access.serve(
    "artifactregistry.projects.locations.repositories",
    lambda call: find(call, call["resource"]).id,
)

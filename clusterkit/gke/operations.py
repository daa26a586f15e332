"""Operations of Google's APIs, in three shapes: Compute Engine's, GKE's, and google.longrunning.

All answer 200 when they have failed: an error inside a finished one is the error. GKE's older field
``statusMessage`` on a finished operation means failure too
(terraform-provider-google ``container_operation.go``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.engine.operation import Done, Failed, Operation, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError
from clusterkit.gke.client import Clients
from clusterkit.gke.errors import ERRORS, canonical


@dataclass(frozen=True)
class ComputeOperation:
    """An operation of Compute Engine."""

    path: str
    """``projects/P/regions/R/operations/O``"""
    operation: str
    """what began it, as in ``compute.networks.insert``"""

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is."""
        where = {"regions": "regionOperations", "zones": "zoneOperations"}
        kind = where.get(self.path.split("/")[2], "globalOperations")
        found = scope.client.call("compute", f"{kind}.get", "GET", self.path)
        if found.get("status") != "DONE":
            percent = f", {found['progress']} %" if found.get("progress") else ""
            return Running(f"operation {str(found.get('status')).lower()}{percent}")
        told = (found.get("error") or {}).get("errors")
        if not told and "httpErrorStatusCode" not in found:
            return Done()
        status, message = found.get("httpErrorStatusCode"), found.get("httpErrorMessage")
        told = told or [{"code": f"HTTP {status}", "message": message}]
        words = "; ".join(str(each.get("message") or each.get("code")) for each in told)
        return Failed(ERRORS.failed(str(told[0].get("code") or ""), words, self.operation))


@dataclass(frozen=True)
class ContainerOperation:
    """An operation of GKE."""

    name: str
    """``projects/P/locations/L/operations/O``"""
    operation: str

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is; ABORTING ends as DONE with an error (container v1, Operation.Status)."""
        found = scope.client.container("get_operation", {"name": self.name})
        if found.get("status") != "DONE":
            return Running(_stage(found))
        error = _container_error(found, self.operation)
        return Failed(error) if error else Done()


def _container_error(found: Mapping[str, Any], operation: str) -> CloudError | None:
    """Why a finished operation of GKE failed; None if it did not."""
    told, message = found.get("error") or {}, str(found.get("statusMessage") or "")
    if not told and not message:
        return None
    conditions = [*(found.get("clusterConditions") or ()), *(found.get("nodepoolConditions") or ())]
    words = [str(told.get("message") or message)]
    words += [str(each.get("message") or each.get("code") or "") for each in conditions]
    codes = [str(each.get("code") or "") for each in conditions]
    code = next(filter(None, codes), canonical(told.get("code")))
    return ERRORS.failed(code, "; ".join(dict.fromkeys(filter(None, words))), operation)


@dataclass(frozen=True)
class LongRunning:
    """An operation of Artifact Registry or Service Usage (google.longrunning)."""

    service: str
    name: str
    """``operations/O``, or with the project and the location before it"""
    operation: str

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is."""
        prefix = "projects.locations." if self.name.startswith("projects/") else ""
        found = scope.client.call(self.service, f"{prefix}operations.get", "GET", self.name)
        if not (told := found.get("error")):
            return Done() if found.get("done") else Running()
        code = canonical(told.get("code"))
        return Failed(ERRORS.failed(code, str(told.get("message") or code), self.operation))


def compute_operation(answer: Mapping[str, Any], operation: str) -> Operation[Clients]:
    """The operation that an answer of Compute Engine shows."""
    path = str(answer["selfLink"]).partition("/projects/")[2]
    return ComputeOperation(f"projects/{path}", operation)


def container_operation(
    client: Clients, location: str, answer: Mapping[str, Any], operation: str
) -> Operation[Clients]:
    """The operation that an answer of GKE shows; its links have the project's number."""
    name = f"projects/{client.project}/locations/{location}/operations/{answer['name']}"
    return ContainerOperation(name, operation)


def long_running(service: str, answer: Mapping[str, Any], operation: str) -> Operation[Clients]:
    """The operation that an answer of Artifact Registry or Service Usage shows."""
    return LongRunning(service, str(answer["name"]), operation)


def _stage(found: Mapping[str, Any]) -> str:
    """GKE's own words for the step it is at, where it tells."""
    progress = found.get("progress") or {}
    for stage in progress.get("stages") or ():
        if stage.get("status") == "RUNNING" and stage.get("name"):
            return str(stage["name"]).lower().replace("_", " ")
    return str(found.get("detail") or f"operation {found.get('status') or 'begun'}").lower()

"""Operations of Compute Engine: every change answers with one, and ends when it is done.

A resource that an operation runs on is not ready for another one (resourceNotReady; facts/gcp.tsv).
A change repeated with its ``requestId`` answers with the first one's operation (vendor: the
parameter's description). What was asked for is shown once its operation has ended; a new resource
is there from the beginning.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from clusterkit_sandbox.google.failure import ANSWERS, Json, invalid, not_found
from clusterkit_sandbox.google.resources import Change, Resource, link_to, not_ready, place_of
from clusterkit_sandbox.google.service import Call, method
from clusterkit_sandbox.kit.operations import Error
from clusterkit_sandbox.pace import RECORDED

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ZERO = "00000000-0000-0000-0000-000000000000"
_PENDING = 0.1
"""The share of its time for which an operation is pending; a guess."""
_PACIFIC = timezone(timedelta(hours=-8))
INTERNAL: Error = (
    "INTERNAL_ERROR",
    "Internal error. Please try again or contact Google Support. (Code: '-1')",
)
"""What the fault ``terminal`` ends an operation with."""
Changing = Callable[[Call], Change]


def change(*names: str) -> Callable[[Changing], Changing]:
    """Register a handler that begins an operation, as its decorator."""

    def register(serve: Changing) -> Changing:
        @method(*names)
        def changing(call: Call) -> object:
            return shown(once(call, serve))

        return serve

    return register


def once(call: Call, serve: Changing) -> Change:
    """The operation of a call, or of the call before with the same request id."""
    given = call.get("requestId")
    if given is None:
        return serve(call)
    if not _UUID.fullmatch(given) or given == _ZERO:
        raise invalid("requestId", given, "It must be a valid UUID other than zero.")
    key = (call.operation, call.project, given.lower())
    return call.store.requests.once(key, None, lambda: serve(call), ValueError(given))


def begin(
    call: Call, resource: Resource, kind: str, done: Callable[[], Error | None] | None = None
) -> Change:
    """Begin an operation on a resource; ``done`` makes the change, or says why it failed.

    ``kind`` is the vendor's word: ``insert``.
    """
    store = call.store
    resource.changing = kind
    what = f"compute/{type(resource).__name__.lower()}/{kind}"
    what = what if what in RECORDED else "compute/change"
    now = time.time()
    tail = f"{store.new_hex(13)}-{store.new_hex(8)}-{store.new_hex(8)}"
    place = place_of(resource.path)
    operation = store.changes.begin(
        Change(
            id=f"projects/{call.project}/{place}/operations/operation-{int(now * 1000)}-{tail}",
            kind=kind,
            parent=resource.path,
            target=resource.path,
            place=place,
            number=store.new_number(),
            target_id=str(resource.shown.get("id", "0")),
            user=call.caller.email,
            starts=now + store.clock.pace.seconds(what) * _PENDING,
        )
    )
    fails = call.terminal()

    def ended() -> Error | None:
        error = INTERNAL if fails else done() if done is not None else None
        resource.changing = ""
        if fails and kind == "insert":
            store.remove(resource)
        if error is not None:
            operation.http_error = ANSWERS.get(error[0], (400, "BAD REQUEST"))
        return error

    store.changes.end_later(operation, what, ended)
    return operation


def settled(resource: Resource) -> Resource:
    """The resource, if no operation runs on it; else 400."""
    if resource.changing:
        raise not_ready(resource.path)
    return resource


def pacific(at: float) -> str:
    """``2026-11-22T20:00:00.123-08:00``, as Compute Engine writes times."""
    return datetime.fromtimestamp(at, _PACIFIC).isoformat(timespec="milliseconds")


def shown(operation: Change) -> Json:
    """An operation as the API shows it."""
    ended = operation.state != "running"
    pending = not ended and time.time() < operation.starts
    begun = pacific(operation.begun)
    found: Json = {
        "kind": "compute#operation",
        "id": operation.number,
        "name": operation.name,
        "operationType": operation.kind,
        "targetLink": link_to(operation.target),
        "targetId": operation.target_id,
        "status": "DONE" if ended else "PENDING" if pending else "RUNNING",
        "progress": 100 if ended else 0,
        "user": operation.user,
        "insertTime": begun,
        "selfLink": link_to(operation.id),
    }
    level, _, where = operation.place.partition("/")
    if where:
        project = operation.id.split("/")[1]
        found[level.removesuffix("s")] = link_to(f"projects/{project}/{level}/{where}")
    if not pending:
        found["startTime"] = pacific(operation.starts)
    if ended:
        found["endTime"] = pacific(operation.updated)
    if operation.error is not None:
        code, message = operation.error
        found["error"] = {"errors": [{"code": code, "message": message}]}
    if operation.http_error is not None:
        found["httpErrorStatusCode"], found["httpErrorMessage"] = operation.http_error
    return found


# -- methods ---------------------------------------------------------------------------------------


@method(
    "compute.globalOperations.get", "compute.globalOperations.wait",
    "compute.regionOperations.get", "compute.regionOperations.wait",
    "compute.zoneOperations.get", "compute.zoneOperations.wait",
)  # fmt: skip
def _get(call: Call) -> object:
    level = "regions" if "region" in call.parameters else "zones"
    place = call.get("region") or call.get("zone")
    where = f"{level}/{place}" if place else "global"
    path = f"projects/{call.project}/{where}/operations/{call['operation']}"
    found = call.store.changes.get(path)
    if found is None:
        raise not_found(path)
    return shown(found)

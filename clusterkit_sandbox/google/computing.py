"""What every kind of resource of Compute Engine has: get, list, aggregated list, insert, delete.

Words: facts/gcp.tsv and recorded traffic (k8s-config-connector, **/_http.log).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Set
from typing import TypeVar

from clusterkit_sandbox.google.catalogue import REGIONS, ZONES
from clusterkit_sandbox.google.changes import begin, change, pacific, settled
from clusterkit_sandbox.google.failure import Failure, Json, compute, invalid, not_found
from clusterkit_sandbox.google.resources import (
    KINDS,
    Change,
    Collection,
    Resource,
    Subnetwork,
    fingerprint_of,
    in_use,
    link_to,
    linked,
    not_ready,
)
from clusterkit_sandbox.google.service import Call, method, pages
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.operations import Error

R = TypeVar("R", bound=Resource)
Shown = Callable[[Store, R], Json]
COLLECTIONS: list[Collection] = []
"""every collection that is served"""
_LABEL = re.compile(r"[\w-]*")
_ASYNCHRONOUS = ("network",)
"""What is refused in its operation, not at once, while something needs it (facts/gcp.tsv)."""


def where(call: Call, collection: Collection) -> str:
    """The region or zone of a call, which must exist."""
    if collection.level == "global":
        return ""
    level = collection.level.removesuffix("s")
    place = str(call[level])
    if place not in (REGIONS if level == "region" else ZONES):
        raise not_found(f"projects/{call.project}/{collection.level}/{place}")
    return place


def parent(call: Call, collection: Collection) -> str:
    """The path of the collection that a call is about."""
    return collection.parent(call.project, where(call, collection))


def find(call: Call, collection: Collection) -> Resource:
    """The resource that a call is about, by name or by number."""
    asked = str(call.get(collection.word) or call["resource"])
    above = parent(call, collection)
    found = call.store.get(collection.thing, f"{above}/{asked}")
    if found is None and asked.isdigit():
        every = call.store.all(collection.thing)
        found = next((one for one in every if one.shown.get("id") == asked), None)
    if found is None:
        raise not_found(f"{above}/{asked}")
    return found


def referred(call: Call, kind: type[R], segment: str, name: str, link: object = None) -> R:
    """The resource that a field of the body links to; it must be there and ready."""
    link = call.body.get(name) if link is None else link
    if link is None:
        raise compute("required", f"Required field 'resource.{name}' not specified")
    path = linked(link, call.project, segment, name)
    found = call.store.get(kind, path)
    if found is None:
        raise not_found(path)
    settled(found)
    return found


def make(
    store: Store, collection: Collection, project: str, place: str, body: Json, owner: str = ""
) -> Resource:
    """Add a resource, ready, without an operation: what Google makes itself. ``KeyError`` if its
    name is taken.
    """
    path = f"{collection.parent(project, place)}/{body['name']}"
    body = {
        "kind": f"compute#{collection.word}",
        "id": store.new_number(),
        "creationTimestamp": pacific(time.time()),
        **body,
        "selfLink": link_to(path),
    }
    if collection.level != "global":
        level = collection.level.removesuffix("s")
        body[level] = link_to(f"projects/{project}/{collection.level}/{place}")
    made = collection.thing(path=path, shown=body, owner=owner)
    if collection.fingerprinted:
        made.stamp()
    if collection.labelled:
        body["labelFingerprint"] = fingerprint_of(body.get("labels", {}))
    return store.add(made)


def insert(
    call: Call,
    collection: Collection,
    complete: Callable[[Call, Json], None],
    done: Callable[[Resource], None] | None = None,
) -> Change:
    """Begin to make the resource in the body. ``complete`` checks it and adds what the API adds;
    ``done`` is called when the operation ends.
    """
    place = where(call, collection)
    _check_labels(call.body.get("labels", {}), "resource.labels")
    if "name" not in call.body:
        raise compute("required", "Required field 'resource.name' not specified")
    path = f"{collection.parent(call.project, place)}/{call.body['name']}"
    if call.store.get(collection.thing, path) is not None:
        raise compute("alreadyExists", f"The resource '{path}' already exists")
    check_quota(call, collection)
    body = dict(call.body)
    complete(call, body)
    made = make(call.store, collection, call.project, place, body)

    def ready() -> Error | None:
        if done is not None:
            done(made)
        return None

    return begin(call, made, "insert", ready)


_RULES = {
    "key": "The key must start with a lowercase character, can only contain",
    "value": "The value can only contain",
}


def _check_labels(labels: Mapping[str, str], field: str) -> None:
    """Refuse what labels cannot be (vendor: "Requirements for labels"; facts/gcp.tsv)."""
    for what, text in [("key", k) for k in labels] + [("value", v) for v in labels.values()]:
        begins = what == "value" or text[:1].isalpha()
        if not begins or len(text) > 63 or text != text.lower() or not _LABEL.fullmatch(text):
            why = (
                f"Label {what} '{text}' violates format constraints. {_RULES[what]} lowercase"
                f" letters, numeric characters, underscores and dashes. The {what} can be at most"
                " 63 characters long. International characters are allowed."
            )
            raise invalid(field, "", why)


def check_quota(call: Call, collection: Collection) -> None:
    """403 if the project has as many as it may (public logs: "Quota 'NETWORKS' exceeded")."""
    if not collection.quota:
        return
    store, region = call.store, ""
    limits = store.conditions.project_quotas
    if collection.level == "regions" and collection.quota in store.conditions.region_quotas:
        limits, region = store.conditions.region_quotas, where(call, collection)
    limit = limits[collection.quota]
    have = sum(
        one.project == call.project and (not region or one.place == f"regions/{region}")
        for one in store.all(collection.thing)
    )
    if have >= limit:
        raise quota_exceeded(collection.quota, limit, region)


def quota_exceeded(metric: str, limit: float, region: str = "") -> Failure:
    """403 for a quota that is used up."""
    scope = f"in region {region}." if region else "globally."
    text = f"Quota '{metric}' exceeded.  Limit: {float(limit)} {scope}"
    return Failure(403, text, reason="quotaExceeded", domain="usageLimits")


def remove(call: Call, collection: Collection, gone: Callable[[Resource], None] | None) -> Change:
    """Begin to delete a resource; refused while another one needs it."""
    found = settled(find(call, collection))
    store = call.store
    if any(one.changing for one in store.users(found.path, Subnetwork)):
        # a network is not ready either while a subnetwork of it changes
        raise not_ready(found.path)

    def used() -> Error | None:
        users = store.users(found.path, *KINDS)
        return in_use(collection.word, found.path, users[0].path) if users else None

    refusal = used()
    if refusal is not None and collection.word not in _ASYNCHRONOUS:
        raise compute("resourceInUseByAnotherResource", refusal[1])

    def done() -> Error | None:
        why = used()
        if why is None:
            store.remove(found)
            if gone is not None:
                gone(found)
        return why

    return begin(call, found, "delete", done)


def check_fingerprint(call: Call, found: Resource, name: str = "fingerprint") -> None:
    """400 for a fingerprint that is missing, 412 for a stale one (facts/gcp.tsv)."""
    if name == "fingerprint" and name not in call.body:
        raise compute("required", f"Required field 'resource.{name}' not specified")
    if call.body.get(name) != found.shown.get(name):
        raise compute("conditionNotMet", "Invalid fingerprint.")


def patched(call: Call, found: Resource, changes: Json, *, stamp: bool = False) -> Change:
    """Begin to change fields of a resource."""

    def done() -> None:
        found.shown.update(changes)
        if stamp:
            found.stamp()

    return begin(call, settled(found), "patch", done)


def serve(
    collection: Collection,
    *,
    show: Shown[Resource] = lambda _, resource: resource.shown,
    gone: Callable[[Call, Resource], None] | None = None,
    aggregated: bool = True,
    delete: bool = True,
) -> Collection:
    """Register what every kind has; ``gone`` is called after a delete, ``show`` makes what is
    shown. Aggregated lists of a kind at several levels belong to the collection with the kind's
    own name.
    """
    name = f"compute.{collection.methods}"
    COLLECTIONS.append(collection)

    @method(f"{name}.get")
    def _get(call: Call) -> object:
        return show(call.store, find(call, collection))

    @method(f"{name}.list")
    def _list(call: Call) -> object:
        above = parent(call, collection)
        every = call.store.all(collection.thing)
        mine = [show(call.store, one) for one in every if one.path.startswith(f"{above}/")]
        return pages(call, mine, f"compute#{collection.word}List", above)

    if aggregated:

        @method(f"{name}.aggregatedList")
        def _aggregated(call: Call) -> object:
            levels = {c.level for c in COLLECTIONS if c.thing is collection.thing}
            every = call.store.all(collection.thing)
            of = (call.project, collection.segment)
            mine = [one for one in every if (one.project, one.path.split("/")[-2]) == of]
            shown_ones = [(one.place, show(call.store, one)) for one in mine]
            return grouped(call, shown_ones, collection, levels)

    if delete:

        @change(f"{name}.delete")
        def _delete(call: Call) -> Change:
            after = None if gone is None else lambda found: gone(call, found)
            return remove(call, collection, after)

    if collection.labelled:

        @change(f"{name}.setLabels")
        def _set_labels(call: Call) -> Change:
            found = settled(find(call, collection))
            check_fingerprint(call, found, "labelFingerprint")
            labels = call.body.get("labels", {})
            _check_labels(labels, "labels")
            print_ = fingerprint_of(labels)
            return patched(call, found, {"labels": labels, "labelFingerprint": print_})

    return collection


def grouped(
    call: Call, mine: list[tuple[str, Json]], collection: Collection, levels: Set[str]
) -> Json:
    """An aggregated list: items by place, and a warning for each place that has none."""
    order = {id(one): place for place, one in mine}
    kind = f"compute#{collection.word}AggregatedList"
    path = f"projects/{call.project}/aggregated/{collection.segment}"
    found = pages(call, [one for _, one in mine], kind, path)
    if call.get("includeAllScopes") is True:
        levels = {"global", "regions", "zones"}
    places = ["global"] if "global" in levels else []
    places += [f"regions/{region}" for region in REGIONS] if "regions" in levels else []
    places += [f"zones/{zone}" for zone in ZONES] if "zones" in levels else []
    items: Json = {place: {"warning": _nothing(place)} for place in places}
    for one in found.pop("items", []):
        group = items.setdefault(order[id(one)], {})
        group.pop("warning", None)
        group.setdefault(collection.segment, []).append(one)
    return {**found, "items": items}


def _nothing(place: str) -> Json:
    return {
        "code": "NO_RESULTS_ON_PAGE",
        "message": f"There are no results for scope '{place}' on this page.",
        "data": [{"key": "scope", "value": place}],
    }

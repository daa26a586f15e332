"""What Resource Manager does alike for every type of resource: put, get, list, tag, delete.

A ``Kind`` says what is special about a type. Names of operations and paths are the description's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.catalogue import REGIONS, region_name
from clusterkit_sandbox.azure.failure import Failure, Json, refusal
from clusterkit_sandbox.azure.resources import Group, Resource
from clusterkit_sandbox.azure.running import FAILED
from clusterkit_sandbox.azure.service import Call, Reply
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit.operations import Error

_RESERVED = re.compile(r"[<>%&\\?/\x00-\x1f]")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of resource."""

    name: str
    """``Microsoft.Network/natGateways``"""
    record: type[Resource]
    prepare: Callable[[Call, Resource, Resource | None], None] = lambda *_: None
    """complete and check a new state, knowing the old one; raises ``Failure``"""
    arrived: Callable[[Call, Resource], Error | None] = lambda *_: None
    """what happens when it is made or changed, or why it cannot be"""
    shown: Callable[[Store, Resource], Json] = lambda _, one: one.shown
    """what the API shows, with what follows from other resources"""
    keep: Callable[[Call, Resource], None] = lambda *_: None
    """refuse to delete it; raises ``Failure``"""
    removed: Callable[[Store, Resource], None] = lambda *_: None
    """what goes along with it"""
    tagged: Callable[[Call, Resource], None] = lambda *_: None
    """check and apply a PATCH besides its tags; raises ``Failure``"""
    names: str = ""
    """a regular expression of names that are allowed"""
    why: str = "The resource name is invalid."
    code: str = "InvalidResourceName"
    create: str = ""
    """the recorded duration; empty for what is there at once"""
    update: str = ""
    delete: str = ""
    etags: bool = False
    """whether it shows an etag, and minds conditional requests"""
    lock: Callable[[Resource], str] = lambda one: one.id
    """what is changed by one operation at a time"""
    located: bool = True
    """whether it has a location of its own"""
    worldwide: bool = False
    """whether that is ``global``"""


KINDS: dict[str, Kind] = {}
"""Every type, by its name in lower case."""


def register(kind: Kind) -> Kind:
    """Serve a type."""
    KINDS[kind.name.lower()] = kind
    return kind


def kind_of(one: Resource) -> Kind:
    """The kind of a resource."""
    return next(kind for kind in KINDS.values() if kind.record is type(one))


def generic(method: str, template: str) -> Callable[[Call], object] | None:
    """What serves an operation with this method and path, if it is one that all types have."""
    kind = KINDS.get(ids.parse(template).type)
    if kind is None or ids.parse(template).place.rpartition("/")[0].count("default"):
        return None
    item = template.endswith("}")
    verbs: Mapping[tuple[str, bool], Callable[[Call, Kind], object]] = {
        ("GET", True): get, ("GET", False): listed, ("PUT", True): put, ("PATCH", True): patch,
        ("DELETE", True): delete,
    }  # fmt: skip
    serve = verbs.get((method, item))
    return None if serve is None else lambda call: serve(call, kind)


def view(store: Store, one: Resource) -> Json:
    """What the API shows of a resource."""
    return kind_of(one).shown(store, one)


def get(call: Call, kind: Kind) -> object:
    """GET of one resource."""
    _ = call.group
    found = call.require(kind.record)
    headers = {"ETag": f'"{found.etag}"'} if kind.etags else {}
    return Reply(200, kind.shown(call.store, found), headers)


def listed(call: Call, kind: Kind) -> object:
    """GET of the resources of a type, in a subscription, a group or another resource."""
    place = f"/subscriptions/{call.subscription}"
    if call.get("resourceGroupName"):
        place = call.group.id
    above = ids.parse(call.path)
    if len(above.names) == len(above.types) - 1 and above.names:
        place = call.path.rpartition("/")[0]
        if call.store.any(place) is None:
            require_parent(call, call.path + "/x")
    found = call.store.under(kind.record, place)
    return call.page([kind.shown(call.store, one) for one in found])


def put(call: Call, kind: Kind) -> object:
    """PUT of a resource: make it, or replace it."""
    store, group = call.store, call.group
    old = store.find(kind.record, call.path)
    if group.state == "Deleting":
        raise deprovisioning(group)
    require_parent(call, call.path)
    new = kind.record(shown=envelope(call, kind, group, old))
    if kind.names and not re.fullmatch(kind.names, new.name):
        raise Failure(kind.code, kind.why.replace("NAME", new.name))
    precondition(call, kind, old)
    check_tags(new.tags)
    if kind.etags:
        new.shown["etag"] = ""
    what = kind.create if old is None else kind.update
    if what:
        busy(call, kind, new if old is None else old)
    kind.prepare(call, new, old)
    one = replace(store, old, new)
    status = 201 if old is None else 200
    if not what:
        kind.arrived(call, one)
        return Reply(status, kind.shown(store, one))
    headers = begin(call, kind, one, what, "Creating" if old is None else "Updating")
    return Reply(status, kind.shown(store, one), headers)


def replace(store: Store, old: Resource | None, new: Resource) -> Resource:
    """Keep the new resource, or the old one with the new state."""
    if old is None:
        return store.put(new)
    old.shown = new.shown
    return store.put(old)


def begin(
    call: Call, kind: Kind, one: Resource, what: str, state: str, *, location: bool = False
) -> dict[str, str]:
    """Begin the operation that makes or changes a resource; returns its headers."""
    one.properties["provisioningState"] = state
    terminal = call.terminal()

    def done() -> Error | None:
        if call.store.get(kind.record, one.id) is not one:
            return ("Canceled", "The operation was canceled by a later operation.")
        error = FAILED if terminal else kind.arrived(call, one)
        one.properties["provisioningState"] = "Succeeded" if error is None else "Failed"
        call.store.put(one)
        return error

    operation = call.start(
        state, one, what, done, parent=kind.lock(one), ended=lambda: kind.shown(call.store, one)
    )
    return call.running(operation, location=location)


def patch(call: Call, kind: Kind) -> object:
    """PATCH of a resource: its tags, and what its kind lets change."""
    _ = call.group
    found = call.require(kind.record)
    precondition(call, kind, found)
    if kind.update:
        busy(call, kind, found)
    if "tags" in call.body:
        check_tags(call.body["tags"])
    kind.tagged(call, found)
    if "tags" in call.body:
        found.shown["tags"] = dict(call.body["tags"])
    call.store.put(found)
    return kind.shown(call.store, found)


def delete(call: Call, kind: Kind) -> object:
    """DELETE of a resource; 204 for one that is not there."""
    store = call.store
    _ = call.group
    found = store.find(kind.record, call.path)
    if found is None:
        return Reply(204)
    precondition(call, kind, found)
    if kind.delete:
        busy(call, kind, found)
    kind.keep(call, found)
    if not kind.delete:
        remove(store, found)
        return Reply(200)
    found.properties["provisioningState"] = "Deleting"

    def done() -> None:
        remove(store, found)

    operation = call.start("Deleting", found, kind.delete, done, parent=kind.lock(found))
    return Reply(202, None, call.running(operation, location=True))


def remove(store: Store, one: Resource) -> None:
    """Remove a resource with what is in it and on it."""
    kind_of(one).removed(store, one)
    for inner in [*store.contents(one.id), *store.extensions(one.id)]:
        store.remove(inner)
    store.remove(one)
    store.linger(one)


# -- checks ----------------------------------------------------------------------------------------


def deprovisioning(group: Group) -> Failure:
    """Refusal of anything new in a group that is being deleted."""
    return refusal("ResourceGroupBeingDeleted", name=group.name)


def busy(call: Call, kind: Kind, one: Resource) -> None:
    """Refuse a change while another one is in progress (facts/azure.tsv; words of the network
    provider: Azure/terraform-provider-azapi#503).
    """
    operation = call.store.operations.busy(kind.lock(one))
    if operation is None:
        return
    url = operation.urls(call.version).get("Azure-AsyncOperation", "")
    raise refusal("AnotherOperationInProgress", url=url)


def precondition(call: Call, kind: Kind, old: Resource | None) -> None:
    """Refuse a conditional request whose condition is not met, where the type minds."""
    if kind.etags:
        conditional(call, old)


def conditional(call: Call, old: Resource | None) -> None:
    """Refuse a conditional request whose condition is not met."""
    wanted, unwanted = (call.headers.get(name) for name in ("if-match", "if-none-match"))
    current = None if old is None else old.etag
    met = True
    if wanted is not None:
        met = old is not None if wanted == "*" else _bare(wanted) == current
    if unwanted is not None:
        met = met and (old is None if unwanted == "*" else _bare(unwanted) != current)
    if met:
        return
    given = wanted or unwanted
    if call.asked.service == "network":
        raise refusal("PreconditionFailed#network", etag=given, current=current, path=call.path)
    raise refusal("PreconditionFailed", etag=given, current=current)


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse names of tags with reserved characters (Resource Manager, "Tag limitations")."""
    bad = [name for name in tags if _RESERVED.search(name)]
    if bad:
        raise refusal("InvalidTagNameCharacters", tags=", ".join(bad))


def check_location(given: str, of: str) -> str:
    """The region that a location means; ``Failure`` for none."""
    if not given:
        raise refusal("LocationRequired")
    found = region_name(given)
    if found not in REGIONS:
        raise Failure(
            f"LocationNotAvailableFor{of}",
            f"The provided location '{given}' is not available for"
            f" {'resource group' if of == 'ResourceGroup' else 'resource type'}. List of available"
            f" regions is '{','.join(REGIONS)}'.",
        )
    return found


def require_parent(call: Call, path: str) -> None:
    above = ids.parse(path)
    if len(above.names) > 1:
        place = path.rstrip("/").rpartition("/")[0].rpartition("/")[0]
        if call.store.any(place) is None:
            raise refusal("ParentResourceNotFound", kind="/".join(above.types), place=place)


def envelope(call: Call, kind: Kind, group: Group, old: Resource | None) -> Json:
    """The body with what Resource Manager adds, the id in the case in which it was first sent."""
    asked = ids.parse(call.path)
    place = f"{group.shown['id']}/providers/{kind.name.partition('/')[0]}"
    for word, name in zip(kind.name.split("/")[1:], asked.names, strict=True):
        place += f"/{word}/{name}"
    body = dict(call.body)
    shown: Json = {
        "id": old.shown["id"] if old is not None else place,
        "name": old.name if old is not None else asked.name,
        "type": kind.name,
    }
    if kind.located:
        given = str(body.get("location", ""))
        if not kind.worldwide or given != "global":
            given = check_location(given, "ResourceType")
        shown["location"] = given
        shown["tags"] = {}
        if old is not None and old.location != shown["location"]:
            raise refusal(
                "InvalidResourceLocation",
                name=old.name,
                location=old.location,
                group=group.name,
                asked=shown["location"],
            )
    known = {"id", "name", "type", "location", "properties"}
    shown |= {k: v for k, v in body.items() if k not in known}
    shown["properties"] = dict(body.get("properties") or {})
    return shown

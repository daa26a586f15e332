"""Resource groups, what is in them, and tags at any scope.

A group goes with everything in it, or, if something refuses, stays with the rest
(ResourceGroupDeletionBlocked: Azure/AKS#2443). The filters of lists are those of the page of
"Resources - List": ``tagName``, ``tagValue``, ``resourceType``, ``resourceGroup``, ``name``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.arm import check_location, check_tags, kind_of, view
from clusterkit_sandbox.azure.failure import Json, no_group, refusal
from clusterkit_sandbox.azure.resources import Group, Resource
from clusterkit_sandbox.azure.service import Call, Reply, operation
from clusterkit_sandbox.azure.store import Store

_NAME = re.compile(r"[-\w._()]{0,89}[-\w_()]")
_TERM = re.compile(r"(\w+) eq '([^']*)'")
_KEPT = ("id", "name", "type", "location", "tags", "sku", "identity", "kind", "zones")


def new_group(store: Store, subscription: str, name: str, location: str, **more: object) -> Group:
    """Make a group."""
    shown = {
        "id": ids.group_id(subscription, name),
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
        "properties": {"provisioningState": "Succeeded"},
        **more,
    }
    return store.put(Group(shown))


@operation("resources:ResourceGroups_CreateOrUpdate")
def _put(call: Call) -> object:
    name = str(call["resourceGroupName"])
    if not _NAME.fullmatch(name):
        raise refusal("InvalidResourceGroup", name=name)
    location = check_location(str(call.body.get("location", "")), "ResourceGroup")
    tags = dict(call.body.get("tags") or {})
    check_tags(tags)
    old = call.store.find(Group, call.path)
    if old is None:
        more = {"managedBy": call.body["managedBy"]} if call.body.get("managedBy") else {}
        made = new_group(call.store, call.subscription, name, location, tags=tags, **more)
        return Reply(201, made.shown)
    if old.state == "Deleting":
        raise refusal("ResourceGroupBeingDeleted", name=old.name)
    if old.location != location:
        raise refusal("InvalidResourceGroupLocation", location=location, there=old.location)
    old.shown["tags"] = tags
    return old.shown


@operation("resources:ResourceGroups_Update")
def _patch(call: Call) -> object:
    group = call.group
    if "tags" in call.body:
        check_tags(call.body["tags"])
        group.shown["tags"] = dict(call.body["tags"])
    return group.shown


@operation("resources:ResourceGroups_Get")
def _get(call: Call) -> object:
    return call.group.shown


@operation("resources:ResourceGroups_CheckExistence")
def _exists(call: Call) -> object:
    found = call.store.find(Group, call.path)
    return Reply(404 if found is None else 204)


@operation("resources:ResourceGroups_List")
def _list(call: Call) -> object:
    matches = _filter(call)
    groups = call.store.under(Group, f"/subscriptions/{call.subscription}")
    return call.page([one.shown for one in groups if matches(one)])


@operation("resources:ResourceGroups_Delete")
def _delete(call: Call) -> object:
    group = call.group
    running = call.store.operations.busy(group.id)
    if group.state == "Deleting" and running is not None:
        return Reply(202, None, call.running(running, location=True))
    return Reply(202, None, call.running(call.clusters.delete_group(call, group), location=True))


def empty(store: Store, group: Group) -> None:
    """Remove a group with everything in it."""
    for one in list(store.contents(group.id)):
        if store.any(one.id) is one:
            kind_of(one).removed(store, one)
            store.remove(one)
    for one in list(store.extensions(group.id)):
        store.remove(one)
    store.remove(group)


# -- resources of all types ------------------------------------------------------------------------


@operation("resources:Resources_List", "resources:Resources_ListByResourceGroup")
def _resources(call: Call) -> object:
    place = f"/subscriptions/{call.subscription}"
    if call.get("resourceGroupName"):
        place = call.group.id
    matches = _filter(call)
    found = []
    for one in call.store.listed(place):
        # children of a resource are not listed
        if len(one.parsed.names) == 1 and matches(one):
            shown = view(call.store, one)
            found.append({name: shown[name] for name in _KEPT if shown.get(name) is not None})
    return call.page(found)


def _filter(call: Call) -> Callable[[Resource], bool]:
    terms = {name.lower(): value for name, value in _TERM.findall(str(call.get("$filter", "")))}

    def matches(one: Resource) -> bool:
        tag = {name.lower(): value for name, value in one.tags.items()}
        name = terms.get("tagname", "").lower()
        if name and (name not in tag or terms.get("tagvalue", tag[name]) != tag[name]):
            return False
        facts = {
            "resourcetype": one.shown["type"].lower(),
            "resourcegroup": one.parsed.group.lower(),
            "name": one.name.lower(),
            "location": one.location,
        }
        return all(terms[k].lower() == v for k, v in facts.items() if k in terms)

    return matches


# -- tags ------------------------------------------------------------------------------------------


def _at_scope(call: Call) -> Resource:
    scope = f"/{call['scope']}"
    found = call.store.any(scope)
    if found is None:
        place = ids.parse(scope)
        if not place.names:
            raise no_group(place.group)
        return call.require(Resource, scope)
    return found


def _tags(one: Resource) -> Json:
    return {
        "id": f"{one.shown['id']}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": dict(one.tags)},
    }


def _tag(one: Resource, tags: Mapping[str, str]) -> Json:
    check_tags(tags)
    one.shown["tags"] = dict(tags)
    return _tags(one)


@operation("resources:Tags_GetAtScope")
def _get_tags(call: Call) -> object:
    return _tags(_at_scope(call))


@operation("resources:Tags_CreateOrUpdateAtScope")
def _put_tags(call: Call) -> object:
    return _tag(_at_scope(call), call.body["properties"].get("tags") or {})


@operation("resources:Tags_UpdateAtScope")
def _patch_tags(call: Call) -> object:
    one = _at_scope(call)
    sent = (call.body.get("properties") or {}).get("tags") or {}
    match call.body.get("operation"):
        case "Replace":
            return _tag(one, sent)
        case "Delete":
            left = {k: v for k, v in one.tags.items() if sent.get(k, None) not in (v, "")}
            return _tag(one, left)
        case _:
            return _tag(one, {**one.tags, **sent})


@operation("resources:Tags_DeleteAtScope")
def _delete_tags(call: Call) -> object:
    _tag(_at_scope(call), {})
    return Reply(200)

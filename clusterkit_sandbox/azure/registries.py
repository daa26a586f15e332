"""Container registries, their cache rules, and the names that are free.

Names are unique in the world: five to fifty letters and digits (the reference). ``AlreadyInUse``:
facts/azure.tsv. A registry's login server may have a hash in it ("Domain name label scope").
"""

from __future__ import annotations

import re

from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.failure import Json, refusal
from clusterkit_sandbox.azure.resources import CacheRule, CredentialSet, Registry, Resource
from clusterkit_sandbox.azure.running import rfc3339
from clusterkit_sandbox.azure.service import Call, operation
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.azure.tables import table

_NAME = re.compile(r"[a-zA-Z0-9]{5,50}")
_TYPE = "Microsoft.ContainerRegistry/registries"
ABAC = "AbacRepositoryPermissions"


def _taken(store: Store, name: str) -> bool:
    lower = name.lower()
    mine = any(one.name.lower() == lower for one in store.all(Registry))
    return mine or lower in store.conditions.taken


def _why_not(store: Store, name: str) -> tuple[str, str] | None:
    if not _NAME.fullmatch(name):
        return "Invalid", (
            f"The specified resource name {name} is invalid: it must have 5 to 50 letters and"
            " digits."
        )
    if _taken(store, name):
        return "AlreadyExists", f"The registry {name} is already in use."
    return None


@operation("containerregistry:Registries_CheckNameAvailability")
def _check(call: Call) -> object:
    why = _why_not(call.store, str(call.body["name"]))
    found: Json = {"nameAvailable": why is None}
    if why is not None:
        found["reason"], found["message"] = why
    return found


def _prepare(call: Call, new: Resource, old: Resource | None) -> None:
    if not _NAME.fullmatch(new.name):
        raise refusal("InvalidParameter#registry", name=new.name)
    if old is None and _taken(call.store, new.name):
        raise refusal("AlreadyInUse", lower=new.name.lower())
    before = {} if old is None else old.properties
    sku = new.shown.get("sku") or {}
    new.shown["sku"] = {**sku, "tier": sku.get("name", "Basic")}
    properties = new.properties
    usual = table("defaults")
    for name, value in usual["registry"].items():
        if properties.get(name) is None:
            properties[name] = before.get(name, value)
    label = f"-{call.store.new_hex(8)}" if call.store.conditions.labelled else ""
    host = f"{new.name.lower()}{label}.azurecr.io"
    properties["loginServer"] = before.get("loginServer", host)
    properties["creationDate"] = before.get("creationDate", rfc3339())
    kept = {**usual["registry_policies"], **(before.get("policies") or {})}
    properties["policies"] = {**kept, **(properties.get("policies") or {})}


def _tagged(call: Call, one: Resource) -> None:
    given = dict(call.body.get("properties") or {})
    kept = {**one.properties["policies"], **(given.pop("policies", None) or {})}
    one.properties.update(given, policies=kept)
    if call.body.get("sku"):
        one.shown["sku"] = {**call.body["sku"], "tier": call.body["sku"]["name"]}


def _removed(store: Store, one: Resource) -> None:
    store.content.forget(f"acr{one.id}/")


register(
    Kind(
        name=_TYPE,
        record=Registry,
        prepare=_prepare,
        removed=_removed,
        tagged=_tagged,
        create="registry/create",
        update="registry/update",
        delete="registry/delete",
    )
)


def _stamped(_: Call, new: Resource, old: Resource | None) -> None:
    before = {} if old is None else old.properties
    new.properties["creationDate"] = before.get("creationDate", rfc3339())


def _changed(call: Call, one: Resource) -> None:
    one.properties.update(call.body.get("properties") or {})


for _name, _record in (("cacheRules", CacheRule), ("credentialSets", CredentialSet)):
    register(
        Kind(
            name=f"{_TYPE}/{_name}",
            record=_record,
            prepare=_stamped,
            tagged=_changed,
            create="registry/update",
            update="registry/update",
            delete="registry/update",
            located=False,
        )
    )


@operation("containerregistry:Registries_ListUsages")
def _usages(call: Call) -> object:
    one = call.require(Registry, call.path.rpartition("/")[0])
    gib = {"Basic": 10, "Standard": 100, "Premium": 500}[one.shown["sku"]["name"]]
    used = call.store.content.used(f"acr{one.id}/")
    return {"value": [{"name": "Size", "limit": gib << 30, "currentValue": used, "unit": "Bytes"}]}


@operation("containerregistry:Registries_ListCredentials")
def _credentials(call: Call) -> object:
    one = call.require(Registry, call.path.rpartition("/")[0])
    if not one.properties["adminUserEnabled"]:
        raise refusal("UnAuthorizedForCredentialOperations", name=one.name)
    names = ("password", "password2")
    words = [
        {"name": name, "value": value}
        for name, value in zip(names, one.secrets(call.store.new_hex), strict=True)
    ]
    return {"username": one.name, "passwords": words}

"""User-assigned managed identities, and the federated credentials by which others act as them.

Credentials of one identity are written one at a time
(ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity, facts/azure.tsv); all three
members are needed (zioproto/istio-aks-example#6, recorded).
"""

from __future__ import annotations

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.account import TENANT, Caller
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.failure import Json, refusal
from clusterkit_sandbox.azure.resources import FederatedCredential, Group, Identity, Resource
from clusterkit_sandbox.azure.service import Call
from clusterkit_sandbox.azure.store import Store


def new_identity(store: Store, group: Group, name: str, location: str) -> Identity:
    """Make an identity."""
    place = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    shown = {
        "id": f"{group.shown['id']}/{place}/{name}",
        "name": name,
        "type": _IDENTITY.name,
        "location": location,
        "tags": {},
        "properties": {},
    }
    one = Identity(shown)
    _born(store, one)
    return store.put(one)


def _born(store: Store, one: Identity) -> None:
    principal, client = store.new_uuid(), store.new_uuid()
    one.properties.update(tenantId=TENANT, principalId=principal, clientId=client)
    store.tokens.add(Caller(principal, client, one.name))
    store.born[principal] = store.clock.due("azure/identity/replication")


def _prepare(call: Call, new: Resource, old: Resource | None) -> None:
    assert isinstance(new, Identity)
    if old is None:
        _born(call.store, new)
    else:
        known = ("tenantId", "principalId", "clientId")
        new.properties.update({name: old.properties[name] for name in known})


def _removed(store: Store, one: Resource) -> None:
    store.tokens.remove(one.properties["principalId"])


def _writing(call: Call, one: Resource) -> None:
    identity = ids.parent(one.id)
    if call.store.writing.get(identity, 0.0) > call.store.clock.now:
        raise refusal(
            "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
            identity=identity,
        )
    call.store.writing[identity] = call.store.clock.due("azure/federated-credential/write")


def _prepare_credential(call: Call, new: Resource, old: Resource | None) -> None:
    _writing(call, new)
    wanted = new.properties
    if not all(wanted.get(name) for name in ("issuer", "subject", "audiences")):
        raise refusal("BadRequest#incomplete-credential")
    for one in call.store.under(FederatedCredential, ids.parent(new.id)):
        pair = (one.properties["issuer"], one.properties["subject"])
        if one is not old and pair == (wanted["issuer"], wanted["subject"]):
            raise refusal("BadRequest#same-credential")


def _show(_: Store, one: Resource) -> Json:
    return {**one.shown, "id": ids.small(one.shown["id"])}


_IDENTITY = register(
    Kind(
        name="Microsoft.ManagedIdentity/userAssignedIdentities",
        record=Identity,
        prepare=_prepare,
        shown=_show,
        removed=_removed,
        names=r"[a-zA-Z0-9][a-zA-Z0-9\-_]{2,127}",
        code="InvalidParameter",
        why="The identity name 'NAME' is invalid: 3 to 128 letters, digits, '-' and '_'.",
    )
)
register(
    Kind(
        name=f"{_IDENTITY.name}/federatedIdentityCredentials",
        record=FederatedCredential,
        prepare=_prepare_credential,
        keep=_writing,
        located=False,
    )
)

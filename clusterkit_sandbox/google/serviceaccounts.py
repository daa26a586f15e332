"""IAM v1: service accounts, their keys and policies.

Recorded of the real service (Config Connector's traffic): the form of an account, ``Unknown service
account``, ``Service account … already exists``. A young one is not found, or reading it is denied
(hashicorp/terraform-provider-google, error_retry_predicates.go:671). Figures: "IAM quotas".
"""

from __future__ import annotations

import base64
import json
import re

from clusterkit_sandbox.google import access, account
from clusterkit_sandbox.google.accounts import VISIBLE, Identities, ServiceAccount
from clusterkit_sandbox.google.failure import Failure, Json, rpc
from clusterkit_sandbox.google.service import Call, method, rfc3339
from clusterkit_sandbox.google.tokens import Caller
from clusterkit_sandbox.kit.quotas import quota

MOST = 100
"""accounts of a project"""
_KEYS = 10
"""keys of an account that users manage"""
_LONGEST = {"displayName": 100, "description": 256}
"""in bytes (the API's ``ServiceAccount``)"""
_ID = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")
_FOR = 30 * 24 * 3600
"""seconds for which a deleted account may be restored (vendor: "Delete and undelete")"""
_FAR = "9999-12-31T23:59:59Z"
"""when keys end"""


def find(call: Call, name: str) -> ServiceAccount:
    """The account with this resource name. One of no project that is asked for, ``projects/-``, is
    denied where it is missing (the API's ``serviceAccounts.get``).
    """
    _, project, _, given = name.split("/")[:4]
    identities = Identities(call.store)
    if project == "-":
        found = identities.named(given)
        found = found or next((s for s in call.store.all(ServiceAccount) if s.uid == given), None)
        if found is None or found.deleted is not None:
            raise _denied()
    else:
        wanted = account.project_id(project) or project
        found = identities.find(wanted, given)
    if found is None:
        raise rpc("NOT_FOUND", "Unknown service account")
    return found


def _denied() -> Failure:
    text = "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist)."
    return rpc("PERMISSION_DENIED", text)


def _seen(call: Call, name: str) -> ServiceAccount:
    """The same, where it must be known already: at first it is missing, then it is denied."""
    found = find(call, name)
    left = found.known - call.store.clock.now
    if left > call.store.clock.pace.seconds(VISIBLE) / 2:
        raise rpc("NOT_FOUND", "Unknown service account")
    if left > 0:
        raise _denied()
    return found


def shown(one: ServiceAccount) -> Json:
    """As the API shows it."""
    found = {
        "name": one.name,
        "projectId": one.scope,
        "uniqueId": one.uid,
        "email": one.email,
        "displayName": one.display,
        "description": one.description,
        "etag": "MDEwMjE5MjA=",
        "oauth2ClientId": one.client,
        "disabled": one.disabled,
    }
    return {key: value for key, value in found.items() if value}


@method("iam.projects.serviceAccounts.create")
def _create(call: Call) -> object:
    identifier = str(call.body.get("accountId") or "")
    given = call.body.get("serviceAccount") or {}
    if not 6 <= len(identifier) <= 30:
        text = f'The account ID "{identifier}" does not have a length between 6 and 30.'
        raise rpc("INVALID_ARGUMENT", text)
    if not _ID.fullmatch(identifier):
        raise rpc("INVALID_ARGUMENT", f"Invalid service account ID: {identifier}.")
    _check(given)
    project = call.project
    email = f"{identifier}@{project}.iam.gserviceaccount.com"
    identities = Identities(call.store)
    if identities.find(project, email) is not None:
        text = f"Service account {identifier} already exists within project projects/{project}."
        raise rpc("ALREADY_EXISTS", text)
    if len(list(identities.all(project))) >= quota(MOST):
        raise rpc("RESOURCE_EXHAUSTED", "Maximum number of service accounts on project reached.")
    made = ServiceAccount(
        email=email,
        scope=project,
        display=given.get("displayName", ""),
        description=given.get("description", ""),
        known=call.store.clock.due(VISIBLE),
    )
    return shown(call.store.add(made))


def _check(given: Json) -> None:
    for name, most in _LONGEST.items():
        if len(str(given.get(name) or "").encode()) > most:
            raise rpc("INVALID_ARGUMENT", f"The {name} is longer than {most} bytes.")


@method("iam.projects.serviceAccounts.get")
def _get(call: Call) -> object:
    return shown(_seen(call, call["name"]))


@method("iam.projects.serviceAccounts.list")
def _list(call: Call) -> object:
    identities = Identities(call.store)
    found = [one for one in identities.all(call.project) if identities.known(one)]
    some, after = call.page(found, default=20, most=100)
    listed = {"accounts": [shown(one) for one in some]} if some else {}
    return listed | ({"nextPageToken": after} if after else {})


@method("iam.projects.serviceAccounts.patch")
def _patch(call: Call) -> object:
    found, given = _seen(call, call["name"]), call.body.get("serviceAccount") or {}
    mask = re.split("[,.]", str(call.body.get("updateMask") or ""))
    _change(found, {k: v for k, v in given.items() if k in mask or _snake(k) in mask})
    return shown(found)


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _change(one: ServiceAccount, given: Json) -> None:
    _check(given)
    one.display = given.get("displayName", one.display)
    one.description = given.get("description", one.description)


@method("iam.projects.serviceAccounts.disable", "iam.projects.serviceAccounts.enable")
def _switch(call: Call) -> object:
    find(call, call["name"]).disabled = call.operation.endswith("disable")
    return {}


@method("iam.projects.serviceAccounts.delete")
def _delete(call: Call) -> object:
    found = find(call, call["name"])
    found.deleted = call.store.clock.now
    call.store.tokens.remove(found.email)
    return {}


@method("iam.projects.serviceAccounts.undelete")
def _undelete(call: Call) -> object:
    """Only by its unique id, and while no other has its name (vendor: "Delete and undelete")."""
    given, now = call["name"].rpartition("/")[2], call.store.clock.now
    gone = (s for s in call.store.all(ServiceAccount) if s.deleted is not None)
    found = next((s for s in gone if s.uid == given and now - (s.deleted or 0) < _FOR), None)
    if found is None:
        raise _denied()
    if Identities(call.store).named(found.email) is not None:
        # the code is not documented
        raise rpc("FAILED_PRECONDITION", f"Service account {found.email} exists.")
    found.deleted = None
    return {"restoredAccount": shown(found)}


@method("iam.projects.serviceAccounts.keys.create")
def _create_key(call: Call) -> object:
    found = _seen(call, call["name"])
    if sum(one["keyType"] == "USER_MANAGED" for one in found.keys.values()) >= _KEYS:
        raise rpc("FAILED_PRECONDITION", "Precondition check failed.")
    file = call.store.tokens.add_key(Caller(found.email, found.uid), found.scope)
    key = {
        "name": f"{found.name}/keys/{file['private_key_id']}",
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "keyOrigin": "GOOGLE_PROVIDED",
        "keyType": "USER_MANAGED",
        "validAfterTime": rfc3339(),
        "validBeforeTime": _FAR,
    }
    found.keys[file["private_key_id"]] = key
    data = base64.b64encode(json.dumps(file, indent=2).encode()).decode()
    kind = "TYPE_GOOGLE_CREDENTIALS_FILE"
    return key | {"privateKeyType": kind, "privateKeyData": data}


@method("iam.projects.serviceAccounts.keys.list")
def _list_keys(call: Call) -> object:
    wanted = call.get("keyTypes") or ["USER_MANAGED", "SYSTEM_MANAGED"]
    keys = [k for k in _seen(call, call["name"]).keys.values() if k["keyType"] in wanted]
    return {"keys": keys} if keys else {}


@method("iam.projects.serviceAccounts.keys.delete")
def _delete_key(call: Call) -> object:
    name, _, identifier = str(call["name"]).rpartition("/keys/")
    found = _seen(call, name)
    if found.keys.pop(identifier, None) is None:
        raise rpc("NOT_FOUND", f"Service account key {identifier} does not exist.")
    call.store.tokens.remove(found.email, identifier)
    return {}


access.serve("iam.projects.serviceAccounts", lambda call: _seen(call, call["resource"]).policy)

"""Microsoft Graph 1.0, as far as az looks up who a role is for: service principals and groups."""

from __future__ import annotations

import re
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure.account import GROUP, Caller
from clusterkit_sandbox.azure.failure import json_answer
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit.wire import Request, parsed

READ = "graph:Read"
_EQUALS = re.compile(
    r"(appId|id|displayName) eq '([^']*)'|servicePrincipalNames/any\(.* eq '(.*)'\)"
)


def answer(store: Store, request: Request) -> Answer:
    """Answer one request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    caller = store.tokens.caller(token) if scheme.lower() == "bearer" else None
    if caller is None:
        error = {"code": "InvalidAuthenticationToken", "message": "Access token is empty."}
        return json_answer(401, {"error": error})
    everybody = [_shown(one) for one in store.tokens.principals()]
    path = request.path.removeprefix("/v1.0").strip("/")
    if path == "servicePrincipals":
        asked = _EQUALS.search(dict(request.query).get("$filter", ""))
        found = everybody
        if asked is not None:
            name, value = (asked[1], asked[2]) if asked[1] else ("appId", asked[3])
            found = [one for one in everybody if one[name].lower() == value.lower()]
        return json_answer(200, {"value": found})
    if path == "directoryObjects/getByIds":
        wanted = _wanted(request.body)
        group = {"@odata.type": "#microsoft.graph.group", "id": GROUP, "displayName": "operators"}
        found = [one for one in (*everybody, group) if one["id"] in wanted]
        return json_answer(200, {"value": found})
    kind, _, identifier = path.partition("/")
    for one in everybody if kind in ("servicePrincipals", "directoryObjects") else []:
        if one["id"] == identifier:
            return json_answer(200, one)
    error = {
        "code": "Request_ResourceNotFound",
        "message": f"Resource '{identifier}' does not exist.",
    }
    return json_answer(404, {"error": error})


def _wanted(body: bytes) -> list[Any]:
    try:
        asked = parsed(body or b"{}")
    except ValueError:
        return []
    found = asked.get("ids") if isinstance(asked, dict) else None
    return found if isinstance(found, list) else []


def _shown(caller: Caller) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.servicePrincipal",
        "id": caller.object_id,
        "appId": caller.client_id,
        "displayName": caller.name,
        "servicePrincipalNames": [caller.client_id],
        "servicePrincipalType": "Application",
    }

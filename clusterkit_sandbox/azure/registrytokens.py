"""The tokens of registries, and what their bearers may do.

Azure/acr, docs/AAD-OAuth.md: ``/oauth2/exchange`` gives a refresh token for a token of Entra ID,
``/oauth2/token`` an access token of 75 minutes for the scopes that roles allow. Basic credentials
(docs/Token-BasicAuth.md) are those of the administrator, of a service principal, or a refresh token
under the user that is nobody. A registry in the mode of repository permissions does not mind
AcrPull and AcrPush (Azure/AKS, website/blog, 2026-01-23), and its role assignments may name
repositories in a condition (docs/blog/abac-repo-permissions.md).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.authorization import may
from clusterkit_sandbox.azure.failure import json_answer
from clusterkit_sandbox.azure.registries import ABAC
from clusterkit_sandbox.azure.resources import Registry, RoleAssignment
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.bearer import Scope, basic, narrowed, scopes
from clusterkit_sandbox.registry.service import VERSION, Refusal

_REFRESH, _ACCESS = 3 * 3600, 4500
"""Seconds that tokens live."""
_TYPE = "Microsoft.ContainerRegistry/registries"
_ACTIONS = {
    "pull": ("pull/read", "repositories/content/read"),
    "push": ("push/write", "repositories/content/write"),
    "delete": ("artifacts/delete", "repositories/content/delete"),
    "metadata_read": ("pull/read", "repositories/metadata/read"),
    "metadata_write": ("push/write", "repositories/metadata/write"),
    "*": ("artifacts/delete", "repositories/content/delete"),
}
"""Action of a scope to the action that it needs, and to the data action in the other mode."""
_CATALOG = ("pull/read", "catalog/read")
_AUDIENCES = ("containerregistry.azure.net", "management.azure.com", "management.core.windows.net")
_NOBODY = "00000000-0000-0000-0000-000000000000"
_NAMED = re.compile(
    r"repositories:name\]\s+String(?P<how>Equals|StartsWith)(?:IgnoreCase)?\s+'(?P<name>[^']*)'"
)
ADMINISTRATOR = Caller("", "", "administrator", owner=True)
ANYBODY = Caller("", "", "anybody")


def required(headers: Mapping[str, str] | None = None, **more: Any) -> Refusal:
    """401, in the registry's words."""
    text = "authentication required, visit https://aka.ms/acr/authorization for more information."
    return Refusal(401, "UNAUTHORIZED", text, headers=headers, **more)


def exchange(store: Store, registry: Registry, form: Mapping[str, str]) -> Answer:
    """A refresh token for a token of Entra ID."""
    if form.get("grant_type") not in ("access_token", "access_token_refresh_token"):
        raise Refusal(400, "UNSUPPORTED", "grant_type must be access_token")
    claims = store.tokens.read(form.get("access_token", ""))
    if claims is None or claims["exp"] <= time.time():
        raise required(detail="invalid access token")
    audience = str(claims["aud"]).removeprefix("https://")
    policies = registry.properties["policies"]
    as_arm = policies.get("azureADAuthenticationAsArmPolicy", {}).get("status") == "enabled"
    if audience not in _AUDIENCES or (audience != _AUDIENCES[0] and not as_arm):
        raise required(detail="wrong audience of token")
    token = _issue(store, registry, str(claims.get("oid", "")), "refresh_token")
    return json_answer(200, {"refresh_token": token}, VERSION)


def token(store: Store, registry: Registry, request: Request) -> Answer:
    """An access token for as much of what is asked for as the caller may do."""
    caller = ANYBODY
    if given := request.form.get("refresh_token"):
        caller = _refreshing(store, registry, given)
    elif request.form.get("grant_type") == "password":
        form = request.form
        caller = login(store, registry, form.get("username", ""), form.get("password", ""))
    elif (pair := basic(request)) is not None:
        caller = login(store, registry, *pair)
    elif request.method == "POST" or "authorization" in request.headers:
        raise required()
    access = narrowed(scopes(request), lambda one, action: allowed(
        store, registry, caller, one, action
    ))  # fmt: skip
    if caller is ANYBODY and not any(one.actions for one in access):
        raise required()
    text = _issue(store, registry, caller.object_id or caller.name, "access_token",
                  access=[one.access for one in access])  # fmt: skip
    return json_answer(200, {"access_token": text}, VERSION)


def login(store: Store, registry: Registry, user: str, password: str) -> Caller:
    """Whose user and password these are; ``Refusal`` if nobody's."""
    if user == _NOBODY:
        return _refreshing(store, registry, password)
    if user.lower() == registry.name.lower() and registry.properties["adminUserEnabled"]:
        known = registry.secrets(store.new_hex)
        if any(secrets.compare_digest(password.encode(), one.encode()) for one in known):
            return ADMINISTRATOR
    caller = store.tokens.application(user)
    if caller is None or not store.tokens.has_secret(caller, password):
        raise required()
    return caller


def _refreshing(store: Store, registry: Registry, given: str) -> Caller:
    """Whose refresh token this is."""
    claims = store.tokens.read(given)
    host = registry.properties["loginServer"]
    good = claims is not None and claims["exp"] > time.time() and claims["aud"] == host
    if claims is None or not good or claims.get("grant_type") != "refresh_token":
        raise required()
    caller = store.principal(str(claims["sub"]))
    if caller is None:
        raise required()
    return caller


def granted(store: Store, registry: Registry, given: str) -> tuple[Scope, ...] | None:
    """What an access token of the registry allows; None for no good one."""
    claims = store.tokens.read(given)
    host = registry.properties["loginServer"]
    if claims is None or claims["aud"] != host or claims["exp"] <= time.time():
        return None
    if claims.get("grant_type") != "access_token":
        return None
    return tuple(Scope(one["type"], one["name"], tuple(one["actions"])) for one in claims["access"])


def allowed(store: Store, registry: Registry, caller: Caller, scope: Scope, action: str) -> bool:
    """Whether a caller may do something with a repository of the registry."""
    if caller is ANYBODY:
        open_to_all = registry.properties["anonymousPullEnabled"]
        return bool(open_to_all) and action in ("pull", "metadata_read")
    needed = _CATALOG if scope.kind == "registry" else _ACTIONS.get(action)
    if needed is None:
        return False
    data = registry.properties["roleAssignmentMode"] == ABAC
    what = f"{_TYPE}/{needed[1] if data else needed[0]}"

    def meant(one: RoleAssignment) -> bool:
        return not data or _named(str(one.properties.get("condition") or ""), scope.name)

    return may(store, caller, what, registry.id, data=data, meant=meant)


def _named(condition: str, name: str) -> bool:
    """Whether a condition of a role assignment lets a repository through. Its comparisons are taken
    as alternatives; one that compares nothing with a repository's name lets all through.
    """
    found: Iterable[re.Match[str]] = list(_NAMED.finditer(condition))
    return not found or any(
        name.lower() == one["name"].lower()
        if one["how"] == "Equals"
        else name.lower().startswith(one["name"].lower())
        for one in found
    )


def _issue(store: Store, registry: Registry, subject: str, kind: str, **more: object) -> str:
    now = int(time.time())
    life = _REFRESH if kind == "refresh_token" else _ACCESS
    return store.tokens.sign(
        {
            "jti": store.new_uuid(),
            "sub": subject,
            "nbf": now - 300,
            "iat": now,
            "exp": now + life,
            "iss": "Azure Container Registry",
            "aud": registry.properties["loginServer"],
            "grant_type": kind,
            **more,
        }
    )

"""The hosts of registries: the challenge, and the tokens that answer it.

Azure/acr, docs/AAD-OAuth.md: ``/oauth2/exchange`` gives a refresh token for a token of Entra ID,
``/oauth2/token`` an access token of 75 minutes for the scopes that roles allow. A registry in the
mode of repository permissions does not mind AcrPull and AcrPush (Azure/AKS, website/blog,
2026-01-23). What is behind the challenge is not emulated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.authorization import may
from clusterkit_sandbox.azure.failure import json_answer
from clusterkit_sandbox.azure.registries import ABAC
from clusterkit_sandbox.azure.resources import Registry
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.emulator import Answer
from clusterkit_sandbox.kit.wire import Request

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
_AUDIENCES = ("containerregistry.azure.net", "management.azure.com", "management.core.windows.net")
_SCOPE = re.compile(r"(repository|registry):([^:]+):([a-z_,*]+)")


def operation(request: Request) -> str:
    """``acr:Token``, …"""
    names = {
        "/oauth2/exchange": "acr:Exchange",
        "/oauth2/token": "acr:Token",
        "/v2": "acr:Challenge",
    }
    return names.get(request.path.rstrip("/"), "acr:Api")


def answer(store: Store, request: Request) -> Answer:
    """Answer one request to a registry's host."""
    with store.lock:
        registry = next(
            (o for o in store.all(Registry) if o.properties["loginServer"] == request.host), None
        )
        if registry is None:
            return _refused(404, "NAME_UNKNOWN", f"there is no registry {request.host}")
        match operation(request):
            case "acr:Exchange":
                return _exchange(store, registry, request.form)
            case "acr:Token":
                return _token(store, registry, {**dict(request.query), **request.form})
            case _:
                return _api(store, registry, request)


def _exchange(store: Store, registry: Registry, form: dict[str, str]) -> Answer:
    if form.get("grant_type") not in ("access_token", "access_token_refresh_token"):
        return _refused(400, "UNSUPPORTED", "grant_type must be access_token")
    claims = store.tokens.read(form.get("access_token", ""))
    if claims is None or claims["exp"] <= time.time():
        return _refused(401, "UNAUTHORIZED", "authentication required, invalid access token")
    audience = str(claims["aud"]).removeprefix("https://")
    policies = registry.properties["policies"]
    as_arm = policies.get("azureADAuthenticationAsArmPolicy", {}).get("status") == "enabled"
    if audience not in _AUDIENCES or (audience != _AUDIENCES[0] and not as_arm):
        return _refused(401, "UNAUTHORIZED", "authentication required: wrong audience of token")
    return json_answer(
        200, {"refresh_token": _issue(store, registry, str(claims.get("oid", "")), "refresh_token")}
    )


def _token(store: Store, registry: Registry, form: dict[str, str]) -> Answer:
    claims = store.tokens.read(form.get("refresh_token", ""))
    valid = claims is not None and claims["exp"] > time.time()
    if claims is None or not valid or claims.get("grant_type") != "refresh_token":
        return _refused(401, "UNAUTHORIZED", "authentication required, invalid refresh token")
    caller = store.principal(str(claims["sub"]))
    if caller is None or claims["aud"] != registry.properties["loginServer"]:
        return _refused(401, "UNAUTHORIZED", "authentication required, invalid refresh token")
    access = list(_granted(store, registry, caller, form.get("scope", "")))
    token = _issue(store, registry, caller.object_id, "access_token", access=access)
    return json_answer(200, {"access_token": token})


def _granted(
    store: Store, registry: Registry, caller: Caller, scope: str
) -> Iterator[dict[str, Any]]:
    data = registry.properties["roleAssignmentMode"] == ABAC
    for kind, name, actions in _SCOPE.findall(scope):
        allowed = []
        for action in actions.split(","):
            needed = _ACTIONS.get(action)
            if needed is not None:
                what = f"{_TYPE}/{needed[1] if data else needed[0]}"
                if may(store, caller, what, registry.id, data=data):
                    allowed.append(action)
        yield {"type": kind, "name": name, "actions": allowed}


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


def _api(store: Store, registry: Registry, request: Request) -> Answer:
    host = registry.properties["loginServer"]
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    claims = store.tokens.read(token) if scheme.lower() == "bearer" else None
    good = claims is not None and claims["aud"] == host and claims["exp"] > time.time()
    if claims is None or not good or claims.get("grant_type") != "access_token":
        challenge = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
        headers = {"Www-Authenticate": challenge, "Docker-Distribution-Api-Version": "registry/2.0"}
        return _refused(
            401, "UNAUTHORIZED", "authentication required, visit https://aka.ms/acr/authorization",
            headers,
        )  # fmt: skip
    if request.path.rstrip("/") == "/v2":
        return json_answer(200, {}, {"Docker-Distribution-Api-Version": "registry/2.0"})
    return _refused(501, "UNSUPPORTED", "The sandbox does not emulate what a registry holds.")


def _refused(status: int, code: str, text: str, headers: dict[str, str] | None = None) -> Answer:
    return json_answer(
        status, {"errors": [{"code": code, "message": text, "detail": None}]}, headers
    )

"""Entra ID: discovery, and tokens for a client secret or a federated assertion.

OpenID Connect Discovery 1.0; "OAuth 2.0 client credentials flow on the Microsoft identity platform"
and its page of error codes (``AADSTS…``). Words of refusals: those of public logs that quote them.
A managed identity's federated credentials are matched case for case (AADSTS7002138 is what Entra
says when only the case differs).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure.account import DOMAIN, TENANT, Caller
from clusterkit_sandbox.azure.failure import json_answer
from clusterkit_sandbox.azure.model import GRAPH, LOGIN, MANAGER
from clusterkit_sandbox.azure.resources import FederatedCredential, Identity
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.azure.tokens import LIFE, trace_id, unsigned
from clusterkit_sandbox.kit.wire import Request

KUBERNETES = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""The application that stands for the API servers of all clusters (Azure/kubelogin, README)."""
_AUDIENCES: Mapping[str, str] = {
    MANAGER: f"https://{MANAGER}",
    "management.core.windows.net": "https://management.core.windows.net",
    GRAPH: f"https://{GRAPH}",
    "containerregistry.azure.net": "https://containerregistry.azure.net",
    "vault.azure.net": "https://vault.azure.net",
    "storage.azure.com": "https://storage.azure.com",
    KUBERNETES: KUBERNETES,
}
"""Host or id in a scope to the audience of its tokens."""
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TENANTS = (TENANT, DOMAIN, "organizations", "common")
_SKEW = 300
TOKEN, DISCOVERY = "entra:Token", "entra:Discovery"
Issuer = Callable[[str, str], str]
"""who has signed a token for an audience; empty for nobody that is known"""


def operation(request: Request) -> str:
    """``entra:Token``, or ``entra:Discovery`` for all that is published."""
    return TOKEN if request.path.endswith("/token") else DISCOVERY


def answer(store: Store, request: Request, issuer: Issuer) -> Answer:
    """Answer one request to the login host."""
    if operation(request) == TOKEN and request.method == "POST":
        return _token(store, request, issuer)
    if request.path.endswith("/discovery/instance"):
        return _instance(request)
    tenant = request.path.strip("/").partition("/")[0].lower()
    if tenant not in _TENANTS:
        return _no_tenant(tenant)
    if request.path.endswith("/.well-known/openid-configuration"):
        return json_answer(200, _configuration("v2.0" in request.path))
    if request.path.rstrip("/").endswith("/keys"):
        return json_answer(200, store.tokens.keys())
    return json_answer(404, {"error": "not_found"})


def _configuration(second: bool) -> dict[str, Any]:
    root = f"https://{LOGIN}/{TENANT}"
    version = "/v2.0" if second else ""
    return {
        "token_endpoint": f"{root}/oauth2{version}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": f"{root}/discovery{version}/keys",
        "issuer": f"{root}/v2.0" if second else f"https://sts.windows.net/{TENANT}/",
        "authorization_endpoint": f"{root}/oauth2{version}/authorize",
        "device_authorization_endpoint": f"{root}/oauth2{version}/devicecode",
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    }


def _instance(request: Request) -> Answer:
    """Which hosts are the same one, and where the tenant that was asked about is described."""
    asked = dict(request.query).get("authorization_endpoint", "")
    path = urlsplit(asked).path.strip("/").partition("/")[0] or "common"
    host = {"preferred_network": LOGIN, "preferred_cache": "login.windows.net"}
    aliases = [LOGIN, "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    return json_answer(
        200,
        {
            "tenant_discovery_endpoint": (
                f"https://{LOGIN}/{path}/v2.0/.well-known/openid-configuration"
            ),
            "api-version": "1.1",
            "metadata": [{**host, "aliases": aliases}],
        },
    )


def _token(store: Store, request: Request, issuer: Issuer) -> Answer:
    form = {k: v[0] for k, v in parse_qs(request.body.decode("utf-8", "replace")).items()}
    tenant = request.path.strip("/").partition("/")[0].lower()
    if tenant not in _TENANTS:
        return _no_tenant(tenant)
    if form.get("grant_type") != "client_credentials":
        text = f"The app requested an unsupported grant type '{form.get('grant_type', '')}'."
        return refused(400, "unsupported_grant_type", 70003, text)
    client = form.get("client_id", "")
    with store.lock:
        caller = store.tokens.application(client)
    if caller is None:
        text = (
            f"Application with identifier '{client}' was not found in the directory"
            f" '{DOMAIN}'. This can happen if the application has not been installed by the"
            " administrator of the tenant or consented to by any user in the tenant. You may have"
            " sent your authentication request to the wrong tenant."
        )
        return refused(400, "unauthorized_client", 700016, text)
    wrong = _proof(store, caller, form, issuer)
    if wrong is not None:
        return wrong
    scope = form.get("scope") or form.get("resource", "")
    audience = audience_of(scope)
    if audience is None:
        text = (
            f"The resource principal named {scope.removesuffix('/.default')} was not found in the"
            f" tenant named {DOMAIN}. This can happen if the application has not been installed by"
            " the administrator of the tenant or consented to by any user in the tenant."
        )
        return refused(400, "invalid_resource", 500011, text)
    body = {
        "token_type": "Bearer",
        "expires_in": LIFE - 1,
        "ext_expires_in": LIFE - 1,
        "access_token": store.tokens.grant(caller, audience),
    }
    return json_answer(200, body, {"Cache-Control": "no-store, no-cache"})


def audience_of(scope: str) -> str | None:
    """The audience of a token for a scope or a resource; None for an unknown one."""
    text = scope.split(" ")[0].removesuffix("/.default").rstrip("/")
    text = text.removeprefix("https://").removeprefix("api://").partition("/")[0]
    return _AUDIENCES.get(text.lower())


def _proof(store: Store, caller: Caller, form: Mapping[str, str], issuer: Issuer) -> Answer | None:
    """Why what was sent does not prove that it is the caller; None if it does."""
    if "client_assertion" in form:
        return _asserted(store, caller, form, issuer)
    secret = form.get("client_secret")
    if not secret:
        text = (
            "The request body must contain the following parameter: 'client_assertion' or"
            " 'client_secret'."
        )
        return refused(401, "invalid_client", 7000218, text)
    if not store.tokens.has_secret(caller, secret):
        text = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the"
            " client secret value, not the client secret ID, for a secret added to app"
            f" '{caller.client_id}'."
        )
        return refused(401, "invalid_client", 7000215, text)
    return None


def _asserted(
    store: Store, caller: Caller, form: Mapping[str, str], issuer: Issuer
) -> Answer | None:
    token = form["client_assertion"]
    try:
        claims = unsigned(token)
    except ValueError:
        text = "Assertion is malformed and cannot be read."
        return refused(400, "invalid_request", 50027, f"Invalid JWT token. {text}")
    if form.get("client_assertion_type") != _JWT_BEARER:
        text = "Client assertion type is not supported."
        return refused(400, "invalid_request", 900144, text)
    try:
        begins, ends = float(claims.get("nbf", 0)), float(claims.get("exp", 0))
    except (TypeError, ValueError):
        begins = ends = 0.0
    if not begins - _SKEW <= time.time() < ends:
        text = "Client assertion is not within its valid time range."
        return refused(401, "invalid_client", 700024, text)
    subject = str(claims.get("sub", ""))
    audiences = claims.get("aud", [])
    audiences = audiences if isinstance(audiences, list) else [audiences]
    with store.lock:
        known = _credentials(store, caller)
    wanted = sorted({one for credential in known for one in credential["audiences"]})
    audience = next((str(one) for one in audiences if one in wanted), "")
    signer = issuer(token, audience) if audience else ""
    same = [o for o in known if o["issuer"] == signer and audience in o["audiences"]]
    if not any(one["subject"] == subject for one in same):
        text = (
            f"No matching federated identity record found for presented assertion subject"
            f" '{subject}'. Check your federated identity credential Subject, Audience and Issuer"
            " against the presented assertion."
        )
        close = any(one["subject"].lower() == subject.lower() for one in same)
        return refused(401, "invalid_client", 7002138 if close else 700213, text)
    return None


def _credentials(store: Store, caller: Caller) -> list[dict[str, Any]]:
    """The federated credentials of a managed identity."""
    for identity in store.all(Identity):
        if identity.properties["clientId"] == caller.client_id:
            return [one.properties for one in store.under(FederatedCredential, identity.id)]
    return []


def _no_tenant(tenant: str) -> Answer:
    text = (
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are"
        " signing into the correct cloud. Check with your subscription administrator, this may"
        " happen if there are no active subscriptions for the tenant."
    )
    return refused(400, "invalid_request", 90002, text)


def refused(status: int, error: str, code: int, text: str) -> Answer:
    """A refusal, with the number of its ``AADSTS`` code."""
    trace, correlation = trace_id(), trace_id()
    at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    description = (
        f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"
    )
    body = {
        "error": error,
        "error_description": description,
        "error_codes": [code],
        "timestamp": at,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://{LOGIN}/error?code={code}",
    }
    return json_answer(status, body)

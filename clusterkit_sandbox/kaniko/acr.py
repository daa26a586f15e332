"""Credentials for Azure Container Registry, as ``docker-credential-acr-env`` finds them.

osscontainertools/docker-credential-acr, pkg/token and pkg/registry: a service principal of the
environment, else a federated token, else the managed identity of the node; the token is for
Resource Manager, and the registry exchanges it for a refresh token. Words of failures: the same
and Azure/go-autorest, autorest/adal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kaniko.container import Container, NetworkFailure

_HOSTS = re.compile(r".*\.azurecr\.(io|cn|de|us)|mcr\.microsoft\.com")
_MANAGER = "https://management.azure.com/"
_LOGIN = "https://login.microsoftonline.com"
_METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM: Mapping[str, str] = {"Content-Type": "application/x-www-form-urlencoded"}


def login(container: Container, registry: str) -> tuple[str, str]:
    """User and password; ``LookupError`` with the helper's words."""
    if not _HOSTS.fullmatch(registry):
        raise LookupError("serverURL does not refer to Azure Container Registry")
    form = {
        "grant_type": "access_token",
        "service": registry,
        "access_token": _token(container),
    }
    tenant = container.environment.get("AZURE_TENANT_ID")
    if tenant:
        form["tenant"] = tenant
    where = f"https://{registry}/oauth2/exchange"
    start = (
        "failed to acquire refresh token failed to get refresh token for container registry -"
        " containerregistry.RefreshTokensClient#GetFromExchange:"
    )
    try:
        answer = container.request("POST", where, _FORM, urlencode(form).encode())
    except NetworkFailure as error:
        raise LookupError(
            f"{start} Failure sending request: StatusCode=0 -- Original Error:"
            f' Post "{where}": {error}'
        ) from None
    if answer.status != 200:
        raise LookupError(
            f"{start} Failure responding to request: StatusCode={answer.status} -- Original Error:"
            f" autorest/azure: Service returned an error. Status={answer.status}"
            f' Code="Unknown" Message="Unknown service error" Details={_details(answer)}'
        )
    return "<token>", str(json.loads(answer.body)["refresh_token"])


def _details(answer: Answer) -> str:
    return answer.body.decode(errors="replace").strip()


def _token(container: Container) -> str:
    """An access token for Resource Manager."""
    env = container.environment
    client, tenant = env.get("AZURE_CLIENT_ID", ""), env.get("AZURE_TENANT_ID", "")
    form = {"client_id": client, "resource": _MANAGER, "grant_type": "client_credentials"}
    secret, assertion = env.get("AZURE_CLIENT_SECRET"), _federated(container)
    if secret and client and tenant:
        form["client_secret"] = secret
    elif assertion is not None:
        if "AZURE_CLIENT_ID" not in env or "AZURE_TENANT_ID" not in env:
            raise LookupError(
                "failed to acquire sp token failed to initialise sp token config failed to get"
                " client id from environment"
            )
        form |= {"client_assertion": assertion, "client_assertion_type": _ASSERTION}
    else:
        return _of_node(container, client)
    where = f"{_LOGIN}/{tenant}/oauth2/token?api-version=1.0"
    try:
        answer = container.request("POST", where, _FORM, urlencode(form).encode())
    except NetworkFailure as error:
        raise _unsent("Post", where, error) from None
    return _read(answer, where)


def _federated(container: Container) -> str | None:
    env = container.environment
    if "AZURE_FEDERATED_TOKEN" in env:
        return env["AZURE_FEDERATED_TOKEN"]
    file = container.files.get(env.get("AZURE_FEDERATED_TOKEN_FILE", ""))
    return None if file is None else file.decode(errors="replace")


def _of_node(container: Container, client: str) -> str:
    query = {"api-version": "2018-02-01", "resource": _MANAGER}
    if client:
        query["client_id"] = client
    where = f"{_METADATA}?{urlencode(query)}"
    try:
        answer = container.request("GET", where, {"Metadata": "true"})
    except NetworkFailure as error:
        raise _unsent("Get", where, error) from None
    return _read(answer, where)


def _read(answer: Answer, where: str) -> str:
    if answer.status != 200:
        raise _stale(
            f"Refresh request failed. Status Code = '{answer.status}'. Response body:"
            f" {_details(answer)} Endpoint {where}"
        )
    return str(json.loads(answer.body)["access_token"])


def _unsent(verb: str, where: str, error: NetworkFailure) -> LookupError:
    return _stale(f"Failed to execute the refresh request. Error = '{verb} \"{where}\": {error}'")


def _stale(why: str) -> LookupError:
    start = "failed to acquire refresh token error refreshing sp token - adal: "
    return LookupError(start + why)

"""Credentials and the subscription: as Azure's own tools find them, from the environment given.

In this order: the subscription of az's that is asked for by name (``--cloud-profile``), as whoever
az is logged in to it; a service principal in the environment, with its secret, its certificate or
the token of a workload (``AZURE_FEDERATED_TOKEN_FILE``), by the names of Azure's libraries or of
Terraform's provider; who is logged in with az; the identity of
the machine clusterkit runs on (https://learn.microsoft.com/python/api/azure-identity). Each of
azure-identity's classes is made by itself: its own search reads ``os.environ`` alone.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterkit import localfile
from clusterkit.aks.errors import CURE, LOGIN, unanswered
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import CredentialsError

if TYPE_CHECKING:
    import urllib3
    from azure.core.credentials import TokenCredential
    from requests import PreparedRequest, Response

NO_SUBSCRIPTION = (
    "set subscription: in the profile, give --account ID, or run az account set --subscription ID"
)
MACHINE = Path("/sys/class/dmi/id/chassis_asset_tag")
AZURE = "7783-7084-3265-9085-8269-3286-77"
"""what that says on Azure's machines (canonical/cloud-init ``DataSourceAzure.py``)"""
IDENTITY = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT")
"""set where a service of Azure's gives programs an identity"""
CLI_SECONDS = 30
PUBLIC = "AzureCloud"
"""how az calls Microsoft's public cloud; the others have hosts of their own"""
ALIASES = {
    "AZURE_TENANT_ID": "ARM_TENANT_ID",
    "AZURE_CLIENT_ID": "ARM_CLIENT_ID",
    "AZURE_CLIENT_SECRET": "ARM_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH": "ARM_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD": "ARM_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_FEDERATED_TOKEN_FILE": "ARM_OIDC_TOKEN_FILE_PATH",
    "AZURE_SUBSCRIPTION_ID": "ARM_SUBSCRIPTION_ID",
}
"""what Terraform calls the variables of Azure's libraries
(https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs)"""
for _name in ("azure", "msal"):  # they warn of what they raise
    logging.getLogger(_name).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Found:
    """What was found, before anything is asked over the network."""

    credentials: TokenCredential
    login: bool = False
    """of az"""


def environment(wire: CloudConnection) -> Mapping[str, str]:
    """The connection's own variables, or the process's if it has none."""
    return wire.environ or os.environ


def _of(environ: Mapping[str, str], name: str) -> str | None:
    """A variable of Azure's libraries, or Terraform's in its place."""
    return environ.get(name) or environ.get(ALIASES[name])


def find(target: Target, environ: Mapping[str, str], transport: Callable[[], Any]) -> Found:
    """Whose credentials to use; ``CredentialsError`` with the cure. No network."""
    if target.cloud_profile is not None:
        known = _named(target.cloud_profile, environ)
        _check_cloud(known)
        return Found(_cli(str(known["id"])), login=True)
    tenant, client = _of(environ, "AZURE_TENANT_ID"), _of(environ, "AZURE_CLIENT_ID")
    # no retries of its own: they are the caller's
    options: dict[str, Any] = {"retry_total": 0, "disable_instance_discovery": True}
    if tenant and client:
        made = _principal(tenant, client, environ, {**options, "transport": transport()})
        if made is not None:
            return Found(made)
    if environ is os.environ and any(_subscriptions(environ)):
        return Found(_cli(_known(target, environ)), login=True)
    if any(environ.get(name) for name in IDENTITY) or _on_azure():
        from azure.identity import ManagedIdentityCredential

        return Found(ManagedIdentityCredential(client_id=client, transport=transport()))
    raise CredentialsError("there are no Azure credentials", hint=CURE)


def _principal(
    tenant: str, client: str, environ: Mapping[str, str], options: dict[str, Any]
) -> TokenCredential | None:
    """The service principal in the environment; None if nothing proves who it is."""
    from azure import identity

    if secret := _of(environ, "AZURE_CLIENT_SECRET"):
        return identity.ClientSecretCredential(tenant, client, secret, **options)
    if certificate := _of(environ, "AZURE_CLIENT_CERTIFICATE_PATH"):
        password = _of(environ, "AZURE_CLIENT_CERTIFICATE_PASSWORD")
        try:
            return identity.CertificateCredential(
                tenant, client, certificate, password=password, **options
            )
        except (OSError, ValueError):  # its own words may quote what is in the file
            what = f"{certificate} holds no certificate with its private key"
            raise CredentialsError(what, hint="see AZURE_CLIENT_CERTIFICATE_PATH") from None
    if token := _of(environ, "AZURE_FEDERATED_TOKEN_FILE"):
        return identity.WorkloadIdentityCredential(
            tenant_id=tenant, client_id=client, token_file_path=token, **options
        )
    return None


def _known(target: Target, environ: Mapping[str, str]) -> str | None:
    """The subscription to ask az for a token for; None if az does not know it. Without one az gives
    that of its own subscription's directory, which another directory refuses
    (Azure/azure-cli#21227).
    """
    wanted = ""
    with suppress(CredentialsError):
        wanted = subscription(target, environ)
    for each in _subscriptions(environ):
        if str(each.get("id")).lower() == wanted:
            _check_cloud(each)
            return wanted
    return None


def _check_cloud(known: Mapping[str, Any]) -> None:
    """``CredentialsError`` if az is logged in to another cloud of Microsoft's."""
    cloud = known.get("environmentName") or PUBLIC
    if cloud != PUBLIC:
        what = f"subscription {known.get('name')} is in {cloud}, and clusterkit reaches {PUBLIC}"
        raise CredentialsError(f"{what} only", hint=f"az cloud set --name {PUBLIC}, then {LOGIN}")


def _cli(subscription: str | None) -> TokenCredential:
    from azure.identity import AzureCliCredential

    return AzureCliCredential(process_timeout=CLI_SECONDS, subscription=subscription)


def _on_azure() -> bool:
    try:
        return MACHINE.read_text().strip() == AZURE
    except (OSError, UnicodeDecodeError):
        return False


def subscription(target: Target, environ: Mapping[str, str]) -> str:
    """The subscription that the target, the environment or az names; ``CredentialsError`` if none
    does.
    """
    if target.account:
        return target.account.lower()
    if target.cloud_profile is not None:
        return str(_named(target.cloud_profile, environ)["id"]).lower()
    if given := _of(environ, "AZURE_SUBSCRIPTION_ID"):
        return given.lower()
    for each in _subscriptions(environ):
        if each.get("isDefault"):
            return str(each["id"]).lower()
    raise CredentialsError("nothing names the Azure subscription", hint=NO_SUBSCRIPTION)


def _named(name: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """The subscription of az's with this name or id."""
    known = [*_subscriptions(environ)]
    for each in known:
        if name.lower() in (str(each.get("name")).lower(), str(each.get("id")).lower()):
            return each
    names = ", ".join(sorted(str(each.get("name")) for each in known)) or "none: az login"
    what = f"az is not logged in to a subscription {name!r}"
    raise CredentialsError(what, hint=f"there are {names}")


def _subscriptions(environ: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The subscriptions that az is logged in to; none where only ``environ`` counts and names no
    folder: a sandbox's credentials are never mixed with the user's.
    """
    folder = environ.get("AZURE_CONFIG_DIR")
    if folder is None and environ is not os.environ:
        return
    file = Path(folder) if folder else Path.home() / ".azure"
    try:
        # az writes it with a byte order mark
        text = localfile.read(file / "azureProfile.json").decode("utf-8-sig")
        yield from json.loads(text).get("subscriptions") or ()
    except (OSError, ValueError, AttributeError):
        return


def claims(token: str) -> Mapping[str, Any]:
    """What a token says of who has it (RFC 7519); nothing if it is of another form."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def transport(pool: urllib3.PoolManager, near: urllib3.PoolManager, wire: CloudConnection) -> Any:
    """What azure-identity sends its requests through: our connections, reported as any other;
    ``near`` are those to this machine's own server of identities. What
    is no answer about the credentials is raised at once, as our own error.
    """
    from azure.core.pipeline.transport import RequestsTransport
    from requests import Response, Session
    from requests.adapters import BaseAdapter
    from urllib3.exceptions import HTTPError

    class Adapter(BaseAdapter):
        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            method, url = str(request.method), str(request.url)
            asked = Exchange("before", "entra", "token", mutating=False, method=method, url=url)
            wire.tell(asked)
            body: Any = request.body
            headers: Any = request.headers
            try:
                through = pool if url.startswith("https:") else near
                answer = through.request(method, url, body=body, headers=headers, redirect=False)
            except HTTPError as error:
                wire.tell(asked.answered(None, error=error))
                raise unanswered(0, str(error)) from error
            wire.tell(asked.answered(answer.status))
            if answer.status == 429 or answer.status >= 500:
                raise unanswered(answer.status, str(answer.reason))
            made = Response()
            made.status_code, made.raw = answer.status, io.BytesIO(answer.data)
            made.headers.update(answer.headers)
            made.request, made.url = request, url
            return made

        def close(self) -> None:
            """The connections are not its own."""

    session = Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
    return RequestsTransport(session=session, session_owner=False)

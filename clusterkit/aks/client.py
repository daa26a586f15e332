"""One REST client for Azure Resource Manager, with the SDK of AKS on top (``containerservice.py``).

Tokens are azure-identity's, fetched by one thread for all. Nothing of Azure's is imported before
the first call. Of Azure's many SDKs only that of AKS is used: the others add a hundred megabytes
for bodies of a few lines, and their polling sleeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from clusterkit.aks import containerservice, credentials, ids
from clusterkit.aks.errors import refusal, refused_token
from clusterkit.aks.operations import begun
from clusterkit.engine import rest
from clusterkit.engine.cache import Once, Renewed
from clusterkit.engine.operation import Operation
from clusterkit.engine.rest import Bearer
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube.api import Access
from clusterkit.kube.clients import CloudClients

if TYPE_CHECKING:
    import urllib3

JSON = dict[str, Any]

ARM = "https://management.azure.com"
RESOURCES = f"{ARM}/.default"
KUBERNETES = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"
"""the application that AKS clusters with Entra ID take tokens for
(https://azure.github.io/kubelogin/concepts/aks.html)"""

VERSIONS: Mapping[str, str] = {
    "Microsoft.Authorization": "2022-04-01",
    "Microsoft.Authorization/locks": "2020-05-01",
    "Microsoft.Compute": "2026-04-01",
    "Microsoft.Compute/disks": "2026-03-02",
    "Microsoft.Compute/skus": "2021-07-01",
    "Microsoft.ContainerRegistry": "2025-11-01",
    "Microsoft.ContainerService": containerservice.VERSION,
    "Microsoft.KeyVault": "2026-05-15",
    "Microsoft.ManagedIdentity": "2024-11-30",
    "Microsoft.Network": "2026-03-01",
    "Microsoft.Network/dnszones": "2018-05-01",
    "Microsoft.Resources": "2025-04-01",
    "Microsoft.Resources/subscriptions": "2022-12-01",
    "Microsoft.Storage": "2026-09-01",
}
"""``api-version`` of a type, or of all types of a provider"""

LEAST = timedelta(minutes=5)
"""how long a token is good for at least when it is handed out; it lives for an hour or more, and
azure-identity fetches no new one earlier"""


class Connections:
    """Credentials, tokens and connections of one subscription; shared by all threads."""

    def __init__(self, target: Target, wire: CloudConnection) -> None:
        """No network."""
        self._target = target
        self._wire = wire
        self._once = Once()

    @property
    def found(self) -> credentials.Found:
        """The user's credentials."""

        def make() -> credentials.Found:
            near = rest.near_pool(self._wire)
            transport = partial(credentials.transport, self._pool, near, self._wire)
            environ = credentials.environment(self._wire)
            return credentials.find(self._target, environ, transport)

        return self._once("credentials", make)

    @property
    def subscription(self) -> str:
        """The subscription's id."""
        environ = credentials.environment(self._wire)
        return self._once("subscription", lambda: credentials.subscription(self._target, environ))

    def bearer(self, scope: str) -> Bearer:
        """A token for an API."""
        renewed = self._once(scope, lambda: Renewed(partial(self._fetch, scope), LEAST))
        return renewed()

    @property
    def arm(self) -> rest.RestClient:
        """The client of Resource Manager."""

        def make() -> rest.RestClient:
            return rest.RestClient(
                self._pool, refusal, service="arm", headers=self._headers, observe=self._wire.tell
            )

        return self._once("arm", make)

    def registry(self, server: str) -> rest.RestClient:
        """The client of a registry, without a login."""
        connections = rest.cloud_pool(f"https://{server}", self._wire)
        return rest.RestClient(connections, refusal, service="registry", observe=self._wire.tell)

    @property
    def sdk(self) -> Any:
        """The SDK's client."""
        return self._once("sdk", lambda: containerservice.client(self.arm, self.subscription))

    @property
    def _pool(self) -> urllib3.PoolManager:
        return self._once("pool", lambda: rest.cloud_pool(ARM, self._wire))

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.bearer(RESOURCES).token}"}

    def _fetch(self, scope: str) -> tuple[Bearer, datetime | None]:
        from azure.core.exceptions import AzureError

        found = self.found
        try:
            made = found.credentials.get_token(scope)
        except AzureError as error:
            raise refused_token(error, found.login) from None
        end = datetime.fromtimestamp(made.expires_on, UTC)
        return Bearer(made.token, end), end


class Clients(CloudClients):
    """One subscription and region."""

    reads: ClassVar[tuple[str, ...]] = ("get", "list", "check")

    def __init__(
        self, target: Target, wire: CloudConnection, access: Callable[[Clients], Access]
    ) -> None:
        super().__init__(target, wire, access)
        self._connections = wire.connections(target.place, partial(Connections, target))
        self._remembered: dict[str, str] = {}

    def fresh(self) -> Self:
        new = super().fresh()
        new._remembered = {}
        return new

    def remembered(self, name: str, ask: Callable[[], str]) -> str:
        """What ``ask`` said the first time in this plan or run."""
        if name not in self._remembered:
            self._remembered[name] = ask()
        return self._remembered[name]

    @property
    def region(self) -> str:
        """The cluster's region."""
        return self.target.region

    @property
    def subscription(self) -> str:
        """The id of the subscription; ``CredentialsError`` if nothing names it."""
        return self._connections.subscription

    @property
    def path(self) -> str:
        """``/subscriptions/S``"""
        return f"/subscriptions/{self.subscription}"

    @property
    def tenant(self) -> str:
        """The id of the subscription's directory."""
        return str(self.call("GET", self.path)["tenantId"])

    def bearer(self, scope: str = RESOURCES) -> Bearer:
        """An access token, good for ``LEAST`` at least."""
        return self.mine(partial(self._connections.bearer, scope))

    def reply(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> rest.Reply:
        """A call to Resource Manager: ``reply("PUT", "/subscriptions/S/resourceGroups/G", {…})``.

        A path with a query, as answers name them, is asked for as it is. Other paths get the
        ``api-version`` of their type.
        """
        operation = ids.operation(method, path)
        given = {name: str(value) for name, value in query.items() if value is not None}
        if "?" not in path:
            given["api-version"] = version(ids.type_of(path))
        mutating = ids.changes(method, path)
        send = partial(
            self._connections.arm.send,
            operation,
            method,
            ARM + path,
            body,
            mutating=mutating,
            query=given,
            headers=headers,
        )
        request = f"{method} {path} {sorted(given.items())} {body}"
        verb = method.lower() if mutating else "get"
        found: rest.Reply = self.ask(f"arm.{verb}", request, send)
        return found

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> JSON:
        """The JSON that a call answers."""
        found: JSON = self.reply(method, path, body, headers, **query).body or {}
        return found

    def begin(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        headers: Mapping[str, str] | None = None,
    ) -> Operation[Clients] | None:
        """A call that goes on after its answer; None if it does not."""
        return begun(self.reply(method, path, body, headers), ids.operation(method, path))

    def exchange(self, server: str) -> str:
        """A refresh token of a registry's for our token of Resource Manager's
        (https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md).
        """
        form = {
            "grant_type": "access_token",
            "service": server,
            "tenant": self.tenant,
            "access_token": self.bearer().token,
        }
        answer = self.mine(
            lambda: self._connections.registry(server).call(
                "registry.exchange",
                "POST",
                f"https://{server}/oauth2/exchange",
                form,
                content_type=rest.FORM,
                mutating=False,
            )
        )
        return str(answer["refresh_token"])

    def pages(self, path: str, /, **query: object) -> Iterator[Any]:
        """Every item of a list."""
        page = self.call("GET", path, None, None, **query)
        while True:
            yield from page.get("value") or ()
            if not (following := page.get("nextLink")):
                return
            page = self.call("GET", ids.relative(following))

    def aks(self, method: str, *arguments: Any) -> JSON:
        """A call by the SDK that changes nothing: ``aks("managed_clusters.get", group, name)``; the
        API's JSON.
        """
        send = partial(containerservice.call, self._connections, method, *arguments)
        found: JSON = self.ask(method, json.dumps(arguments), send)
        return found

    def aks_begin(
        self, method: str, *arguments: Any, etag: str | None = None
    ) -> Operation[Clients] | None:
        """A call by the SDK that changes something, and goes on after its answer. ``etag``: only
        if nothing has changed since it was read, or (``MISSING``) if there is none.
        """
        send = partial(containerservice.begin, self._connections, method, *arguments, etag=etag)
        reply, operation = self.ask(method, "", send)
        return begun(reply, operation)


def version(kind: str) -> str:
    """The ``api-version`` to ask for a type by, in whatever case it is written; ``KeyError``."""
    provider, _, rest_of = kind.lower().partition("/")
    return _VERSIONS.get(f"{provider}/{rest_of.partition('/')[0]}") or _VERSIONS[provider]


def known(kind: str) -> bool:
    """Whether a type may be asked for."""
    return kind.lower().partition("/")[0] in _VERSIONS


_VERSIONS = {name.lower(): version for name, version in VERSIONS.items()}

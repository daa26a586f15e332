"""One REST client for all of Google's APIs, with the SDK of GKE's on top (``container.py``).

Tokens are google-auth's, refreshed by one thread for all. Nothing of Google's is imported before
the first call. google-cloud-compute is not used: it takes a second and 100 MiB to load, and its
operations poll the real service wherever the call went.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.engine import rest
from clusterkit.engine.cache import Once, Renewed
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.rest import Bearer
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import CloudError, Denied, Propagating
from clusterkit.gke import container, credentials
from clusterkit.gke.errors import DISABLED, refusal, refused_token
from clusterkit.kube.api import Access
from clusterkit.kube.clients import CloudClients

if TYPE_CHECKING:
    import urllib3

JSON = dict[str, Any]

VERSIONS = {
    "artifactregistry": "v1",
    "cloudresourcemanager": "v1",
    "compute": "compute/v1",
    "iam": "v1",
    "serviceusage": "v1",
    "storage": "storage/v1",
}
"""the path of each API's version, after its host ``SERVICE.googleapis.com``"""

PAGE = 500
"""the most items on a page of Compute Engine (``maxResults``, compute v1)"""
LEAST = timedelta(minutes=6)
"""how long a token is good for at least when it is handed out; it lives for an hour"""
USER_PROJECT = "x-goog-user-project"
SERVICES = "serviceusage"


class Connections:
    """Credentials, tokens and connections of one account; shared by all threads."""

    def __init__(self, target: Target, wire: CloudConnection) -> None:
        """No network."""
        self._target = target
        self._wire = wire
        self._once = Once()
        self.bearer = Renewed(self._fetch, LEAST)

    @property
    def found(self) -> credentials.Found:
        """The user's credentials."""
        environ = credentials.environment(self._wire)
        return self._once(".credentials", lambda: credentials.find(self._target, environ))

    @property
    def project(self) -> str:
        """The project's id."""
        target, environ = self._target, credentials.environment(self._wire)
        return self._once(
            ".project",
            lambda: credentials.project(target, environ) or credentials.of_key(self.found),
        )

    def rest(self, service: str) -> rest.RestClient:
        """The client of an API."""
        how: Any = {"service": service, "headers": self._headers, "observe": self._wire.tell}
        refuse = partial(refusal, service)
        return self._once(service, lambda: rest.RestClient(self._pool, refuse, **how))

    @property
    def container(self) -> Any:
        """The SDK's client."""
        return self._once(".sdk", lambda: container.client(self.rest("container"), Clients.reads))

    @property
    def _pool(self) -> urllib3.PoolManager:
        server = "https://www.googleapis.com"
        return self._once(".pool", lambda: rest.cloud_pool(server, self._wire))

    @property
    def _near(self) -> urllib3.PoolManager:
        """For metadata servers, which answer this machine alone, and know nothing of TLS."""
        return self._once(".near", lambda: rest.near_pool(self._wire))

    def _headers(self) -> Mapping[str, str]:
        headers = {"Authorization": f"Bearer {self.bearer().token}"}
        if self.found.user:  # or the request is charged to a project of Google's own
            headers[USER_PROJECT] = self.found.quota_project or self.project
        return headers

    def _fetch(self) -> tuple[Bearer, datetime | None]:
        from google.auth.exceptions import GoogleAuthError

        found: Any = self.found.credentials
        try:
            found.refresh(self._ask)
        except GoogleAuthError as error:
            raise refused_token(error, self.found.user) from None
        # google-auth's times are UTC without a zone
        end = found.expiry.replace(tzinfo=UTC) if found.expiry else datetime.now(UTC) + 2 * LEAST
        return Bearer(str(found.token), end), end

    def _ask(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> urllib3.BaseHTTPResponse:
        """google-auth's transport: a request for a token, reported as any other."""
        from google.auth.exceptions import TransportError
        from urllib3.exceptions import HTTPError

        service = url.partition("//")[2].partition(".")[0]
        asked = Exchange("before", service, "token", mutating=False, method=method, url=url)
        self._wire.tell(asked)
        try:
            pool = self._pool if url.startswith("https:") else self._near
            answer = pool.request(method, url, body=body, headers=headers, redirect=False)
        except HTTPError as error:
            self._wire.tell(asked.answered(None, error=error))
            raise TransportError(error) from error  # type: ignore[no-untyped-call]
        self._wire.tell(asked.answered(answer.status))
        return answer


class Clients(CloudClients):
    """One project and region."""

    reads: ClassVar[tuple[str, ...]] = ("get", "list", "aggregatedList", "test", "search", "fetch")

    def __init__(
        self, target: Target, wire: CloudConnection, access: Callable[[Clients], Access]
    ) -> None:
        super().__init__(target, wire, access)
        self._connections = wire.connections(target.place, partial(Connections, target))

    @property
    def region(self) -> str:
        """The cluster's region."""
        return self.target.region

    @property
    def project(self) -> str:
        """The id of the project; ``CredentialsError`` if nothing names it."""
        return self._connections.project

    def bearer(self) -> Bearer:
        """An access token, good for ``LEAST`` at least; the same for APIs and Kubernetes."""
        return self.mine(self._connections.bearer)

    def call(
        self,
        service: str,
        operation: str,
        method: str,
        path: str,
        body: Any = None,
        /,
        **query: object,
    ) -> JSON:
        """A call to an API other than GKE's:
        ``call("compute", "networks.get", "GET", "projects/P/global/networks/N")``.

        ``operation`` is the method's id in the API's discovery document, without the service.
        Query parameters that are None are left out. Returns the answer's JSON.
        """
        url = f"https://{service}.googleapis.com/{VERSIONS[service]}/{path}"
        given = {key: str(value) for key, value in query.items() if value is not None}
        mutating = not operation.rpartition(".")[2].startswith(self.reads)
        send = partial(
            self._connections.rest(service).call,
            operation,
            method,
            url,
            body,
            mutating=mutating,
            query=given,
        )
        request = f"{path} {sorted(given.items())} {body}"
        send = partial(self._enabled, service, send)
        found: JSON = self.ask(f"{service}.{operation}", request, send) or {}
        return found

    def _enabled(self, service: str, send: Callable[[], Any]) -> Any:
        """What ``send`` gives. An API that is not enabled is refused in the same words as one that
        was enabled a moment ago: only the one is worth waiting for.
        """
        try:
            return send()
        except Propagating as error:
            if error.code not in DISABLED or service == SERVICES or self._is_enabled(service):
                raise
            what = f"{service}.googleapis.com is not enabled in project {self.project}"
            cure = f"clusterkit up --activate, or gcloud services enable {service}.googleapis.com "
            cure += f"--project={self.project}"
            raise Denied(what, hint=cure, code=error.code) from None

    def _is_enabled(self, service: str) -> bool:
        path = f"projects/{self.project}/services/{service}.googleapis.com"
        with suppress(CloudError):
            return self.call(SERVICES, "services.get", "GET", path).get("state") == "ENABLED"
        return True

    def pages(
        self, service: str, operation: str, path: str, items: str = "items", /, **query: object
    ) -> Iterator[Any]:
        """The items of every page of a list; ``items`` is where a page has them. Those of an
        ``aggregatedList`` are pairs of a scope and what is in it.
        """
        size = {"maxResults": PAGE} if service == "compute" else {}
        token: object = None
        while True:
            page = self.call(service, operation, "GET", path, **size, **query, pageToken=token)
            there = page.get(items) or ()
            yield from there.items() if isinstance(there, Mapping) else there
            if not (token := page.get("nextPageToken")):
                return

    def aggregated(self, items: str, /, **query: object) -> Iterator[Any]:
        """Everything of a kind of Compute Engine's, as ``forwardingRules``, in all regions and
        zones.
        """
        path = f"projects/{self.project}/aggregated/{items}"
        for _, scoped in self.pages("compute", f"{items}.aggregatedList", path, **query):
            yield from scoped.get(items) or ()

    def container(self, method: str, request: Mapping[str, Any]) -> JSON:
        """A call to GKE: ``container("get_cluster", {"name": "projects/P/locations/L/…"})``.

        ``method`` is the SDK's (``container.METHODS``), ``request`` the API's JSON; so is what it
        returns, without fields that have their default, and with numbers of 64 bits as text.
        """
        operation = container.operation(method)
        call = partial(container.call, self._connections, method, request)
        send = partial(self._enabled, "container", call)
        text = json.dumps(request, sort_keys=True, default=str)
        found: JSON = self.ask(f"container.{operation}", text, send)
        return found

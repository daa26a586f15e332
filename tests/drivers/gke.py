"""What there is in a Google Cloud project, asked for with the vendor's libraries alone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from google.api_core.exceptions import Forbidden
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.container_v1 import ClusterManagerClient
from google.cloud.container_v1.services.cluster_manager.transports import (
    ClusterManagerRestTransport,
)
from google.oauth2 import service_account
from google.protobuf import json_format
from requests import Session

from tests.drivers.world import Thing, World

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
VERSIONS = {
    "artifactregistry": "v1",
    "cloudresourcemanager": "v1",
    "compute": "compute/v1",
    "container": "v1",
    "iam": "v1",
    "iamcredentials": "v1",
    "serviceusage": "v1",
    "storage": "storage/v1",
}
COMPUTE = {
    "address": "addresses",
    "backend-service": "backendServices",
    "disk": "disks",
    "forwarding-rule": "forwardingRules",
    "health-check": "healthChecks",
    "instance": "instances",
    "instance-group": "instanceGroupManagers",
    "network-endpoint-group": "networkEndpointGroups",
    "router": "routers",
    "subnetwork": "subnetworks",
    "target-pool": "targetPools",
}
"""kinds that are in regions and zones, with their collections"""
NODE = "goog-gke-node"
"""label of the disks that nodes boot from"""
NAMED = ("router", "subnetwork")
"""of those, what ours are in one region only"""
GLOBAL = {
    "firewall": "firewalls",
    "firewall-policy": "firewallPolicies",
    "http-health-check": "httpHealthChecks",
    "network": "networks",
}
MULTI = ("us", "europe", "asia")
"""locations of the repositories that stand behind hosts of Container Registry"""
_DESCRIBED = re.compile(r"clusterkit (?P<region>\S+?)/(?P<cluster>[^\s/]+)")
"""the mark of what takes no labels"""


class Refused(Exception):
    """An answer that is not 2xx, or an operation that failed."""


class Disabled(Refused):
    """The API is not enabled in the project: there is nothing of its kind."""


class Account:
    """A project of a sandbox, without clusterkit's driver.

    ``account("iam", "GET", "projects/P/serviceAccounts")``; operations are waited for.
    """

    def __init__(self, world: World, environ: Mapping[str, str] | None = None) -> None:
        """``environ``: whose credentials to use, if not the administrator's."""
        environ = environ or world.sandbox.environment()
        self.project = environ["GOOGLE_CLOUD_PROJECT"]
        self.region = world.profile.region
        key = Path(environ["GOOGLE_APPLICATION_CREDENTIALS"])
        make: Any = service_account.Credentials.from_service_account_file
        self.credentials = make(key, scopes=SCOPES)
        self._wire = {"https": world.sandbox.proxy}, str(world.sandbox.ca_file)
        self._session: Any = self._through(
            AuthorizedSession(self.credentials, auth_request=self._asks())
        )

    def _through(self, session: Any) -> Any:
        session.trust_env = False
        session.proxies, session.verify = self._wire
        return session

    def _asks(self) -> Any:
        request: Any = Request
        return request(self._through(Session()))

    @property
    def clusters(self) -> ClusterManagerClient:
        """The SDK's client for GKE."""
        if not self.credentials.valid:
            self.credentials.refresh(self._asks())  # the transport knows no proxy for that
        transport = ClusterManagerRestTransport(credentials=self.credentials)
        self._through(transport._session)
        return ClusterManagerClient(transport=transport)

    def __call__(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer's JSON; of an operation, what it came to."""
        found = self.ask(service, method, path, body, **query)
        if service in ("compute", "container") and "operationType" in found:
            return self._done(service, found)
        if "/operations/" in f"/{found.get('name', '')}" and method != "GET":
            return self._ended(service, found)
        return found

    def ask(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        **query: Any,
    ) -> Any:
        """The answer's JSON, an operation as it begins; ``Refused`` if it is not 2xx. ``token``: of
        somebody else.
        """
        url = f"https://{service}.googleapis.com/{VERSIONS[service]}/{path}"
        session = self._session
        if token is not None:
            session = self._through(Session())
            session.headers["Authorization"] = f"Bearer {token}"
        answer = session.request(method, url, json=body, params=query)
        if not answer.ok:
            refused = Disabled if "SERVICE_DISABLED" in answer.text else Refused
            raise refused(f"{method} {url}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else {}

    def compute(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A call to Compute Engine; ``path`` begins after the project."""
        return self("compute", method, f"projects/{self.project}/{path}", body, **query)

    def every(self, service: str, path: str, items: str, **query: Any) -> Iterator[Any]:
        """Every item of a list, from all its pages."""
        token = None
        while True:
            more = {"pageToken": token} if token else {}
            page = self.ask(service, "GET", path, **query, **more)
            yield from page.get(items) or ()
            if not (token := page.get("nextPageToken")):
                return

    def aggregated(self, collection: str) -> Iterator[Any]:
        """Everything of a kind of Compute Engine, in all regions and zones."""
        token = None
        while True:
            more = {"pageToken": token} if token else {}
            path = f"projects/{self.project}/aggregated/{collection}"
            page = self.ask("compute", "GET", path, **more)
            for scoped in (page.get("items") or {}).values():
                yield from scoped.get(collection) or ()
            if not (token := page.get("nextPageToken")):
                return

    def policy(self, resource: str = "") -> Mapping[str, set[str]]:
        """Role to members: of the project, or of a repository, service account or bucket by its
        name (``b/NAME``).
        """
        if not resource:
            options = {"options": {"requestedPolicyVersion": 3}}
            path = f"projects/{self.project}:getIamPolicy"
            found = self("cloudresourcemanager", "POST", path, options)
        elif resource.startswith("b/"):
            found = self("storage", "GET", f"{resource}/iam", optionsRequestedPolicyVersion=3)
        elif "/repositories/" in resource:
            found = self("artifactregistry", "GET", f"{resource}:getIamPolicy")
        else:
            found = self("iam", "POST", f"{resource}:getIamPolicy")
        bindings = found.get("bindings") or ()
        return {each["role"]: set(each.get("members") or ()) for each in bindings}

    def token(self, email: str) -> str:
        """An access token of a service account."""
        path = f"projects/-/serviceAccounts/{email}:generateAccessToken"
        found = self.ask("iamcredentials", "POST", path, {"scope": SCOPES})
        return str(found["accessToken"])

    def _done(self, service: str, found: Any) -> Any:
        """An operation of Compute Engine or GKE that is over."""
        path = found["selfLink"].partition(f"/{VERSIONS[service]}/")[2]
        while found["status"] != "DONE":
            time.sleep(0.01)
            found = self.ask(service, "GET", path)
        if found.get("error"):
            raise Refused(json.dumps(found["error"]))
        return found

    def _ended(self, service: str, found: Any) -> Any:
        """What a google.longrunning operation comes to."""
        while not found.get("done"):
            time.sleep(0.01)
            found = self.ask(service, "GET", found["name"])
        if "error" in found:
            raise Refused(json.dumps(found["error"]))
        return found.get("response") or {}


def inventory(world: World) -> list[Thing]:
    """Everything but what Google Cloud itself puts into a project."""
    account = Account(world)
    found: list[Thing] = []
    for part in (_compute, _iam, _policy, _registry, _storage, _clusters):
        with suppress(Disabled):
            found += part(account)
    return found


def _described(text: str | None) -> dict[str, str]:
    found = _DESCRIBED.match(text or "")
    return {"clusterkit-cluster": found["cluster"]} if found else {}


def _compute(account: Account) -> Iterator[Thing]:
    for kind, collection in COMPUTE.items():
        for item in account.aggregated(collection):
            place = (item.get("zone") or item.get("region") or "").rpartition("/")[2]
            name = item["name"] if kind in NAMED else f"{place}/{item['name']}"
            if kind == "disk":
                name = item["selfLink"].partition("/compute/v1/")[2]
            noun = "boot-disk" if kind == "disk" and NODE in (item.get("labels") or {}) else kind
            yield Thing(noun, name, _described(item.get("description")), item)
    for kind, collection in GLOBAL.items():
        path = f"projects/{account.project}/global/{collection}"
        for item in account.every("compute", path, "items"):
            yield Thing(kind, item["name"], _described(item.get("description")), item)


def _iam(account: Account) -> Iterator[Thing]:
    path = f"projects/{account.project}/serviceAccounts"
    for item in account.every("iam", path, "accounts"):
        users = account.policy(item["name"])
        marks = _described(item.get("description"))
        yield Thing("iam-service-account", item["email"], marks, (item, users))
        yield from _pods(item["email"], marks, users)


def _pods(holder: str, marks: Mapping[str, str], users: Mapping[str, set[str]]) -> Iterator[Thing]:
    """The members of a policy that are pods: they are a thing of their own."""
    members = {each for found in users.values() for each in found if ".svc.id.goog" in each}
    if members:
        yield Thing("workload-access", holder, marks, sorted(members))


def _policy(account: Account) -> Iterator[Thing]:
    for role, members in account.policy().items():
        for member in members:
            yield Thing("binding", f"{role} {member}")


def _registry(account: Account) -> Iterator[Thing]:
    for place in (account.region, *MULTI):
        kind = "gcr-repository" if place in MULTI else "repository"
        path = f"projects/{account.project}/locations/{place}/repositories"
        for item in account.every("artifactregistry", path, "repositories"):
            marks, users = item.get("labels") or {}, account.policy(item["name"])
            yield Thing(kind, item["name"], marks, (item, users))
            yield from _pods(item["name"], marks, users)


def _storage(account: Account) -> Iterator[Thing]:
    for item in account.every("storage", "b", "items", project=account.project):
        users = account.policy(f"b/{item['name']}")
        yield Thing("bucket", item["name"], item.get("labels") or {}, (item, users))


def _clusters(account: Account) -> Iterator[Thing]:
    try:
        found: Any = account.clusters.list_clusters(
            parent=f"projects/{account.project}/locations/-"
        )
    except Forbidden as error:
        raise Disabled(str(error)) from None
    for cluster in json_format.MessageToDict(type(found).pb(found)).get("clusters") or ():
        pools = cluster.pop("nodePools", None) or ()
        identifier = f"{cluster['location']}/{cluster['name']}"
        yield Thing("cluster", identifier, cluster.get("resourceLabels") or {}, cluster)
        for pool in pools:
            labels = pool["config"].get("resourceLabels") or {}
            yield Thing("node-pool", f"{cluster['name']}/{pool['name']}", labels, pool)

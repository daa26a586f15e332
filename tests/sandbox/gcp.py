"""A Google Cloud project of a sandbox, asked by hand with a token of its own service account.

Every answer that passes is held against the vendor's published description of it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from google.auth.transport.requests import Request as Transport
from google.oauth2 import service_account

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.google import access, model
from clusterkit_sandbox.google.gateway import GoogleCloud
from clusterkit_sandbox.google.store import Conditions
from clusterkit_sandbox.kit.shape import Reader
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox

PROJECT = "clusterkit-sandbox"
NUMBER = "123456789012"
REGION = "europe-west1"
ZONE = f"{REGION}-b"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SERVICES = (
    "artifactregistry", "cloudresourcemanager", "compute", "container", "iam", "iamcredentials",
)  # fmt: skip
"""what most tests need enabled, besides what a new project has"""


class Judged(GoogleCloud):
    """The emulator, with every good answer held against its description."""

    def __init__(self, context: SandboxContext) -> None:
        super().__init__(context)
        self.wrong: list[str] = []

    def _answer(self, request: Request) -> Answer:
        answer = super()._answer(request)
        asked = model.find(request)
        query = dict(request.query)
        told = answer.status < 300 and answer.body and query.get("alt") != "media"
        if told and asked is not None and "fields" not in query:
            operation = asked.api.operation(asked.method)
            if operation.answer is not None:
                reader = Reader(asked.api.names, answer=True)
                reader.read(json.loads(answer.body), operation.answer)
                self.wrong += [
                    f"{asked.method} {one.place}: {one.rule} {one.wanted} {one.value}"
                    for one in reader.problems
                    if not one.place.startswith(("response.", "metadata."))
                ]
        return answer


class Gcp:
    """One sandbox with nothing but Google Cloud in it."""

    def __init__(self, sandbox: Sandbox, cloud: Judged) -> None:
        self.sandbox = sandbox
        self.cloud = cloud
        self.environ = sandbox.environment()
        self.file = self.environ["GOOGLE_APPLICATION_CREDENTIALS"]
        self._pool = urllib3.ProxyManager(
            sandbox.proxy, ca_certs=str(sandbox.ca_file), retries=False
        )
        self.token = self.login(json.loads(Path(self.file).read_text()))

    def login(self, key: Mapping[str, str]) -> str:
        """An access token for a service account's key."""
        make: Any = service_account.Credentials
        credentials = make.from_service_account_info(key, scopes=[SCOPE])
        transport = Transport()
        transport.session.proxies = {"https": self.sandbox.proxy}
        transport.session.trust_env = False
        transport.session.verify = str(self.sandbox.ca_file)
        credentials.refresh(transport)
        return str(credentials.token)

    def send(self, verb: str, url: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Status and body; ``url`` without https://."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        answer = self._pool.request(verb, f"https://{url}", headers=headers, body=data)
        return answer.status, json.loads(answer.data) if answer.data else None

    def raw(self, verb: str, url: str, body: bytes) -> tuple[int, Any]:
        """The same with a body that need not be JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        answer = self._pool.request(verb, f"https://{url}", headers=headers, body=body)
        return answer.status, json.loads(answer.data)

    def exchange(self, assertion: str) -> tuple[int, Any]:
        """What the token endpoint says to an assertion."""
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        answer = self._pool.request(
            "POST",
            "https://oauth2.googleapis.com/token",
            fields={"grant_type": grant, "assertion": assertion},
            encode_multipart=False,
        )
        return answer.status, json.loads(answer.data)

    def __call__(self, verb: str, url: str, body: Any = None, token: str = "") -> Any:
        """The body of an answer that must be good."""
        status, found = self.send(verb, url, body, token)
        assert status == 200, found
        return found

    def refused(self, verb: str, url: str, body: Any = None, token: str = "") -> tuple[int, str]:
        """Status and message of a refusal."""
        status, found = self.send(verb, url, body, token)
        assert status >= 400, found
        return status, str(found["error"]["message"])

    # -- things most tests begin with ------------------------------------------------------------

    def enable(self, *names: str) -> None:
        """Services, without waiting for them."""
        with self.cloud.store.lock:
            for one in names:
                self.cloud.store.enabled[PROJECT, one] = 0.0
                access.service_enabled(self.cloud.store, PROJECT, one)

    def iam(self, verb: str, path: str, body: Any = None, token: str = "") -> Any:
        return self(verb, f"iam.googleapis.com/v1/projects/{PROJECT}/{path}", body, token)

    def account(self, name: str) -> dict[str, str]:
        """A new service account."""
        made: dict[str, str] = self.iam("POST", "serviceAccounts", {"accountId": name})
        return made

    def gke(self, verb: str, path: str, body: Any = None, token: str = "") -> Any:
        return self(verb, f"container.googleapis.com/v1/projects/{PROJECT}/{path}", body, token)

    def compute(self, verb: str, path: str, body: Any = None, token: str = "") -> Any:
        url = f"compute.googleapis.com/compute/v1/projects/{PROJECT}/{path}"
        return self(verb, url, body, token)

    def query(self, **parameters: str) -> str:
        """Parameters as a query has them."""
        return urlencode(parameters)

    def done(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """The operation, once it has ended, whose own link says where it is."""
        url = str(operation.get("selfLink", "")).removeprefix("https://")

        def look() -> Any:
            return self("GET", url)

        found: dict[str, Any] = eventually(look, lambda one: one["status"] == "DONE")
        return found

    def ended(self, service: str, operation: Mapping[str, Any]) -> dict[str, Any]:
        """The same for an operation of google.longrunning."""
        url = f"{service}.googleapis.com/v1/{operation['name']}"
        found: dict[str, Any] = eventually(lambda: self("GET", url), lambda one: one.get("done"))
        return found

    def network(self, name: str = "demo", ranges: bool = True, pods: str = "10.4.0.0/14") -> str:
        """A network with a subnetwork that has ranges for pods and services; its path."""
        body = {"name": name, "autoCreateSubnetworks": False}
        self.done(self.compute("POST", "global/networks", body))
        inside: dict[str, Any] = {
            "name": name,
            "network": f"projects/{PROJECT}/global/networks/{name}",
            "ipCidrRange": "10.0.0.0/20",
            "privateIpGoogleAccess": True,
        }
        if ranges:
            inside["secondaryIpRanges"] = [
                {"rangeName": "pods", "ipCidrRange": pods},
                {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
            ]
        self.done(self.compute("POST", f"regions/{REGION}/subnetworks", inside))
        return str(inside["network"])

    def wanted(self, name: str = "demo", **more: Any) -> dict[str, Any]:
        """What creates a cluster in that network, with a pool of two nodes."""
        return {
            "name": name,
            "network": f"projects/{PROJECT}/global/networks/demo",
            "subnetwork": f"projects/{PROJECT}/regions/{REGION}/subnetworks/demo",
            "ipAllocationPolicy": {
                "useIpAliases": True,
                "clusterSecondaryRangeName": "pods",
                "servicesSecondaryRangeName": "services",
            },
            "nodePools": [pool()],
            **more,
        }

    def create(self, location: str = ZONE, **more: Any) -> dict[str, Any]:
        """The operation that creates a cluster, once it has ended."""
        body = {"cluster": self.wanted(**more)}
        return self.done(self.gke("POST", f"locations/{location}/clusters", body))

    def cluster(self, location: str = ZONE, **more: Any) -> dict[str, Any]:
        """A cluster that is up."""
        done = self.create(location, **more)
        assert "error" not in done, done
        name = more.get("name", "demo")
        found: dict[str, Any] = self.gke("GET", f"locations/{location}/clusters/{name}")
        return found


def pool(name: str = "default", count: int = 2, **config: Any) -> dict[str, Any]:
    """What creates a node pool."""
    return {
        "name": name,
        "initialNodeCount": count,
        "config": {"machineType": "e2-standard-2", "diskSizeGb": 50, **config},
    }


def eventually(
    look: Callable[[], Any], good: Callable[[Any], object] = bool, within: float = 20.0
) -> Any:
    """What ``look`` sees, once it is good."""
    until = time.monotonic() + within
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


@contextmanager
def account(directory: Path, factor: float = math.inf) -> Iterator[Gcp]:
    """A sandbox of its own, with every answer judged at the end."""
    clouds: list[Judged] = []

    def make(context: SandboxContext) -> Judged:
        clouds.append(Judged(context))
        return clouds[-1]

    with Sandbox(directory=directory, pace=Pace(factor), emulators=[make]) as sandbox:
        yield Gcp(sandbox, clouds[0])
        assert clouds[0].wrong == []


@contextmanager
def anew(cloud: Gcp) -> Iterator[Gcp]:
    """The same sandbox for one more test: nothing in it, nothing wrong with it after."""
    cloud.cloud.store.conditions = Conditions()
    cloud.sandbox.faults.clear()
    cloud.sandbox.reset()
    yield cloud
    assert cloud.cloud.wrong == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcp]:
    with account(tmp_path_factory.mktemp("gcp")) as made:
        yield made


@pytest.fixture
def cloud(shared: Gcp) -> Iterator[Gcp]:
    with anew(shared) as made:
        made.enable(*SERVICES)
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Gcp]:
    """A sandbox in which operations take their time: a tenth of a second and more."""
    with account(tmp_path, 40) as made:
        made.enable(*SERVICES)
        yield made

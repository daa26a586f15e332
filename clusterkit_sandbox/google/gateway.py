"""The emulated front end of Google's APIs: authenticates, validates, dispatches."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import import_module

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.fault_targets import Operations
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.google import (
    access,
    account,
    authorization,
    buckets,
    downloads,
    federation,
    model,
    reach,
    uploads,
)
from clusterkit_sandbox.google.clusterlife import ClusterLife
from clusterkit_sandbox.google.failure import (
    TITLES,
    Failure,
    asked_for,
    compute,
    error_info,
    json_answer,
    not_emulated,
    not_found,
    rendered,
    rpc,
    storage,
)
from clusterkit_sandbox.google.operations import LATE, TOKEN, GoogleOperations
from clusterkit_sandbox.google.parameters import read
from clusterkit_sandbox.google.registry import GoogleRegistry
from clusterkit_sandbox.google.service import HANDLERS, Call
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tokens import Caller
from clusterkit_sandbox.kit.calls import Service
from clusterkit_sandbox.kit.shape import deprecated
from clusterkit_sandbox.kit.wire import Request, respond
from clusterkit_sandbox.permissions import Permissions

_LOG = logging.getLogger(__name__)
METHODS = (
    "addresses", "balancing", "buckets", "changes", "clusterchanges", "clusters", "disks",
    "dockerimages", "firewallpolicies", "impersonation", "locations", "longrunning", "machines",
    "networks", "nodepools", "objects", "projects", "repositories", "routers", "serviceaccounts",
    "services",
    "subnetworks",
)  # fmt: skip
"""the modules with methods; each registers its own on import"""
for _name in METHODS:
    import_module(f"clusterkit_sandbox.google.{_name}")
_READS = ("getIamPolicy", "testIamPermissions", "wait", "search")
_WAIT = 120.0
"""Seconds that ``wait`` of an operation takes at most (vendor: globalOperations.wait)."""
_LOOK = 0.02
_FEDERATION = ("sts.googleapis.com", "/v1/token")
_DIVERTED = {"/oauth2/v4/token", "/token"}


class GoogleCloud:
    """Implements ``clusterkit_sandbox.emulator.Emulator``."""

    name = "gke"
    operations: Operations = GoogleOperations()

    def __init__(self, context: SandboxContext) -> None:
        self.store = Store(context.pace, context.faults, context.content)
        self.registry = GoogleRegistry(self.store, context.content)
        self._service = Service(self.store, self.store.clock, HANDLERS, LATE)
        self._clusters = ClusterLife(self.store, context.kube)
        access.furnish(self.store)
        self._directory = context.directory
        self._users = 0

    def claims(self, host: str) -> bool:
        """The hosts of the emulated services."""
        return host in model.hosts()

    @cached_property
    def _environment(self) -> Mapping[str, str]:
        key = self.store.tokens.add_key(account.owner(), account.PROJECT)
        return account.environment(key, self._directory)

    def environment(self) -> Mapping[str, str]:
        """The sandbox's own service account, under every name that the vendor's clients read."""
        return self._environment

    def identity(self, permissions: Permissions) -> Mapping[str, str]:
        """The same for a new service account."""
        self._users += 1
        email = f"limited-{self._users}@{account.PROJECT}.iam.gserviceaccount.com"
        caller = Caller(email, f"1{self._users:020}", limits=permissions)
        key = self.store.tokens.add_key(caller, account.PROJECT)
        return account.environment(key, self._directory)

    def warm(self) -> None:
        """Load the published descriptions."""
        model.load()

    def certified(self, host: str) -> bool:
        """The DNS endpoints of clusters (vendor: "Customize your network isolation")."""
        return host.endswith(".gke.goog")

    def barred(self, host: str) -> str:
        """Why this machine may not connect to a cluster's endpoint."""
        with self.store.lock:
            return reach.barred(self.store, host)

    def reset(self) -> None:
        """Remove every resource and set the account up according to ``store.conditions``."""
        self.store.clear()
        self.registry.clear()
        self._clusters.clear()
        access.furnish(self.store)

    # -- names -----------------------------------------------------------------------------------

    def operation(self, environ: Environ, body: bytes) -> str:
        """``compute.networks.insert``; ``compute.?`` for no method."""
        request = Request.read(environ, body)
        if _wants_token(request):
            return TOKEN
        asked = model.find(downloads.meant(request) or request)
        return asked.method if asked is not None else f"{model.service(request)}.?"

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The service's response for an injected fault."""
        request = Request.read(environ, body)
        if _wants_token(request):
            error = {"throttle": (429, "rate_limit_exceeded"), "error": (503, "internal_failure"),
                     "denied": (400, "invalid_grant")}  # fmt: skip
            status, code = error.get(kind, (501, "unsupported"))
            return json_answer(status, {"error": code, "error_description": "It is injected."})
        service = model.service(request)
        if kind == "denied":
            method, project = self.operation(environ, body), account.PROJECT
            permission = next(iter(authorization.needed(method)), method)
            what = f"projects/{project}"
            return rendered(authorization.denied(service, permission, what, project), service)
        return rendered(_injected(service, kind), service)

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        """An error of a rule of kind ``refuse``, in the service's format."""
        request = Request.read(environ, body)
        if _wants_token(request):
            error = {"error": rule.code, "error_description": rule.text}
            return json_answer(rule.status or 400, error)
        service = model.service(request)
        return rendered(asked_for(rule.code, rule.status, rule.text, service), service)

    # -- requests --------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return respond(
            environ, start_response, lambda body: self._answer(Request.read(environ, body))
        )

    def _answer(self, request: Request) -> Answer:
        if _wants_token(request):
            return self.store.tokens.exchange(request)
        if (request.host, request.path) == _FEDERATION:
            return federation.exchange(self.store, self._clusters, request)
        short = downloads.meant(request)
        try:
            return self._run(short or request)
        except Failure as failure:
            if short is not None:
                return downloads.refused(failure)
            return rendered(failure, model.service(request))

    def _run(self, request: Request) -> Answer:
        asked = model.find(request)
        service = asked.api.name if asked is not None else model.service(request)
        unpacked = uploads.unpacked(request, self.store.uploads)
        if isinstance(unpacked, Answer):
            return unpacked
        request, content = unpacked
        caller = self.store.tokens.verify(request, service, asked.method if asked else "")
        if asked is None:
            raise rpc("NOT_FOUND", "Method not found.")
        if asked.method in asked.api.others:
            raise not_emulated(asked.method)
        operation = asked.api.operation(asked.method)
        parameters = read(request, asked, operation)
        call = Call(
            store=self.store,
            operation=asked.method,
            parameters=parameters,
            request_id="",
            faults=self.store.faults,
            version=asked.api.version,
            caller=caller,
            clusters=self._clusters,
            request=request,
            content=content,
        )
        self._admit(call, service, model.path(request).removeprefix(asked.api.path).strip("/"))
        if asked.method not in HANDLERS:
            raise not_emulated(asked.method)
        if "body" in parameters:
            shape = operation.parameters.fields["body"].shape
            for name in deprecated(parameters["body"], shape, asked.api.names):
                _LOG.info("%s: the field %s is deprecated", asked.method, name)
        found = self._served(call, reading=request.method == "GET" or asked.method.endswith(_READS))
        return found if isinstance(found, Answer) else json_answer(200, found)

    def _served(self, call: Call, *, reading: bool) -> object:
        """What the handler answers; ``wait`` of an operation asks again until it has ended."""
        until = time.monotonic() + self.store.clock.pace.scaled(_WAIT)
        while True:
            found = self._service.run(call, reading=reading)
            if not call.operation.endswith("Operations.wait") or time.monotonic() >= until:
                return found
            if isinstance(found, dict) and found.get("status") == "DONE":
                return found
            time.sleep(_LOOK)

    def _admit(self, call: Call, service: str, path: str) -> None:
        """Refuse a project that does not exist, a service that is not enabled, and what the caller
        may not do, in this order.
        """
        asked = call.asked_project
        if asked and account.project_id(asked) is None:
            raise _no_project(service, asked)
        consumer = call.project if asked else account.PROJECT
        with self.store.lock:
            usable = service == "sts" or self.store.usable(consumer, service)
        if not usable:
            raise _disabled(service, account.PROJECTS[consumer])
        if service == "storage":
            with self.store.lock:
                buckets.check(call)
            return
        made = call.body.get("name") if call.operation.endswith(".insert") else None
        resource = f"{path}/{made}" if made else path.removeprefix(f"{call.version}/")
        resource = resource.partition(":")[0]
        authorization.check(self.store, call.caller, call.operation, resource, call.project)


def _wants_token(request: Request) -> bool:
    return request.host in (model.TOKENS, model.OLD_HOST) and request.path in _DIVERTED


def _injected(service: str, kind: str) -> Failure:
    """Compute Engine says 403 for a rate (facts/gcp.tsv), the others 429."""
    if kind == "unimplemented":
        return not_emulated("this")
    if kind == "error":
        if service == "compute":
            return compute("backendError", "Internal error. Please try again.", 503)
        if service == "storage":
            return storage("backendError", "Backend Error")
        return rpc("UNAVAILABLE", "The service is currently unavailable.")
    if service == "storage":
        text = "The project exceeded the rate limit for creating and deleting buckets."
        return storage("rateLimitExceeded", text)
    host, number = f"{service}.googleapis.com", account.PROJECTS[account.PROJECT]
    text = (
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service"
        f" '{host}' for consumer 'project_number:{number}'."
    )
    detail = error_info("RATE_LIMIT_EXCEEDED", service=host, consumer=f"projects/{number}")
    if service == "compute":
        return Failure(
            403, text, reason="rateLimitExceeded", domain="usageLimits", details=[detail]
        )
    return rpc("RESOURCE_EXHAUSTED", text, details=[detail])


def _no_project(service: str, project: str) -> Failure:
    """Sources: facts/gcp.tsv (PROJECT_NOT_FOUND; Resource Manager tells nobody what exists)."""
    if service == "compute":
        return not_found(f"projects/{project}")
    if service == "storage":
        return storage("invalid", f"Unknown project id: {project}")
    if service == "cloudresourcemanager":
        return rpc("PERMISSION_DENIED", "The caller does not have permission")
    detail = error_info("CONSUMER_INVALID", consumer=f"projects/{project}")
    text = f"Permission denied on resource project {project}."
    return rpc("PERMISSION_DENIED", text, details=[detail])


def _disabled(service: str, number: str) -> Failure:
    host = f"{service}.googleapis.com"
    url = f"https://console.developers.google.com/apis/api/{host}/overview?project={number}"
    text = (
        f"{TITLES[service]} has not been used in project {number} before or it is disabled."
        f" Enable it by visiting {url} then retry. If you enabled this API recently, wait a few"
        " minutes for the action to propagate to our systems and retry."
    )
    detail = error_info(
        "SERVICE_DISABLED", service=host, consumer=f"projects/{number}", activationUrl=url,
        serviceTitle=TITLES[service],
    )  # fmt: skip
    return Failure(403, text, code="PERMISSION_DENIED", reason="accessNotConfigured",
                   domain="usageLimits", details=[detail])  # fmt: skip

"""The emulated front end of Azure: authenticates, validates, dispatches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.azure import (
    account,
    arm,
    assignments,
    authorization,
    clusters,
    compute,
    credentials,
    dnszones,
    entra,
    gateways,
    graph,
    groups,
    identities,
    locks,
    model,
    networks,
    polling,
    pools,
    power,
    protection,
    providers,
    registries,
    securitygroups,
    storageaccounts,
    subscriptions,
    vaults,
)
from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.clusterlife import ClusterLife
from clusterkit_sandbox.azure.failure import Failure, json_answer, not_emulated, refusal, rendered
from clusterkit_sandbox.azure.model import Asked
from clusterkit_sandbox.azure.operations import LATE, AzureOperations
from clusterkit_sandbox.azure.parameters import read, version
from clusterkit_sandbox.azure.registry import AcrRegistry
from clusterkit_sandbox.azure.running import retry_after
from clusterkit_sandbox.azure.service import HANDLERS, Call, Handler, Reply
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.fault_targets import Operations
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.kit.calls import Service
from clusterkit_sandbox.kit.wire import Request, respond
from clusterkit_sandbox.permissions import Permissions

OPERATIONS = (
    assignments, clusters, compute, credentials, dnszones, gateways, groups, identities, locks,
    networks, polling, pools, power, providers, registries, securitygroups, storageaccounts,
    subscriptions, vaults,
)  # fmt: skip
"""the modules with operations; each registers its own on import"""
_METADATA = "/metadata/endpoints"
_THROTTLED: Mapping[str, str] = {
    "containerservice": "Throttled",
    "entra": "temporarily_unavailable",
}
"""The code of a service's throttling; ``TooManyRequestsReceived`` is Resource Manager's."""


class AzureCloud:
    """Implements ``clusterkit_sandbox.emulator.Emulator``."""

    name = "aks"
    operations: Operations = AzureOperations()

    def __init__(self, context: SandboxContext) -> None:
        self.store = Store(context.pace, context.faults, context.content)
        self.registry = AcrRegistry(self.store, context.content)
        self._clusters = ClusterLife(self.store, context.kube)
        self._directory = context.directory
        self._users = 0

    @cached_property
    def _service(self) -> Service[Call]:
        return Service(self.store, self.store.clock, handlers(), LATE)

    def claims(self, host: str) -> bool:
        """The hosts of the emulated services."""
        return host in (model.MANAGER, model.LOGIN, model.GRAPH)

    @cached_property
    def _environment(self) -> Mapping[str, str]:
        caller = account.owner()
        secret = self.store.tokens.add_secret(caller)
        return account.environment(caller, secret, self._directory)

    def environment(self) -> Mapping[str, str]:
        """The sandbox's own service principal, under every name that clients read."""
        return self._environment

    def identity(self, permissions: Permissions) -> Mapping[str, str]:
        """The same for a new service principal."""
        self._users += 1
        caller = account.principal(f"limited-{self._users}", limits=permissions)
        secret = self.store.tokens.add_secret(caller)
        return account.environment(caller, secret, self._directory)

    def warm(self) -> None:
        """Load the published descriptions."""
        handlers()

    def certified(self, _: str) -> bool:
        """Clusters sign for themselves."""
        return False

    def barred(self, host: str) -> str:
        """Whether a cluster's authorised ranges leave this machine out."""
        return self._clusters.barred(host)

    def reset(self) -> None:
        """Remove every resource and set the account up according to ``store.conditions``."""
        self.store.clear()
        self._clusters.clear()

    # -- names -----------------------------------------------------------------------------------

    def operation(self, environ: Environ, body: bytes) -> str:
        """``network:NatGateways_Get``; ``resources:?`` for none."""
        request = Request.read(environ, body)
        if request.host == model.LOGIN:
            return entra.operation(request)
        if request.host == model.GRAPH:
            return graph.READ
        asked = model.find(request)
        return asked.operation if asked is not None else "resources:?"

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The service's response for an injected fault."""
        service = self.operation(environ, body).partition(":")[0]
        if kind == "denied":
            return self._told(self._denied(Request.read(environ, body)), service)
        return self._told(self._injected(service, kind), service)

    def _denied(self, request: Request) -> Failure:
        """What Resource Manager says to who may not do this."""
        asked = model.find(request)
        try:
            who = authorization.client(self._caller(request))
        except Failure as failure:
            return failure
        action = authorization.needed(asked, request.method) if asked is not None else ""
        scope = model.path_of(request).rstrip("/")
        action = action or f"Microsoft.Resources/{request.method.lower()}"
        return refusal("AuthorizationFailed", client=who, action=action, scope=scope)

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        """An error of a rule of kind ``refuse``, in the service's format."""
        service = self.operation(environ, body).partition(":")[0]
        failure = Failure(rule.code, rule.text, rule.status or 0)
        if failure.status == 429:
            failure.headers = retry_after(self.store.clock.pace)
        return self._told(failure, service)

    def _told(self, failure: Failure, service: str) -> Answer:
        return self._identified(_worded(failure, service), "")

    def _identified(self, answer: Answer, correlation: str) -> Answer:
        """The answer with the ids that support asks for."""
        correlation = correlation or self.store.new_uuid()
        headers = (("x-ms-request-id", self.store.new_uuid()),
                   ("x-ms-correlation-request-id", correlation))  # fmt: skip
        return Answer(answer.status, (*answer.headers, *headers), answer.body)

    def _injected(self, service: str, kind: str) -> Failure:
        if kind == "unimplemented":
            return not_emulated("this")
        headers = retry_after(self.store.clock.pace)
        if kind == "error":
            return refusal("ServiceUnavailable", headers=headers)
        code = _THROTTLED.get(service, "TooManyRequestsReceived")
        text = "The request limit has been exceeded, please retry again later."
        return Failure(code, text, 429, headers=headers)

    # -- requests --------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return respond(
            environ, start_response, lambda body: self._answer(Request.read(environ, body))
        )

    def _answer(self, request: Request) -> Answer:
        if request.host == model.LOGIN:
            return entra.answer(self.store, request, self._clusters.issuer)
        if request.host == model.GRAPH:
            return graph.answer(self.store, request)
        if request.path == _METADATA:
            return json_answer(200, subscriptions.metadata())
        asked = model.find(request)
        service = asked.service if asked is not None else "resources"
        try:
            answer = self._run(request, asked)
        except Failure as failure:
            answer = rendered(failure, service)
        return self._identified(answer, request.headers.get("x-ms-client-request-id", ""))

    def _run(self, request: Request, asked: Asked | None) -> Answer:
        caller = self._caller(request)
        given = version(request)
        if asked is None:
            if "/providers/" in request.path.lower():
                raise not_emulated(request.path.rpartition("/providers/")[2])
            raise refusal("NotFound#route", path=request.path)
        if not model.emulated(asked):
            raise not_emulated(asked.operation)
        headers = {n: v for n, v in request.headers.items() if n in ("if-match", "if-none-match")}
        call = Call(
            store=self.store,
            clusters=self._clusters,
            asked=asked,
            path=model.path_of(request).rstrip("/"),
            operation=asked.operation,
            parameters=dict(asked.path),
            request_id="",
            faults=self.store.faults,
            headers=headers,
            version=given,
            caller=caller,
            skip=next((v for k, v in request.query if k.lower() == "$skiptoken"), ""),
        )
        self._admit(call, request.method)
        call = _with(call, read(request, asked))
        if request.method == "PUT":
            with self.store.lock:
                action = authorization.needed(asked, "PUT")
                authorization.check_linked(self.store, caller, action, call.path, call.body)
        if asked.operation not in handlers():
            raise not_emulated(asked.operation)
        reading = request.method in ("GET", "HEAD")
        found = self._service.run(call, reading=reading)
        with self.store.lock:  # what is shown may change as soon as the lock is free
            if isinstance(found, Reply):
                return json_answer(found.status, found.body, found.headers)
            return json_answer(200, found)

    def _caller(self, request: Request) -> Caller:
        """Who makes a request; 401 for a missing or bad token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            why = "The authentication failed because of missing 'Authorization' header."
            text = "Authentication failed. The 'Authorization' header is missing."
            raise _unauthenticated("AuthenticationFailed", text, why)
        claims = self.store.tokens.read(token.strip())
        if claims is None:
            text = "The access token is invalid."
            raise _unauthenticated("InvalidAuthenticationToken", text, text)
        if claims["exp"] <= time.time():
            text = "The access token expiry UTC time is earlier than current UTC time."
            raise _unauthenticated("ExpiredAuthenticationToken", text, text)
        host = str(claims["aud"]).removeprefix("https://")
        if host not in (model.MANAGER, "management.core.windows.net"):
            text = (
                "The access token has been obtained for wrong audience or resource"
                f" '{claims['aud']}'. It should exactly match with one of the allowed audiences"
                f" 'https://management.core.windows.net','https://{model.MANAGER}'."
            )
            raise _unauthenticated("InvalidAuthenticationTokenAudience", text, text)
        caller = self.store.tokens.principal(str(claims["oid"]))
        if caller is None:
            text = "The access token is invalid."
            raise _unauthenticated("InvalidAuthenticationToken", text, text)
        return caller

    def _admit(self, call: Call, method: str) -> None:
        """Refuse a subscription that does not exist, what the caller may not do, what is protected,
        too many requests, a resource provider that is not registered, and what a policy does not
        allow, in this order.
        """
        with self.store.lock:
            subscription = call.subscription
            if subscription and subscription not in account.SUBSCRIPTIONS:
                raise refusal("SubscriptionNotFound", subscription=subscription)
            action = authorization.needed(call.asked, method)
            scope = authorization.scope_of(call.asked, call.path)
            authorization.check(self.store, call.caller, action, scope)
            protection.check(self.store, call.caller, method, action, call.path)
            self.store.buckets.take(call.operation, call.path, subscription)
            if method != "PUT" or not subscription:
                return
            namespace = model.NAMESPACES[call.asked.service]
            providers.require(self.store, subscription, namespace)
            kind = "/".join(action.split("/")[:-1])
            if kind.lower() in self.store.conditions.disallowed:
                raise refusal(
                    "RequestDisallowedByPolicy",
                    target=call.path.rpartition("/")[2],
                    name=call.path.rpartition("/")[2],
                )


def _with(call: Call, parameters: Mapping[str, object]) -> Call:
    return Call(**{**call.__dict__, "parameters": {**call.asked.path, **parameters}})


def _unauthenticated(code: str, text: str, why: str) -> Failure:
    challenge = (
        f'Bearer authorization_uri="https://login.windows.net/{account.TENANT}",'
        f' error="invalid_token", error_description="{why}"'
    )
    return Failure(code, text, 401, headers={"WWW-Authenticate": challenge})


def _worded(failure: Failure, service: str) -> Answer:
    if service == "entra":
        body = {"error": failure.code, "error_description": failure.message}
        return json_answer(failure.status, body, failure.headers)
    return rendered(failure, service)


@cache
def handlers() -> Mapping[str, Handler]:
    """Every operation that is served, and what serves it."""
    found: dict[str, Handler] = {}
    for service, one in model.descriptions().items():
        for name, entry in one.operations.items():
            serve: Callable[[Call], object] | None = HANDLERS.get(f"{service}:{name}")
            serve = serve or arm.generic(entry["method"], entry["path"])
            if serve is not None:
                found[f"{service}:{name}"] = serve
        for name in model.UNDESCRIBED:
            found[f"{service}:{name}"] = HANDLERS[name]
    return found

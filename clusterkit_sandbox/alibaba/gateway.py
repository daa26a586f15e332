"""The emulated API gateway of Alibaba Cloud: authenticates, validates, dispatches."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping

from clusterkit_sandbox.alibaba import (
    account,
    acls,
    activation,
    addons,
    authorization,
    autoscaling,
    balancers,
    clusters,
    clusterviews,
    eip,
    endpoints,
    grants,
    groups,
    instances,
    keypairs,
    kubeconfig,
    limits,
    model,
    nat,
    nodepools,
    offers,
    personal,
    policies,
    poolnodes,
    ram,
    reach,
    registry,
    repositories,
    scaling,
    snat,
    tags,
    taskviews,
    volumes,
    vpc,
    vswitch,
)
from clusterkit_sandbox.alibaba.catalogue import REGIONS
from clusterkit_sandbox.alibaba.clusterlife import ClusterLife
from clusterkit_sandbox.alibaba.failure import (
    GATEWAY_CODES,
    Failure,
    json_answer,
    not_emulated,
    rendered,
)
from clusterkit_sandbox.alibaba.operations import LATE, AlibabaOperations
from clusterkit_sandbox.alibaba.parameters import read
from clusterkit_sandbox.alibaba.registryhosts import AliyunRegistry
from clusterkit_sandbox.alibaba.request import Request, host_parts
from clusterkit_sandbox.alibaba.service import HANDLERS, Accepted, Call
from clusterkit_sandbox.alibaba.signature import AccessKey
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.fault_targets import Operations
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.kit.calls import Service
from clusterkit_sandbox.kit.shape import deprecated
from clusterkit_sandbox.kit.wire import respond
from clusterkit_sandbox.permissions import Permissions

_LOG = logging.getLogger(__name__)

REGION = "ap-southeast-1"
"""The default region."""
OPERATIONS = (
    acls, activation, addons, autoscaling, balancers, clusters, clusterviews, eip, endpoints,
    grants, groups, instances, keypairs, kubeconfig, limits, nat, nodepools, offers, personal,
    policies, poolnodes, ram, registry, repositories, scaling, snat, tags, taskviews, volumes, vpc,
    vswitch,
)  # fmt: skip
"""the modules with operations; each registers its own on import"""
_READS = ("Check", "Describe", "Get", "List", "Query")
_INJECTED = {
    # vendor: "Throttling.User" and "ServiceUnavailable" in the common error codes of every service
    "throttle": (400, "Throttling.User", "Request was denied due to user flow control."),
    "error": (
        503,
        "ServiceUnavailable",
        "The request has failed due to a temporary failure of the server.",
    ),
    "unimplemented": (501, "Sandbox.NotImplemented", "This is not in the sandbox."),
}


class AlibabaCloud:
    """Implements ``clusterkit_sandbox.emulator.Emulator``."""

    name = "alibaba"
    operations: Operations = AlibabaOperations()

    def __init__(self, context: SandboxContext) -> None:
        self.store = Store(context.pace, context.faults, context.content)
        self.registry = AliyunRegistry(self.store, context.content)
        self._service = Service(self.store, self.store.clock, HANDLERS, LATE)
        self._clusters = ClusterLife(
            self.store, context.kube, lambda cluster: grants.objects(self.store, cluster)
        )
        self._key = account.new_key()
        self._users = 0
        self._ca = context.directory / "ca.pem"
        self.store.signatures.add(self._key)
        account.furnish(self.store)

    def claims(self, host: str) -> bool:
        """The endpoints of the emulated services, in every region."""
        return host_parts(host)[0] in model.HOSTS.values()

    def environment(self) -> Mapping[str, str]:
        """The keys of the sandbox's account, under every name that the vendor's clients read."""
        return account.environment(self._key, REGION, str(self._ca))

    def identity(self, permissions: Permissions) -> Mapping[str, str]:
        """The same for a new RAM user."""
        self._users += 1
        key = account.new_key(f"limited-{self._users}", permissions)
        self.store.signatures.add(key)
        return account.environment(key, REGION, str(self._ca))

    def warm(self) -> None:
        """Load the published descriptions."""
        model.products()

    def certified(self, _: str) -> bool:
        """Clusters sign for themselves."""
        return False

    def barred(self, host: str) -> str:
        """Why this machine may not connect to a cluster's endpoint."""
        with self.store.lock:
            return reach.barred(self.store, host)

    def reset(self) -> None:
        """Remove every resource and set the account up according to ``store.conditions``."""
        self.store.clear()
        self.registry.clear()
        self._clusters.clear()
        account.furnish(self.store)

    # -- names -----------------------------------------------------------------------------------

    def operation(self, environ: Environ, body: bytes) -> str:
        """``vpc:CreateVpc``; ``?`` for unknown parts."""
        request = Request.read(environ, body)
        product, action, _ = model.named(request)
        return f"{product.name if product else request.product}:{action or '?'}"

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The gateway's response for an injected fault."""
        request = Request.read(environ, body)
        style = "RPC"
        if kind == "denied":
            operation = self.operation(environ, body)
            action = next(iter(authorization.needed(operation)), operation)
            failure, style = authorization.denial(operation, action), request.style
        else:
            status, code, message = _INJECTED[kind]
            failure = Failure(status, code, message, gateway=True)
        return rendered(failure, style=style, host=request.host, request_id=_request_id())

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        """An error of a rule of kind ``refuse``, in the service's or in the gateway's format."""
        request = Request.read(environ, body)
        gateway = rule.gateway
        if gateway is None:
            gateway = rule.code.startswith(GATEWAY_CODES)
        failure = Failure(rule.status or 400, rule.code, rule.text, gateway=gateway)
        return rendered(failure, style=request.style, host=request.host, request_id=_request_id())

    # -- requests --------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return respond(
            environ, start_response, lambda body: self._answer(Request.read(environ, body))
        )

    def _answer(self, request: Request) -> Answer:
        request_id = _request_id()
        try:
            key = self.store.signatures.verify(request)
            return self._run(request, key, request_id)
        except Failure as failure:
            return rendered(failure, style=request.style, host=request.host, request_id=request_id)

    def _run(self, request: Request, key: AccessKey, request_id: str) -> Answer:
        operation, path = model.find(request)
        authorization.check(operation.name, key, self.store)
        if request.flat.get("Format", "JSON").upper() != "JSON":
            raise not_emulated("answers in another format than JSON")
        parameters = read(request, operation)
        _check_endpoint(request)
        for name in deprecated(parameters, operation.parameters, {}):
            _LOG.warning("%s: the parameter %s is deprecated", operation.name, name)
        call = Call(
            store=self.store,
            operation=operation.name,
            parameters=parameters,
            path=path,
            region_asked=request.region or REGION,
            key=key,
            request_id=request_id,
            faults=self.store.faults,
            clusters=self._clusters,
        )
        reading = operation.name.partition(":")[2].startswith(_READS)
        found = self._service.run(call, reading=reading)
        status, body = (202, found.body) if isinstance(found, Accepted) else (200, found)
        if operation.style == "RPC" and isinstance(body, dict):
            body = {"RequestId": request_id, **body}
        return json_answer(status, body, request_id)


def _check_endpoint(request: Request) -> None:
    """Refuse a region that is not the endpoint's (vendor: ECS "Common error codes")."""
    there, asked = host_parts(request.host)[1], request.flat.get("RegionId")
    regional = request.host.endswith(f".{there}.aliyuncs.com")
    if request.style == "RPC" and regional and asked in REGIONS and asked != there:
        raise Failure(
            404,
            "InvalidOperation.NotSupportedEndpoint",
            "The specified endpoint can't operate this region. Please use API DescribeRegions to"
            " get the appropriate endpoint, or upgrade your SDK to latest version.",
        )


def _request_id() -> str:
    return str(uuid.uuid4()).upper()

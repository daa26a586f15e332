"""The EKS emulator: dispatch, time, tokens, pages. The operations are in
``clusters.py``, ``groups.py``, ``addons.py`` and ``access.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from clusterkit_sandbox.answer import Environ, StartResponse, Wsgi
from clusterkit_sandbox.aws.account import ACCOUNT, Account
from clusterkit_sandbox.aws.description import Description
from clusterkit_sandbox.aws.records import KINDS, ClusterRecord, Record, Shown, Update
from clusterkit_sandbox.aws.refusals import Refusal, in_use, invalid, not_found
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.kit.calls import Handlers, Tokens, cut, page_start, page_token
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.life import Clock, Life
from clusterkit_sandbox.kit.operations import Error, Operations
from clusterkit_sandbox.kit.store import Store
from clusterkit_sandbox.kit.system import Installer

Operation = Callable[["Eks", dict[str, Any]], dict[str, Any]]
OPERATIONS: Handlers[Operation] = Handlers()
PAGE = 100
"""items per page, unless ``maxResults`` is less (EKS API)"""


def operation(function: Operation) -> Operation:
    """Register a function under the operation that it is named after: ``create_cluster``."""
    name = getattr(function, "__name__")  # noqa: B009 - a Callable has none for mypy
    published = "".join(part.capitalize() for part in name.split("_"))
    return OPERATIONS.serve(f"eks:{published}")(function)


def now() -> datetime:
    """The time, as in API objects."""
    return datetime.now(UTC)


class Eks:
    """One account's EKS, all regions; call it with the account's lock held."""

    def __init__(self, account: Account, context: SandboxContext) -> None:
        self.account = account
        self.context = context
        self.clock = Clock(context.pace)
        self.store = Store(account.lock)
        self.life = Life(self.clock, account.lock, "status")
        self.updates = Operations[Update](self.clock, account.lock, _show)
        self.tokens = Tokens()
        self.endpoints = Endpoints(context.kube, "eks/")
        self.system = Installer(self.endpoints, self.clock, "eks")
        self.description = Description("eks")
        self.door: Wsgi = _closed
        """the emulator itself, for those of its own who call it"""
        self.clients: dict[tuple[str, str, str], Any] = {}
        """the vendor's clients of its own, by access key, service and region"""
        self.name = ""
        """the region of the current call"""
        self.operation = ""
        """the current call: ``eks:UpdateAddon``"""
        self.caller = ""
        """the ARN of who makes the call under way"""

    def run(
        self, name: str, parameters: dict[str, Any], region: str, caller: str
    ) -> dict[str, Any]:
        """Run one operation; ``Refusal`` with EKS's error."""
        function = OPERATIONS.get(name)
        if function is None:
            raise Refusal("NotImplemented", f"{name} is not in the sandbox", 501)
        self.name, self.caller, self.operation = region, caller, name
        if name.startswith("eks:Create") and reserved(parameters.get("tags")):
            raise invalid(RESERVED)
        token = parameters.get("clientRequestToken")
        if not token:
            return function(self, parameters)
        return self.tokens.once(
            (region, token),
            (name, {k: v for k, v in parameters.items() if k != "clientRequestToken"}),
            lambda: function(self, parameters),
            invalid("The client request token was used with other parameters"),
            self._lives,
        )

    def _lives(self, answer: dict[str, Any]) -> bool:
        """Whether the resource in an answer still exists; its token expires with it."""
        living = [one.shown for one in self._here()]
        for cluster in self.store.all(ClusterRecord, self.name):
            living += [update.shown for update in self.updates.of(cluster.arn)]
        return any(shown is value for shown in living for value in answer.values())

    def _here(self) -> Iterator[Record]:
        """Every resource in the region of the current call."""
        for kind in KINDS:
            for one in self.store.all(kind):
                if one.scope.partition("/")[0] == self.name:
                    yield one

    # -- time ------------------------------------------------------------------------------------

    def age(self) -> float:
        """Seconds until EKS sees a new role of IAM."""
        return self.context.pace.seconds("iam/propagation")

    # -- what operations share -------------------------------------------------------------------

    def arn(self, kind: str, *parts: str) -> str:
        """An ARN of this region."""
        return f"arn:aws:eks:{self.name}:{ACCOUNT}:{kind}/{'/'.join(parts)}"

    def cluster(self, name: str) -> ClusterRecord:
        """The cluster, or ``ResourceNotFoundException``."""
        found = self.store.get(ClusterRecord, name, self.name)
        if found is None:
            raise not_found(f"No cluster found for name: {name}.", clusterName=name)
        return found

    def active(self, name: str) -> ClusterRecord:
        """The cluster, if it can be changed."""
        found = self.cluster(name)
        if found.status == "CREATING" or found.status == "DELETING" or found.status == "FAILED":
            raise Refusal(
                "InvalidRequestException" if found.status == "FAILED" else "ResourceInUseException",
                f"Cluster '{name}' is not in ACTIVE status",
                409 if found.status != "FAILED" else 400,
                clusterName=name,
            )
        return found

    def update(
        self,
        cluster: ClusterRecord,
        thing: Record,
        kind: str,
        what: str,
        done: Callable[[], None],
    ) -> Shown:
        """Start an update of the cluster or of a ``thing`` in it; ``done`` is called when it ends.

        The fault ``terminal`` on the current call makes it fail.
        """
        shown: Shown = {
            "id": str(uuid4()),
            "type": kind,
            "params": [],
            "createdAt": now(),
            "errors": [],
        }
        parent, failed = cluster.arn, self.context.faults.terminal(self.operation)
        update = Update(
            id=shown["id"], kind=kind, parent=parent, target=part(thing.shown), shown=shown
        )
        self.life.show(thing, "UPDATING")

        def end() -> Error | None:
            if failed:
                self.life.show(thing, "ACTIVE")
                return FAILED
            done()
            return None

        self.updates.end_later(self.updates.begin(update), what, end)
        return shown

    def busy(self, name: str) -> None:
        """``ResourceInUseException`` while the cluster itself is being updated."""
        running = self.updates.running(self.cluster(name).arn)
        if any(not update.target for update in running):
            raise in_use(f"Cluster {name} currently has update in progress", clusterName=name)

    def page(self, items: Iterable[Any], asked: dict[str, Any]) -> tuple[list[Any], str | None]:
        """One page, and the token for the next."""
        try:
            start = page_start(asked.get("nextToken"))
        except ValueError as error:
            raise invalid("nextToken is not valid") from error
        size = asked.get("maxResults") or PAGE
        some, after = cut(list(items), start, size, self.context.faults)
        return list(some), page_token(after)

    def tagged(self, arn: str) -> Shown:
        """The API object with this ARN."""
        for one in self._here():
            if one.arn == arn:
                return one.shown
        raise Refusal("NotFoundException", f"The resource {arn} was not found", 404)

    def reset(self) -> None:
        """Remove everything and close every endpoint."""
        self.endpoints.clear()
        self.store.clear()
        self.updates.clear()
        self.tokens.clear()
        self.clients.clear()


def _closed(_: Environ, __: StartResponse) -> Iterable[bytes]:
    raise RuntimeError("the emulator is not up")


FAILED = (
    "InsufficientFreeAddresses",
    "One or more of the subnets associated with your cluster does not have enough available IP"
    " addresses for Amazon EKS to perform cluster management operations.",
)
"""how an update fails that is to fail (EKS API, ``ErrorDetail``)"""
_STATUSES = {"running": "InProgress", "done": "Successful", "failed": "Failed"}


def _show(update: Update) -> None:
    """Write an update's state into its API object."""
    update.shown["status"] = _STATUSES[update.state]
    if update.error is not None:
        code, message = update.error
        update.shown["errors"] = [{"errorCode": code, "errorMessage": message, "resourceIds": []}]


def part(names: Mapping[str, Any]) -> str:
    """Which node group or add-on an API object or a request names; empty for the cluster."""
    return "/".join(f"{key}/{names[key]}" for key in PARTS if names.get(key))


PARTS = ("nodegroupName", "addonName")


RESERVED = "Tag keys that begin with aws: are reserved"


def reserved(tags: dict[str, str] | None) -> bool:
    return any(key.lower().startswith("aws:") for key in tags or {})

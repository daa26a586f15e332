"""The EKS emulator: dispatch, time, tokens, pages. The operations are in
``clusters.py``, ``groups.py``, ``addons.py`` and ``access.py``.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import uuid4

from clusterkit_sandbox.aws.account import ACCOUNT, Account
from clusterkit_sandbox.aws.description import Description
from clusterkit_sandbox.aws.records import ClusterRecord, Record, Region, Shown
from clusterkit_sandbox.aws.refusals import Refusal, in_use, invalid, not_found
from clusterkit_sandbox.emulator import SandboxContext

Operation = Callable[["Eks", dict[str, Any]], dict[str, Any]]
OPERATIONS: dict[str, Operation] = {}
PAGE = 100
"""items per page, unless ``maxResults`` is less (EKS API)"""


def operation(function: Operation) -> Operation:
    """Register a function under the operation it is named after: ``create_cluster``."""
    name = getattr(function, "__name__")  # noqa: B009 - a Callable has none for mypy
    OPERATIONS["".join(part.capitalize() for part in name.split("_"))] = function
    return function


def now() -> datetime:
    """The time, as in API objects."""
    return datetime.now(UTC)


class Eks:
    """One account's EKS, all regions; call it with the account's lock held."""

    def __init__(self, account: Account, context: SandboxContext) -> None:
        self.account = account
        self.context = context
        self.description = Description("eks")
        self.regions: dict[str, Region] = {}
        self.name = ""
        """the region of the current call"""
        self.operation = ""
        """the current call: ``UpdateAddon``"""
        self.caller = ""
        """the ARN of who makes the call under way"""

    @property
    def region(self) -> Region:
        """The region of the current call."""
        return self.regions.setdefault(self.name, Region())

    def run(
        self, name: str, parameters: dict[str, Any], region: str, caller: str
    ) -> dict[str, Any]:
        """Run one operation; ``Refusal`` with EKS's error."""
        function = OPERATIONS.get(name)
        if function is None:
            raise Refusal("NotImplemented", f"{name} is not in the sandbox", 501)
        self.name, self.caller, self.operation = region, caller, name
        self.tick()
        if name.startswith("Create") and reserved(parameters.get("tags")):
            raise invalid(RESERVED)
        token = parameters.get("clientRequestToken")
        if not token:
            return function(self, parameters)
        rest = {k: v for k, v in parameters.items() if k != "clientRequestToken"}
        digest = sha256(json.dumps([name, rest], sort_keys=True, default=str).encode()).hexdigest()
        if token in self.region.tokens and self._lives(self.region.tokens[token][1]):
            before, answer = self.region.tokens[token]
            if before != digest:
                raise invalid("The client request token was used with other parameters")
            return answer
        answer = function(self, parameters)
        self.region.tokens[token] = (digest, answer)
        return answer

    def _lives(self, answer: dict[str, Any]) -> bool:
        """Whether the resource in an answer still exists; its token expires with it."""
        for cluster in self.region.clusters.values():
            for shown in (*_things(cluster), *cluster.updates.values()):
                if any(shown is value for value in answer.values()):
                    return True
        return False

    # -- time ------------------------------------------------------------------------------------

    def due(self, what: str) -> float:
        """The time at which something with this recorded duration ends, if it starts now."""
        return time.time() + self.context.pace.seconds(what)

    def age(self) -> float:
        """Seconds until EKS sees a new role of IAM."""
        return self.context.pace.seconds("iam/propagation")

    def tick(self) -> None:
        """Advance everything that is due, in every region."""
        before = self.name
        for name, region in self.regions.items():
            self.name = name
            moved = True
            while moved:
                moved = False
                for cluster in list(region.clusters.values()):
                    moved |= self._tick_cluster(region, cluster)
        self.name = before

    def _tick_cluster(self, region: Region, cluster: ClusterRecord) -> bool:
        moved = False
        for groups in (cluster.groups, cluster.addons):
            things: dict[str, Any] = groups
            for key, thing in list(things.items()):
                moved |= self._arrive(things, key, thing)
        for update in [u for u in cluster.running if u[0] <= time.time()]:
            cluster.running.remove(update)
            update[1]["status"] = "Successful"  # unless what follows knows better
            update[2]()
            moved = True
        return moved | self._arrive(region.clusters, cluster.shown["name"], cluster)

    def _arrive(self, things: dict[str, Any], key: str, thing: Record) -> bool:
        if thing.due is None or thing.due > time.time():
            return False
        then, arrived = thing.then, thing.arrived
        thing.due = thing.then = thing.arrived = None
        if arrived is not None:
            arrived()
        if then is None:
            del things[key]
        else:
            thing.shown["status"] = then
        return True

    # -- what operations share -------------------------------------------------------------------

    def arn(self, kind: str, *parts: str) -> str:
        """An ARN of this region."""
        return f"arn:aws:eks:{self.name}:{ACCOUNT}:{kind}/{'/'.join(parts)}"

    def cluster(self, name: str) -> ClusterRecord:
        """The cluster, or ``ResourceNotFoundException``."""
        found = self.region.clusters.get(name)
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
            "status": "InProgress",
            "type": kind,
            "params": [],
            "createdAt": now(),
            "errors": [],
            # not in the API object: describe_update and list_updates filter by it
            **{key: thing.shown[key] for key in PARTS if key in thing.shown},
        }
        if self.context.faults.terminal(f"eks:{self.operation}"):
            done = partial(_fail, shown, thing.shown)
        thing.shown["status"] = "UPDATING"
        cluster.updates[shown["id"]] = shown
        cluster.running.append((self.due(what), shown, done))
        return shown

    def busy(self, name: str) -> None:
        """``ResourceInUseException`` while the cluster itself is being updated."""
        cluster = self.cluster(name)
        if cluster.status == "UPDATING":
            raise in_use(f"Cluster {name} currently has update in progress", clusterName=name)

    def page(self, items: Iterable[Any], asked: dict[str, Any]) -> tuple[list[Any], str | None]:
        """One page, and the token for the next."""
        every = list(items)
        forced = self.context.faults.page_size
        size = min(asked.get("maxResults") or PAGE, forced or PAGE)
        start = 0
        if asked.get("nextToken"):
            try:
                start = int(base64.b64decode(asked["nextToken"], validate=True))
            except ValueError as error:
                raise invalid("nextToken is not valid") from error
        more = start + size < len(every)
        token = base64.b64encode(str(start + size).encode()).decode() if more else None
        return every[start : start + size], token

    def tagged(self, arn: str) -> Shown:
        """The API object with this ARN."""
        for cluster in self.region.clusters.values():
            for shown in _things(cluster):
                if arn in (shown.get(key) for key in _ARNS):
                    return shown
        raise Refusal("NotFoundException", f"The resource {arn} was not found", 404)

    def reset(self) -> None:
        """Remove everything and close every endpoint."""
        for region in self.regions.values():
            for cluster in region.clusters.values():
                if cluster.kube is not None:
                    cluster.kube.close()
        self.regions.clear()


def _fail(update: Shown, thing: Shown) -> None:
    """End an update as failed, without changing anything (EKS API, ``ErrorDetail``)."""
    update["status"] = "Failed"
    update["errors"] = [
        {
            "errorCode": "InsufficientFreeAddresses",
            "errorMessage": "One or more of the subnets associated with your cluster does not have"
            " enough available IP addresses for Amazon EKS to perform cluster management"
            " operations.",
            "resourceIds": [],
        }
    ]
    thing["status"] = "ACTIVE"


def _things(cluster: ClusterRecord) -> list[Shown]:
    """The cluster and everything in it."""
    return [
        cluster.shown,
        *(group.shown for group in cluster.groups.values()),
        *(addon.shown for addon in cluster.addons.values()),
        *(profile.shown for profile in cluster.fargate.values()),
        *(entry.shown for entry in cluster.access.values()),
        *cluster.identities.values(),
    ]


_ARNS = (
    "arn",
    "nodegroupArn",
    "addonArn",
    "accessEntryArn",
    "associationArn",
    "fargateProfileArn",
)


PARTS = ("nodegroupName", "addonName")


RESERVED = "Tag keys that begin with aws: are reserved"


def reserved(tags: dict[str, str] | None) -> bool:
    return any(key.lower().startswith("aws:") for key in tags or {})

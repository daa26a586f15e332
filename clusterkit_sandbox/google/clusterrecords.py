"""Clusters, node pools and the operations on them, as the service keeps and shows them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from clusterkit_sandbox.google.account import PROJECTS
from clusterkit_sandbox.google.clusterbodies import is_zone, link, progress
from clusterkit_sandbox.google.failure import Json
from clusterkit_sandbox.google.service import rfc3339
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.life import Living
from clusterkit_sandbox.kit.operations import LongRunning

Condition = Json
"""``{"code": "GCE_STOCKOUT", "message", "canonicalCode"}``"""
_CODES = {
    "INVALID_ARGUMENT": 3,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "INTERNAL": 13,
}
"""google/rpc/code.proto"""
_STAGES = {"CREATE_CLUSTER": ("CLUSTER_CONFIGURING", "CLUSTER_DEPLOYING", "CLUSTER_HEALTHCHECKING")}
"""the metrics of an operation's progress (recorded traffic)"""
_PENDING = ("CREATE_NODE_POOL", "UPGRADE_NODES")
"""what waits for its turn at first (facts/states.tsv)"""


@dataclass
class Cluster(Living):
    """One cluster; implements ``kit.store.Kept``."""

    project: str = ""
    hash: str = ""
    """eight figures, in the names of what the service makes for it"""
    public: str = ""
    """the address of its control plane outside"""
    private: str = ""
    """and the one inside its network"""
    made_range: str = ""
    """the secondary range that the service has added to the subnetwork; empty if none"""

    @property
    def name(self) -> str:
        """Unique in its location."""
        return str(self.shown["name"])

    @property
    def location(self) -> str:
        """A zone or a region."""
        return str(self.shown["location"])

    @property
    def id(self) -> str:
        """``projects/P/locations/L/clusters/N``"""
        return f"{self.scope}/clusters/{self.name}"

    @property
    def scope(self) -> str:
        """``projects/P/locations/L``"""
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def autopilot(self) -> bool:
        """Whether the service keeps its nodes."""
        return bool(self.shown["autopilot"].get("enabled"))

    @property
    def state(self) -> str:
        """``RUNNING``"""
        return str(self.shown["status"])

    @property
    def channel(self) -> str:
        """Its release channel; empty if it is in none."""
        return str((self.shown.get("releaseChannel") or {}).get("channel", ""))

    @property
    def host(self) -> str:
        """Its DNS endpoint."""
        return str(self.shown["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"])

    def needs(self) -> Iterable[str]:
        """Nothing: what it has made in networks needs those."""
        return ()


@dataclass
class NodePool(Living):
    """One node pool; implements ``kit.store.Kept``."""

    cluster: str = ""
    """the cluster's id"""
    sizes: dict[str, int] = field(default_factory=dict)
    """nodes that it is to have, by zone"""
    managers: dict[str, str] = field(default_factory=dict)
    """the paths of its groups of machines, by zone"""
    lost: set[str] = field(default_factory=set)
    """the machines that have not become nodes"""

    @property
    def name(self) -> str:
        """Unique in its cluster."""
        return str(self.shown["name"])

    @property
    def id(self) -> str:
        """``projects/P/locations/L/clusters/N/nodePools/P``"""
        return f"{self.cluster}/nodePools/{self.name}"

    @property
    def scope(self) -> str:
        """The cluster's id."""
        return self.cluster

    @property
    def state(self) -> str:
        """``RUNNING``"""
        return str(self.shown["status"])

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()


@dataclass(kw_only=True)
class Operation(LongRunning):
    """One operation of Container Engine."""

    project: str
    location: str
    detail: str = ""
    conditions: Sequence[Condition] = ()
    doomed: bool = False
    """whether it ends with an error (the fault ``terminal``)"""
    waits: float = 0
    """until when it is pending, in seconds since the epoch"""

    @property
    def pool(self) -> str:
        """The id of the pool that it is about; empty: the cluster."""
        return self.target if "/nodePools/" in self.target else ""

    @property
    def status(self) -> str:
        """As the API calls it."""
        if self.state != "running":
            return "DONE"
        return "PENDING" if time.time() < self.waits else "RUNNING"

    def shown(self) -> Json:
        """As the API shows it: with the project's number in its links, and ``zone`` whatever the
        location is (recorded traffic).
        """
        number = PROJECTS[self.project]
        target = self.target.split("/")[4:]
        found: Json = {
            "name": self.id,
            "zone": self.location,
            "operationType": self.kind,
            "status": self.status,
            "selfLink": link(number, self.location, "operations", self.id),
            "targetLink": link(number, self.location, *target),
            "startTime": rfc3339(self.begun),
        }
        if self.detail:
            found["detail"] = self.detail
        done = self.state != "running"
        if self.kind in _STAGES and self.status != "PENDING":
            found["progress"] = progress(_STAGES[self.kind], 1.0 if done else 0.5)
        if done:
            found["endTime"] = rfc3339(self.updated)
        if self.error is not None:
            code, message = self.error
            found["error"] = {"code": _CODES[code], "message": message}
            found["statusMessage"] = message
            if self.conditions:
                field_ = "nodepoolConditions" if self.pool else "clusterConditions"
                found[field_] = list(self.conditions)
        return found


def seconds(at: float) -> str:
    """``2026-11-23T04:00:00+00:00``, as clusters show when they were made."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def waits_at_first(kind: str) -> bool:
    """Whether an operation of this kind is pending before it runs."""
    return kind in _PENDING


def pools_of(store: Store, cluster: Cluster) -> list[NodePool]:
    """The pools of a cluster, oldest first."""
    return list(store.all(NodePool, cluster.id))


def view(store: Store, cluster: Cluster) -> Json:
    """A cluster as the API shows it, with its pools."""
    pools = [pool.shown for pool in pools_of(store, cluster)]
    found: Json = {**cluster.shown, "nodePools": pools}
    found["instanceGroupUrls"] = [url for pool in pools for url in pool["instanceGroupUrls"]]
    if pools:
        found["nodeConfig"] = pools[0]["config"]
        found["initialNodeCount"] = pools[0]["initialNodeCount"]
        versions = {str(pool["version"]) for pool in pools}
        found["currentNodeVersion"] = min(versions)
    if not cluster.autopilot:
        found["currentNodeCount"] = sum(
            sum(pool.sizes.values()) for pool in pools_of(store, cluster)
        )
    return {key: value for key, value in found.items() if value not in (None, "", [], 0)}


def place_word(location: str, project: str, *path: str) -> str:
    """``projects/P/zones/Z/clusters/C``, as messages name things."""
    kind = "zones" if is_zone(location) else "locations"
    return "/".join(("projects", project, kind, location, *path))

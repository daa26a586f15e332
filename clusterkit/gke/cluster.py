"""The cluster: zonal or regional, Standard with all of its first node pools, or Autopilot.

Everything that a cluster is protected by stands in the call that creates it: who may reach the
control plane, that nodes are private, whose service account they have. The pools too: a pool that
is made only to be removed again takes minutes and the project's default service account. GKE makes
one change of a cluster at a time, and each call may change one thing (container v1,
``ClusterUpdate``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, Record, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import upgrade
from clusterkit.errors import NotOurs, ServerError
from clusterkit.gke.client import Clients
from clusterkit.gke.container import operation
from clusterkit.gke.errors import ERRORS
from clusterkit.gke.iam import ServiceAccountState
from clusterkit.gke.network import PODS, SERVICES, NetworkState, SubnetworkState
from clusterkit.gke.operations import container_operation
from clusterkit.gke.policies import workload_pool
from clusterkit.gke.pools import SCOPES, Body, complete
from clusterkit.gke.tags import USABLE, Marked, within
from clusterkit.naming import CLUSTER, NAME
from clusterkit.profile.network import ANYWHERE

PROTECT = "clusterkit-protect"
"""label of a cluster that destroy refuses to touch; the API has no such switch"""
REPLACE = (
    "GKE fixes it at creation: change the profile back, or destroy the cluster and run up again"
)
USES = (
    "iam-service-account network subnetwork "
    "addresses backend-services disks firewalls forwarding-rules health-checks http-health-checks "
    "http-proxies https-proxies instance-groups network-endpoint-groups target-pools url-maps"
)
"""the last two lines are what is left behind, and removed only after the cluster
(``leftovers.py``)"""
RECONCILING = "RECONCILING"
"""GKE changes it, maybe by itself and for hours: what exists is in use meanwhile, and a change
of it is refused until then"""
MOST = 3
"""reasons shown"""


class ClusterState(Record):
    """A cluster as ``projects.locations.clusters.list`` shows it."""

    id: str
    """``LOCATION/NAME``"""
    path: str
    """``projects/P/locations/L/clusters/N``"""
    location: str
    status: str
    tags: Tags
    version: str
    network: str
    """its name"""
    subnetwork: str
    pods: str
    """the secondary range's name"""
    services: str
    channel: str
    autopilot: bool
    public: bool
    dns: bool
    allowed: frozenset[IPv4Network | IPv6Network]
    identity: str
    """the pool of Workload Identity"""
    endpoint: str
    dns_name: str
    ca: str
    """PEM in base64"""
    reason: str = ""
    pools: tuple[Mapping[str, Any], ...] = ()
    """its node pools as they are shown"""

    @property
    def details(self) -> Mapping[str, str]:
        """Its version, and where it is."""
        return {"Kubernetes": self.version, "in": self.location}

    @property
    def protected(self) -> bool:
        """Whether its label says that destroy may not begin."""
        return self.tags.get(PROTECT) == "true"

    @property
    def hint(self) -> str:
        """What to do about it."""
        return ERRORS.cure(self.reason)


class Cluster(Kind[Clients, ClusterState]):
    """The control plane, and in the call that creates it the first node pools."""

    kind: ClassVar[str] = "cluster"
    usable: ClassVar[frozenset[str]] = frozenset({"RUNNING"})
    failed: ClassVar[frozenset[str]] = frozenset({"ERROR"})
    unhealthy: ClassVar[frozenset[str]] = frozenset({"DEGRADED", RECONCILING})
    leaving: ClassVar[frozenset[str]] = frozenset({"STOPPING"})
    serial: ClassVar[bool] = True
    propagation: ClassVar[float] = USABLE
    patience: ClassVar[float] = 2700.0
    """a stockout has been seen to take 35 minutes to show (cilium/cilium#48184)"""
    takes: ClassVar[Durations] = Durations(create=214, delete=189)
    uses: ClassVar[tuple[str, ...]] = tuple(USES.split())

    version: str
    channel: str
    """``REGULAR``"""
    location: str
    """a zone, or the region"""
    zones: tuple[str, ...]
    network: Kind[Clients, NetworkState]
    subnetwork: Kind[Clients, SubnetworkState]
    account: Kind[Clients, ServiceAccountState]
    """the nodes'"""
    pods: str = PODS
    """name of the subnetwork's secondary range for pods"""
    services: str = SERVICES
    first_pools: tuple[Body, ...] = ()
    autopilot: bool = False
    public: bool = True
    """the control plane has one"""
    dns: bool = False
    """the control plane can be reached by its DNS name, which IAM guards"""
    allowed: tuple[IPv4Network, ...] = (ANYWHERE,)
    protected: bool = False

    @property
    def details(self) -> Mapping[str, str]:
        return {"Kubernetes": self.version, "in": self.location}

    def own_tags(self) -> Tags:
        return {PROTECT: str(self.protected).lower()}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[ClusterState]:
        """Ours in the region, and ``NotOurs`` for another of its name there: what Kubernetes made
        for that one carries the same name, so nothing may be removed by it.
        """
        for have in clusters(scope.client):
            if have.tags.get(CLUSTER) == scope.cluster:
                yield have
            elif have.path.endswith(f"/{scope.cluster}"):
                key = f"{cls.kind}/{scope.cluster}"
                what = f"there is a cluster {have.id} that does not carry clusterkit's labels"
                hint = f"choose another name, or adopt it: clusterkit up --adopt {key}={have.id}"
                raise NotOurs(what, where=key, hint=hint)

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        parent = f"projects/{env.client.project}/locations/{self.location}"
        request = {"parent": parent, "cluster": self._body(env)}
        return begin(env.client, "create_cluster", request)

    def _body(self, env: Env[Clients]) -> dict[str, Any]:
        account, pods = env[self.account].id, self.pods
        ranges = {"clusterSecondaryRangeName": pods, "servicesSecondaryRangeName": self.services}
        body = {
            "name": env.cluster,
            "initialClusterVersion": self.version,
            "releaseChannel": {"channel": self.channel},
            "network": env[self.network].path,
            "subnetwork": env[self.subnetwork].path,
            "ipAllocationPolicy": {"useIpAliases": True, **ranges},
            "networkConfig": {"defaultEnablePrivateNodes": True},
            "controlPlaneEndpointsConfig": self._endpoints(),
            "resourceLabels": self.marks(env),
        }
        if self.autopilot:
            defaults = {"serviceAccount": account, "oauthScopes": [*SCOPES]}
            autoscaling = {"autoprovisioningNodePoolDefaults": defaults}
            return {**body, "autopilot": {"enabled": True}, "autoscaling": autoscaling}
        return {
            **body,
            "locations": [*self.zones],
            "workloadIdentityConfig": {"workloadPool": workload_pool(env.client.project)},
            "nodePools": [complete(each, env, account) for each in self.first_pools],
        }

    def _endpoints(self) -> dict[str, Any]:
        ip: dict[str, Any] = {"enabled": True, "enablePublicEndpoint": self.public}
        if self.public:
            ip["authorizedNetworksConfig"] = self._authorized()
        dns = {"allowExternalTraffic": self.dns}
        return {"ipEndpointsConfig": ip, "dnsEndpointConfig": dns}

    def _authorized(self) -> dict[str, Any]:
        if ANYWHERE in self.allowed:
            return {"enabled": False}
        blocks = [{"cidrBlock": str(each)} for each in self.allowed]
        return {"enabled": True, "cidrBlocks": blocks, "gcpPublicCidrsAccessEnabled": False}

    def edits(self, env: Env[Clients], have: ClusterState) -> Iterator[Edit]:
        def change(**desired: Any) -> partial[Operation[Clients]]:
            request = {"name": have.path, "update": desired}
            return partial(begin, env.client, "update_cluster", request)

        yield from fixed("location", have.location, self.location, REPLACE)
        yield from fixed("autopilot", have.autopilot, self.autopilot, REPLACE)
        for what, wish, there in (
            ("network", self.network, have.network),
            ("subnetwork", self.subnetwork, have.subnetwork),
        ):
            # one that is yet to be created, or exists already
            name = wish.called(env) if isinstance(wish, Marked) else env[wish].id
            yield from fixed(what, there, name, REPLACE)
        yield from fixed("pods", have.pods, self.pods, REPLACE)
        yield from fixed("services", have.services, self.services, REPLACE)
        endpoints = change(desiredControlPlaneEndpointsConfig=self._endpoints())
        yield from edit("public endpoint", have.public, self.public, endpoints)
        yield from edit("DNS endpoint", have.dns, self.dns, endpoints)
        if self.public:
            everyone = (ANYWHERE,) if ANYWHERE in self.allowed else self.allowed
            yield from edit("allowed", have.allowed, frozenset(everyone), endpoints)
        channel = change(desiredReleaseChannel={"channel": self.channel})
        yield from edit("channel", have.channel, self.channel, channel)
        if not self.autopilot:
            pool = workload_pool(env.client.project)
            identity = change(desiredWorkloadIdentityConfig={"workloadPool": pool})
            yield from edit("Workload Identity", have.identity, pool, identity)
        move_on = change(desiredMasterVersion=self.version)
        yield from upgrade("GKE", have.version, self.version, move_on)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: ClusterState) -> Operation[Clients]:
        return begin(scope.client, "delete_cluster", {"name": have.path})

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: ClusterState) -> Iterator[Occupant]:
        """Node pools that others have added, which GKE would delete with the cluster."""
        for pool in () if have.autopilot else have.pools:
            labels = (pool.get("config") or {}).get("resourceLabels") or {}
            made_by_gke = (pool.get("autoscaling") or {}).get("autoprovisioned")
            name, of = str(pool["name"]), f"--cluster={scope.cluster}"
            # a cluster's labels may have been passed on to it
            ours = (labels.get(CLUSTER), labels.get(NAME)) == (scope.cluster, name)
            if not (ours or made_by_gke):
                cure = f"gcloud container node-pools delete {name} {of} --location={have.location}"
                cure += f" --project={scope.client.project}"
                yield Occupant("node pool", name, cure=cure)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> Operation[Clients]:
        location, _, name = identifier.partition("/")
        path = f"projects/{scope.client.project}/locations/{location}/clusters/{name}"
        if name != scope.cluster:
            what = f"the profile's cluster is {scope.cluster}, and a cluster cannot be renamed"
            key = f"{cls.kind}/{scope.cluster}"
            hint = f"clusterkit up --adopt {key}={location}/{scope.cluster}, or name: {name}"
            raise NotOurs(what, where=identifier, hint=hint)
        shown = scope.client.container("get_cluster", {"name": path})
        both = {**(shown.get("resourceLabels") or {}), **labels}
        fingerprint = shown.get("labelFingerprint", "")
        request = {"name": path, "resourceLabels": both, "labelFingerprint": fingerprint}
        return begin(scope.client, "set_labels", request)

    def taken(self, env: Env[Clients]) -> ClusterState | None:
        path = f"projects/{env.client.project}/locations/{self.location}/clusters/{env.cluster}"
        return _state(env.client.container("get_cluster", {"name": path}), env.client.project)


def begin(client: Clients, method: str, request: Mapping[str, Any]) -> Operation[Clients]:
    """Call GKE, for the operation that begins where the thing is that the request names."""
    location = str(request.get("name") or request["parent"]).split("/")[3]
    answer = client.container(method, request)
    return container_operation(client, location, answer, f"container.{operation(method)}")


def clusters(client: Clients) -> list[ClusterState]:
    """Every cluster in the region and its zones. ``ServerError`` while a zone of it does not
    answer: a cluster that is not listed would count as gone.
    """
    parent = f"projects/{client.project}/locations/-"
    answer = client.container("list_clusters", {"parent": parent})
    silent = [zone for zone in answer.get("missingZones") or () if within(zone, client.region)]
    if silent:
        what = f"GKE does not answer for {', '.join(silent)}"
        raise ServerError(what, code="missingZones", operation="container.clusters.list")
    return [
        _state(shown, client.project)
        for shown in answer.get("clusters") or ()
        if within(shown["location"], client.region)
    ]


def owned(client: Clients, name: str) -> list[ClusterState]:
    """The clusters of this name that carry our label; more than one are twins."""
    return [have for have in clusters(client) if have.tags.get(CLUSTER) == name]


def why(shown: Mapping[str, Any]) -> str:
    """What GKE says is wrong with a cluster or a node pool."""
    told = []
    for each in shown.get("conditions") or ():
        code = each.get("code") or each.get("canonicalCode")
        told.append(": ".join(filter(None, (code, each.get("message")))))
    return "; ".join(dict.fromkeys([*told[:MOST], *filter(None, [shown.get("statusMessage")])]))


def _allowed(config: Mapping[str, Any]) -> frozenset[IPv4Network | IPv6Network]:
    if not config.get("enabled"):
        return frozenset({ANYWHERE})
    return frozenset(ip_network(each["cidrBlock"]) for each in config.get("cidrBlocks") or ())


def _state(shown: Mapping[str, Any], project: str) -> ClusterState:
    location, name = shown["location"], shown["name"]
    endpoints = shown.get("controlPlaneEndpointsConfig") or {}
    ip, dns = endpoints.get("ipEndpointsConfig") or {}, endpoints.get("dnsEndpointConfig") or {}
    policy = shown.get("ipAllocationPolicy") or {}
    return ClusterState(
        id=f"{location}/{name}",
        path=f"projects/{project}/locations/{location}/clusters/{name}",
        location=location,
        status=shown.get("status", ""),
        tags=shown.get("resourceLabels") or {},
        version=shown.get("currentMasterVersion") or shown.get("initialClusterVersion", ""),
        network=str(shown.get("network") or "").rpartition("/")[2],
        subnetwork=str(shown.get("subnetwork") or "").rpartition("/")[2],
        pods=policy.get("clusterSecondaryRangeName", ""),
        services=policy.get("servicesSecondaryRangeName", ""),
        channel=(shown.get("releaseChannel") or {}).get("channel", ""),
        autopilot=bool((shown.get("autopilot") or {}).get("enabled")),
        public=bool(ip.get("enablePublicEndpoint")),
        dns=bool(dns.get("allowExternalTraffic")),
        allowed=_allowed(ip.get("authorizedNetworksConfig") or {}),
        identity=(shown.get("workloadIdentityConfig") or {}).get("workloadPool", ""),
        endpoint=shown.get("endpoint", ""),
        dns_name=dns.get("endpoint", ""),
        ca=(shown.get("masterAuth") or {}).get("clusterCaCertificate", ""),
        reason=why(shown),
        pools=tuple(shown.get("nodePools") or ()),
    )

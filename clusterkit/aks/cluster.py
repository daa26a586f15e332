"""The cluster: a control plane, with all of its first node pools in the call that creates it.

Everything is said explicitly, because AKS's defaults move; what a cluster is protected by stands in
the call that creates it. Later changes are PUTs of the whole cluster as it is shown, with what
changes, and only if nobody has changed it since (``If-Match``); one at a time.

A state ``Failed`` is not the end: AKS goes on trying by itself, and a PUT of the same body
reconciles (Azure/AKS#1972, MicrosoftDocs/SupportArticles-docs ``error-code-poddrainfailure.md``).
So nothing is ever removed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Network
from typing import Any, ClassVar

from clusterkit.aks import containerservice, ids, locks
from clusterkit.aks.client import Clients
from clusterkit.aks.clusterstate import (
    CHANGING,
    CHANNELS,
    PROTECT,
    STOPPED,
    ClusterState,
    state,
)
from clusterkit.aks.containerservice import MISSING
from clusterkit.aks.group import check_home, home_name, nodes_home, nodes_name
from clusterkit.aks.iam import EFFECTIVE, IdentityState
from clusterkit.aks.keypair import NOBODY, nobodys_key, same_key, ssh
from clusterkit.aks.network import PublicIpState, VirtualNetworkState
from clusterkit.aks.pools import PoolSettings, foreign
from clusterkit.aks.tags import BROKEN, REPLACE, ArmState, here, within, write_tags
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import upgrade
from clusterkit.errors import Gone, NotOurs
from clusterkit.naming import CLUSTER, MACHINE, NAME, RUN
from clusterkit.profile.network import ANYWHERE

JSON = dict[str, Any]

TIERS = {"free": "Free", "standard": "Standard", "premium": "Premium"}
UPGRADES = ("patch", "NodeImage")
"""what AKS does by itself: to Kubernetes, and to the images of nodes"""
BEGIN = "managed_clusters.begin_create_or_update"


class Cluster(Kind[Clients, ClusterState]):
    """The control plane, and in the call that creates it the first node pools."""

    kind: ClassVar[str] = "cluster"
    usable: ClassVar[frozenset[str]] = frozenset({"Succeeded", STOPPED, *BROKEN})
    unhealthy: ClassVar[frozenset[str]] = CHANGING
    leaving: ClassVar[frozenset[str]] = frozenset({"Deleting"})
    serial: ClassVar[bool] = True
    patience: ClassVar[float] = 3600.0
    """logs have 923 s for a create, and rights of an identity take effect in up to an hour"""
    propagation: ClassVar[float] = EFFECTIVE
    takes: ClassVar[Durations] = Durations(create=258, delete=243)
    uses: ClassVar[tuple[str, ...]] = ("role-assignment", "virtual-network", "identity")

    version: str
    """a minor version, of which AKS chooses the patch, or a whole one"""
    tier: str
    support: str
    group: Kind[Clients, Any]
    network: Kind[Clients, VirtualNetworkState]
    identity: Kind[Clients, IdentityState]
    kubelet: Kind[Clients, IdentityState]
    pools: tuple[PoolSettings, ...]
    pods: str
    services: str
    dns: str
    """address of the DNS Service"""
    outbound: str
    address: Kind[Clients, PublicIpState] | None = None
    """by which the nodes go out, and reach the control plane"""
    addresses: tuple[str, ...] = ()
    """the same where they are not ours"""
    private: bool = False
    allowed: tuple[IPv4Network, ...] = (ANYWHERE,)
    entra: bool = False
    local_accounts: bool = True
    ssh_user: str = ""
    ssh_key: str = ""
    protected: bool = False

    @property
    def details(self) -> Mapping[str, str]:
        ranges = {"pods": self.pods, "services": self.services}
        return {"Kubernetes": self.version, "tier": self.tier, **ranges}

    def own_tags(self) -> Tags:
        return {PROTECT: str(self.protected).lower()}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[ClusterState]:
        """Ours, and ``NotOurs`` for another of its name, in the group or elsewhere."""
        check_home(scope)
        for have in clusters(scope):
            if have.tags.get(CLUSTER) == scope.cluster:
                yield have
            elif have.name.lower() == scope.cluster:
                key = f"{cls.kind}/{scope.cluster}"
                what = f"there is a cluster {have.name} that does not carry clusterkit's tags"
                hint = (
                    f"choose another name, or take it over: clusterkit up --adopt {key}={have.id}"
                )
                raise NotOurs(what, where=key, hint=hint)

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        # a PUT would change another's of this name
        where = (home_name(env), env.cluster)
        return env.client.aks_begin(BEGIN, *where, self._body(env), etag=MISSING)

    def _body(self, env: Env[Clients]) -> JSON:
        subnet = env[self.network].subnet
        properties = {
            **self._changeable(env),
            "kubernetesVersion": self.version,
            "dnsPrefix": env.cluster,
            "nodeResourceGroup": nodes_name(env.cluster, env.region),
            "enableRBAC": True,
            "agentPoolProfiles": [
                {"name": each.name, **each.body(self._pool_marks(env, each), subnet)}
                for each in self.pools
            ],
            **_kubelet(env[self.kubelet]),
        }
        network = properties["networkProfile"]
        network |= {
            "networkPlugin": "azure",
            "networkPluginMode": "overlay",
            "networkDataplane": "azure",
            "podCidr": self.pods,
            "serviceCidr": self.services,
            "dnsServiceIP": self.dns,
            "loadBalancerSku": "standard",
        }
        return {
            "location": env.region,
            "tags": self.marks(env),
            "sku": {"name": "Base", "tier": self.tier},
            "identity": {
                "type": "UserAssigned",
                "userAssignedIdentities": {env[self.identity].path: {}},
            },
            "properties": properties,
        }

    def _changeable(self, env: Env[Clients]) -> JSON:
        """The properties that can be changed later."""
        access: JSON = {"enablePrivateCluster": self.private}
        if not self.private:
            access["authorizedIPRanges"] = sorted(map(str, self._ranges(env)))
        made: JSON = {
            "supportPlan": self.support,
            "networkProfile": {"outboundType": self.outbound},
            "apiServerAccessProfile": access,
            "oidcIssuerProfile": {"enabled": True},
            "securityProfile": {"workloadIdentity": {"enabled": True}},
            "disableLocalAccounts": not self.local_accounts,
            # patches of a minor version come by themselves, as on every cloud
            "autoUpgradeProfile": dict(zip(CHANNELS, UPGRADES, strict=True)),
        }
        if self.entra:
            made["aadProfile"] = {"managed": True, "enableAzureRBAC": True}
        if self.ssh_key:
            made["linuxProfile"] = {"adminUsername": self.ssh_user, **ssh(self.ssh_key)}
        return made

    def _ranges(self, env: Env[Clients]) -> frozenset[IPv4Network]:
        """Who may reach the control plane: the nodes do so by the address they go out by, which
        AKS lets in only if it made it itself
        (https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges).
        """
        if ANYWHERE in self.allowed:
            return frozenset()
        own = [env[self.address].address] if self.address else [*self.addresses]
        return frozenset((*self.allowed, *map(IPv4Network, own)))

    def _pool_marks(self, env: Env[Clients], pool: PoolSettings) -> dict[str, str]:
        """The tags that make a pool ours, whichever call creates it."""
        ours = {CLUSTER: env.cluster, NAME: pool.name, RUN: str(env.run)}
        return {**dict(self.tags), MACHINE: pool.machine, **ours}

    def edits(self, env: Env[Clients], have: ClusterState) -> Iterator[Edit]:
        network = env[self.network]
        yield from fixed("subnet", have.subnet, ids.key(network.subnet), REPLACE)
        yield from fixed("pods", have.pods, self.pods, REPLACE)
        yield from fixed("services", have.services, self.services, REPLACE)
        yield from fixed("private", have.private, self.private, REPLACE)
        yield from fixed("identity", have.identity, env[self.identity].id, REPLACE)
        yield from fixed("kubelet identity", have.kubelet, env[self.kubelet].id, REPLACE)
        user = have.ssh_user if self.ssh_key else ""
        yield from fixed("ssh_user", user or self.ssh_user, self.ssh_user, REPLACE)
        if not self.entra:
            yield from fixed("entra", have.entra, False, f"AKS does not take it away: {REPLACE}")
        if have.status == STOPPED:
            start = partial(
                env.client.aks_begin, "managed_clusters.begin_start", home_name(env), have.name
            )
            yield Edit("power", STOPPED, "Running", start)
            return
        yield from self._changes(env, have)
        move_on = changing(env, have, {"kubernetesVersion": self.version})
        yield from upgrade("AKS", have.version, self.version, move_on)

    def _changes(self, env: Env[Clients], have: ClusterState) -> Iterator[Edit]:
        """What one PUT changes."""
        change = changing(env, have, self._changeable(env), self.tier)
        yield from edit("tier", have.tier, self.tier, change)
        yield from edit("support", have.support, self.support, change)
        yield from edit("outbound", have.outbound, self.outbound, change)
        if not self.private:
            yield from edit("allowed", have.allowed, self._ranges(env), change)
        yield from edit("OIDC issuer", bool(have.issuer), True, change)
        yield from edit("workload identity", have.workload_identity, True, change)
        if self.entra:
            yield from edit("entra", have.entra, True, change)
            yield from edit("Azure RBAC", have.azure_rbac, True, change)
        yield from edit("upgrades", have.upgrades, UPGRADES, change)
        yield from edit("local accounts", have.local_accounts, self.local_accounts, change)
        if self.ssh_key:
            keys = frozenset({same_key(self.ssh_key)})
            yield from edit("SSH key", have.ssh_keys, keys, change)
        elif have.ssh_keys:
            nobody = changing(env, have, {"linuxProfile": ssh(nobodys_key())})
            yield from edit("SSH key", have.ssh_keys, frozenset({NOBODY}), nobody)
        # AKS goes on with an identity that was deleted, although another has its name
        # (Azure/AKS#4561); az aks update --assign-kubelet-identity changes it (azure-cli#22467)
        principal, kubelet = env[self.identity].principal, env[self.kubelet]
        if have.principal:
            yield from edit("identity", have.principal, principal, change)
        known = changing(env, have, _kubelet(kubelet))
        yield from edit("kubelet identity", have.kubelet_client, kubelet.client, known)
        if have.status in BROKEN:
            yield Edit("state", have.status, "Succeeded", change)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: ClusterState) -> Iterator[Occupant]:
        """Pools of others, and locks, on the group of the nodes too: all that goes with it."""
        yield from foreign(scope.cluster, have.path, have.pools)
        yield from locks.on(scope, have.id, nodes_home(scope))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: ClusterState) -> Operation[Clients] | None:
        where = (ids.part(have.path, "resourceGroups"), have.name)
        return scope.client.aks_begin("managed_clusters.begin_delete", *where)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        if ids.last(identifier).lower() != scope.cluster:
            what = f"the profile's cluster is {scope.cluster}, and a cluster cannot be renamed"
            raise NotOurs(what, where=identifier, hint="--adopt cluster/NAME=ID, with its own name")
        write_tags(scope.client, identifier, labels)

    def taken(self, env: Env[Clients]) -> ClusterState | None:
        return next((have for have in clusters(env) if have.name.lower() == env.cluster), None)

    @classmethod
    def within(cls, have: ClusterState) -> Mapping[str, str]:
        network = have.subnet.partition("/subnets/")[0]
        return {**within(have.id), "virtual-network": network}


def _kubelet(identity: IdentityState) -> JSON:
    """The kubelets' identity, as a cluster knows it."""
    who = {
        "resourceId": identity.path,
        "clientId": identity.client,
        "objectId": identity.principal,
    }
    return {"identityProfile": {"kubeletidentity": who}}


def changing(
    env: Env[Clients], have: ArmState | ClusterState, wanted: JSON, tier: str = ""
) -> Callable[[], Operation[Clients] | None]:
    """The call that changes these properties of a cluster, and nothing else."""

    def put() -> Operation[Clients] | None:
        group = ids.part(have.path, "resourceGroups")
        shown = env.client.aks("managed_clusters.get", group, have.name)
        body = containerservice.writable("ManagedCluster", shown)
        merge(body["properties"], wanted)
        if tier:
            body["sku"] = {"name": "Base", "tier": tier}
        return env.client.aks_begin(BEGIN, group, have.name, body, etag=shown.get("eTag"))

    return put


def merge(into: JSON, wanted: Mapping[str, Any]) -> None:
    """Write these values into a body, and leave what else is in it."""
    for name, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


def listed(scope: Scope[Clients]) -> list[Mapping[str, Any]]:
    """Every cluster in the group as it is shown, of whatever region."""
    try:
        found = scope.client.aks("managed_clusters.list_by_resource_group", home_name(scope))
    except Gone:  # there is no such group
        return []
    return [*found["value"]]


def clusters(scope: Scope[Clients]) -> list[ClusterState]:
    """Every cluster in the group and region."""
    return [state(shown) for shown in listed(scope) if here(scope, shown)]


def owned(scope: Scope[Clients]) -> list[ClusterState]:
    """The clusters of this name that carry our tag; more than one are twins."""
    return [have for have in clusters(scope) if have.tags.get(CLUSTER) == scope.cluster]

"""From a profile and the facts to resources; pure, and read like a picture of the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clusterkit.engine.kind import Env, Existing, Kind
from clusterkit.gke import network as net
from clusterkit.gke.builds import SECRET, KeySecret
from clusterkit.gke.cluster import Cluster
from clusterkit.gke.fields import disk_type
from clusterkit.gke.iam import NODE_ROLE, IamServiceAccount
from clusterkit.gke.identities import PIPELINES, READERS, WRITERS, Identity, identities
from clusterkit.gke.jenkinsx import platform_of
from clusterkit.gke.network import NetworkState, SubnetworkState
from clusterkit.gke.nodes import NodePool
from clusterkit.gke.policies import PUSHERS
from clusterkit.gke.pools import Body, pool_body
from clusterkit.gke.preflight import Facts
from clusterkit.gke.profile import GkePool, GkeProfile
from clusterkit.gke.registry import HOSTS, GcrRepository, Repository
from clusterkit.gke.storage import Bucket
from clusterkit.gke.workload import ServiceAccount, WorkloadAccess, principal, user
from clusterkit.kube.manifest import Namespace, account_content
from clusterkit.kube.nodes import asked
from clusterkit.kube.storage import storage_class
from clusterkit.naming import CLUSTER, STORAGE_CLASS
from clusterkit.ready import jenkinsx
from clusterkit.ready.jenkinsx import Platform
from clusterkit.ready.registry import build_namespace, docker_config

AnyWish = Kind[Any, Any]

DEFAULT_CLASS = "clusterkit-ssd"
HYPERDISK = "hyperdisk-balanced"


def graph(profile: GkeProfile, facts: Facts) -> list[AnyWish]:
    """Every resource of the cluster."""
    return [*_Graph(profile, facts)]


class _Graph:
    """The resources of one profile, part by part."""

    def __init__(self, profile: GkeProfile, facts: Facts) -> None:
        self.profile, self.facts = profile, facts
        self.tags = tuple(sorted(profile.tags.items()))
        self.builders = profile.ready.builders
        keep = profile.storage.keep_volumes
        self.nodes = IamServiceAccount(name="nodes", roles=(NODE_ROLE,), keep=keep)
        self.identities = {
            each: IamServiceAccount(name=each.name, roles=each.roles, exact=True)
            for each in identities(profile)
        }
        self.bodies = [self._body(pool) for pool in profile.pools]
        self.network, self.subnetwork, self.ways = self._network()
        self.cluster = self._cluster()

    def __iter__(self) -> Iterator[AnyWish]:
        yield from (self.cluster, *self.ways)
        for pool, body in zip(self.profile.pools, self.bodies, strict=True):
            yield NodePool(
                name=body["name"],
                cluster=self.cluster,
                account=self.nodes,
                body=body,
                version=self.facts.version,
                types=(body["config"]["machineType"],),
                **asked(pool),
                tags=self.tags,
            )
        yield from self._storage()
        push = self._push_accounts()
        yield from self._registry(push)
        yield from self._builds(push)
        yield from self._jenkins_x()

    def _network(
        self,
    ) -> tuple[Kind[Any, NetworkState], Kind[Any, SubnetworkState], tuple[AnyWish, ...]]:
        """A network of our own with its ways out, or an existing one, which is never changed."""
        given, wanted, ranges = self.facts.existing, self.profile.network, self.profile.ssh_ranges
        if given is not None:
            network: Kind[Any, NetworkState] = Existing(name=given[0].id, state=given[0])
            subnetwork: Kind[Any, SubnetworkState] = Existing(name=given[1].id, state=given[1])
            return network, subnetwork, ()
        network = net.Network(name="main")
        subnetwork = net.Subnetwork(
            name="nodes",
            network=network,
            cidr=str(wanted.cidr),
            pods=str(wanted.pod_range),
            services=str(wanted.service_range),
        )
        ways: list[AnyWish] = []
        if wanted.nat != "none":
            ways.append(net.Router(name="main", network=network))
        if ranges:
            sources = tuple(map(str, ranges))
            ways.append(net.Firewall(name="ssh", network=network, sources=sources))
        return network, subnetwork, tuple(ways)

    def _cluster(self) -> Cluster:
        profile, facts = self.profile, self.facts
        existing = profile.network.existing
        return Cluster(
            name=profile.name,
            version=facts.version,
            channel=profile.channel.upper(),
            location=facts.location,
            zones=facts.zones,
            network=self.network,
            subnetwork=self.subnetwork,
            account=self.nodes,
            pods=existing.pods if existing else net.PODS,
            services=existing.services if existing else net.SERVICES,
            first_pools=tuple(self.bodies),
            autopilot=profile.mode == "autopilot",
            public=profile.endpoint.public,
            dns=profile.endpoint.dns,
            allowed=tuple(profile.endpoint.allowed),
            protected=profile.deletion_protection,
            tags=self.tags,
            # nodes fetch images through them as soon as they boot
            after=self.ways,
        )

    def _body(self, pool: GkePool) -> Body:
        profile, registry = self.profile, self.profile.registry
        key = profile.ssh_public_key
        return pool_body(
            pool,
            self.facts.pools[pool.name],
            self.facts.zones,
            profile.tags,
            ssh_keys=f"{profile.ssh_user}:{key}" if key else "",
            metadata_server=registry is None or registry.push != "node",
        )

    def _storage(self) -> Iterator[AnyWish]:
        """A default StorageClass of our own, if the profile asks for one, or if the vendor's makes
        disks that no machine of the cluster takes; else the vendor's stays.
        """
        disks = {disk_type(kind.name, None) for kind in self.facts.pools.values()}
        if "default" not in self.profile.storage.model_fields_set and disks != {HYPERDISK}:
            return
        made = HYPERDISK if disks == {HYPERDISK} else "pd-ssd"
        # KEY=VALUE,… (docs/kubernetes/user-guides of gcp-compute-persistent-disk-csi-driver)
        labels = f"{STORAGE_CLASS}={DEFAULT_CLASS},{CLUSTER}={self.profile.name}"
        parameters = {"type": made, "labels": labels}
        driver = "pd.csi.storage.gke.io"
        yield storage_class(DEFAULT_CLASS, driver, parameters, cluster=self.cluster)

    def _push_accounts(self) -> tuple[IamServiceAccount, ...]:
        """The accounts of Google's that builds push as, if they do not as themselves: one for all,
        or one for each namespace with a key, of which an account has only one.
        """
        profile = self.profile
        registry, names = profile.registry, PUSHERS
        if registry is None:
            return ()
        if registry.push == "secret":
            return tuple(IamServiceAccount(name=each) for each in names[: len(self.builders)])
        by_account = registry.identity == "account" and profile.pushers
        return (IamServiceAccount(name=names[0]),) if by_account else ()

    def _registry(self, push: tuple[IamServiceAccount, ...]) -> Iterator[AnyWish]:
        """Repositories, and who may pull from and push to them."""
        profile, facts, registry = self.profile, self.facts, self.profile.registry
        if registry is None:
            return
        pushers, project, by_node = profile.pushers, facts.account, registry.push == "node"
        members = tuple(principal(project, facts.number, each) for each in pushers)
        if push:
            members = tuple(user(project, each) for each in pushers)
        pipelines = tuple(self._accounts((PIPELINES,)))
        made: dict[str, Any] = {
            "keep": registry.keep,
            "readers": () if by_node else (self.nodes,),
            "writers": ((self.nodes,) if by_node else push) + pipelines,
            "members": () if push else members,
            "tags": self.tags,
        }
        places = tuple(sorted({HOSTS[host] for host in registry.hosts}))
        own = Repository(name=registry.name, repository=registry.name, places=places, **made)
        repositories = [own]
        for host in registry.hosts:
            name, where = host.replace(".", "-"), HOSTS[host]
            repositories.append(GcrRepository(name=name, repository=host, place=where, **made))
        yield from repositories
        for holder in (push or repositories) if pushers else ():
            yield self._access(holder, members)

    def _accounts(self, wanted: Iterable[Identity]) -> Iterator[IamServiceAccount]:
        """The accounts that Jenkins X has of these."""
        return (self.identities[each] for each in wanted if each in self.identities)

    def _access(self, holder: AnyWish, members: tuple[str, ...]) -> WorkloadAccess:
        name = f"{holder.kind}-{holder.name}"
        return WorkloadAccess(name=name, holder=holder, cluster=self.cluster, members=members)

    def _builds(self, push: tuple[IamServiceAccount, ...]) -> Iterator[AnyWish]:
        """The service accounts that push, and what builders need beside their own."""
        profile, pushers = self.profile, self.profile.pushers
        accounts = {each.account for each in self.builders}
        spaces: dict[str, Namespace] = {}
        for each in profile.build_accounts:
            name = each.partition("/")[0]
            within = spaces.setdefault(name, build_namespace(profile.ready, name, self.cluster))
            yield ServiceAccount(
                name=each,
                after=(within,),
                account=push[0] if push and each in pushers else None,
                content=account_content(token=each not in accounts),
            )
        by_key = profile.registry is not None and profile.registry.push == "secret"
        for index, kaniko in enumerate(self.builders):
            within = spaces[kaniko.namespace]
            # Google's registries need no docker config, the user's own does
            yield from docker_config(kaniko, within, None)
            if by_key:
                name = f"{within.name}/{SECRET}"
                yield KeySecret(name=name, account=push[index], after=(within,))

    def _jenkins_x(self) -> Iterator[AnyWish]:
        """The accounts that Jenkins X acts as, its buckets, and what it is told of the cluster."""
        facts, wanted, ready = self.facts, self.profile.ready.jenkins_x, self.profile.ready
        for identity, account in self.identities.items():
            yield account
            users = tuple(user(facts.account, each) for each in identity.users)
            yield self._access(account, users)
        buckets: tuple[Bucket, ...] = ()
        if wanted and wanted.storage:
            made: dict[str, Any] = {
                "keep": wanted.keep_storage,
                "writers": tuple(self._accounts(WRITERS)),
                "readers": tuple(self._accounts(READERS)),
                "tags": self.tags,
            }
            buckets = tuple(Bucket(name=name, **made) for name in jenkinsx.STORAGE)
        yield from buckets

        def known(env: Env[Any]) -> Platform:
            urls = {each.name: env[each].url for each in buckets}
            return platform_of(self.profile, facts.account, facts.location, urls)

        yield from jenkinsx.prepared(ready, self.cluster, known, *buckets)

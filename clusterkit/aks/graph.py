"""From a profile and the facts to resources; pure, and read like a picture of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from clusterkit.aks import ids, network
from clusterkit.aks import jenkinsx as jx
from clusterkit.aks.blobs import StorageAccount
from clusterkit.aks.builds import access_of
from clusterkit.aks.cluster import TIERS, Cluster
from clusterkit.aks.clusterstate import SUPPORT
from clusterkit.aks.group import MAIN, ResourceGroup, own_name
from clusterkit.aks.iam import CONTROL_PLANE, KUBELET, PUSH, Identity, RoleAssignment
from clusterkit.aks.keypair import SshPublicKey
from clusterkit.aks.keyvault import KeyVault
from clusterkit.aks.network import BALANCED, GATEWAY, PublicIpState, VirtualNetworkState
from clusterkit.aks.nodes import NodePool
from clusterkit.aks.pools import MODES, OS, PoolSettings, pool_name
from clusterkit.aks.preflight import Facts
from clusterkit.aks.profile import AksPool, AksProfile
from clusterkit.aks.registry import ABAC, LEGACY, Registry
from clusterkit.aks.registry import PULL as PULLS
from clusterkit.aks.registry import PUSH as PUSHES
from clusterkit.aks.storage import storage_class
from clusterkit.aks.tags import ArmState
from clusterkit.aks.workload import FederatedCredential, credential_name, service_account
from clusterkit.aks.zones import ZoneState
from clusterkit.engine.kind import Env, Existing, Kind
from clusterkit.kube.manifest import Namespace
from clusterkit.kube.nodes import asked
from clusterkit.naming import CLUSTER, STORAGE_CLASS, digest
from clusterkit.profile.ssh_key import fingerprint
from clusterkit.ready import jenkinsx
from clusterkit.ready.registry import Finds, PushAccess, Way, build_namespace, docker_config

AnyWish = Kind[Any, Any]
DEFAULT_CLASS = "clusterkit-ssd"
DRIVER = "disk.csi.azure.com"
DISK = "StandardSSD_LRS"
"""takes any VM size; Premium SSD needs one with premium storage
(https://learn.microsoft.com/azure/virtual-machines/disks-types)"""


def graph(profile: AksProfile, facts: Facts) -> list[AnyWish]:
    """Every resource of the cluster."""
    return [*_Graph(profile, facts)]


class _Graph:
    """The resources of one profile, part by part."""

    def __init__(self, profile: AksProfile, facts: Facts) -> None:
        self.profile, self.facts = profile, facts
        self.tags = tuple(sorted(profile.tags.items()))
        self.group = self._group()
        self.control_plane = self._identity(CONTROL_PLANE, profile.storage.keep_volumes)
        self.kubelet = self._identity(KUBELET)
        self.pusher = self._identity(PUSH)
        self.network, self.address = self._network()
        self.registry = self._registry()
        self.files, self.vault = self._files(), self._vault()
        self.settings = [self._settings(pool) for pool in profile.pools]
        # rights take effect late, so they are given before anything needs them; pods need theirs
        # once there is a cluster
        self.rights = [*self._rights()]
        self.cluster = self._cluster()
        self.admins = tuple(self._admins())

    def __iter__(self) -> Iterator[AnyWish]:
        yield self.cluster
        yield from self._pod_rights()
        if key := self.profile.ssh_public_key:
            name = fingerprint(key)
            yield SshPublicKey(name=name, group=self.group, public_key=key, tags=self.tags)
        for pool, settings in zip(self.profile.pools, self.settings, strict=True):
            yield NodePool(
                name=settings.name,
                cluster=self.cluster,
                network=self.network,
                settings=settings,
                types=(settings.machine_type,),
                **asked(pool),
                tags=self.tags,
            )
        yield from self.admins
        yield self._storage()
        yield from self._pushers()
        yield from self._builds()
        yield from self._jenkins_x()

    def _group(self) -> Kind[Any, Any]:
        if self.facts.group is not None:
            return Existing(name=self.facts.group.id, state=self.facts.group)
        return ResourceGroup(name=MAIN, tags=self.tags)

    def _identity(self, name: str, keep: bool | None = None) -> Identity:
        return Identity(name=name, group=self.group, keep=keep, tags=self.tags)

    def _network(self) -> tuple[Kind[Any, VirtualNetworkState], Kind[Any, PublicIpState] | None]:
        """A network of our own, or an existing one, which is never changed."""
        if self.facts.existing is None:
            return network.made(self.profile, self.group, self.tags)
        there = self.facts.existing.network
        return Existing(name=there.id, state=there), None

    @property
    def _outbound(self) -> str:
        if self.facts.existing is not None:
            return self.facts.existing.outbound
        return GATEWAY if self.address else BALANCED

    def _registry(self) -> Registry | None:
        wanted = self.profile.registry
        if wanted is None:
            return None
        return Registry(
            name=self.facts.registry,
            group=self.group,
            sku=wanted.sku.capitalize(),
            mode=ABAC if wanted.abac else LEGACY,
            keep=wanted.keep,
            tags=self.tags,
        )

    def _files(self) -> StorageAccount | None:
        wanted = self.profile.ready.jenkins_x
        if wanted is None or not self.facts.storage:
            return None
        return StorageAccount(
            name=self.facts.storage,
            group=self.group,
            containers=jenkinsx.STORAGE,
            keep=wanted.keep_storage,
            tags=self.tags,
        )

    def _vault(self) -> KeyVault | None:
        if not self.facts.vault:
            return None
        return KeyVault(name=self.facts.vault, group=self.group, tags=self.tags)

    def _give(
        self, name: str, role: str, on: AnyWish, who: Identity, **more: Any
    ) -> RoleAssignment:
        return RoleAssignment(name=name, role=role, on=on, identity=who, **more)

    def _rights(self) -> Iterator[RoleAssignment]:
        """Of the control plane, which makes the cluster."""
        give, control, kubelet = self._give, self.control_plane, self.kubelet
        # a private endpoint's DNS zone is linked to the whole network (MicrosoftDocs/
        # azure-aks-docs#110), nodes only join the subnet
        public = self.profile.endpoint.public
        yield give("network", "Network Contributor", self.network, control, subnet=public)
        yield give("kubelet", "Managed Identity Operator", kubelet, control)
        # disks of claims lie in the group
        yield give("disks", "Virtual Machine Contributor", self.group, control)

    def _pod_rights(self) -> Iterator[RoleAssignment]:
        """Of the nodes' identity, which pods use; made while the cluster is."""
        give, kubelet = self._give, self.kubelet
        if self.registry is not None:
            yield give("pull", PULLS[self.registry.mode], self.registry, kubelet)
            if self.profile.node_pushes:
                yield give("push", PUSHES[self.registry.mode], self.registry, kubelet)
        if self.files is not None:
            yield give("files", "Storage Blob Data Contributor", self.files, kubelet)
        if self.vault is not None:
            yield give("secrets", "Key Vault Secrets Officer", self.vault, kubelet)
        if zone := self.facts.zone:
            domain = Existing(name=zone.id, state=zone)
            yield give("records", "DNS Zone Contributor", domain, kubelet)
            yield give("zones", "Reader", self._group_of(zone), kubelet)

    def _group_of(self, zone: ZoneState) -> AnyWish:
        group = ArmState(id=ids.key(zone.group_path), path=zone.group_path, name=zone.group)
        there = self.facts.group
        same = there is not None and there.id == group.id
        return self.group if same else Existing(name=group.id, state=group)

    def _settings(self, pool: AksPool) -> PoolSettings:
        facts, size = self.facts, self.facts.pools[pool.name].name
        system = OS[pool.os]
        fixed = (size, pool.disk.size, system, pool.spot, facts.zones)
        return PoolSettings(
            name=pool_name(pool.name, *fixed),
            machine_type=size,
            disk=pool.disk.size,
            os=system,
            mode=MODES[self.profile.mode(pool)],
            zones=facts.zones,
            version=facts.version,
            **asked(pool),
        )

    def _cluster(self) -> Cluster:
        profile, facts = self.profile, self.facts
        entra = profile.entra
        return Cluster(
            name=profile.name,
            version=facts.version,
            tier=TIERS[profile.tier],
            support=SUPPORT[profile.support],
            group=self.group,
            network=self.network,
            identity=self.control_plane,
            kubelet=self.kubelet,
            pools=tuple(self.settings),
            pods=str(profile.network.pod_range),
            services=str(profile.network.service_range),
            dns=profile.network.dns_address,
            outbound=self._outbound,
            address=self.address,
            addresses=facts.existing.addresses if facts.existing else (),
            private=not profile.endpoint.public,
            allowed=tuple(profile.endpoint.allowed),
            entra=entra is not None,
            local_accounts=entra is None or entra.local_accounts,
            ssh_user=profile.ssh_user,
            ssh_key=profile.ssh_public_key or "",
            protected=profile.deletion_protection,
            tags=self.tags,
            after=tuple(self.rights),
        )

    def _storage(self) -> AnyWish:
        """The default class. Its disks lie in the cluster's group, not in that of the nodes, so
        that one whose PersistentVolume says Retain outlives the cluster
        (kubernetes-sigs/azuredisk-csi-driver ``docs/driver-parameters.md``).
        """
        profile = self.profile
        marks = f"{CLUSTER}={profile.name},{STORAGE_CLASS}={DEFAULT_CLASS}"
        where = profile.resource_group or own_name(profile.name, profile.region)
        parameters = {"skuName": DISK, "resourceGroup": where, "tags": marks}
        order = {"cluster": self.cluster, "after": self.admins}
        return storage_class(DEFAULT_CLASS, DRIVER, parameters, **order)

    def _admins(self) -> Iterator[AnyWish]:
        """Who administers a cluster with Entra ID."""
        role = "Azure Kubernetes Service RBAC Cluster Admin"
        for who in self.profile.entra.admins if self.profile.entra else ():
            name = f"admin-{digest(who)}"
            yield RoleAssignment(name=name, role=role, on=self.cluster, principal=who)

    def _pushers(self) -> Iterator[AnyWish]:
        """What lets service accounts push."""
        accounts = self.profile.push_accounts
        if self.registry is None or not accounts:
            return
        role = PUSHES[self.registry.mode]
        yield RoleAssignment(name="builds", role=role, on=self.registry, identity=self.pusher)
        before: tuple[AnyWish, ...] = ()
        for who in accounts:
            made = FederatedCredential(
                name=credential_name(who),
                identity=self.pusher,
                cluster=self.cluster,
                account=who,
                after=before,
            )
            yield made
            before = (made,)

    def _builds(self) -> Iterator[AnyWish]:
        """The service accounts that push, and what builders need beside their own."""
        ready, pushers = self.profile.ready, self.profile.push_accounts
        builders = {each.account for each in ready.builders}
        spaces: dict[str, Namespace] = {}
        for each in self.profile.build_accounts:
            space, _, name = each.partition("/")
            if space not in spaces:
                made = build_namespace(ready, space, self.cluster)
                spaces[space] = replace(made, after=self.admins)
            identity = self.pusher if each in pushers else None
            yield service_account(name, spaces[space], identity, token=each not in builders)
        found = self._finds()
        needs = (self.registry, self.kubelet) if self.registry else ()
        by_secret = self.profile.registry is not None and self.profile.registry.push == "secret"
        way: Way = "secret" if by_secret else "helper"
        for kaniko in ready.builders:
            yield from docker_config(kaniko, spaces[kaniko.namespace], found, *needs, way=way)

    def _finds(self) -> Finds | None:
        """How builds push to the registry, if there is one."""
        wanted, registry = self.profile.registry, self.registry
        if wanted is None or registry is None:
            return None

        def access(env: Env[Any]) -> PushAccess:
            server, kubelet = env[registry].server, env[self.kubelet].client
            return access_of(wanted, server, kubelet, env.client)

        return access

    def _jenkins_x(self) -> Iterator[AnyWish]:
        """What Jenkins X is told of the cluster."""
        registry, files, vault, kubelet = self.registry, self.files, self.vault, self.kubelet

        def describes(env: Env[Any]) -> jenkinsx.Platform:
            named = jx.Named(
                kubelet=env[kubelet].client,
                server=env[registry].server if registry else "",
                storage=env[files].name if files else "",
                vault=env[vault].name if vault else "",
                zone=self.facts.zone,
            )
            return jx.platform_of(self.profile, env.client, named)

        needs: tuple[AnyWish, ...] = tuple(filter(None, (registry, files, vault, kubelet)))
        for made in jenkinsx.prepared(self.profile.ready, self.cluster, describes, *needs):
            yield replace(made, after=(*made.after, *self.admins))

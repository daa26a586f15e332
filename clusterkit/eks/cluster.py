"""The EKS cluster, and who may administer it.

``accessConfig`` is always sent: the API's own default is still the aws-auth ConfigMap. The support
policy too: its default, EXTENDED, costs more. Durations: "9 minutes or less on average"
(aws/containers-roadmap#1227); deletion from published logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import Gone, call, gone_is_fine
from clusterkit.eks.iam import RoleState
from clusterkit.eks.network import SubnetState
from clusterkit.eks.tags import Marked, Tags, retags
from clusterkit.eks.updates import update
from clusterkit.engine.resource import Change, Ctx, Durations, Resource
from clusterkit.errors import Finding, NotOurs, Rejected
from clusterkit.naming import CLUSTER, NAME, RUN

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@dataclass(frozen=True)
class ClusterState:
    """A cluster as DescribeCluster shows it."""

    name: str
    arn: str
    status: str
    version: str
    endpoint: str
    ca: str
    """base64 of PEM"""
    security_group: str
    subnets: frozenset[str]
    public: bool
    private: bool
    allowed: frozenset[str]
    services: str
    logging: frozenset[str]
    support: str
    protected: bool
    issues: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cluster(Marked[Clients, ClusterState]):
    """The control plane."""

    kind: ClassVar[str] = "cluster"
    patience: ClassVar[float] = 2400.0
    takes: ClassVar[Durations] = Durations(create=540, delete=240)

    version: str
    role: Resource[Clients, RoleState]
    subnets: tuple[Resource[Clients, SubnetState], ...]
    public: bool = True
    private: bool = True
    allowed: tuple[str, ...] = ("0.0.0.0/0",)
    services: str | None = None
    logging: tuple[str, ...] = ()
    support: Literal["STANDARD", "EXTENDED"] = "STANDARD"
    protected: bool = False

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, ClusterState]:
        try:
            shown = call(cx.clients.eks.describe_cluster, name=cx.cluster)["cluster"]
        except Gone:
            return {}
        tags = shown.get("tags", {})
        if tags.get(CLUSTER) != cx.cluster:
            return {}
        return {tags.get(NAME, cx.cluster): _state(shown)}

    def create(self, cx: Ctx[Clients]) -> None:
        parameters: dict[str, Any] = {}
        if self.services:
            parameters["kubernetesNetworkConfig"] = {"serviceIpv4Cidr": self.services}
        if self.logging:
            parameters["logging"] = _logging(self.logging)
        call(
            cx.clients.eks.create_cluster,
            name=cx.cluster,
            version=self.version,
            roleArn=cx[self.role].arn,
            resourcesVpcConfig=self._access(cx[subnet].id for subnet in self.subnets),
            accessConfig={
                "authenticationMode": "API",
                "bootstrapClusterCreatorAdminPermissions": True,
            },
            upgradePolicy={"supportType": self.support},
            bootstrapSelfManagedAddons=False,
            deletionProtection=self.protected,
            clientRequestToken=cx.token(self),
            tags=self.wanted_tags(cx),
            **parameters,
        )

    def _access(self, subnets: Iterable[str] = ()) -> Any:
        access: dict[str, Any] = {
            "endpointPublicAccess": self.public,
            "endpointPrivateAccess": self.private,
        }
        if ids := list(subnets):
            access["subnetIds"] = ids
        if self.public:
            access["publicAccessCidrs"] = list(self.allowed)
        return access

    @classmethod
    def ready(cls, have: ClusterState) -> bool:
        if have.status == "FAILED":
            raise Rejected(have.issues or "the cluster failed", code="FAILED", remake=True)
        return have.status == "ACTIVE"

    def diff(self, cx: Ctx[Clients], have: ClusterState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        changes += _version_changes(have.version, self.version)
        ids = frozenset(cx[subnet].id for subnet in self.subnets)
        pairs: list[tuple[str, object, object]] = [
            ("subnets", have.subnets, ids),
            ("public endpoint", have.public, self.public),
            ("private endpoint", have.private, self.private),
            ("logging", have.logging, frozenset(self.logging)),
            ("support", have.support, self.support),
            ("deletion protection", have.protected, self.protected),
        ]
        if self.public:
            pairs.append(("allowed", have.allowed, frozenset(self.allowed)))
        changes += [Change(what, _plain(a), _plain(b)) for what, a, b in pairs if a != b]
        if self.services and have.services != self.services:
            why = "EKS fixes it when the cluster is made: destroy the cluster and make it anew"
            changes.append(Change("services", have.services, self.services, "refuse", why))
        return changes

    def update(self, cx: Ctx[Clients], have: ClusterState, changes: list[Change]) -> None:
        """One change a call: EKS runs one update of a cluster at a time."""
        eks, name = cx.clients.eks, cx.cluster
        fields = {change.field for change in changes}
        if retags(changes):
            call(eks.tag_resource, resourceArn=have.arn, tags=dict(self.tags))
        change = partial(update, cx, self.key)
        if "deletion protection" in fields:
            change(eks.update_cluster_config, name=name, deletionProtection=self.protected)
        elif "support" in fields:
            policy: Any = {"supportType": self.support}
            change(eks.update_cluster_config, name=name, upgradePolicy=policy)
        elif fields & {"public endpoint", "private endpoint", "allowed"}:
            change(eks.update_cluster_config, name=name, resourcesVpcConfig=self._access())
        elif "subnets" in fields:
            ids = [cx[subnet].id for subnet in self.subnets]
            change(eks.update_cluster_config, name=name, resourcesVpcConfig={"subnetIds": ids})
        elif "logging" in fields:
            change(eks.update_cluster_config, name=name, logging=_logging(self.logging))
        elif "version" in fields:
            change(eks.update_cluster_version, name=name, version=self.version)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: ClusterState) -> None:
        if have.status == "DELETING":
            return
        gone_is_fine(cx.clients.eks.delete_cluster, name=have.name)

    @classmethod
    def guarded(cls, have: ClusterState) -> Finding | None:
        if not have.protected:
            return None
        cure = "set deletion_protection: false in the profile, run up, then destroy"
        return Finding("deletion protection is on", hint=cure)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        if identifier != cx.cluster:
            raise NotOurs(f"this profile's cluster is called {cx.cluster!r}, not {identifier!r}")
        shown = call(cx.clients.eks.describe_cluster, name=identifier)["cluster"]
        mark = {CLUSTER: cx.cluster, NAME: name, RUN: str(cx.run_id)}
        call(cx.clients.eks.tag_resource, resourceArn=shown["arn"], tags=mark)


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _logging(wanted: tuple[str, ...]) -> Any:
    off = [kind for kind in LOG_TYPES if kind not in wanted]
    setup = [{"types": list(wanted), "enabled": True}] if wanted else []
    return {"clusterLogging": setup + ([{"types": off, "enabled": False}] if off else [])}


def _version_changes(have: str, want: str) -> list[Change]:
    if have == want:
        return []
    is_, to = (tuple(map(int, v.split("."))) for v in (have, want))
    if to < is_:
        why = f"EKS does not go back: set kubernetes to {have!r} or newer"
        return [Change("version", have, want, "refuse", why)]
    if to[1] > is_[1] + 1:
        why = f"one minor version at a time: set kubernetes to '{is_[0]}.{is_[1] + 1}' first"
        return [Change("version", have, want, "refuse", why)]
    return [Change("version", have, want)]


def _state(shown: Any) -> ClusterState:
    vpc, health = shown["resourcesVpcConfig"], shown.get("health", {}).get("issues", [])
    logs = shown.get("logging", {}).get("clusterLogging", [])
    on = (kind for setup in logs if setup.get("enabled") for kind in setup.get("types", ()))
    return ClusterState(
        name=shown["name"],
        arn=shown["arn"],
        status=shown["status"],
        version=shown["version"],
        endpoint=shown.get("endpoint", ""),
        ca=shown.get("certificateAuthority", {}).get("data", ""),
        security_group=vpc.get("clusterSecurityGroupId", ""),
        subnets=frozenset(vpc.get("subnetIds", ())),
        public=vpc.get("endpointPublicAccess", True),
        private=vpc.get("endpointPrivateAccess", False),
        allowed=frozenset(vpc.get("publicAccessCidrs", ())),
        services=shown.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr", ""),
        logging=frozenset(on),
        support=shown.get("upgradePolicy", {}).get("supportType", ""),
        protected=bool(shown.get("deletionProtection")),
        issues="; ".join(f"{i.get('code')}: {i.get('message')}" for i in health),
        tags=shown.get("tags", {}),
    )

"""The EKS cluster.

``accessConfig`` is always sent: the API's own default is still the aws-auth ConfigMap. An adopted
cluster that has nothing else gets access entries beside it. The support policy is sent too: its
default, EXTENDED, costs more. Durations: "9 minutes or less on average"
(aws/containers-roadmap#1227); deletion from published logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Network
from typing import Any, ClassVar, Literal, NamedTuple

from clusterkit.eks import clustergroup
from clusterkit.eks.client import Clients, pages
from clusterkit.eks.errors import ERRORS
from clusterkit.eks.iam import RoleState
from clusterkit.eks.network import SubnetState
from clusterkit.eks.tags import REPLACE, Ec2State, Tagged, where
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.edit import shown as shown_ranges
from clusterkit.engine.kind import Durations, Env, Found, Kind, S, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Done, Failed, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import upgrade
from clusterkit.errors import Absent, ClusterkitError, Finding, Gone, NotOurs, Rejected
from clusterkit.naming import CLUSTER, HOME

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
PATIENCE = 3600.0
"""seconds; terraform-provider-aws waits as long for an update of a cluster or a node group
(internal/service/eks)"""


@dataclass(frozen=True)
class EksUpdate:
    """An update in progress. EKS runs it by itself, and it may fail: then the thing is ACTIVE and
    as it was (EKS API, ``DescribeUpdate``).
    """

    id: str
    of: Mapping[str, str]
    """``nodegroupName`` or ``addonName``; empty for the cluster's"""

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is."""
        asked: dict[str, Any] = {"name": scope.cluster, "updateId": self.id, **self.of}
        shown = scope.client.eks.describe_update(**asked)["update"]
        kind, status, errors = shown["type"], shown["status"], shown.get("errors") or ()
        if status not in ("Failed", "Cancelled"):
            return Done() if status == "Successful" else Running(f"{kind}: {status}")
        told = "; ".join(f"{each.get('errorCode')}: {each.get('errorMessage')}" for each in errors)
        hint = ERRORS.cure(told) or "fix that, then run the command again"
        what = f"EKS could not carry out {kind}: {told or status}"
        return Failed(Rejected(what, code=status, hint=hint))


def update(
    call: Callable[..., Any], of: Mapping[str, str], **parameters: Any
) -> Callable[[], EksUpdate]:
    """What makes an Update* call about the cluster, or about the thing ``of`` in it."""
    return lambda: EksUpdate(call(**of, **parameters)["update"]["id"], of)


class ClusterState(Ec2State):
    """A cluster as DescribeCluster shows it; ``id`` is its name."""

    version: str
    subnets: frozenset[str]
    public: bool
    private: bool
    allowed: frozenset[IPv4Network]
    services: IPv4Network | None
    logging: frozenset[str]
    support: str
    protected: bool
    issuer: str
    """of the tokens of its service accounts, without ``https://``"""
    entries: bool = True
    """whether it admits by access entries, not by the aws-auth ConfigMap alone"""
    group: str = ""
    """the security group that EKS made for the control plane and the nodes"""
    within_group: bool = True
    """whether that lets its members talk to each other"""
    out_of_group: bool = True
    """whether it lets them talk to others"""
    open_ports: tuple[str, ...] = ()
    """what it lets everybody reach that no controller of Kubernetes has opened"""

    @property
    def details(self) -> Mapping[str, str]:
        """Its version, and who may reach it."""
        return _details(self.version, self.services, self.public, self.private, self.allowed)


class Cluster(Tagged[ClusterState]):
    """The control plane."""

    kind: ClassVar[str] = "cluster"
    usable: ClassVar[frozenset[str]] = frozenset({"ACTIVE"})
    failed: ClassVar[frozenset[str]] = frozenset({"FAILED"})
    leaving: ClassVar[frozenset[str]] = frozenset({"DELETING"})
    patience: ClassVar[float] = PATIENCE
    takes: ClassVar[Durations] = Durations(create=540, delete=240)
    uses: ClassVar[tuple[str, ...]] = (
        "role",
        "subnet",
        # what is left behind is removed only after the cluster (``leftovers.py``)
        "instances",
        "vpc-endpoints",
        "classic-load-balancers",
        "load-balancers",
        "target-groups",
        "network-interfaces",
        "security-groups",
        "volumes",
        "untagged",
    )

    version: str
    role: Kind[Clients, RoleState]
    subnets: tuple[Kind[Clients, SubnetState], ...]
    public: bool = True
    private: bool = True
    allowed: tuple[IPv4Network, ...] = (IPv4Network("0.0.0.0/0"),)
    services: IPv4Network | None = None
    logging: tuple[str, ...] = ()
    support: Literal["STANDARD", "EXTENDED"] = "STANDARD"
    protected: bool = False

    @property
    def details(self) -> Mapping[str, str]:
        return _details(self.version, self.services, self.public, self.private, self.allowed)

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[ClusterState]:
        """The one of this name. ``NotOurs`` for a cluster of somebody else's: what Kubernetes made
        for that one carries the same name, so nothing may be removed by it.
        """
        try:
            shown = scope.client.eks.describe_cluster(name=scope.cluster)["cluster"]
        except Gone:
            return ()
        if shown.get("tags", {}).get(CLUSTER) != scope.cluster:
            key = f"{cls.kind}/{scope.cluster}"
            raise NotOurs(
                f"there is an EKS cluster {scope.cluster} that does not carry clusterkit's tags",
                where=key,
                hint="choose another name, or take it over: "
                f"clusterkit up --adopt {key}={scope.cluster}",
            )
        return (_state(shown),)

    @classmethod
    def read(cls, scope: Scope[Clients], found: ClusterState) -> ClusterState:
        if found.status != "ACTIVE" or not found.group:
            return found
        # by filter: a group that is gone is no error
        listed = scope.client.ec2.describe_security_groups(Filters=[where("group-id", found.group)])
        for group in listed["SecurityGroups"]:
            rules = clustergroup.rules(found.group, group)
            return replace(found, **rules._asdict())
        return found

    @classmethod
    def noted(cls, have: ClusterState) -> Iterator[Finding]:
        yield from clustergroup.noted(have.group, have.open_ports)

    def create(self, env: Env[Clients]) -> ClusterState:
        network: Any = {**self._endpoint(), "subnetIds": sorted(env.ids(self.subnets))}
        parameters: dict[str, Any] = {}
        if self.services:
            parameters["kubernetesNetworkConfig"] = {"serviceIpv4Cidr": str(self.services)}
        if self.logging:
            parameters["logging"] = _logging(self.logging)
        made = env.client.eks.create_cluster(
            name=env.cluster,
            version=self.version,
            roleArn=env[self.role].arn,
            resourcesVpcConfig=network,
            accessConfig={
                "authenticationMode": "API",
                "bootstrapClusterCreatorAdminPermissions": True,
            },
            upgradePolicy={"supportType": self.support},
            bootstrapSelfManagedAddons=False,
            deletionProtection=self.protected,
            clientRequestToken=env.token(self),
            tags=self.marks(env),
            **parameters,
        )
        return _state(made["cluster"])

    def _endpoint(self) -> dict[str, Any]:
        access = {"publicAccessCidrs": [*map(str, self.allowed)]} if self.public else {}
        return {
            "endpointPublicAccess": self.public,
            "endpointPrivateAccess": self.private,
            **access,
        }

    def edits(self, env: Env[Clients], have: ClusterState) -> Iterator[Edit]:
        config = partial(update, env.client.eks.update_cluster_config, {}, name=have.id)
        endpoint = config(resourcesVpcConfig=self._endpoint())
        # whom the ConfigMap admits stays admitted; EKS does not go back
        admit = config(accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
        yield from edit("access entries", have.entries, True, admit)
        protect = config(deletionProtection=self.protected)
        yield from edit("deletion protection", have.protected, self.protected, protect)
        support = config(upgradePolicy={"supportType": self.support})
        yield from edit("support", have.support, self.support, support)
        yield from edit("public endpoint", have.public, self.public, endpoint)
        yield from edit("private endpoint", have.private, self.private, endpoint)
        if self.public:
            yield from edit("allowed", have.allowed, frozenset(self.allowed), endpoint)
        vpcs = {env[each].vpc for each in self.subnets} - {have.vpc}
        yield from fixed("vpc", have.vpc, next(iter(vpcs), have.vpc), REPLACE)
        subnets = sorted(env.ids(self.subnets))
        move = config(resourcesVpcConfig={"subnetIds": subnets})
        yield from edit("subnets", have.subnets, frozenset(subnets), move)
        log = config(logging=_logging(self.logging))
        yield from edit("logging", have.logging, frozenset(self.logging), log)
        yield from clustergroup.edits(
            env.client.ec2, have.group, inside=have.within_group, outside=have.out_of_group
        )
        if self.services:
            why = "EKS fixes it at creation: destroy the cluster and run up again"
            yield from fixed("services", have.services, self.services, why)
        move_on = update(
            env.client.eks.update_cluster_version, {}, name=have.id, version=self.version
        )
        yield from upgrade("EKS", have.version, self.version, move_on)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: ClusterState) -> None:
        scope.client.eks.delete_cluster(name=have.id)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: ClusterState) -> Iterator[Occupant]:
        """EKS deletes no cluster that has node groups or Fargate profiles (DeleteCluster)."""
        eks, of = scope.client.eks, f"--cluster-name {have.id} --region {scope.region}"
        for name in pages(eks, "list_nodegroups", "nodegroups", clusterName=have.id):
            group = eks.describe_nodegroup(clusterName=have.id, nodegroupName=name)["nodegroup"]
            if group.get("tags", {}).get(CLUSTER) != have.id:
                cure = f"aws eks delete-nodegroup --nodegroup-name {name} {of}"
                yield Occupant("node group", name, cure=cure)
        for name in pages(eks, "list_fargate_profiles", "fargateProfileNames", clusterName=have.id):
            cure = f"aws eks delete-fargate-profile --fargate-profile-name {name} {of}"
            yield Occupant("Fargate profile", name, cure=cure)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        if identifier != scope.cluster:
            raise ClusterkitError(f"the profile's cluster is {scope.cluster!r}, not {identifier!r}")
        arn = scope.client.eks.describe_cluster(name=identifier)["cluster"]["arn"]
        scope.client.eks.tag_resource(resourceArn=arn, tags=labels)

    @classmethod
    def within(cls, have: ClusterState) -> Mapping[str, str]:
        given = (have.tags or {}).get(HOME) == have.vpc
        return {} if given else {"vpc": have.vpc}


def _details(
    version: str,
    services: IPv4Network | None,
    public: bool,
    private: bool,
    allowed: Iterable[IPv4Network],
) -> dict[str, str]:
    ranges = {"services": str(services)} if services else {}
    ways = [f"public from {shown_ranges(allowed)}"] if public else []
    endpoint = " and ".join([*ways, *(["private"] if private else [])])
    return {"Kubernetes": version, **ranges, "endpoint": endpoint}


class Calls(NamedTuple):
    """EKS's operations on one kind of thing in a cluster."""

    noun: str
    """what the Describe and Delete operations are called by"""
    list: str
    items: str
    """what the list operation calls the things in its answer"""
    item: str
    """what the Describe operation calls the thing in its answer"""
    key: str
    """what all call its id"""


class InCluster(Tagged[S]):
    """A kind that lives in a cluster; EKS tags it by its ARN, which only ``read`` tells."""

    calls: ClassVar[Calls]
    by_id: ClassVar[bool] = True
    cluster: Kind[Clients, ClusterState]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Found]:
        return map(Found, in_cluster(scope, *cls.calls[1:3]))

    @classmethod
    def shown(cls, scope: Scope[Clients], identifier: str) -> Any:
        """What EKS shows of one."""
        describe = getattr(scope.client.eks, f"describe_{cls.calls.noun}")
        return describe(clusterName=scope.cluster, **{cls.calls.key: identifier})[cls.calls.item]

    @classmethod
    def common(cls, identifier: str, shown: Any) -> dict[str, Any]:
        """The fields of every ``AwsState``."""
        arn, status = shown[f"{cls.calls.item}Arn"], shown.get("status", "")
        own = {"id": identifier, "arn": arn, "status": status, "reason": issues(shown)}
        return {**own, "tags": shown.get("tags") or {}}

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Any) -> None:
        delete = getattr(scope.client.eks, f"delete_{cls.calls.noun}")
        delete(clusterName=scope.cluster, **{cls.calls.key: have.id})

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        arn = cls.read(scope, Found(identifier)).arn
        scope.client.eks.tag_resource(resourceArn=arn, tags=labels)


def in_cluster(scope: Scope[Clients], operation: str, key: str) -> list[Any]:
    """All that a list operation shows of the cluster; ``Absent`` while there is no cluster."""
    try:
        return [*pages(scope.client.eks, operation, key, clusterName=scope.cluster)]
    except Gone:
        raise Absent(scope.cluster) from None


def issues(shown: Any) -> str:
    """What EKS says is wrong with a cluster, a node group or an add-on."""
    told = []
    for issue in shown.get("health", {}).get("issues", ()):
        about = ", ".join(issue.get("resourceIds", ()))
        told.append(f"{issue.get('code')}: {issue.get('message')}" + (f" ({about})" * bool(about)))
    return "; ".join(told)


def _logging(wanted: tuple[str, ...]) -> Any:
    off = [kind for kind in LOG_TYPES if kind not in wanted]
    setup = [{"types": list(wanted), "enabled": True}] if wanted else []
    return {"clusterLogging": setup + ([{"types": off, "enabled": False}] if off else [])}


def _state(shown: Any) -> ClusterState:
    vpc = shown["resourcesVpcConfig"]
    services = shown.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr")
    logs = shown.get("logging", {}).get("clusterLogging", [])
    on = (kind for setup in logs if setup.get("enabled") for kind in setup.get("types", ()))
    return ClusterState(
        id=shown["name"],
        arn=shown["arn"],
        status=shown["status"],
        version=shown["version"],
        vpc=vpc.get("vpcId", ""),
        subnets=frozenset(vpc.get("subnetIds", ())),
        public=vpc.get("endpointPublicAccess", True),
        private=vpc.get("endpointPrivateAccess", False),
        allowed=frozenset(map(IPv4Network, vpc.get("publicAccessCidrs", ()))),
        services=IPv4Network(services) if services else None,
        logging=frozenset(on),
        entries=shown.get("accessConfig", {}).get("authenticationMode") != "CONFIG_MAP",
        group=vpc.get("clusterSecurityGroupId", ""),
        support=shown.get("upgradePolicy", {}).get("supportType", ""),
        protected=bool(shown.get("deletionProtection")),
        issuer=shown.get("identity", {}).get("oidc", {}).get("issuer", "").removeprefix("https://"),
        reason=issues(shown),
        tags=shown.get("tags") or {},
    )

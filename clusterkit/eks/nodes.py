"""Managed node groups and their launch templates.

What cannot be changed (types, disk, image family, spot) is hashed into the name: another value is
another node group, made before the old one goes. The launch template is always our own: without one
AL2023 nodes get an IMDS hop limit of 1, and pods no credentials from the node
(https://docs.aws.amazon.com/eks/latest/userguide/al2023.html); ``remoteAccess`` would open port 22
to the world, a key name in the template opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import PATIENCE, Calls, InCluster, in_cluster, update
from clusterkit.eks.iam import RoleState
from clusterkit.eks.keypair import KeyPairState
from clusterkit.eks.network import SubnetState
from clusterkit.eks.tags import AwsState, Ec2, Ec2State, write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Found, Kind
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, Denied
from clusterkit.kube.nodes import Nodes, Taint, details

AMI = {
    ("amd64", ""): "AL2023_x86_64_STANDARD",
    ("arm64", ""): "AL2023_ARM_64_STANDARD",
    ("amd64", "NVIDIA"): "AL2023_x86_64_NVIDIA",
    ("arm64", "NVIDIA"): "AL2023_ARM_64_NVIDIA",
    ("amd64", "NEURON"): "AL2023_x86_64_NEURON",
}
"""by architecture and accelerator (``AMITypes`` of the EKS API; drivers:
https://docs.aws.amazon.com/eks/latest/userguide/ml-eks-optimized-ami.html)"""

EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
Taints = frozenset[Taint]
"""with effects as EKS spells them"""
ROOT = "/dev/xvda"
"""the root device of Amazon Linux 2023"""


class LaunchTemplate(Ec2[Ec2State]):
    """How a node's machine is set up; never changed, its name holds a hash of it."""

    kind: ClassVar[str] = "launch-template"
    unseen: ClassVar[str] = "its disk or its key pair differs"
    listing: ClassVar = ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId")
    disk: int
    """GiB"""
    encrypted: bool = True
    key_pair: Kind[Clients, KeyPairState] | None = None

    @classmethod
    def stem(cls, name: str) -> str:
        return name.rpartition("-")[0]

    def _template_name(self, env: Env[Clients]) -> str:
        return f"clusterkit-{env.cluster}-{self.name}"

    def create(self, env: Env[Clients]) -> Ec2State:
        tags = write_tags(self.marks(env))
        disk = {"VolumeSize": self.disk, "VolumeType": "gp3", "Encrypted": self.encrypted}
        metadata = {"HttpTokens": "required", "HttpEndpoint": "enabled"}
        key = {"KeyName": env[self.key_pair].key_name} if self.key_pair else {}
        data: Any = {
            "MetadataOptions": {**metadata, "HttpPutResponseHopLimit": 2},
            "BlockDeviceMappings": [
                {"DeviceName": ROOT, "Ebs": {**disk, "DeleteOnTermination": True}}
            ],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags}
                for kind in ("instance", "volume", "network-interface")
            ],
            **key,
        }
        made = env.client.ec2.create_launch_template(
            LaunchTemplateName=self._template_name(env),
            ClientToken=env.token(self),
            LaunchTemplateData=data,
            TagSpecifications=self.specification(env),
        )
        return Ec2State(**self.common(made["LaunchTemplate"]))

    def taken(self, env: Env[Clients]) -> Any:
        return self.first(env, LaunchTemplateNames=[self._template_name(env)])


class NodeGroupState(AwsState):
    """A node group as DescribeNodegroup shows it; ``id`` is its name."""

    version: str
    types: tuple[str, ...]
    count: tuple[int, int]
    """least and most"""
    desired: int
    labels: Mapping[str, str]
    taints: Taints
    max_unavailable: int
    spot: bool = False
    ami: str = ""
    role: str = ""
    """ARN of its nodes' role"""
    admitted: bool = True
    """whether the cluster has an access entry for that role, by which nodes join"""

    @property
    def details(self) -> Mapping[str, str]:
        """What it is made of."""
        found = details(self.types, *self.count, now=self.desired, spot=self.spot)
        return {**found, "image": self.ami}


class NodeGroup(InCluster[NodeGroupState], Nodes[Clients, NodeGroupState]):
    """A pool of machines; ``name`` is the node group's own."""

    kind: ClassVar[str] = "node-group"
    unseen: ClassVar[str] = "its disk, its key pair or its subnets differ"
    calls: ClassVar = Calls(
        "nodegroup", "list_nodegroups", "nodegroups", "nodegroup", "nodegroupName"
    )
    usable: ClassVar[frozenset[str]] = frozenset({"ACTIVE"})
    failed: ClassVar[frozenset[str]] = frozenset({"CREATE_FAILED", "DELETE_FAILED"})
    unhealthy: ClassVar[frozenset[str]] = frozenset({"DEGRADED"})
    """only a change that works, a larger size for one, ends it (aws/containers-roadmap#2326)"""
    leaving: ClassVar[frozenset[str]] = frozenset({"DELETING"})
    patience: ClassVar[float] = PATIENCE
    too_new: ClassVar[str] = "unable to assume the service-linked role"
    """the first of an account, for which EKS has made that role
    (aws-samples/aws-fault-injection-simulator-workshop-v2#188)"""
    takes: ClassVar[Durations] = Durations(create=150, delete=300)
    uses: ClassVar[tuple[str, ...]] = ("cluster", "role", "subnet", "launch-template")

    role: Kind[Clients, RoleState]
    template: Kind[Clients, Ec2State]
    subnets: tuple[Kind[Clients, SubnetState], ...]
    ami: str
    disk: int
    """GiB"""
    version: str
    max_unavailable: int = 1

    @property
    def disk_size(self) -> int:
        return self.disk

    @property
    def details(self) -> Mapping[str, str]:
        return {**super().details, "image": self.ami}

    @classmethod
    def stem(cls, name: str) -> str:
        return name.rpartition("-")[0]

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> NodeGroupState:
        state = cls.state(found.id, cls.shown(scope, found.id))
        if state.status not in cls.usable:
            return state
        return replace(state, admitted=_admitted(scope, state.role))

    @classmethod
    def state(cls, identifier: str, shown: Any) -> NodeGroupState:
        """What EKS shows of one."""
        scaling, taints = shown["scalingConfig"], shown.get("taints") or ()
        return NodeGroupState(
            **cls.common(identifier, shown),
            version=shown["version"],
            types=tuple(shown.get("instanceTypes") or ()),
            count=(scaling["minSize"], scaling["maxSize"]),
            desired=scaling["desiredSize"],
            labels=shown.get("labels") or {},
            taints=frozenset((t["key"], t.get("value", ""), t["effect"]) for t in taints),
            max_unavailable=shown.get("updateConfig", {}).get("maxUnavailable", 1),
            spot=shown.get("capacityType") == "SPOT",
            ami=shown.get("amiType", ""),
            role=shown.get("nodeRole", ""),
        )

    @classmethod
    def name_of(cls, have: NodeGroupState) -> str:
        return have.id

    @property
    def _taints(self) -> Taints:
        return frozenset((key, value, EFFECTS[effect]) for key, value, effect in self.taints)

    @property
    def _count(self) -> tuple[int, int]:
        return self.minimum, max(self.maximum, 1)

    def create(self, env: Env[Clients]) -> NodeGroupState:
        low, high = self._count
        made = env.client.eks.create_nodegroup(
            clusterName=env.cluster,
            nodegroupName=self.name,
            scalingConfig={"minSize": low, "maxSize": high, "desiredSize": low},
            subnets=env.ids(self.subnets),
            instanceTypes=[*self.types],
            amiType=self.ami,  # type: ignore[arg-type]
            nodeRole=env[self.role].arn,
            labels=dict(self.labels),
            taints=_taints(self._taints),
            capacityType="SPOT" if self.spot else "ON_DEMAND",
            launchTemplate={"id": env[self.template].id, "version": "1"},
            updateConfig={"maxUnavailable": self.max_unavailable},
            version=self.version,
            clientRequestToken=env.token(self),
            tags=self.marks(env),
        )
        return self.state(self.name, made["nodegroup"])

    def edits(self, env: Env[Clients], have: NodeGroupState) -> Iterator[Edit]:
        labels, taints = dict(self.labels), self._taints
        config: dict[str, Any] = {}
        if have.count != self._count:
            config["scalingConfig"] = self._scaling(have.desired)
        if have.labels != labels:
            config["labels"] = {
                "addOrUpdateLabels": labels,
                "removeLabels": sorted(have.labels.keys() - labels.keys()),
            }
        if have.taints != taints:
            config["taints"] = {
                "addOrUpdateTaints": _taints(taints),
                "removeTaints": _taints(_dropped(have.taints, taints)),
            }
        if have.max_unavailable != self.max_unavailable:
            config["updateConfig"] = {"maxUnavailable": self.max_unavailable}
        eks, of = env.client.eks, {"nodegroupName": have.id}
        configure = update(eks.update_nodegroup_config, of, clusterName=env.cluster, **config)
        upgrade = update(
            eks.update_nodegroup_version, of, clusterName=env.cluster, version=self.version
        )
        # EKS makes it with the node group, and does not notice when somebody deletes it
        # (https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html)
        admit = partial(eks.create_access_entry, clusterName=env.cluster, type="EC2_LINUX")
        admit = partial(admit, principalArn=have.role)
        yield from edit("access entry of its role", have.admitted, True, admit)
        yield from edit("count", have.count, self._count, configure)
        yield from edit("labels", have.labels, labels, configure)
        yield from edit("taints", have.taints, taints, configure)
        yield from edit("max_unavailable", have.max_unavailable, self.max_unavailable, configure)
        yield from edit("version", have.version, self.version, upgrade)

    def _scaling(self, desired: int) -> dict[str, int]:
        """The new limits; the size itself is the autoscaler's unless it lies outside them."""
        low, high = self._count
        size = min(max(desired, low), high)
        moved = {"desiredSize": size} if size != desired else {}
        return {"minSize": low, "maxSize": high, **moved}

    def taken(self, env: Env[Clients]) -> NodeGroupState:
        return self.read(env, Found(self.name))


def _admitted(scope: Scope[Clients], role: str) -> bool:
    try:
        return role in in_cluster(scope, "list_access_entries", "accessEntries")
    except Denied:  # who may not list them hears of that from their own kind
        return True
    except Absent:  # the cluster has none: the aws-auth ConfigMap admits the nodes
        return True


def _dropped(have: Taints, want: Taints) -> Taints:
    """Taints to remove: EKS knows a taint by key and effect, and updates its value."""
    kept = {(key, effect) for key, _, effect in want}
    return frozenset(taint for taint in have if (taint[0], taint[2]) not in kept)


def _taints(taints: Taints) -> Any:
    return [{"key": k, "value": v, "effect": e} for k, v, e in sorted(taints)]

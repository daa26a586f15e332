"""Managed node groups."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from clusterkit_sandbox.aws import images, instances, joining
from clusterkit_sandbox.aws.access import add_entry
from clusterkit_sandbox.aws.addons import look_after
from clusterkit_sandbox.aws.records import Access, ClusterRecord, Group, Shown
from clusterkit_sandbox.aws.refusals import Refusal, in_use, invalid, not_found
from clusterkit_sandbox.aws.service import Eks, now, operation

LOOK, PATIENCE = 0.5, 30.0
"""real seconds between two attempts of machines to join, and how long they try at any pace: the
tools that make what they need take real time (Terraform looks at a new NAT gateway after ten)"""
GROUPS = 30
"""per cluster (https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html)"""


def _group(eks: Eks, asked: dict[str, Any]) -> Group:
    cluster, name = asked["clusterName"], asked["nodegroupName"]
    found = eks.store.get(Group, name, eks.cluster(cluster).key)
    if found is None:
        raise not_found(
            f"No node group found for name: {name}.",
            clusterName=cluster,
            nodegroupName=name,
        )
    return found


@operation
def create_nodegroup(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    cluster, name = asked["clusterName"], asked["nodegroupName"]
    record, ec2 = eks.active(cluster), eks.account.ec2(eks.name)
    where = {"clusterName": cluster, "nodegroupName": name}
    if eks.store.get(Group, name, record.key):
        raise in_use(
            f"NodeGroup already exists with name {name} and cluster name {cluster}",
            **where,
        )
    if len(list(eks.store.all(Group, record.key))) >= GROUPS:
        raise Refusal(
            "ResourceLimitExceededException",
            f"A cluster can have at most {GROUPS} managed node groups",
            **where,
        )
    eks.account.role(asked["nodeRole"], "ec2.amazonaws.com", eks.age(), now().timestamp())
    subnets = eks.account.subnets(eks.name, asked["subnets"], 1, frozenset())
    if subnets[0].vpc_id != record.shown["resourcesVpcConfig"]["vpcId"]:
        raise invalid("Subnets are not in the VPC of the cluster", **where)
    template, remote = asked.get("launchTemplate"), asked.get("remoteAccess")
    if template:
        joining.template(ec2, template, asked, where)
    if remote and remote.get("ec2SshKey") not in ec2.key_pairs:
        raise invalid(f"The key pair '{remote.get('ec2SshKey')}' does not exist", **where)
    version = asked.get("version") or record.shown["version"]
    joining.version(version, record)
    ami = asked.get("amiType") or "AL2023_x86_64_STANDARD"
    types = asked.get("instanceTypes") or ["t3.medium"]
    joining.types(eks, types, ami, subnets, where)
    scaling = asked.get("scalingConfig") or {
        "minSize": 1,
        "maxSize": 2,
        "desiredSize": 2,
    }
    scaling = {"minSize": 1, "maxSize": 2, "desiredSize": 2} | scaling
    joining.scaling(scaling, where)
    identifier = str(uuid4())
    group = record.shown["resourcesVpcConfig"]["clusterSecurityGroupId"]
    own = None
    if remote:
        own = ec2.create_security_group(
            f"eks-remoteAccess-{identifier}",
            "Security group for all nodes in the nodeGroup to allow SSH access",
            vpc_id=subnets[0].vpc_id,
        ).id
    shown: Shown = {
        "nodegroupName": name,
        "nodegroupArn": eks.arn("nodegroup", cluster, name, identifier),
        "clusterName": cluster,
        "version": version,
        "releaseVersion": asked.get("releaseVersion") or images.release(version),
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "CREATING",
        "capacityType": asked.get("capacityType", "ON_DEMAND"),
        "scalingConfig": scaling,
        "instanceTypes": types,
        "subnets": asked["subnets"],
        "remoteAccess": remote,
        "amiType": ami,
        "nodeRole": asked["nodeRole"],
        "labels": asked.get("labels") or {},
        "taints": asked.get("taints") or [],
        "diskSize": None if template else asked.get("diskSize", 20),
        "health": {"issues": []},
        "updateConfig": asked.get("updateConfig") or {"maxUnavailable": 1},
        "nodeRepairConfig": asked.get("nodeRepairConfig"),
        "launchTemplate": template,
        "tags": asked.get("tags") or {},
        "resources": {
            "autoScalingGroups": [{"name": f"eks-{name}-{identifier}"}],
            "remoteAccessSecurityGroup": own,
        },
    }
    made = eks.store.add(Group(shown, scope=record.key, security_group=own))
    if eks.store.get(Access, asked["nodeRole"], record.key) is None:
        add_entry(eks, record, asked["nodeRole"], "EC2_LINUX", [])
    instances.add_template(ec2, made, [group, own] if own else [group], version)
    instances.add_nodes(ec2, made, subnets, scaling["desiredSize"])
    if issue := joining.refused(eks, shown, subnets):
        _failed(made, issue)
        eks.life.go(made, "CREATING", "eks/nodegroup/create", "CREATE_FAILED")
    else:
        eks.life.show(made, "CREATING")
        patience = max(eks.context.pace.seconds("eks/nodegroup/join"), PATIENCE)
        _try(eks, record, made, eks.clock.now + patience)
    return {"nodegroup": shown}


def _failed(group: Group, issue: dict[str, str]) -> None:
    found = {**issue, "resourceIds": group.instances or [group.id]}
    group.shown["health"]["issues"].append(found)


def _try(eks: Eks, record: ClusterRecord, group: Group, until: float) -> None:
    """Let the machines join as soon as nothing keeps them from it: their route, or a policy of
    their role, may come later than they.
    """

    def look() -> None:
        with eks.account.lock:
            if eks.store.get(Group, group.id, group.scope) is not group:
                return
            eks.name = record.region
            issue = joining.trouble(eks, record, group.shown)
            if issue is None:
                group.shown["status"] = "ACTIVE"
                show_nodes(eks, record)
            elif eks.clock.now < until:
                eks.clock.after(LOOK, look)
            else:
                _failed(group, issue)
                group.shown["status"] = "CREATE_FAILED"

    eks.clock.later("eks/nodegroup/create", look)


def show_nodes(eks: Eks, record: ClusterRecord) -> None:
    """Update the node objects in Kubernetes."""
    eks.endpoints.sync(
        record.key,
        lambda: [
            node
            for group in eks.store.all(Group, record.key)
            if group.status in ("ACTIVE", "UPDATING", "DEGRADED")
            for node in instances.nodes_of(record.region, group)
        ],
    )
    look_after(eks, record)


@operation
def describe_nodegroup(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"nodegroup": _group(eks, asked).shown}


@operation
def list_nodegroups(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    groups = eks.store.all(Group, eks.cluster(asked["clusterName"]).key)
    names, token = eks.page(sorted(group.id for group in groups), asked)
    return {"nodegroups": names, "nextToken": token}


@operation
def delete_nodegroup(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record, group = eks.cluster(asked["clusterName"]), _group(eks, asked)
    if group.status in ("CREATING", "UPDATING", "DELETING"):
        raise in_use(
            f"NodeGroup is in {group.status} state",
            nodegroupName=asked["nodegroupName"],
        )

    def gone() -> None:
        eks.store.remove(group)
        ec2 = eks.account.ec2(record.region)
        instances.remove_nodes(group, group.instances)
        instances.remove_template(ec2, group)
        if group.security_group:
            instances.remove_group(ec2, group.security_group)

    eks.life.go(group, "DELETING", "eks/nodegroup/delete", None, gone)
    show_nodes(eks, record)
    return {"nodegroup": group.shown}


@operation
def update_nodegroup_config(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record, group = eks.active(asked["clusterName"]), _group(eks, asked)
    where = {
        "clusterName": asked["clusterName"],
        "nodegroupName": asked["nodegroupName"],
    }
    # a larger size is what ends DEGRADED (aws/containers-roadmap#2326)
    if group.status not in ("ACTIVE", "DEGRADED"):
        raise in_use(f"NodeGroup is in {group.status} state", **where)
    shown = group.shown
    wanted = asked.get("scalingConfig") or {}
    joining.scaling({**shown["scalingConfig"], **wanted}, where)

    def done() -> None:
        labels, taints = asked.get("labels") or {}, asked.get("taints") or {}
        kept = {k: v for k, v in shown["labels"].items() if k not in labels.get("removeLabels", [])}
        shown["labels"] = kept | labels.get("addOrUpdateLabels", {})
        gone = {(t["key"], t["effect"]) for t in taints.get("removeTaints", [])}
        added = {(t["key"], t["effect"]): t for t in taints.get("addOrUpdateTaints", [])}
        old = {(t["key"], t["effect"]): t for t in shown["taints"]}
        shown["taints"] = [t for key, t in (old | added).items() if key not in gone or key in added]
        if asked.get("updateConfig"):
            shown["updateConfig"] = asked["updateConfig"]
        # an autoscaler may have set another size meanwhile
        shown["scalingConfig"] = scaling = {**shown["scalingConfig"], **wanted}
        size = min(max(scaling["desiredSize"], scaling["minSize"]), scaling["maxSize"])
        scaling["desiredSize"] = size
        _settle(eks, record, group)
        shown["status"], shown["modifiedAt"] = "ACTIVE", now()
        show_nodes(eks, record)

    return {"update": eks.update(record, group, "ConfigUpdate", "eks/nodegroup/update", done)}


def _settle(eks: Eks, record: ClusterRecord, group: Group) -> None:
    """Make as many instances as there are to be, or remove the newest."""
    ec2, shown = eks.account.ec2(record.region), group.shown
    wanted = shown["scalingConfig"]["desiredSize"]
    instances.remove_nodes(group, group.instances[wanted:])
    if (missing := wanted - len(group.machines)) > 0:
        subnets = eks.account.subnets(record.region, shown["subnets"], 1, frozenset())
        instances.add_nodes(ec2, group, subnets, missing)


def launch(eks: Eks, record: ClusterRecord, group: Group) -> None:
    """Come to the desired size, as the Auto Scaling group does whenever it is set."""

    def launched() -> None:
        with eks.account.lock:
            if eks.store.get(Group, group.id, group.scope) is not group:
                return
            if group.status != "DELETING":
                eks.name = record.region
                _settle(eks, record, group)
                show_nodes(eks, record)

    eks.clock.later("eks/nodegroup/scale", launched)


def replace_ended(eks: Eks, region: str) -> None:
    """Launch instances for those that somebody has terminated, as Auto Scaling does."""
    for group in eks.store.all(Group):
        name, _, cluster = group.scope.partition("/")
        ended = [i for i, one in group.machines.items() if one.instance_state.name == "terminated"]
        record = eks.store.get(ClusterRecord, cluster, region) if name == region else None
        if ended and record is not None:
            instances.remove_nodes(group, ended)
            show_nodes(eks, record)
            launch(eks, record, group)


def remove_instance(eks: Eks, record: ClusterRecord, group: Group, instance: str) -> None:
    """Terminate one instance."""
    instances.remove_nodes(group, [instance])
    show_nodes(eks, record)


@operation
def update_nodegroup_version(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record, group = eks.active(asked["clusterName"]), _group(eks, asked)
    if group.status != "ACTIVE":
        raise in_use(
            f"NodeGroup is in {group.status} state",
            nodegroupName=asked["nodegroupName"],
        )
    version = asked.get("version") or record.shown["version"]
    joining.version(version, record)
    template = asked.get("launchTemplate")
    if template:
        joining.template(eks.account.ec2(eks.name), template, {}, {})

    def done() -> None:
        group.shown["version"] = version
        group.shown["releaseVersion"] = images.release(version)
        if template:
            group.shown["launchTemplate"] = template
        security = [record.shown["resourcesVpcConfig"]["clusterSecurityGroupId"]]
        if group.security_group:
            security.append(group.security_group)
        instances.add_template(eks.account.ec2(record.region), group, security, version)
        group.shown["status"] = "ACTIVE"
        show_nodes(eks, record)

    return {"update": eks.update(record, group, "VersionUpdate", "eks/nodegroup/update", done)}

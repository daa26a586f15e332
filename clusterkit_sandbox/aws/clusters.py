"""Clusters: create, describe, list and delete, with the EC2 resources that EKS creates for them."""

from __future__ import annotations

import base64
import os
import secrets
import string
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from clusterkit_sandbox.aws import instances, system
from clusterkit_sandbox.aws.access import add_entry, reviewer
from clusterkit_sandbox.aws.catalog import DEFAULT, GP2, REFUSED_ZONES, VERSIONS
from clusterkit_sandbox.aws.controllers import ClusterControllers
from clusterkit_sandbox.aws.records import ClusterRecord, FargateProfile, Group, Shown
from clusterkit_sandbox.aws.refusals import Refusal, in_use, invalid
from clusterkit_sandbox.aws.service import Eks, now, operation
from clusterkit_sandbox.kit.cluster import ADDRESS, MACHINE
from clusterkit_sandbox.kit.quotas import quota

CLUSTERS = 100
"""per region (https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html)"""
SERVICES = ("172.20.0.0/16", "10.100.0.0/16")
"""the default ranges for Services"""
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
NOT_HERE = (
    "outpostConfig",
    "remoteNetworkConfig",
    "controlPlaneScalingConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
)
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""authentication modes; a cluster can only move forward in this order"""
LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


@operation
def describe_cluster_versions(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    found = []
    for name, version in sorted(VERSIONS.items(), key=lambda item: item[1].released, reverse=True):
        status = version.status(now())
        if status == "UNSUPPORTED" and not asked.get("includeAll"):
            continue
        if asked.get("clusterVersions") and name not in asked["clusterVersions"]:
            continue
        if asked.get("defaultOnly") and name != DEFAULT:
            continue
        if asked.get("versionStatus") not in (None, status):
            continue
        found.append(
            {
                "clusterVersion": name,
                "clusterType": "eks",
                "defaultPlatformVersion": "eks.5",
                "defaultVersion": name == DEFAULT,
                "releaseDate": version.released,
                "endOfStandardSupportDate": version.standard_until,
                "endOfExtendedSupportDate": version.extended_until,
                "status": status.lower().replace("_", "-"),
                "versionStatus": status,
                "kubernetesPatchVersion": f"{name}.2",
            }
        )
    page, token = eks.page(found, asked)
    return {"clusterVersions": page, "nextToken": token}


@operation
def create_cluster(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    name, network = asked["name"], asked["resourcesVpcConfig"]
    _emulated(asked)
    if eks.store.get(ClusterRecord, name, eks.name):
        raise in_use(f"Cluster already exists with name: {name}", clusterName=name)
    if len(list(eks.store.all(ClusterRecord, eks.name))) >= (most := quota(CLUSTERS)):
        raise Refusal(
            "ResourceLimitExceededException",
            f"An account can have at most {most} clusters in a region",
            clusterName=name,
        )
    version = asked.get("version") or DEFAULT
    if version not in VERSIONS or VERSIONS[version].status(now()) == "UNSUPPORTED":
        raise invalid(f"unsupported Kubernetes version: {version}", clusterName=name)
    access = asked.get("accessConfig") or {}
    mode = access.get("authenticationMode", "CONFIG_MAP")
    reachable(network)
    subnets = eks.account.subnets(eks.name, network.get("subnetIds") or [], 2, REFUSED_ZONES)
    groups_exist(eks, network, subnets[0].vpc_id)
    services = _services(
        (asked.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr"),
        eks.account.ec2(eks.name).vpcs[subnets[0].vpc_id].cidr_block,
    )
    eks.account.role(asked["roleArn"], "eks.amazonaws.com", eks.age(), now().timestamp())
    group = instances.cluster_group(eks.account.ec2(eks.name), name, subnets[0].vpc_id)
    interfaces = instances.control_plane(eks.account.ec2(eks.name), name, subnets, group)
    identity = "".join(secrets.choice("0123456789ABCDEF") for _ in range(32))
    part = "".join(secrets.choice(string.ascii_lowercase) for _ in range(3))
    host = f"{identity.lower()}.{part}.{eks.name}.eks.amazonaws.com"
    shown: Shown = {
        "name": name,
        "arn": eks.arn("cluster", name),
        "createdAt": now(),
        "version": version,
        "roleArn": asked["roleArn"],
        "status": "CREATING",
        "platformVersion": "eks.5",
        "tags": asked.get("tags") or {},
        "health": {"issues": []},
        "resourcesVpcConfig": {
            "subnetIds": network["subnetIds"],
            "securityGroupIds": network.get("securityGroupIds") or [],
            "clusterSecurityGroupId": group,
            "vpcId": subnets[0].vpc_id,
            "endpointPublicAccess": network.get("endpointPublicAccess", True),
            "endpointPrivateAccess": network.get("endpointPrivateAccess", False),
            "publicAccessCidrs": network.get("publicAccessCidrs") or ["0.0.0.0/0"],
        },
        "kubernetesNetworkConfig": {
            "ipFamily": "ipv4",
            "serviceIpv4Cidr": services,
            "elasticLoadBalancing": {"enabled": False},
        },
        "logging": asked.get("logging")
        or {"clusterLogging": [{"types": LOG_TYPES, "enabled": False}]},
        "identity": {
            "oidc": {"issuer": f"https://oidc.eks.{eks.name}.amazonaws.com/id/{identity}"}
        },
        "accessConfig": {
            "authenticationMode": mode,
            "bootstrapClusterCreatorAdminPermissions": access.get(
                "bootstrapClusterCreatorAdminPermissions", True
            ),
        },
        "upgradePolicy": asked.get("upgradePolicy") or {"supportType": "EXTENDED"},
        "encryptionConfig": asked.get("encryptionConfig") or [],
        "deletionProtection": asked.get("deletionProtection", False),
        # shown only if it was set: Terraform's provider sees anything else as a change
        "zonalShiftConfig": asked.get("zonalShiftConfig"),
        # not in the API object: the CNI plugin and others that EKS installs without add-ons
        "selfManaged": asked.get("bootstrapSelfManagedAddons", True),
    }
    record = ClusterRecord(shown, scope=eks.name, host=host, interfaces=interfaces)
    record.zones = {subnet.availability_zone for subnet in subnets}
    eks.store.add(record)
    if access.get("bootstrapClusterCreatorAdminPermissions", True):
        if mode == "CONFIG_MAP":
            record.creator = eks.caller
        else:
            add_entry(eks, record, eks.caller, "STANDARD", [ADMIN])
    failing = eks.context.faults.terminal("eks:CreateCluster")
    if failing:
        issue = {
            "code": "InternalFailure",
            "message": "The cluster could not be created",
            "resourceIds": [name],
        }
        shown["health"]["issues"].append(issue)
    then = "FAILED" if failing else "ACTIVE"
    opening = None if failing else lambda: _open(eks, record)
    eks.life.go(record, "CREATING", "eks/cluster/create", then, opening)
    return {"cluster": shown}


def _emulated(asked: dict[str, Any]) -> None:
    """Refuse what the sandbox does not emulate, instead of ignoring it."""
    network = asked.get("kubernetesNetworkConfig") or {}
    wanted = {
        "computeConfig": (asked.get("computeConfig") or {}).get("enabled"),
        "storageConfig": ((asked.get("storageConfig") or {}).get("blockStorage") or {}).get(
            "enabled"
        ),
        "kubernetesNetworkConfig.elasticLoadBalancing": (
            network.get("elasticLoadBalancing") or {}
        ).get("enabled"),
        "kubernetesNetworkConfig.ipFamily ipv6": network.get("ipFamily") == "ipv6",
        **{key: asked.get(key) for key in NOT_HERE},
    }
    for what, value in wanted.items():
        if value:
            raise Refusal("NotImplemented", f"{what} is not in the sandbox", 501)


def groups_exist(eks: Eks, network: dict[str, Any], vpc: str) -> None:
    groups = eks.account.ec2(eks.name).groups.get(vpc, {})
    for group in network.get("securityGroupIds") or []:
        if group not in groups:
            raise invalid(
                f"The security group '{group}' does not exist in VPC '{vpc}' (Service: AmazonEC2; "
                "Status Code: 400; Error Code: InvalidGroup.NotFound)"
            )


def _services(wanted: str | None, vpc: str) -> str:
    """The range of Services: the requested one if valid, else one that does not overlap the VPC."""
    theirs = ip_network(vpc)
    if wanted is None:
        return next(one for one in SERVICES if not ip_network(one).overlaps(theirs))
    try:
        found = IPv4Network(wanted)
    except ValueError as error:
        raise invalid(f"Invalid service CIDR {wanted}: {error}") from error
    if not 12 <= found.prefixlen <= 24 or not any(found.subnet_of(one) for one in PRIVATE):
        raise invalid(
            f"Service CIDR {wanted} must be between /24 and /12, within 10.0.0.0/8, 172.16.0.0/12 "
            "or 192.168.0.0/16"
        )
    if found.overlaps(theirs):
        raise invalid(f"Service CIDR {wanted} overlaps with the CIDR of the VPC, {vpc}")
    return wanted


def reachable(network: dict[str, Any]) -> None:
    for block in network.get("publicAccessCidrs") or []:
        try:
            ip_network(block, strict=False)
        except ValueError as error:
            raise invalid(f"The following CIDRs are invalid: [{block}]") from error
    public = network.get("endpointPublicAccess", True)
    if not public and not network.get("endpointPrivateAccess", False):
        raise invalid("Private and public endpoint access cannot be false")


def _open(eks: Eks, record: ClusterRecord) -> None:
    """The cluster becomes ACTIVE: start its endpoint."""
    shown, region = record.shown, record.region
    endpoint = eks.endpoints.open(
        record.key,
        hosts=[record.host],
        version=shown["version"],
        review=reviewer(eks, region, shown["name"]),
        hooks=ClusterControllers(eks, region, shown["name"], shown["resourcesVpcConfig"]["vpcId"]),
        objects=[
            GP2,
            *(
                system.of_cluster(shown["version"], region, record.services)
                if shown["selfManaged"]
                else ()
            ),
        ],
        services=record.services,
        issuer=shown["identity"]["oidc"]["issuer"],
    )
    shown["endpoint"] = f"https://{record.host}"
    shown["certificateAuthority"] = {"data": base64.b64encode(endpoint.ca_pem.encode()).decode()}


def barred(eks: Eks, host: str) -> str:
    """Why this machine cannot connect to the endpoint with this host name; empty if it can.

    https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html
    """
    records = eks.store.all(ClusterRecord)
    record = next((each for each in records if each.host == host), None)
    if record is None:
        return ""
    here = IPv4Address(os.environ.get(ADDRESS, MACHINE))
    network = record.shown["resourcesVpcConfig"]
    vpc = eks.account.ec2(record.region).vpcs.get(network["vpcId"])
    inside = vpc is not None and here in ip_network(vpc.cidr_block)
    if network["endpointPrivateAccess"] and inside:
        return ""
    if not network["endpointPublicAccess"]:
        return f"the endpoint of cluster {record.shown['name']} is private; {here} is outside"
    if any(here in ip_network(block, strict=False) for block in network["publicAccessCidrs"]):
        return ""
    return f"the endpoint of cluster {record.shown['name']} does not let {here} in"


@operation
def describe_cluster(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"cluster": eks.cluster(asked["name"]).shown}


@operation
def list_clusters(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    names = sorted(record.id for record in eks.store.all(ClusterRecord, eks.name))
    names, token = eks.page(names, asked)
    return {"clusters": names, "nextToken": token}


@operation
def delete_cluster(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked["name"]
    record = eks.cluster(name)
    if record.shown["deletionProtection"]:
        raise Refusal(
            "InvalidRequestException",
            "Cannot delete cluster because deletion protection is enabled",
            400,
            clusterName=name,
        )
    groups = [group.id for group in eks.store.all(Group, record.key)]
    if groups:
        raise in_use(
            "Cluster has nodegroups attached",
            clusterName=name,
            nodegroupName=",".join(groups),
        )
    if any(eks.store.all(FargateProfile, record.key)):
        # kubernetes-sigs/cluster-api-provider-aws#4728
        raise in_use("Cluster has Fargate Profiles in ACTIVE/CREATING state", clusterName=name)
    if record.status in ("CREATING", "DELETING", "UPDATING"):
        raise in_use(f"Cluster is in {record.status} state", clusterName=name)
    eks.life.go(record, "DELETING", "eks/cluster/delete", None, lambda: _close(eks, record))
    return {"cluster": record.shown}


def _close(eks: Eks, record: ClusterRecord) -> None:
    """Remove the cluster and the EC2 resources that EKS created for it."""
    eks.store.empty(record.key)
    eks.store.remove(record)
    eks.updates.forget(record.arn)
    eks.endpoints.close(record.key)
    ec2 = eks.account.ec2(record.region)
    for interface in record.interfaces:
        ec2.enis.pop(interface, None)
    instances.remove_group(ec2, record.shown["resourcesVpcConfig"]["clusterSecurityGroupId"])

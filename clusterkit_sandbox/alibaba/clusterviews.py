"""CS 2015-12-15: clusters, their nodes and resources as they are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from clusterkit_sandbox.alibaba.catalogue import ADDONS, RUNTIME, upgrade_of, zones
from clusterkit_sandbox.alibaba.clusterlife import made_by, size_of
from clusterkit_sandbox.alibaba.failure import bad
from clusterkit_sandbox.alibaba.models import (
    API_PORT,
    Cluster,
    Disk,
    Eip,
    Instance,
    LoadBalancer,
    NatGateway,
    NodePool,
    Role,
    SecurityGroup,
    SnatEntry,
    Thing,
    VSwitch,
)
from clusterkit_sandbox.alibaba.nodes import node_name
from clusterkit_sandbox.alibaba.service import Call, Json, beijing, find_cluster, operation
from clusterkit_sandbox.alibaba.store import ACCOUNT, Store

_DETAIL_ONLY = ("extra_sans", "node_cidr_mask", "parameters", "rrsa_config")
_NOT_BY_REGION = (
    *_DETAIL_ONLY,
    "docker_version",
    "external_loadbalancer_id",
    "master_url",
    "meta_data",
    "network_mode",
    "private_zone",
    "subnet_cidr",
    "vswitch_id",
    "worker_ram_role_name",
    "zone_id",
)
_TYPES: Mapping[type[Thing], str] = {
    Disk: "ALIYUN::ECS::Disk",
    Eip: "ALIYUN::VPC::EIP",
    LoadBalancer: "ALIYUN::SLB::LoadBalancer",
    NatGateway: "ALIYUN::VPC::NatGateway",
    Role: "ALIYUN::RAM::Role",
    SecurityGroup: "ALIYUN::ECS::SecurityGroup",
    SnatEntry: "ALIYUN::ECS::SNatEntry",
}
"""As Resource Orchestration Service names them, which Container Service builds with."""


def fields(store: Store, cluster: Cluster) -> Json:
    """The cluster as DescribeClusterDetail shows it."""
    body = cluster.body
    first = store.get(VSwitch, cluster.vswitches[0])
    endpoints = {"intranet_api_server_endpoint": f"https://{cluster.private_address}:{API_PORT}"}
    if cluster.public:
        endpoints["api_server_endpoint"] = f"https://{cluster.public_address}:{API_PORT}"
    installed = [{"name": name, "version": ADDONS[name]} for name in cluster.addons]
    return {
        "cluster_id": cluster.id,
        "name": cluster.name,
        "region_id": cluster.region,
        "state": cluster.state,
        "size": size_of(store, cluster),
        "cluster_type": body["cluster_type"],
        "profile": body["profile"],
        "cluster_spec": body["cluster_spec"],
        "current_version": cluster.version,
        "init_version": body.get("kubernetes_version", cluster.version),
        "next_version": upgrade_of(cluster.version),
        "docker_version": RUNTIME,
        "vpc_id": cluster.vpc,
        "vswitch_id": ",".join(cluster.vswitches),
        "vswitch_ids": cluster.vswitches,
        "zone_id": first.zone if first is not None else zones(cluster.region)[0],
        "network_mode": "vpc",
        "private_zone": False,
        "security_group_id": cluster.security_group,
        "external_loadbalancer_id": cluster.load_balancer,
        "worker_ram_role_name": cluster.worker_role,
        "container_cidr": cluster.container_cidr,
        "subnet_cidr": cluster.container_cidr,
        "service_cidr": cluster.service_cidr,
        "node_cidr_mask": body["node_cidr_mask"],
        "proxy_mode": body["proxy_mode"],
        "cluster_domain": body["cluster_domain"],
        "ip_stack": body["ip_stack"],
        "timezone": body["timezone"],
        "extra_sans": body.get("extra_sans", []),
        # one text with JSON in it, as the vendor sends them; before there is a server there is none
        "master_url": json.dumps(endpoints) if cluster.state not in ("initial", "failed") else "",
        "meta_data": json.dumps({"Addons": installed}),
        "parameters": {},
        "deletion_protection": body["deletion_protection"],
        "resource_group_id": cluster.resource_group,
        "rrsa_config": _rrsa(cluster),
        "tags": [{"key": key, "value": value} for key, value in cluster.tags.items()],
        "created": beijing(cluster.created),
        "updated": beijing(cluster.updated),
    }


def _rrsa(cluster: Cluster) -> Json:
    if not cluster.body["rrsa_config"].get("enabled", False):
        return {"enabled": False}
    issuer = f"https://oidc-ack-{cluster.region}.oss-{cluster.region}.aliyuncs.com/{cluster.id}"
    name = f"ack-rrsa-{cluster.id}"
    return {
        "enabled": True,
        "issuer": issuer,
        "audience": "sts.aliyuncs.com",
        "oidc_name": name,
        "oidc_arn": f"acs:ram::{ACCOUNT}:oidc-provider/{name}",
        "open_api_configuration_url": f"{issuer}/.well-known/openid-configuration",
        "jwks_url": f"{issuer}/keys",
    }


@operation("cs:DescribeClusterDetail")
def _detail(call: Call) -> object:
    return fields(call.store, find_cluster(call))


def _list(call: Call, region: str | None, without: Sequence[str]) -> object:
    found = [
        cluster
        for cluster in call.store.all(Cluster)
        if region in (None, cluster.region)
        and call.get("cluster_id") in (None, cluster.id)
        and call.get("name", "") in cluster.name  # vendor: "fuzzy search is supported"
        and all(
            call.get(name) in (None, cluster.body[name])
            for name in ("cluster_spec", "cluster_type", "profile")
        )
    ]
    figures, some = call.page(
        found, number="page_number", size="page_size", total="total_count", most=100
    )
    listed = [fields(call.store, cluster) for cluster in some]
    return {
        "clusters": [{k: v for k, v in one.items() if k not in without} for one in listed],
        "page_info": figures,
    }


@operation("cs:DescribeClustersV1")
def _list_all(call: Call) -> object:
    return _list(call, call.get("region_id"), _DETAIL_ONLY)


@operation("cs:DescribeClustersForRegion")
def _list_region(call: Call) -> object:
    return _list(call, call.path["region_id"], _NOT_BY_REGION)


def _number(call: Call, name: str, default: int) -> int:
    text = str(call.get(name, default))
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise bad("InvalidParameter", f"{name} {text!r} is not valid.")
    return int(text)


@operation("cs:DescribeClusterNodes")
def _nodes(call: Call) -> object:
    cluster = find_cluster(call)
    wanted, names = call.get("instanceIds"), call.get("nodeNames")
    found = [
        instance
        for instance in call.store.all(Instance)
        if instance.cluster == cluster.id
        and call.get("nodepool_id") in (None, instance.pool)
        and (wanted is None or instance.id in wanted.split(","))
        and (names is None or node_name(instance) in names.split(","))
        and call.get("state", "all") in ("all", "running" if instance.joined else "failed")
    ]
    size, number = _number(call, "pageSize", 10), _number(call, "pageNumber", 1)
    length = min(size, call.store.faults.page_size or size, 100)
    some = found[(number - 1) * length : number * length]
    return {
        "nodes": [_node(instance) for instance in some],
        "page": {"page_number": number, "page_size": length, "total_count": len(found)},
    }


def _node(instance: Instance) -> Json:
    return {
        "instance_id": instance.id,
        "instance_name": instance.name,
        "instance_role": "Worker",
        "instance_status": "Running",
        "instance_type": instance.kind,
        "instance_type_family": instance.kind.rpartition(".")[0],
        "instance_charge_type": "PostPaid",
        "host_name": instance.name,
        "ip_address": [instance.address],
        "is_aliyun_node": True,
        "node_name": node_name(instance),
        "node_status": "Ready" if instance.joined else "Unknown",
        "nodepool_id": instance.pool,
        "source": "ess_attach",
        "spot_strategy": instance.spot,
        "state": "running" if instance.joined else "failed",
        "error_message": "" if instance.joined else "The machine did not become a node.",
        "creation_time": beijing(instance.created),
    }


@operation("cs:DescribeClusterResources")
def _resources(call: Call) -> object:
    cluster = find_cluster(call)
    own = [_resource(cluster, thing, _TYPES[type(thing)]) for thing in made_by(call.store, cluster)]
    used = [("ALIYUN::ECS::VPC", cluster.vpc)]
    used += [("ALIYUN::ECS::VSwitch", vswitch) for vswitch in cluster.vswitches]
    used += [
        ("ALIYUN::ESS::ScalingGroup", f"asg-{pool.id[2:]}")
        for pool in call.store.all(NodePool)
        if pool.cluster == cluster.id
    ]
    return own + [
        {
            "cluster_id": cluster.id,
            "instance_id": identifier,
            "resource_type": kind,
            "auto_create": int(kind.startswith("ALIYUN::ESS")),
            "creator_type": "system" if kind.startswith("ALIYUN::ESS") else "user",
            "delete_behavior": {
                "changeable": False,
                "delete_by_default": kind.startswith("ALIYUN::ESS"),
            },
            "state": "CREATE_COMPLETE",
            "created": beijing(cluster.created),
        }
        for kind, identifier in used
    ]


def _resource(cluster: Cluster, thing: Thing, kind: str) -> Json:
    of_addon = isinstance(thing, Disk) or (
        isinstance(thing, LoadBalancer) and thing.id != cluster.load_balancer
    )
    if isinstance(thing, LoadBalancer) and thing.kind == "nlb":
        kind = "ALIYUN::NLB::LoadBalancer"
    return {
        "cluster_id": cluster.id,
        "instance_id": thing.id,
        "resource_type": kind,
        "resource_info": thing.name,
        "auto_create": 1,
        "creator_type": "addon" if of_addon else "system",
        "delete_behavior": {
            "changeable": isinstance(thing, LoadBalancer),
            "delete_by_default": not isinstance(thing, Disk),
        },
        "state": "CREATE_COMPLETE",
        "created": beijing(thing.created),
    }

"""Fields of Alibaba Cloud's form: regions, zones, instance types, ids, repositories, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated

from clusterkit.profile.cidr import Cidr, carvable
from clusterkit.profile.fields import Form, every, lower_case
from clusterkit.profile.problems import Problem, shown
from clusterkit.profile.tags import TagLimits


def _region_cure(text: str) -> str:
    if re.fullmatch(r"cn(-[a-z]{2,}){1,2}(-[0-9]+)?-[a-z]", text):
        return f"this is a zone; its region is {text[:-2]}"
    if re.fullmatch(r"(cn(-[a-z]{2,}){2}|[a-z]{2}-[a-z]+)-[0-9][a-z]", text):
        return f"this is a zone; its region is {text[:-1]}"
    return ""


REGION = Form(
    r"cn(-[a-z]{2,}){1,2}(-[0-9]{1,2})?|cn-north-2-gov-1|[a-z]{2}-[a-z]+-[0-9]{1,2}",
    "an Alibaba Cloud region such as ap-southeast-1",
    32,
    _region_cure,
)
Region = Annotated[str, REGION]
"""https://www.alibabacloud.com/help/en/ecs/product-overview/regions-and-zones"""

OUTSIDE = ("cn-hongkong",)
"""regions whose names begin with cn- but that are outside the mainland's network"""


def mainland(region: str) -> bool:
    """Whether the region is in mainland China, where foreign registries are hard to reach."""
    return region.startswith("cn-") and region not in OUTSIDE


def zone_problem(zone: str, region: str) -> str | None:
    """What is wrong with a zone's name in ``region``: ``cn-hangzhou-h``, ``ap-southeast-1a``,
    ``cn-shanghai-finance-1k``."""
    dash = "" if region[-1:].isdigit() else "-"
    if re.fullmatch(re.escape(region + dash) + "[a-z]", zone):
        return None
    return f"{shown(zone)} is not a zone of {region}, such as {region}{dash}b"


def _machine_cure(text: str) -> str:
    if not text.startswith("ecs."):
        return "this is another cloud's; a size such as {cpu: 4, memory: 16} works on every cloud"
    return ""


InstanceType = Annotated[
    str,
    Form(
        r"ecs\.[a-z0-9-]+\.[a-z0-9-]+",
        "an ECS instance type such as ecs.g7.xlarge",
        64,
        _machine_cure,
    ),
]
"""https://www.alibabacloud.com/help/en/ecs/user-guide/overview-of-instance-families"""

VpcId = Annotated[str, Form(r"vpc-[a-z0-9]{8,32}", "the id of a VPC, vpc-…")]
VSwitchId = Annotated[str, Form(r"vsw-[a-z0-9]{8,32}", "the id of a VSwitch, vsw-…")]
ResourceGroupId = Annotated[str, Form(r"rg-[a-z0-9]{6,32}", "the id of a resource group, rg-…")]
VpcRange = Annotated[Cidr, carvable(16, IPv4Network("100.64.0.0/10"))]
"""CreateVpc refuses 100.64.0.0/10 and its subnets; larger VPCs than /16 are not needed here"""
RegistryId = Annotated[
    str,
    Form(
        r"cri-[a-z0-9]{8,32}",
        "the id of a Container Registry Enterprise Edition instance, cri-…",
        64,
    ),
]
PersonalHost = Annotated[
    str,
    Form(
        r"(crpi-[a-z0-9]+|registry(-intl)?)(-vpc)?\.[a-z0-9-]+(\.personal\.cr)?\.aliyuncs\.com",
        "a host name such as crpi-0123456789abcdef.ap-southeast-1.personal.cr.aliyuncs.com, "
        "without https://",
        128,
    ),
]
"""hosts of the Personal Edition: ``crpi-`` since 2024-09-09, ``registry`` in older accounts,
``registry-intl`` in older ones of the international site
"""

_JOINED = r"[a-z0-9]+([._-][a-z0-9]+)*"
_WORDS = "lower-case letters and digits, joined by '-', '_' or '.'"
Namespace = Annotated[str, Form(_JOINED, f"a namespace: {_WORDS}", 120, lower_case)]
"""``NamespaceName`` of CreateNamespace (cr 2018-12-01), 2 to 120 characters"""
RepositoryName = Annotated[str, Form(_JOINED, f"a repository name: {_WORDS}", 58, lower_case)]
"""``RepoName`` of CreateRepository, at most 64 characters with ``-cache``"""
Mirror = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9._-]+)*",
        "a registry without https://, such as registry.example.com/mirror",
        255,
    ),
]


def _tags(tags: dict[str, str]) -> Iterator[Problem]:
    for key, value in tags.items():
        if any("http://" in text or "https://" in text for text in (key, value)):
            yield Problem("may not contain http:// or https://", place=(key,))


_LIMITS = TagLimits(12, 128, 128, ("aliyun", "acs:", "ack.", "k8s."))
"""of ECS's 20 tags per resource clusterkit uses four, ACK and Auto Scaling up to five
(https://www.alibabacloud.com/help/en/ack/, "Create a node pool", ECS tags); lengths and prefixes:
TagResources of ECS 2014-05-26"""
Tags = Annotated[dict[str, str], every(_LIMITS), every(_tags)]


_POOL = "pools: [{{name: default, {}}}]"

OUTDATED: Mapping[str, str] = {
    "cluster_type": "remove it: every cluster is managed; edition: pro or standard. Dedicated "
    "clusters (Kubernetes) can no longer be created, Serverless (Ask) is closed to new users",
    "disable_rollback": "remove it: up continues after a failure",
    "timeout_mins": "remove it: clusterkit waits as long as the cloud makes progress",
    "region_id": "region: ap-southeast-1",
    "zoneid": "network: {zones: 2}, or their names; clusterkit finds zones with the machines",
    "zone_id": "network: {zones: 2}, or their names; clusterkit finds zones with the machines",
    "snat_entry": "network: {nat: true} creates a NAT gateway",
    "nat_gateway": "network: {nat: true} creates a NAT gateway",
    "cloud_monitor_flags": "remove it",
    "public_slb": "endpoint: {public: true}",
    "worker_instance_type": _POOL.format("machine: {cpu: 4, memory: 8}")
    + "; ecs.c4 is no longer sold",
    "worker_instance_types": _POOL.format("machine: {cpu: 4, memory: 8}"),
    "num_of_nodes": _POOL.format("count: 3"),
    "worker_system_disk_category": _POOL.format("disk: {type: cloud_essd}")
    + "; node pools have not accepted cloud_efficiency since 2025",
    "worker_system_disk_size": _POOL.format("disk: {size: 120}"),
    "worker_instance_charge_type": "remove it: nodes are pay-as-you-go; spot: true in a pool",
    "vpcid": "network: {existing: {vpc: …, vswitches: […]}}, or remove it to create one",
    "vswitchid": "network: {existing: {vpc: …, vswitches: […]}}, or remove it to create "
    "one per zone",
    "vswitch_ids": "network: {existing: {vpc: …, vswitches: […]}}",
    "container_cidr": "network: {pods: 172.20.0.0/16}",
    "service_cidr": "network: {services: 172.21.0.0/20}",
    "key_pair": "ssh_key: ~/.ssh/id_ed25519.pub: clusterkit imports the key pair",
    "login_password": "ssh_key: ~/.ssh/id_ed25519.pub: passwords do not belong in a profile",
    "kubernetes_version": 'kubernetes: "1.35"',
    "cluster_spec": "edition: pro (ack.pro.small) or standard (ack.standard)",
}
"""The fields of the CreateCluster call of 2019, and what to write in a profile today. People copy
them from older articles; CS 2015-12-15 has deprecated or removed them."""

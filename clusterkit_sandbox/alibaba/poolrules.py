"""What Container Service checks in a node pool.

Seen by operators or users of the Terraform provider, and safe to branch on:
``InvalidParameter.Name`` for a name that is taken (terraform-provider-alicloud#6502),
``InvalidDesiredSizeOrCount.NotNull`` for a size given to a pool that scales by itself,
``InvalidParameter.Management`` for a managed pool without its add-on, and
``MissingAuth.AliyunOOSLifecycleHook4CSRole`` for a pool of a given size in an account that has not
granted that role. ``InvalidUserData.*`` is on the vendor's page of RunInstances (ECS). The rest are
named after their like: a driver must not branch on them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.alibaba.activation import granted
from clusterkit_sandbox.alibaba.catalogue import DISKS, INSTANCE_TYPES, LIFECYCLE_ROLE
from clusterkit_sandbox.alibaba.clusterrules import NAME, check_group, find_switch
from clusterkit_sandbox.alibaba.failure import bad, not_emulated
from clusterkit_sandbox.alibaba.models import Cluster, Instance, KeyPair, NodePool
from clusterkit_sandbox.alibaba.service import Call, Json, as_tags, check_tags

_TAINT_EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule")
_SPOT = ("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo")
_USER_DATA = 32 * 1024
"""Bytes of a script before it is encoded (vendor: RunInstances, UserData)."""
_ARM_IMAGE = "AliyunLinux3Arm64"
_IMAGES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "AliyunLinux",
            "AliyunLinuxSecurity",
            "AliyunLinux3",
            "AliyunLinux3Security",
            "CentOS",
            "Windows",
            "WindowsCore",
        ),
        ("X86",),
    ),
    _ARM_IMAGE: ("ARM",),
    "ContainerOS": ("ARM", "X86"),
    "AliyunLinux3ContainerOptimized": ("ARM", "X86"),
}
"""The architectures of each image (vendor: CreateClusterNodePool, image_type, which says which one
is for ARM).
"""
_MANAGED_ADDON = "ack-node-problem-detector"


@dataclass(frozen=True)
class Home:
    """The cluster of a pool, existing or about to be created."""

    id: str
    region: str
    vpc: str
    spec: str
    addons: Mapping[str, str]

    @classmethod
    def of(cls, cluster: Cluster) -> Home:
        """An existing cluster."""
        spec = str(cluster.body["cluster_spec"])
        return cls(cluster.id, cluster.region, cluster.vpc, spec, cluster.addons)


def default_image(types: Collection[str]) -> str:
    """The image of a pool that names none."""
    arm = any(INSTANCE_TYPES[name].architecture == "ARM" for name in types)
    return _ARM_IMAGE if arm else "AliyunLinux3"


def check_pool(call: Call, home: Home, body: Json) -> None:
    """Check what the published description cannot express."""
    group: dict[str, Any] = body["scaling_group"]
    if not 1 <= len(group["instance_types"]) <= 10:
        raise bad("InvalidParameter", "scaling_group.instance_types must have 1 to 10 types.")
    if not 1 <= len(group["vswitch_ids"]) <= 8:
        raise bad("InvalidParameter", "scaling_group.vswitch_ids must have 1 to 8 vSwitches.")
    for name in group["instance_types"]:
        if name not in INSTANCE_TYPES:
            raise bad(
                "InvalidInstanceType.ValueNotSupported",
                f"The instance type {name} is not supported.",
            )
    _check_image(group)
    for identifier in group["vswitch_ids"]:
        if find_switch(call, identifier).vpc != home.vpc:
            raise bad("InvalidVSwitchId.NotFound", f"{identifier} is not in VPC {home.vpc}.")
    if group["instance_charge_type"] not in ("PostPaid", "PrePaid"):
        raise bad("InvalidParameter", "instance_charge_type must be PostPaid or PrePaid.")
    if group["instance_charge_type"] == "PrePaid":
        raise not_emulated("subscription machines")
    if group.get("spot_strategy", "NoSpot") not in _SPOT:
        raise bad("InvalidParameter", f"spot_strategy must be one of {', '.join(_SPOT)}.")
    if group.get("multi_az_policy", "PRIORITY") not in ("PRIORITY", "COST_OPTIMIZED", "BALANCE"):
        raise bad("InvalidParameter", "multi_az_policy is not valid.")
    for identifier in group.get("security_group_ids", []):
        check_group(call, identifier, home.vpc)
    check_tags(as_tags(group.get("tags", []), "key", "value"))
    _check_login(call, home.region, group)
    _check_disk(group)
    _check_scaling(body)
    _check_kubernetes(body.get("kubernetes_config") or {})


def _check_image(group: Json) -> None:
    """One architecture in a pool, and an image of it; the code is not documented."""
    kinds = {INSTANCE_TYPES[name].architecture for name in group["instance_types"]}
    image = group.get("image_type") or default_image(group["instance_types"])
    if image not in _IMAGES:
        raise bad("InvalidParameter", f"The image type {image} is not supported.")
    if len(kinds) > 1:
        raise bad("InvalidParameter", "The instance types of a node pool have one architecture.")
    if not group.get("image_id") and not kinds <= {*_IMAGES[image]}:
        raise bad(
            "InvalidParameter",
            f"The image type {image} is not for instance types of {', '.join(kinds)}.",
        )


def _check_kubernetes(config: Json) -> None:
    for taint in config.get("taints", []):
        if taint.get("effect") not in _TAINT_EFFECTS or not taint.get("key"):
            raise bad("InvalidParameter", f"The taint {taint!r} is not valid.")
    for label in config.get("labels", []):
        if not label.get("key"):
            raise bad("InvalidParameter", "A label needs a key.")
    for field in ("user_data", "pre_user_data"):
        try:
            script = base64.b64decode(config.get(field) or "", validate=True)
        except (binascii.Error, ValueError):
            raise bad(
                "InvalidUserData.Base64FormatInvalid",
                f"The specified parameter {field} must be base64 encoded.",
            ) from None
        if len(script) > _USER_DATA:
            raise bad(
                "InvalidUserData.SizeExceeded", f"The specified parameter {field} exceeds the size."
            )


def check_size(call: Call, body: Json, *, given: bool) -> None:
    """A pool that scales by itself takes no size; another one needs a role for its machines' life.

    ``given`` says whether the request itself has a size.
    """
    if (body.get("auto_scaling") or {}).get("enable", False):
        if given:
            raise bad(
                "InvalidDesiredSizeOrCount.NotNull",
                "Parameter desired_size/count setting or modification is not supported for"
                " autoscaling-enabled nodepool",
            )
    elif given and not granted(call, LIFECYCLE_ROLE):
        raise bad(
            f"MissingAuth.{LIFECYCLE_ROLE}",
            f"please complete the {LIFECYCLE_ROLE} ramrole authorization",
        )


def check_management(home: Home, body: Json) -> None:
    """A managed pool needs the add-on that detects broken nodes."""
    managed = (body.get("management") or {}).get("enable", False)
    if managed and _MANAGED_ADDON not in home.addons:
        raise bad(
            "InvalidParameter.Management",
            f"addon {_MANAGED_ADDON} is not installed; please install the addon",
        )


def check_room(call: Call, home: Home, more: int) -> None:
    """As many nodes as a cluster may have, counting those that are still to come."""
    quotas = call.store.conditions.quotas
    standard = home.spec == "ack.standard"
    most = quotas["standard-node"] if standard else quotas["node"]
    # a pool that is at rest may have fewer than it wants, for want of stock
    there = sum(i.cluster == home.id for i in call.store.all(Instance))
    for pool in call.store.all(NodePool):
        if pool.cluster == home.id and pool.state != "active":
            made = sum(i.pool == pool.id for i in call.store.all(Instance))
            there += max(0, pool.desired - made)
    if more > 0 and there + more > most:
        # the code is not documented
        raise bad("QuotaExceeded", f"The cluster can have {most} nodes.")


def check_pool_name(cluster: str, name: str, taken: Collection[str]) -> None:
    """1 to 63 characters as a cluster's name, once in the cluster."""
    if not NAME.fullmatch(name):
        raise bad("InvalidParameter", f"The node pool name {name!r} is not valid.")
    if name in taken:
        raise bad(
            "InvalidParameter.Name", f"nodepool name {name} is already exist in cluster {cluster}."
        )


def _check_login(call: Call, region: str, group: dict[str, Any]) -> None:
    if group.get("key_pair") and group.get("login_password"):
        raise bad("InvalidParameter", "Give one of key_pair and login_password.")
    if group.get("key_pair") and not call.store.get(KeyPair, group["key_pair"], region):
        raise bad("InvalidKeyPairName.NotFound", f"There is no key pair {group['key_pair']}.")


def _check_disk(group: dict[str, Any]) -> None:
    categories = group.get("system_disk_categories") or [
        # the published default, although node pools take it no more
        group.get("system_disk_category", "cloud_efficiency")
    ]
    size = int(group.get("system_disk_size", 120))
    for category in categories:
        if category not in DISKS:
            raise bad(
                "InvalidSystemDiskCategory.ValueNotSupported",
                f"There is no disk category {category!r}.",
            )
        if category in ("cloud_efficiency", "cloud_ssd"):
            raise bad(
                "InvalidSystemDiskCategory.ValueNotSupported",
                f"The system disk category {category} is not supported for node pools; use"
                " cloud_essd, cloud_auto or cloud_essd_entry.",
            )
        low, high = DISKS[category].system
        if not low <= size <= high:
            raise bad("InvalidSystemDiskSize", f"system_disk_size must be {low} to {high}.")
        _check_level(category, group.get("system_disk_performance_level"), size)
    for disk in group.get("data_disks", []):
        _check_level(disk.get("category", ""), disk.get("performance_level"), disk.get("size", 0))


def _check_level(category: str, level: str | None, size: int) -> None:
    """A level has its least size; code and words are those of CreateDisk and RunInstances."""
    levels = DISKS[category].levels if category in DISKS else {}
    if not levels or not level:
        return
    if level not in levels:
        raise bad("InvalidPerformanceLevel.Malformed", f"There is no performance level {level!r}.")
    if int(size) < levels[level]:
        raise bad(
            "OperationDenied.PerformanceLevelNotMatch",
            f"The specified PerformanceLevel {level} and disk size {size} do not match: it has"
            f" {levels[level]} GiB or more.",
        )


def _check_scaling(body: Json) -> None:
    scaling = body.get("auto_scaling") or {}
    if not scaling.get("enable", False):
        if body["scaling_group"].get("desired_size", 0) < 0:
            raise bad("InvalidParameter", "desired_size must not be negative.")
        return
    low, high = scaling.get("min_instances", 0), scaling.get("max_instances", 0)
    if not 0 <= low <= high or high < 1:
        raise bad("InvalidParameter", "min_instances must not be more than max_instances.")

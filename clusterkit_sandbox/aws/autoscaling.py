"""EC2 Auto Scaling: the groups behind managed node groups.

Names and tags of the groups: EKS User Guide, "Managed node groups" (they carry the tags by which
the cluster autoscaler finds them), and public outputs of DescribeAutoScalingGroups. Codes: the Auto
Scaling API reference, and its "Troubleshoot" pages. Groups of the user's own are not emulated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import NAMESPACE_URL, uuid4, uuid5

from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.groups import launch, remove_instance
from clusterkit_sandbox.aws.records import ClusterRecord, Group
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.service import Eks, now

_Answer = dict[str, Any]
_TAG = ("ResourceId", "Key", "Value", "PropagateAtLaunch")


def arn_of(group: Group) -> str:
    """Its ARN, as policies name it."""
    region, name = group.scope.partition("/")[0], group.scaling_group
    number = uuid5(NAMESPACE_URL, name)
    return (
        f"arn:aws:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:{number}:"
        f"autoScalingGroupName/{name}"
    )


def tags_of(group: Group) -> dict[str, str]:
    """Its tags."""
    return {key: value for key, (value, _) in group.scaling_tags().items()}


def groups(eks: Eks, region: str) -> list[Group]:
    """The groups of a region, by name."""
    found = [one for one in eks.store.all(Group) if one.scope.partition("/")[0] == region]
    return sorted(found, key=lambda one: one.scaling_group)


def group_of(eks: Eks, region: str, asked: Mapping[str, str]) -> Group | None:
    """The group that a request is about."""
    name, instance = asked.get("AutoScalingGroupName"), asked.get("InstanceId")
    for group in groups(eks, region):
        if group.scaling_group == name or (instance and instance in group.instances):
            return group
    return None


def run(eks: Eks, region: str, operation: str, body: bytes) -> bytes:
    """One call, as XML; ``Refusal`` with the service's error."""
    name = operation.partition(":")[2]
    function = _OPERATIONS.get(name)
    if function is None:
        raise Refusal("NotImplemented", f"{operation} is not in the sandbox", 501)
    asked = dict(parse_qsl(body.decode(), keep_blank_values=True))
    eks.name = region
    return _xml(name, function(eks, region, asked))


def _describe(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    names = _members(asked, "AutoScalingGroupNames")
    found = [
        one
        for one in groups(eks, region)
        if (not names or one.scaling_group in names) and _matches(tags_of(one), asked)
    ]
    return {"AutoScalingGroups": [_shown(eks, one) for one in found]}


def _shown(eks: Eks, group: Group) -> _Answer:
    shown, name, arn = group.shown, group.scaling_group, arn_of(group)
    scaling = _scaling(group)
    zones = sorted(
        {one.availability_zone for one in eks.account.subnets(
            group.scope.partition("/")[0], shown["subnets"], 1, frozenset())}
    )  # fmt: skip
    template = eks.account.ec2(group.scope.partition("/")[0]).launch_templates[group.template]
    used = {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": str(template.latest_version_number),
    }
    spot = shown["capacityType"] == "SPOT"
    return {
        "AutoScalingGroupName": name,
        "AutoScalingGroupARN": arn,
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": used,
                "Overrides": [{"InstanceType": one} for one in shown.get("instanceTypes") or ()],
            },
            "InstancesDistribution": {
                "OnDemandAllocationStrategy": "prioritized",
                "OnDemandBaseCapacity": 0,
                "OnDemandPercentageAboveBaseCapacity": 0 if spot else 100,
                "SpotAllocationStrategy": "price-capacity-optimized",
            },
        },
        "MinSize": scaling["minSize"],
        "MaxSize": scaling["maxSize"],
        "DesiredCapacity": scaling["desiredSize"],
        "DefaultCooldown": 300,
        "AvailabilityZones": zones,
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 15,
        "Instances": [
            {
                "InstanceId": one.id,
                "InstanceType": one.instance_type,
                "AvailabilityZone": one.availability_zone,
                "LifecycleState": "InService",
                "HealthStatus": "Healthy",
                "LaunchTemplate": used,
                "ProtectedFromScaleIn": False,
            }
            for one in group.machines.values()
        ],
        "CreatedTime": shown["createdAt"],
        "VPCZoneIdentifier": ",".join(shown["subnets"]),
        "Tags": _tags(group),
        "TerminationPolicies": ["AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"],
        "NewInstancesProtectedFromScaleIn": False,
        "CapacityRebalance": spot,
    }


def _tags(group: Group) -> list[_Answer]:
    return [
        {
            "ResourceId": group.scaling_group,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": propagated,
        }
        for key, (value, propagated) in group.scaling_tags().items()
    ]


def _describe_tags(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    filters = _filters(asked)
    words = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
    found = [
        tag
        for group in groups(eks, region)
        for tag in _tags(group)
        if all(tag[words[name]] in values for name, values in filters if name in words)
    ]
    return {"Tags": found}


def _each_tag(eks: Eks, region: str, asked: dict[str, str]) -> Iterator[tuple[Group, _Answer]]:
    numbers = {m[1] for key in asked if (m := re.match(r"Tags\.member\.(\d+)\.", key))}
    for number in sorted(numbers, key=int):
        tag = {key: asked.get(f"Tags.member.{number}.{key}", "") for key in _TAG}
        found = group_of(eks, region, {"AutoScalingGroupName": tag["ResourceId"]})
        if found is None:
            raise Refusal(
                "ValidationError",
                f"AutoScalingGroup name not found - no such group: {tag['ResourceId']}",
            )
        yield found, tag


def _create_tags(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    for group, tag in list(_each_tag(eks, region, asked)):
        group.given_tags[tag["Key"]] = tag["Value"], tag["PropagateAtLaunch"].lower() == "true"
    return {}


def _delete_tags(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    for group, tag in list(_each_tag(eks, region, asked)):
        group.given_tags.pop(tag["Key"], None)
    return {}


def _describe_instances(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    ids = _members(asked, "InstanceIds")
    found = [
        {
            "InstanceId": one.id,
            "InstanceType": one.instance_type,
            "AutoScalingGroupName": group.scaling_group,
            "AvailabilityZone": one.availability_zone,
            "LifecycleState": "InService",
            "HealthStatus": "HEALTHY",
            "ProtectedFromScaleIn": False,
        }
        for group in groups(eks, region)
        for one in group.machines.values()
        if not ids or one.id in ids
    ]
    return {"AutoScalingInstances": found}


def _activities(_eks: Eks, _region: str, _asked: dict[str, str]) -> _Answer:
    """None is kept; what the cluster autoscaler looks for is one that has failed."""
    return {"Activities": []}


def _set(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    group = _required(eks, region, asked)
    name, scaling = group.scaling_group, _scaling(group)
    size = int(asked["DesiredCapacity"])
    for bound, what, wrong in (
        ("maxSize", "above max", size > scaling["maxSize"]),
        ("minSize", "below min", size < scaling["minSize"]),
    ):
        if wrong:
            raise Refusal(
                "ValidationError",
                f"New SetDesiredCapacity value {size} is {what} value {scaling[bound]} for the"
                " AutoScalingGroup.",
            )
    group.shown["scalingConfig"] = {**scaling, "desiredSize": size}
    launch(eks, _cluster(eks, group), group)
    return {"_": name}


def _terminate(eks: Eks, region: str, asked: dict[str, str]) -> _Answer:
    instance = asked["InstanceId"]
    group = group_of(eks, region, {"InstanceId": instance})
    if group is None:
        raise Refusal(
            "ValidationError", f"Instance Id not found - No managed instance found for {instance}"
        )
    scaling = _scaling(group)
    if asked["ShouldDecrementDesiredCapacity"].lower() == "true":
        size = scaling["desiredSize"] - 1
        if size < scaling["minSize"]:
            raise Refusal(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({scaling['minSize']}). Terminating"
                " instance without replacement will violate group's min size constraint. Either set"
                " shouldDecrementDesiredCapacity flag to false or lower group's min size.",
            )
        group.shown["scalingConfig"] = {**scaling, "desiredSize": size}
    remove_instance(eks, _cluster(eks, group), group, instance)
    launch(eks, _cluster(eks, group), group)
    return {
        "Activity": {
            "ActivityId": str(uuid4()),
            "AutoScalingGroupName": group.scaling_group,
            "Description": f"Terminating EC2 instance: {instance}",
            "Cause": f"At {now():%Y-%m-%dT%H:%M:%SZ} instance {instance} was taken out of service"
            " in response to a user request.",
            "StartTime": now(),
            "StatusCode": "InProgress",
            "Progress": 0,
        }
    }


def _scaling(group: Group) -> dict[str, int]:
    """The group's sizes: EKS sets them to none before it deletes the group."""
    if group.status == "DELETING":
        return {"minSize": 0, "maxSize": 0, "desiredSize": 0}
    found: dict[str, int] = group.shown["scalingConfig"]
    return found


def _required(eks: Eks, region: str, asked: dict[str, str]) -> Group:
    found = group_of(eks, region, asked)
    if found is None:
        raise Refusal("ValidationError", "AutoScalingGroup name not found - null")
    return found


def _cluster(eks: Eks, group: Group) -> ClusterRecord:
    region, _, name = group.scope.partition("/")
    found = eks.store.get(ClusterRecord, name, region)
    assert found is not None
    return found


def _filters(asked: dict[str, str]) -> list[tuple[str, list[str]]]:
    numbers = {m[1] for key in asked if (m := re.match(r"Filters\.member\.(\d+)\.", key))}
    return [
        (
            asked.get(f"Filters.member.{one}.Name", ""),
            _members(asked, f"Filters.member.{one}.Values"),
        )
        for one in sorted(numbers, key=int)
    ]


def _matches(tags: Mapping[str, str], asked: dict[str, str]) -> bool:
    """``tag-key``, ``tag-value`` and ``tag:KEY`` (API reference, DescribeAutoScalingGroups)."""
    for name, values in _filters(asked):
        if name == "tag-key":
            held = any(key in values for key in tags)
        elif name == "tag-value":
            held = any(value in values for value in tags.values())
        else:
            held = tags.get(name.removeprefix("tag:")) in values
        if not held:
            return False
    return True


def _members(asked: dict[str, str], name: str) -> list[str]:
    found = [key for key in asked if re.fullmatch(rf"{re.escape(name)}\.member\.\d+", key)]
    return [asked[key] for key in sorted(found, key=lambda key: int(key.rpartition(".")[2]))]


def _xml(name: str, answer: _Answer) -> bytes:
    from moto.core.serialize import QuerySerializer
    from moto.core.utils import get_service_model

    model = get_service_model("autoscaling").operation_model(name)
    body = QuerySerializer(model).serialize(answer)["body"]
    return body.encode() if isinstance(body, str) else bytes(body)


_OPERATIONS: Mapping[str, Callable[[Eks, str, dict[str, str]], _Answer]] = {
    "CreateOrUpdateTags": _create_tags,
    "DeleteTags": _delete_tags,
    "DescribeAutoScalingGroups": _describe,
    "DescribeAutoScalingInstances": _describe_instances,
    "DescribeScalingActivities": _activities,
    "DescribeTags": _describe_tags,
    "SetDesiredCapacity": _set,
    "TerminateInstanceInAutoScalingGroup": _terminate,
}

"""The operations of the emulated AWS services, as faults name them: ``ec2:CreateVpc``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from clusterkit_sandbox.aws.late import KINDS

SERVICES = (
    "autoscaling", "ec2", "ecr", "eks", "eks-auth", "elb", "elbv2", "iam", "kms", "logs",
    "resourcegroupstaggingapi", "s3", "service-quotas", "ssm", "sts",
)  # fmt: skip
TERMINAL = (
    "ec2:CreateNatGateway",
    "eks:CreateAddon",
    "eks:CreateCluster",
    "eks:CreateNodegroup",
    "eks:UpdateAddon",
    "eks:UpdateClusterConfig",
    "eks:UpdateClusterVersion",
    "eks:UpdateNodegroupConfig",
    "eks:UpdateNodegroupVersion",
)


class AwsOperations:
    """Implements ``clusterkit_sandbox.fault_targets.Operations``."""

    services: Collection[str] = SERVICES
    terminal: Collection[str] = TERMINAL
    late: Collection[str] = tuple(KINDS)

    def names(self, service: str) -> Collection[str]:
        """Every operation in botocore's description of a service."""
        return [f"{service}:{name}" for name in _model(service).operation_names]

    def other(self, pattern: str) -> bool:
        """None: botocore's description is complete."""
        return False


@cache
def _model(service: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


@cache
def published_statuses(service: str) -> Mapping[str, int]:
    """HTTP status by error code, as far as botocore's description of a service gives it."""
    if service not in SERVICES:
        return {}
    found: dict[str, int] = {}
    for shape in _model(service).error_shapes:
        status = shape.metadata.get("error", {}).get("httpStatusCode")
        if status:
            found[shape.error_code] = int(status)
    return found

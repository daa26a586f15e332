"""Service Quotas: the figures of those quotas that the sandbox enforces.

Names and codes: AWS General Reference, "Service endpoints and quotas" of EKS; Amazon VPC User
Guide, "Amazon VPC quotas". The answers: Service Quotas API Reference, and those that
hashicorp/terraform-provider-aws#13075 (a default's ARN has no account) and #19719 show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.clusters import CLUSTERS
from clusterkit_sandbox.aws.moto_checks import ADDRESSES, VPCS
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kit.calls import cut, page_start, page_token
from clusterkit_sandbox.kit.quotas import quota

_PAGE = 100
"""the longest (``MaxResults``)"""
_SERVICES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "eks": "Amazon Elastic Kubernetes Service (Amazon EKS)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
}


@dataclass(frozen=True)
class Quota:
    """A quota of an account in a region, all of which can be raised."""

    service: str
    code: str
    name: str
    usual: int
    """of a new account"""

    def shown(self, region: str, *, applied: bool) -> dict[str, Any]:
        """As the API shows it, with the figure in force or with AWS's default."""
        account = ACCOUNT if applied else ""
        level = {"QuotaAppliedAtLevel": "ACCOUNT"} if applied else {}
        return {
            "ServiceCode": self.service,
            "ServiceName": _SERVICES[self.service],
            "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{self.service}/{self.code}",
            "QuotaCode": self.code,
            "QuotaName": self.name,
            "Value": float(quota(self.usual) if applied else self.usual),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
            **level,
        }


QUOTAS = (
    Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", ADDRESSES),
    Quota("eks", "L-1194D53C", "Clusters", CLUSTERS),
    Quota("vpc", "L-F678F1CE", "VPCs per Region", VPCS),
)
_APPLIED: Mapping[str, bool] = {
    "GetAWSDefaultServiceQuota": False,
    "GetServiceQuota": True,
    "ListAWSDefaultServiceQuotas": False,
    "ListServiceQuotas": True,
}
"""operations, and whether they show the figures in force"""


def run(eks: Eks, region: str, operation: str, body: bytes) -> bytes:
    """One call; ``Refusal`` with the service's error."""
    name, asked = operation.partition(":")[2], json.loads(body or b"{}")
    if name not in _APPLIED or asked.get("ContextId"):
        raise Refusal("NotImplemented", f"{operation} is not in the sandbox", 501)
    service, code = asked["ServiceCode"], asked.get("QuotaCode")
    found = [
        each.shown(region, applied=_APPLIED[name])
        for each in QUOTAS
        if each.service == service and code in (None, each.code)
    ]
    if not found:  # AWS has many more
        what = f"Of the quotas of {service} the sandbox has no {code or 'one'}"
        raise Refusal("NotImplemented", what, 501)
    if name.startswith("Get"):
        return json.dumps({"Quota": found[0]}).encode()
    try:
        start = page_start(asked.get("NextToken"))
    except ValueError:
        raise Refusal("InvalidPaginationTokenException", "Invalid NextToken") from None
    some, after = cut(found, start, asked.get("MaxResults") or _PAGE, eks.context.faults)
    token = page_token(after)
    return json.dumps({"Quotas": list(some), **({"NextToken": token} if token else {})}).encode()

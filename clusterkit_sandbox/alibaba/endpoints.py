"""Location 2015-06-12: the endpoint of a service in a region."""

from __future__ import annotations

from clusterkit_sandbox.alibaba.catalogue import REGIONS
from clusterkit_sandbox.alibaba.failure import Failure
from clusterkit_sandbox.alibaba.model import HOSTS
from clusterkit_sandbox.alibaba.service import Call, operation

_CENTRAL = ("ram", "location")


@operation("location:DescribeEndpoints")
def _describe(call: Call) -> object:
    region, service = call["Id"], str(call["ServiceCode"]).lower()
    if region not in REGIONS:
        raise Failure(404, "InvalidParameter", "Please check the parameters")
    found = []
    if service in HOSTS:
        host = HOSTS[service] if service in _CENTRAL else f"{HOSTS[service]}.{region}"
        found.append(
            {
                "Endpoint": f"{host}.aliyuncs.com",
                "Id": region,
                "Namespace": "",
                "SerivceCode": service,  # spelled so
                "Type": call.get("Type", "openAPI"),
                "Protocols": {"Protocols": ["HTTPS"]},
            }
        )
    return {"Success": True, "Endpoints": {"Endpoint": found}}

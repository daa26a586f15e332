"""What load balancers are made of: clusters make it for Services, clients read and delete it."""

from __future__ import annotations

from clusterkit_sandbox.google.computing import serve
from clusterkit_sandbox.google.resources import (
    BackendService,
    Collection,
    ForwardingRule,
    HealthCheck,
    HttpHealthCheck,
    NetworkEndpointGroup,
    TargetPool,
    TargetProxy,
    UrlMap,
)

FORWARDING_RULES = Collection(
    "forwardingRules", ForwardingRule, "regions", "forwardingRule",
    fingerprinted=True, labelled=True,
)  # fmt: skip
TARGET_POOLS = Collection("targetPools", TargetPool, "regions", "targetPool")
REGION_BACKEND_SERVICES = Collection(
    "regionBackendServices", BackendService, "regions", "backendService", "backendServices",
    fingerprinted=True,
)  # fmt: skip
HTTP_HEALTH_CHECKS = Collection("httpHealthChecks", HttpHealthCheck, "global", "httpHealthCheck")
BACKEND_SERVICES = Collection(
    "backendServices", BackendService, "global", "backendService", fingerprinted=True
)
ENDPOINT_GROUPS = Collection(
    "networkEndpointGroups", NetworkEndpointGroup, "zones", "networkEndpointGroup"
)
for _one in (
    BACKEND_SERVICES,
    ENDPOINT_GROUPS,
    FORWARDING_RULES,
    TARGET_POOLS,
    Collection("healthChecks", HealthCheck, "global", "healthCheck"),
    Collection("targetHttpProxies", TargetProxy, "global", "targetHttpProxy"),
    Collection("targetHttpsProxies", TargetProxy, "global", "targetHttpsProxy"),
    Collection("urlMaps", UrlMap, "global", "urlMap"),
):
    serve(_one)
for _one in (
    HTTP_HEALTH_CHECKS,
    REGION_BACKEND_SERVICES,
    Collection(
        "globalForwardingRules", ForwardingRule, "global", "forwardingRule", "forwardingRules"
    ),
    Collection("regionHealthChecks", HealthCheck, "regions", "healthCheck", "healthChecks"),
):
    serve(_one, aggregated=False)

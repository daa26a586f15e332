"""Container Engine v1: changes of a cluster.

An update has one field (the API's ``ClusterUpdate``: exactly one with each request). Most fields
replace what the cluster, or its ``networkConfig``, shows under their own name; the others are in
``_ENABLED`` and ``_WHERE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterkit_sandbox.google import versions
from clusterkit_sandbox.google.clusterbodies import endpoints
from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool, pools_of
from clusterkit_sandbox.google.clusterrules import bad, check_etag, check_labels, check_zones
from clusterkit_sandbox.google.clusters import begin, both, fields, find, pool_of, settled
from clusterkit_sandbox.google.failure import Json, rpc
from clusterkit_sandbox.google.nodepools import rescale, upgrade
from clusterkit_sandbox.google.service import Call

_BESIDES = ("desiredNodePoolId", "etag", "desiredImageType", "desiredImage", "desiredImageProject")
"""what goes along with a field"""
_ENABLED = {
    "desiredIntraNodeVisibilityConfig": "enableIntraNodeVisibility",
    "desiredL4ilbSubsettingConfig": "enableL4ilbSubsetting",
}
"""fields of ``networkConfig`` of the form ``{"enabled": true}``"""
_WHERE = {"desiredClusterAutoscaling": "autoscaling", "desiredK8sBetaApis": "enableK8sBetaApis"}
_MERGED = ("addonsConfig", "autoscaling", "loggingConfig", "monitoringConfig")
"""what keeps the parts that an update does not name"""
_ENDPOINTS: Mapping[str, Callable[[Any], Json]] = {
    "desiredControlPlaneEndpointsConfig": lambda given: {"controlPlaneEndpointsConfig": given},
    "desiredMasterAuthorizedNetworksConfig": lambda given: {
        "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"authorizedNetworksConfig": given}}
    },
    "desiredEnablePrivateEndpoint": lambda given: {
        "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"enablePublicEndpoint": not given}}
    },
}


@both("clusters.update")
def _update(call: Call) -> object:
    cluster, given = find(call), call.body.get("update") or {}
    check_etag(given.get("etag"), cluster.shown["etag"])
    fields = [name for name in given if name not in _BESIDES]
    fields = fields or [name for name in given if name.startswith("desiredImage")][:1]
    if len(fields) != 1:
        raise bad("Exactly one update can be applied to a cluster with each request.")
    name = fields[0]
    value = given[name]
    if name == "desiredMasterVersion":
        return _upgrade_master(call, cluster, str(value))
    if name in ("desiredNodeVersion", "desiredImageType"):
        pool = _pool(call, cluster, given)
        version = str(given.get("desiredNodeVersion") or pool.shown["version"])
        return upgrade(call, cluster, pool, version, {"imageType": given.get("desiredImageType")})
    if name == "desiredNodePoolAutoscaling":
        return rescale(call, cluster, _pool(call, cluster, given), dict(value))
    if name == "desiredLocations":
        return relocate(call, cluster, list(value))
    return changed(call, cluster, _change(name, value, cluster))


def _change(name: str, value: Any, cluster: Cluster) -> Callable[[], None]:
    shown = cluster.shown
    if name in _ENDPOINTS:
        return lambda: endpoints(shown, _ENDPOINTS[name](value))
    if name in _ENABLED:
        return lambda: _set(shown["networkConfig"], _ENABLED[name], value.get("enabled", False))
    field = _WHERE.get(name) or name.removeprefix("desired")
    field = field[0].lower() + field[1:]
    if field in fields("NetworkConfig"):
        return lambda: _set(shown["networkConfig"], field, value)
    if field not in fields("Cluster"):
        raise rpc("UNIMPLEMENTED", f"The sandbox does not emulate {name}.")
    if field == "releaseChannel" and value.get("channel") in (None, "UNSPECIFIED"):
        return lambda: _set(shown, field, None)
    if field in _MERGED:
        return lambda: _set(shown, field, {**shown.get(field, {}), **(value or {})})
    return lambda: _set(shown, field, value)


def _set(place: Json, name: str, value: Any) -> None:
    if value is None:
        place.pop(name, None)
    else:
        place[name] = value


def _pool(call: Call, cluster: Cluster, given: Json) -> NodePool:
    """The pool that an update names, or the only one (the API's ``desiredNodePoolId``)."""
    pools = pools_of(call.store, cluster)
    if given.get("desiredNodePoolId"):
        return pool_of(call, cluster, given["desiredNodePoolId"])
    if len(pools) > 1:
        raise bad("desired_node_pool_id must be specified if there is more than one node pool.")
    return pool_of(call, cluster, pools[0].name if pools else "")


def changed(
    call: Call,
    cluster: Cluster,
    change: Callable[[], None],
    kind: str = "UPDATE_CLUSTER",
    what: str = "google/cluster/update",
) -> Json:
    """Begin a change of a cluster."""
    operation = begin(call, settled(call, cluster), kind)
    call.clusters.change(cluster, operation, what, change)
    return operation.shown()


def _upgrade_master(call: Call, cluster: Cluster, text: str) -> Json:
    found = versions.resolve(text, cluster.channel)
    if found is None or versions.too_far(cluster.shown["currentMasterVersion"], found):
        raise bad(f'Master version "{text}" is unsupported.')
    change = lambda: _set(cluster.shown, "currentMasterVersion", found)  # noqa: E731
    return changed(call, cluster, change, "UPGRADE_MASTER", "google/cluster/upgrade")


def relocate(call: Call, cluster: Cluster, zones: list[str]) -> Json:
    """Begin to move a cluster and all its pools into these zones (the API's
    ``desiredLocations``).
    """
    check_zones(cluster.location, zones)
    settled(call, cluster)
    operation = begin(call, cluster, "UPDATE_CLUSTER")
    cluster.shown["locations"] = zones
    call.clusters.relocate(cluster, operation, zones)
    return operation.shown()


@both("clusters.updateMaster")
def _update_master(call: Call) -> object:
    return _upgrade_master(call, find(call), str(call.body.get("masterVersion") or ""))


@both("clusters.setLocations")
def _set_locations(call: Call) -> object:
    return relocate(call, find(call), list(call.body.get("locations") or ()))


@both("clusters.setResourceLabels")
def _set_labels(call: Call) -> object:
    cluster, labels = find(call), dict(call.body.get("resourceLabels") or {})
    given, have = str(call.body.get("labelFingerprint") or ""), cluster.shown["labelFingerprint"]
    if given != have:
        raise rpc(
            "FAILED_PRECONDITION",
            "Labels could not be set due to fingerprint mismatch; try again with the proper"
            f' fingerprint: incorrect fingerprint supplied was "{given}", the expected one is'
            f' "{have}".',
        )
    check_labels(labels)
    return changed(call, cluster, lambda: _set(cluster.shown, "resourceLabels", labels))


def _setter(verb: str, field: str, kind: str = "UPDATE_CLUSTER") -> None:
    """Serve a method that sets one field of the same name."""

    @both(f"clusters.{verb}")
    def serve(call: Call) -> object:
        cluster = find(call)
        desired = f"desired{field[0].upper()}{field[1:]}"
        change = _change(desired, call.body.get(field), cluster)
        return changed(call, cluster, change, kind)


_setter("setAddons", "addonsConfig")
_setter("setLogging", "loggingService")
_setter("setMonitoring", "monitoringService")
_setter("setMaintenancePolicy", "maintenancePolicy", "SET_MAINTENANCE_POLICY")
_setter("setNetworkPolicy", "networkPolicy", "SET_NETWORK_POLICY")


@both("clusters.setLegacyAbac")
def _set_legacy_abac(call: Call) -> object:
    cluster, value = find(call), {"enabled": True} if call.body.get("enabled") else {}
    return changed(call, cluster, lambda: _set(cluster.shown, "legacyAbac", value))

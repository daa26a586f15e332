"""The add-ons of a cluster: what CreateCluster is asked for, what is there, what comes later."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.engine.scope import Scope
from clusterkit.errors import Rejected


def wish(name: str) -> dict[str, Any]:
    """An add-on as CreateCluster takes it; ``!`` before its name: not to be installed."""
    return {"name": name.removeprefix("!"), **({"disabled": True} if name[0] == "!" else {})}


def installed(scope: Scope[Clients], cluster: str) -> frozenset[str]:
    """The names of those that the cluster with this id has."""
    path = f"/clusters/{cluster}/addon_instances"
    listed = scope.client.cs("ListClusterAddonInstances", "GET", path) or {}
    return frozenset(str(each["name"]) for each in listed.get("addons") or ())


def install(scope: Scope[Clients], cluster: str, names: Collection[str]) -> Any:
    """Install some, in the versions that Container Service offers the cluster; its answer."""
    offered = scope.client.cs("ListAddons", "GET", "/addons", cluster_id=cluster) or {}
    versions = {each["name"]: each["version"] for each in offered.get("addons") or ()}
    if lacking := sorted(set(names) - versions.keys()):
        what = f"ACK offers this cluster no add-on {', '.join(lacking)}"
        raise Rejected(what, where=f"cluster/{scope.cluster}", hint="upgrade the cluster first")
    body = [{"name": name, "version": versions[name]} for name in sorted(names)]
    path = f"/clusters/{cluster}/components/install"
    return scope.client.cs("InstallClusterAddons", "POST", path, body)

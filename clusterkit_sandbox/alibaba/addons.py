"""CS 2015-12-15: add-ons of clusters. ``AddonNotFound`` is a code the vendor's users have seen."""

from __future__ import annotations

from clusterkit_sandbox.alibaba.catalogue import (
    ADDONS,
    DEFAULT_ADDONS,
    NETWORK_ADDONS,
    PROVISIONER_ADDONS,
)
from clusterkit_sandbox.alibaba.clusters import require_state
from clusterkit_sandbox.alibaba.failure import Failure, bad, not_emulated
from clusterkit_sandbox.alibaba.service import Accepted, Call, Json, find_cluster, operation

_CATEGORIES = {
    **dict.fromkeys(NETWORK_ADDONS, "network"),
    **dict.fromkeys(("csi-plugin", "storage-operator", *PROVISIONER_ADDONS), "storage"),
}


def _known(name: str) -> str:
    if name not in ADDONS:
        raise Failure(404, "AddonNotFound", f"The add-on {name!r} is not found.")
    return name


def _described(name: str) -> Json:
    return {
        "name": name,
        "version": ADDONS[name],
        "category": _CATEGORIES.get(name, "other"),
        "architecture": ["amd64", "arm64"],
        "config_schema": "{}",
        "install_by_default": name in DEFAULT_ADDONS,
        "managed": name.startswith("managed-"),
        "supported_actions": ["Install", "Uninstall", "Upgrade", "Modify"],
    }


@operation("cs:ListAddons")
def _available(_call: Call) -> object:
    return {"addons": [_described(name) for name in ADDONS]}


@operation("cs:DescribeAddon")
def _describe(call: Call) -> object:
    return _described(_known(call.path["addon_name"])) | {"newer_versions": []}


@operation("cs:ListClusterAddonInstances")
def _installed(call: Call) -> object:
    cluster = find_cluster(call)
    return {
        "addons": [
            {"name": name, "version": ADDONS[name], "state": "active"} for name in cluster.addons
        ]
    }


@operation("cs:GetClusterAddonInstance")
def _instance(call: Call) -> object:
    cluster, name = find_cluster(call), _known(call.path["instance_name"])
    if name not in cluster.addons:
        raise Failure(404, "AddonNotFound", f"The add-on {name} is not installed.")
    return {
        "name": name,
        "version": ADDONS[name],
        "state": "active",
        "config": cluster.addons[name],
    }


@operation("cs:InstallClusterAddons")
def _install(call: Call) -> object:
    cluster = find_cluster(call)
    require_state(cluster, "running")
    wanted = call.get("body", [])
    if not wanted:
        raise bad("InvalidParameter", "Name an add-on.")
    for one in wanted:
        name = _known(one["name"])
        if one["version"] != ADDONS[name]:
            # the code is not documented
            raise bad("AddonNotFound", f"{name} has no version {one['version']}.")
        if name in NETWORK_ADDONS:
            raise bad("InvalidParameter", "The network of a cluster cannot be changed.")
        if name == "csi-plugin" and name not in cluster.addons:
            raise not_emulated("storage in a cluster that was made without it")
    task = call.store.tasks.start("addon_install", cluster)

    def installed() -> None:
        call.clusters.install(cluster, {one["name"]: one.get("config", "") for one in wanted})

    call.clusters.change(cluster, task, "addon/install", "running", installed)
    return Accepted(_begun(call, cluster.id, task.id))


@operation("cs:UpgradeClusterAddons")
def _upgrade(call: Call) -> object:
    """Every add-on is offered in one version, which is thus the only one to upgrade to."""
    cluster = find_cluster(call)
    require_state(cluster, "running")
    wanted = call.get("body", [])
    if not wanted:
        raise bad("InvalidParameter", "Name an add-on.")
    for one in wanted:
        name = _known(one["component_name"])
        if name not in cluster.addons:
            raise Failure(404, "AddonNotFound", f"The add-on {name} is not installed.")
        if one["next_version"] != ADDONS[name]:
            raise bad("AddonNotFound", f"{name} has no version {one['next_version']}.")
    task = call.store.tasks.start("addon_upgrade", cluster)

    def upgraded() -> None:
        for one in wanted:
            if one.get("config"):
                cluster.addons[one["component_name"]] = one["config"]

    call.clusters.change(cluster, task, "addon/install", "running", upgraded)
    return _begun(call, cluster.id, task.id)


def _begun(call: Call, cluster: str, task: str) -> Json:
    return {"cluster_id": cluster, "request_id": call.request_id, "task_id": task}


@operation("cs:UnInstallClusterAddons")
def _uninstall(call: Call) -> object:
    cluster = find_cluster(call)
    require_state(cluster, "running")
    names = [str(one.get("name", "")) for one in call.get("addons", [])]
    for name in names:
        if _known(name) not in cluster.addons:
            raise Failure(404, "AddonNotFound", f"The add-on {name} is not installed.")
        if name in NETWORK_ADDONS:
            raise bad("InvalidParameter", "The network of a cluster cannot be removed.")
    task = call.store.tasks.start("addon_uninstall", cluster)

    def removed() -> None:
        call.clusters.uninstall(cluster, names)

    call.clusters.change(cluster, task, "addon/install", "running", removed)
    return _begun(call, cluster.id, task.id)

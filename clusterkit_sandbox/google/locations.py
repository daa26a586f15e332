"""The project as Compute Engine sees it, its regions, and what their zones offer."""

from __future__ import annotations

from collections.abc import Iterable

from clusterkit_sandbox.google.account import PROJECTS
from clusterkit_sandbox.google.catalogue import REGIONS, ZONES, MachineType, offered
from clusterkit_sandbox.google.changes import pacific
from clusterkit_sandbox.google.computing import COLLECTIONS
from clusterkit_sandbox.google.failure import Json, not_found
from clusterkit_sandbox.google.machines import usage
from clusterkit_sandbox.google.resources import fingerprint_of, link_to
from clusterkit_sandbox.google.service import Call, method, pages
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.store import fingerprint

_BEGINNING = pacific(0)


def _number(path: str) -> str:
    """The same id for the same path."""
    return str(int(fingerprint(path)[:12], 16) + 1000)


def _shown(kind: str, path: str, **more: object) -> Json:
    return {
        "kind": f"compute#{kind}",
        "id": _number(path),
        "name": path.rpartition("/")[2],
        "description": path.rpartition("/")[2],
        "creationTimestamp": _BEGINNING,
        "selfLink": link_to(path),
        **more,
    }


def _quotas(limits: Iterable[tuple[str, int]], used: Json) -> list[Json]:
    return [
        {"metric": name, "limit": float(limit), "usage": float(used.get(name, 0))}
        for name, limit in limits
    ]


def _counted(store: Store, project: str, place: str = "") -> Json:
    found: Json = {}
    for collection in COLLECTIONS:
        if collection.quota:
            mine = [o for o in store.all(collection.thing) if o.project == project]
            mine = [o for o in mine if place in ("", o.place)]
            found[collection.quota] = len(mine)
    return found


@method("compute.projects.get")
def _project(call: Call) -> object:
    store, project = call.store, call.project
    limits = store.conditions.project_quotas
    host = project in store.shared
    return {
        "kind": "compute#project",
        "id": PROJECTS[project],
        "name": project,
        "creationTimestamp": _BEGINNING,
        "selfLink": link_to(f"projects/{project}"),
        "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": fingerprint_of([])},
        "defaultNetworkTier": "PREMIUM",
        "defaultServiceAccount": f"{PROJECTS[project]}-compute@developer.gserviceaccount.com",
        "xpnProjectStatus": "HOST" if host else "UNSPECIFIED_XPN_PROJECT_STATUS",
        "quotas": _quotas(limits.items(), _counted(store, project)),
    }


@method("compute.regions.get")
def _region(call: Call) -> object:
    region, store, project = str(call["region"]), call.store, call.project
    if region not in REGIONS:
        raise not_found(f"projects/{project}/regions/{region}")
    counted = _counted(store, project, f"regions/{region}")
    used = {
        **counted,
        **usage(store, project, region),
        "STATIC_ADDRESSES": counted["STATIC_ADDRESSES"],
    }
    return _shown(
        "region",
        f"projects/{project}/regions/{region}",
        status="UP",
        zones=[link_to(f"projects/{project}/zones/{zone}") for zone in REGIONS[region]],
        quotas=_quotas(store.conditions.region_quotas.items(), used),
    )


def _machine(call: Call, zone: str, machine: MachineType) -> Json:
    return _shown(
        "machineType",
        f"projects/{call.project}/zones/{zone}/machineTypes/{machine.name}",
        zone=zone,
        guestCpus=machine.cpus,
        memoryMb=machine.memory,
        isSharedCpu=machine.shared,
        architecture="ARM64" if machine.arm else "X86_64",
    )


@method("compute.machineTypes.list")
def _list_machines(call: Call) -> object:
    zone = str(call["zone"])
    if zone not in ZONES:
        raise not_found(f"projects/{call.project}/zones/{zone}")
    mine = [_machine(call, zone, one) for one in offered(zone)]
    above = f"projects/{call.project}/zones/{zone}/machineTypes"
    return pages(call, mine, "compute#machineTypeList", above)

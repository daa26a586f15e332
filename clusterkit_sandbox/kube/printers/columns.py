"""The columns ``kubectl get`` shows: the API server prints them, kubectl only lays them out.

Which columns there are, a real server told; what stands in them is Kubernetes'
``pkg/printers/internalversion``: a field (``data/cells.tsv``), or what is said here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from clusterkit_sandbox.kube.kinds import GroupPlural, Resource, recorded
from clusterkit_sandbox.kube.podstatus import pod_restarts, pod_status
from clusterkit_sandbox.kube.printers import cells
from clusterkit_sandbox.kube.printers.cells import Cell


@dataclass(frozen=True)
class Column:
    """One column and how an object's cell is made."""

    definition: Mapping[str, Any]
    """``name``, ``type``, ``format``, ``priority`` (1 is ``-o wide``), ``description``"""
    cell: Cell


_BINDING: Mapping[str, Cell] = {
    "Role": cells.role,
    "Users": cells.subjects("User"),
    "Groups": cells.subjects("Group"),
    "ServiceAccounts": cells.subjects("ServiceAccount"),
}
_EVENT: Mapping[str, Cell] = {
    "Last Seen": cells.seen("lastTimestamp", "eventTime", "firstTimestamp"),
    "Object": cells.involved,
    "First Seen": cells.seen("firstTimestamp", "eventTime"),
}
_CELLS: Mapping[GroupPlural, Mapping[str, Cell]] = {
    ("", "configmaps"): {"Data": cells.data},
    ("", "endpoints"): {"Endpoints": cells.endpoints},
    ("", "events"): _EVENT,
    ("", "nodes"): {
        "Status": cells.node_status,
        "Roles": cells.node_roles,
        "Internal-IP": cells.node_address("InternalIP"),
        "External-IP": cells.node_address("ExternalIP"),
    },
    ("", "persistentvolumeclaims"): {"Status": cells.phase},
    ("", "persistentvolumes"): {"Status": cells.phase, "Claim": cells.claim_reference},
    ("", "pods"): {
        "Ready": cells.pod_ready,
        "Status": pod_status,
        "Restarts": pod_restarts,
        "Readiness Gates": lambda _: cells.NONE,
    },
    ("", "resourcequotas"): {
        "Request": cells.quota(limits=False),
        "Limit": cells.quota(limits=True),
    },
    ("", "secrets"): {"Data": cells.data},
    ("", "services"): {"External-IP": cells.external, "Port(s)": cells.service_ports},
    ("apiregistration.k8s.io", "apiservices"): {
        "Service": lambda found: cells.service_reference(found) or "Local",
        "Available": lambda found: cells.condition(found, "Available") or "False",
    },
    ("apps", "controllerrevisions"): {"Controller": cells.controller},
    ("apps", "deployments"): {"Ready": cells.of("status.readyReplicas", "spec.replicas")},
    ("apps", "statefulsets"): {"Ready": cells.of("status.readyReplicas", "spec.replicas")},
    ("autoscaling", "horizontalpodautoscalers"): {
        "Reference": cells.scale_target,
        "Targets": cells.scale_metrics,
    },
    ("batch", "cronjobs"): {
        "Suspend": lambda found: str(bool(found["spec"].get("suspend"))),
        "Last Schedule": cells.last_schedule,
    },
    ("batch", "jobs"): {
        "Status": cells.job_status,
        "Completions": cells.of("status.succeeded", "spec.completions"),
        "Duration": cells.job_duration,
    },
    ("certificates.k8s.io", "certificatesigningrequests"): {
        "RequestedDuration": cells.requested_duration,
        "Condition": cells.csr_conditions,
    },
    ("discovery.k8s.io", "endpointslices"): {
        "Ports": cells.slice_ports,
        "Endpoints": cells.slice_endpoints,
    },
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): {
        "MissingPL": lambda found: cells.condition(found, "Dangling") or "?",
    },
    ("networking.k8s.io", "ingresses"): {
        "Hosts": cells.ingress_hosts,
        "Address": cells.ingress_address,
        "Ports": cells.ingress_ports,
    },
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "rolebindings"): _BINDING,
    ("storage.k8s.io", "csidrivers"): {"TokenRequests": lambda _: "<unset>"},
    ("storage.k8s.io", "storageclasses"): {"Name": cells.class_name},
}
_NAME = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
NAME = Column(_NAME, cells.at("metadata.name"))
_AGE = Column({**_NAME, "name": "Age", "format": ""}, cells.age("metadata.creationTimestamp"))
_HOW: Mapping[str, Callable[[str], Cell]] = {
    "age": cells.age,
    "count": cells.count,
    "flag": cells.flag,
    "images": functools.partial(cells.containers, "image"),
    "labels": cells.selector,
    "modes": cells.modes,
    "names": functools.partial(cells.containers, "name"),
    "number": cells.number,
}
"""how a field is shown, where not as it is"""


@functools.cache
def _fields() -> Mapping[str, Mapping[str, Cell]]:
    """The cells that are a field each, by resource; ``*`` for all."""
    found: dict[str, dict[str, Cell]] = {}
    text = resources.files("clusterkit_sandbox.kube").joinpath("data/cells.tsv").read_text()
    for line in text.splitlines()[1:]:
        resource, column, field, how, nothing = line.split("\t")
        cell = _HOW[how](field) if how else cells.at(field, nothing)
        found.setdefault(resource, {})[column] = cell
    return found


@functools.cache
def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns of a kind of Kubernetes' own."""
    root = f"/apis/{resource.group_version}" if resource.group else f"/api/{resource.version}"
    listed = recorded()["columns"].get(f"{root}/{resource.plural}")
    if listed is None:
        return NAME, _AGE
    group, plural = resource.key
    fields = _fields()
    own = {**fields["*"], **fields.get(f"{plural}.{group}".rstrip("."), {})}
    own |= _CELLS.get(resource.key, {})
    return tuple(Column(each, own.get(each["name"], _unknown)) for each in listed)


def _unknown(_: object) -> str:
    return "<unknown>"

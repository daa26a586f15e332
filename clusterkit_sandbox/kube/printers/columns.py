"""The columns ``kubectl get`` shows: the API server prints them, kubectl only lays them out.

Which columns there are, a real server told; what stands in them is Kubernetes'
``pkg/printers/internalversion``: a field (``data/cells.tsv``), or what is said here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from clusterkit_sandbox.kube.kinds import GroupPlural, Resource, recorded
from clusterkit_sandbox.kube.podstatus import pod_restarts, pod_status
from clusterkit_sandbox.kube.printers import cells
from clusterkit_sandbox.kube.printers.cells import Cell
from clusterkit_sandbox.kube.selectors import dig


@dataclass(frozen=True)
class Column:
    """One column and how an object's cell is made."""

    definition: Mapping[str, Any]
    """``name``, ``type``, ``format``, ``priority`` (1 is ``-o wide``), ``description``"""
    cell: Cell


_EVERYWHERE: Mapping[str, Cell] = {
    "Age": cells.age,
    "Containers": cells.containers("name"),
    "Images": cells.containers("image"),
    "Selector": cells.selector("spec.selector.matchLabels"),
    "Webhooks": cells.count("webhooks"),
}
"""cells of columns that mean the same wherever they are, unless a kind says otherwise"""
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
    ("", "persistentvolumeclaims"): {
        "Status": cells.phase,
        "Access Modes": cells.modes("status.accessModes"),
    },
    ("", "persistentvolumes"): {
        "Access Modes": cells.modes("spec.accessModes"),
        "Status": cells.phase,
        "Claim": cells.claim_reference,
    },
    ("", "pods"): {
        "Ready": cells.pod_ready,
        "Status": pod_status,
        "Restarts": pod_restarts,
        "Readiness Gates": lambda _: cells.NONE,
    },
    ("", "podtemplates"): {"Pod Labels": cells.selector("template.metadata.labels")},
    ("", "replicationcontrollers"): {"Selector": cells.selector("spec.selector")},
    ("", "resourcequotas"): {
        "Request": cells.quota(limits=False),
        "Limit": cells.quota(limits=True),
    },
    ("", "secrets"): {"Type": cells.at("type"), "Data": cells.data},
    ("", "services"): {
        "External-IP": cells.external,
        "Port(s)": cells.service_ports,
        "Selector": cells.selector("spec.selector"),
    },
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): {
        "Mutations": cells.count("spec.mutations")
    },
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): {
        "Validations": cells.count("spec.validations")
    },
    ("apiregistration.k8s.io", "apiservices"): {
        "Service": lambda found: cells.service_reference(found) or "Local",
        "Available": lambda found: cells.condition(found, "Available") or "False",
    },
    ("apps", "controllerrevisions"): {
        "Controller": cells.controller,
    },
    ("apps", "daemonsets"): {
        "Node Selector": cells.selector("spec.template.spec.nodeSelector"),
    },
    ("apps", "deployments"): {"Ready": cells.of("status.readyReplicas", "spec.replicas")},
    ("apps", "statefulsets"): {"Ready": cells.of("status.readyReplicas", "spec.replicas")},
    ("autoscaling", "horizontalpodautoscalers"): {
        "Reference": cells.scale_target,
        "Targets": cells.scale_metrics,
    },
    ("batch", "cronjobs"): {
        "Suspend": lambda found: str(bool(found["spec"].get("suspend"))),
        "Active": lambda found: len(dig(found, "status.active") or ()),
        "Last Schedule": cells.last_schedule,
        "Containers": cells.containers("name", "spec.jobTemplate.spec.template.spec.containers"),
        "Images": cells.containers("image", "spec.jobTemplate.spec.template.spec.containers"),
        "Selector": cells.selector("spec.jobTemplate.spec.selector.matchLabels"),
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
    ("networking.k8s.io", "ipaddresses"): {"ParentRef": cells.parent},
    ("networking.k8s.io", "networkpolicies"): {
        "Pod-Selector": cells.selector("spec.podSelector.matchLabels")
    },
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "rolebindings"): _BINDING,
    ("resource.k8s.io", "resourceclaims"): {"State": cells.claim_state},
    ("scheduling.k8s.io", "priorityclasses"): {
        "Global-Default": lambda found: str(bool(found.get("globalDefault"))).lower(),
    },
    ("storage.k8s.io", "csidrivers"): {
        "AttachRequired": lambda found: bool(dig(found, "spec.attachRequired")),
        "PodInfoOnMount": lambda found: bool(dig(found, "spec.podInfoOnMount")),
        "StorageCapacity": lambda found: bool(dig(found, "spec.storageCapacity")),
        "TokenRequests": lambda _: "<unset>",
        "RequiresRepublish": lambda found: bool(dig(found, "spec.requiresRepublish")),
    },
    ("storage.k8s.io", "csinodes"): {"Drivers": cells.count("spec.drivers")},
    ("storage.k8s.io", "storageclasses"): {
        "Name": cells.class_name,
        "AllowVolumeExpansion": lambda found: bool(found.get("allowVolumeExpansion")),
    },
    ("storage.k8s.io", "volumeattachments"): {
        "Attached": lambda found: bool(dig(found, "status.attached")),
    },
}
_NAME = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
NAME = Column(_NAME, cells.at("metadata.name"))
_AGE = Column({**_NAME, "name": "Age", "format": ""}, cells.age)


@functools.cache
def _fields() -> Mapping[str, Mapping[str, Cell]]:
    """The cells that are a field each, by resource; ``*`` for all."""
    found: dict[str, dict[str, Cell]] = {}
    text = resources.files("clusterkit_sandbox.kube").joinpath("data/cells.tsv").read_text()
    for line in text.splitlines()[1:]:
        resource, column, field, nothing = line.split("\t")
        cell = cells.number(field) if nothing == "0" else cells.at(field, nothing)
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
    own = {**_EVERYWHERE, **fields["*"], **fields.get(f"{plural}.{group}".rstrip("."), {})}
    own |= _CELLS.get(resource.key, {})
    return tuple(Column(each, own.get(each["name"], _unknown)) for each in listed)


def _unknown(_: object) -> str:
    return "<unknown>"

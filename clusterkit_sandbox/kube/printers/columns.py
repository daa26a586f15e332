"""The columns ``kubectl get`` shows: the API server prints them, kubectl only lays them out.

Which columns there are, a real server told; what stands in them is Kubernetes'
``pkg/printers/internalversion``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
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
    "Name": cells.at("metadata.name"),
    "Age": cells.age,
    "Created At": cells.at("metadata.creationTimestamp"),
    "Containers": cells.containers("name"),
    "Images": cells.containers("image"),
    "Selector": cells.selector("spec.selector.matchLabels"),
    "Webhooks": cells.count("webhooks"),
    "ParamKind": cells.at("spec.paramKind.kind", "<unset>"),
    "PolicyName": cells.at("spec.policyName"),
    "ParamRef": cells.at("spec.paramRef.name", "<unset>"),
    "Desired": cells.number("spec.replicas"),
    "Current": cells.number("status.replicas"),
    "Ready": cells.number("status.readyReplicas"),
    "Up-to-date": cells.number("status.updatedReplicas"),
    "Available": cells.number("status.availableReplicas"),
    "StorageClass": cells.at("spec.storageClassName", ""),
    "VolumeAttributesClass": cells.at("spec.volumeAttributesClassName", "<unset>"),
    "VolumeMode": cells.at("spec.volumeMode"),
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
    "Type": cells.at("type"),
    "Reason": cells.at("reason"),
    "Object": cells.involved,
    "Subobject": cells.at("involvedObject.fieldPath", ""),
    "Source": cells.at("source.component", ""),
    "Message": cells.at("message"),
    "First Seen": cells.seen("firstTimestamp", "eventTime"),
    "Count": cells.number("count"),
}
_CELLS: Mapping[GroupPlural, Mapping[str, Cell]] = {
    ("", "configmaps"): {"Data": cells.data},
    ("", "endpoints"): {"Endpoints": cells.endpoints},
    ("", "events"): _EVENT,
    ("", "namespaces"): {"Status": cells.at("status.phase")},
    ("", "nodes"): {
        "Status": cells.node_status,
        "Roles": cells.node_roles,
        "Version": cells.at("status.nodeInfo.kubeletVersion"),
        "Internal-IP": cells.node_address("InternalIP"),
        "External-IP": cells.node_address("ExternalIP"),
        "OS-Image": cells.at("status.nodeInfo.osImage"),
        "Kernel-Version": cells.at("status.nodeInfo.kernelVersion"),
        "Container-Runtime": cells.at("status.nodeInfo.containerRuntimeVersion"),
    },
    ("", "persistentvolumeclaims"): {
        "Status": cells.phase,
        "Volume": cells.at("spec.volumeName", ""),
        "Capacity": cells.at("status.capacity.storage", ""),
        "Access Modes": cells.modes("status.accessModes"),
    },
    ("", "persistentvolumes"): {
        "Capacity": cells.at("spec.capacity.storage", ""),
        "Access Modes": cells.modes("spec.accessModes"),
        "Reclaim Policy": cells.at("spec.persistentVolumeReclaimPolicy", ""),
        "Status": cells.phase,
        "Claim": cells.claim_reference,
        "Reason": cells.at("status.reason", ""),
    },
    ("", "pods"): {
        "Ready": cells.pod_ready,
        "Status": pod_status,
        "Restarts": pod_restarts,
        "IP": cells.at("status.podIP"),
        "Node": cells.at("spec.nodeName"),
        "Nominated Node": cells.at("status.nominatedNodeName"),
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
        "Type": cells.at("spec.type"),
        "Cluster-IP": cells.at("spec.clusterIP"),
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
        "Revision": cells.number("revision"),
    },
    ("apps", "daemonsets"): {
        "Desired": cells.number("status.desiredNumberScheduled"),
        "Current": cells.number("status.currentNumberScheduled"),
        "Ready": cells.number("status.numberReady"),
        "Up-to-date": cells.number("status.updatedNumberScheduled"),
        "Available": cells.number("status.numberAvailable"),
        "Node Selector": cells.selector("spec.template.spec.nodeSelector"),
    },
    ("apps", "deployments"): {"Ready": cells.of("status.readyReplicas", "spec.replicas")},
    ("apps", "statefulsets"): {"Ready": cells.of("status.readyReplicas", "spec.replicas")},
    ("autoscaling", "horizontalpodautoscalers"): {
        "Reference": cells.scale_target,
        "Targets": cells.scale_metrics,
        "MinPods": cells.at("spec.minReplicas", "<unset>"),
        "MaxPods": cells.number("spec.maxReplicas"),
        "Replicas": cells.number("status.currentReplicas"),
    },
    ("batch", "cronjobs"): {
        "Schedule": cells.at("spec.schedule"),
        "Timezone": cells.at("spec.timeZone"),
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
        "SignerName": cells.at("spec.signerName"),
        "Requestor": cells.at("spec.username"),
        "RequestedDuration": cells.requested_duration,
        "Condition": cells.csr_conditions,
    },
    ("coordination.k8s.io", "leases"): {"Holder": cells.at("spec.holderIdentity", "")},
    ("discovery.k8s.io", "endpointslices"): {
        "AddressType": cells.at("addressType"),
        "Ports": cells.slice_ports,
        "Endpoints": cells.slice_endpoints,
    },
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): {
        "PriorityLevel": cells.at("spec.priorityLevelConfiguration.name"),
        "MatchingPrecedence": cells.number("spec.matchingPrecedence"),
        "DistinguisherMethod": cells.at("spec.distinguisherMethod.type"),
        "MissingPL": lambda found: cells.condition(found, "Dangling") or "?",
    },
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): {
        "Type": cells.at("spec.type"),
        "NominalConcurrencyShares": cells.at("spec.limited.nominalConcurrencyShares"),
        "Queues": cells.at("spec.limited.limitResponse.queuing.queues"),
        "HandSize": cells.at("spec.limited.limitResponse.queuing.handSize"),
        "QueueLengthLimit": cells.at("spec.limited.limitResponse.queuing.queueLengthLimit"),
    },
    ("networking.k8s.io", "ingressclasses"): {
        "Controller": cells.at("spec.controller"),
        "Parameters": cells.at("spec.parameters.name"),
    },
    ("networking.k8s.io", "ingresses"): {
        "Class": cells.at("spec.ingressClassName"),
        "Hosts": cells.ingress_hosts,
        "Address": cells.ingress_address,
        "Ports": cells.ingress_ports,
    },
    ("networking.k8s.io", "ipaddresses"): {"ParentRef": cells.parent},
    ("networking.k8s.io", "networkpolicies"): {
        "Pod-Selector": cells.selector("spec.podSelector.matchLabels")
    },
    ("networking.k8s.io", "servicecidrs"): {"CIDRs": cells.at("spec.cidrs")},
    ("node.k8s.io", "runtimeclasses"): {"Handler": cells.at("handler")},
    ("policy", "poddisruptionbudgets"): {
        "Min Available": cells.at("spec.minAvailable", "N/A"),
        "Max Unavailable": cells.at("spec.maxUnavailable", "N/A"),
        "Allowed Disruptions": cells.number("status.disruptionsAllowed"),
    },
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "rolebindings"): _BINDING,
    ("resource.k8s.io", "resourceclaims"): {"State": cells.claim_state},
    ("resource.k8s.io", "resourceslices"): {
        "Node": cells.at("spec.nodeName"),
        "Driver": cells.at("spec.driver"),
        "Pool": cells.at("spec.pool.name"),
    },
    ("scheduling.k8s.io", "priorityclasses"): {
        "Value": cells.number("value"),
        "Global-Default": lambda found: str(bool(found.get("globalDefault"))).lower(),
        "PreemptionPolicy": cells.at("preemptionPolicy"),
    },
    ("storage.k8s.io", "csidrivers"): {
        "AttachRequired": lambda found: bool(dig(found, "spec.attachRequired")),
        "PodInfoOnMount": lambda found: bool(dig(found, "spec.podInfoOnMount")),
        "StorageCapacity": lambda found: bool(dig(found, "spec.storageCapacity")),
        "TokenRequests": lambda _: "<unset>",
        "RequiresRepublish": lambda found: bool(dig(found, "spec.requiresRepublish")),
        "Modes": cells.at("spec.volumeLifecycleModes"),
    },
    ("storage.k8s.io", "csinodes"): {"Drivers": cells.count("spec.drivers")},
    ("storage.k8s.io", "storageclasses"): {
        "Name": cells.class_name,
        "Provisioner": cells.at("provisioner"),
        "ReclaimPolicy": cells.at("reclaimPolicy"),
        "VolumeBindingMode": cells.at("volumeBindingMode"),
        "AllowVolumeExpansion": lambda found: bool(found.get("allowVolumeExpansion")),
    },
    ("storage.k8s.io", "volumeattachments"): {
        "Attacher": cells.at("spec.attacher"),
        "PV": cells.at("spec.source.persistentVolumeName"),
        "Node": cells.at("spec.nodeName"),
        "Attached": lambda found: bool(dig(found, "status.attached")),
    },
    ("storage.k8s.io", "volumeattributesclasses"): {"DriverName": cells.at("driverName")},
}
_NAME = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
NAME = Column(_NAME, _EVERYWHERE["Name"])
_AGE = Column({**_NAME, "name": "Age", "format": ""}, cells.age)


@functools.cache
def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns of a kind of Kubernetes' own."""
    root = f"/apis/{resource.group_version}" if resource.group else f"/api/{resource.version}"
    own = {**_EVERYWHERE, **_CELLS.get(resource.key, {})}
    listed = recorded()["columns"].get(f"{root}/{resource.plural}")
    if listed is None:
        return NAME, _AGE
    return tuple(Column(each, own.get(each["name"], _unknown)) for each in listed)


def _unknown(_: object) -> str:
    return "<unknown>"

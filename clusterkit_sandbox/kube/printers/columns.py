"""The columns ``kubectl get`` shows: the API server prints them, kubectl only lays them out.

Names, order and priorities (1 is ``-o wide``) as in Kubernetes' ``pkg/printers/internalversion``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusterkit_sandbox.kube.kinds import GroupPlural
from clusterkit_sandbox.kube.podstatus import pod_restarts, pod_status
from clusterkit_sandbox.kube.printers import cells
from clusterkit_sandbox.kube.printers.cells import Cell
from clusterkit_sandbox.kube.selectors import dig


@dataclass(frozen=True)
class Column:
    """One column and how an object's cell is made."""

    name: str
    cell: Cell
    priority: int = 0
    type: str = "string"


_NAME = Column("Name", cells.at("metadata.name"))
_AGE = Column("Age", cells.age)
_CREATED = Column("Created At", cells.at("metadata.creationTimestamp"))
_TEMPLATE = (
    Column("Containers", cells.containers("name"), 1),
    Column("Images", cells.containers("image"), 1),
    Column("Selector", cells.selector("spec.selector.matchLabels"), 1),
)
_BINDING = (
    _NAME,
    Column("Role", cells.role),
    _AGE,
    Column("Users", cells.subjects("User"), 1),
    Column("Groups", cells.subjects("Group"), 1),
    Column("ServiceAccounts", cells.subjects("ServiceAccount"), 1),
)


def _columns(*columns: tuple[str, Cell] | Column) -> tuple[Column, ...]:
    return (_NAME, *(c if isinstance(c, Column) else Column(*c) for c in columns))


COLUMNS: Mapping[GroupPlural, tuple[Column, ...]] = {
    ("", "configmaps"): _columns(Column("Data", cells.data, 0, "integer"), _AGE),
    ("", "events"): (
        Column("Last Seen", cells.seen("lastTimestamp", "eventTime", "firstTimestamp")),
        Column("Type", cells.at("type")),
        Column("Reason", cells.at("reason")),
        Column("Object", cells.involved),
        Column("Subobject", cells.at("involvedObject.fieldPath", ""), 1),
        Column("Source", cells.at("source.component", ""), 1),
        Column("Message", cells.at("message")),
        Column("First Seen", cells.seen("firstTimestamp", "eventTime"), 1),
        Column("Count", cells.number("count"), 1),
        Column("Name", cells.at("metadata.name"), 1),
    ),
    ("", "namespaces"): _columns(("Status", cells.at("status.phase")), _AGE),
    ("", "nodes"): _columns(
        ("Status", cells.node_status),
        ("Roles", cells.node_roles),
        _AGE,
        ("Version", cells.at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", cells.node_address("InternalIP"), 1),
        Column("External-IP", cells.node_address("ExternalIP"), 1),
        Column("OS-Image", cells.at("status.nodeInfo.osImage"), 1),
        Column("Kernel-Version", cells.at("status.nodeInfo.kernelVersion"), 1),
        Column("Container-Runtime", cells.at("status.nodeInfo.containerRuntimeVersion"), 1),
    ),
    ("", "persistentvolumeclaims"): _columns(
        ("Status", cells.phase),
        ("Volume", cells.at("spec.volumeName", "")),
        ("Capacity", cells.at("status.capacity.storage", "")),
        ("Access Modes", cells.modes("status.accessModes")),
        ("StorageClass", cells.at("spec.storageClassName", "")),
        ("VolumeAttributesClass", cells.at("spec.volumeAttributesClassName", "<unset>")),
        _AGE,
        Column("VolumeMode", cells.at("spec.volumeMode"), 1),
    ),
    ("", "persistentvolumes"): _columns(
        ("Capacity", cells.at("spec.capacity.storage", "")),
        ("Access Modes", cells.modes("spec.accessModes")),
        ("Reclaim Policy", cells.at("spec.persistentVolumeReclaimPolicy", "")),
        ("Status", cells.phase),
        ("Claim", cells.claim_reference),
        ("StorageClass", cells.at("spec.storageClassName", "")),
        ("VolumeAttributesClass", cells.at("spec.volumeAttributesClassName", "<unset>")),
        ("Reason", cells.at("status.reason", "")),
        _AGE,
        Column("VolumeMode", cells.at("spec.volumeMode"), 1),
    ),
    ("", "pods"): _columns(
        ("Ready", cells.pod_ready),
        ("Status", pod_status),
        ("Restarts", pod_restarts),
        _AGE,
        Column("IP", cells.at("status.podIP"), 1),
        Column("Node", cells.at("spec.nodeName"), 1),
        Column("Nominated Node", cells.at("status.nominatedNodeName"), 1),
        Column("Readiness Gates", lambda _: cells.NONE, 1),
    ),
    ("", "secrets"): _columns(
        ("Type", cells.at("type")), Column("Data", cells.data, 0, "integer"), _AGE
    ),
    ("", "services"): _columns(
        ("Type", cells.at("spec.type")),
        ("Cluster-IP", cells.at("spec.clusterIP")),
        ("External-IP", cells.external),
        ("Port(s)", cells.service_ports),
        _AGE,
        Column("Selector", cells.selector("spec.selector"), 1),
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (_NAME, _CREATED),
    ("apps", "daemonsets"): _columns(
        ("Desired", cells.number("status.desiredNumberScheduled")),
        ("Current", cells.number("status.currentNumberScheduled")),
        ("Ready", cells.number("status.numberReady")),
        ("Up-to-date", cells.number("status.updatedNumberScheduled")),
        ("Available", cells.number("status.numberAvailable")),
        ("Node Selector", cells.selector("spec.template.spec.nodeSelector")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "deployments"): _columns(
        ("Ready", cells.of("status.readyReplicas", "spec.replicas")),
        ("Up-to-date", cells.number("status.updatedReplicas")),
        ("Available", cells.number("status.availableReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "replicasets"): _columns(
        ("Desired", cells.number("spec.replicas")),
        ("Current", cells.number("status.replicas")),
        ("Ready", cells.number("status.readyReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "statefulsets"): _columns(
        ("Ready", cells.of("status.readyReplicas", "spec.replicas")), _AGE, *_TEMPLATE[:2]
    ),
    ("batch", "cronjobs"): _columns(
        ("Schedule", cells.at("spec.schedule")),
        ("Timezone", cells.at("spec.timeZone")),
        ("Suspend", lambda found: str(bool(found["spec"].get("suspend")))),
        ("Active", lambda found: len(dig(found, "status.active") or ())),
        ("Last Schedule", cells.last_schedule),
        _AGE,
    ),
    ("batch", "jobs"): _columns(
        ("Status", cells.job_status),
        ("Completions", cells.of("status.succeeded", "spec.completions")),
        ("Duration", cells.job_duration),
        _AGE,
        *_TEMPLATE,
    ),
    ("coordination.k8s.io", "leases"): _columns(
        ("Holder", cells.at("spec.holderIdentity", "")), _AGE
    ),
    ("networking.k8s.io", "ingressclasses"): _columns(
        ("Controller", cells.at("spec.controller")),
        ("Parameters", cells.at("spec.parameters.name")),
        _AGE,
    ),
    ("networking.k8s.io", "ingresses"): _columns(
        ("Class", cells.at("spec.ingressClassName")),
        ("Hosts", cells.ingress_hosts),
        ("Address", cells.ingress_address),
        ("Ports", cells.ingress_ports),
        _AGE,
    ),
    ("networking.k8s.io", "networkpolicies"): _columns(
        ("Pod-Selector", cells.selector("spec.podSelector.matchLabels")), _AGE
    ),
    ("policy", "poddisruptionbudgets"): _columns(
        ("Min Available", cells.at("spec.minAvailable", "N/A")),
        ("Max Unavailable", cells.at("spec.maxUnavailable", "N/A")),
        ("Allowed Disruptions", cells.number("status.disruptionsAllowed")),
        _AGE,
    ),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "clusterroles"): (_NAME, _CREATED),
    ("rbac.authorization.k8s.io", "rolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "roles"): (_NAME, _CREATED),
    ("scheduling.k8s.io", "priorityclasses"): _columns(
        ("Value", cells.number("value")),
        ("Global-Default", lambda found: str(bool(found.get("globalDefault"))).lower()),
        _AGE,
        ("PreemptionPolicy", cells.at("preemptionPolicy")),
    ),
    ("storage.k8s.io", "csidrivers"): _columns(
        ("AttachRequired", lambda found: bool(dig(found, "spec.attachRequired"))),
        ("PodInfoOnMount", lambda found: bool(dig(found, "spec.podInfoOnMount"))),
        ("StorageCapacity", lambda found: bool(dig(found, "spec.storageCapacity"))),
        ("TokenRequests", lambda _: "<unset>"),
        ("RequiresRepublish", lambda found: bool(dig(found, "spec.requiresRepublish"))),
        ("Modes", cells.at("spec.volumeLifecycleModes")),
        _AGE,
    ),
    ("storage.k8s.io", "storageclasses"): (
        Column("Name", cells.class_name),
        Column("Provisioner", cells.at("provisioner")),
        Column("ReclaimPolicy", cells.at("reclaimPolicy")),
        Column("VolumeBindingMode", cells.at("volumeBindingMode")),
        Column("AllowVolumeExpansion", lambda found: bool(found.get("allowVolumeExpansion"))),
        _AGE,
    ),
}
DEFAULT_COLUMNS = (_NAME, _AGE)

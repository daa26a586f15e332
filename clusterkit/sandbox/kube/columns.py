"""The columns ``kubectl get`` shows: the API server prints them, kubectl only lays them out.

Names, order and priorities (1 is ``-o wide``) as in Kubernetes' ``pkg/printers/internalversion``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusterkit.sandbox.kube.admission import is_default_class
from clusterkit.sandbox.kube.kinds import GroupPlural, Object
from clusterkit.sandbox.kube.podstatus import pod_restarts, pod_status
from clusterkit.sandbox.kube.selectors import dig

Cell = Callable[[Object], Any]
_NONE = "<none>"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


@dataclass(frozen=True)
class Column:
    """One column and how an object's cell is made."""

    name: str
    cell: Cell
    priority: int = 0
    type: str = "string"


def since(text: str | None) -> str:
    """How long ago, as ``kubectl`` shows ages (apimachinery ``duration.HumanDuration``)."""
    if not text:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds())
    return duration(seconds)


def duration(seconds: int) -> str:
    """``119s``, ``9m59s``, ``179m``, ``7h59m``, ``47h``, ``7d23h``, ``729d``, ``7y364d``"""
    if seconds < 0:
        return "0s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}" + (f"{small}{small_unit}" if small else "")


def _at(path: str, default: Any = _NONE) -> Cell:
    def cell(found: Object) -> Any:
        value = dig(found, path)
        if isinstance(value, list):
            value = ",".join(str(item) for item in value)
        return default if value in (None, "") else value

    return cell


def _number(path: str) -> Cell:
    return lambda found: dig(found, path) or 0


def _age(found: Object) -> str:
    return since(found["metadata"].get("creationTimestamp"))


def _modes(path: str) -> Cell:
    return lambda found: ",".join(_MODES.get(mode, mode) for mode in dig(found, path) or ())


def _containers(field: str, path: str = "spec.template.spec.containers") -> Cell:
    return lambda found: ",".join(item.get(field, "") for item in dig(found, path) or ())


def _selector(path: str) -> Cell:
    def cell(found: Object) -> str:
        labels = dig(found, path) or {}
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or _NONE

    return cell


def _of(ready: str, wanted: str) -> Cell:
    return lambda found: f"{dig(found, ready) or 0}/{dig(found, wanted) or 0}"


def _pod_ready(found: Object) -> str:
    ready = sum(bool(item.get("ready")) for item in dig(found, "status.containerStatuses") or ())
    return f"{ready}/{len(found['spec'].get('containers') or ())}"


def _node_status(found: Object) -> str:
    ready = next(
        (c for c in dig(found, "status.conditions") or () if c.get("type") == "Ready"), None
    )
    words = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if dig(found, "spec.unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(found: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = found["metadata"].get("labels") or {}
    return ",".join(sorted(k[len(prefix) :] for k in labels if k.startswith(prefix))) or _NONE


def _node_address(kind: str) -> Cell:
    def cell(found: Object) -> str:
        addresses = dig(found, "status.addresses") or ()
        return next((item["address"] for item in addresses if item["type"] == kind), _NONE)

    return cell


def _external(found: Object) -> str:
    spec = found["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", _NONE))
    if spec.get("type") == "LoadBalancer":
        return _ingress_address(found) or "<pending>"
    return ",".join(spec.get("externalIPs") or ()) or _NONE


def _ingress_address(found: Object) -> str:
    points = dig(found, "status.loadBalancer.ingress") or ()
    return ",".join(point.get("ip") or point.get("hostname", "") for point in points)


def _service_ports(found: Object) -> str:
    texts = []
    for port in found["spec"].get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or _NONE


def _ingress_hosts(found: Object) -> str:
    hosts = [rule["host"] for rule in found["spec"].get("rules") or () if rule.get("host")]
    return ",".join(hosts) or "*"


def _ingress_ports(found: Object) -> str:
    return "80, 443" if found["spec"].get("tls") else "80"


def _data(found: Object) -> int:
    return len(found.get("data") or ()) + len(found.get("binaryData") or ())


def _class_name(found: Object) -> str:
    return str(found["metadata"]["name"]) + (" (default)" if is_default_class(found) else "")


def _claim_reference(found: Object) -> str:
    claim = dig(found, "spec.claimRef")
    return f"{claim['namespace']}/{claim['name']}" if claim else ""


def _phase(found: Object) -> Any:
    going = found["metadata"].get("deletionTimestamp")
    return "Terminating" if going else dig(found, "status.phase")


def _role(found: Object) -> str:
    return f"{found['roleRef']['kind']}/{found['roleRef']['name']}"


def _subjects(kind: str) -> Cell:
    def cell(found: Object) -> str:
        names = [s for s in found.get("subjects") or () if s["kind"] == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s['namespace']}/{s['name']}" for s in names)
        return ", ".join(s["name"] for s in names)

    return cell


def _job_status(found: Object) -> str:
    for condition in dig(found, "status.conditions") or ():
        if condition["type"] in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Running"


def _job_duration(found: Object) -> str:
    start, end = dig(found, "status.startTime"), dig(found, "status.completionTime")
    if not start:
        return ""
    if not end:
        return since(start)
    taken = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return duration(int(taken.total_seconds()))


def _last_schedule(found: Object) -> str:
    last = dig(found, "status.lastScheduleTime")
    return since(last) if last else _NONE


def _involved(found: Object) -> str:
    involved = found["involvedObject"]
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _seen(*names: str) -> Cell:
    return lambda found: since(next((found[name] for name in names if found.get(name)), None))


_NAME = Column("Name", _at("metadata.name"))
_AGE = Column("Age", _age)
_CREATED = Column("Created At", _at("metadata.creationTimestamp"))
_TEMPLATE = (
    Column("Containers", _containers("name"), 1),
    Column("Images", _containers("image"), 1),
    Column("Selector", _selector("spec.selector.matchLabels"), 1),
)
_BINDING = (
    _NAME,
    Column("Role", _role),
    _AGE,
    Column("Users", _subjects("User"), 1),
    Column("Groups", _subjects("Group"), 1),
    Column("ServiceAccounts", _subjects("ServiceAccount"), 1),
)


def _columns(*columns: tuple[str, Cell] | Column) -> tuple[Column, ...]:
    return (_NAME, *(c if isinstance(c, Column) else Column(*c) for c in columns))


COLUMNS: Mapping[GroupPlural, tuple[Column, ...]] = {
    ("", "configmaps"): _columns(Column("Data", _data, 0, "integer"), _AGE),
    ("", "events"): (
        Column("Last Seen", _seen("lastTimestamp", "eventTime", "firstTimestamp")),
        Column("Type", _at("type")),
        Column("Reason", _at("reason")),
        Column("Object", _involved),
        Column("Subobject", _at("involvedObject.fieldPath", ""), 1),
        Column("Source", _at("source.component", ""), 1),
        Column("Message", _at("message")),
        Column("First Seen", _seen("firstTimestamp", "eventTime"), 1),
        Column("Count", _number("count"), 1),
        Column("Name", _at("metadata.name"), 1),
    ),
    ("", "namespaces"): _columns(("Status", _at("status.phase")), _AGE),
    ("", "nodes"): _columns(
        ("Status", _node_status),
        ("Roles", _node_roles),
        _AGE,
        ("Version", _at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _node_address("InternalIP"), 1),
        Column("External-IP", _node_address("ExternalIP"), 1),
        Column("OS-Image", _at("status.nodeInfo.osImage"), 1),
        Column("Kernel-Version", _at("status.nodeInfo.kernelVersion"), 1),
        Column("Container-Runtime", _at("status.nodeInfo.containerRuntimeVersion"), 1),
    ),
    ("", "persistentvolumeclaims"): _columns(
        ("Status", _phase),
        ("Volume", _at("spec.volumeName", "")),
        ("Capacity", _at("status.capacity.storage", "")),
        ("Access Modes", _modes("status.accessModes")),
        ("StorageClass", _at("spec.storageClassName", "")),
        ("VolumeAttributesClass", _at("spec.volumeAttributesClassName", "<unset>")),
        _AGE,
        Column("VolumeMode", _at("spec.volumeMode"), 1),
    ),
    ("", "persistentvolumes"): _columns(
        ("Capacity", _at("spec.capacity.storage", "")),
        ("Access Modes", _modes("spec.accessModes")),
        ("Reclaim Policy", _at("spec.persistentVolumeReclaimPolicy", "")),
        ("Status", _phase),
        ("Claim", _claim_reference),
        ("StorageClass", _at("spec.storageClassName", "")),
        ("VolumeAttributesClass", _at("spec.volumeAttributesClassName", "<unset>")),
        ("Reason", _at("status.reason", "")),
        _AGE,
        Column("VolumeMode", _at("spec.volumeMode"), 1),
    ),
    ("", "pods"): _columns(
        ("Ready", _pod_ready),
        ("Status", pod_status),
        ("Restarts", pod_restarts),
        _AGE,
        Column("IP", _at("status.podIP"), 1),
        Column("Node", _at("spec.nodeName"), 1),
        Column("Nominated Node", _at("status.nominatedNodeName"), 1),
        Column("Readiness Gates", lambda _: _NONE, 1),
    ),
    ("", "secrets"): _columns(("Type", _at("type")), Column("Data", _data, 0, "integer"), _AGE),
    ("", "services"): _columns(
        ("Type", _at("spec.type")),
        ("Cluster-IP", _at("spec.clusterIP")),
        ("External-IP", _external),
        ("Port(s)", _service_ports),
        _AGE,
        Column("Selector", _selector("spec.selector"), 1),
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (_NAME, _CREATED),
    ("apps", "daemonsets"): _columns(
        ("Desired", _number("status.desiredNumberScheduled")),
        ("Current", _number("status.currentNumberScheduled")),
        ("Ready", _number("status.numberReady")),
        ("Up-to-date", _number("status.updatedNumberScheduled")),
        ("Available", _number("status.numberAvailable")),
        ("Node Selector", _selector("spec.template.spec.nodeSelector")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "deployments"): _columns(
        ("Ready", _of("status.readyReplicas", "spec.replicas")),
        ("Up-to-date", _number("status.updatedReplicas")),
        ("Available", _number("status.availableReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "replicasets"): _columns(
        ("Desired", _number("spec.replicas")),
        ("Current", _number("status.replicas")),
        ("Ready", _number("status.readyReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "statefulsets"): _columns(
        ("Ready", _of("status.readyReplicas", "spec.replicas")), _AGE, *_TEMPLATE[:2]
    ),
    ("batch", "cronjobs"): _columns(
        ("Schedule", _at("spec.schedule")),
        ("Timezone", _at("spec.timeZone")),
        ("Suspend", lambda found: str(bool(found["spec"].get("suspend")))),
        ("Active", lambda found: len(dig(found, "status.active") or ())),
        ("Last Schedule", _last_schedule),
        _AGE,
    ),
    ("batch", "jobs"): _columns(
        ("Status", _job_status),
        ("Completions", _of("status.succeeded", "spec.completions")),
        ("Duration", _job_duration),
        _AGE,
        *_TEMPLATE,
    ),
    ("coordination.k8s.io", "leases"): _columns(("Holder", _at("spec.holderIdentity", "")), _AGE),
    ("networking.k8s.io", "ingressclasses"): _columns(
        ("Controller", _at("spec.controller")), ("Parameters", _at("spec.parameters.name")), _AGE
    ),
    ("networking.k8s.io", "ingresses"): _columns(
        ("Class", _at("spec.ingressClassName")),
        ("Hosts", _ingress_hosts),
        ("Address", _ingress_address),
        ("Ports", _ingress_ports),
        _AGE,
    ),
    ("networking.k8s.io", "networkpolicies"): _columns(
        ("Pod-Selector", _selector("spec.podSelector.matchLabels")), _AGE
    ),
    ("policy", "poddisruptionbudgets"): _columns(
        ("Min Available", _at("spec.minAvailable", "N/A")),
        ("Max Unavailable", _at("spec.maxUnavailable", "N/A")),
        ("Allowed Disruptions", _number("status.disruptionsAllowed")),
        _AGE,
    ),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "clusterroles"): (_NAME, _CREATED),
    ("rbac.authorization.k8s.io", "rolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "roles"): (_NAME, _CREATED),
    ("scheduling.k8s.io", "priorityclasses"): _columns(
        ("Value", _number("value")),
        ("Global-Default", lambda found: str(bool(found.get("globalDefault"))).lower()),
        _AGE,
        ("PreemptionPolicy", _at("preemptionPolicy")),
    ),
    ("storage.k8s.io", "csidrivers"): _columns(
        ("AttachRequired", lambda found: bool(dig(found, "spec.attachRequired"))),
        ("PodInfoOnMount", lambda found: bool(dig(found, "spec.podInfoOnMount"))),
        ("StorageCapacity", lambda found: bool(dig(found, "spec.storageCapacity"))),
        ("TokenRequests", lambda _: "<unset>"),
        ("RequiresRepublish", lambda found: bool(dig(found, "spec.requiresRepublish"))),
        ("Modes", _at("spec.volumeLifecycleModes")),
        _AGE,
    ),
    ("storage.k8s.io", "storageclasses"): (
        Column("Name", _class_name),
        Column("Provisioner", _at("provisioner")),
        Column("ReclaimPolicy", _at("reclaimPolicy")),
        Column("VolumeBindingMode", _at("volumeBindingMode")),
        Column("AllowVolumeExpansion", lambda found: bool(found.get("allowVolumeExpansion"))),
        _AGE,
    ),
}
DEFAULT_COLUMNS = (_NAME, _AGE)

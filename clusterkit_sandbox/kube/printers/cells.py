"""The cells of kubectl's tables (``pkg/printers/internalversion``).

``data/cells.tsv`` names them: one with fields is called with them and makes the cell, one without
is the cell.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from clusterkit_sandbox.kube.admission import is_default_class
from clusterkit_sandbox.kube.conditions import current, holds
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.selectors import dig

NONE = "<none>"
_SHOWN = 3
"""addresses and ports of a service"""

Cell = Callable[[Object], Any]


MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def since(text: str | None, nothing: str = "<unknown>") -> str:
    """How long ago, as ``kubectl`` shows ages (apimachinery ``duration.HumanDuration``)."""
    if not text:
        return nothing
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


def at(path: str, default: Any = NONE) -> Cell:
    def cell(found: Object) -> Any:
        value = dig(found, path)
        if isinstance(value, list):
            value = ",".join(str(item) for item in value)
        return default if value in (None, "") else value

    return cell


def number(path: str) -> Cell:
    return lambda found: dig(found, path) or 0


def flag(path: str) -> Cell:
    return lambda found: bool(dig(found, path))


def age(path: str, nothing: str = "<unknown>") -> Cell:
    return lambda found: since(dig(found, path), nothing)


def modes(path: str) -> Cell:
    return lambda found: ",".join(MODES.get(mode, mode) for mode in dig(found, path) or ())


def joined(path: str, field: str, nothing: str = "") -> Cell:
    return lambda found: ",".join(item.get(field, "") for item in dig(found, path) or ()) or nothing


def selector(path: str) -> Cell:
    def cell(found: Object) -> str:
        labels = dig(found, path) or {}
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE

    return cell


def of(ready: str, wanted: str) -> Cell:
    return lambda found: f"{dig(found, ready) or 0}/{dig(found, wanted) or 0}"


def pod_ready(found: Object) -> str:
    ready = sum(bool(item.get("ready")) for item in dig(found, "status.containerStatuses") or ())
    return f"{ready}/{len(found['spec'].get('containers') or ())}"


def pod_status(found: Object) -> str:
    """``Running``, ``Completed``, ``ContainerCreating``, ``Terminating``, ..."""
    if found["metadata"].get("deletionTimestamp"):
        return "Terminating"
    reason = dig(found, "status.reason") or dig(found, "status.phase") or "Unknown"
    for status in dig(found, "status.containerStatuses") or ():
        state = status.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended.get("reason"):
            reason = ended["reason"]
        elif ended:
            reason = f"ExitCode:{ended.get('exitCode', 0)}"
    return str(reason)


def pod_restarts(found: Object) -> int:
    """How often the containers were started anew."""
    return sum(
        int(status.get("restartCount", 0))
        for status in dig(found, "status.containerStatuses") or ()
    )


def node_status(found: Object) -> str:
    words = ["Ready" if holds(found, "Ready") else "NotReady"]
    if not current(found, "Ready"):
        words = ["Unknown"]
    if dig(found, "spec.unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def node_roles(found: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = found["metadata"].get("labels") or {}
    return ",".join(sorted(k[len(prefix) :] for k in labels if k.startswith(prefix))) or NONE


def node_address(kind: str) -> Cell:
    def cell(found: Object) -> str:
        addresses = dig(found, "status.addresses") or ()
        return next((item["address"] for item in addresses if item["type"] == kind), NONE)

    return cell


def external(found: Object) -> str:
    spec = found["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", NONE))
    if spec.get("type") == "LoadBalancer":
        return ingress_address(found) or "<pending>"
    return ",".join(spec.get("externalIPs") or ()) or NONE


def ingress_address(found: Object) -> str:
    points = dig(found, "status.loadBalancer.ingress") or ()
    return ",".join(point.get("ip") or point.get("hostname", "") for point in points)


def service_ports(found: Object) -> str:
    texts = []
    for port in found["spec"].get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or NONE


def ingress_hosts(found: Object) -> str:
    hosts = [rule["host"] for rule in found["spec"].get("rules") or () if rule.get("host")]
    return ",".join(hosts) or "*"


def ingress_ports(found: Object) -> str:
    return "80, 443" if found["spec"].get("tls") else "80"


def data(found: Object) -> int:
    return len(found.get("data") or ()) + len(found.get("binaryData") or ())


def class_name(found: Object) -> str:
    return str(found["metadata"]["name"]) + (" (default)" if is_default_class(found) else "")


def claim_reference(found: Object) -> str:
    claim = dig(found, "spec.claimRef")
    return f"{claim['namespace']}/{claim['name']}" if claim else ""


def phase(found: Object) -> Any:
    going = found["metadata"].get("deletionTimestamp")
    return "Terminating" if going else dig(found, "status.phase")


def role(found: Object) -> str:
    return f"{found['roleRef']['kind']}/{found['roleRef']['name']}"


def subjects(kind: str) -> Cell:
    def cell(found: Object) -> str:
        names = [s for s in found.get("subjects") or () if s["kind"] == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s['namespace']}/{s['name']}" for s in names)
        return ", ".join(s["name"] for s in names)

    return cell


def job_status(found: Object) -> str:
    for condition in dig(found, "status.conditions") or ():
        if condition["type"] in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Running"


def job_duration(found: Object) -> str:
    start, end = dig(found, "status.startTime"), dig(found, "status.completionTime")
    if not start:
        return ""
    if not end:
        return since(start)
    taken = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return duration(int(taken.total_seconds()))


def suspended(found: Object) -> str:
    return str(bool(found["spec"].get("suspend")))


def involved(found: Object) -> str:
    involved = found["involvedObject"]
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def seen(*names: str) -> Cell:
    return lambda found: since(next((found[name] for name in names if found.get(name)), None))


def count(path: str) -> Cell:
    return lambda found: len(dig(found, path) or ())


def _shortened(found: list[str], nothing: str) -> str:
    more = f" + {len(found) - _SHOWN} more..." if len(found) > _SHOWN else ""
    return ",".join(found[:_SHOWN]) + more if found else nothing


def endpoints(found: Object) -> str:
    return _shortened(
        [
            f"{address['ip']}:{port['port']}"
            for subset in found.get("subsets") or ()
            for port in subset.get("ports") or ()
            for address in subset.get("addresses") or ()
        ],
        NONE,
    )


def slice_endpoints(found: Object) -> str:
    parts = found.get("endpoints") or ()
    return _shortened([one for part in parts for one in part["addresses"]], "<unset>")


def slice_ports(found: Object) -> str:
    return _shortened([str(port["port"]) for port in found.get("ports") or ()], "<unset>")


def quota_requests(found: Object) -> str:
    return _quota(found, limits=False)


def quota_limits(found: Object) -> str:
    return _quota(found, limits=True)


def _quota(found: Object, *, limits: bool) -> str:
    hard = dig(found, "status.hard") or dig(found, "spec.hard") or {}
    used = dig(found, "status.used") or {}
    names = sorted(name for name in hard if name.startswith("limits") is limits)
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


def condition(kind: str, nothing: str) -> Cell:
    return lambda found: current(found, kind).get("status", nothing)


def service_reference(found: Object) -> str:
    service = dig(found, "spec.service")
    return f"{service['namespace']}/{service['name']}" if service else "Local"


def controller(found: Object) -> str:
    for owner in found["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner["apiVersion"].rpartition("/")[0]
            return f"{owner['kind'].lower()}{'.' if group else ''}{group}/{owner['name']}"
    return NONE


def scale_target(found: Object) -> str:
    target = found["spec"]["scaleTargetRef"]
    return f"{target['kind']}/{target['name']}"


def scale_metrics(found: Object) -> str:
    shown = []
    for metric in found["spec"].get("metrics") or ():
        part = metric.get(metric["type"][0].lower() + metric["type"][1:]) or {}
        name, target = part.get("name") or dig(part, "metric.name"), part.get("target") or {}
        share = target.get("averageUtilization")
        wanted = target.get("averageValue", target.get("value")) if share is None else f"{share}%"
        shown.append(f"{name}: <unknown>/{wanted}")
    return ", ".join(shown) or NONE


def requested_duration(found: Object) -> str:
    seconds = dig(found, "spec.expirationSeconds")
    return NONE if seconds is None else duration(int(seconds))


def csr_conditions(found: Object) -> str:
    told = [each["type"] for each in dig(found, "status.conditions") or ()]
    issued = ["Issued"] if dig(found, "status.certificate") else []
    return ",".join(told + issued) or "Pending"

"""What Kubernetes demands of its own kinds beyond their schema.

From the validation functions of Kubernetes (``pkg/apis/*/validation``), for the kinds clusters are
built of; causes come in the order in which those find them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clusterkit_sandbox.kube import quantities
from clusterkit_sandbox.kube.immutable import changes
from clusterkit_sandbox.kube.kinds import GroupPlural, Object, Resource
from clusterkit_sandbox.kube.refusals import Cause
from clusterkit_sandbox.kube.selectors import dig, matches
from clusterkit_sandbox.kube.validation import key_problem, subdomain_problem

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_PORT = "must be between 1 and 65535, inclusive"
_NOT_NEGATIVE = "must be greater than or equal to 0"
_HIGHEST_PRIORITY = 1_000_000_000
_LARGEST_DATA = 1024 * 1024


def causes(resource: Resource, new: Object, old: Object | None) -> list[Cause]:
    """Everything wrong with a create (``old`` is None) or an update."""
    if resource.custom:
        return []
    rule = _RULES.get(resource.key)
    found = list(rule(new)) if rule else []
    if old is not None:
        found += changes(resource.key, new, old)
    return found


def _not_negative(spec: Object, path: str, *fields: str) -> Iterator[Cause]:
    for field in fields:
        value = spec.get(field)
        if isinstance(value, int) and value < 0:
            yield Cause.invalid(f"{path}.{field}", value, _NOT_NEGATIVE)


def _port(value: Any, path: str) -> Iterator[Cause]:
    """A number; names of ports are not looked at."""
    if isinstance(value, int) and not 0 < value < 65536:
        yield Cause.invalid(path, value, _PORT)


def _pod_spec(
    spec: Object, path: str, policies: tuple[str, ...], claims: frozenset[str] = frozenset()
) -> Iterator[Cause]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or []} | claims
    if not spec.get("containers"):
        yield Cause.required(f"{path}.containers")
    seen = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or []):
            at = f"{path}.{kind}[{index}]"
            if not container.get("image"):
                yield Cause.required(f"{at}.image")
            if container.get("name") in seen:
                yield Cause.duplicate(f"{at}.name", container["name"])
            seen.add(container.get("name"))
            for number, mount in enumerate(container.get("volumeMounts") or []):
                if mount.get("name") not in volumes:
                    yield Cause.not_found(f"{at}.volumeMounts[{number}].name", mount.get("name"))
    if spec.get("restartPolicy") not in policies:
        yield Cause.unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), policies)


def _pod(new: Object) -> Iterator[Cause]:
    yield from _pod_spec(new.get("spec") or {}, "spec", ("Always", "Never", "OnFailure"))


def _workload(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    template = spec.get("template") or {}
    selector = spec.get("selector")
    yield from _not_negative(spec, "spec", "replicas")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is not None:
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            detail = "empty selector is invalid for deployment"
            yield Cause.invalid("spec.selector", selector, detail)
        elif not matches(selector, labels):
            detail = "`selector` does not match template `labels`"
            yield Cause.invalid("spec.template.metadata.labels", labels, detail)
    if template.get("spec") is not None:
        claims = frozenset(
            claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or []
        )
        yield from _pod_spec(template["spec"], "spec.template.spec", ("Always",), claims)
    rolling = dig(spec, "strategy.rollingUpdate") or {}
    if {_none(rolling.get("maxSurge")), _none(rolling.get("maxUnavailable"))} == {True}:
        at = "spec.strategy.rollingUpdate.maxUnavailable"
        yield Cause.invalid(at, rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0")


def _none(value: Any) -> bool:
    return value in (0, "0%")


def _job_spec(spec: Object, path: str) -> Iterator[Cause]:
    yield from _not_negative(spec, path, "parallelism", "completions", "backoffLimit")
    pods = dig(spec, "template.spec")
    if pods is not None:
        at = f"{path}.template.spec"
        policy = pods.get("restartPolicy")
        yield from _pod_spec(pods, at, ("Always", "Never", "OnFailure"))
        if policy not in ("OnFailure", "Never"):
            yield Cause.required(f"{at}.restartPolicy", 'valid values: "OnFailure", "Never"')


def _job(new: Object) -> Iterator[Cause]:
    yield from _job_spec(new.get("spec") or {}, "spec")


def _cron_job(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    schedule = spec.get("schedule") or ""
    fields = schedule.split()
    if not schedule:
        yield Cause.required("spec.schedule")
    elif not schedule.startswith("@") and len(fields) != 5:
        detail = f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
        yield Cause.invalid("spec.schedule", schedule, detail)
    policy, policies = spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace")
    if policy not in policies:
        yield Cause.unsupported("spec.concurrencyPolicy", policy, policies)
    yield from _job_spec(dig(spec, "jobTemplate.spec") or {}, "spec.jobTemplate.spec")


def _claim(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("accessModes"):
        yield Cause.required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or []:
        if mode not in _ACCESS_MODES:
            yield Cause.unsupported("spec.accessModes", mode, _ACCESS_MODES)
    size = dig(spec, "resources.requests.storage")
    if not size:
        yield Cause.required("spec.resources[storage]")
    elif quantities.parse(size) <= 0:
        yield Cause.invalid("spec.resources[storage]", size, "must be greater than zero")


def _volume(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("accessModes"):
        yield Cause.required("spec.accessModes")
    if not dig(spec, "capacity.storage"):
        yield Cause.required("spec.capacity")


def _service(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    ports = spec.get("ports") or []
    if spec.get("type") == "ExternalName":
        if not spec.get("externalName"):
            yield Cause.required("spec.externalName")
    elif not ports and spec.get("clusterIP") != "None":
        yield Cause.required("spec.ports")
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield Cause.required(f"{at}.name")
        yield from _port(port.get("port"), f"{at}.port")
        yield from _port(port.get("targetPort"), f"{at}.targetPort")


def _ingress(new: Object) -> Iterator[Cause]:
    for index, rule in enumerate(dig(new, "spec.rules") or []):
        at = f"spec.rules[{index}]"
        host = rule.get("host")
        if host and not host.startswith("*.") and (wrong := subdomain_problem(host)):
            yield Cause.invalid(f"{at}.host", host, wrong)
        for number, path in enumerate(dig(rule, "http.paths") or []):
            here = f"{at}.http.paths[{number}]"
            if path.get("pathType") is None:
                yield Cause.required(f"{here}.pathType", "pathType must be specified")
            elif path["pathType"] in ("Exact", "Prefix") and not _absolute(path):
                yield Cause.invalid(
                    f"{here}.path", path.get("path", ""), "must be an absolute path"
                )
            port = dig(path, "backend.service.port") or {}
            if dig(path, "backend.service") is not None and not port:
                yield Cause.required(f"{here}.backend", "port name or number is required")


def _absolute(path: Object) -> bool:
    return str(path.get("path") or "").startswith("/")


def _policy(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(way) or []):
            at = f"spec.{way}[{index}]"
            for number, port in enumerate(rule.get("ports") or []):
                yield from _port(port.get("port"), f"{at}.ports[{number}].port")
            for number, peer in enumerate(rule.get(peers) or []):
                cidr = dig(peer, "ipBlock.cidr")
                if cidr is not None and not _is_cidr(cidr):
                    detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                    yield Cause.invalid(f"{at}.{peers}[{number}].ipBlock.cidr", cidr, detail)
    for index, word in enumerate(spec.get("policyTypes") or []):
        if word not in ("Ingress", "Egress"):
            yield Cause.unsupported(f"spec.policyTypes[{index}]", word, ("Ingress", "Egress"))


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _class(new: Object) -> Iterator[Cause]:
    provisioner = new.get("provisioner") or ""
    if not provisioner:
        yield Cause.required("provisioner")
    elif wrong := key_problem(provisioner.lower()):
        yield Cause.invalid("provisioner", provisioner, wrong)


def _priority(new: Object) -> Iterator[Cause]:
    own = new["metadata"].get("name", "").startswith("system-")
    if not own and (new.get("value") or 0) > _HIGHEST_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}"
        yield Cause.forbidden("value", detail)


def _data(new: Object) -> Iterator[Cause]:
    size = sum(len(value) for value in (new.get("data") or {}).values())
    size += sum(len(value) * 3 // 4 for value in (new.get("binaryData") or {}).values())
    if size > _LARGEST_DATA:
        detail = f"Too long: may not be more than {_LARGEST_DATA} bytes"
        yield Cause("[]", "FieldValueTooLong", detail)


def _binding(new: Object) -> Iterator[Cause]:
    role = new.get("roleRef") or {}
    choices = ("ClusterRole",) if new["kind"] == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if role.get("kind") not in choices:
        yield Cause.unsupported("roleRef.kind", role.get("kind"), choices)
    if not role.get("name"):
        yield Cause.required("roleRef.name")
    for index, subject in enumerate(new.get("subjects") or []):
        at = f"subjects[{index}]"
        if subject.get("kind") == "ServiceAccount":
            if not subject.get("namespace"):
                yield Cause.required(f"{at}.namespace")
        elif subject.get("kind") not in ("User", "Group"):
            allowed = ("ServiceAccount", "User", "Group")
            yield Cause.unsupported(f"{at}.kind", subject.get("kind"), allowed)


def _definition(new: Object) -> Iterator[Cause]:
    spec = new["spec"]
    names = spec.get("names") or {}
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if new["metadata"].get("name") != wanted:
        detail = 'must be spec.names.plural+"."+spec.group'
        yield Cause.invalid("metadata.name", new["metadata"].get("name"), detail)
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield Cause.unsupported("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        yield Cause.invalid("spec.versions", [v.get("name") for v in versions], detail)
    for index, version in enumerate(versions):
        if not dig(version, "schema.openAPIV3Schema"):
            yield Cause.required(f"spec.versions[{index}].schema.openAPIV3Schema")


_RULES: Mapping[GroupPlural, Callable[[Object], Iterator[Cause]]] = {
    ("", "configmaps"): _data,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "secrets"): _data,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apps", "daemonsets"): _workload,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("batch", "cronjobs"): _cron_job,
    ("batch", "jobs"): _job,
    ("networking.k8s.io", "ingresses"): _ingress,
    ("networking.k8s.io", "networkpolicies"): _policy,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("scheduling.k8s.io", "priorityclasses"): _priority,
    ("storage.k8s.io", "storageclasses"): _class,
}

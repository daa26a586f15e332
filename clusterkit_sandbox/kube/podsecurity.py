"""Pod Security Admission: what a namespace's labels let pods be.

Kubernetes documentation, "Pod Security Standards" and "Pod Security Admission"; order and words of
the reasons: k8s.io/pod-security-admission, policy/check_*.go and admission/admission.go. AppArmor,
SELinux, sysctls, hosts of probes and Windows are not checked; every version is the latest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

from clusterkit_sandbox.kube.defaults import POD_SPECS
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import NAMESPACES, ClusterState

_PREFIX = "pod-security.kubernetes.io/"
_LEVELS = ("privileged", "baseline", "restricted")
_BASELINE = frozenset(
    ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
     "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
)  # fmt: skip
_VOLUMES = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
     "projected", "secret")
)  # fmt: skip
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_SECCOMP = ("RuntimeDefault", "Localhost")
Check = Callable[[Object], str]
"""a pod's spec to what is wrong, with its details; empty for nothing"""


def forbidden(state: ClusterState, pod: Object) -> str:
    """Why a namespace does not take a pod; empty if it does."""
    policy = _policy(state, pod["metadata"]["namespace"], "enforce")
    found = _reasons(policy, pod["spec"])
    return f'violates PodSecurity "{policy}": {found}' if found else ""


def warnings(state: ClusterState, key: GroupPlural, new: Object) -> list[str]:
    """What the client is to be warned of: pods, and what makes pods."""
    path = POD_SPECS.get(key)
    spec = dig(new, path) if path else None
    if not isinstance(spec, dict):
        return []
    policy = _policy(state, new["metadata"].get("namespace", ""), "warn")
    found = _reasons(policy, spec)
    return [f'would violate PodSecurity "{policy}": {found}'] if found else []


def _policy(state: ClusterState, namespace: str, mode: str) -> str:
    """``restricted:latest``, as a namespace's labels say."""
    found = state.get(NAMESPACES, "", namespace) or {"metadata": {}}
    labels = found["metadata"].get("labels") or {}
    level = labels.get(f"{_PREFIX}{mode}", "privileged")
    # what is no level is taken as the strictest (api.ParseLevel)
    level = level if level in _LEVELS else "restricted"
    return f"{level}:{labels.get(f'{_PREFIX}{mode}-version', 'latest')}"


def _reasons(policy: str, spec: Object) -> str:
    level = policy.partition(":")[0]
    return ", ".join(text for check, levels in _CHECKS if level in levels and (text := check(spec)))


def _containers(spec: Object) -> Iterator[tuple[Object, Object]]:
    """Every container with its security context."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield container, container.get("securityContext") or {}


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(names: Sequence[str], kind: str = "container") -> str:
    return f"{kind if len(names) == 1 else kind + 's'} {_quoted(names)}"


def _bad(spec: Object, wrong: Callable[[Object], bool]) -> list[str]:
    return [one["name"] for one, context in _containers(spec) if wrong(context)]


# -- both ------------------------------------------------------------------------------------------


def _host_namespaces(spec: Object) -> str:
    found = [f"{name}=true" for name in _HOST if spec.get(name)]
    return f"host namespaces ({', '.join(found)})" if found else ""


def _host_ports(spec: Object) -> str:
    bad, ports = [], set()
    for container, _ in _containers(spec):
        used = {int(o["hostPort"]) for o in container.get("ports") or () if o.get("hostPort")}
        if used:
            bad.append(container["name"])
            ports |= used
    if not bad:
        return ""
    use = "uses" if len(bad) == 1 else "use"
    kind = "hostPort" if len(ports) == 1 else "hostPorts"
    return f"hostPort ({_named(bad)} {use} {kind} {', '.join(sorted(map(str, ports)))})"


def _privileged(spec: Object) -> str:
    bad = _bad(spec, lambda context: bool(context.get("privileged")))
    return f"privileged ({_named(bad)} must not set securityContext.privileged=true)" if bad else ""


def _added(spec: Object, allowed: frozenset[str]) -> tuple[list[str], list[str]]:
    """The containers that add other capabilities, and those."""
    bad, found = [], set()
    for container, context in _containers(spec):
        more = set(dig(context, "capabilities.add") or ()) - allowed
        if more:
            bad.append(container["name"])
            found |= more
    return bad, sorted(found)


def _not_included(bad: list[str], capabilities: list[str]) -> str:
    return (
        f"{_named(bad)} must not include {_quoted(capabilities)} in"
        " securityContext.capabilities.add"
    )


# -- baseline --------------------------------------------------------------------------------------


def _baseline_capabilities(spec: Object) -> str:
    bad, found = _added(spec, _BASELINE)
    return f"non-default capabilities ({_not_included(bad, found)})" if bad else ""


def _host_paths(spec: Object) -> str:
    bad = [one["name"] for one in spec.get("volumes") or () if one.get("hostPath")]
    return f"hostPath volumes ({_named(bad, 'volume')})" if bad else ""


def _seccomp(spec: Object, *, required: bool) -> str:
    """The types that may not be set; with ``required`` one has to be."""
    allowed = (None, *_SECCOMP)
    kind = dig(spec, "securityContext.seccompProfile.type")
    setters, values = [], set()
    if kind not in allowed:
        setters.append("pod")
        values.add(str(kind))
    types = {one["name"]: dig(context, "seccompProfile.type") for one, context in _containers(spec)}
    bad = [name for name, own in types.items() if own not in allowed]
    if bad:
        setters.append(_named(bad))
        values |= {str(types[name]) for name in bad}
    if setters:
        told = "must not set securityContext.seccompProfile.type to"
        return f"seccompProfile ({' and '.join(setters)} {told} {_quoted(sorted(values))})"
    missing = [name for name, own in types.items() if own is None and kind is None]
    if required and missing:
        return (
            f"seccompProfile (pod or {_named(missing)} must set securityContext.seccompProfile.type"
            ' to "RuntimeDefault" or "Localhost")'
        )
    return ""


# -- restricted ------------------------------------------------------------------------------------


def _escalation(spec: Object) -> str:
    bad = _bad(spec, lambda context: context.get("allowPrivilegeEscalation") is not False)
    told = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_named(bad)} {told})" if bad else ""


def _restricted_capabilities(spec: Object) -> str:
    kept = _bad(spec, lambda context: "ALL" not in (dig(context, "capabilities.drop") or ()))
    bad, found = _added(spec, frozenset(("NET_BIND_SERVICE",)))
    details = []
    if kept:
        details.append(f'{_named(kept)} must set securityContext.capabilities.drop=["ALL"]')
    if bad:
        details.append(_not_included(bad, found))
    return f"unrestricted capabilities ({'; '.join(details)})" if details else ""


def _volumes(spec: Object) -> str:
    bad, kinds = [], set()
    for volume in spec.get("volumes") or ():
        found = {kind for kind in volume if kind != "name"} - _VOLUMES
        if found:
            bad.append(volume["name"])
            kinds |= found
    if not bad:
        return ""
    use = "uses" if len(bad) == 1 else "use"
    kind = "restricted volume type" if len(kinds) == 1 else "restricted volume types"
    told = f"{_named(bad, 'volume')} {use} {kind} {_quoted(sorted(kinds))}"
    return f"restricted volume types ({told})"


def _non_root(spec: Object) -> str:
    whole = dig(spec, "securityContext.runAsNonRoot")
    setters = ["pod"] if whole is False else []
    bad = _bad(spec, lambda context: context.get("runAsNonRoot") is False)
    if bad:
        setters.append(_named(bad))
    if setters:
        told = "must not set securityContext.runAsNonRoot=false"
        return f"runAsNonRoot != true ({' and '.join(setters)} {told})"
    missing = _bad(spec, lambda context: context.get("runAsNonRoot") is None and whole is None)
    told = "must set securityContext.runAsNonRoot=true"
    return f"runAsNonRoot != true (pod or {_named(missing)} {told})" if missing else ""


def _user(spec: Object) -> str:
    setters = ["pod"] if dig(spec, "securityContext.runAsUser") == 0 else []
    bad = _bad(spec, lambda context: context.get("runAsUser") == 0)
    if bad:
        setters.append(_named(bad))
    return f"runAsUser=0 ({' and '.join(setters)} must not set runAsUser=0)" if setters else ""


_BOTH = ("baseline", "restricted")
_CHECKS: tuple[tuple[Check, Sequence[str]], ...] = (
    (_baseline_capabilities, ("baseline",)),
    (_host_namespaces, _BOTH),
    (_host_paths, ("baseline",)),
    (_host_ports, _BOTH),
    (_privileged, _BOTH),
    (functools.partial(_seccomp, required=False), ("baseline",)),
    (_escalation, ("restricted",)),
    (_restricted_capabilities, ("restricted",)),
    (_volumes, ("restricted",)),
    (_non_root, ("restricted",)),
    (_user, ("restricted",)),
    (functools.partial(_seccomp, required=True), ("restricted",)),
)
"""Those of baseline come first, each level by the names of its checks (policy/registry.go)."""

"""What a pod needs of Secrets and ConfigMaps before it starts (Kubernetes documentation, "Secrets",
"ConfigMaps": what a pod refers to must be there unless the reference says ``optional``)."""

from __future__ import annotations

from collections.abc import Iterator

from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.selectors import dig

_SECRET, _CONFIG_MAP = ("secrets", "Secret"), ("configmaps", "ConfigMap")


def unmounted(runtime: Runtime, pod: Object) -> Iterator[tuple[str, str]]:
    """Every volume that cannot be mounted yet, and why (the kubelet's words)."""
    for volume in pod["spec"].get("volumes") or ():
        sources = [volume, *(dig(volume, "projected.sources") or ())]
        for source in sources:
            secret, settings = source.get("secret"), source.get("configMap")
            if secret:
                name = secret.get("secretName") or secret.get("name")
                problem = _lacks(runtime, pod, _SECRET, {**secret, "name": name})
            elif settings:
                problem = _lacks(runtime, pod, _CONFIG_MAP, settings)
            else:
                continue
            if problem:
                yield volume["name"], problem


def unset(runtime: Runtime, pod: Object, container: Object) -> str | None:
    """Why a container's environment cannot be made yet (the kubelet's words)."""
    for source in container.get("envFrom") or ():
        for kind, field in ((_SECRET, "secretRef"), (_CONFIG_MAP, "configMapRef")):
            if source.get(field):
                problem = _lacks(runtime, pod, kind, source[field])
                if problem:
                    return problem
    for variable in container.get("env") or ():
        value = variable.get("valueFrom") or {}
        for kind, field in ((_SECRET, "secretKeyRef"), (_CONFIG_MAP, "configMapKeyRef")):
            if value.get(field):
                problem = _lacks(runtime, pod, kind, value[field], value[field]["key"])
                if problem:
                    return problem
    return None


def _lacks(
    runtime: Runtime, pod: Object, kind: tuple[str, str], reference: Object, key: str = ""
) -> str | None:
    if reference.get("optional"):
        return None
    plural, title = kind
    namespace, name = pod["metadata"]["namespace"], reference.get("name") or ""
    found = runtime.state.get(("", plural), namespace, name)
    if found is None:
        return f'{title.lower()} "{name}" not found'
    if key and not any(key in (found.get(field) or ()) for field in ("data", "binaryData")):
        return f"couldn't find key {key} in {title} {namespace}/{name}"
    return None

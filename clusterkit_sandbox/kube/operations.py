"""Names for the calls to a cluster's API, for faults: ``kube:create/namespaces``.

A name is ``kube:VERB/RESOURCE[.GROUP][/SUBRESOURCE]``, in the words of RBAC (Kubernetes
documentation, "Determine the Request Verb"), as in ``kube:patch/deployments.apps/scale``; what is
not a resource is named by its path: ``kube:get/version``. ``kube:pull/quay.io`` is what a node does
for an image of that registry.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from clusterkit_sandbox.kube.kinds import built_in

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_WITHOUT_NAME = {"get": "list", "delete": "deletecollection"}
_VERB = "create|delete|deletecollection|get|list|patch|update|watch"
_CUSTOM = re.compile(
    rf"kube:(?:{_VERB}|\*)/[a-z0-9*-]+\.(?P<group>[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:/[a-z*]+)?"
)
PULL = "kube:pull/"
_PULL = re.compile(r"kube:pull/[a-z0-9.*:-]+")
_PATHS = ("api", "apis", "healthz", "livez", "openapi/v3", "readyz", "version")


def operation(method: str, path: str, query: Mapping[str, str]) -> str:
    """The name of one request."""
    verb = _VERBS.get(method, "get")
    parts = [part for part in path.split("/") if part]
    core = parts[:1] == ["api"]
    head = 2 if core else 3
    if not (core or parts[:1] == ["apis"]) or len(parts) <= head:
        return f"kube:{verb}/{'/'.join(parts)}"
    group, rest = "" if core else f".{parts[1]}", parts[head:]
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    if query.get("watch", "") in ("1", "true") and verb == "get":
        verb = "watch"
    elif len(rest) == 1:
        verb = _WITHOUT_NAME.get(verb, verb)
    return f"kube:{verb}/{rest[0]}{group}" + (f"/{rest[2]}" if len(rest) > 2 else "")


class KubeOperations:
    """Implements ``clusterkit_sandbox.fault_targets.Operations``."""

    services: Collection[str] = ("kube",)
    terminal: Collection[str] = ()
    late: Collection[str] = ()
    """none: an API server reads what it has written (etcd is strictly serializable)"""

    def names(self, service: str) -> Collection[str]:
        """Kubernetes' own resources, with their verbs, and the paths beside them."""
        found = {f"kube:get/{path}" for path in _PATHS}
        for resource in built_in():
            found |= {f"kube:{verb}/{resource.group_resource}" for verb in resource.verbs}
            found |= {
                f"kube:{verb}/{resource.group_resource}/{subresource}"
                for subresource in resource.subresources
                for verb in ("create", "get", "patch", "update")
            }
        return found

    def other(self, pattern: str) -> bool:
        """Custom resources: ``kube:get/certificates.cert-manager.io``; registries."""
        if _PULL.fullmatch(pattern):
            return True
        found = _CUSTOM.fullmatch(pattern)
        return found is not None and found["group"] not in {one.group for one in built_in()}

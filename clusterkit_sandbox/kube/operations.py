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
from clusterkit_sandbox.kube.paths import VERBS, Asked

_VERB = "create|delete|deletecollection|get|list|patch|update|watch"
_CUSTOM = re.compile(
    rf"kube:(?:{_VERB}|\*)/[a-z0-9*-]+\.(?P<group>[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:/[a-z*]+)?"
)
PULL = "kube:pull/"
_PULL = re.compile(r"kube:pull/[a-z0-9.*:-]+")
_PATHS = ("api", "apis", "healthz", "livez", "openapi/v3", "readyz", "version")


def operation(method: str, path: str, query: Mapping[str, str]) -> str:
    """The name of one request."""
    asked = Asked.of(method, path, query)
    if asked is None:
        return f"kube:{VERBS.get(method, 'get')}/{path.strip('/')}"
    group = f".{asked.group}" if asked.group else ""
    part = f"/{asked.subresource}" if asked.subresource else ""
    return f"kube:{asked.verb}/{asked.plural}{group}{part}"


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
            found |= {f"kube:{verb}/{resource.group_resource}" for verb in resource.entry["verbs"]}
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

"""What the method and the path of a request mean (Kubernetes API concepts, "Resource URIs";
documentation, "Determine the Request Verb").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OF_ALL = {"get": "list", "delete": "deletecollection"}
_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True)
class Asked:
    """A request for a resource, whether it is served or not."""

    verb: str
    group: str
    version: str
    namespace: str
    plural: str
    name: str
    subresource: str
    more: bool
    """whether there is anything behind it in the path"""

    @classmethod
    def of(cls, method: str, path: str, query: Mapping[str, str]) -> Asked | None:
        """None for a path that is no resource's."""
        parts = [part for part in path.split("/") if part]
        if parts[:1] == ["api"]:
            parts.insert(1, "")
        if len(parts) < 4 or parts[0] not in ("api", "apis"):
            return None
        _, group, version, *rest = parts
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource = (*rest, "", "")[:3]
        verb = VERBS.get(method, "")
        if verb == "get" and not subresource and query.get("watch", "") in ("1", "true"):
            verb = "watch"
        elif not name:
            verb = _OF_ALL.get(verb, verb)
        more = len(rest) > 3
        return cls(verb, group, version, namespace, plural, name, subresource, more)

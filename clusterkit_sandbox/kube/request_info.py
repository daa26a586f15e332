"""What one request asks for: verb, resource, name, and how (Kubernetes API concepts, "Resource
URIs").
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.kinds import Catalogue, Resource
from clusterkit_sandbox.kube.printers.table import Shape
from clusterkit_sandbox.kube.rbac import Attributes
from clusterkit_sandbox.kube.refusals import (
    bad_request,
    method_not_allowed,
    no_such_path,
    not_implemented,
)
from clusterkit_sandbox.kube.write_options import WriteOptions

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_STREAMS = ("exec", "portforward", "proxy")
_VALIDATIONS = ("", "Ignore", "Warn", "Strict")
_MANAGER_LENGTH = 128  # apimachinery, FieldManagerMaxLength


@dataclass(frozen=True)
class Call:
    """One request for a resource."""

    request: web.BaseRequest
    user: Identity
    resource: Resource
    namespace: str
    name: str
    subresource: str
    verb: str

    @property
    def attributes(self) -> Attributes:
        """What RBAC is asked."""
        full = f"{self.resource.plural}/{self.subresource}" if self.subresource else ""
        # a namespace is its own namespace
        namespace = self.name if self.resource.is_namespace else self.namespace
        return Attributes(
            self.verb, self.resource.group, full or self.resource.plural, namespace, self.name
        )

    @property
    def shape(self) -> Shape:
        """What the answer is to look like."""
        accept = self.request.headers.get("Accept", "")
        return Shape(accept, self.query("includeObject"))

    def query(self, name: str) -> str:
        """A query parameter, empty if left out."""
        return self.request.query.get(name, "")

    @property
    def dry_run(self) -> bool:
        """``dryRun=All``"""
        asked = self.query("dryRun")
        if asked not in ("", "All"):
            raise bad_request(
                f'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "{asked}":'
                ' supported values: "All"'
            )
        return asked == "All"

    @property
    def write_options(self) -> WriteOptions:
        """How a write is meant."""
        validation = self.query("fieldValidation")
        if validation not in _VALIDATIONS:
            raise bad_request(
                f'fieldValidation: Unsupported value: "{validation}": supported values: "",'
                ' "Ignore", "Strict", "Warn"'
            )
        # without fieldManager it is the program's name (API concepts, "Server-Side Apply")
        agent = self.request.headers.get("User-Agent", "").split("/")[0]
        manager = self.query("fieldManager") or agent or "unknown"
        return WriteOptions(
            manager[:_MANAGER_LENGTH], self.dry_run, validation or "Warn", self.subresource
        )


def is_watch(request: web.BaseRequest) -> bool:
    """Whether a GET is a watch."""
    return request.query.get("watch", "") in ("1", "true")


def parse(request: web.BaseRequest, user: Identity, catalogue: Catalogue) -> Call:
    """The call in a path below ``/api/v1/`` or ``/apis/GROUP/VERSION/``; ``Refusal`` 404, 405."""
    parts = [part for part in request.path.split("/") if part]
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    else:
        group, version, rest = parts[1], parts[2], parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = catalogue.find(group, version, rest[0])
    if resource is None:
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource in _STREAMS:
        raise not_implemented(f"{resource.plural}/{subresource} is not available")
    if len(rest) > 3 or (subresource and subresource not in resource.subresources):
        raise no_such_path()
    verb = _VERBS.get(request.method, "")
    if not name:
        verb = {"get": "watch" if is_watch(request) else "list", "delete": "deletecollection"}.get(
            verb, verb
        )
    elif verb == "get" and is_watch(request) and not subresource:
        verb = "watch"
    known = verb in resource.verbs if not subresource else bool(verb)
    if not known or (not name and verb in ("update", "patch")):
        raise method_not_allowed()
    if verb == "create" and name and not subresource:
        raise method_not_allowed()
    return Call(request, user, resource, namespace, name, subresource, verb)

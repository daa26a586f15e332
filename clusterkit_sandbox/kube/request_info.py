"""What one request asks for: verb, resource, name, and how."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.kinds import Catalogue, Resource
from clusterkit_sandbox.kube.paths import Asked
from clusterkit_sandbox.kube.printers.table import Shape
from clusterkit_sandbox.kube.rbac import Attributes
from clusterkit_sandbox.kube.refusals import (
    Cause,
    invalid_request,
    method_not_allowed,
    no_such_path,
    not_implemented,
)
from clusterkit_sandbox.kube.write_options import WriteOptions

_STREAMS = ("exec", "portforward", "proxy")
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
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
            cause = Cause.unsupported("dryRun", asked, ("All",))
            raise invalid_request("CreateOptions.meta.k8s.io", cause)
        return asked == "All"

    @property
    def write_options(self) -> WriteOptions:
        """How a write is meant."""
        validation = self.query("fieldValidation")
        if validation not in _VALIDATIONS:
            cause = Cause.unsupported("fieldValidation", validation, _VALIDATIONS)
            raise invalid_request("CreateOptions.meta.k8s.io", cause)
        # without fieldManager it is the program's name (API concepts, "Server-Side Apply")
        agent = self.request.headers.get("User-Agent", "").split("/")[0]
        manager = self.query("fieldManager") or agent or "unknown"
        return WriteOptions(
            manager[:_MANAGER_LENGTH], self.dry_run, validation or "Warn", self.subresource
        )


def parse(request: web.BaseRequest, asked: Asked, user: Identity, catalogue: Catalogue) -> Call:
    """The call of a served resource; ``Refusal`` 404, 405."""
    resource = catalogue.find(asked.group, asked.version, asked.plural)
    if resource is None:
        raise no_such_path()
    subresource = asked.subresource
    if subresource in _STREAMS:
        raise not_implemented(f"{resource.plural}/{subresource} is not available")
    if asked.more or (subresource and subresource not in resource.subresources):
        raise no_such_path()
    known = bool(asked.verb) if subresource else asked.verb in resource.entry["verbs"]
    if not known or (not asked.name and asked.verb in ("update", "patch")):
        raise method_not_allowed()
    if asked.verb == "create" and asked.name and not subresource:
        raise method_not_allowed()
    return Call(request, user, resource, asked.namespace, asked.name, subresource, asked.verb)

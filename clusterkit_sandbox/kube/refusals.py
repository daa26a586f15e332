"""What the API server says when it refuses: ``Status`` bodies, in its own words.

Shapes and reasons: Kubernetes API conventions, "Response Status Kind"; wording:
k8s.io/apimachinery ``pkg/api/errors`` and ``pkg/util/validation/field``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusterkit_sandbox.kube.kinds import Resource

BODY_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
PATCH_TYPES = (
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
)
STRATEGIC_PATCH_TYPES = (
    "application/json-patch+json, application/merge-patch+json,"
    " application/strategic-merge-patch+json, application/apply-patch+yaml"
)


class Refusal(Exception):
    """An answer other than 2xx; ``code`` is the HTTP status."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """The body: a ``Status`` of ``v1``."""
        found: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            found["details"] = self.details
        return found | {"code": self.code}


@dataclass(frozen=True)
class Cause:
    """One wrong field: ``spec.ports[0].port``, ``Required``, and what follows the colon."""

    field: str
    reason: str
    message: str

    @classmethod
    def required(cls, field: str, detail: str = "") -> Cause:
        """A field that is not there."""
        return cls(
            field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else "")
        )

    @classmethod
    def invalid(cls, field: str, value: Any, detail: str) -> Cause:
        """A field with a wrong value."""
        shown = json.dumps(value, separators=(",", ":"))
        return cls(field, "FieldValueInvalid", f"Invalid value: {shown}: {detail}")

    @classmethod
    def unsupported(cls, field: str, value: Any, choices: Sequence[str]) -> Cause:
        """A field whose value is not one of those allowed."""
        allowed = ", ".join(f'"{choice}"' for choice in choices)
        return cls(
            field,
            "FieldValueNotSupported",
            f"Unsupported value: {json.dumps(value)}: supported values: {allowed}",
        )

    @classmethod
    def forbidden(cls, field: str, detail: str) -> Cause:
        """A field that must not be touched."""
        return cls(field, "FieldValueForbidden", f"Forbidden: {detail}")

    @classmethod
    def not_found(cls, field: str, value: Any) -> Cause:
        """A field that refers to nothing."""
        return cls(field, "FieldValueNotFound", f"Not found: {json.dumps(value)}")

    @classmethod
    def duplicate(cls, field: str, value: Any) -> Cause:
        """A list item that is there twice."""
        return cls(
            field,
            "FieldValueDuplicate",
            f"Duplicate value: {json.dumps(value, separators=(',', ':'))}",
        )


def _details(resource: Resource, name: str | None, kind: str | None = None) -> dict[str, Any]:
    found = {"name": name} if name else {}
    if resource.group:
        found["group"] = resource.group
    return found | {"kind": kind or resource.plural}


def bad_request(message: str) -> Refusal:
    """400: the request itself makes no sense."""
    return Refusal(400, "BadRequest", message)


def unauthorized() -> Refusal:
    """401: credentials are missing or not known."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str | None, why: str) -> Refusal:
    """403: not allowed, by RBAC or by admission."""
    quoted = f' "{name}"' if name else ""
    return Refusal(
        403,
        "Forbidden",
        f"{resource.group_resource}{quoted} is forbidden: {why}",
        _details(resource, name),
    )


def forbidden_path(username: str, verb: str, path: str) -> Refusal:
    """403 for a path that is no resource."""
    message = f'forbidden: User "{username}" cannot {verb} path "{path}"'
    return Refusal(403, "Forbidden", message, {})


def not_found(resource: Resource, name: str) -> Refusal:
    """404: no such object."""
    message = f'{resource.group_resource} "{name}" not found'
    return Refusal(404, "NotFound", message, _details(resource, name))


def no_such_path() -> Refusal:
    """404: the server serves no such resource."""
    return Refusal(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> Refusal:
    """405: the resource has no such verb."""
    return Refusal(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        {},
    )


def already_exists(resource: Resource, name: str) -> Refusal:
    """409 for a create."""
    message = f'{resource.group_resource} "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> Refusal:
    """409 for an update or delete."""
    message = f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, _details(resource, name))


def modified(resource: Resource, name: str) -> Refusal:
    """409: the resourceVersion sent is not the current one."""
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try"
        " again",
    )


def expired(message: str) -> Refusal:
    """410: that revision is gone."""
    return Refusal(410, "Expired", message)


def unsupported_media(types: str) -> Refusal:
    """415: the body's Content-Type is not one of ``types``."""
    return Refusal(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {types}",
    )


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> Refusal:
    """422: the object was understood and is wrong."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    lines = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    details = _details(resource, name, resource.kind)
    details["causes"] = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
    ]
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def invalid_request(kind: str, cause: Cause) -> Refusal:
    """422: options of a request, or an object that is only a request, are wrong."""
    name, _, group = kind.partition(".")
    told = {"reason": cause.reason, "message": cause.message, "field": cause.field}
    details = {"group": group, "kind": name, "causes": [told]}
    text = f'{kind} "" is invalid: {cause.field}: {cause.message}'
    return Refusal(422, "Invalid", text, details)


def patch_failed() -> Refusal:
    """422: a JSON patch that does not fit the object."""
    message = "the server rejected our request due to an error in our request"
    return Refusal(422, "Invalid", message, {})


def not_implemented(what: str) -> Refusal:
    """501: a real server could, the sandbox cannot."""
    return Refusal(501, "NotImplemented", f"the sandbox runs no containers: {what}", {})

"""Azure's errors.

Resource Manager and most services answer ``{"error": {"code", "message", "target", "details"}}``
(Resource Manager API guidelines, "Error response content"). Kubernetes Service leaves the envelope
out of its own refusals and adds ``subcode`` (recorded: Azure/azure-rest-api-specs#40740); what
Resource Manager refuses before it asks the service has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure.tables import table

Json = dict[str, Any]
FRONT = frozenset(
    {
        "AuthenticationFailed", "AuthorizationFailed", "DenyAssignmentAuthorizationFailed",
        "ExpiredAuthenticationToken",
        "InvalidApiVersionParameter", "InvalidAuthenticationToken",
        "InvalidAuthenticationTokenAudience", "InvalidRequestContent", "InvalidResourceLocation",
        "LinkedAuthorizationFailed", "LocationNotAvailableForResourceType", "LocationRequired",
        "MissingApiVersionParameter", "MissingSubscriptionRegistration",
        "RequestDisallowedByPolicy", "ResourceGroupBeingDeleted", "ResourceGroupNotFound",
        "ResourceNotFound", "ScopeLocked", "ServiceUnavailable", "SubscriptionNotFound",
        "SubscriptionRequestsThrottled", "TooManyRequestsReceived",
    }
)  # fmt: skip
"""Codes of Resource Manager itself, whatever the request is for."""
STATUSES: Mapping[str, int] = {
    "AnotherOperationInProgress": 409,  # Azure/terraform-provider-azapi#503
    "AuthorizationFailed": 403,
    "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity": 409,
    "EtagMismatch": 409,
    "ExpiredAuthenticationToken": 401,
    "InvalidAuthenticationToken": 401,
    "LinkedAuthorizationFailed": 403,
    "MissingSubscriptionRegistration": 409,
    "OperationNotAllowed": 409,
    "PreconditionFailed": 412,
    "RequestDisallowedByPolicy": 403,
    "ResourceGroupBeingDeleted": 409,
    "ResourceGroupDeletionBlocked": 409,
    "ResourceGroupNotFound": 404,
    "ResourceNotFound": 404,
    "RoleAssignmentExists": 409,
    "ServiceUnavailable": 503,
    "SubscriptionNotFound": 404,
    "SubscriptionRequestsThrottled": 429,
    "Throttled": 429,
    "TooManyRequestsReceived": 429,
}
"""Code to HTTP status (facts/azure.tsv); any other is 400."""


class Failure(Exception):
    """A refused request."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 0,
        *,
        target: str = "",
        details: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """``status`` 0 is the usual one of the code."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status or STATUSES.get(code, 400)
        self.target = target
        self.details = details
        self.headers = dict(headers or {})


def rendered(failure: Failure, service: str) -> Answer:
    """The HTTP answer of a failure of a service."""
    error: Json = {"code": failure.code, "message": failure.message}
    if failure.target:
        error["target"] = failure.target
    headers = dict(failure.headers)
    if service == "containerservice" and failure.code not in FRONT:
        error = {"code": failure.code, "details": list(failure.details) or None,
                 "message": failure.message, "subcode": "", "target": failure.target}  # fmt: skip
        return json_answer(failure.status, error, headers)
    if failure.details:
        error["details"] = list(failure.details)
    if failure.code in FRONT:
        headers["x-ms-failure-cause"] = "gateway"
    return json_answer(failure.status, {"error": error}, headers)


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer; None for no body."""
    text = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    kind = () if body is None else (("Content-Type", "application/json; charset=utf-8"),)
    return Answer(status, (*kind, *(headers or {}).items()), text)


def refusal(
    key: str,
    *,
    target: str = "",
    details: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    **words: object,
) -> Failure:
    """A refusal in the words of ``data/errors.json``. A key is a code, with what it means in this
    case where it has several meanings: ``OperationNotAllowed#busy``.
    """
    known = table("errors")["refusals"][key]
    text, status = (known, 0) if isinstance(known, str) else known
    code = key.partition("#")[0]
    return Failure(
        code, text.format(**words), status, target=target, details=details, headers=headers
    )


def not_found(namespace: str, place: str, group: str) -> Failure:
    """Resource Manager's words for a resource that is not there."""
    return Failure(
        "ResourceNotFound",
        f"The Resource '{namespace}/{place}' under resource group '{group}' was not found. For more"
        " details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def no_group(group: str) -> Failure:
    """The same for a resource group."""
    return Failure("ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def not_emulated(what: str) -> Failure:
    """501 for what Azure has and the sandbox does not."""
    return Failure("UNIMPLEMENTED", f"The sandbox does not emulate {what}.", 501)

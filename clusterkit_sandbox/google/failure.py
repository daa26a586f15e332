"""Google's errors.

``{"error": {"code", "message", "status", "details"}}`` (google.rpc.Status as JSON; "API design
guide", Errors). The older APIs add ``errors``, a list of ``{"message", "domain",
"reason"}``, and Compute Engine leaves ``status`` out of its own refusals (both seen in recorded
traffic: k8s-config-connector, pkg/test/resourcefixture/testdata/**/_http.log).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google.tables import table

Json = dict[str, Any]
_ERRORS = table("errors")
STATUSES: Mapping[str, tuple[int, str]] = _ERRORS["statuses"]
"""Canonical code to HTTP status and to the reason in ``errors``."""
_REASONS: Mapping[str, int] = _ERRORS["reasons"]
"""Compute Engine's own."""
ANSWERS: Mapping[str, tuple[int, str]] = _ERRORS["operations"]
"""Code in a failed operation of Compute Engine to what it would have been as an answer."""
TITLES: Mapping[str, str] = _ERRORS["titles"]
_STORAGE: Mapping[str, int] = _ERRORS["storage"]
"""Cloud Storage's reasons to HTTP status."""
PLAIN = ("artifactregistry", "iamcredentials", "sts")
"""The services whose errors have no ``errors``."""
OLDER = ("compute", "storage")
"""The services whose own refusals have no canonical code."""


class Failure(Exception):
    """A refused request."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        domain: str = "global",
        details: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """``code`` is the canonical one; Compute Engine's own refusals have none."""
        super().__init__(f"{code or reason}: {message}")
        self.status = status
        self.message = message
        self.code = code
        self.reason = reason or STATUSES.get(code, (0, ""))[1]
        self.domain = domain
        self.details = details


def rpc(code: str, message: str, *, reason: str = "", details: Sequence[Json] = ()) -> Failure:
    """A refusal with a canonical code: ``FAILED_PRECONDITION``."""
    return Failure(STATUSES[code][0], message, code=code, reason=reason, details=details)


def compute(reason: str, message: str, status: int = 0) -> Failure:
    """A refusal of Compute Engine's own: ``resourceNotReady``."""
    known = _REASONS.get(reason) or _by_reason(reason)[0]
    return Failure(status or known, message, reason=reason)


def storage(reason: str, message: str) -> Failure:
    """A refusal of Cloud Storage, which has no canonical codes: ``conflict``."""
    return Failure(_STORAGE[reason], message, reason=reason)


def invalid(field: str, value: object, why: str) -> Failure:
    """Compute Engine's refusal of a value; the detail is as in scylla-cluster-tests#13147."""
    text = f"Invalid value for field '{field}': '{value}'. {why}"
    detail = error_info("INVALID_FIELD_VALUE", field=field, value=str(value))
    detail |= {"domain": "compute.googleapis.com"}
    return Failure(400, text, reason="invalid", details=[detail])


def not_found(path: str) -> Failure:
    """Compute Engine's refusal of what is not there."""
    return compute("notFound", f"The resource '{path}' was not found")


def bad_request(violations: Sequence[tuple[str, str]]) -> Failure:
    """400 with ``google.rpc.BadRequest``: each field with what is wrong with it."""
    detail = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": field, "description": text} if field else {"description": text}
            for field, text in violations
        ],
    }
    message = "\n".join(text for _, text in violations)
    return rpc("INVALID_ARGUMENT", message, reason="invalid", details=[detail])


def error_info(reason: str, **metadata: str) -> Json:
    """The detail that names a reason for programs."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": metadata,
    }


def not_emulated(what: str) -> Failure:
    """501 for what Google has and the sandbox does not."""
    return rpc("UNIMPLEMENTED", f"The sandbox does not emulate {what}.")


def asked_for(code: str, status: int | None, message: str, service: str) -> Failure:
    """What a fault of kind ``refuse`` names: a canonical code, a reason, or any other word."""
    if code in STATUSES:
        return Failure(status or STATUSES[code][0], message, code=code)
    usual, canonical = _by_reason(code)
    details = [] if canonical or code in {**_REASONS, **_STORAGE} else [error_info(code)]
    if code == "accessNotConfigured":
        canonical, details = "PERMISSION_DENIED", [error_info("SERVICE_DISABLED")]
    elif service in OLDER:
        canonical = ""
    table = _STORAGE if service == "storage" else _REASONS
    usual = status or table.get(code, usual)
    return Failure(usual, message, code=canonical, reason=code, details=details)


def _by_reason(reason: str) -> tuple[int, str]:
    for code, (status, usual) in STATUSES.items():
        if usual == reason:
            return status, code
    return 400, ""


def rendered(failure: Failure, service: str) -> Answer:
    """The HTTP answer of a failure of a service."""
    error: Json = {"code": failure.status, "message": failure.message}
    if service not in PLAIN and failure.reason:
        one = {"message": failure.message, "domain": failure.domain, "reason": failure.reason}
        error["errors"] = [one]
    if failure.code and service != "storage":
        error["status"] = failure.code
    details = [] if service == "storage" else list(failure.details)
    if service == "container":
        # every refusal has one: terraform-provider-google#15205, #15579, rancher/gke-operator#509
        kind = "type.googleapis.com/google.rpc.RequestInfo"
        details.append({"@type": kind, "requestId": f"0x{secrets.token_hex(8)}"})
    if details:
        error["details"] = details
    return json_answer(failure.status, {"error": error})


def json_answer(status: int, body: object) -> Answer:
    """A JSON answer."""
    text = json.dumps(body, ensure_ascii=False, indent=2).encode() + b"\n"
    return Answer(status, (("Content-Type", "application/json; charset=UTF-8"),), text)

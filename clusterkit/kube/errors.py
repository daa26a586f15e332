"""What a Kubernetes API server's refusals mean to the engine.

A refusal is a ``Status`` object, whose ``reason`` is the word to go by and whose ``message`` is for
people (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/). Something
between us and the server may answer with anything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clusterkit.errors import (
    Busy,
    CloudError,
    Denied,
    QuotaExceeded,
    Rejected,
    Throttled,
)

GONE = "NotFound"
_OVERLOADED = (429, 500, 502, 503, 504)
_ACCESS = "see that the cluster's profile lists who you are under admins"


def refusal(
    status: int, body: bytes, headers: Mapping[str, str], operation: str, *, new: bool
) -> CloudError:
    """The error for an answer that is not 2xx.

    ``new``: the cluster has only just been made, so that it may not know yet who may use it.
    """
    told = _status(body)
    reason = str(told.get("reason") or "")
    what = str(told.get("message") or _plain(body) or "no reason given")
    code = reason or f"HTTP {status}"
    if status in (401, 403):
        if new or _has_cause(told, "NamespaceTerminating"):
            return Busy(what, code=code, operation=operation)
        if _has_quota(what):
            return QuotaExceeded(what, code=code, operation=operation)
        return Denied(what, code=code, operation=operation, hint=_ACCESS)
    if status == 404:
        return Rejected(what, code=GONE, operation=operation)
    if status in (409, 410):  # changed or expired under our hands: look again
        return Busy(what, code=code, operation=operation)
    if status in _OVERLOADED:
        return Throttled(what, code=code, operation=operation, after=_seconds(headers))
    return Rejected(what, code=code, operation=operation)


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) and told.get("kind") == "Status" else {}


def _plain(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    return text[:300]


def _has_cause(told: Mapping[str, Any], reason: str) -> bool:
    causes = (told.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == reason for cause in causes)


def _has_quota(what: str) -> bool:
    # a ResourceQuota's refusal has reason Forbidden and no cause: its text is all there is
    # (k8s.io/apiserver/pkg/admission/plugin/resourcequota)
    return "exceeded quota:" in what


def _seconds(headers: Mapping[str, str]) -> float | None:
    after = headers.get("Retry-After", "")
    return float(after) if after.isdigit() else None

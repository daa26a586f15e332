"""What a Kubernetes API server's refusals mean to the engine.

A refusal is a ``Status`` object, whose ``reason`` is the word to go by and whose ``message`` is for
people (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/). The reasons
are those of ``k8s.io/apimachinery/pkg/apis/meta/v1`` (``StatusReason``). Something between us and
the server may answer with anything else, which counts by its HTTP status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clusterkit.engine.error_table import ErrorTable, Row
from clusterkit.errors import (
    Busy,
    CloudError,
    Denied,
    Exists,
    Gone,
    InUse,
    Propagating,
    QuotaExceeded,
    ServerError,
    Throttled,
)

LONGEST = 300
"""characters shown of an answer that is no ``Status``"""

ERRORS = ErrorTable(
    [
        # the reason, and after a slash the causes that go with it
        Row(Busy, "Forbidden/*NamespaceTerminating*"),
        # a ResourceQuota's refusal has no cause: its text is all there is
        # (k8s.io/apiserver/pkg/admission/plugin/resourcequota)
        Row(
            QuotaExceeded,
            "Forbidden",
            message="exceeded quota:",
            hint="raise the ResourceQuota of the namespace, or remove what is not in use",
        ),
        Row(Denied, "Unauthorized Forbidden Forbidden/* HTTP401 HTTP403"),
        Row(Gone, "NotFound NotFound/* HTTP404"),
        Row(Exists, "AlreadyExists"),
        # changed or expired under our hands: look again
        Row(Busy, "Conflict Conflict/* Expired Gone HTTP409 HTTP410"),
        # the eviction API (k8s.io/kubernetes/pkg/registry/core/pod/storage/eviction.go)
        Row(InUse, "TooManyRequests/*DisruptionBudget*"),
        Row(Throttled, "TooManyRequests TooManyRequests/*"),
        Row(ServerError, "InternalError InternalError/* ServiceUnavailable ServerTimeout Timeout"),
    ],
    hints={Denied: "rights in Kubernetes are missing: ask who administers the cluster"},
    prefix=False,
)


def refusal(
    status: int, body: bytes, headers: Mapping[str, str], operation: str, *, new: bool
) -> CloudError:
    """The error for an answer that is not 2xx.

    ``new``: the cluster has only just been made, so that it may not know yet who may use it.
    """
    told = _status(body)
    reason = str(told.get("reason") or f"HTTP {status}")
    message = str(told.get("message") or _plain(body) or "no reason given")
    code = "/".join([reason.replace(" ", ""), *_causes(told)])
    error = ERRORS.classify(code, status, message, operation, after=_seconds(headers))
    if new and isinstance(error, Denied):
        what = f"waiting until the cluster lets in who made it: {message}"
        error = Propagating(what, operation=operation)
    assert isinstance(error, CloudError)  # no row says that it is a matter of credentials
    error.code = reason
    return error


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) and told.get("kind") == "Status" else {}


def _causes(told: Mapping[str, Any]) -> list[str]:
    causes = (told.get("details") or {}).get("causes") or ()
    return [str(cause["reason"]) for cause in causes if cause.get("reason")]


def _plain(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    return text[:LONGEST]


def _seconds(headers: Mapping[str, str]) -> float | None:
    after = headers.get("Retry-After", "")
    return float(after) if after.isdigit() else None

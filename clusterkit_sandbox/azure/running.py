"""Long-running operations: what a client polls until a resource is made, changed or gone.

Two styles ("Track asynchronous operations", Resource Manager): ``Azure-AsyncOperation`` names a
document with a ``status``, ``Location`` an address that answers 202 until the work is done.
``Retry-After`` is sent with both, in keeping with the pace: the real Kubernetes Service sends none,
and clients then wait 30 seconds. Below a second it is ``x-ms-retry-after-ms``, which the vendor's
SDKs read too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusterkit_sandbox.azure import model
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.operations import Error, LongRunning, Operations
from clusterkit_sandbox.pace import Pace

_RETRY = 10.0
"""Seconds between polls (the network provider's usual ``Retry-After``)."""
_STATUSES = {"running": "InProgress", "done": "Succeeded", "failed": "Failed"}


@dataclass(kw_only=True)
class ArmOperation(LongRunning):
    """One operation."""

    subscription: str
    namespace: str
    location: str
    """``eastus``; empty for one of Resource Manager itself"""
    ended: Callable[[], Any] | None = None
    """what ``operationResults`` answers at the end; None: no body"""
    polls: int = 0
    """how often it has been asked for"""

    def urls(self, version: str) -> dict[str, str]:
        """The headers that name where it is polled."""
        root = f"https://{model.MANAGER}/subscriptions/{self.subscription}"
        if not self.location:
            return {"Location": f"{root}/operationresults/{self.id}?api-version={version}"}
        place = f"{root}/providers/{self.namespace}/locations/{self.location}"
        return {
            "Azure-AsyncOperation": f"{place}/operations/{self.id}?api-version={version}",
            "Location": f"{place}/operationResults/{self.id}?api-version={version}",
        }

    def document(self) -> dict[str, Any]:
        """What ``Azure-AsyncOperation`` shows."""
        root = f"/subscriptions/{self.subscription}/providers/{self.namespace}"
        found: dict[str, Any] = {
            "id": f"{root}/locations/{self.location}/operations/{self.id}",
            "name": self.id,
            "status": _STATUSES[self.state],
            "startTime": rfc3339(self.begun),
        }
        if self.state != "running":
            found["endTime"] = rfc3339(self.updated)
        if self.error is not None:
            found["error"] = {"code": self.error[0], "message": self.error[1]}
        return found


class ArmOperations(Operations[ArmOperation]):
    """The operations of the account."""

    def __init__(self, clock: Clock, lock: AbstractContextManager[Any]) -> None:
        super().__init__(clock, lock, lambda _: None)

    def busy(self, place: str) -> ArmOperation | None:
        """The operation that runs on a resource, if one does."""
        return next(iter(self.running(place.lower())), None)


FAILED: Error = ("InternalServerError", "The sandbox was asked to let this fail.")


def retry_after(pace: Pace) -> dict[str, str]:
    """When to ask again."""
    return wait(pace.scaled(_RETRY))


def wait(seconds: float) -> dict[str, str]:
    """The header that says when to ask again."""
    if seconds >= 1:
        return {"Retry-After": str(math.ceil(seconds))}
    return {"x-ms-retry-after-ms": str(max(10, round(seconds * 1000)))}


def rfc3339(at: float | None = None) -> str:
    """``2026-11-23T04:00:00.1234567Z``"""
    when = time.time() if at is None else at
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")

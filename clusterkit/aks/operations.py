"""Operations of Azure Resource Manager that go on after their call is answered.

An answer names where to ask: ``Azure-AsyncOperation`` for a document with a status, or ``Location``
for an answer that is 202 until it is done
(https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations). Any status
but Succeeded, Failed and Cancelled (which has two spellings) means that it goes on, in any case; a
document may be missing at first; an empty one counts as done
(hashicorp/go-azure-sdk ``sdk/client/resourcemanager/poller_lro.go``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clusterkit.aks import ids
from clusterkit.aks.errors import ERRORS, told
from clusterkit.engine.operation import Done, Failed, Operation, Outcome, Running
from clusterkit.engine.rest import Reply
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError, Gone, Retryable

ENDED = ("failed", "canceled", "cancelled")
LOST = 10
"""times in a row that a document is not found, until it counts as forgotten"""


class Asks(Protocol):
    """What sends a request: ``clusterkit.aks.client.Clients``."""

    def reply(self, method: str, path: str, /) -> Reply:
        """The whole answer."""


@dataclass
class ArmOperation:
    """An operation of Resource Manager."""

    path: str
    """path and query of what tells how far it is"""
    operation: str
    """what began it: ``Microsoft.Network/virtualNetworks PUT``"""
    document: bool
    """whether that is a document with a status"""
    after: float | None = None
    missed: int = 0

    def poll(self, scope: Scope[Asks]) -> Outcome:
        """How far it is; ``Gone`` when it is forgotten, so that only a look can tell."""
        try:
            reply = scope.client.reply("GET", self.path)
        except Gone:
            self.missed += 1
            if not self.document or self.missed > LOST:
                raise
            return Running(after=self.after)
        except Retryable:
            raise
        except CloudError as error:
            if self.document:
                raise
            return Failed(error)  # the answer to the call itself
        self.missed = 0
        self.after = seconds(reply.headers) or self.after
        if not self.document:
            return Running(after=self.after) if reply.status == 202 else Done()
        return self._read(reply.body or {})

    def _read(self, shown: Mapping[str, Any]) -> Outcome:
        status = str(shown.get("status") or "Succeeded")
        if status.lower() == "succeeded":
            return Done()
        if status.lower() in ENDED:
            code, message = told(shown.get("error") or {"code": status.replace("ll", "l")})
            return Failed(ERRORS.failed(code, message, self.operation))
        percent = shown.get("percentComplete")
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", status).lower()
        return Running(f"{words}, {percent} %" if percent else words, self.after)


def begun(reply: Reply, operation: str) -> Operation[Asks] | None:
    """The operation that an answer shows; None if the call is done."""
    after = seconds(reply.headers)
    if url := reply.headers.get("Azure-AsyncOperation"):
        return ArmOperation(ids.relative(url), operation, document=True, after=after)
    if (url := reply.headers.get("Location")) and reply.status == 202:
        return ArmOperation(ids.relative(url), operation, document=False, after=after)
    return None


def seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After``; None for a date or none."""
    text = headers.get("Retry-After") or ""
    return float(text) if text.isdigit() else None

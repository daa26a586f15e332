"""The current call for methods: parameters, project, request ids, pages, times."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from clusterkit_sandbox.google import account, filters
from clusterkit_sandbox.google.failure import Json, bad_request, invalid
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tokens import Caller
from clusterkit_sandbox.kit import calls
from clusterkit_sandbox.kit.calls import Handlers, cut, page_start, page_token
from clusterkit_sandbox.kit.wire import Request

Item = TypeVar("Item")
_PROJECT = re.compile(r"projects/([^/]+)")
_LONGEST = 500
_UNLINKED = ("compute#firewallPolicyList", "compute#networkFirewallPolicyAggregatedList")
"""lists that have no link to themselves"""


@dataclass(frozen=True, kw_only=True)
class Call(calls.Call):
    """One request to the account. Parameters of path and query are in ``parameters``."""

    store: Store
    version: str
    """of the API: ``v1``"""
    caller: Caller
    clusters: Any
    """``ClusterLife``, which stands on this module"""
    request: Request
    content: bytes | None = None
    """of an object that is sent"""

    @property
    def asked_project(self) -> str:
        """The project that the call is about, as it was sent; empty if it is about none."""
        for name in ("project", "projectId"):
            if given := self.parameters.get(name):
                return str(given)
        for name in ("name", "parent", "resource"):
            if found := _PROJECT.match(str(self.parameters.get(name, ""))):
                return "" if found[1] == "-" else found[1]
        return ""

    @property
    def project(self) -> str:
        """The id of the project that the call is about."""
        return account.project_id(self.asked_project) or account.PROJECT

    @property
    def number(self) -> str:
        """The number of that project."""
        return account.PROJECTS[self.project]

    def page(
        self, items: Sequence[Item], *, size: str = "pageSize", default: int = 500, most: int = 1000
    ) -> tuple[Sequence[Item], str | None]:
        """One page, and the token of the next one; sizes beyond ``most`` are made shorter."""
        asked = int(self.get(size, 0)) or default
        if asked < 0:
            raise bad_request([("page_size", "The page size must not be negative.")])
        try:
            start = page_start(self.get("pageToken"))
        except ValueError:
            raise bad_request([("page_token", "Invalid page token.")]) from None
        some, after = cut(items, start, min(asked, most), self.faults)
        return some, page_token(after)


Handler = Callable[[Call], object]
HANDLERS: Handlers[Handler] = Handlers()
"""every method, by its id; each module registers its own on import"""


def method(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler, as its decorator. What it answers is copied while the lock is held: it
    may be part of what other threads change.
    """

    def register(serve: Handler) -> Handler:
        HANDLERS.serve(*names)(lambda call: _copied(serve(call)))
        return serve

    return register


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def rfc3339(at: float | None = None) -> str:
    """``2026-11-23T04:00:00.123456789Z``"""
    when = time.time() if at is None else at
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def pages(call: Call, mine: list[Json], kind: str, path: str) -> Json:
    """One page of a list of Compute Engine, filtered and in order; ``items`` is left out of an
    empty one. Pages are at most 500 long (vendor: ``maxResults``).
    """
    if text := call.get("filter"):
        mine = list(filter(filters.parsed(text), mine))
    mine = sorted(mine, key=lambda one: str(one.get("name", "")))
    if int(call.get("maxResults", 500)) > _LONGEST:
        why = f"Must be less than or equal to {_LONGEST}."
        raise invalid("maxResults", call["maxResults"], why)
    some, after = call.page(mine, size="maxResults", default=_LONGEST, most=_LONGEST)
    found: Json = {"kind": kind, "id": path}
    if kind not in _UNLINKED:
        found["selfLink"] = f"https://www.googleapis.com/compute/v1/{path}"
    if some:
        found["items"] = list(some)
    if after is not None:
        found["nextPageToken"] = after
    return found

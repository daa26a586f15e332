"""Get, list and watch (Kubernetes documentation, "Kubernetes API Concepts").

Lists are read at one revision from the first page to the last; a watch starts at any revision that
is still known, and ends with 410 in the stream at one that is not.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from typing import Any

from aiohttp import web

from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.printers.table import Shape
from clusterkit_sandbox.kube.refusals import Refusal, bad_request, expired
from clusterkit_sandbox.kube.request_info import Call
from clusterkit_sandbox.kube.selectors import Match, selected
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.store import Change, name_of

_WATCH_SECONDS = 1800.0
_STALE = (
    "The provided continue parameter is too old to display a consistent list result. You can start"
    " a new list without the continue parameter."
)


class Reader:
    """The reads of one cluster."""

    def __init__(self, state: ClusterState, bookmark_seconds: float) -> None:
        self._state = state
        self._bookmark_seconds = bookmark_seconds
        self._watching: set[asyncio.Queue[Change | None]] = set()

    def get(self, call: Call) -> Object:
        """One object."""
        return self._state.need(call.resource, call.namespace, call.name)

    def selection(self, call: Call) -> Match:
        """Which objects the selectors of a call mean."""
        match = selected(call.resource, call.query("labelSelector"), call.query("fieldSelector"))
        if not call.name:
            return match
        return lambda found: found["metadata"]["name"] == call.name and match(found)

    def list(self, call: Call) -> Object:
        """A list, or the page of it that ``limit`` and ``continue`` mean."""
        match = self.selection(call)
        store, key = self._state.store, call.resource.key
        limit = _number(call, "limit")
        revision, start = store.revision, None
        if token := call.query("continue"):
            revision, start = _continued(token)
        elif call.query("resourceVersionMatch") == "Exact":
            revision = _number(call, "resourceVersion")
        self._not_in_future(_number(call, "resourceVersion"))
        if revision == store.revision:
            found = store.list(key, call.namespace)
        else:
            try:
                found = store.list_at(key, call.namespace, revision)
            except Refusal as error:
                raise expired(_STALE) if start else error from None
        found = [item for item in found if match(item)]
        if start is not None:
            found = [item for item in found if name_of(item) > start]
        metadata: Object = {"resourceVersion": str(revision)}
        if limit and len(found) > limit:
            if not call.query("labelSelector") and not call.query("fieldSelector"):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
            metadata["continue"] = _token(revision, found[-1])
        return call.shape.many(call.resource, found, metadata)

    async def watch(self, call: Call) -> web.StreamResponse:
        """Send changes until the client, the time or the cluster ends it."""
        match = self.selection(call)
        text = call.query("resourceVersion") or "0"
        revision = _number(call, "resourceVersion")
        initial = call.query("sendInitialEvents") == "true" or text == "0"
        self._not_in_future(revision)
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        stream = _Stream(call, response, match)
        # nothing may happen between what is read here and the first change in the queue
        stop = self._state.store.listen(queue.put_nowait)
        self._watching.add(queue)
        start = self._state.store.revision
        try:
            problem = None
            past: list[Change] = []
            present: list[Object] = []
            if initial:
                present = self._state.store.list(call.resource.key, call.namespace)
            else:
                try:
                    past = self._state.store.changes(revision)
                except Refusal as error:
                    problem = error
            await response.prepare(call.request)
            if problem is not None:
                await stream.send("ERROR", problem.status())
                return response
            for found in present:
                await stream.object("ADDED", found)
            if call.query("sendInitialEvents") == "true":
                await stream.bookmark(start, initial=True)
            for change in past:
                await stream.change(change)
            await self._follow(call, stream, queue)
        except (ConnectionError, asyncio.CancelledError):
            # the client went away
            return response
        finally:
            stop()
            self._watching.discard(queue)
        return response

    def close(self) -> None:
        """End every watch."""
        for queue in self._watching:
            queue.put_nowait(None)

    async def _follow(
        self, call: Call, stream: _Stream, queue: asyncio.Queue[Change | None]
    ) -> None:
        loop = asyncio.get_running_loop()
        bookmarks = call.query("allowWatchBookmarks") == "true"
        end = loop.time() + (_number(call, "timeoutSeconds") or _WATCH_SECONDS)
        mark = loop.time() + self._bookmark_seconds
        while (left := end - loop.time()) > 0:
            wait = min(left, max(0.0, mark - loop.time())) if bookmarks else left
            try:
                change = await asyncio.wait_for(queue.get(), wait)
            except TimeoutError:
                if bookmarks:
                    await stream.bookmark(self._state.store.revision)
                    mark = loop.time() + self._bookmark_seconds
                continue
            if change is None:
                return
            await stream.change(change)

    def _not_in_future(self, revision: int) -> None:
        if revision > self._state.store.revision:
            raise Refusal(
                504,
                "Timeout",
                f"Too large resource version: {revision}, current: {self._state.store.revision}",
                {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1},
            )


class _Stream:
    """The events of one watch, selected and shaped as the client wants them."""

    def __init__(self, call: Call, response: web.StreamResponse, match: Match) -> None:
        self._call = call
        self._response = response
        self._match = match
        self._shape: Shape = call.shape
        self._first = True

    async def send(self, kind: str, body: Any) -> None:
        line = json.dumps({"type": kind, "object": body}, separators=(",", ":"))
        await self._response.write(line.encode() + b"\n")

    async def object(self, kind: str, found: Object) -> None:
        if self._call.namespace and found["metadata"].get("namespace") != self._call.namespace:
            return
        if self._match(found):
            await self._shaped(kind, found)

    async def change(self, change: Change) -> None:
        if change.key != self._call.resource.key:
            return
        found = change.object
        if self._call.namespace and found["metadata"].get("namespace") != self._call.namespace:
            return
        kind: str = change.type
        now = self._match(found)
        if kind == "MODIFIED" and change.previous is not None:
            before = self._match(change.previous)
            if now is not before:
                # it entered or left what the selectors mean
                kind = "ADDED" if now else "DELETED"
                now = True
        if now:
            await self._shaped(kind, found)

    async def bookmark(self, revision: int, *, initial: bool = False) -> None:
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        resource = self._call.resource
        body = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
        await self.send("BOOKMARK", body)

    async def _shaped(self, kind: str, found: Object) -> None:
        body = self._shape.event(self._call.resource, found, first=self._first)
        self._first = False
        await self.send(kind, body)


def _number(call: Call, name: str) -> int:
    text = call.query(name)
    if not text:
        return 0
    if not text.isdigit():
        raise bad_request(f'{name}: Invalid value: "{text}": strconv.ParseInt: invalid syntax')
    return int(text)


def _token(revision: int, last: Object) -> str:
    namespace, name = name_of(last)
    body = {"v": "meta.k8s.io/v1", "rv": revision, "start": f"{namespace}/{name}"}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


def _continued(token: str) -> tuple[int, tuple[str, str]]:
    try:
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = body["start"].partition("/")
        return int(body["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise bad_request(f"continue key is not valid: {error}") from error

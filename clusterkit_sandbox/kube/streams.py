"""``pods/log`` and ``pods/attach``: what a container writes and reads.

Parameters: Kubernetes API reference, Pod v1, "read log of the specified Pod" and "connect GET
requests to attach of Pod". The protocol of attach: Kubernetes documentation, "The Kubernetes API",
"Streaming", and apimachinery, pkg/util/remotecommand (``v5.channel.k8s.io``) and
pkg/util/httpstream/wsstream. Without kaniko in a pod nothing writes but the sandbox itself.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import WSMsgType, web

from clusterkit_sandbox.kube.controllers.builds import Build, Builds
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.refusals import bad_request, not_implemented
from clusterkit_sandbox.kube.request_info import Call
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState, Line

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _ERROR = 0, 1, 3
_CLOSE_STDIN = bytes([255, _STDIN])
_LOOK = 0.05
"""Seconds between two looks for new lines."""
_LARGEST = 1 << 20
_NANO = 10**9
_TRUE = ("1", "true", "True", "TRUE", "t", "T")
_SUCCESS = json.dumps({"metadata": {}, "status": "Success"})


@dataclass(frozen=True)
class _Asked:
    """How a log is wanted."""

    follow: bool
    stamped: bool
    since: int
    tail: int | None
    limit: int | None

    @classmethod
    def of(cls, call: Call) -> _Asked:
        seconds, moment = _number(call, "sinceSeconds"), call.query("sinceTime")
        if seconds is not None and moment:
            raise bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified")
        since = 0
        if seconds is not None:
            since = int((datetime.now(UTC).timestamp() - seconds) * _NANO)
        elif moment:
            since = _moment(moment)
        stamped = call.query("timestamps") in _TRUE
        tail, limit = _number(call, "tailLines"), _number(call, "limitBytes")
        return cls(call.query("follow") in _TRUE, stamped, since, tail, limit)

    def first(self, lines: Sequence[Line]) -> Sequence[Line]:
        """The lines there are that are wanted."""
        found = [line for line in lines if line.at >= self.since]
        return found if self.tail is None else found[len(found) - min(self.tail, len(found)) :]

    def shown(self, line: Line) -> bytes:
        if not self.stamped:
            return f"{line.text}\n".encode()
        seconds, nano = divmod(line.at, _NANO)
        at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{at}.{nano:09d}Z {line.text}\n".encode()


def _number(call: Call, name: str) -> int | None:
    text = call.query(name)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text):
        raise bad_request(f'{name}: Invalid value: "{text}": must be a number of 0 or more')
    return int(text)


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise bad_request(f'sinceTime: Invalid value: "{text}": must be a time') from None
    # the server reads no fractions of a second here (metav1.Time)
    return int(found.timestamp()) * _NANO


class Streams:
    """Those of one cluster."""

    def __init__(self, state: ClusterState, builds: Builds) -> None:
        self._state = state
        self._builds = builds
        self._closed = False

    def close(self) -> None:
        """End all that are open, with the next look."""
        self._closed = True

    def _find(self, call: Call) -> tuple[Object, str]:
        """The pod and the name of its container; ``Refusal`` 400 or 404."""
        pod = self._state.need(call.resource, call.namespace, call.name)
        names = [item["name"] for item in pod["spec"]["containers"]]
        wanted = call.query("container")
        if not wanted and len(names) > 1 and call.subresource == "log":
            raise bad_request(
                f"a container name must be specified for pod {call.name}, choose one of:"
                f" [{' '.join(names)}]"
            )
        wanted = wanted or names[0]
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {call.name}")
        return pod, wanted

    # -- logs ------------------------------------------------------------------------------------

    async def log(self, call: Call) -> web.StreamResponse:
        """The lines there are, and with ``follow`` those that come until the container ends."""
        pod, name = self._find(call)
        asked = _Asked.of(call)
        state = _state(pod, name)
        if not state or "waiting" in state:
            reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
            raise bad_request(
                f'container "{name}" in pod "{call.name}" is waiting to start: {reason}'
            )
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        assert isinstance(call.request, web.Request)
        await response.prepare(call.request)
        left = asked.limit
        for line in asked.first(self._state.logged(pod, name)):
            left = await _write(response, asked.shown(line), left)
        if asked.follow:
            await self._follow(response, asked, pod, name, left)
        await response.write_eof()
        return response

    async def _follow(
        self, response: web.StreamResponse, asked: _Asked, pod: Object, name: str, left: int | None
    ) -> None:
        last = max((line.number for line in self._state.logged(pod, name)), default=0)
        while left is None or left > 0:
            ended = self._ended(pod, name)
            for line in self._after(pod, name, last):
                left, last = await _write(response, asked.shown(line), left), line.number
            if ended:
                return
            await asyncio.sleep(_LOOK)

    def _after(self, pod: Object, name: str, last: int) -> Iterator[Line]:
        return (line for line in self._state.logged(pod, name) if line.number > last)

    def _ended(self, pod: Object, name: str) -> bool:
        """Whether nothing more is to come of a container."""
        latest = self._state.current(("", "pods"), pod)
        return self._closed or latest is None or "terminated" in _state(latest, name)

    # -- attach ----------------------------------------------------------------------------------

    async def attach(self, call: Call) -> web.StreamResponse:
        """Read what a container writes from now on, and write what it reads."""
        pod, name = self._find(call)
        if call.request.headers.get("Upgrade", "").lower() != "websocket":
            if call.request.headers.get("Upgrade", "").upper().startswith("SPDY/"):
                raise not_implemented("pods/attach is available by WebSocket, not by SPDY")
            raise bad_request("unable to upgrade: missing upgrade headers in request")
        phase = dig(pod, "status.phase")
        if phase in ("Succeeded", "Failed"):
            raise bad_request(
                f"cannot exec or attach in a container in a completed pod; current phase is {phase}"
            )
        build = self._builds.get(pod, name)
        spec = next(one for one in pod["spec"]["containers"] if one["name"] == name)
        offered = [
            one.strip() for one in call.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        ]
        if not any(one in _PROTOCOLS for one in offered):
            raise bad_request(f"unable to upgrade: unable to negotiate protocol: {offered}")
        socket = web.WebSocketResponse(
            protocols=_PROTOCOLS, max_msg_size=_LARGEST, autoping=True, timeout=1
        )
        assert isinstance(call.request, web.Request)
        last = max((line.number for line in self._state.logged(pod, name)), default=0)
        await socket.prepare(call.request)
        reads = build if call.query("stdin") in _TRUE and spec.get("stdin") else None
        writes = call.query("stdout") in _TRUE
        sending = asyncio.ensure_future(self._send(socket, pod, name, last if writes else None))
        try:
            await self._receive(socket, reads)
        finally:
            if reads is not None and reads.once and reads.stdin is not None:
                reads.stdin.end()
            sending.cancel()
        return socket

    async def _receive(self, socket: web.WebSocketResponse, build: Build | None) -> None:
        stdin = build.stdin if build is not None else None
        once = build is not None and build.once
        async for message in socket:
            if message.type is not WSMsgType.BINARY or not message.data or stdin is None:
                continue
            if message.data[0] == _STDIN:
                stdin.feed(message.data[1:])
            # only version 5 can end a stream; with version 4 the connection does
            elif once and socket.ws_protocol == _PROTOCOLS[0] and message.data == _CLOSE_STDIN:
                stdin.end()

    async def _send(
        self, socket: web.WebSocketResponse, pod: Object, name: str, last: int | None
    ) -> None:
        """What the container writes, if it is wanted, and that it has ended."""
        while not socket.closed:
            ended = self._ended(pod, name)
            if last is not None:
                for line in self._after(pod, name, last):
                    await socket.send_bytes(bytes([_STDOUT]) + f"{line.text}\n".encode())
                    last = line.number
            if ended:
                await socket.send_bytes(bytes([_ERROR]) + _SUCCESS.encode())
                await socket.close()
                return
            await asyncio.sleep(_LOOK)


async def _write(response: web.StreamResponse, data: bytes, left: int | None) -> int | None:
    """Write so many bytes at most; how many are left."""
    await response.write(data if left is None else data[:left])
    return None if left is None else max(0, left - len(data))


def _state(pod: Object, name: str) -> Object:
    """The state of a container; empty before the kubelet has seen it."""
    for status in dig(pod, "status.containerStatuses") or ():
        if status["name"] == name:
            return dict(status.get("state") or {})
    return {}

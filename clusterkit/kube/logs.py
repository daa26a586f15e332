"""A container's log, followed to its end."""

from __future__ import annotations

import queue
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError, Retryable
from clusterkit.kube.api import KubeApi

TAIL = 200
"""lines that are kept"""
AGAIN = 1.0
"""seconds until a connection that broke is made again"""
REST = 10.0
"""seconds in which the rest of a log comes after its container has ended"""
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) (.*)", re.DOTALL)


class Log:
    """The lines of one container, read on a thread of their own.

    A connection that breaks, or is silent for long, is made again from the last line on: lines
    carry their time for that, which kubelet writes with nine digits (``RFC3339NanoFixed``).
    """

    def __init__(self, api: KubeApi, pod: str, container: str) -> None:
        """Begins to read; ``pod`` is the pod's path."""
        self._api, self._path, self._container = api, f"{pod}/log", container
        self._new: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.tail: deque[str] = deque(maxlen=TAIL)
        """the last of those that were handed out"""
        self._last = ""
        self._stopped = threading.Event()
        self._thread = threads.start(self._work, "kubernetes-log")

    def new(self) -> Iterator[str]:
        """The lines that have come since the last time."""
        while not self._new.empty():
            line = self._new.get()
            self.tail.append(line)
            yield line

    def finish(self) -> None:
        """The container has ended: wait for the rest, or read it again."""
        self._thread.join(REST)
        if not self._thread.ended:
            self.stop()
            with suppress(ClusterkitError):
                self._read(follow=False)

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read(follow=True)
                return  # the container has ended
            except Retryable:
                self._stopped.wait(AGAIN)
            except ClusterkitError:
                return  # the pod is gone

    def _read(self, *, follow: bool) -> None:
        query = {"container": self._container, "timestamps": "true", "follow": str(follow).lower()}
        if seen := self._last:
            query["sinceTime"] = seen
        with self._api.reading(self._path, query) as pieces:
            for line in _split(pieces):
                if follow and self._stopped.is_set():
                    return
                stamped = _STAMPED.fullmatch(line)
                stamp, text = stamped.groups() if stamped else ("", line)
                # the server counts in whole seconds, so that some lines come again
                if not stamp or stamp > seen:
                    self._last = stamp or self._last
                    self._new.put(text)


def _split(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")

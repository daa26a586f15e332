"""Standard input of a container, which clients write by attaching to it."""

from __future__ import annotations

import io
import threading
from collections import deque


class Stdin(io.RawIOBase):
    """Written on the event loop, read by the program's thread."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: deque[bytes] = deque()
        self._ended = False
        self._change = threading.Condition()

    def readable(self) -> bool:
        """Always."""
        return True

    def feed(self, data: bytes) -> None:
        """Add what a client sent; what comes after the end is dropped."""
        with self._change:
            if not self._ended and data:
                self._parts.append(data)
                self._change.notify_all()

    def end(self) -> None:
        """No more follows; may be repeated."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def readall(self) -> bytes:
        """Wait for the end, and return all."""
        with self._change:
            self._change.wait_for(lambda: self._ended)
            found = b"".join(self._parts)
            self._parts.clear()
        return found

    def read(self, size: int = -1) -> bytes:
        """All at once: nobody here reads in parts."""
        return self.readall()

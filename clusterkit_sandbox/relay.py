"""Copies bytes between two sockets until both directions are closed."""

from __future__ import annotations

import contextlib
import socket
import threading

_PIECE = 65536
_QUICK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux has it"""


def relay(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways; return when both directions are closed or one fails.

    A half-closed connection still receives. There is no idle timeout: a watch may be silent for
    hours.
    """
    for connection in (one, other):
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=_pump, args=(other, one), name="sandbox-relay", daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
            if _QUICK is not None:
                # for clients that hold back a write until the last one is acknowledged; the kernel
                # forgets it, so it is said each time
                source.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)
    except OSError:
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
    else:
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

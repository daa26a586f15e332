"""Passing bytes between two connections until both sides have said all."""

from __future__ import annotations

import contextlib
import socket
import threading

_PIECE = 65536


def tunnel(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways; returns when both directions have ended, or one of them broke.

    A side that only ends its own sending (a half-closed connection) still hears the answer. There
    is no idle limit: a watch may be silent for as long as it likes.
    """
    one.settimeout(None)
    other.settimeout(None)
    back = threading.Thread(target=_pump, args=(other, one), name="sandbox-tunnel", daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    except OSError:
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
    else:
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

"""``--trace FILE``: every request and answer as JSON lines, without secrets."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from clusterkit import localfile
from clusterkit.engine.exchange import Exchange, Observe
from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError


class Trace:
    """An observer that writes two lines for each call, ``request`` and ``answer``, with the same
    ``number``. Safe on many threads.
    """

    def __init__(self, path: Path) -> None:
        """Create or empty the regular file, readable by the user only."""
        try:
            descriptor = localfile.opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.fchmod(descriptor, 0o600)  # the file may have been there
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise ClusterkitError(what, where=f"--trace {path}", hint="name another file") from None
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()

    def of(self, target: Target) -> Observe:
        """The observer of one cluster, whose lines say so."""
        return partial(self._write, {"cloud": target.cloud, "region": target.region,
                                     "name": target.name})  # fmt: skip

    def __call__(self, seen: Exchange) -> None:
        """Write the line."""
        self._write({}, seen)

    def _write(self, cluster: Mapping[str, str], seen: Exchange) -> None:
        line: dict[str, object] = {
            "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **cluster,
            "what": "request" if seen.phase == "before" else "answer",
            "number": seen.number,
            "service": seen.service,
            "operation": seen.operation,
        }
        if seen.phase == "before":
            line |= {"mutating": seen.mutating, "method": seen.method, "url": seen.url}
            line["body"] = seen.request()
        else:
            line |= {"status": seen.status, "seconds": round(seen.seconds, 4)}
            line |= {"error": seen.error} if seen.error else {}
            line["body"] = seen.answer()
        text = json.dumps(line, default=str)
        with self._lock:
            if not self._file.closed:
                try:
                    self._file.write(text + "\n")
                    self._file.flush()
                except OSError:  # a full disk is no reason to stop a run
                    with suppress(OSError):
                        self._file.close()

    def close(self) -> None:
        """End the file; what a call still in flight reports is dropped."""
        with self._lock:
            self._file.close()

"""The executor's log, in the three formats of sirupsen/logrus that it offers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

_COLORS = {"info": 36, "warning": 33}
_BARE = re.compile(r"[A-Za-z0-9\-._/@^+]+")


class Log:
    """Writes lines; nothing below the level that was asked for."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.form = "color"
        self.stamped = False
        self.level = "info"
        self._begun = time.monotonic()

    def tell(self, text: str) -> None:
        """What is done."""
        if self.level in ("trace", "debug", "info"):
            self._line("info", text)

    def caution(self, text: str) -> None:
        """What may be wrong."""
        if self.level not in ("error", "fatal", "panic"):
            self._line("warning", text)

    def plain(self, text: str) -> None:
        """What is written whatever the level and format."""
        for line in text.splitlines():
            self._write(line)

    def _line(self, level: str, text: str) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.form == "json":
            self._write(json.dumps({"level": level, "msg": text, "time": at}))
        elif self.form == "text":
            shown = text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
            self._write(f'time="{at}" level={level} msg={shown}')
        else:
            mark = at if self.stamped else f"{int(time.monotonic() - self._begun):04d}"
            name = level.upper()[:4]
            self._write(f"\x1b[{_COLORS[level]}m{name}\x1b[0m[{mark}] {text:<44} ")

"""Which files of a folder a ``.dockerignore`` leaves out.

The rules are docker's, which kaniko shares (moby/patternmatcher, ``patternmatcher.go``): a pattern
is of the whole path from the folder, what it matches it matches with everything below, the last
pattern that matches decides, and ``!`` takes files back in.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from clusterkit.errors import ClusterkitError

NAME = ".dockerignore"


@dataclass(frozen=True)
class Patterns:
    """The patterns of one file, in order."""

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()
    """what matches, and whether it is left out"""

    @classmethod
    def of(cls, lines: Iterable[str], where: str = NAME) -> Self:
        """``ClusterkitError`` for a pattern that is none."""
        rules = []
        for number, line in enumerate(lines, 1):
            text = line.strip().removeprefix("\ufeff")
            if not text or line.startswith("#"):
                continue
            out = not text.startswith("!")
            text = text.removeprefix("!").strip()
            clean = posixpath.normpath(text).lstrip("/") if text else ""
            if clean in ("", "."):
                continue
            try:
                rules.append((re.compile(_expression(clean), re.DOTALL), out))
            except re.error:
                what, hint = f"{text!r} is not a pattern", "close its bracket"
                raise ClusterkitError(what, where=f"{where}:{number}", hint=hint) from None
        return cls(tuple(rules))

    @property
    def takes_back(self) -> bool:
        """Whether something below a folder that is left out may be in again."""
        return any(not out for _, out in self.rules)

    def leaves_out(self, path: str) -> bool:
        """Whether the file or folder at this path (with ``/``, from the folder) is left out."""
        parts = path.split("/")
        ancestors = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        found = False
        for expression, out in self.rules:
            if out != found and any(expression.fullmatch(each) for each in ancestors):
                found = out
        return found


def read(folder: Path, dockerfile: str) -> tuple[Patterns, str]:
    """The patterns for a Dockerfile, and the file they are in: its own
    (``Dockerfile.dockerignore``), or the folder's; none and nothing without either.
    """
    for name in (f"{dockerfile}{NAME}", NAME):
        path = folder / name
        if path.is_file():
            return Patterns.of(path.read_text(errors="replace").splitlines(), name), name
    return Patterns(), ""


def _expression(pattern: str) -> str:
    """The regular expression of a pattern."""
    out, index = "", 0
    while index < len(pattern):
        char = pattern[index]
        if pattern.startswith("**", index):
            index += 2 + pattern.startswith("/", index + 2)
            out += ".*" if index >= len(pattern) else "(?:.*/)?"
            continue
        index += 1
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "[":
            end = pattern.find("]", index + 1)
            if end < 0:
                raise re.error("unclosed")
            inside = pattern[index:end].replace("\\", "\\\\").replace("[", "\\[")
            out += f"[{inside}]"
            index = end + 1
        elif char == "\\" and index < len(pattern):
            out += re.escape(pattern[index])
            index += 1
        else:
            out += re.escape(char)
    return out

"""What others have put where it keeps a thing of ours."""

from __future__ import annotations

from typing import NamedTuple


class Occupant(NamedTuple):
    """Something of others that keeps a thing of ours from being deleted."""

    kind: str
    """the vendor's noun in plain words: ``network interface``"""
    id: str
    name: str = ""
    """what a person knows it by: the Name tag, the description"""
    cure: str = ""
    """the command that removes it, or what else to do"""

    def __str__(self) -> str:
        return f"{self.kind} {self.id}" + (f" ({self.name})" if self.name else "")

"""An access key, whoever gave it."""

from __future__ import annotations

from dataclasses import dataclass, field

SESSION = "clusterkit"
"""name of the sessions of roles that are assumed"""


@dataclass(frozen=True)
class Key:
    """An access key, with a security token if it is a temporary one."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)

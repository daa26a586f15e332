"""The quotas of a new account, which are in force unless the user lifts them:
``CLUSTERKIT_SANDBOX_QUOTAS=off``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

NOBODY_REACHES = 1_000_000


def lifted() -> bool:
    """Whether they are."""
    return os.environ.get("CLUSTERKIT_SANDBOX_QUOTAS") == "off"


def quota(usual: int) -> int:
    """What an account may have of something."""
    return NOBODY_REACHES if lifted() else usual


def quotas(usual: Mapping[str, int]) -> dict[str, int]:
    """The same for many things."""
    return {name: quota(figure) for name, figure in usual.items()}

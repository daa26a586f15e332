"""Which permissions a role gives, as far as somebody asks: ``testIamPermissions``, tokens.

The table is ``data/roles.json``. A role that is not there gives nothing; the basic roles go by the
verb of a permission.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from clusterkit_sandbox.google.tables import table


def grants(role: str, permission: str) -> bool:
    """Whether who has the role has the permission."""
    known = table("roles")
    if role == "roles/editor" and _any(permission, known["not_editor"]):
        return False
    return _any(permission, known["roles"].get(role, ()))


def _any(permission: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(permission, pattern) for pattern in patterns)

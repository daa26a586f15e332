"""The built-in roles that a cluster's parts are given: ``data/roles.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from clusterkit_sandbox.azure.tables import table


@dataclass(frozen=True)
class Role:
    """What a role allows."""

    id: str
    name: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether it allows an action of Resource Manager or of the data plane."""
        denied = any(matches(one, action) for one in self.not_actions)
        return any(matches(one, action) for one in self.actions) and not denied

    def allows_data(self, action: str) -> bool:
        """The same for a data action."""
        return any(matches(one, action) for one in self.data_actions)


def matches(pattern: str, action: str) -> bool:
    """Whether an action of a role means this one; ``*`` is any text, and case does not count.

    ``…/*/assign/action`` of a role means ``…/assign/action`` of a check (both as they are public).
    """
    wanted = pattern.lower()
    return any(fnmatchcase(action.lower(), one) for one in (wanted, wanted.replace("/*/", "/")))


BUILT_IN: Mapping[str, Role] = {
    one["id"]: Role(
        one["id"],
        one["name"],
        tuple(one.get("actions", ())),
        tuple(one.get("notActions", ())),
        tuple(one.get("dataActions", ())),
    )
    for one in table("roles")["roles"]
}
"""Every built-in role that is emulated, by id."""

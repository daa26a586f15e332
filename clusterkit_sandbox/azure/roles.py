"""The built-in roles that a cluster's parts are given: ``data/roles.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from clusterkit_sandbox.azure.tables import table


@dataclass(frozen=True)
class Permission:
    """One set of actions of a role. What it takes out another set may still allow ("Understand
    Azure role definitions", permissions).
    """

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Permission:
        """From a role definition."""
        names = ("actions", "notActions", "dataActions", "notDataActions")
        return cls(*(tuple(given.get(name) or ()) for name in names))

    @property
    def shown(self) -> dict[str, list[str]]:
        """As the API shows it."""
        return {
            "actions": list(self.actions),
            "notActions": list(self.not_actions),
            "dataActions": list(self.data_actions),
            "notDataActions": list(self.not_data_actions),
        }


@dataclass(frozen=True)
class Role:
    """What a role allows."""

    id: str
    name: str
    permissions: tuple[Permission, ...]

    def allows(self, action: str) -> bool:
        """Whether it allows an action of Resource Manager."""
        return any(_allows(one.actions, one.not_actions, action) for one in self.permissions)

    def allows_data(self, action: str) -> bool:
        """Whether it allows an action of the data plane."""
        return any(
            _allows(one.data_actions, one.not_data_actions, action) for one in self.permissions
        )


def _allows(some: Iterable[str], but: Iterable[str], action: str) -> bool:
    return any(matches(one, action) for one in some) and not any(
        matches(one, action) for one in but
    )


def matches(pattern: str, action: str) -> bool:
    """Whether an action of a role means this one; ``*`` is any text, and case does not count.

    ``…/*/assign/action`` of a role means ``…/assign/action`` of a check (both as they are public).
    """
    wanted = pattern.lower()
    return any(fnmatchcase(action.lower(), one) for one in (wanted, wanted.replace("/*/", "/")))


BUILT_IN: Mapping[str, Role] = {
    one["id"]: Role(one["id"], one["name"], (Permission.read(one),))
    for one in table("roles")["roles"]
}
"""Every built-in role that is emulated, by id."""

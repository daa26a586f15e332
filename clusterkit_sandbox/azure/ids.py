"""Ids of Resource Manager: ``/subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME/…``.

Ids, names of groups and types mean the same in any case (Resource Manager, "Naming rules").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Id:
    """A parsed id; its parts as they were written."""

    subscription: str = ""
    group: str = ""
    namespace: str = ""
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """``microsoft.network/virtualnetworks/subnets``, in lower case; empty for a group."""
        return "/".join((self.namespace, *self.types)).lower() if self.namespace else ""

    @property
    def name(self) -> str:
        """The last name."""
        return self.names[-1] if self.names else self.group

    @property
    def place(self) -> str:
        """``managedClusters/demo/agentPools/np``, as refusals name it after the namespace."""
        pairs = zip(self.types, self.names, strict=False)
        return "/".join(part for pair in pairs for part in pair)


def parse(text: str) -> Id:
    """The parts of an id, of the last resource where one extends another."""
    parts = text.strip("/").split("/")
    words = [part.lower() for part in parts]
    found: dict[str, Any] = {}
    for key, field in (("subscriptions", "subscription"), ("resourcegroups", "group")):
        if key in words[:-1]:
            found[field] = parts[words.index(key) + 1]
    if "providers" in words[:-1]:
        start = len(words) - 1 - words[::-1].index("providers")
        rest = parts[start + 1 :]
        found |= {
            "namespace": rest[0] if rest else "",
            "types": tuple(rest[1::2]),
            "names": tuple(rest[2::2]),
        }
    return Id(**found)


def group_id(subscription: str, group: str) -> str:
    """The id of a resource group."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def parent(text: str) -> str:
    """The id of what a resource is in: the resource or the group above it."""
    above = text.rpartition("/")[0].rpartition("/")[0]
    return above.lower().partition("/providers")[0] if _top(above) else above


def _top(text: str) -> bool:
    return text.lower().rpartition("/providers/")[2].count("/") == 0


def references(value: Any) -> Iterator[str]:
    """The ids in a body, in lower case: values, and names of members (managed identities)."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from references(key)
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, str):
        lower = value.lower()
        if lower.startswith("/subscriptions/") and "/providers/" in lower:
            yield lower.rstrip("/")


def small(identifier: str) -> str:
    """An id as some services write it, with a small g: those of clusters and agent pools (recorded
    answers, public outputs of az) and of managed identities (Azure/azure-cli#27099).
    """
    return identifier.replace("/resourceGroups/", "/resourcegroups/", 1)

"""Ids of Azure Resource Manager, which are paths, and what an API call is called.

Ids are compared without case: services answer ``resourcegroups`` for ``resourceGroups`` and spell
types in their own way (Azure Resource Manager, "Resource naming: case-insensitive"). So a state's
``id`` is in lower case; what is shown to people, or sent, is as the service wrote it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

READS = ("check", "list")
"""how the names of actions (POST) begin that change nothing"""
PROVIDERS = "/providers/"


def key(identifier: str | None) -> str:
    """What equal ids have in common."""
    return (identifier or "").rstrip("/").lower()


def last(identifier: str | None) -> str:
    """The name at the end of an id."""
    return (identifier or "").rpartition("/")[2]


def part(identifier: str, kind: str) -> str:
    """The name after a part of an id, as in ``part(id, "resourceGroups")``; empty without it."""
    words = identifier.split("/")
    lower = [word.lower() for word in words]
    index = lower.index(kind.lower()) + 1 if kind.lower() in lower else len(words)
    return words[index] if index < len(words) else ""


def group_of(identifier: str) -> str:
    """The key of the resource group that a resource lies in."""
    words = key(identifier).split("/")
    return "/".join(words[:5])


def relative(url: str) -> str:
    """Path and query of a URL: the host is always Resource Manager's, which gets our token."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def operation(method: str, path: str) -> str:
    """``Microsoft.Network/virtualNetworks/subnets PUT``: the type and the method; an action's name
    stands at the end of the type.
    """
    return f"{type_of(path)} {method}"


def type_of(path: str) -> str:
    """The type of what a path names."""
    bare = path.partition("?")[0].strip("/")
    before, found, after = f"/{bare}".rpartition(PROVIDERS)
    if not found:
        words = bare.split("/")
        names = {2: "subscriptions", 3: "resourceGroups", 4: "resourceGroups"}
        kind = names.get(len(words), words[-1])
        if len(words) == 3 and words[2].lower() != "resourcegroups":
            kind = words[2]
        return f"Microsoft.Resources/{kind}"
    namespace, *rest = after.split("/")
    if not rest or (before.count("/") == 2 and len(rest) == 1 and rest[0] == "register"):
        return "/".join(("Microsoft.Resources/providers", *rest))
    return "/".join((namespace, *rest[::2]))


def changes(method: str, path: str) -> bool:
    """Whether a call changes anything."""
    if method == "POST":
        return not last(path.partition("?")[0]).startswith(READS)
    return method != "GET"

"""Users of an emulated cloud who may do some things only, as with a policy on a real account.

An action is what a policy names: ``ec2:CreateVpc``, ``iam:PassRole``, ``vpc:*``; Google's
permissions are actions too: ``compute.networks.create``, and Azure's operations,
``Microsoft.Network/natGateways/write``. Which actions a call needs is each
emulator's to say.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

_ACTION = re.compile(
    r"[^ :]+:[^ ]+|[a-z]+\.(?:\*|[A-Za-z*]+\.[A-Za-z*.]+)|(?:Microsoft\.[A-Za-z]+|\*)/[A-Za-z*/]+"
)


class Permissions:
    """The actions that a policy allows, and those that were asked for. Thread-safe."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """``ValueError`` for what cannot be an action."""
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self.allow(allowed)

    def allow(self, allowed: Iterable[str]) -> None:
        """Replace the policy. ``ValueError`` for what cannot be an action."""
        given = tuple(dict.fromkeys(allowed))
        for action in given:
            if action != "*" and not _ACTION.fullmatch(action):
                raise ValueError(f"{action!r} is not an action, such as ec2:CreateVpc, nor a file")
        self.allowed = given

    def missing(self, needed: Iterable[str]) -> str | None:
        """The first of these actions that is not allowed.

        Case does not count and ``*`` and ``?`` are wildcards, in IAM as in RAM (IAM User Guide and
        RAM "Policy elements", both under Action).
        """
        patterns = [pattern.lower() for pattern in self.allowed]
        for action in needed:
            with self._lock:
                self._asked.add(action)
            if not any(fnmatchcase(action.lower(), pattern) for pattern in patterns):
                return action
        return None

    def drain(self) -> frozenset[str]:
        """Every action that a call needed since the last time, allowed or not."""
        with self._lock:
            asked, self._asked = frozenset(self._asked), set()
        return asked


class Limited:
    """A user made with ``Sandbox.identity``: one name, a key pair in every emulated cloud."""

    def __init__(self, permissions: Permissions, environment: Mapping[str, str]) -> None:
        self.permissions = permissions
        self.environment = dict(environment)
        """the variables that make a program use the sandbox as this user"""


def actions(text: str) -> Sequence[str]:
    """The actions that a policy document (IAM's or RAM's JSON) allows, or that the definition of a
    custom role of Google's or of Azure's has (as ``az role definition create`` reads it).

    Resources and conditions are not evaluated: what is allowed on some resource is allowed on all.
    ``ValueError`` for what is no such document, and for ``Deny``, ``NotAction``, ``NotActions``.
    """
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    if document.get("NotActions"):
        raise ValueError("the sandbox evaluates a role's Actions only, not its NotActions")
    for list_of_a_role in ("includedPermissions", "Actions"):
        if list_of_a_role in document:
            return list(map(str, document[list_of_a_role]))
    if "Statement" not in document:
        raise ValueError("it is not a policy: JSON with a list called Statement")
    statements = document["Statement"]
    found: list[str] = []
    for statement in statements if isinstance(statements, list) else [statements]:
        if statement.get("Effect") != "Allow" or "Action" not in statement:
            raise ValueError("the sandbox evaluates statements with Effect Allow and Action only")
        action = statement["Action"]
        found += [action] if isinstance(action, str) else action
    return found

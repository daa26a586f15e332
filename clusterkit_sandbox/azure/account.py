"""The account: its tenant, its subscriptions, its service principal and what programs need to use
them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterkit_sandbox.permissions import Permissions

TENANT = "5a6d0000-7e4a-4b0c-8a11-0000000c10ca"
"""The directory."""
DOMAIN = "clusterkitsandbox.onmicrosoft.com"
SUBSCRIPTION = "5a6d0000-5b5c-4b0c-8a11-0000000c10cb"
"""The subscription that credentials name."""
OTHER_SUBSCRIPTION = "5a6d0000-5b5c-4b0c-8a11-0000000c10cc"
"""A second subscription that the same credentials reach."""
SUBSCRIPTIONS: Mapping[str, str] = {SUBSCRIPTION: "Sandbox", OTHER_SUBSCRIPTION: "Another"}
"""Subscription to its display name."""
GROUP = "5a6d0000-9a0f-4b0c-8a11-0000000c10cd"
"""A group of the directory that the sandbox's own service principal is a member of."""


@dataclass(frozen=True)
class Caller:
    """Who makes a call: a service principal, or a managed identity."""

    object_id: str
    client_id: str
    name: str
    owner: bool = False
    """the sandbox's own, which may do everything"""
    limits: Permissions | None = None
    """what one of ``Sandbox.identity`` may do; None with no ``owner``: what its roles allow"""
    groups: tuple[str, ...] = ()


def owner() -> Caller:
    """The sandbox's own service principal, which may do everything."""
    return principal("sandbox", owner=True, groups=(GROUP,))


def principal(
    name: str,
    *,
    owner: bool = False,
    limits: Permissions | None = None,
    groups: tuple[str, ...] = (),
) -> Caller:
    """A service principal with ids of its own, the same ones each time."""
    object_id, client_id = (str(uuid.uuid5(uuid.UUID(TENANT), f"{name}/{k}")) for k in "oc")
    return Caller(object_id, client_id, name, owner, limits, groups)


def environment(caller: Caller, secret: str, directory: Path) -> dict[str, str]:
    """Make a configuration folder for az in ``directory``; return the variables that make Azure's
    clients use the service principal.
    """
    configuration = directory / f"az-{caller.name}"
    configuration.mkdir(mode=0o700, exist_ok=True)
    return {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": caller.client_id,
        "AZURE_CLIENT_SECRET": secret,
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_CONFIG_DIR": str(configuration),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_NO_COLOR": "true",
        "AZURE_CORE_SURVEY_MESSAGE": "false",
        # terraform's names
        "ARM_TENANT_ID": TENANT,
        "ARM_CLIENT_ID": caller.client_id,
        "ARM_CLIENT_SECRET": secret,
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION,
    }

"""The lock of a cluster between machines: a global network firewall policy.

Its name is unique in a project (compute v1, ``networkFirewallPolicies.insert``). Its description is
changed only with the fingerprint that was read with it, or refused (412 ``conditionNotMet``), so
that of two who write at once one fails. A path takes its number in place of the name (pattern of
``firewallPolicy`` there), which is never given again: what another run has taken since is neither
written nor removed. Without an association it has no effect, and it costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clusterkit.engine.cloud_lock import PREFIX, CloudLock, Held
from clusterkit.engine.kind import Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone
from clusterkit.gke.client import Clients
from clusterkit.gke.operations import compute_operation
from clusterkit.naming import safe


def _name(scope: Scope[Clients]) -> str:
    """Networks and their policies have no region, two clusters of a name have."""
    return safe(f"{PREFIX}-{scope.cluster}-{scope.region}")


def _where(scope: Scope[Clients]) -> str:
    return f"projects/{scope.client.project}/global/firewallPolicies"


def _tags(shown: Mapping[str, Any]) -> dict[str, str]:
    """What a description says; nothing if it is somebody else's."""
    try:
        found = json.loads(shown.get("description") or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): str(value) for key, value in found.items()}


class FirewallPolicyLock(CloudLock[Clients]):
    """A firewall policy that no network has."""

    def read(self, scope: Scope[Clients]) -> Held | None:
        try:
            shown = self._get(scope, _name(scope))
        except Gone:
            return None
        return Held(str(shown["id"]), _tags(shown), f"the network firewall policy {_name(scope)}")

    def take(self, scope: Scope[Clients], tags: Tags) -> None:
        body = {"name": _name(scope), "description": json.dumps(dict(tags))}
        operation = "networkFirewallPolicies.insert"
        scope.client.call("compute", operation, "POST", _where(scope), body)

    def write(self, scope: Scope[Clients], identifier: str, tags: Tags) -> None:
        operation, path = "networkFirewallPolicies.patch", f"{_where(scope)}/{identifier}"
        shown = self._get(scope, identifier)
        body = {
            "description": json.dumps({**_tags(shown), **tags}),
            "fingerprint": shown["fingerprint"],
        }
        scope.client.call("compute", operation, "PATCH", path, body)

    def release(self, scope: Scope[Clients], identifier: str) -> Operation[Clients]:
        operation, path = "networkFirewallPolicies.delete", f"{_where(scope)}/{identifier}"
        made = scope.client.call("compute", operation, "DELETE", path)
        return compute_operation(made, f"compute.{operation}")

    def _get(self, scope: Scope[Clients], called: str) -> dict[str, Any]:
        operation, path = "networkFirewallPolicies.get", f"{_where(scope)}/{called}"
        return scope.client.call("compute", operation, "GET", path)

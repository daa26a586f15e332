"""Global network firewall policies, without rules of their own.

A change needs the fingerprint of the policy as it is; a stale one is 412 (facts/gcp.tsv).
"""

from __future__ import annotations

from clusterkit_sandbox.google.changes import change, settled
from clusterkit_sandbox.google.computing import check_fingerprint, find, insert, patched, serve
from clusterkit_sandbox.google.failure import Json
from clusterkit_sandbox.google.resources import Change, Collection, FirewallPolicy
from clusterkit_sandbox.google.service import Call

POLICIES = serve(
    Collection(
        "networkFirewallPolicies", FirewallPolicy, "global", "firewallPolicy", "firewallPolicies",
        fingerprinted=True,
    )
)  # fmt: skip


@change("compute.networkFirewallPolicies.insert")
def _insert(call: Call) -> Change:
    def complete(_: Call, body: Json) -> None:
        body["ruleTupleCount"] = 0

    return insert(call, POLICIES, complete)


@change("compute.networkFirewallPolicies.patch")
def _patch(call: Call) -> Change:
    found = settled(find(call, POLICIES))
    check_fingerprint(call, found)
    changes = {k: v for k, v in call.body.items() if k == "description"}
    return patched(call, found, changes, stamp=True)

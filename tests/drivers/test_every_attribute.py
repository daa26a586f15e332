"""Drift of everything a kind reads is seen: a state in which one attribute differs from what was
made differs from the desired one, warns, or changes the state's word for how it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from clusterkit.engine.compare import differences, usable
from clusterkit.engine.kind import Env
from clusterkit.errors import Absent, ClusterkitError
from tests.drivers import cases
from tests.drivers.world import Case, World, world

IDENTITY = frozenset({"id", "arn", "name", "path", "status", "phase", "reason", "told", "tags"})
"""what says which thing it is and how it is"""


FIXED = "cannot be changed once it is made, or is part of its name"
COUNTED = "the autoscaler's, or how many there are at the moment"
GIVEN = "the cloud's own choice"
PATCH = "a patch is the cloud's; a minor version is compared"
ELSEWHERE = "seen by what it is attached to"
STAYS = "what lies in another resource group stays there (decision 112)"
UNSEEN: Mapping[str, Mapping[str, str]] = {
    "eks": {
        "addon.linked": "add-ons without a role of ours may have one of others",
        "cluster.group": GIVEN,
        "cluster.issuer": GIVEN,
        "cluster.services": "left to EKS by this profile",
        "cluster.version": PATCH,
        "elastic-ip.instance": ELSEWHERE,
        "elastic-ip.vpc": FIXED,
        "key-pair.key_name": FIXED,
        "key-pair.vpc": FIXED,
        "launch-template.vpc": FIXED,
        "nat-gateway.vpc": FIXED,
        "node-group.ami": FIXED,
        "node-group.desired": COUNTED,
        "node-group.role": FIXED,
        "node-group.spot": FIXED,
        "node-group.types": FIXED,
        "route-table.vpc": FIXED,
        "subnet.vpc": FIXED,
        "vpc.vpc": FIXED,
    },
    "alibaba": {
        "access-list.group": STAYS,
        "access-list.listeners": "those that matter are compared (active)",
        "access-list.vpc": FIXED,
        "cluster.balancer": GIVEN,
        "cluster.group": STAYS,
        "cluster.issuer": GIVEN,
        "cluster.oidc_arn": GIVEN,
        "cluster.security_group": FIXED,
        "cluster.version": PATCH,
        "eip.address": GIVEN,
        "eip.bound": ELSEWHERE,
        "eip.group": STAYS,
        "eip.vpc": FIXED,
        "key-pair.group": STAYS,
        "key-pair.vpc": FIXED,
        "nat-gateway.group": STAYS,
        "nat-gateway.table": GIVEN,
        "nat-gateway.vpc": FIXED,
        "node-pool.cluster": FIXED,
        "node-pool.disk": FIXED,
        "node-pool.failed": COUNTED,
        "node-pool.group": GIVEN,
        "node-pool.healthy": COUNTED,
        "node-pool.maximum": COUNTED,
        "node-pool.nodes": COUNTED,
        "node-pool.spot": FIXED,
        "node-pool.types": FIXED,
        "security-group.group": STAYS,
        "security-group.vpc": FIXED,
        "vpc.group": STAYS,
        "vpc.vpc": FIXED,
        "vswitch.group": STAYS,
        "vswitch.vpc": FIXED,
    },
    "gke": {
        "cluster.ca": GIVEN,
        "cluster.dns_name": GIVEN,
        "cluster.endpoint": GIVEN,
        "cluster.pools": "compared pool by pool",
        "cluster.version": PATCH,
        "firewall.network": FIXED,
        "network.network": FIXED,
        "node-pool.cluster": FIXED,
        "node-pool.disk": FIXED,
        "node-pool.groups": GIVEN,
        "node-pool.healthy": COUNTED,
        "node-pool.machine_type": FIXED,
        "node-pool.maximum": COUNTED,
        "node-pool.minimum": COUNTED,
        "node-pool.size": COUNTED,
        "node-pool.spot": FIXED,
        "node-pool.version": PATCH,
        "node-pool.zones": FIXED,
        "router.network": FIXED,
        "subnetwork.fingerprint": GIVEN,
        "subnetwork.network": FIXED,
        "subnetwork.purpose": FIXED,
    },
    "aks": {
        "cluster.azure_rbac": "without Entra ID it means nothing",
        "cluster.issuer": GIVEN,
        "cluster.pools": "compared pool by pool",
        "cluster.version": PATCH,
        "federated-credential.identity": FIXED,
        "identity.client": GIVEN,
        "identity.principal": GIVEN,
        "identity.tenant": GIVEN,
        "node-pool.cluster": FIXED,
        "node-pool.cluster_id": FIXED,
        "node-pool.count": COUNTED,
        "node-pool.disk": FIXED,
        "node-pool.group": FIXED,
        "node-pool.machine_type": FIXED,
        "node-pool.maximum": COUNTED,
        "node-pool.minimum": COUNTED,
        "node-pool.spot": FIXED,
        "node-pool.version": PATCH,
        "public-ip.address": GIVEN,
        "registry.server": GIVEN,
        "resource-group.region": FIXED,
        "storage-account.sku": "a redundancy that somebody has raised stays",
        "virtual-network.guards": "a security group that somebody has attached stays",
        "virtual-network.routes": "a route table that somebody has attached stays (docs/aks.md)",
        "virtual-network.subnet": GIVEN,
        "virtual-network.subnet_status": GIVEN,
    },
}
"""what a plan does not compare, and why that is right"""


def others(value: object) -> Iterator[object]:
    """Values that this one may have been changed to."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 7
    elif isinstance(value, str):
        yield f"{value}-other" if value else "other"
    elif isinstance(value, IPv4Network):
        yield IPv4Network("10.99.0.0/16")
    elif isinstance(value, frozenset):
        yield frozenset()
    elif isinstance(value, tuple):
        yield ()
    elif isinstance(value, Mapping):
        yield {}


def seen(found: World, env: Env[Any], step: Any, have: Any, changed: Any) -> bool:
    kind = step.kind
    try:
        if differences(step.wish, env, changed) or [*kind.noted(changed)] != [*kind.noted(have)]:
            return True
    except Absent:
        return False
    except (ClusterkitError, ValueError, KeyError):  # not taken for what was made
        return True
    return usable(kind, changed) != usable(kind, have) or changed.status != have.status


def unseen(found: World) -> set[str]:
    plan = found.plan()
    assert plan.empty
    scope = found.scope()
    env = Env(scope.client, scope.cluster, scope.region, states=plan.snapshot.states)
    missed = set()
    for step in plan.steps:
        if step.kind.optional:  # the API server compares whole objects (a dry run)
            continue
        have = plan.snapshot.states[step.key]
        for field in fields(have):
            if field.name in IDENTITY or not field.init:
                continue
            value = getattr(have, field.name)
            for other in others(value):
                if other == value:
                    continue
                changed = replace(have, **{field.name: other})
                if not seen(found, env, step, have, changed):
                    missed.add(f"{step.kind.kind}.{field.name}")
    return missed


@cases.each(cases.FULL)
def test_every_attribute_that_is_read(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        found.settle(found.up())
        missed = unseen(found)
    assert sorted(missed) == sorted(UNSEEN[case.cloud])

"""Drivers wait for news as long as ``facts/`` says that it may take."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit.aks.access import EFFECT
from clusterkit.aks.blobs import StorageAccount
from clusterkit.aks.iam import RoleAssignment
from clusterkit.eks.addons import Addon, PodIdentity
from clusterkit.eks.cluster import Cluster
from clusterkit.eks.entries import AccessEntry
from clusterkit.eks.iam import AnyRole
from clusterkit.eks.irsa import OidcProvider
from clusterkit.eks.network import NatGateway, RouteTable, Subnet, Vpc
from clusterkit.eks.storage import Bucket
from clusterkit.engine.kind import Kind
from clusterkit.gke import cluster, nodes
from clusterkit.kube.api import GRACE
from clusterkit.kube.manifest import Manifest
from tests.facts.rows import CLOUDS, read

KINDS: dict[str, tuple[type[Kind[Any, Any]], ...]] = {
    "ec2:": (Vpc, Subnet, RouteTable, NatGateway),
    "iam:": (AnyRole, OidcProvider),
    "eks:": (Cluster, Addon, PodIdentity, AccessEntry),
    "s3:": (Bucket,),
    "container.projects.locations.clusters.create": (cluster.Cluster,),
    "container.projects.locations.clusters.nodePools.create": (nodes.NodePool,),
    "Microsoft.Storage/storageAccounts/": (StorageAccount,),
    "Microsoft.Authorization/roleAssignments": (RoleAssignment,),
}
"""by the beginning of an operation's name: what may be told that something is not there yet"""
LESS = {
    "PrincipalNotFound": "as long as others try; a wrong id is told so too"
    " (hashicorp/terraform-provider-azurerm#11417)",
    "ErrorNodePoolNotFound": "the driver does not call this operation",
}
"""codes that are waited for less long, and why"""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_kind_waits_long_enough(cloud: str) -> None:
    late = [
        fact
        for fact in read(cloud)
        if fact.kind == "propagating" and fact.playable == "yes" and fact.late
    ]
    bounds = {fact: _kinds(fact.operation) for fact in late if fact.code not in LESS}
    assert [fact.where for fact, kinds in bounds.items() if not kinds] == []
    assert [
        (fact.where, kind.kind)
        for fact, kinds in bounds.items()
        for kind in kinds
        if kind.propagation < (fact.late or 0.0)
    ] == []


def _kinds(operation: str) -> tuple[type[Kind[Any, Any]], ...]:
    return next((kinds for name, kinds in KINDS.items() if operation.startswith(name)), ())


def test_objects_of_a_new_cluster_wait_until_it_knows_who_made_it() -> None:
    assert Manifest.propagation >= max(GRACE, EFFECT)

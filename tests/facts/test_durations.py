"""The sandbox takes as long as ``facts/durations.tsv`` says that the real services take."""

from __future__ import annotations

import pytest

from clusterkit_sandbox.pace import RECORDED
from tests.facts.rows import table

ROWS = {
    "alibaba/cluster/create": ("alibaba", "create empty Pro cluster"),
    "alibaba/cluster/delete": ("alibaba", "delete cluster"),
    "alibaba/cluster/upgrade": ("alibaba", "upgrade cluster"),
    "alibaba/nodepool/create": ("alibaba", "create node pool"),
    "alibaba/nodepool/delete": ("alibaba", "delete node pool"),
    "alibaba/nodepool/scale": ("alibaba", "scale pool up one node"),
    "alibaba/addon/install": ("alibaba", "install add-on"),
    "eks/cluster/create": ("aws", "create EKS cluster"),
    "eks/cluster/delete": ("aws", "delete EKS cluster"),
    "eks/nodegroup/create": ("aws", "create node group"),
    "eks/nodegroup/delete": ("aws", "delete node group (drain, terminate)"),
    "ec2/nat-gateway/delete": ("aws", "delete NAT gateway"),
    "iam/propagation": ("aws", "IAM propagation allowed for"),
    "google/cluster/create": ("gcp", "create GKE cluster (zonal)"),
    "google/cluster/create-regional": ("gcp", "create GKE cluster (Autopilot / regional)"),
    "google/cluster/delete": ("gcp", "delete GKE cluster"),
    "google/node-pool/create": ("gcp", "create node pool"),
    "google/node-pool/delete": ("gcp", "delete node pool (3 zones)"),
    "google/policy/effective": ("gcp", "policy change effective"),
    "google/service/usable": ("gcp", "API enabled → usable"),
    "google/service-account/visible": ("gcp", "service account visible after create"),
    "compute/network/insert": ("gcp", "create network"),
    "compute/network/delete": ("gcp", "delete network"),
    "compute/subnetwork/insert": ("gcp", "create subnetwork"),
    "compute/router/insert": ("gcp", "create router"),
    "azure/cluster/create": ("azure", "create AKS cluster"),
    "azure/cluster/delete": ("azure", "delete AKS cluster"),
    "azure/agentpool/delete": ("azure", "delete node pool"),
    "azure/storage/create": ("azure", "create storage account"),
    "azure/registry/create": ("azure", "create container registry"),
    "azure/group/delete": ("azure", "delete resource group (empty)"),
    "azure/role-assignment/effect": ("azure", "role effective on data plane"),
}


@pytest.mark.parametrize("key", ROWS)
def test_a_recorded_duration_has_been_seen(key: str) -> None:
    found = [row for _, row in table("durations.tsv") if (row[0], row[1]) == ROWS[key]]
    [(_, _, least, _, most, _)] = found
    assert float(least) <= RECORDED[key].seconds <= float(most.rstrip("+"))

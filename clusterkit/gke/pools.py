"""What GKE is told to make a node pool of: the same in the call that creates the cluster with its
first pools, and in the one that adds a pool later.

Sizes are of a whole pool in the profile and in ``autoscaling`` (``totalMinNodeCount``), and of one
zone in ``initialNodeCount`` and ``setSize`` (container v1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from clusterkit.engine.kind import Env
from clusterkit.engine.preflight import MachineType
from clusterkit.gke.fields import disk_type
from clusterkit.gke.network import node_tag
from clusterkit.gke.profile import GkePool
from clusterkit.kube.nodes import Taint, asked
from clusterkit.naming import CLUSTER, MACHINE, NAME, RUN, digest

Body = Mapping[str, Any]
EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""with a service account of one's own roles decide, not scopes
(https://cloud.google.com/kubernetes-engine/docs/how-to/access-scopes)"""
NO_TAINT = "NONE"
"""keeps GKE from tainting arm64 nodes (container v1, ``TaintConfig``), as no other cloud does; the
profile may"""
SSH_KEYS = "ssh-keys"
"""key of an instance's metadata
(https://cloud.google.com/compute/docs/connect/add-ssh-keys#metadata); not among the keys that GKE
reserves (container v1, ``NodeConfig.metadata``)"""


def pool_body(
    pool: GkePool,
    machine: MachineType,
    zones: Sequence[str],
    tags: Mapping[str, str],
    *,
    ssh_keys: str = "",
    metadata_server: bool = True,
) -> Body:
    """A pool as the API's ``NodePool``, without what only a run knows. What cannot be changed is
    hashed into its name.

    GPUs that belong to the machine have to be named all the same, and GKE then installs their
    driver (https://cloud.google.com/kubernetes-engine/docs/how-to/gpus#create). ``ssh_keys`` is
    ``USER:ALGORITHM BASE64``. With ``metadata_server`` pods get the tokens of their own service
    accounts, not of the node's.
    """
    wish, machine_type = asked(pool), machine.name
    disk = disk_type(machine_type, pool.disk.type)
    scopes, labels = list(pool.scope_urls), {**tags, MACHINE: wish["machine"]}
    fixed = digest(machine_type, pool.disk.size, disk, pool.spot, zones, scopes, ssh_keys)
    config: dict[str, Any] = {
        "machineType": machine_type,
        "diskSizeGb": pool.disk.size,
        "diskType": disk,
        "oauthScopes": scopes,
        "labels": dict(pool.labels),
        "taints": taints(wish["taints"]),
        "resourceLabels": labels,
        "workloadMetadataConfig": {"mode": "GKE_METADATA" if metadata_server else "GCE_METADATA"},
        "spot": pool.spot,
        "metadata": {SSH_KEYS: ssh_keys} if ssh_keys else {},
    }
    if machine.arch == "arm64":
        config["taintConfig"] = {"architectureTaintBehavior": NO_TAINT}
    if machine.accelerator:
        config["accelerators"] = [
            {
                "acceleratorCount": machine.accelerators,
                "acceleratorType": machine.accelerator,
                "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"},
            }
        ]
    autoscaling: dict[str, Any] = {"enabled": wish["automatic"]}
    if wish["automatic"]:
        autoscaling |= {
            "totalMinNodeCount": pool.minimum,
            "totalMaxNodeCount": max(pool.maximum, 1),
            # ANY looks for unused reservations and the most spot capacity (container v1)
            "locationPolicy": "ANY" if pool.spot else "BALANCED",
        }
    return {
        "name": f"{pool.name}-{fixed}",
        "config": config,
        "initialNodeCount": ceil(pool.minimum / len(zones)),
        "locations": list(zones),
        "autoscaling": autoscaling,
        "management": {"autoRepair": True, "autoUpgrade": True},
        "networkConfig": {"enablePrivateNodes": True},
    }


def complete(body: Body, env: Env[Any], account: str) -> Body:
    """The same with our marks, the nodes' service account and what firewall rules know them by."""
    config, ours = body["config"], {CLUSTER: env.cluster, NAME: body["name"], RUN: str(env.run)}
    labels, tags = {**config["resourceLabels"], **ours}, [node_tag(env)]
    more = {"resourceLabels": labels, "serviceAccount": account, "tags": tags}
    return {**body, "config": {**config, **more}}


def taints(wanted: Iterable[Taint]) -> list[dict[str, str]]:
    """Taints as GKE writes them."""
    return [{"key": k, "value": v, "effect": EFFECTS[e]} for k, v, e in wanted]

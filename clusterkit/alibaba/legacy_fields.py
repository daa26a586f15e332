"""The fields of the CreateCluster call of 2019, and what to write in a profile today.

People copy them from older articles; CS 2015-12-15 has deprecated or removed them.
"""

from __future__ import annotations

from collections.abc import Mapping

_POOL = "pools: [{{name: default, {}}}]"

OUTDATED: Mapping[str, str] = {
    "cluster_type": "remove it: every cluster is managed; edition: pro or standard. Dedicated "
    "clusters (Kubernetes) can no longer be created, Serverless (Ask) is closed to new users",
    "disable_rollback": "remove it: up continues after a failure",
    "timeout_mins": "remove it: clusterkit waits as long as the cloud makes progress",
    "region_id": "region: ap-southeast-1",
    "zoneid": "network: {zones: 2}, or their names; clusterkit finds zones with the machines",
    "zone_id": "network: {zones: 2}, or their names; clusterkit finds zones with the machines",
    "snat_entry": "network: {nat: true} creates a NAT gateway",
    "nat_gateway": "network: {nat: true} creates a NAT gateway",
    "cloud_monitor_flags": "remove it",
    "public_slb": "endpoint: {public: true}",
    "worker_instance_type": _POOL.format("machine: {cpu: 4, memory: 8}")
    + "; ecs.c4 is no longer sold",
    "worker_instance_types": _POOL.format("machine: {cpu: 4, memory: 8}"),
    "num_of_nodes": _POOL.format("count: 3"),
    "worker_system_disk_category": _POOL.format("disk: {type: cloud_essd}")
    + "; node pools have not accepted cloud_efficiency since 2025",
    "worker_system_disk_size": _POOL.format("disk: {size: 120}"),
    "worker_instance_charge_type": "remove it: nodes are pay-as-you-go; spot: true in a pool",
    "vpcid": "network: {existing: {vpc: …, vswitches: […]}}, or remove it to create one",
    "vswitchid": "network: {existing: {vpc: …, vswitches: […]}}, or remove it to create "
    "one per zone",
    "vswitch_ids": "network: {existing: {vpc: …, vswitches: […]}}",
    "container_cidr": "network: {pods: 172.20.0.0/16}",
    "service_cidr": "network: {services: 172.21.0.0/20}",
    "key_pair": "ssh_key: ~/.ssh/id_ed25519.pub: clusterkit imports the key pair",
    "login_password": "ssh_key: ~/.ssh/id_ed25519.pub: passwords do not belong in a profile",
    "kubernetes_version": 'kubernetes: "1.35"',
    "cluster_spec": "edition: pro (ack.pro.small) or standard (ack.standard)",
}

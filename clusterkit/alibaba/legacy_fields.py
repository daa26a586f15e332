"""The fields of the CreateCluster call of 2019, and what to write in a profile today.

They are what people copy from older articles; CS 2015-12-15 marks them deprecated today, or knows
them no more.
"""

from __future__ import annotations

from collections.abc import Mapping

_POOL = "pools: [{{name: default, {}}}]"

OUTDATED: Mapping[str, str] = {
    "cluster_type": "leave it out: every cluster is managed; edition: pro or standard. Dedicated "
    "clusters (Kubernetes) can no longer be created, Serverless (Ask) is closed to new users",
    "disable_rollback": "leave it out: what failed is kept, and up goes on where it stopped",
    "timeout_mins": "leave it out: clusterkit waits as long as the cloud makes headway",
    "region_id": "region: ap-southeast-1",
    "zoneid": "network: {zones: 2}, or their names; zones with the machine in stock are found",
    "zone_id": "network: {zones: 2}, or their names; zones with the machine in stock are found",
    "snat_entry": "network: {nat: true}: a NAT gateway of the cluster's own",
    "nat_gateway": "network: {nat: true}: a NAT gateway of the cluster's own",
    "cloud_monitor_flags": "leave it out",
    "public_slb": "endpoint: {public: true}",
    "worker_instance_type": _POOL.format("machine: {cpu: 4, memory: 8}")
    + "; ecs.c4 is no longer sold",
    "worker_instance_types": _POOL.format("machine: {cpu: 4, memory: 8}"),
    "num_of_nodes": _POOL.format("count: 3"),
    "worker_system_disk_category": _POOL.format("disk: {type: cloud_essd}")
    + "; cloud_efficiency is refused in node pools since 2025",
    "worker_system_disk_size": _POOL.format("disk: {size: 120}"),
    "worker_instance_charge_type": "leave it out: nodes are paid as they go; spot: true in a pool",
    "vpcid": "network: {existing: {vpc: …, vswitches: […]}}, or leave it out: one is made",
    "vswitchid": "network: {existing: {vpc: …, vswitches: […]}}, or leave it out: one a zone is "
    "made",
    "vswitch_ids": "network: {existing: {vpc: …, vswitches: […]}}",
    "container_cidr": "network: {pods: 172.20.0.0/16}",
    "service_cidr": "network: {services: 172.21.0.0/20}",
    "key_pair": "ssh_key: ~/.ssh/id_ed25519.pub: the key pair is imported from it",
    "login_password": "ssh_key: ~/.ssh/id_ed25519.pub: passwords do not belong in a profile",
    "kubernetes_version": 'kubernetes: "1.35"',
    "cluster_spec": "edition: pro (ack.pro.small) or standard (ack.standard)",
}

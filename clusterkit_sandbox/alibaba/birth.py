"""What Container Service creates in the account along with a cluster.

A security group, a classic load balancer for the API server, a RAM role for the machines; an
elastic IP address for a public endpoint; a NAT gateway where the request asks for one (vendor:
"Resources created by ACK").
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit_sandbox.alibaba.failure import bad
from clusterkit_sandbox.alibaba.models import (
    API_PORT,
    Cluster,
    Eip,
    LoadBalancer,
    NatGateway,
    Rule,
    SecurityGroup,
    SnatEntry,
    Vpc,
    VSwitch,
)
from clusterkit_sandbox.alibaba.ram import new_role, trust
from clusterkit_sandbox.alibaba.service import Call, resource_group, uid_of
from clusterkit_sandbox.alibaba.store import Store


def new_cluster(
    call: Call,
    vpc: Vpc,
    vswitches: Sequence[VSwitch],
    version: str,
    networks: tuple[str, str],
    addons: dict[str, str],
    tags: dict[str, str],
) -> Cluster:
    """The cluster and its resources."""
    store, identifier = call.store, f"c{call.store.new_hex()}"
    private = store.private_address(
        vswitches[0], {other.private_address for other in store.all(Cluster)}
    )
    if private is None:
        raise bad("InvalidVSwitchId.IpNotEnough", f"{vswitches[0].id} has no free address.")
    group = call.get("security_group_id") or _group(call, vpc, identifier)
    cluster = Cluster(
        id=identifier,
        region=call["region_id"],
        name=call["name"],
        tags=tags,
        resource_group=resource_group(call, "resource_group_id"),
        body={
            "cluster_type": "ManagedKubernetes",
            "profile": "Default",
            "cluster_spec": "ack.standard",
            "proxy_mode": "ipvs",
            "node_cidr_mask": "26",
            "cluster_domain": "cluster.local",
            "ip_stack": "ipv4",
            "timezone": "Asia/Shanghai",
            "deletion_protection": False,
            "rrsa_config": {"enabled": False},
            **call.parameters,
        },
        version=version,
        vpc=vpc.id,
        vswitches=[vswitch.id for vswitch in vswitches],
        service_cidr=networks[0],
        container_cidr=networks[1],
        security_group=group,
        load_balancer=_balancer(call, vpc, vswitches[0], private, identifier),
        worker_role=f"KubernetesWorkerRole-{store.new_hex()}",
        public_address=store.public_address(),
        private_address=private,
        public=False,
        addons=addons,
        creator=uid_of(call),
    )
    store.add(cluster)
    new_role(store, cluster.worker_role, trust("ecs"), owner=identifier)
    if call.get("endpoint_public_access", False):
        open_public(store, cluster)
    return cluster


def _group(call: Call, vpc: Vpc, cluster: str) -> str:
    """Create the security group: inbound only ICMP, and its own members if it is a basic group."""
    store = call.store
    icmp = {"IpProtocol": "ICMP", "PortRange": "-1/-1", "SourceCidrIp": "0.0.0.0/0"}
    group = SecurityGroup(
        id=store.new_id("sg"),
        region=vpc.region,
        name=f"alicloud-cs-auto-created-security-group-{cluster}",
        description="security group of ACS cluster",
        tags={"ack.aliyun.com": cluster},
        owner=cluster,
        vpc=vpc.id,
        kind="enterprise" if call.get("is_enterprise_security_group", True) else "normal",
        rules=[
            Rule(
                id=store.new_id("sgr"),
                fields=icmp | {"Policy": "accept", "Priority": "1"},
                direction="ingress",
            )
        ],
    )
    return store.add(group).id


def _balancer(call: Call, vpc: Vpc, vswitch: VSwitch, address: str, cluster: str) -> str:
    balancer = LoadBalancer(
        id=call.store.new_id("lb"),
        region=vpc.region,
        name="ManagedK8SSlbIntranet",
        tags={"ack.aliyun.com": cluster},
        owner=cluster,
        kind="clb",
        vpc=vpc.id,
        vswitches=[vswitch.id],
        address=address,
        address_type="intranet",
        protected=True,
        modification_protected=True,
        ports=[API_PORT],
    )
    return call.store.add(balancer).id


def open_public(store: Store, cluster: Cluster) -> None:
    """Bind an elastic IP address to the API server."""
    eip = Eip(
        id=store.new_id("eip"),
        region=cluster.region,
        name=f"ack-apiserver-{cluster.id}",
        tags={"ack.aliyun.com": cluster.id},
        owner=cluster.id,
        address=cluster.public_address,
        bandwidth="100",
        internet_charge_type="PayByTraffic",
        instance=cluster.load_balancer,
        instance_type="SlbInstance",
    )
    cluster.endpoint_eip, cluster.public = store.add(eip).id, True


def take_snat(store: Store, cluster: Cluster, vswitches: Sequence[VSwitch]) -> None:
    """A NAT gateway with an address, through which the vSwitches reach the internet."""
    nat = store.add(
        NatGateway(
            id=store.new_id("ngw"),
            region=cluster.region,
            owner=cluster.id,
            name=f"ack-nat-{cluster.id}",
            tags={"ack.aliyun.com": cluster.id},
            vpc=cluster.vpc,
            vswitch=vswitches[0].id,
            network_type="internet",
            eip_bind_mode="MULTI_BINDED",
            snat_table=store.new_id("stb"),
            forward_table=store.new_id("ftb"),
        )
    )
    eip = store.add(
        Eip(
            id=store.new_id("eip"),
            region=cluster.region,
            owner=cluster.id,
            name=f"ack-nat-{cluster.id}",
            tags={"ack.aliyun.com": cluster.id},
            address=store.public_address(),
            bandwidth="100",
            internet_charge_type="PayByTraffic",
            instance=nat.id,
            instance_type="Nat",
        )
    )
    for vswitch in vswitches:
        store.add(
            SnatEntry(
                id=store.new_id("snat"),
                region=cluster.region,
                owner=cluster.id,
                nat=nat.id,
                table=nat.snat_table,
                address=eip.address,
                vswitch=vswitch.id,
                cidr=str(vswitch.cidr),
            )
        )

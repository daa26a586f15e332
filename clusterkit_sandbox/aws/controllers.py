"""What Kubernetes controllers create in AWS: load balancers for Services, volumes for claims.

As the in-tree cloud provider and the EBS CSI driver do: classic load balancers named after the
Service's uid, a security group of their own, everything tagged ``kubernetes.io/cluster/NAME``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.aws.catalog import EBS_ADDON, EBS_DRIVER
from clusterkit_sandbox.aws.moto_lifecycle import settle
from clusterkit_sandbox.aws.podcredentials import PodCredentials
from clusterkit_sandbox.aws.records import Addon, ClusterRecord
from clusterkit_sandbox.aws.scaler import PodScaling
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kit.cluster import Controllers, balancer_name
from clusterkit_sandbox.kube.interfaces import (
    Injected,
    RunningPod,
    ScalerPod,
    Scaling,
    VolumeRequest,
)


class ClusterControllers(Controllers[Any]):
    """The cloud side of one cluster."""

    def __init__(self, eks: Eks, region: str, cluster: str, vpc: str) -> None:
        super().__init__(eks.account.lock)
        self._eks = eks
        self._region = region
        self._cluster = cluster
        self._vpc = vpc
        self._credentials = PodCredentials(eks, region, cluster)

    @property
    def _owned(self) -> dict[str, str]:
        return {f"kubernetes.io/cluster/{self._cluster}": "owned"}

    def balancer(self, uid: str) -> Any:
        """The classic load balancer with the Service's name."""
        return self._eks.account.elb(self._region).load_balancers.get(balancer_name(uid))

    def host_of(self, balancer: Any) -> str:
        """Its DNS name."""
        return str(balancer.dns_name)

    def make_balancer(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> Any:
        """A classic load balancer in the public subnets (the tagged ones)."""
        elb, ec2 = self._eks.account.elb(self._region), self._eks.account.ec2(self._region)
        short = balancer_name(uid)
        subnets = [
            s
            for zone in ec2.subnets.values()
            for s in zone.values()
            if s.vpc_id == self._vpc and _tag(s, "kubernetes.io/role/elb")
        ]
        if not subnets:
            raise RuntimeError("could not find any suitable subnets for creating the ELB")
        group = ec2.create_security_group(
            f"k8s-elb-{short}", f"Security group for Kubernetes ELB {short}", vpc_id=self._vpc
        )
        group.add_tags(self._owned)
        listener = {
            "protocol": "TCP",
            "load_balancer_port": 80,
            "instance_protocol": "TCP",
            "instance_port": 30080,
        }
        made = elb.create_load_balancer(
            name=short,
            zones=[],
            ports=[listener],
            scheme="internet-facing",
            subnets=[s.id for s in subnets],
            security_groups=[group.id],
        )
        tags = {**self._owned, "kubernetes.io/service-name": f"{namespace}/{name}"}
        for key, value in tags.items():
            made.add_tag(key, value)
        return made

    def remove_balancer(self, uid: str) -> None:
        """Delete the load balancer; its interfaces and security group go some time later."""
        elb, ec2 = self._eks.account.elb(self._region), self._eks.account.ec2(self._region)
        short = balancer_name(uid)
        if short in elb.load_balancers:
            elb.delete_load_balancer(short)
        settle(ec2)
        for group in list(ec2.describe_security_groups()):
            if group.name != f"k8s-elb-{short}":
                continue
            used = any(group.id in [g.id for g in e.group_set] for e in ec2.enis.values())
            if used:
                raise RuntimeError("the load balancer's interfaces are still there")
            ec2.delete_security_group(group_id=group.id)

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        """The cluster autoscaler that somebody installed; EKS has none of its own."""
        if pod is None or "--cloud-provider=aws" not in pod.arguments:
            return None
        self._eks.clock.settle()
        with self._eks.account.lock:
            record = self._eks.store.get(ClusterRecord, self._cluster, self._region)
        return PodScaling(self._eks, record, pod) if record is not None else None

    def injected(self, pod: RunningPod) -> Injected | None:
        """What EKS's webhook adds."""
        return self._credentials.injected(pod)

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        """EKS Pod Identity's agent and the instance metadata service."""
        return self._credentials.nearby(pod, method, url, headers)

    def provisioners(self) -> Sequence[str]:
        """The EBS CSI driver, once its add-on is active."""
        self._eks.clock.settle()
        return super().provisioners()

    def drivers(self) -> Sequence[str]:
        """The EBS CSI driver, once its add-on is active."""
        addon = self._eks.store.get(Addon, EBS_ADDON, f"{self._region}/{self._cluster}")
        return [EBS_DRIVER] if addon is not None and addon.status == "ACTIVE" else []

    def volume(self, name: str) -> str | None:
        """The EBS volume with this name in its tag."""
        for volume in self._eks.account.ec2(self._region).volumes.values():
            if _tag(volume, "CSIVolumeName") == name:
                return str(volume.id)
        return None

    def make_volume(self, asked: VolumeRequest) -> str:
        """An EBS volume."""
        volume = self._eks.account.ec2(self._region).create_volume(
            size=asked.size,
            zone_name=asked.zone,
            volume_type=asked.parameters.get("type", "gp3"),
            encrypted=asked.parameters.get("encrypted") == "true",
        )
        volume.add_tags(
            {
                **self._owned,
                "CSIVolumeName": asked.name,
                "ebs.csi.aws.com/cluster": "true",
                "KubernetesCluster": self._cluster,
                **_specified(asked.parameters),
                **asked.tags,
            }
        )
        return str(volume.id)

    def remove_volume(self, volume: str) -> None:
        """Delete the volume, if it exists."""
        self._eks.account.ec2(self._region).volumes.pop(volume, None)


def _specified(parameters: Mapping[str, str]) -> dict[str, str]:
    """The tags that a storage class asks for (aws-ebs-csi-driver, docs/tagging.md)."""
    asked = (value for name, value in parameters.items() if name.startswith("tagSpecification"))
    return dict(text.split("=", 1) for text in asked)


def _tag(thing: Any, key: str) -> str | None:
    for tag in thing.get_tags():
        if tag["key"] == key:
            return str(tag["value"])
    return None

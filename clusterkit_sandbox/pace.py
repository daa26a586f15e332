"""Durations of the emulated clouds: one table of real durations, divided by one factor.

Emulators take every duration from ``Pace.seconds("eks/cluster/create")``. With factor 1 the sandbox
takes as long as the real service, with 60 an hour becomes a minute, with ``inf`` nothing waits.

Each row names its source:

- *vendor*: published by the vendor;
- *logs*: from published Terraform logs, with the range seen in them;
- *estimate*: our guess of the order of magnitude, where no source was found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Recorded:
    """One duration of the real service."""

    seconds: float
    source: str


RECORDED: Mapping[str, Recorded] = MappingProxyType(
    {
        "alibaba/cluster/create": Recorded(
            190, "logs: an operator's of 2026: 160 to 219 s for empty Pro clusters"
        ),
        "alibaba/cluster/delete": Recorded(347, "logs: public Terraform runs, 287 to 600 s"),
        "alibaba/cluster/update": Recorded(20, "estimate; names, protection, the public endpoint"),
        "alibaba/cluster/upgrade": Recorded(
            1200, "logs: public Terraform runs, 600 to 1800 s (facts/durations.tsv)"
        ),
        "alibaba/nodepool/create": Recorded(
            300, "logs: public Terraform runs, 180 to 480 s (facts/durations.tsv)"
        ),
        "alibaba/nodepool/scale": Recorded(
            67, "logs: public Terraform runs, up by a node: 67 to 480 s (facts/durations.tsv)"
        ),
        "alibaba/nodepool/delete": Recorded(
            240,
            "logs: public Terraform runs, 120 to 420 s (facts/durations.tsv);"
            " an operator's of 2026: machines took 6 to 7 minutes to go",
        ),
        "alibaba/nodepool/delete-empty": Recorded(10, "estimate; a pool without machines"),
        "alibaba/nodepool/config": Recorded(60, "estimate; the nodes take a kubelet's settings"),
        "alibaba/nodepool/drain": Recorded(1800, "vendor: a node is drained for up to 30 minutes"),
        "alibaba/addon/install": Recorded(
            120, "logs: public Terraform runs, 30 to 300 s (facts/durations.tsv)"
        ),
        "alibaba/vpc/create": Recorded(3, "estimate; Pending until Available"),
        "alibaba/vswitch/create": Recorded(3, "estimate; Pending until Available"),
        "alibaba/nat-gateway/create": Recorded(60, "estimate; Creating until Available"),
        "alibaba/snat-entry/create": Recorded(5, "estimate; Pending until Available"),
        "alibaba/nat-gateway/delete": Recorded(
            60, "logs: 66 s with its entry and its address (facts/durations.tsv)"
        ),
        "alibaba/snat-entry/delete": Recorded(5, "estimate; like create"),
        "alibaba/nlb/interfaces/release": Recorded(
            15, "estimate; a deleted network load balancer's interfaces"
        ),
        "alibaba/eip/associate": Recorded(
            3, "estimate; the provider repeats CreateSnatEntry while the address is being bound"
        ),
        "azure/cluster/create": Recorded(
            258, "logs: of public Terraform runs, 219 to 923 s (facts/durations.tsv)"
        ),
        "azure/cluster/delete": Recorded(
            243, "logs: 4m3s (github.com/sassoftware/viya4-iac-azure#108), up to 492 s"
        ),
        "azure/cluster/update": Recorded(90, "estimate; a reconciliation of the control plane"),
        "azure/cluster/stop": Recorded(600, "estimate: about 10 minutes (facts/durations.tsv)"),
        "azure/cluster/start": Recorded(240, "estimate: like a create"),
        "azure/agentpool/create": Recorded(
            180, "logs: more than 160 s for each of two at once (agones-dev/agones#2165)"
        ),
        "azure/agentpool/update": Recorded(60, "estimate; without the time of draining"),
        "azure/agentpool/scale": Recorded(
            120, "estimate: like create, without the pool; a machine until it joins"
        ),
        "azure/agentpool/delete": Recorded(
            780, "logs: 13 minutes and going on (terraform-provider-azurerm#17543)"
        ),
        "azure/agentpool/drain": Recorded(
            600, "logs: a drain gives up after 10 minutes (terraform-provider-azurerm#10411)"
        ),
        "azure/group/delete": Recorded(30, "logs: 21 to 45 s for empty ones (facts/durations.tsv)"),
        "azure/list/lag": Recorded(600, "logs: up to 10 minutes (facts/durations.tsv)"),
        "azure/provider/register": Recorded(60, "estimate; registers in each region"),
        "azure/network/create": Recorded(8, "logs: of public Terraform runs"),
        "azure/network/delete": Recorded(15, "logs: of public Terraform runs"),
        "azure/subnet/create": Recorded(5, "estimate"),
        "azure/subnet/delete": Recorded(10, "estimate"),
        "azure/nat-gateway/create": Recorded(10, "estimate"),
        "azure/nat-gateway/delete": Recorded(10, "estimate"),
        "azure/public-ip/create": Recorded(5, "estimate"),
        "azure/public-ip/delete": Recorded(10, "estimate"),
        "azure/security-group/create": Recorded(5, "estimate; and what else is plain"),
        "azure/disk/create": Recorded(5, "estimate"),
        "azure/disk/delete": Recorded(5, "estimate"),
        "azure/registry/create": Recorded(28, "logs: 28 to 60 s (facts/durations.tsv)"),
        "azure/registry/update": Recorded(5, "estimate"),
        "azure/registry/delete": Recorded(10, "estimate"),
        "azure/container/delete": Recorded(
            30, "vendor: Delete Container, remarks: at least 30 s; until then its name is taken"
        ),
        "azure/storage/create": Recorded(23, "logs: 18 to 69 s (facts/durations.tsv)"),
        "azure/vault/create": Recorded(
            10, "estimate; Terraform's 127 to 186 s wait for resolvers (facts/durations.tsv)"
        ),
        "azure/vault/purge": Recorded(10, "estimate"),
        "azure/identity/replication": Recorded(
            30, "estimate; Terraform's provider repeats for 30 minutes (facts/azure.tsv)"
        ),
        "azure/role-assignment/effect": Recorded(
            25, "logs: providers wait 25 s; vendor: up to 10 minutes (facts/durations.tsv)"
        ),
        "azure/federated-credential/write": Recorded(
            5, "estimate; others back off 20 s and more (facts/durations.tsv)"
        ),
        "compute/network/insert": Recorded(23, "logs: 22 s and 23 s of Terraform"),
        "compute/network/delete": Recorded(11, "logs: 11 s, once 27 s"),
        "compute/subnetwork/insert": Recorded(19, "logs: 12 s to 23 s in four"),
        "compute/subnetwork/delete": Recorded(12, "logs: 12 s"),
        "compute/router/insert": Recorded(22, "logs: 22 s, once 12 s"),
        "compute/router/patch": Recorded(12, "logs: 11 s to 23 s in four, to add NAT"),
        "compute/firewall/insert": Recorded(12, "logs: 11 s to 22 s"),
        "compute/instance/start": Recorded(30, "estimate; like EC2: staging until running"),
        "compute/change": Recorded(4, "estimate; any other change of Compute Engine"),
        "eks/cluster/create": Recorded(
            540,
            "vendor: 9 minutes or less on average (github.com/aws/containers-roadmap#1227);"
            " logs: 8m23s to 11m23s in ten of them",
        ),
        "eks/cluster/delete": Recorded(240, "logs: 1m09s to 8m42s in ten, half below 3m24s"),
        "eks/cluster/update": Recorded(300, "estimate; endpoint, logging and access changes"),
        "eks/nodegroup/create": Recorded(150, "logs: 1m28s to 3m21s in eight of nine"),
        "eks/nodegroup/join": Recorded(
            900, "vendor: machines have 15 minutes to join (facts/durations.tsv)"
        ),
        "eks/nodegroup/update": Recorded(180, "estimate; grows with the number of nodes replaced"),
        "eks/nodegroup/scale": Recorded(60, "estimate; an instance from its launch until it joins"),
        "eks/nodegroup/delete": Recorded(
            300,
            "logs: 4m12s to 8m21s in five;"
            " 10 minutes for 4 nodes (github.com/gruntwork-io/cloud-nuke#339)",
        ),
        "eks/addon/create": Recorded(20, "logs: 14s to 56s in a dozen, with nodes to run it"),
        "eks/addon/update": Recorded(20, "estimate: like create"),
        "eks/addon/delete": Recorded(5, "estimate"),
        "eks/addon/degraded": Recorded(10, "estimate; how soon health shows missing replicas"),
        "eks/access/propagation": Recorded(2, "estimate; an access entry until its first use"),
        "ec2/nat-gateway/create": Recorded(105, "logs: 1m36s to 1m57s in ten"),
        "ec2/nat-gateway/delete": Recorded(60, "logs: 37s to 1m19s in nine"),
        "ec2/instance/start": Recorded(30, "estimate; pending until running"),
        "elb/interfaces/release": Recorded(30, "estimate; a deleted load balancer's interfaces"),
        "google/cluster/create": Recorded(
            214, "logs: public Terraform runs, 213 to 562 s for zonal clusters"
        ),
        "google/cluster/create-regional": Recorded(
            813, "logs: public Terraform runs, 754 to 872 s for regional and Autopilot clusters"
        ),
        "google/cluster/delete": Recorded(189, "logs: public Terraform runs, 164 to 495 s"),
        "google/cluster/update": Recorded(60, "estimate; endpoints, add-ons, labels"),
        "google/cluster/upgrade": Recorded(600, "estimate; the control plane alone"),
        "google/node-pool/create": Recorded(82, "logs: public Terraform runs, 64 to 116 s"),
        "google/node-pool/delete": Recorded(
            257, "logs: public Terraform runs, one pool in three zones"
        ),
        "google/node-pool/resize": Recorded(60, "estimate: like create, without the pool"),
        "google/node-pool/update": Recorded(120, "estimate; per batch of replaced nodes"),
        "google/node-pool/drain": Recorded(
            3600, "vendor: budgets and grace periods are respected for up to an hour"
        ),
        "google/policy/deleted": Recorded(
            30, "estimate; until policies show deleted: (terraform-provider-google#17737)"
        ),
        "google/policy/effective": Recorded(
            120, "vendor: Access change propagation: typically 2 minutes, 7 or longer at times"
        ),
        "google/repository/create": Recorded(5, "estimate"),
        "google/repository/delete": Recorded(5, "estimate"),
        "google/service/enable": Recorded(10, "estimate; the operation alone"),
        "google/service/usable": Recorded(
            60, "logs: a pause of 60 s was enough in 4 of 5 runs (solutions-modern-cicd-anthos#33)"
        ),
        "google/service-account/visible": Recorded(
            10, "logs: terraform-provider-google, resource_google_service_account.go:200"
        ),
        "iam/propagation": Recorded(
            8,
            "estimate; the vendor says only that IAM is eventually consistent"
            " (IAM User Guide, Troubleshoot IAM: changes are not always immediately visible)",
        ),
        "kube/node/ready": Recorded(15, "estimate; a registered node until its network works"),
        "kube/pod/start": Recorded(3, "estimate; small image, already near"),
        "kube/pod/complete": Recorded(5, "estimate; the run of a short job"),
        "kube/pod/stop": Recorded(2, "estimate; a process that obeys SIGTERM"),
        "kube/volume/provision": Recorded(5, "estimate; CreateVolume until the claim is bound"),
        "kube/load-balancer/provision": Recorded(20, "estimate; until the host name is in status"),
        "kube/load-balancer/delete": Recorded(10, "estimate; until the finalizer goes"),
    }
)
"""Durations of the real services in seconds, by ``service/thing/verb``."""


class Pace:
    """How many times faster than the real service the sandbox runs."""

    def __init__(self, factor: float) -> None:
        """``factor`` is greater than 0; ``math.inf`` means no waiting. Otherwise ``ValueError``."""
        if math.isnan(factor) or factor <= 0:
            raise ValueError(f"pace {factor!r}: give a number greater than 0, or max")
        self.factor = factor

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Read ``60``, ``1``, ``0.5`` or ``max`` (no waiting); ``ValueError`` for anything else."""
        word = text.strip().lower()
        if word == "max":
            return cls(math.inf)
        try:
            factor = float(word)
        except ValueError:
            factor = math.nan
        if not 0 < factor < math.inf:
            raise ValueError(
                f"pace {text!r}: give how many times faster than the real cloud, like 60 or 1,"
                " or max for no waiting at all"
            )
        return cls(factor)

    def seconds(self, what: str) -> float:
        """The duration of ``what``, a key of ``RECORDED``, at this pace; else ``KeyError``."""
        try:
            return self.scaled(RECORDED[what].seconds)
        except KeyError:
            raise KeyError(f"no duration is recorded for {what!r} in RECORDED") from None

    def scaled(self, seconds: float) -> float:
        """This many seconds of the real service, at this pace."""
        return seconds / self.factor

    def __str__(self) -> str:
        """The text that ``parse`` takes."""
        return "max" if math.isinf(self.factor) else f"{self.factor:g}"

    def __repr__(self) -> str:
        return f"Pace({self.factor!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pace) and other.factor == self.factor

    def __hash__(self) -> int:
        return hash(self.factor)

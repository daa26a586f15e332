"""The account's resources, and the conditions under which it operates."""

from __future__ import annotations

import ipaddress
import random
import string
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from clusterkit_sandbox.alibaba.models import (
    Cluster,
    Eip,
    Instance,
    LoadBalancer,
    NetworkInterface,
    Thing,
    VSwitch,
)
from clusterkit_sandbox.alibaba.signature import AccessKey, Signatures
from clusterkit_sandbox.alibaba.tasks import Tasks
from clusterkit_sandbox.content import Content
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kit import store as kept
from clusterkit_sandbox.kit.calls import Tokens
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.quotas import quotas
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.registry.bearer import Granted

_ALPHABET = string.digits + string.ascii_lowercase

ACCOUNT = "1234567890123456"
"""The account id."""
USER = "234567890123456789"
"""The id of the RAM user who owns the access key."""
_PUBLIC = [
    str(address)
    for block in ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
    for address in ipaddress.IPv4Network(block).hosts()
]
_BENCHMARKS = ipaddress.IPv4Network("198.18.0.0/15")
QUOTAS: dict[str, int] = {
    "vpc": 10,  # per region (vendor: VPC "Limits and quotas")
    "vswitch": 150,  # per VPC (the same page)
    "eip": 20,  # per region (vendor: EIP "Limits")
    "snat": 40,  # per NAT gateway (vendor: NAT Gateway "Limits")
    "key-pair": 500,  # per region (vendor: ECS "Limits", SSH key pairs)
    "security-group": 100,  # per region (vendor: ECS "Limits", basic security groups)
    # per region; the vendor gives every account figures of its own (Quota Center), these are ours
    "network-interface": 5000,
    "vcpu": 3000,
    "spot-vcpu": 800,
    "dedicated-host": 10,
    "command": 100,
    "role": 1000,  # per account (vendor: RAM "Limits")
    "cluster": 50,  # per account (vendor: DescribeUserQuota)
    "standard-cluster": 2,  # ack.standard, per account (vendor: ACK "Quotas and limits", 2025-07)
    "standard-node": 10,  # nodes of an ack.standard cluster (the same page)
    "node": 100,  # per cluster (vendor: DescribeUserQuota)
    "nodepool": 20,  # per cluster (vendor: DescribeUserQuota)
}


@dataclass
class Conditions:
    """What differs between accounts; may be changed at any time."""

    activated: bool = True
    """Container Service is activated, and its service roles are granted; read by ``reset``"""
    solvent: bool = True
    """the account has a balance"""
    real_name: Literal["yes", "none", "unnecessary"] = "yes"
    """whether its owner's name is verified, which regions in mainland China ask for"""
    registry: bool = True
    """an enterprise registry instance has been bought; read by ``reset``"""
    quotas: dict[str, int] = field(default_factory=lambda: quotas(QUOTAS))
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    """(instance type, zone), besides what the catalogue says; ``*`` is every type"""
    joining: bool = True
    """new machines become nodes; those that do not are no failure to Auto Scaling"""


class Store(kept.Store):
    """All resources of the account, its clock, and the addresses of its networks."""

    def __init__(self, pace: Pace, faults: Faults, content: Content) -> None:
        super().__init__()
        self.faults = faults
        self.content = content
        self.passwords = Granted[tuple[str, AccessKey]]()
        """of registries: which one, and whose"""
        self.clock = Clock(pace)
        self.tasks = Tasks(self, self.clock, self.new_hex)
        self.conditions = Conditions()
        self.signatures = Signatures()
        self.tokens = Tokens()
        self.activated = True
        self._random = random.Random()

    def clear(self) -> None:
        """Remove every resource and pending change; keys and conditions stay."""
        self.clock.clear()
        with self.lock:
            super().clear()
            self.tasks.clear()
            self.tokens.clear()
            self.signatures.forget_temporary()
            self.passwords.clear()

    # time

    def seconds(self, what: str) -> float:
        """A recorded duration at this pace, by its key after ``alibaba/``."""
        return self.clock.pace.seconds(f"alibaba/{what}")

    def due(self, what: str) -> float:
        """When something started now is done, by the clock."""
        return self.clock.due(f"alibaba/{what}")

    def pending(self, thing: Thing) -> bool:
        """Whether it is still being created or changed."""
        return self.clock.now < thing.due

    def later(self, what: str, change: Callable[[], None]) -> None:
        """Apply a change after the duration of ``what``; it is called without the lock."""
        self.clock.later(f"alibaba/{what}", change)

    def remove_later(self, what: str, thing: Thing) -> None:
        """Remove it after the duration of ``what``."""

        def gone() -> None:
            with self.lock:
                self.remove(thing)

        self.later(what, gone)

    # names and addresses

    def new_id(self, prefix: str, length: int = 16) -> str:
        """``vpc-t4n…``, as the vendor's ids look."""
        return f"{prefix}-t4n" + "".join(self._random.choices(_ALPHABET, k=length))

    def new_number(self) -> str:
        """An 18-digit id, as RAM's and the registry's are."""
        return str(self._random.randrange(10**17, 10**18))

    def new_hex(self, length: int = 32) -> str:
        """Hexadecimal, as Container Service's ids are."""
        return uuid.UUID(int=self._random.getrandbits(128)).hex[:length]

    def public_address(self) -> str:
        """A free address of the ranges for documentation (RFC 5737); when they are used up, of
        those for benchmarks (RFC 2544).
        """
        taken = {eip.address for eip in self.all(Eip)}
        taken |= {cluster.public_address for cluster in self.all(Cluster)}
        taken |= {balancer.address for balancer in self.all(LoadBalancer)}
        while True:
            few = len(taken) < len(_PUBLIC) // 2
            free = _PUBLIC if few else [one for one in _PUBLIC if one not in taken]
            address = self._random.choice(free) if free else self._more_public()
            if address not in taken:
                return address

    def _more_public(self) -> str:
        return str(_BENCHMARKS[self._random.randrange(1, _BENCHMARKS.num_addresses - 1)])

    def private_address(self, vswitch: VSwitch, besides: Iterable[str] = ()) -> str | None:
        """A free address of a vSwitch, none of ``besides``; the first one and the last three are
        the vendor's own.
        """
        taken = set(besides) | self._taken(vswitch)
        last = vswitch.cidr.num_addresses - 4
        for number in range(1, last + 1):
            address = str(vswitch.cidr[number])
            if address not in taken:
                return address
        return None

    def _taken(self, vswitch: VSwitch) -> set[str]:
        taken = {i.address for i in self.all(Instance) if i.vswitch == vswitch.id}
        taken |= {i.address for i in self.all(NetworkInterface) if i.vswitch == vswitch.id}
        taken |= {b.address for b in self.all(LoadBalancer) if vswitch.id in b.vswitches}
        return taken

    def is_free(self, vswitch: VSwitch, text: str) -> bool:
        """Whether this address of the vSwitch is free."""
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            return False
        number = int(address) - int(vswitch.cidr.network_address)
        inside = 1 <= number <= vswitch.cidr.num_addresses - 4
        return inside and str(address) not in self._taken(vswitch)

    def free_addresses(self, vswitch: VSwitch) -> int:
        """The number of free addresses of the vSwitch."""
        used = sum(i.vswitch == vswitch.id for i in self.all(Instance))
        used += sum(i.vswitch == vswitch.id for i in self.all(NetworkInterface))
        used += sum(b.kind == "clb" and vswitch.id in b.vswitches for b in self.all(LoadBalancer))
        return vswitch.cidr.num_addresses - 4 - used

"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call, gone_is_fine
from clusterkit.eks.tags import Marked, Tags, name_of, ours, read_tags, specification, tag_ec2
from clusterkit.engine.resource import Change, Ctx, one_each


@dataclass(frozen=True)
class KeyPairState:
    """A key pair; its public key cannot be read back, so its name tells which it is."""

    id: str
    key_name: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyPair(Marked[Clients, KeyPairState]):
    """An imported public key.

    Key pairs are unique by name in a region and cannot be changed: the name holds a hash of the
    key, so another key is another key pair.
    """

    kind: ClassVar[str] = "key-pair"
    public_key: str
    """``ssh-ed25519 AAAA…`` or ``ssh-rsa AAAA…``"""

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, KeyPairState]:
        # DescribeKeyPairs has no pages
        found = call(cx.clients.ec2.describe_key_pairs, Filters=[ours(cx)])["KeyPairs"]
        states = (KeyPairState(k["KeyPairId"], k["KeyName"], read_tags(k["Tags"])) for k in found)
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        call(
            cx.clients.ec2.import_key_pair,
            KeyName=f"clusterkit-{cx.cluster}-{self.name}",
            PublicKeyMaterial=self.public_key.encode(),
            TagSpecifications=specification(cx, self, "key-pair"),
        )

    def diff(self, cx: Ctx[Clients], have: KeyPairState) -> list[Change]:
        return self.tag_changes(have.tags)

    def update(self, cx: Ctx[Clients], have: KeyPairState, changes: list[Change]) -> None:
        tag_ec2(cx, self, have.id, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: KeyPairState) -> None:
        # DeleteKeyPair of a missing one succeeds (EC2 API Reference)
        gone_is_fine(cx.clients.ec2.delete_key_pair, KeyPairId=have.id)

"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from clusterkit.alibaba import tags
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.tags import Marked, Tags, name_of, ours, read_tags, shown_name, write_tags
from clusterkit.engine.resource import Change, Ctx, one_each


@dataclass(frozen=True)
class KeyPairState:
    """A key pair; its name tells which key it is."""

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
        clients, path = cx.clients, "KeyPairs.KeyPair"
        found = clients.pages(
            clients.ecs, "DescribeKeyPairs", path, RegionId=clients.region, Tag=ours(cx)
        )
        states = (KeyPairState(k["KeyPairName"], read_tags(k)) for k in found)
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        cx.clients.ecs(
            "ImportKeyPair",
            RegionId=cx.clients.region,
            KeyPairName=shown_name(cx, self.name),
            PublicKeyBody=self.public_key,
            Tag=write_tags(self.wanted_tags(cx)),
        )

    def diff(self, cx: Ctx[Clients], have: KeyPairState) -> list[Change]:
        return self.tag_changes(have.tags)

    def update(self, cx: Ctx[Clients], have: KeyPairState, changes: list[Change]) -> None:
        tags.retag(cx, self, "ecs", "keypair", have.key_name, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: KeyPairState) -> None:
        names = json.dumps([have.key_name])
        gone_is_fine(
            cx.clients.ecs, "DeleteKeyPairs", RegionId=cx.clients.region, KeyPairNames=names
        )

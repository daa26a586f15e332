"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.tags import Tagged, read_tags, shown_name, write_tags
from clusterkit.engine.kind import Env, Tags
from clusterkit.engine.scope import Scope


@dataclass(frozen=True)
class KeyPairState:
    """A key pair; its name tells which key it is."""

    id: str
    """its name"""
    tags: Tags = field(default_factory=dict)
    status: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyPair(Tagged[KeyPairState]):
    """An imported public key.

    Key pairs are unique by name in a region and cannot be changed: the name holds a hash of the
    key, so another key is another key pair.
    """

    kind: ClassVar[str] = "key-pair"
    product: ClassVar = "ecs"
    type: ClassVar[str] = "keypair"
    lists: ClassVar[str] = "DescribeKeyPairs"
    public_key: str
    """``ssh-ed25519 AAAA…`` or ``ssh-rsa AAAA…``"""

    @classmethod
    def state(cls, shown: Any) -> KeyPairState:
        return KeyPairState(shown["KeyPairName"], read_tags(shown))

    def taken(self, env: Env[Clients]) -> KeyPairState | None:
        return next(self.there(env, KeyPairName=shown_name(env, self.name)), None)

    def create(self, env: Env[Clients]) -> None:
        env.client.ecs(
            "ImportKeyPair",
            KeyPairName=shown_name(env, self.name),
            PublicKeyBody=self.public_key,
            Tag=write_tags(self.marks(env)),
        )

    @classmethod
    def delete(cls, scope: Scope[Clients], have: KeyPairState) -> None:
        scope.client.ecs("DeleteKeyPairs", KeyPairNames=json.dumps([have.id]))

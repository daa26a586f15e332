"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.network import neighbours
from clusterkit.alibaba.tags import AlibabaState, Calls, Tagged, shown_name, write_tags
from clusterkit.engine.kind import Env, Occupant
from clusterkit.engine.scope import Scope


class KeyPair(Tagged[AlibabaState]):
    """An imported public key; its id is its name.

    Key pairs are unique by name in a region and cannot be changed: the name holds a hash of the
    key, so another key is another key pair.
    """

    kind: ClassVar[str] = "key-pair"
    calls: ClassVar = Calls("ecs", "keypair", "KeyPairName", "DescribeKeyPairs", "DeleteKeyPairs")
    public_key: str
    """``ssh-ed25519 AAAA…`` or ``ssh-rsa AAAA…``"""

    def taken(self, env: Env[Clients]) -> AlibabaState | None:
        return next(self.there(env, KeyPairName=shown_name(env, self.name)), None)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: AlibabaState) -> Iterator[Occupant]:
        return neighbours(scope).instances(KeyPairName=have.id)

    def create(self, env: Env[Clients]) -> None:
        name, tags = shown_name(env, self.name), write_tags(self.marks(env))
        key = {"KeyPairName": name, "PublicKeyBody": self.public_key}
        env.client.ecs("ImportKeyPair", **key, Tag=tags)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AlibabaState) -> None:
        scope.client.ecs(cls.calls.delete, KeyPairNames=json.dumps([have.id]))

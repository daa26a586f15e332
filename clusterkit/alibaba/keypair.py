"""The SSH key pair of the nodes, imported from the profile's public key.

CreateClusterNodePool wants a key pair or a password. Without a key in the profile the pair opens
nothing: its private half is thrown away where it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.network import neighbours
from clusterkit.alibaba.tags import AlibabaState, Calls, Tagged, in_group, shown_name, write_tags
from clusterkit.engine.kind import Env
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope

NOBODYS = "no-login"
"""name of the pair that opens nothing"""
BITS = 2048
"""of its RSA key; ImportKeyPair asks for an SSH public key, and RSA is the kind it documents"""


def nobodys_key() -> str:
    """A new public key whose private half is thrown away."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made = rsa.generate_private_key(public_exponent=65537, key_size=BITS).public_key()
    return made.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


class KeyPair(Tagged[AlibabaState]):
    """An imported public key; its id is its name.

    Key pairs are unique by name in a region and cannot be changed: the name holds a hash of the
    key, so another key is another key pair.
    """

    kind: ClassVar[str] = "key-pair"
    calls: ClassVar = Calls("ecs", "keypair", "KeyPairName", "DescribeKeyPairs", "DeleteKeyPairs")
    public_key: str = ""
    """``ssh-ed25519 AAAA…`` or ``ssh-rsa AAAA…``; empty: one that nobody has the private half of"""

    def taken(self, env: Env[Clients]) -> AlibabaState | None:
        return next(self.there(env, KeyPairName=shown_name(env, self.name)), None)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: AlibabaState) -> Iterator[Occupant]:
        return neighbours(scope).instances(KeyPairName=have.id)

    def create(self, env: Env[Clients]) -> None:
        name, tags = shown_name(env, self.name), write_tags(self.marks(env))
        key = {"KeyPairName": name, "PublicKeyBody": self.public_key or nobodys_key()}
        env.client.ecs("ImportKeyPair", **key, Tag=tags, **in_group(env))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AlibabaState) -> None:
        scope.client.ecs(cls.calls.delete, KeyPairNames=json.dumps([have.id]))

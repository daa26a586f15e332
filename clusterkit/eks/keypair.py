"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.tags import Ec2, Ec2State
from clusterkit.engine.kind import Env


class KeyPairState(Ec2State):
    """A key pair; its name says which key it is."""

    key_name: str


class KeyPair(Ec2[KeyPairState]):
    """An imported public key.

    Key pairs are unique by name in a region and cannot be changed: the name holds a hash of the
    key, so another key is another key pair.
    """

    kind: ClassVar[str] = "key-pair"
    listing: ClassVar = ("describe_key_pairs", "KeyPairs", "KeyPairId")
    public_key: str
    """``ssh-ed25519 AAAA…`` or ``ssh-rsa AAAA…``"""

    @classmethod
    def state(cls, shown: Any) -> KeyPairState:
        return KeyPairState(**cls.common(shown), key_name=shown["KeyName"])

    def _key_name(self, env: Env[Clients]) -> str:
        return f"clusterkit-{env.cluster}-{self.name}"

    def create(self, env: Env[Clients]) -> None:
        env.client.ec2.import_key_pair(
            KeyName=self._key_name(env),
            PublicKeyMaterial=self.public_key.encode(),
            TagSpecifications=self.specification(env),
        )

    def taken(self, env: Env[Clients]) -> Any:
        return self.first(env, KeyNames=[self._key_name(env)])

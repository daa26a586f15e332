"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.tags import Ec2, Ec2State
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env
from clusterkit.engine.scope import Scope


class KeyPairState(Ec2State):
    """A key pair; its name says which key it is."""

    key_name: str
    public_key: str = ""
    """without its comment; empty if EC2 does not tell it"""


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
    def stem(cls, name: str) -> str:
        return cls.kind  # a cluster has one

    @classmethod
    def state(cls, shown: Any) -> KeyPairState:
        key = _plain(shown.get("PublicKey") or "")
        return KeyPairState(**cls.common(shown), key_name=shown["KeyName"], public_key=key)

    @classmethod
    def found(cls, scope: Scope[Clients], *filters: Any, **parameters: Any) -> Sequence[Any]:
        return super().found(scope, *filters, IncludePublicKey=True, **parameters)

    def edits(self, env: Env[Clients], have: KeyPairState) -> Iterator[Edit]:
        if have.public_key and have.public_key != _plain(self.public_key):
            yield Edit("key", have.public_key, _plain(self.public_key), replace=True)

    def _key_name(self, env: Env[Clients]) -> str:
        return f"clusterkit-{env.cluster}-{self.name}"

    def create(self, env: Env[Clients]) -> KeyPairState:
        made = env.client.ec2.import_key_pair(
            KeyName=self._key_name(env),
            PublicKeyMaterial=self.public_key.encode(),
            TagSpecifications=self.specification(env),
        )
        return self.state(made)

    def taken(self, env: Env[Clients]) -> Any:
        return self.first(env, KeyNames=[self._key_name(env)])


def _plain(key: str) -> str:
    """``ssh-ed25519 AAAA…``; the comment says nothing of which key it is."""
    return " ".join(key.split()[:2])

"""The SSH key pair of the nodes, imported from the profile's public key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.tags import Ec2, ours, read_tags
from clusterkit.engine.kind import Env, Tags
from clusterkit.engine.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType


@dataclass(frozen=True)
class KeyPairState:
    """A key pair; its name says which key it is."""

    id: str
    key_name: str
    status: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyPair(Ec2[KeyPairState]):
    """An imported public key.

    Key pairs are unique by name in a region and cannot be changed: the name holds a hash of the
    key, so another key is another key pair.
    """

    kind: ClassVar[str] = "key-pair"
    type: ClassVar[ResourceTypeType] = "key-pair"
    public_key: str
    """``ssh-ed25519 AAAA…`` or ``ssh-rsa AAAA…``"""

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[KeyPairState]:
        return _key_pairs(scope, Filters=[ours(scope)])

    def _key_name(self, env: Env[Clients]) -> str:
        return f"clusterkit-{env.cluster}-{self.name}"

    def create(self, env: Env[Clients]) -> None:
        env.client.ec2.import_key_pair(
            KeyName=self._key_name(env),
            PublicKeyMaterial=self.public_key.encode(),
            TagSpecifications=self.specification(env),
        )

    @classmethod
    def delete(cls, scope: Scope[Clients], have: KeyPairState) -> None:
        scope.client.ec2.delete_key_pair(KeyPairId=have.id)

    def taken(self, env: Env[Clients]) -> KeyPairState | None:
        return next(iter(_key_pairs(env, KeyNames=[self._key_name(env)])), None)


def _key_pairs(scope: Scope[Clients], **parameters: Any) -> list[KeyPairState]:
    # DescribeKeyPairs has no pages
    found = scope.client.ec2.describe_key_pairs(**parameters)["KeyPairs"]
    return [
        KeyPairState(each["KeyPairId"], each["KeyName"], tags=read_tags(each.get("Tags")))
        for each in found
    ]

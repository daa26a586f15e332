"""The lock of a cluster between machines: an ECS key pair.

Its name is unique in an account and region (ECS API, ``ImportKeyPair``: ``KeyPair.AlreadyExist``),
it costs nothing, and it takes tags in the create call. Nobody can log in with it.
"""

from __future__ import annotations

import json

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.keypair import KeyPair, nobodys_key
from clusterkit.alibaba.tags import in_group, write_tags
from clusterkit.engine.cloud_lock import PREFIX, CloudLock, Held
from clusterkit.engine.kind import Tags
from clusterkit.engine.scope import Scope


def _name(scope: Scope[Clients]) -> str:
    return f"{PREFIX}-{scope.cluster}"


class KeyPairLock(CloudLock[Clients]):
    """A key pair that opens nothing."""

    def read(self, scope: Scope[Clients]) -> Held | None:
        named = scope.client.every(KeyPair.calls.list, KeyPairName=_name(scope))
        for each in map(KeyPair.state, named):
            if each.id == _name(scope):
                return Held(each.id, each.tags)
        return None

    def take(self, scope: Scope[Clients], tags: Tags) -> None:
        key = {"KeyPairName": _name(scope), "PublicKeyBody": nobodys_key()}
        scope.client.ecs("ImportKeyPair", **key, Tag=write_tags(tags), **in_group(scope))

    def write(self, scope: Scope[Clients], identifier: str, tags: Tags) -> None:
        KeyPair.label(scope, identifier, tags)

    def release(self, scope: Scope[Clients], identifier: str) -> None:
        scope.client.ecs(KeyPair.calls.delete, KeyPairNames=json.dumps([identifier]))

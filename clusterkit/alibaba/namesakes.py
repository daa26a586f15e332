"""What has a name that clusterkit gives and no tag of any cluster: ours once, or never.

Nothing else tells of such a key pair, access list, role or policy when the cluster is gone. Destroy
names them and leaves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clusterkit.alibaba.access_list import AccessList
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.iam import unmarked
from clusterkit.alibaba.keypair import KeyPair
from clusterkit.alibaba.tags import shown_name
from clusterkit.engine.cloud_lock import PREFIX as LOCK
from clusterkit.engine.kind import Leftover
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied
from clusterkit.naming import CLUSTER


@dataclass(frozen=True)
class NamesakeState:
    """Something without tags."""

    id: str
    kind: str
    command: str
    """deletes it"""
    status: str = ""


def _found(scope: Scope[Clients]) -> Iterator[NamesakeState]:
    def untagged(kind: Any, **where: str) -> Iterator[str]:
        # a cluster called "lock" would find the locks of all others
        there = kind.there(scope, **where)
        return (have.id for have in there if not {CLUSTER, LOCK} & have.tags.keys())

    region = f"--region {scope.region}"
    for identifier in untagged(KeyPair, KeyPairName=shown_name(scope, "*")):
        delete = f"aliyun ecs DeleteKeyPairs --KeyPairNames '[\"{identifier}\"]' {region}"
        yield NamesakeState(identifier, "key pair", delete)
    for identifier in untagged(AccessList, AclName=shown_name(scope, "api")):
        delete = f"aliyun slb DeleteAccessControlList --AclId {identifier} {region}"
        yield NamesakeState(identifier, "access list", delete)
    with suppress(Denied):  # RAM is for those who use a registry
        for kind, name in unmarked(scope, "push"):
            word = kind.capitalize()
            delete = f"aliyun ram Delete{word} --{word}Name {name}"
            yield NamesakeState(f"{kind}:{name}", kind, delete)


def _kept(have: NamesakeState) -> str:
    what = f"this {have.kind} has a name of this cluster's, but not its tags"
    return f"{what}; {have.command} deletes it"


Namesakes = Leftover[Clients]("namesakes", _found, lambda *_: None, keep=_kept, optional=True)

"""The SSH public key of the nodes (Microsoft.Compute ``sshPublicKeys``).

AKS takes the key itself, not a reference to it; the resource is where people and other tools find
it. AKS does not take a key away again, it only puts another in its place: without one in the
profile that is a key whose private half nobody has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from clusterkit.aks.client import Clients
from clusterkit.aks.tags import ArmState, Resource
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env
from clusterkit.engine.operation import Operation

NOBODY = "clusterkit-nobody"
"""comment of a key that opens nothing"""


def same_key(text: str) -> str:
    """A key without its comment; ``NOBODY`` for one that opens nothing."""
    words = text.split()
    return NOBODY if words[2:] == [NOBODY] else " ".join(words[:2])


def ssh(key: str) -> dict[str, Any]:
    """A key as a cluster's ``linuxProfile`` has it."""
    return {"ssh": {"publicKeys": [{"keyData": key}]}}


def nobodys_key() -> str:
    """A public key, whose private half is thrown away."""
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made = ed25519.Ed25519PrivateKey.generate().public_key()
    return f"{made.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} {NOBODY}"


class SshPublicKeyState(ArmState):
    """A public key."""

    public_key: str
    """without a comment"""


class SshPublicKey(Resource[SshPublicKeyState]):
    """The profile's public key."""

    kind: ClassVar[str] = "ssh-public-key"
    type: ClassVar[str] = "Microsoft.Compute/sshPublicKeys"
    takes: ClassVar[Durations] = Durations(create=2, delete=2)
    public_key: str

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> SshPublicKeyState:
        key = (shown.get("properties") or {}).get("publicKey") or ""
        return SshPublicKeyState(**cls.shown(shown), public_key=same_key(key))

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        return self.put(env, properties={"publicKey": self.public_key})

    def edits(self, env: Env[Clients], have: SshPublicKeyState) -> Iterator[Edit]:
        def change() -> None:
            env.client.call("PATCH", have.path, {"properties": {"publicKey": self.public_key}})

        yield from super().edits(env, have)
        yield from edit("public key", have.public_key, same_key(self.public_key), change)

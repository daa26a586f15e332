"""IAM policies of projects, service accounts and repositories.

What is bound is an identity, not a name (vendor: "Policies with deleted principals" and "Delete and
undelete service accounts"):

- a binding holds the unique id of a service account. When the account goes the binding stays, and
  is shown as ``deleted:serviceAccount:EMAIL?uid=ID`` some time later. Until then it shows the plain
  name, and who writes that back is refused: the account does not exist
  (hashicorp/terraform-provider-google#17737);
- an account made again under the same name is another identity. A binding that still shows the
  name stays the old one's, also for who writes it back: only a write without it and another one
  with it bind the new account;
- a grant takes effect after a while (vendor: "Access change propagation", 2 minutes typically);
- the etag is that of the policy read (409 ``ABORTED``); conditions need version 3 (vendor: "Allow
  policies", Policy versions).

``Identity Pool does not exist`` and ``Service account … does not exist`` were met by users:
terraform-google-modules/terraform-google-kubernetes-engine#916,
hashicorp/terraform-provider-google#4965.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterkit_sandbox.google.failure import Failure, Json, rpc

if TYPE_CHECKING:
    from clusterkit_sandbox.google.accounts import Identities

EMPTY_ETAG = "ACAB"
"""of a policy that was never set"""
_TYPES = re.compile(
    r"(allUsers|allAuthenticatedUsers|(user|group|domain|serviceAccount|projectOwner|projectEditor"
    r"|projectViewer|deleted:(user|group|serviceAccount)):.+"
    r"|(deleted:)?(principal|principalSet)://.+)"
)
_DELETED = re.compile(r"deleted:serviceAccount:(?P<email>[^?]+)\?uid=(?P<uid>[0-9]+)")
_POOLED = re.compile(r"serviceAccount:(?P<pool>[a-z0-9.:-]+\.svc\.id\.goog)\[[^\]/]+/[^\]/]+\]")
_ACCOUNT = "serviceAccount:"


@dataclass
class Member:
    """Who is bound."""

    text: str
    """as it was written, without ``deleted:`` and ``?uid=``"""
    uid: str = ""
    """of a service account of the project"""
    since: float = 0
    """when it was bound, by the clock"""


@dataclass
class Binding:
    """One role, and who has it on what condition."""

    role: str
    condition: Json | None
    members: list[Member]

    @property
    def key(self) -> tuple[str, str]:
        """Two bindings with the same one are one."""
        return self.role, json.dumps(self.condition, sort_keys=True)


@dataclass
class Policy:
    """The policy of one resource; implements ``kit.store.Kept``."""

    id: str
    """the resource's name"""
    bindings: list[Binding] = field(default_factory=list)
    audit: list[Json] = field(default_factory=list)
    changes: int = 0
    before: tuple[Json | None, float] = (None, 0)
    """what reads still show, and until when by the clock"""
    scope: str = ""

    def needs(self) -> Iterable[str]:
        """Nothing: it goes with its resource."""
        return ()

    @property
    def etag(self) -> str:
        """Changes with every write."""
        if not self.changes:
            return EMPTY_ETAG
        digest = hashlib.sha256(f"{self.id}#{self.changes}".encode()).digest()
        return base64.b64encode(b"\x07" + digest[:7]).decode()

    def shown(self, names: Identities, version: int = 1) -> Json:
        """As ``getIamPolicy`` answers who asked for this version."""
        found: Json = {}
        conditional = any(one.condition for one in self.bindings)
        bindings = []
        for one in self.bindings:
            body: Json = {"role": one.role, "members": [_shown(m, names) for m in one.members]}
            if one.condition and version >= 3:
                body["condition"] = one.condition
            elif one.condition:
                digest = hashlib.sha256(json.dumps(one.key).encode()).hexdigest()
                body["role"] = f"{one.role}_withcond_{digest[:20]}"
            bindings.append(body)
        if bindings:
            found["bindings"] = bindings
        if self.audit:
            found["auditConfigs"] = self.audit
        if self.changes:
            found["version"] = 3 if conditional and version >= 3 else 1
        return found | {"etag": self.etag}

    def replace(self, given: Json, names: Identities, now: float) -> None:
        """Set it; ``Failure`` leaves it as it is."""
        if given.get("etag") and _bytes(given["etag"]) != _bytes(self.etag):
            raise rpc(
                "ABORTED",
                "There were concurrent policy changes. Please retry the whole read-modify-write"
                " with exponential backoff. The request's ETag"
                f" '{given['etag']}' did not match the current policy's ETag '{self.etag}'.",
            )
        bindings: dict[tuple[str, str], Binding] = {}
        for one in given.get("bindings") or ():
            made = self._binding(one, int(given.get("version") or 0), names, now)
            known = bindings.setdefault(made.key, made)
            if known is not made:
                texts = {(m.text, m.uid) for m in known.members}
                known.members += [m for m in made.members if (m.text, m.uid) not in texts]
        self.bindings = [one for one in bindings.values() if one.members]
        self.audit = list(given.get("auditConfigs") or ())
        self.changes += 1

    def _binding(self, given: Json, version: int, names: Identities, now: float) -> Binding:
        role, condition = str(given.get("role") or ""), given.get("condition") or None
        if not role.startswith(("roles/", "projects/", "organizations/")) or "_withcond_" in role:
            raise _rejected(f"Role {role} is not supported for this resource.")
        if condition and version < 3:
            raise _rejected(
                "Policies with conditions must specify a policy version of 3. See"
                " https://cloud.google.com/iam/docs/policies#versions."
            )
        made = Binding(role, condition, [])
        before = next((one for one in self.bindings if one.key == made.key), None)
        known = {(m.text, m.uid): m for m in before.members} if before is not None else {}
        for text in given.get("members") or ():
            member = _member(str(text), names, known.values(), now)
            made.members.append(known.get((member.text, member.uid), member))
        return made

    def effective(
        self, principals: Sequence[Member], grants: Callable[[str], bool], before: float
    ) -> bool:
        """Whether a role of these principals that was bound ``before`` grants what is asked."""
        who = {(one.text, one.uid) for one in principals}
        who |= {("allUsers", ""), ("allAuthenticatedUsers", "")}
        return any(
            grants(one.role)
            and any((m.text, m.uid) in who and m.since <= before for m in one.members)
            for one in self.bindings
        )


def _rejected(message: str) -> Failure:
    return rpc("INVALID_ARGUMENT", message)


def _bytes(text: object) -> str:
    """The same for both alphabets of base64: clients re-encode bytes in either (protobuf.dev,
    "ProtoJSON Format").
    """
    return str(text).replace("-", "+").replace("_", "/").rstrip("=")


def _shown(member: Member, names: Identities) -> str:
    if not member.uid or names.email(member.uid) is not None:
        return member.text
    return f"deleted:{member.text}?uid={member.uid}"


def _member(text: str, names: Identities, known: Iterable[Member], now: float) -> Member:
    """Who is meant by what is written."""
    if not _TYPES.fullmatch(text):
        raise _rejected(
            f"The member {text} is of an unknown type. Please set a valid type prefix for the"
            " member."
        )
    gone = _DELETED.fullmatch(text)
    if gone is not None:
        return Member(_ACCOUNT + gone["email"], gone["uid"], now)
    pooled = _POOLED.fullmatch(text)
    if pooled is not None and not names.pool(pooled["pool"]):
        raise _rejected(
            f"Identity Pool does not exist ({pooled['pool']}). Please check that you specified a"
            " valid resource name as returned in the `name` attribute in the configuration API."
        )
    if pooled is not None or not text.startswith(_ACCOUNT):
        return Member(text, "", now)
    uid = names.uid(text.removeprefix(_ACCOUNT))
    if uid is None:
        raise _rejected(f"Service account {text.removeprefix(_ACCOUNT)} does not exist.")
    # a binding that still shows the name of an account that is gone stays that account's
    for member in known:
        if member.text == text and member.uid and names.email(member.uid) is not None:
            return Member(text, member.uid, now)
    return Member(text, uid, now)

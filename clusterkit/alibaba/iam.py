"""The RAM role pods push images with, and its policy.

RAM is global. A role and its policy are marked in their descriptions, ``clusterkit
REGION/CLUSTER/NAME``; their name is made of the same. Roles for pods are trusted through the
cluster's OIDC provider (RRSA):
https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/use-rrsa-to-authorize-pods-to-access-different-cloud-services
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.cluster import ClusterState
from clusterkit.alibaba.tags import write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Kind, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, Gone, NotOurs
from clusterkit.naming import CLUSTER, NAME, mark, read_mark, safe

Document = dict[str, Any]
LONGEST_NAME = 64
"""characters of a role's name (CreateRole)"""


def role_name(region: str, cluster: str, name: str) -> str:
    """The role's name in the account."""
    return safe(f"clusterkit-{region}-{cluster}-{name}", LONGEST_NAME)


@dataclass(frozen=True)
class RoleState:
    """A role and the policy of its name."""

    id: str
    """its name"""
    arn: str
    tags: Tags
    """what its description stands for"""
    trust: Document | None = None
    policy: Document | None = None
    """of the policy with the role's name, if that is ours"""
    attached: frozenset[tuple[str, str]] = frozenset()
    """type and name of its policies"""
    foreign: bool = False
    """whether the policy with the role's name is somebody else's"""
    status: str = ""


class Role(Kind[Clients, RoleState]):
    """What the pods of some service accounts may do."""

    kind: ClassVar[str] = "role"
    taggable: ClassVar[bool] = False
    cluster: Kind[Any, ClusterState]
    accounts: tuple[str, ...]
    """``namespace/name``"""
    policy: str
    """JSON"""

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RoleState]:
        return (_state(scope, role) for role in scope.client.every("ListRoles"))

    @classmethod
    def read(cls, scope: Scope[Clients], found: RoleState) -> RoleState:
        ram, name = scope.client.ram, found.id
        shown = ram("GetRole", RoleName=name)["Role"]
        attached = at_path(ram("ListPoliciesForRole", RoleName=name), "Policies.Policy") or ()
        document, tags = _policy(scope, name)
        return replace(
            found,
            trust=json.loads(shown["AssumeRolePolicyDocument"]),
            policy=document if tags == found.tags else None,
            foreign=document is not None and tags != found.tags,
            attached=frozenset((each["PolicyType"], each["PolicyName"]) for each in attached),
        )

    def taken(self, env: Env[Clients]) -> RoleState | None:
        """The role of this one's name. ``NotOurs`` for somebody else's policy of that name, which
        no ``--adopt`` takes over.
        """
        name = role_name(env.region, env.cluster, self.name)
        try:
            return _state(env, env.client.ram("GetRole", RoleName=name)["Role"])
        except Gone:
            document, tags = _policy(env, name)
        if document is not None and tags.get(CLUSTER) != env.cluster:
            raise self._not_ours(name)
        return None

    def _not_ours(self, policy: str) -> NotOurs:
        """No ``--adopt`` takes a policy over."""
        what = f"the policy {policy} exists and is not described as this cluster's"
        return NotOurs(what, where=self.key, hint="delete it, or choose another cluster name")

    def create(self, env: Env[Clients]) -> RoleState:
        name, trust = role_name(env.region, env.cluster, self.name), self._trust(env)
        created = env.client.ram(
            "CreateRole",
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(trust),
            Description=mark(env.region, env.cluster, self.name),
            Tag=write_tags(self.marks(env)),
        )
        return replace(_state(env, created["Role"]), trust=trust, tags=self.marks(env))

    def _trust(self, env: Env[Clients]) -> Document:
        cluster = env[self.cluster]
        subjects = [f"system:serviceaccount:{a.replace('/', ':')}" for a in self.accounts]
        condition = {
            "oidc:aud": "sts.aliyuncs.com",
            "oidc:iss": cluster.issuer,
            "oidc:sub": subjects,
        }
        statement = {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Federated": [cluster.oidc_arn]},
            "Condition": {"StringEquals": condition},
        }
        return {"Statement": [statement], "Version": "1"}

    def edits(self, env: Env[Clients], have: RoleState) -> Iterator[Edit]:
        if have.foreign:
            raise self._not_ours(have.id)
        ram, name, trust = env.client.ram, have.id, self._trust(env)

        def trust_them() -> None:
            ram("UpdateRole", RoleName=name, NewAssumeRolePolicyDocument=json.dumps(trust))

        def grant() -> None:
            document = {"PolicyName": name, "PolicyDocument": self.policy}
            if have.policy is None:
                description = mark(env.region, env.cluster, self.name)
                ram("CreatePolicy", **document, Description=description)
            else:
                oldest = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
                ram("CreatePolicyVersion", **document, SetAsDefault=True, RotateStrategy=oldest)

        def attach() -> None:
            ram("AttachPolicyToRole", PolicyType="Custom", PolicyName=name, RoleName=name)

        yield from edit("trust", have.trust, trust, trust_them)
        yield from edit("policy", have.policy, json.loads(self.policy), grant)
        yield from edit("policy attached", ("Custom", name) in have.attached, True, attach)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: RoleState) -> Iterator[Occupant]:
        """Policies that others attached to the role, and who else has its policy."""
        ours = {("Custom", have.id)} if have.policy is not None else set()
        for kind, policy in sorted(have.attached - ours):
            cure = f"aliyun ram DetachPolicyFromRole --RoleName {have.id} --PolicyType {kind}"
            yield Occupant("attached policy", policy, cure=f"{cure} --PolicyName {policy}")
        if have.policy is None:
            return
        named = {"PolicyType": "Custom", "PolicyName": have.id}
        found = scope.client.ram("ListEntitiesForPolicy", **named)
        for noun in ("User", "Group", "Role"):
            for each in at_path(found, f"{noun}s.{noun}") or ():
                name = str(each[f"{noun}Name"])
                if (noun, name) != ("Role", have.id):
                    cure = f"aliyun ram DetachPolicyFrom{noun} --{noun}Name {name} --PolicyType"
                    cure += f" Custom --PolicyName {have.id}"
                    yield Occupant(f"{noun.lower()} with the policy {have.id},", name, cure=cure)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RoleState) -> None:
        ram, name = scope.client.ram, have.id
        if ("Custom", name) in have.attached and have.policy is not None:
            ram("DetachPolicyFromRole", PolicyType="Custom", PolicyName=name, RoleName=name)
        if have.policy is not None:
            ram("DeletePolicy", PolicyName=name, CascadingDelete=True)
        ram("DeleteRole", RoleName=name)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        name = role_name(scope.region, scope.cluster, labels[NAME])
        if identifier != name:
            what = f"the pods' service accounts name the role {name}, so no other can be adopted"
            raise ClusterkitError(what, where=identifier)
        description = mark(scope.region, scope.cluster, labels[NAME])
        scope.client.ram("UpdateRole", RoleName=identifier, NewDescription=description)


def unmarked(scope: Scope[Clients], name: str) -> Iterator[tuple[str, str]]:
    """``role`` or ``policy``, and its name, where that is ours and the description nobody's."""
    full = role_name(scope.region, scope.cluster, name)
    with suppress(Gone):
        if not _state(scope, scope.client.ram("GetRole", RoleName=full)["Role"]).tags:
            yield "role", full
    document, tags = _policy(scope, full)
    if document is not None and not tags:
        yield "policy", full


def _state(scope: Scope[Clients], role: Any) -> RoleState:
    tags, _ = read_mark(role.get("Description"), scope.region)
    return RoleState(role["RoleName"], role["Arn"], tags)


def _policy(scope: Scope[Clients], name: str) -> tuple[Document | None, Tags]:
    """The custom policy of this name, and what its description stands for."""
    try:
        found = scope.client.ram("GetPolicy", PolicyType="Custom", PolicyName=name)
    except Gone:
        return None, {}
    tags, _ = read_mark(found["Policy"].get("Description"), scope.region)
    return json.loads(found["DefaultPolicyVersion"]["PolicyDocument"]), tags


def push_policy(region: str, account: str, within: str) -> str:
    """Least that kaniko and Jenkins X need to push to a namespace and read the layer cache.

    ``within`` is ``INSTANCE/NAMESPACE``, with the Personal Edition ``NAMESPACE``
    (https://www.alibabacloud.com/help/en/acr/user-guide/ram-authorization-information).
    """
    ours = f"acs:cr:{region}:{account}"
    login = ["cr:GetAuthorizationToken", "cr:ListInstance"]
    images = ["cr:PullRepository", "cr:PushRepository"]
    everything = f"{ours}:instance/*" if "/" in within else f"{ours}:*"
    statements = [
        {"Effect": "Allow", "Action": login, "Resource": everything},
        {"Effect": "Allow", "Action": images, "Resource": f"{ours}:repository/{within}/*"},
    ]
    return json.dumps({"Statement": statements, "Version": "1"})

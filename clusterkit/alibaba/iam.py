"""RAM: the role pods push images with, and the service roles ACK itself needs.

RAM is global. A role's mark is its description, ``clusterkit REGION/CLUSTER/NAME``; its name is
made of the same. Roles for pods are trusted through the cluster's OIDC provider (RRSA):
https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/use-rrsa-to-authorize-pods-to-access-different-cloud-services
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster_state import ClusterState
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.tags import Marked, Tags, write_tags
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.errors import Exists, Gone
from clusterkit.naming import safe

Document = dict[str, Any]
LONGEST_NAME = 64
"""characters of a role's name (CreateRole)"""
PUSH_ACTIONS = (
    "cr:GetAuthorizationToken",
    "cr:ListInstance",
    "cr:PullRepository",
    "cr:PushRepository",
)


def role_name(region: str, cluster: str, name: str) -> str:
    """The role's name in the account."""
    return safe(f"clusterkit-{region}-{cluster}-{name}", LONGEST_NAME)


def _description(cx: Ctx[Clients], name: str = "") -> str:
    return f"clusterkit {cx.clients.region}/{cx.cluster}/{name}"


@dataclass(frozen=True)
class RoleState:
    """A role with the policy of its own."""

    name: str
    arn: str
    trust: Document
    policy: Document | None
    """of the policy with the role's name, if that is attached"""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Role(Marked[Clients, RoleState]):
    """What the pods of some service accounts may do."""

    kind: ClassVar[str] = "role"
    cluster: Resource[Clients, ClusterState]
    accounts: tuple[str, ...]
    """``namespace/name``"""
    policy: str
    """JSON"""

    def _trust(self, cx: Ctx[Clients]) -> Document:
        cluster = cx[self.cluster]
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

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, RoleState]:
        found, prefix = [], _description(cx)
        for role in _listed(cx):
            description = str(role.get("Description") or "")
            if description.startswith(prefix):
                name = description.removeprefix(prefix)
                try:
                    key = f"role {role['RoleName']}"
                    found.append((name, cx.clients.recall(key, partial(_state, cx, role))))
                except Gone:
                    continue
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        name, trust = role_name(cx.clients.region, cx.cluster, self.name), self._trust(cx)
        made = cx.clients.ram(
            "CreateRole",
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(trust),
            Description=_description(cx, self.name),
            Tag=write_tags(self.wanted_tags(cx)),
        )
        self.finish(cx, RoleState(name, made["Role"]["Arn"], trust, None))

    def diff(self, cx: Ctx[Clients], have: RoleState) -> list[Change]:
        changes = []
        if have.policy != json.loads(self.policy):
            changes.append(Change("policy", have.policy, json.loads(self.policy)))
        trust = self._trust(cx)
        if have.trust != trust:
            changes.append(Change("trust", have.trust, trust))
        return changes

    def update(self, cx: Ctx[Clients], have: RoleState, changes: list[Change]) -> None:
        ram, name = cx.clients.ram, have.name
        cx.clients.forget(f"role {name}")
        fields = {change.field for change in changes}
        if "trust" in fields:
            document = json.dumps(self._trust(cx))
            ram("UpdateRole", RoleName=name, NewAssumeRolePolicyDocument=document)
        if "policy" in fields:
            if have.policy is not None:
                _drop_policy(cx, name)
            with suppress(Exists):  # an earlier try may have ended before it was attached
                ram(
                    "CreatePolicy",
                    PolicyName=name,
                    PolicyDocument=self.policy,
                    Description=_description(cx, self.name),
                )
            ram("AttachPolicyToRole", PolicyType="Custom", PolicyName=name, RoleName=name)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: RoleState) -> None:
        cx.clients.forget(f"role {have.name}")
        _drop_policy(cx, have.name)
        gone_is_fine(cx.clients.ram, "DeleteRole", RoleName=have.name)


def _drop_policy(cx: Ctx[Clients], name: str) -> None:
    ram = cx.clients.ram
    gone_is_fine(ram, "DetachPolicyFromRole", PolicyType="Custom", PolicyName=name, RoleName=name)
    gone_is_fine(ram, "DeletePolicy", PolicyName=name, CascadingDelete=True)


def _listed(cx: Ctx[Clients]) -> list[Any]:
    clients = cx.clients
    return list(clients.chain(clients.ram, "ListRoles", "Roles.Role", token="Marker", MaxItems=100))


def _state(cx: Ctx[Clients], role: Any) -> RoleState:
    ram, name = cx.clients.ram, role["RoleName"]
    shown = ram("GetRole", RoleName=name)["Role"]
    attached = (ram("ListPoliciesForRole", RoleName=name).get("Policies") or {}).get("Policy") or ()
    policy = None
    if any(item["PolicyName"] == name and item["PolicyType"] == "Custom" for item in attached):
        found = ram("GetPolicy", PolicyType="Custom", PolicyName=name)
        policy = json.loads(found["DefaultPolicyVersion"]["PolicyDocument"])
    trust = json.loads(shown["AssumeRolePolicyDocument"])
    return RoleState(name, shown["Arn"], trust, policy)


def push_policy(region: str, account: str, within: str) -> str:
    """Least that kaniko and Jenkins X need to push to a namespace and read the layer cache.

    ``within`` is ``INSTANCE/NAMESPACE``, with the Personal Edition ``NAMESPACE``
    (https://www.alibabacloud.com/help/en/acr/user-guide/ram-authorization-information).
    """
    ours = f"acs:cr:{region}:{account}"
    login, images = list(PUSH_ACTIONS[:2]), list(PUSH_ACTIONS[2:])
    everything = f"{ours}:instance/*" if "/" in within else f"{ours}:*"
    statements = [
        {"Effect": "Allow", "Action": login, "Resource": everything},
        {"Effect": "Allow", "Action": images, "Resource": f"{ours}:repository/{within}/*"},
    ]
    return json.dumps({"Statement": statements, "Version": "1"})

"""IAM roles, with the policies attached to them as parts of them.

IAM is global and cannot list by tag: a role's mark is its path,
``/clusterkit/REGION/CLUSTER/NAME/``, and ListRoles takes a path prefix. Role names are unique in
the account whatever the path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from urllib.parse import unquote

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import Gone, call, gone_is_fine, pages
from clusterkit.eks.tags import Marked, Tags, read_tags, retags, write_tags
from clusterkit.engine.resource import Change, Ctx, one_each
from clusterkit.errors import Retryable
from clusterkit.naming import KEEP, safe

Document = dict[str, Any]
LONGEST_NAME = 64
"""characters of a role's name (IAM, CreateRole)"""
KEEP_VOLUMES = f"{KEEP}-volumes"
"""tag on the cluster's role: destroy leaves the volumes of claims"""
CLUSTER_ROLE = "cluster"


def trust(service: str) -> Document:
    """The trust policy for an AWS service; EKS Pod Identity tags its sessions."""
    actions = ["sts:AssumeRole"]
    if service == "pods.eks.amazonaws.com":
        # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
        actions.append("sts:TagSession")
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    return {"Version": "2012-10-17", "Statement": [statement]}


def path(cx: Ctx[Clients], name: str = "") -> str:
    """The path of a role, or of all roles of the cluster."""
    region = cx.clients.target.region
    return f"/clusterkit/{region}/{cx.cluster}/" + (f"{name}/" if name else "")


def role_name(cx: Ctx[Clients], name: str) -> str:
    """The role's name in the account."""
    return safe(f"clusterkit-{cx.clients.target.region}-{cx.cluster}-{name}", LONGEST_NAME)


@dataclass(frozen=True)
class RoleState:
    """A role with everything attached to it."""

    name: str
    arn: str
    trust: Document
    managed: frozenset[str]
    """ARNs"""
    inline: Mapping[str, Document]
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Role(Marked[Clients, RoleState]):
    """What a service, a node or a pod may do."""

    kind: ClassVar[str] = "role"
    service: str
    """who may assume it: ``eks.amazonaws.com``"""
    managed: tuple[str, ...] = ()
    """names of AWS managed policies, with their path: ``service-role/AmazonEBSCSIDriverPolicy``"""
    inline: tuple[tuple[str, str], ...] = ()
    """(name, JSON) of policies of its own"""

    def _managed(self, cx: Ctx[Clients]) -> frozenset[str]:
        prefix = f"arn:{cx.clients.partition}:iam::aws:policy/"
        return frozenset(prefix + name for name in self.managed)

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, RoleState]:
        found = pages(cx.clients.iam, "list_roles", "Roles", PathPrefix=path(cx))
        states = []
        for role in found:
            try:
                state = cx.clients.recall(role["RoleName"], partial(_state, cx, role))
                states.append((role["Path"].rstrip("/").rpartition("/")[2], state))
            except Gone:
                continue
        return one_each(states)

    def create(self, cx: Ctx[Clients]) -> None:
        name, document = role_name(cx, self.name), trust(self.service)
        made = call(
            cx.clients.iam.create_role,
            Path=path(cx, self.name),
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(document),
            Description=f"{cx.cluster} in {cx.clients.target.region}, made by clusterkit",
            Tags=write_tags(self.wanted_tags(cx)),
        )
        arn, tags = made["Role"]["Arn"], self.wanted_tags(cx)
        self.finish(cx, RoleState(name, arn, document, frozenset(), {}, tags))

    def diff(self, cx: Ctx[Clients], have: RoleState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        wanted = self._managed(cx)
        if have.managed != wanted:
            changes.append(Change("policies", sorted(have.managed), sorted(wanted)))
        inline = {name: json.loads(text) for name, text in self.inline}
        if have.inline != inline:
            changes.append(Change("own policies", have.inline, inline))
        if _normal(have.trust) != _normal(trust(self.service)):
            changes.append(Change("trust", have.trust, trust(self.service)))
        return changes

    def update(self, cx: Ctx[Clients], have: RoleState, changes: list[Change]) -> None:
        iam, name = cx.clients.iam, have.name
        cx.clients.forget(name)
        if retags(changes):
            call(iam.tag_role, RoleName=name, Tags=write_tags(dict(self.tags)))
        wanted = self._managed(cx)
        for arn in sorted(wanted - have.managed):
            call(iam.attach_role_policy, RoleName=name, PolicyArn=arn)
        for arn in sorted(have.managed - wanted):
            gone_is_fine(iam.detach_role_policy, RoleName=name, PolicyArn=arn)
        for policy, text in self.inline:
            if have.inline.get(policy) != json.loads(text):
                call(iam.put_role_policy, RoleName=name, PolicyName=policy, PolicyDocument=text)
        for policy in have.inline.keys() - dict(self.inline).keys():
            gone_is_fine(iam.delete_role_policy, RoleName=name, PolicyName=policy)
        if _normal(have.trust) != _normal(trust(self.service)):
            document = json.dumps(trust(self.service))
            call(iam.update_assume_role_policy, RoleName=name, PolicyDocument=document)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: RoleState) -> None:
        iam, name = cx.clients.iam, have.name
        cx.clients.forget(name)
        for arn in sorted(have.managed):
            gone_is_fine(iam.detach_role_policy, RoleName=name, PolicyArn=arn)
        for policy in have.inline:
            gone_is_fine(iam.delete_role_policy, RoleName=name, PolicyName=policy)
        try:
            gone_is_fine(iam.delete_role, RoleName=name)
        except Retryable:
            # EKS makes an instance profile for the node role and may leave it behind
            listed = pages(
                iam, "list_instance_profiles_for_role", "InstanceProfiles", RoleName=name
            )
            for profile in list(listed):
                instance = profile["InstanceProfileName"]
                remove = iam.remove_role_from_instance_profile
                gone_is_fine(remove, InstanceProfileName=instance, RoleName=name)
            gone_is_fine(iam.delete_role, RoleName=name)


def _state(cx: Ctx[Clients], role: Any) -> RoleState:
    iam, name = cx.clients.iam, role["RoleName"]
    attached = pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
    managed = frozenset(policy["PolicyArn"] for policy in attached)
    inline = {}
    for policy in pages(iam, "list_role_policies", "PolicyNames", RoleName=name):
        shown = call(iam.get_role_policy, RoleName=name, PolicyName=policy)
        inline[policy] = _document(shown["PolicyDocument"])
    return RoleState(
        name,
        role["Arn"],
        _document(role["AssumeRolePolicyDocument"]),
        managed,
        inline,
        read_tags(pages(iam, "list_role_tags", "Tags", RoleName=name)),
    )


def _document(value: Any) -> Document:
    """boto3 decodes policy documents; AWS sends them URL-encoded."""
    found: Document = value if isinstance(value, dict) else json.loads(unquote(value))
    return found


def _normal(document: Document) -> Any:
    """A trust policy with one-element lists and their elements alike."""
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return [
        {
            "Effect": s.get("Effect"),
            "Principal": s.get("Principal"),
            "Action": sorted(s["Action"])
            if isinstance(s.get("Action"), list)
            else [s.get("Action")],
        }
        for s in statements
    ]


def keeps_volumes(cx: Ctx[Clients]) -> bool | None:
    """Whether the profile wanted volumes kept, by the tag on the cluster's role; None: no role."""
    name = role_name(cx, CLUSTER_ROLE)

    def read() -> bool | None:
        try:
            tags = read_tags(pages(cx.clients.iam, "list_role_tags", "Tags", RoleName=name))
        except Gone:
            return None
        return tags.get(KEEP_VOLUMES) == "true"

    return cx.clients.recall(f"{name} {KEEP_VOLUMES}", read)


def push_policy(partition: str, region: str, account: str, prefix: str) -> str:
    """Least that kaniko and Jenkins X need to push to ``PREFIX/…`` and read the layer cache.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """
    repositories = f"arn:{partition}:ecr:{region}:{account}:repository/{prefix}/*"
    actions = [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:DescribeImages",
        "ecr:DescribeRepositories",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:ListImages",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ]
    statements = [
        {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": "*"},
        {"Effect": "Allow", "Action": actions, "Resource": repositories},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

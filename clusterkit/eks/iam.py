"""IAM roles, with the policies attached to them as parts of them.

IAM is global and cannot list by tag: a role is ours by its path,
``/clusterkit/REGION/CLUSTER/NAME/``, and ListRoles takes a path prefix. Role names are unique in
the account whatever the path. Roles whose ARN others prescribe have none (``irsa.py``).
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, ClassVar
from urllib.parse import unquote

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.tags import AwsState, Tagged, of_cluster, read_tags, write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Found, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone, InUse, NotOurs
from clusterkit.naming import CLUSTER, KEEP, NAME, safe

Document = dict[str, Any]
LONGEST_NAME = 64
"""characters of a role's name (IAM, CreateRole)"""
PAGE = 1000
"""roles of a page (IAM, ListRoles)"""
KEEP_VOLUMES = f"{KEEP}-volumes"
"""tag on the cluster's role: destroy leaves the volumes of claims"""
CLUSTER_ROLE = "cluster"
_EKS_PROFILE = re.compile(r"eks-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""EKS names the instance profile of a node group by the group's own id"""


EC2 = "ec2.amazonaws.com"
EC2_ELSEWHERE = {
    "aws-cn": "ec2.amazonaws.com.cn",
    "aws-iso": "ec2.c2s.ic.gov",
    "aws-iso-b": "ec2.sc2s.sgov.gov",
}
"""what EC2 is called in other partitions; EKS has one name everywhere (eksctl-io/eksctl,
``pkg/apis/eksctl.io/v1alpha5/partitions.go``)"""


def trust(service: str, partition: str = "aws") -> Document:
    """The trust policy for an AWS service, which ``EC2`` is not in every partition; EKS Pod
    Identity tags its sessions.
    """
    if service == EC2:
        service = EC2_ELSEWHERE.get(partition, EC2)
    actions = ["sts:AssumeRole"]
    if service == "pods.eks.amazonaws.com":
        # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
        actions.append("sts:TagSession")
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    return {"Version": "2012-10-17", "Statement": [statement]}


def path(scope: Scope[Any], name: str = "") -> str:
    """The path of a role, or of all roles of the cluster."""
    return f"/clusterkit/{scope.region}/{scope.cluster}/" + (f"{name}/" if name else "")


def role_name(scope: Scope[Any], name: str) -> str:
    """The role's name in the account."""
    return safe(f"clusterkit-{scope.region}-{scope.cluster}-{name}", LONGEST_NAME)


class RoleState(AwsState):
    """A role with everything attached to it; ``id`` is its name in the account."""

    trust: Document
    managed: frozenset[str] = frozenset()
    """ARNs"""
    inline: Mapping[str, Document] = field(default_factory=dict)


class AnyRole(Tagged[RoleState]):
    """A role: whom it trusts, its policies, and what keeps it from being deleted."""

    managed: tuple[str, ...] = ()
    """names of AWS managed policies, with their path: ``service-role/AmazonEBSCSIDriverPolicy``"""
    inline: tuple[tuple[str, str], ...] = ()
    """(name, JSON) of policies of its own"""

    @abstractmethod
    def place(self, scope: Scope[Clients]) -> tuple[str, str]:
        """Its path, and its name in the account."""

    @abstractmethod
    def trusts(self, env: Env[Clients]) -> Document:
        """The trust policy."""

    @classmethod
    @abstractmethod
    def owned(cls, scope: Scope[Clients], role: Any) -> dict[str, str]:
        """The tags of a role as IAM shows it; the cluster's only if it is this cluster's."""

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> RoleState:
        iam, name = scope.client.iam, found.id
        role = iam.get_role(RoleName=name)["Role"]
        attached = pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
        own = pages(iam, "list_role_policies", "PolicyNames", RoleName=name)
        shown = [iam.get_role_policy(RoleName=name, PolicyName=policy) for policy in own]
        return RoleState(
            id=name,
            arn=role["Arn"],
            trust=document(role["AssumeRolePolicyDocument"]),
            tags=cls.owned(scope, role),
            managed=frozenset(policy["PolicyArn"] for policy in attached),
            inline={each["PolicyName"]: document(each["PolicyDocument"]) for each in shown},
        )

    def create(self, env: Env[Clients]) -> RoleState:
        (where, name), trusts = self.place(env), self.trusts(env)
        made = env.client.iam.create_role(
            Path=where,
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(trusts),
            Description=f"{env.cluster} in {env.region}, made by clusterkit",
            Tags=write_tags(self.marks(env)),
        )
        return RoleState(id=name, arn=made["Role"]["Arn"], trust=trusts, tags=self.marks(env))

    def edits(self, env: Env[Clients], have: RoleState) -> Iterator[Edit]:
        iam, name = env.client.iam, have.id
        prefix = f"arn:{env.client.partition}:iam::aws:policy/"
        managed = frozenset(prefix + policy for policy in self.managed)
        inline = {policy: json.loads(text) for policy, text in self.inline}
        there = have.inline

        def attach() -> None:
            for arn in sorted(managed - have.managed):
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)
            for arn in sorted(have.managed - managed):
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)

        def put() -> None:
            for policy, text in self.inline:
                if there.get(policy) != inline[policy]:
                    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
            for policy in there.keys() - inline.keys():
                iam.delete_role_policy(RoleName=name, PolicyName=policy)

        trusts, entrust = self.trusts(env), partial(iam.update_assume_role_policy, RoleName=name)
        entrust = partial(entrust, PolicyDocument=json.dumps(trusts))
        yield from edit("policies", have.managed, managed, attach)
        yield from edit("own policies", there, inline, put)
        yield from edit("trust", have.trust, trusts, entrust)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RoleState) -> None:
        iam, name = scope.client.iam, have.id
        for arn in sorted(have.managed):
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for policy in have.inline:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        try:
            iam.delete_role(RoleName=name)
        except InUse:
            for profile in _profiles(scope, name):
                if _of_nodes(scope, profile):
                    of: Any = {"InstanceProfileName": profile["InstanceProfileName"]}
                    iam.remove_role_from_instance_profile(**of, RoleName=name)
                    iam.delete_instance_profile(**of)
            raise

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: RoleState) -> Iterator[Occupant]:
        """Instance profiles; policies that others attached go with the role, as ``up`` too takes
        them off.
        """
        for profile in _profiles(scope, have.id):
            if not _of_nodes(scope, profile):
                name = profile["InstanceProfileName"]
                cure = "aws iam remove-role-from-instance-profile "
                cure += f"--instance-profile-name {name} --role-name {have.id}"
                yield Occupant("instance profile", name, cure=cure)


class Role(AnyRole):
    """What a service, a node or a pod may do."""

    kind: ClassVar[str] = "role"
    service: str
    """who may assume it: ``eks.amazonaws.com``"""

    def place(self, scope: Scope[Clients]) -> tuple[str, str]:
        return path(scope, self.name), role_name(scope, self.name)

    def trusts(self, env: Env[Clients]) -> Document:
        return trust(self.service, env.client.partition)

    @classmethod
    def owned(cls, scope: Scope[Clients], role: Any) -> dict[str, str]:
        """Its path decides whose it is, and its name."""
        name = role["Path"].rstrip("/").rpartition("/")[2]
        return {**read_tags(role.get("Tags")), CLUSTER: scope.cluster, NAME: name}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Found]:
        found = pages(scope.client.iam, "list_roles", "Roles", PathPrefix=path(scope))
        return [Found(role["RoleName"]) for role in found]

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        iam = scope.client.iam
        if NAME in labels:
            _check(scope, iam.get_role(RoleName=identifier)["Role"])
        iam.tag_role(RoleName=identifier, Tags=write_tags(labels))

    def taken(self, env: Env[Clients]) -> None:
        # every plan lists all roles for those of service accounts (``irsa.py``)
        name = role_name(env, self.name).lower()  # IAM's names differ by more than case
        for role in every_role(env):
            if role["RoleName"].lower() == name:
                _check(env, role)


def every_role(scope: Scope[Clients]) -> Iterator[Any]:
    """All roles of the account: one question of a plan, whoever asks it."""
    size = {"PageSize": PAGE}
    return pages(scope.client.iam, "list_roles", "Roles", PathPrefix="/", PaginationConfig=size)


def _profiles(scope: Scope[Clients], role: str) -> Iterator[Any]:
    listed = "list_instance_profiles_for_role"
    return pages(scope.client.iam, listed, "InstanceProfiles", RoleName=role)


def _of_nodes(scope: Scope[Clients], profile: Any) -> bool:
    """Whether an instance profile with a role of ours is EKS's, made for a node group and maybe
    left behind, or Karpenter's, made for this cluster.
    """
    name = profile["InstanceProfileName"]
    if _EKS_PROFILE.fullmatch(name):
        return True
    shown = scope.client.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    return of_cluster(scope, read_tags(shown.get("Tags")))


def _check(scope: Scope[Any], role: Any) -> None:
    """``NotOurs`` for a role under another path than this cluster's."""
    if not role["Path"].startswith(path(scope)):
        raise NotOurs(
            f"the IAM role {role['RoleName']} exists and is not under the path {path(scope)}; "
            "IAM cannot move a role",
            hint="delete it, or choose another name for the cluster",
        )


def document(value: Any) -> Document:
    """boto3 decodes policy documents; AWS sends them URL-encoded."""
    found: Document = value if isinstance(value, dict) else json.loads(unquote(value))
    return found


def cluster_role(scope: Scope[Clients]) -> Any:
    """The cluster's role as IAM shows it; None if there is none of ours."""
    try:
        role = scope.client.iam.get_role(RoleName=role_name(scope, CLUSTER_ROLE))["Role"]
    except Gone:
        return None
    return role if role["Path"].startswith(path(scope)) else None


def keeps_volumes(scope: Scope[Clients]) -> bool | None:
    """Whether the profile keeps volumes, by the tag on the cluster's role; None: no such role."""
    role = cluster_role(scope)
    return None if role is None else read_tags(role.get("Tags")).get(KEEP_VOLUMES) == "true"


PUSH = (
    "BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload DescribeImages "
    "DescribeRepositories GetDownloadUrlForLayer InitiateLayerUpload ListImages PutImage "
    "UploadLayerPart"
)
"""least that kaniko and Jenkins X need to push and to read the layer cache
(https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html)"""


def policy(*statements: Document) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(service: str, actions: str, *resources: str) -> Document:
    """A statement that allows the service's actions, separated by spaces."""
    named = [f"{service}:{action}" for action in actions.split()]
    on = resources[0] if len(resources) == 1 else [*resources]
    return {"Effect": "Allow", "Action": named, "Resource": on}


def push_statements(
    partition: str, region: str, account: str, prefix: str, more: str = ""
) -> tuple[Document, Document]:
    """What may log in to ECR and push to ``PREFIX/…``; ``more``: further actions there."""
    repositories = f"arn:{partition}:ecr:{region}:{account}:repository/{prefix}/*"
    login = allow("ecr", "GetAuthorizationToken", "*")
    return login, allow("ecr", f"{PUSH} {more}", repositories)


def allows(documents: Iterable[Document], action: str, resource: str) -> bool:
    """Whether these policies allow an action on a thing with this ARN, without conditions and for
    want of others: a deny of one of them wins
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
    """
    statements = [each for found in documents for each in several(found["Statement"])]
    fitting = [
        each["Effect"]
        for each in statements
        if _fits(action.lower(), each.get("Action"), fold=True)
        and _fits(resource, each.get("Resource"))
        and (each["Effect"] == "Deny" or "Condition" not in each)
    ]
    return "Allow" in fitting and "Deny" not in fitting


def several(value: Any) -> Any:
    """A policy has one of a thing, or a list of it."""
    return value if isinstance(value, list) else [value]


def _fits(text: str, patterns: Any, *, fold: bool = False) -> bool:
    wanted = [] if patterns is None else several(patterns)
    return any(fnmatchcase(text, each.lower() if fold else each) for each in wanted)

"""ECR repositories, and the log group of the control plane.

ECR cannot list by tag, and shows the tags of one repository at a time. The tagging API finds by tag
whatever the account has, some time after a repository is made or tagged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.iam import document, several
from clusterkit.eks.tags import FEW, AwsState, Tagged, read_tags, write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Finding, Gone
from clusterkit.naming import CLUSTER, KEEP

MOST = 1000
"""repositories of a page (ECR API, ``DescribeRepositories``)"""
YOUNG = timedelta(days=1)
"""age of a repository that the tagging API may not know yet, and the clocks may differ by hours"""


class RepositoryState(AwsState):
    """An ECR repository; ``id`` is its name."""

    expires: int | None = None
    """days after which our lifecycle policy removes images"""
    mutability: str = "MUTABLE"
    scans: bool = True
    """images when they are pushed"""
    policy: tuple[str, ...] = ()
    """what its own policy opens to everybody or denies, in words; we give it none"""


class Repository(Tagged[RepositoryState]):
    """A repository; ``name`` is ECR's, unique in account and region."""

    kind: ClassVar[str] = "repository"
    expires: int | None = None
    keep: bool = True

    def own_tags(self) -> Tags:
        return {KEEP: str(self.keep).lower()}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RepositoryState]:
        shown = _all(scope)
        return map(_state, shown if len(shown) <= FEW else _maybe_ours(scope, shown))

    @classmethod
    def read(cls, scope: Scope[Clients], found: RepositoryState) -> RepositoryState:
        ecr = scope.client.ecr
        tags = read_tags(ecr.list_tags_for_resource(resourceArn=found.arn)["tags"])
        if tags.get(CLUSTER) != scope.cluster:
            return replace(found, tags=tags)
        expires, policy = _expires(scope, found.id), tuple(_told(scope, found.id))
        return replace(found, expires=expires, policy=policy, tags=tags)

    @classmethod
    def noted(cls, have: RepositoryState) -> Iterator[Finding]:
        cure = f"aws ecr delete-repository-policy --repository-name {have.id}"
        for told in have.policy:
            yield Finding(f"the policy of {have.id} {told}", hint=f"if that is not meant: {cure}")

    def create(self, env: Env[Clients]) -> RepositoryState:
        tags = self.marks(env)
        made = env.client.ecr.create_repository(
            repositoryName=self.name,
            imageTagMutability="MUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            tags=write_tags(tags),
        )
        return RepositoryState(id=self.name, arn=made["repository"]["repositoryArn"], tags=tags)

    def edits(self, env: Env[Clients], have: RepositoryState) -> Iterator[Edit]:
        ecr, name = env.client.ecr, have.id
        expire: Any = partial(ecr.delete_lifecycle_policy, repositoryName=name)
        if days := self.expires:
            put = partial(ecr.put_lifecycle_policy, repositoryName=name)
            expire = partial(put, lifecyclePolicyText=_policy(days))
        # a tag that is pushed twice is what the builds of kaniko and its cache do
        change = partial(ecr.put_image_tag_mutability, repositoryName=name)
        mutable = partial(change, imageTagMutability="MUTABLE")
        scan = partial(ecr.put_image_scanning_configuration, repositoryName=name)
        scan = partial(scan, imageScanningConfiguration={"scanOnPush": True})
        yield from edit("tags of images", have.mutability, "MUTABLE", mutable)
        yield from edit("scan on push", have.scans, True, scan)
        yield from edit("images expire (days)", have.expires, self.expires, expire)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RepositoryState) -> None:
        scope.client.ecr.delete_repository(repositoryName=have.id, force=True)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        for found in map(_state, _shown(scope, repositoryNames=[identifier])):
            scope.client.ecr.tag_resource(resourceArn=found.arn, tags=write_tags(labels))
            scope.client.tagged.add(found.arn)

    def taken(self, env: Env[Clients]) -> RepositoryState | None:
        for shown in _all(env):
            if shown["repositoryName"] == self.name:
                have = self.read(env, _state(shown))
                if (have.tags or {}).get(CLUSTER) == env.cluster:
                    env.client.tagged.add(have.arn)
                return have
        return None

    @classmethod
    def kept(cls, have: RepositoryState) -> str | None:
        kept = "the profile keeps the registry (registry.keep); images cost by GB and month"
        return kept if (have.tags or {}).get(KEEP) == "true" else None


def _shown(scope: Scope[Clients], **parameters: Any) -> list[Any]:
    return [*pages(scope.client.ecr, "describe_repositories", "repositories", **parameters)]


def _all(scope: Scope[Clients]) -> list[Any]:
    """One question of a plan, whoever asks it."""
    return _shown(scope, PaginationConfig={"PageSize": MOST})


def _maybe_ours(scope: Scope[Clients], repositories: list[Any]) -> list[Any]:
    """Those that carry our tags, and those of which the tagging API may not know it yet; all of
    them where that may not be asked.
    """
    ours = {"Key": CLUSTER, "Values": [scope.cluster]}
    asked = {"ResourceTypeFilters": ["ecr:repository"], "TagFilters": [ours]}
    try:
        tagged = pages(scope.client.tagging, "get_resources", "ResourceTagMappingList", **asked)
        arns = {each["ResourceARN"] for each in tagged} | scope.client.tagged
    except Denied:
        return repositories
    old = datetime.now(UTC) - YOUNG
    return [
        each for each in repositories if each["repositoryArn"] in arns or each["createdAt"] > old
    ]


def _state(shown: Any) -> RepositoryState:
    return RepositoryState(
        id=shown["repositoryName"],
        arn=shown["repositoryArn"],
        mutability=shown.get("imageTagMutability", "MUTABLE"),
        scans=bool(shown.get("imageScanningConfiguration", {}).get("scanOnPush")),
    )


def _policy(days: int) -> str:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html"""
    selection = {
        "tagStatus": "any",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": days,
    }
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})


def _told(scope: Scope[Clients], name: str) -> Iterator[str]:
    """What a policy that somebody has given to the repository means for images and builds."""
    try:
        shown = scope.client.ecr.get_repository_policy(repositoryName=name)
    except (Denied, Gone):
        return
    for each in several(document(shown["policyText"])["Statement"]):
        what = ", ".join(several(each.get("Action", "all but some actions")))
        whose = each.get("Principal", ())
        whose = whose.get("AWS", ()) if isinstance(whose, dict) else whose
        if each["Effect"] == "Deny":
            yield f"denies {what}"
        elif "*" in several(whose) and "Condition" not in each:
            yield f"lets everybody do {what}"


def _expires(scope: Scope[Clients], name: str) -> int | None:
    try:
        shown = scope.client.ecr.get_lifecycle_policy(repositoryName=name)
        rules = json.loads(shown["lifecyclePolicyText"])["rules"]
        found: int = rules[0]["selection"]["countNumber"]
    except (Gone, KeyError, IndexError, ValueError):
        return None
    return found


class LogGroupState(AwsState):
    """A CloudWatch log group; ``id`` is its name."""

    days: int | None = None


class LogGroup(Tagged[LogGroupState]):
    """Where EKS writes the control plane's logs; made before the cluster, so that they expire.

    EKS uses ``/aws/eks/CLUSTER/cluster``
    (https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html).
    """

    kind: ClassVar[str] = "log-group"
    days: int = 30

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[LogGroupState]:
        return _log_groups(scope, _group_name(scope))

    @classmethod
    def read(cls, scope: Scope[Clients], found: LogGroupState) -> LogGroupState:
        tags = scope.client.logs.list_tags_for_resource(resourceArn=found.arn)["tags"]
        return replace(found, tags=tags)

    def create(self, env: Env[Clients]) -> LogGroupState:
        group, tags = _group_name(env), self.marks(env)
        env.client.logs.create_log_group(logGroupName=group, tags=tags)
        return LogGroupState(id=group, tags=tags)

    def edits(self, env: Env[Clients], have: LogGroupState) -> Iterator[Edit]:
        put = env.client.logs.put_retention_policy
        retain = partial(put, logGroupName=have.id, retentionInDays=self.days)
        yield from edit("days", have.days, self.days, retain)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: LogGroupState) -> None:
        scope.client.logs.delete_log_group(logGroupName=have.id)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        if not (found := _log_groups(scope, identifier)):
            raise Gone("there is no such log group", where=identifier)
        scope.client.logs.tag_resource(resourceArn=found[0].arn, tags=labels)

    def taken(self, env: Env[Clients]) -> LogGroupState | None:
        found = _log_groups(env, _group_name(env))
        return self.read(env, found[0]) if found else None


def _group_name(scope: Scope[Any]) -> str:
    return f"/aws/eks/{scope.cluster}/cluster"


def _log_groups(scope: Scope[Clients], name: str) -> list[LogGroupState]:
    logs = scope.client.logs
    return [
        LogGroupState(id=name, arn=each["arn"].removesuffix(":*"), days=each.get("retentionInDays"))
        for each in pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=name)
        if each["logGroupName"] == name
    ]

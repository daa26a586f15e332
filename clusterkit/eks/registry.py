"""ECR repositories, and the log group of the control plane."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.tags import AwsState, Tagged, read_tags, write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone
from clusterkit.naming import CLUSTER, KEEP


class RepositoryState(AwsState):
    """An ECR repository; ``id`` is its name."""

    expires: int | None = None
    """days after which our lifecycle policy removes images"""
    mutability: str = "MUTABLE"
    scans: bool = True
    """images when they are pushed"""


class Repository(Tagged[RepositoryState]):
    """A repository; ``name`` is ECR's, unique in account and region."""

    kind: ClassVar[str] = "repository"
    expires: int | None = None
    keep: bool = True

    def own_tags(self) -> Tags:
        return {KEEP: str(self.keep).lower()}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RepositoryState]:
        # ECR cannot list by tag: each repository of the account is asked
        return _repositories(scope)

    @classmethod
    def read(cls, scope: Scope[Clients], found: RepositoryState) -> RepositoryState:
        ecr = scope.client.ecr
        tags = read_tags(ecr.list_tags_for_resource(resourceArn=found.arn)["tags"])
        expires = _expires(scope, found.id) if tags.get(CLUSTER) == scope.cluster else None
        return replace(found, expires=expires, tags=tags)

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
        for found in _repositories(scope, repositoryNames=[identifier]):
            scope.client.ecr.tag_resource(resourceArn=found.arn, tags=write_tags(labels))

    def taken(self, env: Env[Clients]) -> RepositoryState | None:
        found = (each for each in _repositories(env) if each.id == self.name)
        return next((self.read(env, each) for each in found), None)

    @classmethod
    def kept(cls, have: RepositoryState) -> str | None:
        kept = "the profile keeps the registry (registry.keep); images cost by GB and month"
        return kept if (have.tags or {}).get(KEEP) == "true" else None


def _repositories(scope: Scope[Clients], **parameters: Any) -> list[RepositoryState]:
    found = pages(scope.client.ecr, "describe_repositories", "repositories", **parameters)
    return [
        RepositoryState(
            id=each["repositoryName"],
            arn=each["repositoryArn"],
            mutability=each.get("imageTagMutability", "MUTABLE"),
            scans=bool(each.get("imageScanningConfiguration", {}).get("scanOnPush")),
        )
        for each in found
    ]


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

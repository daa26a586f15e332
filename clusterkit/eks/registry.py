"""ECR repositories, and the log group of the control plane."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import Gone, call, gone_is_fine, pages
from clusterkit.eks.tags import Marked, Tags, read_tags, retags, write_tags
from clusterkit.engine.resource import Change, Ctx, one_each
from clusterkit.naming import CLUSTER, KEEP, NAME


@dataclass(frozen=True)
class RepositoryState:
    """An ECR repository."""

    name: str
    arn: str
    expires: int | None
    """days after which our lifecycle policy removes images"""
    scan: bool
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Repository(Marked[Clients, RepositoryState]):
    """A repository; ``name`` is ECR's, unique in account and region."""

    kind: ClassVar[str] = "repository"
    expires: int | None = None
    keep: bool = True

    def wanted_tags(self, cx: Ctx[object]) -> Tags:
        return {**super().wanted_tags(cx), KEEP: str(self.keep).lower()}

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, RepositoryState]:
        # ECR cannot list by tag: each repository of the account is asked once per process
        ecr, found = cx.clients.ecr, []
        for shown in list(pages(ecr, "describe_repositories", "repositories")):
            arn, name = shown["repositoryArn"], shown["repositoryName"]
            try:
                state = cx.clients.recall(arn, partial(_repository, cx, shown))
            except Gone:
                continue
            if state is None:
                continue
            found.append((state.tags.get(NAME, name), state))
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        tags = self.wanted_tags(cx)
        made = call(
            cx.clients.ecr.create_repository,
            repositoryName=self.name,
            imageTagMutability="MUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            tags=write_tags(tags),
        )
        arn = made["repository"]["repositoryArn"]
        self.finish(cx, RepositoryState(self.name, arn, None, scan=True, tags=tags))

    def diff(self, cx: Ctx[Clients], have: RepositoryState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        if have.tags.get(KEEP) != str(self.keep).lower():
            changes.append(Change("keep", have.tags.get(KEEP), self.keep))
        if have.expires != self.expires:
            changes.append(Change("images expire (days)", have.expires, self.expires))
        return changes

    def update(self, cx: Ctx[Clients], have: RepositoryState, changes: list[Change]) -> None:
        ecr, name = cx.clients.ecr, have.name
        cx.clients.forget(have.arn)
        if retags(changes) or "keep" in {change.field for change in changes}:
            tags = {**dict(self.tags), KEEP: str(self.keep).lower()}
            call(ecr.tag_resource, resourceArn=have.arn, tags=write_tags(tags))
        if have.expires == self.expires:
            return
        if self.expires is None:
            gone_is_fine(ecr.delete_lifecycle_policy, repositoryName=name)
        else:
            policy = _policy(self.expires)
            call(ecr.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=policy)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: RepositoryState) -> None:
        gone_is_fine(cx.clients.ecr.delete_repository, repositoryName=have.name, force=True)

    @classmethod
    def kept(cls, have: RepositoryState) -> str | None:
        if have.tags.get(KEEP) == "true":
            return (
                "the profile keeps the registry (registry.keep); "
                "images cost by the GB stored and month"
            )
        return None

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        ecr = cx.clients.ecr
        shown = call(ecr.describe_repositories, repositoryNames=[identifier])["repositories"][0]
        mark = write_tags({CLUSTER: cx.cluster, NAME: name, KEEP: "true"})
        call(ecr.tag_resource, resourceArn=shown["repositoryArn"], tags=mark)
        cx.clients.forget(shown["repositoryArn"])


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


def _repository(cx: Ctx[Clients], shown: Any) -> RepositoryState | None:
    """A repository with what is asked for apart; None if it is not ours."""
    arn, name = shown["repositoryArn"], shown["repositoryName"]
    listed = call(cx.clients.ecr.list_tags_for_resource, resourceArn=arn)["tags"]
    tags = read_tags(listed)
    if tags.get(CLUSTER) != cx.cluster:
        return None
    scan = bool(shown.get("imageScanningConfiguration", {}).get("scanOnPush"))
    return RepositoryState(name, arn, _expires(cx, name), scan, tags)


def _expires(cx: Ctx[Clients], name: str) -> int | None:
    try:
        text = call(cx.clients.ecr.get_lifecycle_policy, repositoryName=name)["lifecyclePolicyText"]
        found: int = json.loads(text)["rules"][0]["selection"]["countNumber"]
    except (Gone, KeyError, IndexError, ValueError):
        return None
    return found


@dataclass(frozen=True)
class LogGroupState:
    """A CloudWatch log group."""

    group: str
    arn: str
    days: int | None
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class LogGroup(Marked[Clients, LogGroupState]):
    """Where EKS writes the control plane's logs; made before the cluster, so that they expire.

    EKS uses ``/aws/eks/CLUSTER/cluster``
    (https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html).
    """

    kind: ClassVar[str] = "log-group"
    days: int = 30

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, LogGroupState]:
        logs, wanted = cx.clients.logs, _group_name(cx)
        for shown in pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=wanted):
            if shown["logGroupName"] != wanted:
                continue
            arn = shown["arn"].removesuffix(":*")
            tags = call(logs.list_tags_for_resource, resourceArn=arn)["tags"]
            if tags.get(CLUSTER) == cx.cluster:
                state = LogGroupState(wanted, arn, shown.get("retentionInDays"), tags)
                return {tags.get(NAME, "control-plane"): state}
        return {}

    def create(self, cx: Ctx[Clients]) -> None:
        group, tags = _group_name(cx), self.wanted_tags(cx)
        call(cx.clients.logs.create_log_group, logGroupName=group, tags=tags)
        self.finish(cx, LogGroupState(group, "", None, tags))

    def diff(self, cx: Ctx[Clients], have: LogGroupState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        if have.days != self.days:
            changes.append(Change("days", have.days, self.days))
        return changes

    def update(self, cx: Ctx[Clients], have: LogGroupState, changes: list[Change]) -> None:
        logs = cx.clients.logs
        if retags(changes):
            call(logs.tag_resource, resourceArn=have.arn, tags=dict(self.tags))
        if have.days != self.days:
            call(logs.put_retention_policy, logGroupName=have.group, retentionInDays=self.days)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LogGroupState) -> None:
        gone_is_fine(cx.clients.logs.delete_log_group, logGroupName=have.group)


def _group_name(cx: Ctx[Clients]) -> str:
    return f"/aws/eks/{cx.cluster}/cluster"

"""What Jenkins X finds on EKS: roles for its service accounts, buckets, and what it is told.

Its charts make the ARN of a role from the account and the cluster's name and annotate their service
accounts with it (https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``).
Service accounts and rights are those of jenkins-x/terraform-aws-eks-jx (``modules/cluster/
irsa.tf``), narrowed to what the tools call: that has ``ecr:*``, ``s3:*`` and ``eks:*``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from clusterkit.eks.builds import registry_host
from clusterkit.eks.client import Clients
from clusterkit.eks.iam import Document, RoleState, allow, allows, push_statements
from clusterkit.eks.preflight import account as account_of
from clusterkit.eks.profile import EksProfile
from clusterkit.eks.storage import bucket_name
from clusterkit.profile.ready import JENKINS_X_ACCOUNT, JenkinsX
from clusterkit.ready.jenkinsx import STORAGE, Platform, secret_storage

CLOUD_SECRETS = "secretsManager"
SECRETS_ROLE = "external-secrets-secrets-manager"
SECRETS_ACCOUNTS = ("secret-infra/kubernetes-external-secrets", "jx-git-operator/jx-boot-job")
REPOSITORIES = "CreateRepository GetLifecyclePolicy PutLifecyclePolicy"
"""what a pipeline's step does that makes an application's repository
(jenkins-x-plugins/jx-registry, ``pkg/amazon/ecrs/ecr.go``)"""
READ = "GetBucketLocation ListBucket GetObject"
CHANGED = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
TYPES = "route53:ChangeResourceRecordSetsRecordTypes"
"""conditions on what is changed in a zone
(https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-rrset-conditions.html)"""


class Grant(NamedTuple):
    """A role ``CLUSTER-ROLE``, who gets it, and what it allows."""

    role: str
    accounts: tuple[str, ...]
    """``namespace/name``"""
    statements: tuple[Document, ...]


def grants(profile: EksProfile, partition: str, account: str) -> Iterator[Grant]:
    """Every role of a profile with ``ready.jenkins_x``."""
    wanted, region, registry = profile.ready.jenkins_x, profile.region, profile.registry
    if wanted is None:
        return

    def objects(purpose: str, actions: str) -> Document:
        arn = f"arn:{partition}:s3:::{bucket_name(purpose, profile.name, account, region)}"
        return allow("s3", actions, arn, f"{arn}/*")

    pushes: tuple[Document, ...] = ()
    if registry is not None:
        pushes = push_statements(partition, region, account, registry.name, REPOSITORIES)
    written = f"{READ} PutObject DeleteObject"
    kept = tuple(objects(each, written) for each in STORAGE if wanted.storage)
    if pushes or kept:
        yield Grant("tekton-bot", (JENKINS_X_ACCOUNT,), (*pushes, *kept))
    if wanted.storage:
        logs = (objects("logs", "ListBucket PutObject"),)
        yield Grant("build-ctrl", ("jx/jenkins-x-controllerbuild",), logs)
        seen = (objects("logs", READ),)
        yield Grant("jx-pipelines-visualizer", ("jx/jx-pipelines-visualizer",), seen)
        artifacts = (objects("repository", written),)
        yield Grant("jx-bucketrepo", ("jx/bucketrepo-bucketrepo",), artifacts)
    yield from _zone(wanted, partition)
    if secret_storage(profile.ready, CLOUD_SECRETS) == CLOUD_SECRETS:
        yield Grant(SECRETS_ROLE, SECRETS_ACCOUNTS, _secrets(partition, region, account))


def lacking(role: RoleState, grant: Grant) -> str:
    """What of its grant a role does not allow; empty for nothing. A right with a condition has to
    be there word by word.
    """
    documents = [*role.inline.values()]
    there = [each for found in documents for each in found["Statement"]]
    missing: list[str] = []
    for statement in grant.statements:
        targets = statement["Resource"]
        pairs = [
            (action, target)
            for action in statement["Action"]
            for target in ([targets] if isinstance(targets, str) else targets)
        ]
        if "Condition" in statement:
            missing += [] if statement in there else [f"{action} on {on}" for action, on in pairs]
        else:
            refused = [each for each in pairs if not allows(documents, *each)]
            missing += [f"{action} on {target}" for action, target in refused]
    if not missing:
        return ""
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"does not allow {missing[0]}{more}"


def _secrets(partition: str, region: str, account: str) -> tuple[Document, Document]:
    """What writes and reads secrets; the charts call all of them so (jx3-versions,
    ``secrets/secretsManager``).
    """
    named = f"arn:{partition}:secretsmanager:{region}:{account}:secret:secret/data/*"
    actions = "CreateSecret DescribeSecret GetResourcePolicy GetSecretValue "
    actions += "ListSecretVersionIds PutSecretValue UpdateSecret"
    listed = allow("secretsmanager", "ListSecrets", "*")
    return allow("secretsmanager", actions, named), listed


def _zone(wanted: JenkinsX, partition: str) -> Iterator[Grant]:
    """Who may change records, below the domain only."""
    domain = wanted.domain
    if domain is None:
        return
    zones = f"arn:{partition}:route53:::hostedzone/*"
    below = {"ForAllValues:StringLike": {CHANGED: [domain, f"*.{domain}"]}}
    change = allow("route53", "ChangeResourceRecordSets", zones) | {"Condition": below}
    listed = allow("route53", "ListHostedZones ListResourceRecordSets", "*")
    yield Grant("external-dns", ("jx/external-dns",), (change, listed))
    if wanted.tls_email:
        # https://cert-manager.io/docs/configuration/acme/dns01/route53/
        txt = {"Condition": {**below, "ForAllValues:StringEquals": {TYPES: ["TXT"]}}}
        statements = (
            allow("route53", "GetChange", f"arn:{partition}:route53:::change/*"),
            change | txt,
            allow("route53", "ListHostedZonesByName ListResourceRecordSets", "*"),
        )
        yield Grant("cert-manager-cert-manager", ("cert-manager/cert-manager",), statements)


def platform_of(profile: EksProfile, account: str, clients: Clients) -> Platform:
    """The cluster as Jenkins X names it; asks nothing."""
    registry, wanted = profile.registry, profile.ready.jenkins_x
    purposes = STORAGE if wanted and wanted.storage else ()
    named = (profile.name, account, profile.region)
    secrets = secret_storage(profile.ready, CLOUD_SECRETS)
    role = f"arn:{clients.partition}:iam::{account}:role/{profile.name}-{SECRETS_ROLE}"
    boot = {"eks.amazonaws.com/role-arn": role} if secrets == CLOUD_SECRETS else {}
    return Platform(
        provider="eks",
        cluster=profile.name,
        registry=registry_host(account, clients),
        organization=registry.name if registry else "",
        region=profile.region,
        project=account,
        secret_storage=secrets,
        storage={each: f"s3://{bucket_name(each, *named)}" for each in purposes},
        boot_annotations=boot,
    )


def platform(profile: EksProfile, clients: Clients, account: str | None) -> Platform:
    """``Cloud.platform``: only the account may have to be asked for."""
    return platform_of(profile, account or account_of(clients), clients)

"""Roles for service accounts (IRSA): the cluster's issuer as an identity provider of IAM, and
roles that trust its tokens.

For pods whose service accounts others annotate with the ARN of a role, as the charts of Jenkins X
do; all else gets its role by Pod Identity (``addons.py``).
https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import Cluster, ClusterState
from clusterkit.eks.iam import AnyRole, Document, document, every_role
from clusterkit.eks.tags import FEW, AwsState, Tagged, read_tags, write_tags
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env, Found, Kind, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, NotOurs
from clusterkit.naming import CLUSTER, NAME

AUDIENCE = "sts.amazonaws.com"
"""of the tokens of pods (aws/amazon-eks-pod-identity-webhook, ``--token-audience``)"""
REGION = "clusterkit-region"
"""tag on a role without a path: IAM knows it once for all regions"""


class ProviderState(AwsState):
    """An OIDC provider; ``id`` is its ARN."""

    issuer: str
    """without ``https://``"""
    audiences: frozenset[str]


class OidcProvider(Tagged[ProviderState]):
    """The cluster's issuer of tokens, known to IAM.

    IAM fetches the thumbprint itself (CreateOpenIDConnectProvider).
    """

    kind: ClassVar[str] = "oidc-provider"
    cluster: Kind[Clients, ClusterState]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Found]:
        listed = scope.client.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        arns = [each["Arn"] for each in listed]
        here = [Found(arn) for arn in arns if f"/oidc.eks.{scope.region}." in arn]
        if len(here) <= FEW or scope.destroying:
            return here
        # what an earlier cluster left behind is found when this one is destroyed
        issuers = {cluster.issuer for cluster in Cluster.list(scope)}
        return [each for each in here if not issuers or each.id.partition("/")[2] in issuers]

    @classmethod
    def read(cls, scope: Scope[Clients], found: Found) -> ProviderState:
        return _shown(scope, found.id)

    def create(self, env: Env[Clients]) -> ProviderState:
        issuer, tags = env[self.cluster].issuer, self.marks(env)
        made = env.client.iam.create_open_id_connect_provider(
            Url=f"https://{issuer}", ClientIDList=[AUDIENCE], Tags=write_tags(tags)
        )
        arn, audiences = made["OpenIDConnectProviderArn"], frozenset({AUDIENCE})
        return ProviderState(id=arn, arn=arn, issuer=issuer, audiences=audiences, tags=tags)

    def edits(self, env: Env[Clients], have: ProviderState) -> Iterator[Edit]:
        issuer = env[self.cluster].issuer
        if have.issuer != issuer:  # of a cluster of this name that is no more
            yield Edit("issuer", have.issuer, issuer, replace=True)
        add = partial(
            env.client.iam.add_client_id_to_open_id_connect_provider,
            OpenIDConnectProviderArn=have.id,
            ClientID=AUDIENCE,
        )
        if AUDIENCE not in have.audiences:
            yield Edit("audiences", have.audiences, have.audiences | {AUDIENCE}, add)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: ProviderState) -> Iterator[Occupant]:
        """Roles of others that trust it: IAM deletes it all the same, and their pods lose their
        rights. Without the cluster it is of no use to anybody.
        """
        if scope.destroying:
            return
        for role in every_role(scope):
            if have.arn in json.dumps(document(role["AssumeRolePolicyDocument"])):
                yield Occupant("role", role["RoleName"])

    @classmethod
    def delete(cls, scope: Scope[Clients], have: ProviderState) -> None:
        scope.client.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=have.id)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        tag = scope.client.iam.tag_open_id_connect_provider
        tag(OpenIDConnectProviderArn=identifier, Tags=write_tags(labels))

    def taken(self, env: Env[Clients]) -> ProviderState:
        return _shown(env, provider_arn(env[self.cluster]))


def provider_arn(cluster: ClusterState) -> str:
    """What IAM calls the provider of a cluster's issuer."""
    partition, account = cluster.arn.split(":")[1::3]
    return f"arn:{partition}:iam::{account}:oidc-provider/{cluster.issuer}"


def _shown(scope: Scope[Clients], arn: str) -> ProviderState:
    shown = scope.client.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    return ProviderState(
        id=arn,
        arn=arn,
        issuer=shown["Url"].removeprefix("https://"),
        audiences=frozenset(shown.get("ClientIDList", ())),
        tags=read_tags(shown.get("Tags")),
    )


class PodRole(AnyRole):
    """What the pods of service accounts may do; Jenkins X expects it at ``role/CLUSTER-NAME``.

    Without a path only its tags say whose it is, and ListRoles shows none: of all roles, those with
    one of the ``names`` are read.
    """

    kind: ClassVar[str] = "pod-role"
    names: ClassVar[frozenset[str]] = frozenset(
        (
            "tekton-bot",
            "build-ctrl",
            "jx-pipelines-visualizer",
            "jx-bucketrepo",
            "external-dns",
            "cert-manager-cert-manager",
            "external-secrets-secrets-manager",
        )
    )
    """all there can be (``jenkinsx.grants``)"""
    cluster: Kind[Clients, ClusterState]
    """not the provider, which may still be that of an earlier cluster"""
    accounts: tuple[str, ...]
    """``namespace/name``"""

    def place(self, scope: Scope[Clients]) -> tuple[str, str]:
        return "/", f"{scope.cluster}-{self.name}"

    def marks(self, env: Env[Any]) -> dict[str, str]:
        return {**super().marks(env), REGION: env.region}

    def trusts(self, env: Env[Clients]) -> Document:
        cluster = env[self.cluster]
        subjects = [f"system:serviceaccount:{who.replace('/', ':')}" for who in self.accounts]
        equal = {
            f"{cluster.issuer}:aud": AUDIENCE,
            f"{cluster.issuer}:sub": subjects[0] if len(subjects) == 1 else subjects,
        }
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(cluster)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": equal},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    @classmethod
    def owned(cls, scope: Scope[Clients], role: Any) -> dict[str, str]:
        tags = read_tags(role.get("Tags"))
        if tags.get(REGION) != scope.region:
            tags.pop(CLUSTER, None)
        return tags

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Found]:
        wanted = {f"{scope.cluster}-{name}" for name in cls.names}
        here = [each["RoleName"] for each in every_role(scope) if each["Path"] == "/"]
        return [Found(name) for name in here if name in wanted]

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        iam = scope.client.iam
        if name := labels.get(NAME):
            if identifier != f"{scope.cluster}-{name}":
                what = f"Jenkins X expects the role {scope.cluster}-{name}, not {identifier}"
                raise ClusterkitError(what)
            _check(scope, iam.get_role(RoleName=identifier)["Role"])
            labels = {**labels, REGION: scope.region}
        iam.tag_role(RoleName=identifier, Tags=write_tags(labels))

    def taken(self, env: Env[Clients]) -> Any:
        _, name = self.place(env)
        _check(env, env.client.iam.get_role(RoleName=name)["Role"])
        return self.read(env, Found(name))


def _check(scope: Scope[Any], role: Any) -> None:
    """``NotOurs`` for a role with a path, and for one of a cluster of that name elsewhere."""
    name, path, tags = role["RoleName"], role["Path"], read_tags(role.get("Tags"))
    if path != "/":
        raise NotOurs(
            f"the IAM role {name} exists under the path {path}, and Jenkins X expects it without; "
            "IAM cannot move a role",
            hint="delete it, or choose another name for the cluster",
        )
    if CLUSTER in tags and tags.get(REGION, scope.region) != scope.region:
        raise NotOurs(
            f"the IAM role {name} is that of the cluster {tags[CLUSTER]} in {tags[REGION]}; IAM "
            "knows a role once for all regions, and Jenkins X takes its name from the cluster's",
            hint="choose another name for one of the two clusters",
        )

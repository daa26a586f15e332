"""What ``clusterkit verify`` asks of Amazon EKS beyond the cluster's own API.

Words of users: awslabs/amazon-ecr-credential-helper and kaniko for pushes,
kubernetes-sigs/aws-ebs-csi-driver for volumes, kubernetes-sigs/aws-load-balancer-controller for
subnets, kubectl for access.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clusterkit.eks.addons import EBS_ACCOUNT, Addon, PodIdentity
from clusterkit.eks.client import Clients, pages
from clusterkit.eks.cluster import Cluster, ClusterState, issues
from clusterkit.eks.entries import AccessEntry
from clusterkit.eks.iam import Role, RoleState, allows, role_name, trust
from clusterkit.eks.irsa import AUDIENCE, OidcProvider, PodRole
from clusterkit.eks.jenkinsx import grants, lacking
from clusterkit.eks.nodes import NodeGroup
from clusterkit.eks.preflight import account as account_of
from clusterkit.eks.profile import EksProfile
from clusterkit.eks.storage import Bucket
from clusterkit.eks.tags import where
from clusterkit.engine.kind import Found
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, Gone
from clusterkit.naming import CLUSTER
from clusterkit.profile.ready import JENKINS_X_ACCOUNT
from clusterkit.ready.checks import UP, Check, Result, Row, numbered
from clusterkit.ready.jenkinsx import STORAGE

LAYERS = (
    "BatchCheckLayerAvailability",
    "BatchGetImage",
    "CompleteLayerUpload",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
)
"""what a push calls, besides the login
(https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html)"""
LEAST_HOPS = 2
"""from a pod to the metadata service of its node
(https://docs.aws.amazon.com/eks/latest/userguide/al2023.html)"""
DRIVER = "aws-ebs-csi-driver"
PODS = "pods.eks.amazonaws.com"
BALANCED = "kubernetes.io/role/elb"
DENIED = (
    "error checking push permissions: … POST …/blobs/uploads/: unexpected status code 401 "
    "Unauthorized: Not Authorized"
)
ASSUMED = re.compile(r"arn:[a-z-]+:sts::\d{12}:assumed-role/([^/]+)/.+")
HOPS = "no EC2 IMDS role found, operation error ec2imds: GetMetadata"
NO_PROVIDER = "InvalidIdentityToken: No OpenIDConnect provider found in your account"
WAITING = (
    "Waiting for a volume to be created either by the external provisioner 'ebs.csi.aws.com' or "
    "manually by the system administrator"
)
UNAUTHORIZED = "could not create volume in EC2: UnauthorizedOperation"
NO_SUBNET = "couldn't auto-discover subnets: unable to resolve at least one subnet"
NO_BUCKET = "NoSuchBucket: The specified bucket does not exist"
NOT_ASSUMED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
UNKNOWN = "You must be logged in to the server"
NO_JENKINS_X = "the profile has no ready.jenkins_x"


def checks(profile: EksProfile, clients: Clients) -> Sequence[Check]:
    """E1 to E9."""
    return numbered("E", ROWS, Account(profile, clients))


class Account:
    """What the checks read of the account."""

    def __init__(self, profile: EksProfile, clients: Clients) -> None:
        self.profile, self.clients = profile, clients
        self.scope = Scope(clients, profile.name, profile.region)

    def cluster(self) -> ClusterState:
        """Ours, or ``Absent``."""
        for have in Cluster.list(self.scope):
            return have
        raise Absent(self.profile.name)

    def role(self, kind: type[Role | PodRole], name: str) -> RoleState | None:
        """The role of this name in the account."""
        try:
            return kind.read(self.scope, Found(name))
        except Gone:
            return None

    def push_targets(self) -> list[str]:
        """ARNs of the profile's repositories."""
        registry, region = self.profile.registry, self.profile.region
        base = f"arn:{self.clients.partition}:ecr:{region}:{account_of(self.clients)}:repository"
        return [f"{base}/{name}" for name, _ in registry.full_names] if registry else []

    def lacks(self, role: RoleState) -> list[str]:
        """What the role does not allow of a push, ``action on repository``."""
        documents = [*role.inline.values()]
        out = []
        if not allows(documents, "ecr:GetAuthorizationToken", "*"):
            out.append("ecr:GetAuthorizationToken")
        for arn in self.push_targets():
            missing = [each for each in LAYERS if not allows(documents, f"ecr:{each}", arn)]
            out += [f"ecr:{each} on {arn.partition('repository/')[2]}" for each in missing]
        return out


def _repositories(account: Account) -> Iterator[Result]:
    registry = account.profile.registry
    if registry is None:
        yield Result("skipped", "the profile has no registry")
        return
    listed = pages(account.clients.ecr, "describe_repositories", "repositories")
    there = {each["repositoryName"] for each in listed}
    for name, cached in registry.full_names:
        if name in there:
            yield Result("passed", "exists", f"repository/{name}")
            continue
        seen = f"NAME_UNKNOWN: The repository with name '{name}' does not exist in the registry"
        if cached:
            seen = f"WARN Error uploading layer to cache: … {seen}"
        yield Result("failed", "does not exist", f"repository/{name}", seen, UP)


def _pushes(account: Account) -> Iterator[Result]:
    profile = account.profile
    by_role = {JENKINS_X_ACCOUNT} if profile.registry and profile.ready.jenkins_x else set()
    pushers = sorted({*profile.push_accounts, *by_role})
    if not pushers:
        yield Result("skipped", "no service account pushes as itself")
        return
    linked = _associations(account)
    for who in pushers:
        place = f"serviceaccount/{who}"
        irsa = who in by_role
        name = f"{profile.name}-tekton-bot" if irsa else linked.get(who, "")
        role = account.role(PodRole if irsa else Role, name) if name else None
        if role is None:
            what = f"the role {name} does not exist" if name else "has no role by Pod Identity"
            yield Result("failed", what, place, DENIED, UP)
        elif not irsa and role.trust != trust(PODS):
            what = f"the role {name} does not trust EKS Pod Identity"
            yield Result("failed", what, place, DENIED, UP)
        elif missing := account.lacks(role):
            what = f"the role {name} does not allow {', '.join(missing)}"
            yield Result("failed", what, place, DENIED, UP)
        else:
            yield Result("passed", f"may push as {name}", place)


def _associations(account: Account) -> dict[str, str]:
    """Service account to the name of its role."""
    found = {}
    for each in PodIdentity.list(account.scope):
        shown = PodIdentity.shown(account.scope, each.id)
        who = f"{shown['namespace']}/{shown['serviceAccount']}"
        found[who] = str(shown["roleArn"]).rpartition("/")[2]
    return found


def _provider(account: Account) -> Iterator[Result]:
    if account.profile.ready.jenkins_x is None:
        yield Result("skipped", NO_JENKINS_X)
        return
    issuer = account.cluster().issuer
    seen = f"{NO_PROVIDER} for https://{issuer}"
    for each in OidcProvider.list(account.scope):
        if each.id.endswith(f":oidc-provider/{issuer}"):
            have = OidcProvider.read(account.scope, each)
            if AUDIENCE in have.audiences:
                yield Result("passed", "is a provider for STS", f"oidc-provider/{issuer}")
                return
            what, seen = f"does not know the audience {AUDIENCE}", "Incorrect token audience"
            yield Result("failed", what, f"oidc-provider/{issuer}", seen, UP)
            return
    yield Result("failed", "does not exist", f"oidc-provider/{issuer}", seen, UP)


def _nodes(account: Account) -> Iterator[Result]:
    registry = account.profile.registry
    if registry is None or registry.push != "node":
        yield Result("skipped", "pods do not push as their node")
        return
    scope = account.scope
    role = account.role(Role, role_name(scope, "node"))
    power = [arn for arn in role.managed if "ContainerRegistryPowerUser" in arn] if role else []
    if role is None or not (power or not account.lacks(role)):
        yield Result("failed", "the nodes' role may not push", "role/node", DENIED, UP)
    for group in NodeGroup.list(scope):
        template = NodeGroup.shown(scope, group.id).get("launchTemplate") or {}
        hops = _hops(account, template)
        place = f"node-group/{group.id}"
        if hops < LEAST_HOPS:
            what = f"pods cannot reach the node's credentials: the hop limit is {hops}"
            cure = f"a launch template with HttpPutResponseHopLimit: {LEAST_HOPS}, as {UP} makes"
            yield Result("failed", what, place, HOPS, cure)
        else:
            yield Result("passed", f"the hop limit is {hops}", place)


def _hops(account: Account, template: Any) -> int:
    """The hop limit of a node group's machines; 1 without a template (AL2023)."""
    if not template:
        return 1
    shown = account.clients.ec2.describe_launch_template_versions(
        LaunchTemplateId=template["id"], Versions=[str(template["version"])]
    )
    data: Any = shown["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return int(data.get("MetadataOptions", {}).get("HttpPutResponseHopLimit", 1))


def _driver(account: Account) -> Iterator[Result]:
    place = f"addon/{DRIVER}"
    try:
        shown: Any = Addon.shown(account.scope, DRIVER)
    except Gone:
        yield Result("failed", "is not installed", place, WAITING, UP)
        return
    role = role_name(account.scope, "ebs-csi")
    have = account.role(Role, role)
    if not (shown.get("podIdentityAssociations") or shown.get("serviceAccountRoleArn")):
        cure = f"aws eks update-addon --cluster-name {account.profile.name} --addon-name {DRIVER} "
        cure += f"--pod-identity-associations serviceAccount={EBS_ACCOUNT},roleArn=ARN with the "
        cure += f"ARN of the role {role}"
        yield Result(
            "failed",
            "has no role",
            place,
            UNAUTHORIZED,
            cure,
        )
    elif have is not None and not (have.managed or have.inline):
        yield Result("failed", "has no policy", f"role/{role}", UNAUTHORIZED, UP)
    elif shown["status"] != "ACTIVE":
        cure = f"aws eks describe-addon --cluster-name {account.profile.name} --addon-name "
        cure += f"{DRIVER} --query addon.health says why"
        yield Result("failed", f"is {shown['status']}: {issues(shown)}", place, WAITING, cure)
    else:
        yield Result("passed", "is active and has a role", place)


def _subnets(account: Account) -> Iterator[Result]:
    cluster = account.cluster()
    listed = pages(
        account.clients.ec2, "describe_subnets", "Subnets", Filters=[where("vpc-id", cluster.vpc)]
    )
    tagged = [
        each["SubnetId"]
        for each in listed
        if any(tag["Key"] == BALANCED for tag in each.get("Tags", ()))
    ]
    if tagged:
        yield Result("passed", f"{len(tagged)} for those on the internet", f"vpc/{cluster.vpc}")
        return
    given = account.profile.network.existing is not None
    cure = f"aws ec2 create-tags --resources SUBNET --tags Key={BALANCED},Value=1"
    yield Result(
        "warned" if given else "failed",
        f"no subnet has the tag {BALANCED}",
        f"vpc/{cluster.vpc}",
        NO_SUBNET,
        cure if given else UP,
    )


def _roles(account: Account) -> Iterator[Result]:
    profile, clients = account.profile, account.clients
    if profile.ready.jenkins_x is None:
        yield Result("skipped", NO_JENKINS_X)
        return
    if clients.partition != "aws":
        what = "the charts write arn:aws: before every role, which is another partition"
        cure = "set the annotations in the values of your cluster repository"
        yield Result("failed", what, f"partition {clients.partition}", "AccessDenied", cure)
    issuer = account.cluster().issuer
    for grant in grants(profile, clients.partition, account_of(clients)):
        name = f"{profile.name}-{grant.role}"
        role = account.role(PodRole, name)
        wrong = "does not exist"
        if role is not None:
            wrong = _wrong(role, issuer, grant.accounts) or lacking(role, grant)
        if wrong:
            yield Result("failed", wrong, f"role/{name}", NOT_ASSUMED, UP)
        else:
            yield Result("passed", f"is for {', '.join(grant.accounts)}", f"role/{name}")


def _wrong(role: RoleState, issuer: str, accounts: Iterable[str]) -> str:
    """Why pods with these service accounts cannot assume the role."""
    if not role.arn.endswith(f":role/{role.id}"):
        return f"lies under a path: {role.arn}"
    wanted = {f"system:serviceaccount:{who.replace('/', ':')}" for who in accounts}
    for statement in role.trust["Statement"]:
        federated = statement.get("Principal", {}).get("Federated", "")
        equal = statement.get("Condition", {}).get("StringEquals", {})
        subjects = equal.get(f"{issuer}:sub", [])
        subjects = {subjects} if isinstance(subjects, str) else {*subjects}
        audience = equal.get(f"{issuer}:aud")
        known = federated.endswith(f":oidc-provider/{issuer}") and audience == AUDIENCE
        if known and wanted <= subjects and statement["Effect"] == "Allow":
            return ""
    return f"does not trust {', '.join(accounts)} of this cluster"


def _access(account: Account) -> Iterator[Result]:
    clients, scope = account.clients, account.scope
    arn = clients.sts.get_caller_identity()["Arn"]
    if session := ASSUMED.fullmatch(arn):
        # the name is unique in the account, whatever the path, and an entry has the path too
        arn = clients.iam.get_role(RoleName=session[1])["Role"]["Arn"]
    account.cluster()
    place = f"access-entry/{arn}"
    if arn not in {each.id for each in AccessEntry.list(scope)}:
        cure = f"whoever may: add {arn} to admins in the profile, then {UP}"
        what = "there is none for these credentials"
        yield Result("failed", what, place, UNKNOWN, cure)
        return
    shown = AccessEntry.shown(scope, arn)
    of = {"clusterName": scope.cluster, "principalArn": arn}
    policies = pages(
        clients.eks, "list_associated_access_policies", "associatedAccessPolicies", **of
    )
    names = [str(each["policyArn"]).rpartition("/")[2] for each in policies]
    rights = [*names, *shown.get("kubernetesGroups", ())]
    if rights:
        yield Result("passed", ", ".join(rights), place)
    else:
        seen = "Error from server (Forbidden)"
        cure = f"whoever may: add {arn} to admins in the profile, then {UP}"
        yield Result("failed", "gives no rights", place, seen, cure)


def _buckets(account: Account) -> Iterator[Result]:
    wanted = account.profile.ready.jenkins_x
    if wanted is None or not wanted.storage:
        yield Result("skipped", "the profile keeps nothing for Jenkins X (ready.jenkins_x.storage)")
        return
    owner = account_of(account.clients)
    for purpose in STORAGE:
        bucket = Bucket(name=purpose, account=owner)
        name, have = bucket.bucket(account.scope), bucket.found(account.scope)
        if have is None:
            yield Result("failed", "does not exist", f"bucket/{name}", NO_BUCKET, UP)
        elif (have.tags or {}).get(CLUSTER) != account.profile.name:
            cure = f"{UP} --adopt bucket/{purpose}={name} if it is the cluster's"
            yield Result("failed", "is not the cluster's", f"bucket/{name}", "AccessDenied", cure)
        elif not have.private:
            yield Result("failed", "may be made public", f"bucket/{name}", "logs are public", UP)
        else:
            yield Result("passed", "exists", f"bucket/{name}")


ROWS = (
    Row("the repositories exist, with their caches", _repositories, "NAME_UNKNOWN: The repository"),
    Row("what builds images may push them", _pushes, DENIED),
    Row("IAM knows the issuer of the cluster's tokens", _provider, NO_PROVIDER, UP, "jenkins-x"),
    Row("pods may push as their node", _nodes, HOPS),
    Row("volumes: the EBS CSI driver works and has a role", _driver, WAITING),
    Row("subnets are tagged for load balancers", _subnets, NO_SUBNET),
    Row("the roles are where Jenkins X expects them", _roles, NOT_ASSUMED, UP, "jenkins-x"),
    Row(
        "whoever asks is known to the cluster",
        _access,
        UNKNOWN,
        f"whoever may: add the ARN to admins in the profile, then {UP}",
    ),
    Row("Jenkins X has its buckets", _buckets, NO_BUCKET, UP, "jenkins-x"),
)

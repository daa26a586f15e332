"""Which permissions each command needs: ``docs/permissions/``, measured in the sandbox.

``python -m tests.drivers.permissions`` writes the pages and the policies, of all clouds or of those
that are named; ``--check`` only compares (minutes, either way). A user who may do everything takes
a small cluster through its life, once for every profile field that costs permissions of its own;
the sandbox notes what each call needs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clusterkit.cluster import Plan
from clusterkit.eks.irsa import PodRole
from tests.drivers import aks_cases as aks
from tests.drivers import alibaba_cases as ack
from tests.drivers import eks_cases as eks
from tests.drivers import gke_cases as gke
from tests.drivers.world import Case, Edits, World, edited, until_used, world

FOLDER = Path(__file__).parents[2] / "docs" / "permissions"
READS = ("Check", "Describe", "Get", "List")
COMMANDS = ("up", "change", "destroy", "read")
"""``read`` is plan, status, kubeconfig and token"""


def _nothing(_: World) -> None:
    pass


@dataclass(frozen=True)
class Feature:
    """What a profile may have, with the changes that are tried on it."""

    label: str
    edits: Edits = field(default_factory=dict)
    changes: Sequence[Edits] = ()
    prepare: Callable[[World], Edits] = lambda world: {}
    use: Callable[[World], None] = _nothing
    """what happens to the cluster before it is destroyed"""
    activate: bool = False


def _changes(case: Case, *besides: str) -> list[Edits]:
    return [edits for label, edits in case.changes if label not in besides]


def _occupy(found: World) -> None:
    """Make volumes and load balancers through Kubernetes; what that takes does not count."""
    assert found.user is not None
    idle, permissions = found.look(), found.user.permissions
    allowed, asked = permissions.allowed, permissions.drain()
    permissions.allow(["*"])
    found.case.busy(found)
    until_used(found, idle)
    permissions.drain()
    permissions.missing(asked)  # notes them again
    permissions.allow(allowed)


def _kill(found: World) -> None:
    """The same, and Kubernetes does not remove them any more."""
    _occupy(found)
    assert found.sandbox._server is not None
    for cluster in [*found.sandbox._server._clusters.values()]:  # type: ignore[attr-defined]
        cluster.close()


REGISTRY = {"name": "demo", "repositories": ["app"], "keep": False}
TAGS: Sequence[Edits] = ({"tags": {"team": "ops"}},)
RANGE = "count: {min, max}"
SCALED = {"pools.0.count": {"min": 1, "max": 3}}
UNSCALED: Sequence[Edits] = ({"pools.0.count": 2}, {"pools.0.count": {"min": 1, "max": 2}})
ORPHANS = "what Kubernetes left behind"
USED = "load balancers and claims in Kubernetes"

FEATURES: Mapping[str, Sequence[Feature]] = {
    "eks": (
        Feature("", changes=_changes(eks.MINIMAL_CASE, "key", "scaling")),
        Feature(RANGE, SCALED, UNSCALED),
        Feature("ssh_key", {"ssh_key": "me.pub"}, [{"ssh_key": "other.pub"}]),
        Feature("tags", {"tags": {"team": "ci"}}, TAGS),
        Feature(
            "admins", {"admins": [eks.ADMIN]}, [{"admins": [eks.OTHER_ADMIN]}],
            eks.FULL_CASE.prepare,
        ),
        Feature("logging", {"logging": ["api"]}, [{"log_days": 90}]),
        Feature(
            "registry", {"registry": REGISTRY},
            [{"registry.repositories": ["web"]}, {"registry.cache_days": 3}, *TAGS],
        ),
        Feature(
            "registry.push", {"registry": {**REGISTRY, "push": ["builds/kaniko"]}},
            [{"registry.push": "node"}, {"registry.push": ["a/b"]}],
        ),
        Feature(
            "registry.push: secret", {"registry": REGISTRY, "ready": {"kaniko": {}}},
            [{"registry.push": "secret"}, {"registry.push": []}],
        ),
        Feature(
            "ready.jenkins_x", {"registry": REGISTRY, "ready": {"jenkins_x": eks.JENKINS_X}},
            [{"ready.jenkins_x.secrets": "local"}, *TAGS],
        ),
        Feature("network.nat", {"network": {"nat": "none"}}, _changes(eks.BARE_CASE)),
        Feature("network.existing", {}, _changes(eks.EXISTING_CASE), eks.EXISTING_CASE.prepare),
        Feature(ORPHANS, use=_kill),
    ),
    "alibaba": (
        Feature(
            "", changes=_changes(ack.MINIMAL_CASE, "key", "tags", "endpoint", "scaling"),
            prepare=ack.MINIMAL_CASE.prepare,
        ),
        Feature(RANGE, SCALED, UNSCALED, ack.MINIMAL_CASE.prepare),
        Feature(
            "ssh_key", {"ssh_key": "me.pub"}, [{"ssh_key": "other.pub"}],
            ack.MINIMAL_CASE.prepare,
        ),
        Feature("tags", {"tags": {"team": "ci"}}, TAGS, ack.MINIMAL_CASE.prepare),
        Feature(
            "endpoint.allowed", {"endpoint": {"allowed": ["8.8.8.0/24"]}},
            [{"endpoint.allowed": ["9.9.9.0/24"]}, *TAGS], ack.MINIMAL_CASE.prepare,
        ),
        Feature(
            "network.plugin: terway", {"network": {"plugin": "terway"}, "edition": "standard"},
            _changes(ack.TERWAY_CASE), ack.MINIMAL_CASE.prepare,
        ),
        Feature(
            "registry", {**ack.BUILDS, "registry": ack.REPOSITORIES},
            _changes(ack.PERSONAL_CASE), ack.PERSONAL_CASE.prepare,
        ),
        Feature(
            "registry.instance",
            {**ack.BUILDS, "registry": {**ack.REPOSITORIES, "instance": ack.INSTANCE}},
            _changes(ack.ENTERPRISE_CASE), ack.ENTERPRISE_CASE.prepare,
        ),
        Feature(
            "network.existing", {"kubernetes": "1.34"}, _changes(ack.EXISTING_CASE),
            ack.EXISTING_CASE.prepare,
        ),
        Feature(ORPHANS, prepare=ack.MINIMAL_CASE.prepare, use=_kill),
        Feature(
            "up --activate", {"pools.0.count": {"min": 1, "max": 2}}, activate=True,
        ),
    ),
    "gke": (
        Feature(
            "", changes=_changes(gke.MINIMAL_CASE, "key", "tags", "by name"),
        ),
        Feature(
            "ssh_from", {"ssh_key": "me.pub", "ssh_from": "iap"},
            [{"ssh_from": ["8.8.8.0/24"]}, {"ssh_from": None}],
        ),
        Feature("tags", {"tags": {"team": "ci"}}, TAGS),
        Feature("location: regional", gke.REGIONAL, _changes(gke.REGIONAL_CASE)),
        Feature("mode: autopilot", gke.AUTOPILOT, _changes(gke.AUTOPILOT_CASE)),
        Feature(
            "registry", {"registry": REGISTRY},
            [{"registry.hosts": ["gcr.io"]}, {"registry.hosts": []}, *TAGS],
        ),
        Feature(
            "registry.push", {"registry": {**REGISTRY, "push": ["builds/kaniko"]}},
            [{"registry.push": "node"}, {"registry.push": ["a/b"]},
             {"registry.identity": "account"}],
        ),
        Feature(
            "registry.push: secret", {"registry": REGISTRY, "ready": {"kaniko": {}}},
            [{"registry.push": "secret"}, {"registry.push": []}],
        ),
        Feature(
            "ready.jenkins_x", {"registry": REGISTRY, "ready": gke.JENKINS_X["ready"]},
            [gke.DOMAIN, {"ready.jenkins_x.keep_storage": True},
             {"ready.jenkins_x.keep_storage": False}, *TAGS],
            gke.activated,
        ),
        Feature(
            "network.existing", {}, _changes(gke.EXISTING_CASE), gke.EXISTING_CASE.prepare,
        ),
        Feature(
            "storage", {"storage": {"default": "ssd"}}, [{"storage.keep_volumes": True}],
        ),
        Feature(USED, use=_occupy),
        Feature(ORPHANS, use=_kill),
        Feature("up --activate", prepare=gke.bare, activate=True),
    ),
    "aks": (
        Feature(
            "", changes=_changes(aks.MINIMAL_CASE, "key", "another key", "tags"),
            prepare=aks.MINIMAL_CASE.prepare,
        ),
        Feature(
            "ssh_key", {"ssh_key": "me.pub"}, [{"ssh_key": "other.pub"}, {"ssh_key": None}],
            aks.MINIMAL_CASE.prepare,
        ),
        Feature("tags", {"tags": {"team": "ci"}}, TAGS, aks.MINIMAL_CASE.prepare),
        Feature("entra", {}, [{"entra.local_accounts": True}], aks.administered),
        Feature(
            "registry", {"registry": REGISTRY}, [{"registry.sku": "standard"}, *TAGS],
            aks.MINIMAL_CASE.prepare,
        ),
        Feature(
            "registry.push", {"registry": {**REGISTRY, "push": ["builds/kaniko"]}},
            [{"registry.push": "node"}, {"registry.push": ["a/b"]}, {"registry.abac": True}],
            aks.MINIMAL_CASE.prepare,
        ),
        Feature(
            "ready.jenkins_x", {"registry": REGISTRY, "ready": {"jenkins_x": aks.JENKINS_X}},
            [{"ready.jenkins_x.secrets": "vault"}, {"ready.jenkins_x.secrets": "cloud"}, *TAGS],
            aks.zone,
        ),
        Feature(
            "network.existing", {}, _changes(aks.EXISTING_CASE), aks.EXISTING_CASE.prepare,
        ),
        Feature(USED, prepare=aks.MINIMAL_CASE.prepare, use=_occupy),
        Feature(ORPHANS, prepare=aks.MINIMAL_CASE.prepare, use=_kill),
        Feature("up --activate", prepare=aks.bare, activate=True),
    ),
}  # fmt: skip
"""by cloud; the first is what every profile needs"""
CASES = {
    "eks": eks.MINIMAL_CASE,
    "alibaba": ack.MINIMAL_CASE,
    "gke": gke.MINIMAL_CASE,
    "aks": aks.MINIMAL_CASE,
}

Used = dict[str, frozenset[str]]
"""command to the actions it needs"""


def life(
    found: World, feature: Feature, plans: list[Plan]
) -> Iterator[tuple[str, Callable[[], object]]]:
    """The steps of a cluster with this feature, by command; their plans are added to ``plans``."""

    def up(profile: Mapping[str, Any]) -> object:
        loaded = found.load(profile)
        cluster = found.cluster(loaded.name)
        told: list[str] = []
        activate = told.append if feature.activate else None
        plans.append(cluster.plan(loaded, activate=activate))
        return cluster.apply(plans[-1], found.events.append)

    def destroy() -> object:
        cluster = found.cluster()
        plans.append(cluster.plan_destroy())
        return cluster.apply(plans[-1], found.events.append)

    profile = dict(found.case.profile)
    yield "up", lambda: up(found.case.profile)
    yield "read", lambda: (found.cluster().observe(), found.cluster().credential())
    for edits in feature.changes:
        profile = edited(profile, edits)
        yield "change", lambda changed=profile: up(changed)  # type: ignore[misc]
    feature.use(found)
    yield "destroy", destroy


def case_of(cloud: str, feature: Feature) -> Case:
    """The small cluster of a cloud with this feature."""
    case = CASES[cloud]
    profile = edited(case.profile, feature.edits)
    return replace(case, profile=profile, prepare=feature.prepare)


def measure(cloud: str, feature: Feature) -> Used:
    """What each command needs of a user with this feature in their profile."""
    used: dict[str, set[str]] = {command: set() for command in COMMANDS}
    folder = tempfile.TemporaryDirectory(prefix="clusterkit-permissions-")
    with folder as name, world(case_of(cloud, feature), Path(name)) as found:
        found.user = found.sandbox.identity(["*"])
        for command, step in life(found, feature, []):
            outcome = step()
            if command != "read":
                found.settle(outcome)  # type: ignore[arg-type]
            used[command] |= found.user.permissions.drain()
    return {command: frozenset(actions) for command, actions in used.items()}


VERIFIED: Mapping[str, Sequence[str]] = {
    "eks": ("ready.jenkins_x",),
    "alibaba": ("registry", "registry.instance"),
    "gke": ("ready.jenkins_x",),
    "aks": ("ready.jenkins_x",),
}
"""the features of which ``verify`` looks at most"""


def verified(cloud: str) -> Iterator[Feature]:
    """The features whose clusters ``verify`` is measured with."""
    return (each for each in FEATURES[cloud] if each.label in VERIFIED[cloud])


def measure_verify(cloud: str, feature: Feature) -> frozenset[str]:
    """What ``verify`` needs on a cluster with this feature."""
    folder = tempfile.TemporaryDirectory(prefix="clusterkit-permissions-")
    with folder as name, world(case_of(cloud, feature), Path(name)) as found:
        found.settle(found.up())
        found.user = found.sandbox.identity(["*"])
        found.cluster().verify(found.profile)
        return frozenset(found.user.permissions.drain())


# -- what no measurement shows --------------------------------------------------------------------

APPLIED = "Kubernetes asks for `create` besides `patch` when an apply makes something"
"""apiserver, ``handlers/patch.go``: ``withAuthorization(…, "create")``"""
WARNING = "a warning without it"
NO_QUOTAS = "without it, preflight does not check quotas"
AKS = "Microsoft.ContainerService"
FEDERATED = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
LOCKS = "without it, a lock is not named before it stops a delete"
OBJECTS, UPLOADS = "objects in it", "unfinished uploads in it"
ALSO: Mapping[str, Mapping[str, str]] = {
    "eks": {
        "ec2:AuthorizeSecurityGroupEgress": "a rule of the cluster's group was removed by hand",
        "ec2:AuthorizeSecurityGroupIngress": "a rule of the cluster's group was removed by hand",
        "ecr:PutImageScanningConfiguration": "a repository was changed by hand",
        "ecr:PutImageTagMutability": "a repository was changed by hand",
        "ec2:DeleteNetworkInterface": "a network interface that Kubernetes left behind",
        "ec2:DeleteVolume": "a claim left a volume behind, and its PersistentVolume said Delete",
        "ec2:DisassociateRouteTable": "a subnet was associated by hand with another route table",
        "eks:UntagResource": "a tag of ours was changed by hand",
        "eks:UpdatePodIdentityAssociation": "an association was changed by hand",
        "elasticloadbalancing:ModifyLoadBalancerAttributes": "a load balancer that Kubernetes left "
        "behind is protected from deletion",
        "iam:CreateServiceLinkedRole": "the first cluster, node group or load balancer of an "
        "account: AWS makes the service's role in the caller's name (EKS user guide, "
        '"Using service-linked roles")',
        "iam:ListInstanceProfilesForRole": "somebody uses a role of the cluster",
        "iam:RemoveRoleFromInstanceProfile": "somebody uses a role of the cluster",
        "iam:AddClientIDToOpenIDConnectProvider": "an audience of the identity provider was "
        "removed by hand",
        "iam:UpdateAssumeRolePolicy": "a role's trust was changed by hand",
        "s3:AbortMultipartUpload": f"a bucket that goes has {UPLOADS}",
        "s3:DeleteObject": f"a bucket that goes has {OBJECTS}",
        "s3:DeleteObjectVersion": f"a bucket that goes has {OBJECTS}",
        "s3:PutBucketPublicAccessBlock": "public access to a bucket was not blocked any more",
        "servicequotas:GetAWSDefaultServiceQuota": "the account has AWS's default of a quota only; "
        f"{NO_QUOTAS}",
        "tag:GetResources": "the account has more than 20 ECR repositories; without it, each is "
        "asked for its tags",
    },
    "alibaba": {
        "alb:DeleteLoadBalancer": "an Ingress left an application load balancer behind",
        "ecs:DeleteDisk": "a claim left a disk behind, and its PersistentVolume said Delete",
        "ecs:DeleteNetworkInterface": "a network interface that Kubernetes left behind",
        "nlb:DeleteLoadBalancer": "a Service left a network load balancer behind",
        "nlb:UpdateLoadBalancerProtection": "a Service left a network load balancer behind",
        "alb:DisableDeletionProtection": "an Ingress left an application load balancer behind",
        "cs:DescribeClusterEvents": "a cluster fails: its events say why",
        "cs:InstallClusterAddons": "a registry comes later, or an add-on was removed by hand",
        "cs:ListAddons": "a registry comes later, or an add-on was removed by hand",
        "cs:OpenAckService": "`up --activate` in an account without Container Service",
        "ram:CreatePolicyVersion": "a policy was changed by hand",
        "ram:CreateServiceLinkedRole": "the first NAT gateway of an account (CreateNatGateway: "
        "NoPermission.CreateServiceLinkedRole)",
        "ram:UpdateRole": "a role's trust was changed by hand",
        "slb:RemoveAccessControlListEntry": "`endpoint.allowed` loses an entry",
        "slb:DeleteLoadBalancer": "a Service left a classic load balancer behind",
        "slb:SetLoadBalancerDeleteProtection": "a load balancer that Kubernetes left behind is "
        "protected from deletion",
        "vpc:DeleteSnatEntry": "a NAT entry was made by hand",
    },
    "gke": {
        "compute.addresses.delete": "a Service left an address behind",
        "compute.backendServices.delete": "an Ingress left a load balancer behind",
        "compute.disks.delete": "a claim left a disk behind, and its PersistentVolume said Delete",
        "compute.firewallPolicies.update": "a run takes longer than the lock is good for",
        "compute.healthChecks.delete": "a Service or an Ingress left a load balancer behind",
        "compute.instanceGroups.delete": "an Ingress left a group of machines behind",
        "compute.networkEndpointGroups.delete": "an Ingress left an endpoint group behind",
        "compute.routers.update": "the Cloud NAT was changed by hand",
        "compute.subnetworks.expandIpCidrRange": "`network.cidr` becomes larger",
        "compute.subnetworks.setPrivateIpGoogleAccess": "private Google access was switched off",
        "storage.objects.delete": "a bucket that the profile does not keep holds objects",
        "storage.objects.list": "a bucket that the profile does not keep holds objects",
        "compute.subnetworks.update": "a secondary range was removed by hand",
        "compute.targetHttpProxies.delete": "an Ingress left a load balancer behind",
        "compute.targetHttpsProxies.delete": "an Ingress left a load balancer behind",
        "compute.urlMaps.delete": "an Ingress left a load balancer behind",
        "compute.zoneOperations.get": "something is deleted that Kubernetes left in a zone",
        "container.ingresses.delete": "there are Ingresses in Kubernetes",
        "container.configMaps.create": f"with `ready.jenkins_x`: {APPLIED}",
        "container.namespaces.create": f"with `registry.push`: {APPLIED}",
        "container.serviceAccounts.create": f"with `registry.push`: {APPLIED}",
        "container.secrets.create": f"with `ready.kaniko`: {APPLIED}",
        "container.storageClasses.create": f"with `storage`: {APPLIED}",
        "iam.serviceAccountKeys.delete": "a key of `registry.push: secret` is made anew",
    },
    "aks": {
        "Microsoft.Authorization/locks/read": LOCKS,
        "Microsoft.Compute/disks/delete": "a claim left a disk behind, and its PersistentVolume "
        "said Delete",
        f"{AKS}/managedClusters/listClusterAdminCredential/action": "`kubeconfig --auth admin`",
        "Microsoft.ContainerRegistry/register/action": "`up --activate` with `registry`",
        "Microsoft.KeyVault/register/action": "`up --activate` with `ready.jenkins_x.secrets`",
        "Microsoft.Storage/register/action": "`up --activate` with `ready.jenkins_x.storage`",
        f"{FEDERATED}/delete": "`registry.push` loses a service account",
        f"{AKS}/managedClusters/start/action": "the cluster was stopped",
        "Microsoft.Network/routeTables/read": "`network.existing` with a subnet that has a route "
        "table",
    },
}
"""actions of cases that are not measured, and when they are needed"""
ELSEWHERE = (
    "without it, a cluster of the same name in another resource group is not noticed, and "
    "`destroy --name` does not find one in an existing group"
)
LOST = "without it, nothing is said of roles and policies that lost their tags"
OPTIONAL: Mapping[str, Mapping[str, str]] = {
    "eks": {
        "ec2:DescribeKeyPairs": WARNING,
        "ec2:DescribeNetworkAcls": WARNING,
        "ec2:DescribeVpcEndpoints": WARNING,
        "ec2:DescribeVpnGateways": WARNING,
        "ecr:DescribeRepositories": WARNING,
        "ecr:GetRepositoryPolicy": "without it, nothing is said of what policies of repositories "
        "open or deny",
        "eks:DescribeAccessEntry": WARNING,
        "eks:ListAccessEntries": WARNING,
        "eks:ListClusters": NO_QUOTAS,
        "eks:ListPodIdentityAssociations": WARNING,
        "eks:ListFargateProfiles": WARNING,
        "iam:ListOpenIDConnectProviders": WARNING,
        "logs:DescribeLogGroups": WARNING,
        "s3:ListAllMyBuckets": WARNING,
        "servicequotas:GetServiceQuota": NO_QUOTAS,
    },
    "alibaba": {
        "cr:ListInstance": WARNING,
        "cr:ListRepository": WARNING,
        "ecs:DescribeAccountAttributes": WARNING,
        "ecs:DescribeInstances": WARNING,
        "ecs:DescribeSecurityGroupReferences": WARNING,
        "ram:ListRoles": WARNING,
        "slb:DescribeAccessControlLists": WARNING,
        "cs:DescribeClusterResources": "without it, nothing is said of log projects that stay",
        "ram:GetPolicy": LOST,
        "ram:GetRole": LOST,
        "ess:ModifyScalingGroup": "without it, protected machines keep a node pool",
    },
    "gke": {
        "compute.addresses.list": WARNING,
        "compute.forwardingRules.list": WARNING,
        "compute.instances.list": WARNING,
        "compute.projects.get": "without it, preflight does not know the quotas of all regions",
        "compute.routes.list": WARNING,
    },
    "aks": {
        "Microsoft.Network/locations/usages/read": (
            "without it, preflight does not know the quotas of networks and addresses"
        ),
        "Microsoft.Resources/subscriptions/resources/read": ELSEWHERE,
        "Microsoft.Authorization/locks/read": LOCKS,
        "Microsoft.Authorization/permissions/read": "without it, preflight does not say what is "
        "lacking",
    },
}
"""actions without which the commands on a profile without features go on, and what is missing"""


@dataclass(frozen=True)
class Row:
    """One action."""

    action: str
    commands: tuple[str, ...]
    """empty: not measured"""
    note: str = ""
    """when it is needed; empty: always"""
    verify: bool = False
    """whether ``verify`` needs it"""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        if self.action.startswith("Microsoft."):
            return self.action.endswith("/read")
        verb = re.split("[:.]", self.action)[-1]
        return f"{verb[0].upper()}{verb[1:]}".startswith(READS)


def rows(cloud: str) -> list[Row]:
    """Every action, measured, and those that cannot be."""
    found = {feature.label: measure(cloud, feature) for feature in FEATURES[cloud]}
    everything = frozenset[str]().union(
        *(used for each in found.values() for used in each.values())
    )
    out = {action: Row(action, (), note) for action, note in ALSO[cloud].items()}
    for action in everything:
        where = [label for label, used in found.items() if any(action in u for u in used.values())]
        always = "" in where
        note = "" if always else _when(where)
        if action in OPTIONAL[cloud]:
            note = OPTIONAL[cloud][action]
        measured = [found[label] for label in ([""] if always else where)]
        commands = (c for c in COMMANDS if any(action in used[c] for used in measured))
        out[action] = Row(action, tuple(commands), note)
    looked = frozenset[str]().union(*(measure_verify(cloud, each) for each in verified(cloud)))
    for action in looked:
        out[action] = replace(out.get(action) or Row(action, ()), verify=True)
    return [out[action] for action in sorted(out)]


def _when(labels: Sequence[str]) -> str:
    fields = [f"`{label}`" for label in labels if label not in (ORPHANS, USED)]
    return f"with {', '.join(fields)}" if fields else f"for {labels[0]}"


# -- pages ----------------------------------------------------------------------------------------

VERSIONS = {"eks": "2012-10-17", "alibaba": "1"}
NAMES = {
    "eks": ("EKS", "the IAM policy to attach"),
    "alibaba": ("ACK", "the RAM policy to attach"),
    "gke": (
        "GKE",
        "the custom role to create (`gcloud iam roles create clusterkit --project=PROJECT "
        "--file=docs/permissions/gke.json`) and to grant",
    ),
    "aks": (
        "AKS",
        "the custom role to create (put the subscription's id into `AssignableScopes`, then "
        "`az role definition create --role-definition docs/permissions/aks.json`) and to assign",
    ),
}
WORDS = {
    "eks": """Besides these, `sts:GetCallerIdentity` is called, which needs no permission.

Roles are made, passed and deleted under the path `/clusterkit/` only, and with `ready.jenkins_x`
under the names that its charts make of the cluster's; the policy says so. In China and GovCloud
these ARNs begin with `arn:aws-cn:` and `arn:aws-us-gov:`. All else holds for all
resources: a condition on the tag `clusterkit-cluster` would fit calls of EC2 that change or delete
something, but none that lists or creates. The sandbox evaluates actions only.
""",
    "alibaba": """Besides these, `sts:GetCallerIdentity` is called, which needs no permission.

Every statement holds for all resources: many of these calls list what an account has, and RAM
grants those on `*` only. The names of the Personal Edition's actions (`cr:`) are those of the
Enterprise Edition; that is unverified.
""",
    "gke": """`up` asks first which of the most important ones the credentials have
(`projects.testIamPermissions`), names all that are missing and ends with exit code 4.

The role belongs to the project of the cluster. On the host project of a Shared VPC,
`roles/compute.networkUser` is needed besides, for the credentials and for GKE's own account.
""",
    "aks": """`up` asks first which of the most important ones the credentials have
(`Microsoft.Authorization/permissions`), names all that are missing and ends with exit code 4.

Assign the role at the subscription, or with `resource_group:` at that group, and then a second time
at the virtual network of `network.existing`; a few calls that list or read something of the whole
subscription (sizes, quotas, locks, role assignments) need Reader there. Two built-in roles have all
of it: Contributor, and Role Based Access Control Administrator. `roleAssignments/write` gives away
whatever its owner likes: a condition on the assignment can limit it to the roles in docs/aks.md.
Without `entra:` Kubernetes is reached with the cluster's own certificate; with it, those in
`entra.admins` get the role Azure Kubernetes Service RBAC Cluster Admin from `up`.
""",
}


ROLES = (
    "arn:aws:iam::*:role/clusterkit/*",
    *(f"arn:aws:iam::*:role/*-{name}" for name in sorted(PodRole.names)),
)
"""every role of the driver (``eks.iam.path``, ``eks.irsa.PodRole``)"""
_ANYWHERE = ("CreateServiceLinkedRole", "RemoveRoleFromInstanceProfile", "OpenIDConnectProvider")
"""how actions of IAM end that are about no role"""


def _statement(cloud: str, row: Row) -> str:
    if row.reads:
        return "Read"
    ours = cloud == "eks" and row.action.startswith("iam:") and not row.action.endswith(_ANYWHERE)
    return "Roles" if ours else "Change"


def policy(cloud: str, found: Sequence[Row]) -> str:
    """A policy to attach as it is; readers may be given the first statement alone. For Google
    Cloud, a custom role.
    """
    if cloud == "gke":
        permissions = sorted(row.action for row in found)
        role = {"title": "clusterkit", "stage": "GA", "includedPermissions": permissions}
        return json.dumps(role, indent=2) + "\n"
    if cloud == "aks":
        return json.dumps(_azure_role(sorted(row.action for row in found)), indent=2) + "\n"
    version, statements = VERSIONS[cloud], []
    for sid, resource in (("Read", "*"), ("Change", "*"), ("Roles", ROLES)):
        actions = [row.action for row in found if _statement(cloud, row) == sid]
        on = resource if isinstance(resource, str) else [*resource]
        one = {"Effect": "Allow", "Action": actions, "Resource": on}
        if actions:
            statements.append({"Sid": sid, **one} if cloud == "eks" else one)
    return json.dumps({"Version": version, "Statement": statements}, indent=2) + "\n"


def _azure_role(actions: Sequence[str]) -> dict[str, Any]:
    """A custom role
    (https://learn.microsoft.com/azure/role-based-access-control/custom-roles, "Custom role
    properties").
    """
    return {
        "Name": "clusterkit",
        "IsCustom": True,
        "Description": "Makes, changes and removes clusters with clusterkit",
        "Actions": list(actions),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": ["/subscriptions/00000000-0000-0000-0000-000000000000"],
    }


def page(cloud: str, found: Sequence[Row]) -> str:
    """The table of actions for people."""
    name, what = NAMES[cloud]
    parts = [
        f"# Permissions for {name}",
        f"What the credentials need, as measured in the sandbox: `{cloud}.json` beside this page "
        f"is {what}. "
        f'`eval "$(clusterkit sandbox env --allow docs/permissions/{cloud}.json)"` tries it, '
        "or one with less. `read` stands for plan, status, kubeconfig and token; what `verify` "
        "reads is the last list. A kind of thing "
        "that the profile does not ask for and that may not be listed is a warning of `up`, and "
        "of `destroy` unless it could be in the way; all else that is missing ends the command "
        "with exit code 6 and the action's name.",
        WORDS[cloud].rstrip(),
    ]
    groups = (
        ("Reading", [row for row in found if row.reads and row.commands]),
        ("Changing", [row for row in found if not row.reads and row.commands]),
    )
    for title, some in groups:
        lines = [f"| action | {' | '.join(COMMANDS)} | needed |", "|" + " --- |" * 6]
        for row in some:
            ticks = " | ".join("x" if command in row.commands else "" for command in COMMANDS)
            lines.append(f"| `{row.action}` | {ticks} | {row.note or 'always'} |")
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    rare = [f"| `{row.action}` | {row.note} |" for row in found if not row.commands and row.note]
    parts.append("## In rare cases\n\n| action | when |\n| --- | --- |\n" + "\n".join(rare))
    looked = "\n".join(f"- `{row.action}`" for row in found if row.verify)
    parts.append(
        "## Verifying\n\nWhat `verify` needs of the cloud, with all its checks; of Kubernetes, it "
        "reads what docs/verify.md names. A check that may not look is skipped and names the "
        "action.\n\n" + looked
    )
    made = "make permissions"
    parts.append(f"This page and the policy are written by `{made}`.")
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the pages, or say which is behind."""
    parser = argparse.ArgumentParser(description="docs/permissions, measured in the sandbox")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("clouds", nargs="*", help="these only; default: all")
    options = parser.parse_args()
    check, behind = options.check, []
    for cloud in options.clouds or FEATURES:
        found = rows(cloud)
        for file, text in (("json", policy(cloud, found)), ("md", page(cloud, found))):
            path = FOLDER / f"{cloud}.{file}"
            if path.exists() and path.read_text() == text:
                continue
            behind.append(path.name)
            if check:
                sys.stderr.write(f"docs/permissions/{path.name} is behind: make permissions\n")
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main())

"""Each check of an EKS cluster fails when what it asks for is broken, and says what mends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clusterkit.ready.verify import Verdict, Wanted
from tests.drivers.aws import Account
from tests.drivers.eks_cases import JENKINS_X, JENKINS_X_CASE, MINIMAL_CASE, TRUST
from tests.drivers.world import World, edited, world

BUILDS: Mapping[str, Any] = {
    **JENKINS_X_CASE.profile,
    "ready": {"kaniko": {}, "jenkins_x": {**JENKINS_X, "domain": "apps.example.com"}},
}
PUSH = "clusterkit-eu-west-1-demo-push"
Break = Callable[[World], object]


def asked(found: World, *ids: str) -> dict[str, Verdict]:
    """What these checks find."""
    verdicts = found.cluster().verify(found.profile, Wanted(only=ids))
    return {verdict.check.id: verdict for verdict in verdicts}


def said(verdict: Verdict) -> str:
    """What was found, with what users see and the cures."""
    return "\n".join(f"{r.status} {r.where}: {r.what} {r.seen} {r.cure}" for r in verdict.results)


def _repository(name: str) -> Break:
    return lambda found: Account(found).ecr.delete_repository(repositoryName=name, force=True)


def _associations(found: World) -> None:
    eks = Account(found).eks
    for each in eks.list_pod_identity_associations(clusterName="demo")["associations"]:
        if each["namespace"] == "builds":
            eks.delete_pod_identity_association(
                clusterName="demo", associationId=each["associationId"]
            )


def _rights(found: World) -> None:
    """Push to another repository only."""
    iam = Account(found).iam
    shown = iam.get_role_policy(RoleName=PUSH, PolicyName="ecr-push")["PolicyDocument"]
    text = json.dumps(shown).replace("repository/demo/", "repository/other/")
    iam.put_role_policy(RoleName=PUSH, PolicyName="ecr-push", PolicyDocument=text)


def _denial(found: World) -> None:
    deny = {"Effect": "Deny", "Action": "ecr:Put*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": deny})
    Account(found).iam.put_role_policy(
        RoleName="demo-tekton-bot", PolicyName="no", PolicyDocument=text
    )


def _distrust(role: str) -> Break:
    return lambda found: Account(found).iam.update_assume_role_policy(
        RoleName=role, PolicyDocument=TRUST
    )


def _provider(found: World) -> str:
    [each] = Account(found).iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return str(each["Arn"])


def _forget(found: World) -> None:
    iam = Account(found).iam
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=_provider(found))


def _audience(found: World) -> None:
    Account(found).iam.remove_client_id_from_open_id_connect_provider(
        OpenIDConnectProviderArn=_provider(found), ClientID="sts.amazonaws.com"
    )


def _addon(found: World) -> None:
    Account(found).eks.delete_addon(clusterName="demo", addonName="aws-ebs-csi-driver")


def _tags(found: World) -> None:
    ec2 = Account(found).ec2
    for each in ec2.describe_subnets()["Subnets"]:
        ec2.delete_tags(Resources=[each["SubnetId"]], Tags=[{"Key": "kubernetes.io/role/elb"}])


def _role(found: World) -> None:
    iam = Account(found).iam
    for name in iam.list_role_policies(RoleName="demo-external-dns")["PolicyNames"]:
        iam.delete_role_policy(RoleName="demo-external-dns", PolicyName=name)
    iam.delete_role(RoleName="demo-external-dns")


def _subject(found: World) -> None:
    """Pods of another namespace."""
    iam = Account(found).iam
    shown = iam.get_role(RoleName="demo-build-ctrl")["Role"]["AssumeRolePolicyDocument"]
    text = json.dumps(shown).replace("serviceaccount:jx:", "serviceaccount:*:")
    iam.update_assume_role_policy(RoleName="demo-build-ctrl", PolicyDocument=text)


def _policy(found: World) -> None:
    iam, role = Account(found).iam, "clusterkit-eu-west-1-demo-ebs-csi"
    for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=each["PolicyArn"])


def _reports(found: World) -> None:
    """Pipelines may push, and keep nothing."""
    iam, role = Account(found).iam, "demo-tekton-bot"
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    shown = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    text = json.dumps(shown).replace("arn:aws:s3:::", "arn:aws:s3:::other-")
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)


def _bucket(found: World) -> None:
    s3 = Account(found).s3
    [name] = [each["Name"] for each in s3.list_buckets()["Buckets"] if "logs-" in each["Name"]]
    s3.delete_bucket(Bucket=name)


BREAKS: Mapping[str, tuple[str, Break, tuple[str, ...]]] = {
    "image repository": ("E1", _repository("demo/app"), ("NAME_UNKNOWN", "repository/demo/app:")),
    "cache repository": ("E1", _repository("demo/app/cache"), ("Error uploading layer to cache",)),
    "association": ("E2", _associations, ("builds/kaniko", "no role by Pod Identity", "401")),
    "rights": ("E2", _rights, ("builds/kaniko", "ecr:PutImage on demo/app", "401")),
    "denial": ("E2", _denial, ("jx/tekton-bot", "ecr:PutImage on demo/app", "401")),
    "trust": ("E2", _distrust(PUSH), ("does not trust EKS Pod Identity",)),
    "provider": ("E3", _forget, ("No OpenIDConnect provider found", "oidc.eks.eu-west-1.")),
    "audience": ("E3", _audience, ("sts.amazonaws.com", "Incorrect token audience")),
    "driver": ("E5", _addon, ("is not installed", "ebs.csi.aws.com")),
    "its policy": ("E5", _policy, ("has no policy", "UnauthorizedOperation")),
    "tags": ("E6", _tags, ("kubernetes.io/role/elb", "couldn't auto-discover subnets")),
    "role": ("E7", _role, ("role/demo-external-dns", "AssumeRoleWithWebIdentity")),
    "reports": ("E7", _reports, ("demo-tekton-bot: does not allow s3:", "-demo-")),
    "bucket": ("E9", _bucket, ("bucket/logs-demo-", "NoSuchBucket")),
    "subject": ("E7", _subject, ("does not trust jx/jenkins-x-controllerbuild",)),
}
"""what is broken, in which check that is found, and words of it; ``up`` mends all"""


def test_what_is_broken_is_found_and_up_mends_it(tmp_path: Path) -> None:
    case = JENKINS_X_CASE
    with world(case, tmp_path) as found:
        found.profile = found.load(BUILDS)
        found.settle(found.up())
        ids = {"E1", "E2", "E3", "E5", "E6", "E7", "E8", "E9"}
        good = asked(found, *ids)
        assert {id: v.status for id, v in good.items()} == dict.fromkeys(ids, "passed"), [
            said(v) for v in good.values()
        ]
        for label, (id, breaks, words) in BREAKS.items():
            breaks(found)
            verdict = asked(found, id)[id]
            assert verdict.status == "failed", label
            told = said(verdict)
            assert [word for word in (*words, "clusterkit up") if word not in told] == [], told
            found.settle(found.up())
            assert asked(found, id)[id].status == "passed", label


def _power(found: World) -> None:
    iam, role = Account(found).iam, "clusterkit-eu-west-1-demo-node"
    arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser"
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def _near_nodes(found: World) -> None:
    """A group of somebody's without a launch template: AL2023 keeps pods from the metadata."""
    account = Account(found)
    cluster = account.eks.describe_cluster(name="demo")["cluster"]
    role = account.iam.get_role(RoleName="clusterkit-eu-west-1-demo-node")["Role"]["Arn"]
    account.eks.create_nodegroup(
        clusterName="demo",
        nodegroupName="theirs",
        nodeRole=role,
        subnets=cluster["resourcesVpcConfig"]["subnetIds"][:1],
        scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1},
    )


def _without_a_role(found: World) -> None:
    eks, of = Account(found).eks, {"clusterName": "demo", "addonName": "aws-ebs-csi-driver"}
    eks.delete_addon(**of)
    eks.create_addon(**of)


def _entry(found: World) -> None:
    eks = Account(found).eks
    arn = Account(found).sts.get_caller_identity()["Arn"]
    eks.delete_access_entry(clusterName="demo", principalArn=arn)


def _empty_entry(found: World) -> None:
    eks = Account(found).eks
    arn = Account(found).sts.get_caller_identity()["Arn"]
    eks.create_access_entry(clusterName="demo", principalArn=arn)


OTHERS: Mapping[str, tuple[str, Break, tuple[str, ...]]] = {
    "node role": ("E4", _power, ("role/node", "may not push", "clusterkit up")),
    "hop limit": ("E4", _near_nodes, ("node-group/theirs", "hop limit is 1", "IMDS role")),
    "driver": ("E5", _without_a_role, ("has no role", "UnauthorizedOperation", "update-addon")),
    "entry": ("E8", _entry, ("You must be logged in to the server", "to admins in the profile")),
    "rights": ("E8", _empty_entry, ("gives no rights", "Forbidden")),
}
"""the same of what ``up`` does not mend, one after the other"""


def test_what_is_broken_and_mended_by_hand(tmp_path: Path) -> None:
    registry = {"name": "demo", "repositories": ["app"], "keep": False, "push": "node"}
    with world(MINIMAL_CASE, tmp_path) as found:
        found.profile = found.load(edited(MINIMAL_CASE.profile, {"registry": registry}))
        found.settle(found.up())
        good = asked(found, "E4", "E5", "E8")
        assert {v.status for v in good.values()} == {"passed"}, [said(v) for v in good.values()]
        for label, (id, breaks, words) in OTHERS.items():
            breaks(found)
            verdict = asked(found, id)[id]
            assert verdict.status == "failed", label
            told = said(verdict)
            assert [word for word in words if word not in told] == [], told

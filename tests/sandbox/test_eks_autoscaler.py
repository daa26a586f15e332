"""The cluster autoscaler on the sandbox's EKS: what it may do is what its role may do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.signers import RequestSigner

from tests.sandbox.test_eks_service import ACCOUNT, REGION, Aws, refused, shared
from tests.sandbox.workloads import Workloads, stays, until

__all__ = ["shared"]
TAG = "k8s.io/cluster-autoscaler"
AUDIENCE = "sts.amazonaws.com"
POLICY: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": ["autoscaling:Describe*", "ec2:Describe*"], "Resource": "*"},
    {
        "Effect": "Allow",
        "Action": [
            "autoscaling:SetDesiredCapacity",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
        ],
        "Resource": "*",
        "Condition": {"StringEquals": {f"aws:ResourceTag/{TAG}/demo": "owned"}},
    },
    {"Effect": "Allow", "Action": "eks:DescribeNodegroup", "Resource": "*"},
]


@pytest.fixture
def aws(shared: Aws) -> Iterator[Aws]:
    yield shared
    shared.sandbox.faults.clear()
    shared.sandbox.reset()


@pytest.fixture
def cluster(aws: Aws) -> dict[str, Any]:
    """A cluster with a node group of one to three."""
    made = aws.cluster()
    aws.nodes()
    aws.eks.create_addon(clusterName="demo", addonName="vpc-cni")
    aws.group(made, scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 1})
    return made


@pytest.fixture
def kube(aws: Aws, cluster: dict[str, Any], tmp_path: Path) -> Iterator[Workloads]:
    authority = cluster["certificateAuthority"]["data"]
    found = Workloads.by_token(
        cluster["endpoint"], authority, token(aws), tmp_path, aws.sandbox.proxy
    )
    yield found
    found.close()


def token(aws: Aws) -> str:
    """What ``aws eks get-token`` prints."""
    sts = aws.sts
    signer = RequestSigner(
        sts.meta.service_model.service_id, REGION, "sts", "v4", sts._request_signer._credentials,
        aws._session.events,
    )  # fmt: skip
    url = signer.generate_presigned_url(
        {
            "method": "GET",
            "url": f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": "demo"},
            "context": {},
        },
        region_name=REGION,
        expires_in=60,
        operation_name="",
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def role(aws: Aws, trust: dict[str, Any], statements: list[dict[str, Any]]) -> str:
    """The role of the autoscaler."""
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = aws.iam.create_role(RoleName="scaler", AssumeRolePolicyDocument=document)
    allow(aws, statements)
    return str(made["Role"]["Arn"])


def allow(aws: Aws, statements: list[dict[str, Any]]) -> None:
    """What it may do from now on."""
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws.iam.put_role_policy(RoleName="scaler", PolicyName="scale", PolicyDocument=document)


def by_association(aws: Aws, statements: list[dict[str, Any]]) -> None:
    """EKS Pod Identity for kube-system/cluster-autoscaler."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    arn = role(aws, trust, statements)
    aws.eks.create_addon(clusterName="demo", addonName="eks-pod-identity-agent")
    aws.eks.create_pod_identity_association(
        clusterName="demo", namespace="kube-system", serviceAccount="cluster-autoscaler",
        roleArn=arn,
    )  # fmt: skip


def by_token(aws: Aws, cluster: dict[str, Any], account: str = "cluster-autoscaler") -> str:
    """IAM roles for service accounts; the ARN of the role."""
    issuer = cluster["identity"]["oidc"]["issuer"]
    aws.iam.create_open_id_connect_provider(Url=issuer, ClientIDList=[AUDIENCE])
    bare = issuer.removeprefix("https://")
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{bare}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{bare}:aud": AUDIENCE,
                f"{bare}:sub": f"system:serviceaccount:kube-system:{account}",
            }
        },
    }
    return role(aws, trust, POLICY)


def install(kube: Workloads, *flags: str, **annotations: str) -> None:
    """The autoscaler's ServiceAccount and Deployment."""
    name = "cluster-autoscaler"
    body: dict[str, Any] = {"metadata": {"name": name, "annotations": annotations}}
    kube.core.create_namespaced_service_account("kube-system", body)
    command = [
        "./cluster-autoscaler",
        "--cloud-provider=aws",
        f"--node-group-auto-discovery=asg:tag={TAG}/enabled,{TAG}/demo",
        *flags,
    ]
    image = f"registry.k8s.io/autoscaling/{name}:v1.35.0"
    resources = {"requests": {"cpu": "100m"}}
    container = {"name": name, "image": image, "command": command, "resources": resources}
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"serviceAccountName": name, "containers": [container]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    kube.apps.create_namespaced_deployment(
        "kube-system", {"metadata": {"name": name}, "spec": spec}
    )


def desired(aws: Aws) -> int:
    """What EKS says of the node group's size."""
    found = aws.eks.describe_nodegroup(clusterName="demo", nodegroupName="pool")
    return int(found["nodegroup"]["scalingConfig"]["desiredSize"])


def test_a_node_group_has_an_auto_scaling_group(aws: Aws, cluster: dict[str, Any]) -> None:
    group = aws.eks.describe_nodegroup(clusterName="demo", nodegroupName="pool")["nodegroup"]
    [name] = [one["name"] for one in group["resources"]["autoScalingGroups"]]
    client = aws.client("autoscaling")
    filters = [{"Name": "tag-key", "Values": [f"{TAG}/enabled"]},
               {"Name": f"tag:{TAG}/demo", "Values": ["owned"]}]  # fmt: skip
    [found] = client.describe_auto_scaling_groups(Filters=filters)["AutoScalingGroups"]
    assert found["AutoScalingGroupName"] == name
    assert (found["MinSize"], found["MaxSize"], found["DesiredCapacity"]) == (1, 3, 1)
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert tags[f"{TAG}/enabled"] == "true"
    assert tags["eks:nodegroup-name"] == "pool"
    [instance] = found["Instances"]
    assert instance["LifecycleState"] == "InService"
    none = [{"Name": "tag-key", "Values": ["other"]}]
    assert client.describe_auto_scaling_groups(Filters=none)["AutoScalingGroups"] == []
    client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    until(lambda: len(client.describe_auto_scaling_instances()["AutoScalingInstances"]) == 2, "two")
    assert desired(aws) == 2
    told = refused("ValidationError", client.set_desired_capacity,
                   AutoScalingGroupName=name, DesiredCapacity=4)  # fmt: skip
    assert "above max value 3" in told
    terminate = client.terminate_instance_in_auto_scaling_group
    terminate(InstanceId=instance["InstanceId"], ShouldDecrementDesiredCapacity=True)
    assert desired(aws) == 1
    [left] = client.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert left["InstanceId"] != instance["InstanceId"]
    refused("ValidationError", terminate,
            InstanceId=left["InstanceId"], ShouldDecrementDesiredCapacity=True)  # fmt: skip
    refused("ValidationError", terminate,
            InstanceId="i-00000000000000000", ShouldDecrementDesiredCapacity=False)  # fmt: skip


def test_pods_bring_nodes_and_idle_nodes_go(aws: Aws, kube: Workloads) -> None:
    by_association(aws, POLICY)
    install(kube)
    kube.deploy("web", 4)
    until(kube.full, "the fourth waits")
    until(lambda: kube.running() == 3 or kube.nodes() == 3, "three nodes")
    assert desired(aws) == 3
    assert kube.told("TriggeredScaleUp")
    kube.scale("web", 0)
    until(lambda: kube.nodes() == 1, "idle nodes gone")
    stays(lambda: kube.nodes() == 1)
    assert desired(aws) == 1
    log = kube.core.list_namespaced_pod("kube-system").items
    [pod] = [one.metadata.name for one in log if one.metadata.name.startswith("cluster-auto")]
    assert "Scale-up: group eks-pool-" in kube.core.read_namespaced_pod_log(pod, "kube-system")


def test_without_an_autoscaler_nobody_scales(aws: Aws, kube: Workloads) -> None:
    by_association(aws, POLICY)
    kube.deploy("web", 2)
    until(lambda: kube.told("FailedScheduling"), "one waits")
    stays(lambda: kube.nodes() == 1)


def without(action: str) -> list[dict[str, Any]]:
    """The policy without an action."""
    return [
        {**one, "Action": [a for a in one["Action"] if a != action]}
        if isinstance(one["Action"], list)
        else one
        for one in POLICY
    ]


def tagged(value: str) -> list[dict[str, Any]]:
    """The policy for groups with another tag."""
    condition = {"StringEquals": {f"aws:ResourceTag/{TAG}/demo": value}}
    return [{**one, "Condition": condition} if "Condition" in one else one for one in POLICY]


@pytest.mark.parametrize("statements", [without("autoscaling:SetDesiredCapacity"), tagged("other")])
def test_a_role_that_may_not_brings_no_node(
    aws: Aws, kube: Workloads, statements: list[dict[str, Any]]
) -> None:
    by_association(aws, statements)
    install(kube)
    kube.deploy("web", 2)
    until(lambda: kube.told("FailedToScaleUpGroup", "kube-system"), "told")
    [told] = kube.told("FailedToScaleUpGroup", "kube-system")
    assert "AccessDenied: User: arn:aws:sts::123456789012:assumed-role/scaler/" in told
    assert "autoscaling:SetDesiredCapacity on resource: arn:aws:autoscaling:" in told
    stays(lambda: kube.nodes() == 1)
    assert desired(aws) == 1
    allow(aws, POLICY)
    until(lambda: kube.nodes() == 2, "with the action one comes")


def test_a_role_that_may_not_look_ends_the_autoscaler(aws: Aws, kube: Workloads) -> None:
    by_association(aws, without("autoscaling:Describe*"))
    install(kube)
    kube.deploy("web", 2)
    until(lambda: kube.told("BackOff", "kube-system"), "told")
    [pod] = [
        one.metadata.name
        for one in kube.core.list_namespaced_pod("kube-system").items
        if one.metadata.name.startswith("cluster-autoscaler")
    ]
    log = kube.core.read_namespaced_pod_log(pod, "kube-system")
    assert "Failed to create AWS Manager: cannot autodiscover ASGs: AccessDenied" in log
    stays(lambda: kube.nodes() == 1)


def test_a_role_for_the_service_account_by_its_token(
    aws: Aws, cluster: dict[str, Any], kube: Workloads
) -> None:
    arn = by_token(aws, cluster)
    install(kube, **{"eks.amazonaws.com/role-arn": arn})
    kube.deploy("web", 2)
    until(lambda: kube.nodes() == 2, "a node")


def test_a_role_for_another_service_account_brings_none(
    aws: Aws, cluster: dict[str, Any], kube: Workloads
) -> None:
    arn = by_token(aws, cluster, "somebody-else")
    install(kube, **{"eks.amazonaws.com/role-arn": arn})
    kube.deploy("web", 2)
    until(lambda: kube.told("BackOff", "kube-system"), "told")
    stays(lambda: kube.nodes() == 1)


def test_an_association_of_another_service_account_brings_none(
    aws: Aws, cluster: dict[str, Any], kube: Workloads
) -> None:
    by_association(aws, POLICY)
    [one] = aws.eks.list_pod_identity_associations(clusterName="demo")["associations"]
    aws.eks.delete_pod_identity_association(clusterName="demo", associationId=one["associationId"])
    install(kube)
    kube.deploy("web", 2)
    until(lambda: kube.told("BackOff", "kube-system"), "told")
    stays(lambda: kube.nodes() == 1)


def test_a_token_becomes_credentials_of_the_role(
    aws: Aws, cluster: dict[str, Any], kube: Workloads
) -> None:
    arn = by_token(aws, cluster, "default")
    body = {"spec": {"audiences": [AUDIENCE]}}
    issued = kube.core.create_namespaced_service_account_token("default", "kube-system", body)
    config = Config(signature_version=UNSIGNED, proxies={"https": aws.sandbox.proxy})
    sts = boto3.client("sts", region_name=REGION, config=config, verify=str(aws.sandbox.ca_file))

    def assume(text: str) -> dict[str, Any]:
        found = sts.assume_role_with_web_identity(
            RoleArn=arn, RoleSessionName="test", WebIdentityToken=text
        )
        credentials: dict[str, Any] = found["Credentials"]
        return credentials

    made = assume(issued.status.token)
    other = issued.status.token[:-4] + "AAAA"
    refused("InvalidIdentityToken", assume, text=other)
    client = boto3.client(
        "autoscaling", region_name=REGION, verify=str(aws.sandbox.ca_file),
        config=Config(proxies={"https": aws.sandbox.proxy}),
        aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )  # fmt: skip
    [group] = client.describe_auto_scaling_groups()["AutoScalingGroups"]
    client.set_desired_capacity(
        AutoScalingGroupName=group["AutoScalingGroupName"], DesiredCapacity=2
    )
    assert desired(aws) == 2
    allow(aws, POLICY[:1])
    refused(
        "AccessDenied",
        lambda: client.set_desired_capacity(
            AutoScalingGroupName=group["AutoScalingGroupName"], DesiredCapacity=1
        ),
    )


def test_an_association_gives_credentials_for_a_token(aws: Aws, kube: Workloads) -> None:
    by_association(aws, POLICY)
    account = {"metadata": {"name": "cluster-autoscaler"}}
    kube.core.create_namespaced_service_account("kube-system", account)
    client = aws.client("eks-auth")

    def issued(name: str, audience: str) -> str:
        body = {"spec": {"audiences": [audience]}}
        made = kube.core.create_namespaced_service_account_token(name, "kube-system", body)
        return str(made.status.token)

    pods = "pods.eks.amazonaws.com"
    found = client.assume_role_for_pod_identity(
        clusterName="demo", token=issued("cluster-autoscaler", pods)
    )
    assert found["subject"] == {"namespace": "kube-system", "serviceAccount": "cluster-autoscaler"}
    assert found["assumedRoleUser"]["arn"].startswith(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/scaler/"
    )
    keys = found["credentials"]
    sts = boto3.client(
        "sts", region_name=REGION, verify=str(aws.sandbox.ca_file),
        config=Config(proxies={"https": aws.sandbox.proxy}),
        aws_access_key_id=keys["accessKeyId"], aws_secret_access_key=keys["secretAccessKey"],
        aws_session_token=keys["sessionToken"],
    )  # fmt: skip
    assert sts.get_caller_identity()["Arn"] == found["assumedRoleUser"]["arn"]
    for code, token in (
        ("InvalidTokenException", issued("cluster-autoscaler", AUDIENCE)),
        ("ResourceNotFoundException", issued("default", pods)),
    ):
        refused(code, client.assume_role_for_pod_identity, clusterName="demo", token=token)
    statement = {"Effect": "Allow", "Principal": {"Service": pods}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.iam.update_assume_role_policy(RoleName="scaler", PolicyDocument=document)
    token = issued("cluster-autoscaler", pods)
    refused("AccessDeniedException", client.assume_role_for_pod_identity,
            clusterName="demo", token=token)  # fmt: skip


@pytest.mark.parametrize(
    ("capacity", "types"), [("SPOT", {"m6i.large", "m5.large"}), ("ON_DEMAND", {"m6i.large"})]
)
def test_several_types_of_machines(
    aws: Aws, kube: Workloads, cluster: dict[str, Any], capacity: str, types: set[str]
) -> None:
    aws.group(cluster, "many", capacityType=capacity, instanceTypes=["m6i.large", "m5.large"],
              scalingConfig={"minSize": 2, "maxSize": 2, "desiredSize": 2})  # fmt: skip
    until(lambda: kube.nodes() == 3, "nodes")
    label = "node.kubernetes.io/instance-type"
    nodes = kube.core.list_node(label_selector="eks.amazonaws.com/nodegroup=many").items
    assert {one.metadata.labels[label] for one in nodes} == types

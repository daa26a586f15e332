"""The services of AWS beside EKS, EC2 and IAM: small ones, and the final answer of all others."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clusterkit_sandbox.aws import cbor
from clusterkit_sandbox.aws.unserved import is_service
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import ACCOUNT, NODE_POLICIES, REGION, Aws, refused

AMI = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/{}/recommended"
OTHERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dynamodb", "list_tables", {}),  # json
    ("cloudformation", "list_stacks", {}),  # query
    ("cloudwatch", "list_metrics", {}),  # RPC v2 with CBOR
    ("lambda", "list_functions", {}),  # rest-json
    ("route53", "list_hosted_zones", {}),  # rest-xml
    ("s3control", "list_access_points", {"AccountId": ACCOUNT}),
)


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


@pytest.mark.parametrize(("service", "operation", "asked"), OTHERS)
def test_a_service_that_is_not_there_says_so_at_once(
    aws: Aws, service: str, operation: str, asked: dict[str, Any]
) -> None:
    call = getattr(aws.client(service), operation)
    start = time.monotonic()
    assert "The sandbox has no service" in refused("NotImplemented", call, **asked)
    assert time.monotonic() - start < 15  # a client that waits for it waits a minute


def test_a_region_in_china_is_refused_by_the_service(aws: Aws) -> None:
    china = Aws(aws.sandbox, region="cn-north-1")
    for call in (china.eks.list_clusters, china.sts.get_caller_identity, china.ec2.describe_vpcs):
        assert "aws-cn" in refused("NotImplemented", call)


def test_clusters_and_load_balancers_are_no_services() -> None:
    for host in (
        "eks.eu-west-1.amazonaws.com",
        "sts.cn-north-1.amazonaws.com.cn",
        "iam.amazonaws.com",
    ):
        assert is_service(host)
    for host in (
        "0abc.gr7.eu-west-1.eks.amazonaws.com", "a1.eu-west-1.elb.amazonaws.com",
        "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com", "amazonaws.com", "example.com",
    ):  # fmt: skip
        assert not is_service(host)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, -1, 300, 70_000, None, True, False, "x" * 300], "b": {"c": 1.5}}, [], "", 2**40],
)
def test_cbor_says_what_json_says(value: object) -> None:
    assert cbor.decode(cbor.encode(value)) == value


def test_cbor_of_unknown_length_and_halves_is_read() -> None:
    # RFC 8949, appendix A
    assert cbor.decode(bytes.fromhex("bf61610161629f0203ffff")) == {"a": 1, "b": [2, 3]}
    assert cbor.decode(bytes.fromhex("f93c00")) == 1.0
    assert cbor.decode(bytes.fromhex("7f657374726561646d696e67ff")) == "streaming"
    for wrong in ("", "18", "ff", "62ff", "1c", "0000"):
        with pytest.raises((ValueError, IndexError)):
            assert cbor.decode(bytes.fromhex(wrong)) is None


def test_ssm_names_the_images_that_ec2_has(aws: Aws) -> None:
    found = set()
    for kind in ("x86_64/standard", "x86_64/nvidia", "arm64/standard"):
        name = AMI.format(kind)
        parameter = aws.ssm.get_parameter(Name=f"{name}/image_id")["Parameter"]
        assert parameter["ARN"] == f"arn:aws:ssm:{REGION}::parameter{name}/image_id"
        [image] = aws.ec2.describe_images(ImageIds=[parameter["Value"]])["Images"]
        assert kind.split("/", maxsplit=1)[0] == image["Architecture"]
        assert image["OwnerId"] == "602401143452"
        whole = json.loads(aws.ssm.get_parameter(Name=name)["Parameter"]["Value"])
        assert (whole["image_id"], whole["image_name"]) == (image["ImageId"], image["Name"])
        found.add(image["ImageId"])
    assert len(found) == 3
    refused("ParameterNotFound", aws.ssm.get_parameter, Name=AMI.format("x86_64/none"))
    several = aws.ssm.get_parameters(Names=[AMI.format("x86_64/standard"), "/mine"])
    assert (len(several["Parameters"]), several["InvalidParameters"]) == (1, ["/mine"])
    there = Aws(aws.sandbox, region="us-east-1").ssm
    assert (
        there.get_parameter(Name=f"{AMI.format('x86_64/standard')}/image_id")["Parameter"]["Value"]
        not in found
    )


def test_a_key_lives_and_goes_in_days(aws: Aws) -> None:
    kms = aws.kms
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "ci"}])["KeyMetadata"]
    kms.create_alias(AliasName="alias/demo", TargetKeyId=key["KeyId"])
    assert kms.describe_key(KeyId="alias/demo")["KeyMetadata"]["Arn"] == key["Arn"]
    refused("AlreadyExistsException", kms.create_alias, AliasName="alias/demo",
            TargetKeyId=key["KeyId"])  # fmt: skip
    kms.enable_key_rotation(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    refused("NotFoundException", kms.describe_key, KeyId="alias/none")
    refused("NotImplemented", kms.generate_random, NumberOfBytes=8)


def test_a_denied_call_in_the_words_of_each_service(aws: Aws) -> None:
    who = f"arn:aws:iam::{ACCOUNT}:user/sandbox"
    aws.sandbox.faults.set([Rule("*", "denied")])
    words = refused("UnauthorizedOperation", aws.ec2.describe_vpcs)
    assert f"User: {who} is not authorized to perform: ec2:DescribeVpcs" in words
    words = refused("AccessDeniedException", aws.eks.list_clusters)
    assert f"User: {who} is not authorized to perform: eks:ListClusters" in words
    refused("AccessDenied", aws.client("iam").list_roles)


def test_one_call_finds_what_has_a_tag(aws: Aws) -> None:
    tags = {"team": "ci"}
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    cluster = aws.cluster(tags=tags)
    vpc = cluster["resourcesVpcConfig"]["vpcId"]
    aws.ec2.create_tags(Resources=[vpc], Tags=pairs)
    repository = aws.ecr.create_repository(repositoryName="app", tags=pairs)["repository"]
    aws.logs.create_log_group(logGroupName="/demo", tags=tags)
    key = aws.kms.create_key(Tags=[{"TagKey": "team", "TagValue": "ci"}])["KeyMetadata"]
    ask = aws.resourcegroupstaggingapi.get_resources
    wanted: dict[str, Any] = {"TagFilters": [{"Key": "team", "Values": ["ci", "qa"]}]}
    found = {one["ResourceARN"]: one["Tags"] for one in ask(**wanted)["ResourceTagMappingList"]}
    ours = {
        cluster["arn"], f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{vpc}", repository["repositoryArn"],
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/demo", key["Arn"],
    }  # fmt: skip
    assert (set(found), found[cluster["arn"]]) == (ours, pairs)
    for kinds, number in ((["ec2:vpc"], 1), (["eks", "ecr:repository"], 2), (["s3"], 0)):
        some = ask(ResourceTypeFilters=kinds, **wanted)["ResourceTagMappingList"]
        assert len(some) == number, kinds
    pages = aws.resourcegroupstaggingapi.get_paginator("get_resources")
    some = list(pages.paginate(ResourcesPerPage=2, **wanted))
    assert [len(page["ResourceTagMappingList"]) for page in some] == [2, 2, 1]
    [one] = ask(ResourceARNList=[cluster["arn"]])["ResourceTagMappingList"]
    assert one["Tags"] == pairs
    refused("InvalidParameterException", ask, ResourceARNList=[cluster["arn"]], **wanted)
    assert ask(TagFilters=[{"Key": "team", "Values": ["other"]}])["ResourceTagMappingList"] == []


def test_the_tags_of_an_auto_scaling_group_can_be_added_and_removed(aws: Aws) -> None:
    cluster = aws.cluster()
    role = aws.role("nodes", "ec2", *NODE_POLICIES)
    group = aws.group(cluster, nodeRole=role)
    name = group["resources"]["autoScalingGroups"][0]["name"]
    tag = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": "size"}
    aws.autoscaling.create_or_update_tags(Tags=[{**tag, "Value": "2", "PropagateAtLaunch": False}])
    filters = [{"Name": "key", "Values": ["size"]}]
    [found] = aws.autoscaling.describe_tags(Filters=filters)["Tags"]
    assert (found["Value"], found["PropagateAtLaunch"]) == ("2", False)
    aws.autoscaling.delete_tags(Tags=[tag])
    assert aws.autoscaling.describe_tags(Filters=filters)["Tags"] == []
    with pytest.raises(ClientError, match="not found"):
        aws.autoscaling.delete_tags(Tags=[{**tag, "ResourceId": "none"}])


def test_service_quotas_shows_what_is_in_force(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    quotas = aws.client("service-quotas")
    vpcs = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
    found = quotas.get_service_quota(**vpcs)["Quota"]
    assert (found["QuotaName"], found["Value"]) == ("VPCs per Region", 5.0)
    assert found["QuotaArn"] == f"arn:aws:servicequotas:{REGION}:{ACCOUNT}:vpc/L-F678F1CE"
    ec2, have = aws.ec2, len(aws.ec2.describe_vpcs()["Vpcs"])
    for number in range(have, int(found["Value"])):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    refused("VpcLimitExceeded", ec2.create_vpc, CidrBlock="10.99.0.0/16")
    for service, code, usual in (("ec2", "L-0263D0A3", 5), ("eks", "L-1194D53C", 100)):
        found = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
        assert found["Value"] == usual
        [listed] = quotas.list_service_quotas(ServiceCode=service)["Quotas"]
        assert listed == found
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")
    assert quotas.get_service_quota(**vpcs)["Quota"]["Value"] > 1000
    default = quotas.get_aws_default_service_quota(**vpcs)["Quota"]
    assert default["Value"] == 5.0
    assert default["QuotaArn"] == f"arn:aws:servicequotas:{REGION}::vpc/L-F678F1CE"
    other = {"ServiceCode": "vpc", "QuotaCode": "L-407747CB"}
    assert "has no L-407747CB" in refused("NotImplemented", quotas.get_service_quota, **other)
    odd = {"ServiceCode": "vpc", "QuotaCode": "L_1"}
    refused("IllegalArgumentException", quotas.get_service_quota, **odd)
    wrong = {"ServiceCode": "vpc", "NextToken": "abc"}
    refused("InvalidPaginationTokenException", quotas.list_service_quotas, **wrong)


def test_service_quotas_are_denied_by_name(aws: Aws) -> None:
    aws.sandbox.faults.set([Rule("*", "denied")])
    asked = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
    words = refused(
        "AccessDeniedException", aws.client("service-quotas").get_service_quota, **asked
    )
    assert "is not authorized to perform: servicequotas:GetServiceQuota" in words

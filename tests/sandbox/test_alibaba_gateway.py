"""The proxy of the emulated Alibaba Cloud: who may ask, for what, and in which words."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import urllib3

from clusterkit_sandbox.alibaba import model
from clusterkit_sandbox.alibaba.service import HANDLERS
from clusterkit_sandbox.faults import Rule
from tests.sandbox.aliyun import REGION, Aliyun, account, anew, ask, refused


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def ago(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


# -- what is published ---------------------------------------------------------------------------


def test_every_described_operation_is_answered() -> None:
    described = {
        operation.name
        for product in model.products().values()
        for operation in product.operations.values()
    }
    assert described == HANDLERS.keys()


# -- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rpc_signed_with_sha1(cloud: Aliyun, method: str) -> None:
    odd = "a b+c*d~é&=%2F"
    status, made = cloud.rpc(
        "vpc", "CreateVpc", method=method, Description=odd, CidrBlock="10.0.0.0/16"
    )
    assert status == 200
    status, found = cloud.rpc("vpc", "DescribeVpcAttribute", VpcId=made["VpcId"])
    assert (status, found["Description"], found["RequestId"] != made["RequestId"]) == (
        200, odd, True,
    )  # fmt: skip


def test_roa_signed_with_sha1(cloud: Aliyun) -> None:
    status, found = cloud.roa("GET", "/api/v1/clusters", name="a b", page_size="5")
    assert (status, found["page_info"]["page_size"]) == (200, 5)
    status, found = cloud.roa("POST", "/ram/check-service-role", {"roles": [{"name": "x"}]})
    assert (status, found["roles"][0]["granted"]) == (200, False)


@pytest.mark.parametrize(
    ("override", "tamper", "status", "code"),
    [
        ({}, {"Signature": "bm8="}, 400, "SignatureDoesNotMatch"),
        ({}, {"CidrBlock": "10.9.0.0/16"}, 400, "SignatureDoesNotMatch"),
        ({"AccessKeyId": "LTAInone"}, {}, 404, "InvalidAccessKeyId.NotFound"),
        ({"SecurityToken": "stolen"}, {}, 400, "InvalidSecurityToken.Malformed"),
        ({"Timestamp": ago(3600)}, {}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": ago(-3600)}, {}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "yesterday"}, {}, 400, "InvalidTimeStamp.Format"),
        ({"SignatureMethod": "HMAC-MD5"}, {}, 400, "InvalidSignatureMethod"),
        ({}, {"Signature": ""}, 400, "MissingSignature"),
        ({"AccessKeyId": ""}, {}, 400, "MissingAccessKeyId"),
    ],
)
def test_unsound_rpc_requests(
    cloud: Aliyun, override: dict[str, str], tamper: dict[str, str], status: int, code: str
) -> None:
    got, body = cloud.rpc("vpc", "CreateVpc", override=override, tamper=tamper)
    assert (got, body["Code"]) == (status, code)
    assert body["HostId"] == f"vpc.{REGION}.aliyuncs.com"
    assert "Vpc" not in cloud.cloud.store.counts()


def test_the_refusal_carries_the_text_to_be_signed(cloud: Aliyun) -> None:
    _, body = cloud.rpc("vpc", "DescribeVpcs", tamper={"Signature": "bm8="})
    start, _, text = body["Message"].partition("server string to sign is:")
    assert start == "Specified signature is not matched with our calculation. "
    assert text.startswith("GET&%2F&AccessKeyId%3D")


def test_a_nonce_serves_once(cloud: Aliyun) -> None:
    nonce = {"SignatureNonce": "the same"}
    assert cloud.rpc("vpc", "DescribeVpcs", override=nonce)[0] == 200
    status, body = cloud.rpc("vpc", "DescribeVpcs", override=nonce)
    assert (status, body["Code"]) == (400, "SignatureNonceUsed")
    header = {"x-acs-signature-nonce": "another"}
    assert cloud.roa("GET", "/quota", headers=header)[0] == 200
    assert cloud.roa("GET", "/quota", headers=header)[1]["Code"] == "SignatureNonceUsed"


def test_unsound_roa_requests(cloud: Aliyun) -> None:
    status, body = cloud.roa("GET", "/quota", secret="wrong")
    assert (status, body["Code"]) == (400, "SignatureDoesNotMatch")
    old = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert cloud.roa("GET", "/quota", headers=old)[1]["Code"] == "InvalidTimeStamp.Expired"
    forged = {"Content-MD5": "bm8="}
    body = cloud.roa("POST", "/service/open", {}, headers=forged)[1]
    assert body["Code"] == "ContentMD5NotMatched"


def test_unsound_acs3_requests(cloud: Aliyun) -> None:
    wrong = cloud.client("vpc", access_key_secret="wrong")
    with refused("SignatureDoesNotMatch"):
        ask(wrong, "vpc", "DescribeVpcs", RegionId=REGION)
    unknown = cloud.client("cs", access_key_id="LTAInone")
    with refused("InvalidAccessKeyId.NotFound", 404):
        ask(unknown, "cs", "DescribeUserQuota")


def test_a_temporary_key_needs_its_token(cloud: Aliyun) -> None:
    statement = {
        "Action": "sts:AssumeRole", "Effect": "Allow",
        "Principal": {"RAM": ["acs:ram::1234567890123456:root"]},
    }  # fmt: skip
    trust = f'{{"Version": "1", "Statement": [{str(statement).replace(chr(39), chr(34))}]}}'
    role = cloud("ram:CreateRole", RoleName="Deployer", AssumeRolePolicyDocument=trust)["Role"]
    assert role["Arn"].endswith(":role/deployer")
    assumed = cloud("sts:AssumeRole", RoleArn=role["Arn"], RoleSessionName="me")
    keys = assumed["Credentials"]
    pair = {"access_key_id": keys["AccessKeyId"], "access_key_secret": keys["AccessKeySecret"]}
    with refused("InvalidSecurityToken.Malformed"):
        ask(cloud.client("sts", **pair), "sts", "GetCallerIdentity")
    whole = cloud.client("sts", security_token=keys["SecurityToken"], **pair)
    found = ask(whole, "sts", "GetCallerIdentity")
    assert (found["IdentityType"], found["Arn"]) == (
        "AssumedRoleUser", assumed["AssumedRoleUser"]["Arn"],
    )  # fmt: skip
    cloud.sandbox.reset()
    with refused("InvalidAccessKeyId.NotFound", 404):
        ask(whole, "sts", "GetCallerIdentity")


def assumed(cloud: Aliyun, name: str) -> dict[str, str]:
    """What a client needs to be a role that the whole account may assume."""
    statement = {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"RAM": ["acs:ram::1234567890123456:root"]},
    }
    trust = json.dumps({"Version": "1", "Statement": [statement]})
    arn = cloud("ram:CreateRole", RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    keys = cloud("sts:AssumeRole", RoleArn=arn, RoleSessionName="me")["Credentials"]
    return {
        "access_key_id": keys["AccessKeyId"],
        "access_key_secret": keys["AccessKeySecret"],
        "security_token": keys["SecurityToken"],
    }


def test_a_role_may_do_what_its_policies_say(cloud: Aliyun) -> None:
    pair = assumed(cloud, "Reader")
    network, clusters = cloud.client("vpc", **pair), cloud.client("cs", **pair)
    with refused("Forbidden.RAM", 403):
        ask(network, "vpc", "DescribeVpcs", RegionId=REGION)
    with refused("StatusForbidden", 403):
        ask(clusters, "cs", "DescribeUserQuota")
    cloud("ram:AttachPolicyToRole", PolicyType="System", PolicyName="AliyunVPCReadOnlyAccess",
          RoleName="Reader")  # fmt: skip
    ask(network, "vpc", "DescribeVpcs", RegionId=REGION)
    with refused("Forbidden.RAM", 403):
        ask(network, "vpc", "CreateVpc", RegionId=REGION)
    statements = [
        {"Effect": "Allow", "Action": ["vpc:*", "cs:Describe*"], "Resource": "*"},
        {"Effect": "Deny", "Action": "vpc:DeleteVpc", "Resource": "*"},
    ]
    document = json.dumps({"Version": "1", "Statement": statements})
    cloud("ram:CreatePolicy", PolicyName="mine", PolicyDocument=document)
    cloud("ram:AttachPolicyToRole", PolicyType="Custom", PolicyName="mine", RoleName="Reader")
    ask(clusters, "cs", "DescribeUserQuota")
    vpc = ask(network, "vpc", "CreateVpc", RegionId=REGION)["VpcId"]
    with refused("Forbidden.RAM", 403):
        ask(network, "vpc", "DeleteVpc", RegionId=REGION, VpcId=vpc)


def test_a_temporary_key_expires(cloud: Aliyun) -> None:
    whole = cloud.client("sts", **assumed(cloud, "Deployer"))
    assert ask(whole, "sts", "GetCallerIdentity")["IdentityType"] == "AssumedRoleUser"
    for key in list(cloud.cloud.store.signatures._keys.values()):
        if key.role:
            cloud.cloud.store.signatures.add(replace(key, expires=time.time() - 1))
    with refused("InvalidSecurityToken.Expired"):
        ask(whole, "sts", "GetCallerIdentity")


# -- what is asked for ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "parameters", "code"),
    [
        ("CreateVpc", {"CidrBlok": "10.0.0.0/16"}, "Sandbox.UnknownParameter"),
        ("CreateVpc", {"Tag.1.Name": "a"}, "Sandbox.UnknownParameter"),
        ("CreateVSwitch", {"CidrBlock": "10.0.0.0/24", "ZoneId": "a"}, "MissingVpcId"),
        ("CreateVSwitch", {"VpcId": "v", "ZoneId": ""}, "MissingZoneId"),
        ("DescribeVpcs", {"PageSize": "many"}, "InvalidParameter"),
        ("DescribeVpcs", {"PageSize": "51"}, "InvalidParameter"),
        ("DescribeVpcs", {"IsDefault": "yes"}, "InvalidParameter"),
        ("DescribeVpcs", {"Tag": "a"}, "InvalidParameter"),
    ],
)
def test_parameters_are_checked(
    cloud: Aliyun, action: str, parameters: dict[str, str], code: str
) -> None:
    status, body = cloud.rpc("vpc", action, **parameters)
    assert (status, body["Code"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"region_id": REGION}, "MissingParameter", "name"),
        ({"name": "a", "region_id": REGION, "zoneid": "a"}, "Sandbox.UnknownParameter", "zoneid"),
        ({"name": "a", "region_id": REGION, "snat_entry": "true"}, "InvalidParameter", "boolean"),
        ({"name": "a", "region_id": REGION, "vswitch_ids": "v"}, "InvalidParameter", "array"),
        (
            {"name": "a", "region_id": REGION, "addons": [{"nme": "flannel"}]},
            "Sandbox.UnknownParameter",
            "addons[0].nme",
        ),
        (["a"], "InvalidParameter", "object"),
    ],
)
def test_bodies_are_checked(cloud: Aliyun, body: object, code: str, text: str) -> None:
    status, answer = cloud.roa("POST", "/clusters", body)
    # what is refused behind the gateway is in small letters
    assert (status, answer["code"], answer["status"]) == (400, code, 400)
    assert text in answer["message"]
    assert answer["requestId"]


def test_queries_of_roa_are_checked(cloud: Aliyun) -> None:
    path = "/api/v1/metadata/versions"
    assert cloud.roa("GET", path, Region=REGION)[1]["code"] == "MissingClusterType"
    assert cloud.roa("GET", "/quota", much="x")[1]["code"] == "Sandbox.UnknownParameter"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, body = cloud.roa("POST", "/clusters", {"name": "a"}, headers=form)
    assert (status, body["code"]) == (400, "Sandbox.UnsupportedContentType")


def test_deprecated_parameters_are_taken_with_a_warning(
    cloud: Aliyun, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "clusterkit_sandbox.alibaba"):
        cloud.cluster(timeout_mins=60)
    assert [record.getMessage() for record in caplog.records] == [
        "cs:CreateCluster: the parameter timeout_mins is deprecated"
    ]


def test_what_is_not_there(cloud: Aliyun) -> None:
    assert cloud.rpc("vpc", "CreateMoon")[1]["Code"] == "InvalidAction.NotFound"
    assert cloud.rpc("vpc", "DescribeVpcs", override={"Version": "2000-01-01"})[0] == 404
    status, body = cloud.rpc("vpc", "CreateVpnGateway", VpcId="a")
    assert (status, body["Code"]) == (501, "Sandbox.NotImplemented")
    assert cloud.roa("GET", "/nothing")[1]["Code"] == "InvalidAction.NotFound"
    assert cloud.rpc("vpc", "DescribeVpcs", Format="XML")[0] == 501
    status, body = cloud.rpc("vpc", "DescribeVpcs", RegionId="mars-1")
    assert (status, body["Code"]) == (404, "InvalidRegionId.NotFound")


@pytest.mark.parametrize(
    ("product", "action", "host", "status"),
    [
        ("vpc", "DescribeVpcs", "vpc.aliyuncs.com", 200),
        ("ecs", "DescribeRegions", "ecs-cn-hangzhou.aliyuncs.com", 200),
        ("ecs", "DescribeRegions", "ecs.aliyuncs.com", 200),
        ("ram", "ListRoles", "ram.aliyuncs.com", 200),
        ("sts", "GetCallerIdentity", "sts.aliyuncs.com", 200),
        ("slb", "DescribeLoadBalancers", "slb.aliyuncs.com", 200),
        ("vpc", "DescribeVpcs", "ecs.aliyuncs.com", 404),
    ],
)
def test_host_names(cloud: Aliyun, product: str, action: str, host: str, status: int) -> None:
    assert cloud.rpc(product, action, host=host)[0] == status


def test_an_endpoint_serves_its_own_region(cloud: Aliyun) -> None:
    status, body = cloud.rpc("ecs", "DescribeZones", RegionId="eu-central-1")
    assert (status, body["Code"]) == (404, "InvalidOperation.NotSupportedEndpoint")
    host = "ecs-cn-hangzhou.aliyuncs.com"
    assert cloud.rpc("ecs", "DescribeZones", host=host, RegionId="eu-central-1")[0] == 200


def test_where_a_service_is(cloud: Aliyun) -> None:
    status, body = cloud.rpc(
        "location",
        "DescribeEndpoints",
        host="location-readonly.aliyuncs.com",
        Id=REGION,
        ServiceCode="cs",
        Type="openAPI",
    )
    assert status == 200
    assert body["Endpoints"]["Endpoint"][0]["Endpoint"] == f"cs.{REGION}.aliyuncs.com"


@pytest.mark.parametrize("host", ["bssopenapi.aliyuncs.com", "cs.example.com", "aliyuncs.com"])
def test_other_hosts_are_refused(cloud: Aliyun, host: str) -> None:
    with pytest.raises(urllib3.exceptions.ProxyError):
        cloud.rpc("vpc", "DescribeVpcs", host=host)


def test_the_environment_hides_what_the_shell_has(cloud: Aliyun) -> None:
    environ = cloud.sandbox.environment()
    assert environ["ALIBABA_CLOUD_REGION_ID"] == REGION
    assert environ["ALIBABA_CLOUD_CA_BUNDLE"] == str(cloud.sandbox.ca_file)
    for name in ("ALIBABA_CLOUD_SECURITY_TOKEN", "ALIYUN_ACCESS_KEY_ID"):
        assert environ[name] == ""


def test_the_newer_sdk_finds_keys_and_proxy_in_the_environment(cloud: Aliyun) -> None:
    """Its authorities it wants to be told: it reads no variable for them."""
    script = f"""
import os

from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.utils_models import Config

settings = dict(region_id="{REGION}", endpoint="sts.{REGION}.aliyuncs.com")
authorities = os.environ["ALIBABA_CLOUD_CA_BUNDLE"]
client = Client(Config(credential=Credentials(), ca=authorities, **settings))
print(client.get_caller_identity().body.account_id)
"""
    environ = {**os.environ, **cloud.sandbox.environment()}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout == "1234567890123456\n", done.stderr


# -- faults --------------------------------------------------------------------------------------


def test_throttling_and_trouble(cloud: Aliyun) -> None:
    cloud.sandbox.faults.set(
        [Rule("vpc:*", "throttle", nth=1), Rule("cs:Describe*", "error", nth=1)]
    )
    status, body = cloud.rpc("vpc", "DescribeVpcs")
    assert (status, body["Code"]) == (400, "Throttling.User")
    assert cloud.rpc("vpc", "DescribeVpcs")[0] == 200
    status, body = cloud.roa("GET", "/quota")
    assert (status, body["Code"]) == (503, "ServiceUnavailable")
    assert cloud.roa("GET", "/quota")[0] == 200


def test_a_denied_call_in_the_words_of_each_service(cloud: Aliyun) -> None:
    cloud.sandbox.faults.set([Rule("*", "denied")])
    status, body = cloud.rpc("vpc", "DescribeVpcs")
    assert (status, body["Code"]) == (403, "Forbidden.RAM")
    status, body = cloud.roa("GET", "/quota")
    assert (status, body["code"]) == (403, "StatusForbidden")
    assert body["message"] == "RAM policy Forbidden for action cs:DescribeUserQuota"


def test_a_lost_answer_is_had_again_with_the_token(cloud: Aliyun) -> None:
    cloud.sandbox.faults.set([Rule("vpc:CreateVpc", "lost", nth=1)])
    asked = {"CidrBlock": "10.0.0.0/16", "ClientToken": "one"}
    with pytest.raises(urllib3.exceptions.HTTPError):
        cloud.rpc("vpc", "CreateVpc", **asked)
    made = cloud.rpc("vpc", "CreateVpc", **asked)[1]
    found = cloud("vpc:DescribeVpcs", RegionId=REGION)["Vpcs"]["Vpc"]
    assert [vpc["VpcId"] for vpc in found] == [made["VpcId"]]


def test_the_log_knows_the_operations(cloud: Aliyun) -> None:
    cloud("cs:DescribeUserQuota")
    cloud.roa("GET", "/tokens", product="personalcr")
    cloud.rpc("vpc", "CreateMoon")
    cloud.roa("GET", "/nothing")
    names = [entry.operation for entry in cloud.sandbox.requests.entries()]
    assert names == [
        "cs:DescribeUserQuota", "personalcr:GetAuthorizationToken", "vpc:CreateMoon", "cs:?",
    ]  # fmt: skip


def test_headers_that_nobody_signed(cloud: Aliyun) -> None:
    """What is not signed could be anybody's."""
    headers = {
        "Authorization": f"ACS3-HMAC-SHA256 Credential={cloud.key},SignedHeaders=host,Signature=0",
        "x-acs-action": "DescribeVpcs",
        "x-acs-version": "2016-04-28",
        "x-acs-date": ago(0),
        "x-acs-signature-nonce": "once",
        "x-acs-content-sha256": "0",
    }
    host = f"vpc.{REGION}.aliyuncs.com"
    status, body = cloud._send("POST", f"https://{host}/?RegionId={REGION}", headers, b"")
    assert (status, body["Code"]) == (400, "IncompleteSignature")
    assert "x-acs-action" in body["Message"]

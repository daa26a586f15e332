"""The faults ``refuse``, in the wire format of every service, read by the vendors' own clients."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from alibabacloud_tea_openapi.exceptions import ClientException
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from botocore.exceptions import ClientError
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.faults import Faults, Rule
from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox, operations_of
from tests.sandbox.aliyun import REGION, Aliyun, account, anew
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig
from tests.sandbox.test_eks_service import Aws


@pytest.fixture(autouse=True)
def _server_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The older Alibaba SDK sends none since Python 3.12 (it misses ssl.wrap_socket)."""
    from aliyunsdkcore.vendored.requests.packages.urllib3.util import ssl_

    monkeypatch.setattr(ssl_, "HAS_SNI", True)


OLDER_SDK = pytest.mark.filterwarnings(r"ignore:ssl\.:DeprecationWarning")
TEXT = 'say "no", <twice> & more'


@pytest.fixture(scope="module")
def shared_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    directory: Path = tmp_path_factory.mktemp("aws")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


@pytest.fixture
def aws(shared_aws: Aws) -> Iterator[Aws]:
    yield shared_aws
    shared_aws.sandbox.faults.clear()
    shared_aws.sandbox.reset()


@pytest.fixture(scope="module")
def shared_aliyun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def aliyun(shared_aliyun: Aliyun) -> Iterator[Aliyun]:
    with anew(shared_aliyun) as made:
        yield made


# -- AWS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "call", "code"),
    [
        ("ec2", "DescribeVpcs", "describe_vpcs", "UnauthorizedOperation"),
        ("iam", "ListRoles", "list_roles", "AccessDenied"),
        ("sts", "GetCallerIdentity", "get_caller_identity", "ExpiredToken"),
        ("elb", "DescribeLoadBalancers", "describe_load_balancers", "AccessDenied"),
        ("elbv2", "DescribeLoadBalancers", "describe_load_balancers", "AccessDenied"),
        ("eks", "ListClusters", "list_clusters", "AccessDeniedException"),
        ("ecr", "DescribeRepositories", "describe_repositories", "AccessDeniedException"),
        ("logs", "DescribeLogGroups", "describe_log_groups", "AccessDeniedException"),
    ],
)
def test_aws(aws: Aws, service: str, operation: str, call: str, code: str) -> None:
    rule = Rule(f"{service}:{operation}", "refuse", nth=1, code=code, status=418, message=TEXT)
    aws.sandbox.faults.set([rule])
    with pytest.raises(ClientError) as caught:
        getattr(aws.client(service), call)()
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    assert answer["Error"]["Message"] == TEXT
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 418
    getattr(aws.client(service), call)()


def test_aws_statuses_are_the_published_ones(aws: Aws) -> None:
    aws.sandbox.faults.take(
        Faults.parse(
            "refuse:iam:GetRole=NoSuchEntity,refuse:eks:DescribeCluster=ResourceNotFoundException,"
            "refuse:ec2:DescribeVpcs=InvalidVpcID.NotFound"
        )
    )
    for call, asked, code, status in (
        (aws.iam.get_role, {"RoleName": "x"}, "NoSuchEntity", 404),
        (aws.eks.describe_cluster, {"name": "x"}, "ResourceNotFoundException", 404),
        (aws.ec2.describe_vpcs, {}, "InvalidVpcID.NotFound", 400),
    ):
        with pytest.raises(ClientError) as caught:
            call(**asked)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert type(caught.value) is ClientError


def test_boto3_raises_the_modelled_exception(aws: Aws) -> None:
    aws.sandbox.faults.take(
        Faults.parse(
            "refuse:eks:CreateCluster=ResourceLimitExceeded"
            "Exception/400,refuse:iam:CreateRole=LimitExceeded"
        )
    )
    with pytest.raises(aws.iam.exceptions.LimitExceededException):
        aws.iam.create_role(RoleName="x", AssumeRolePolicyDocument="{}")
    with pytest.raises(aws.eks.exceptions.ResourceLimitExceededException):
        aws.eks.create_cluster(
            name="x", roleArn="arn:aws:iam::123456789012:role/x", resourcesVpcConfig={}
        )


def test_a_refused_call_has_no_effect_and_the_next_one_has(aws: Aws) -> None:
    aws.sandbox.faults.take(Faults.parse("refuse:ec2:CreateVpc=VpcLimitExceeded@2x1"))
    count = len(aws.ec2.describe_vpcs()["Vpcs"])
    aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    with pytest.raises(ClientError, match="VpcLimitExceeded"):
        aws.ec2.create_vpc(CidrBlock="10.1.0.0/16")
    aws.ec2.create_vpc(CidrBlock="10.1.0.0/16")
    assert len(aws.ec2.describe_vpcs()["Vpcs"]) == count + 2


# -- Alibaba Cloud -------------------------------------------------------------------------------


def old_sdk(aliyun: Aliyun) -> AcsClient:
    """The vendor's older SDK."""
    return AcsClient(
        aliyun.key,
        aliyun.secret,
        REGION,
        auto_retry=False,
        verify=str(aliyun.sandbox.ca_file),
        proxy={"http": None, "https": aliyun.sandbox.proxy},
    )


def rpc(action: str, product: str = "vpc", version: str = "2016-04-28") -> CommonRequest:
    request = CommonRequest(f"{product}.{REGION}.aliyuncs.com", version, action)
    request.set_protocol_type("https")
    return request


def roa(path: str) -> CommonRequest:
    request = CommonRequest(f"cs.{REGION}.aliyuncs.com", "2015-12-15", None, path)
    request.set_protocol_type("https")
    request.set_method("GET")
    return request


@pytest.mark.parametrize("product", ["vpc", "ecs", "ram", "slb"])
def test_alibaba_rpc(aliyun: Aliyun, product: str) -> None:
    operation, version = {
        "vpc": ("DescribeVpcs", {"RegionId": REGION}),
        "ecs": ("DescribeKeyPairs", {"RegionId": REGION}),
        "ram": ("ListRoles", {}),
        "slb": ("DescribeLoadBalancers", {"RegionId": REGION}),
    }[product]
    rule = Rule(
        f"{product}:{operation}", "refuse", code="Forbidden.RAM", status=403, message=TEXT, nth=1
    )
    aliyun.sandbox.faults.set([rule])
    with pytest.raises(ClientException) as caught:
        aliyun(f"{product}:{operation}", **version)
    assert caught.value.code == "Forbidden.RAM"
    assert caught.value.status_code == 403
    assert TEXT in caught.value.message
    aliyun(f"{product}:{operation}", **version)


@OLDER_SDK
def test_alibaba_rpc_by_the_older_sdk(aliyun: Aliyun) -> None:
    aliyun.sandbox.faults.set(
        [Rule("vpc:DeleteVpc", "refuse", code="DependencyViolation.VSwitch", message=TEXT)]
    )
    request = rpc("DeleteVpc")
    request.add_query_param("VpcId", "vpc-x")
    with pytest.raises(ServerException) as caught:
        old_sdk(aliyun).do_action_with_exception(request)
    assert caught.value.get_error_code() == "DependencyViolation.VSwitch"
    assert caught.value.get_http_status() == 400
    assert caught.value.get_error_msg() == TEXT
    assert caught.value.get_request_id()


@OLDER_SDK
def test_container_service_answers_in_lower_case(aliyun: Aliyun) -> None:
    """The older SDK cannot read that dialect; it keeps the body, which drivers then read."""
    aliyun.sandbox.faults.take(
        Faults.parse('refuse:cs:DescribeUserQuota=ErrorQuotaExceeded/403/"no, 2 clusters at most"')
    )
    status, body = aliyun.roa("GET", "/quota")
    assert (status, body["code"], body["status"]) == (403, "ErrorQuotaExceeded", 403)
    assert body["message"] == "no, 2 clusters at most"
    assert "Code" not in body
    with pytest.raises(ClientException) as newer:
        aliyun("cs:DescribeUserQuota")
    assert (newer.value.code, newer.value.status_code) == ("ErrorQuotaExceeded", 403)
    with pytest.raises(ServerException) as older:
        old_sdk(aliyun).do_action_with_exception(roa("/quota"))
    assert older.value.get_error_code() == "SDK.UnknownServerError"
    assert "ErrorQuotaExceeded" in older.value.get_error_msg()


@OLDER_SDK
def test_the_gateway_before_container_service_answers_in_upper_case(aliyun: Aliyun) -> None:
    faults = aliyun.sandbox.faults
    faults.take(Faults.parse("refuse:cs:*=Throttling.Api"))
    status, body = aliyun.roa("GET", "/quota")
    assert (status, body["Code"]) == (400, "Throttling.Api")
    assert "code" not in body
    faults.take(Faults.parse("refuse:cs:*=service/Throttling.Api"))
    assert aliyun.roa("GET", "/quota")[1]["code"] == "Throttling.Api"
    faults.take(Faults.parse("refuse:cs:*=gateway/NoPermission/403"))
    with pytest.raises(ServerException) as older:
        old_sdk(aliyun).do_action_with_exception(roa("/quota"))
    assert older.value.get_error_code() == "NoPermission"
    assert older.value.get_http_status() == 403


# -- Kubernetes ----------------------------------------------------------------------------------


class Kube:
    """A cluster, its faults, and the official client."""

    def __init__(self, folder: Path) -> None:
        self.faults = Faults()
        self.server = kube_server("embedded", Pace(math.inf), folder, self.faults)
        opened = self.server.open(
            "c", hosts=[HOST], version="1.35", review=TOKENS.get, hooks=Cloud(), objects=[GP3]
        )
        self.api = config.new_client_from_config(str(kubeconfig(opened, folder)))
        self.core = client.CoreV1Api(self.api)
        self.host, self.ca = self.api.configuration.host, self.api.configuration.ssl_ca_cert

    def refused(self, call: Any, *args: Any) -> ApiException:
        with pytest.raises(ApiException) as caught:
            call(*args)
        return caught.value


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Kube]:
    made = Kube(tmp_path)
    yield made
    made.api.close()
    made.server.close()


def settings(name: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name))


def test_kubernetes_answers_a_status(kube: Kube) -> None:
    kube.faults.set(
        [Rule("kube:create/configmaps", "refuse", nth=2, code="Conflict", message=TEXT)]
    )
    kube.core.create_namespaced_config_map("default", settings("a"))
    error = kube.refused(kube.core.create_namespaced_config_map, "default", settings("b"))
    body = json.loads(error.body)
    assert (error.status, body["code"], body["reason"]) == (409, 409, "Conflict")
    assert (body["kind"], body["status"], body["message"]) == ("Status", "Failure", TEXT)
    kube.core.create_namespaced_config_map("default", settings("b"))


def test_kubernetes_reasons_have_their_statuses(kube: Kube) -> None:
    for reason, status in (("Forbidden", 403), ("AlreadyExists", 409), ("Timeout", 504)):
        kube.faults.take(Faults.parse(f"refuse:kube:list/pods={reason}"))
        assert kube.refused(kube.core.list_namespaced_pod, "default").status == status
    kube.faults.take(Faults.parse("refuse:kube:get/version=ServiceUnavailable/503"))
    assert kube.refused(client.VersionApi(kube.api).get_code).status == 503
    kube.core.list_namespaced_pod("default")


def test_other_faults_of_kubernetes(kube: Kube) -> None:
    kube.faults.take(Faults.parse("throttle:kube:get/namespaces,error:kube:list/namespaces"))
    throttled = kube.refused(kube.core.read_namespace, "default")
    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "1")
    assert kube.refused(kube.core.list_namespace).status == 500
    kube.faults.take(Faults.parse("lost:kube:create/configmaps@1"))
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer admin"
        session.verify = kube.ca
        url = f"{kube.host}/api/v1/namespaces/default/configmaps"
        with pytest.raises(requests.exceptions.ConnectionError):
            session.post(url, json={"metadata": {"name": "lost"}}, timeout=10)
        assert session.get(f"{url}/lost", timeout=10).status_code == 200


def test_a_star_means_no_cluster(kube: Kube) -> None:
    kube.faults.take(Faults.parse("refuse=AccessDenied,lost"))
    kube.core.list_namespaced_pod("default")


# -- faults that could hit nothing ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("terminal:vpc:CreateNatGateway", "cs:CreateCluster, cs:CreateClusterNodePool"),
        ("terminal:*:Delete*", "terminal has no effect on *:Delete*; it works on"),
        ("terminal:eks:UpdateNodegroup", "it works on"),
        ("terminal:eks", "terminal has no effect on eks; it works on eks:CreateAddon"),
        ("refuse:vpc:CreateVPC=x", "did you mean vpc:CreateVpc?"),
        ("lost:ec3:CreateVpc", "no service matches 'ec3'; the sandbox has"),
        ("slow:iam:*Vpc=1s", "iam has no operation that matches iam:*Vpc"),
        ("error:CreateVpc", "no service matches 'CreateVpc'"),
        ("throttle:kube:create/pod", "did you mean kube:create/pods?"),
        ("refuse:kube:make/pods=Conflict", "kube has no operation"),
        ("lost:kube:get/storageclass.storage.k8s.io", "did you mean"),
    ],
)
def test_a_fault_that_could_hit_nothing_is_refused(text: str, why: str) -> None:
    faults = Faults.parse("throttle=0")
    faults.check_against(operations_of())
    with pytest.raises(ValueError, match=r"^fault ") as caught:
        faults.take(Faults.parse(text))
    assert why in str(caught.value)
    assert str(faults) == "throttle=0"


def test_what_could_hit_something_is_taken() -> None:
    text = (
        "throttle=0,error:*:Describe*=0,lost:*Vpc=0,slow:[ev]*=0s=0,terminal=0,"
        "terminal:eks:Update*=0,refuse:kube:*/namespaces=Conflict=0,"
        "refuse:kube:create/certificates.cert-manager.io=Conflict=0,lost:kube:*=0"
    )
    faults = Faults.parse(text)
    faults.check_against(operations_of())
    assert Faults.parse(str(faults)).rules == faults.rules


def test_a_sandbox_does_not_start_with_a_fault_that_could_hit_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(
        directory=tmp_path,
        pace=Pace(math.inf),
        emulators=["alibaba"],
        faults=Faults.parse("lost:ec2:CreateVpc"),
    )
    with pytest.raises(ValueError, match="no service matches 'ec2'"):
        sandbox.start()

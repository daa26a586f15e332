"""Each trap of the SDK that the thin client cures, over real TLS to a server on loopback."""

from __future__ import annotations

import base64
import gc
import hashlib
import hmac
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.credentials import find
from clusterkit.alibaba.requests import endpoint
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Busy,
    CloudError,
    ClusterkitError,
    CredentialsError,
    Denied,
    Exists,
    Gone,
    InUse,
    PaymentRequired,
    Propagating,
    QuotaExceeded,
    Rejected,
    Retryable,
    ServerError,
    Throttled,
)
from clusterkit.kube.api import Access
from tests.unit.loopback import Heard, Loopback, loopback

KEY = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI5tExample",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s3cr3t-of-the-key",
}
TOKEN = "the-security-token"


def says(status: int, body: Any) -> Any:
    return lambda heard: (status, json.dumps(body).encode())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, says(200, {})) as found:
        yield found


def clients(server: Loopback, region: str = "ap-southeast-1", **more: Any) -> Clients:
    def nowhere(_: Clients) -> Access:
        raise AssertionError("no Kubernetes here")

    environ = more.pop("environ", KEY)
    target = Target("alibaba", "demo", region, more.pop("cloud_profile", None))
    ca_file = more.pop("ca_file", server.ca_file)
    wire = CloudConnection(more.pop("proxy", server.proxy), ca_file, environ)
    return Clients(target, wire, nowhere)


def query(heard: Heard) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(heard.path).query, keep_blank_values=True))


def pct(text: str) -> str:
    return quote(text, safe="-_.~")


def rpc_signature(heard: Heard, secret: str) -> str:
    """Signature v1 as the vendor's documentation has it."""
    pairs = sorted((k, v) for k, v in query(heard).items() if k != "Signature")
    text = "&".join(f"{pct(k)}={pct(v)}" for k, v in pairs)
    string = f"{heard.method}&%2F&{pct(text)}"
    digest = hmac.new(f"{secret}&".encode(), string.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


# -- what leaves ----


def test_https_is_really_on(server: Loopback) -> None:
    """The SDK's default is plain HTTP, for all products."""
    made = clients(server)
    made.vpc("DescribeVpcs", RegionId="ap-southeast-1")
    made.ecs("DescribeZones", RegionId="ap-southeast-1")
    made.cs("DescribeUserQuota", "GET", "/quota")
    made.nlb("ListLoadBalancers")  # a product without a package: the generic request
    assert [heard.secure for heard in server.heard] == [True] * 4


def test_the_server_name_is_sent_on_every_python(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aliyunsdkcore.vendored.requests.packages.urllib3.util import ssl_

    # Python 3.12 removed ssl.wrap_socket, and the import of both fails
    monkeypatch.setattr(ssl_, "HAS_SNI", False)
    clients(server).vpc("DescribeVpcs")
    assert [heard.host for heard in server.heard] == ["vpc.ap-southeast-1.aliyuncs.com"]
    assert server.names == ["vpc.ap-southeast-1.aliyuncs.com"]


def test_another_authority_is_not_trusted(server: Loopback, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with loopback(other, says(200, {})) as stranger:
        made = clients(server, proxy=stranger.proxy)
        with pytest.raises(Retryable, match="cannot be reached"):
            made.vpc("DescribeVpcs")
        assert not stranger.heard


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_bundle_that_is_none_is_told(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    bundle = tmp_path / "bundle.pem"
    if text:
        bundle.write_text(text)
    monkeypatch.setenv("ALIBABA_CLOUD_CA_BUNDLE", str(bundle))
    asker = clients(server, ca_file=None)
    with pytest.raises(ClusterkitError, match=r"bundle\.pem holds no certificate authorities"):
        asker.sts("GetCallerIdentity")


@pytest.mark.parametrize(
    ("region", "hosts"),
    [
        (
            "ap-southeast-1",
            ["vpc.ap-southeast-1", "ecs.ap-southeast-1", "cs.ap-southeast-1", "ram", "sts.ap-so"],
        ),
        ("cn-hangzhou", ["vpc", "ecs-cn-hangzhou", "cs.cn-hangzhou", "ram", "sts.cn-hangzhou"]),
        ("na-south-1", ["vpc.na-south-1", "ecs.na-south-1", "cs.na-south-1", "ram", "sts.na"]),
    ],
)
def test_endpoints_are_known_without_asking(
    server: Loopback, region: str, hosts: list[str]
) -> None:
    """The SDK asks a locator for unknown regions, and sends generic CS calls to another host."""
    made = clients(server, region)
    made.vpc("DescribeVpcs")
    made.ecs("DescribeZones")
    made.cs("DescribeUserQuota", "GET", "/quota")
    made.ram("ListRoles")
    made.sts("GetCallerIdentity")
    for heard, host in zip(server.heard, hosts, strict=True):
        assert heard.host.startswith(host)
        assert heard.host.endswith(".aliyuncs.com")


PACKAGES = {
    "cs": "cs20151215", "ecs": "ecs20140526", "ess": "ess20220222", "ram": "ram20150501",
    "slb": "slb20140515", "sts": "sts20150401", "vpc": "vpc20160428",
}  # fmt: skip
INSIDE = re.compile(
    "-(pop|inner|nebula|finance-pop|gov-1-pop)$|-(internal|test|nebula|oxs)|[a-z]+[0-9]+-[a-z][0-9]+$"
    "|^cn-(hangzhou-bj-b01|edge-1|fujian|wuhan|yushanfang|zhangbei|beijing-gov-1)"
)
"""regions that the packages list and nobody is offered"""


@pytest.mark.parametrize("product", PACKAGES)
def test_hosts_are_those_of_the_newer_sdk(product: str) -> None:
    source = import_module(f"alibabacloud_{PACKAGES[product]}.client").__file__
    text = Path(str(source)).read_text().partition("_endpoint_map = {")[2].partition("}")[0]
    listed = dict(re.findall(r"'([\w-]+)': '([\w.-]+)'", text))
    public = {region: host for region, host in listed.items() if not INSIDE.search(region)}
    assert listed
    assert {region: endpoint(product, region) for region in public} == public


def test_the_old_variables_do_not_beat_a_token(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIYUN_ACCESS_KEY_ID", "LTAIOld")
    monkeypatch.setenv("ALIYUN_ACCESS_KEY_SECRET", "old")
    made = clients(server, environ={**KEY, "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN})
    made.vpc("DescribeVpcs")
    made.cs("DescribeUserQuota", "GET", "/quota")
    rpc, roa = server.heard
    assert (query(rpc)["AccessKeyId"], query(rpc)["SecurityToken"]) == ("LTAI5tExample", TOKEN)
    assert roa.headers["authorization"].startswith("acs LTAI5tExample:")
    assert roa.headers["x-acs-security-token"] == TOKEN


def test_lists_and_booleans_are_spelled_and_signed_as_the_vendor_does(server: Loopback) -> None:
    clients(server).vpc(
        "CreateVpc",
        RegionId="ap-southeast-1",
        DryRun=True,
        Description="a b*~+ü",
        Tag=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
        VpcName=None,
    )
    (heard,) = server.heard
    sent = query(heard)
    assert sent["Tag.2.Key"] == "b"
    assert (sent["DryRun"], sent["Description"]) == ("true", "a b*~+ü")
    assert "VpcName" not in sent
    assert sent["Signature"] == rpc_signature(heard, KEY["ALIBABA_CLOUD_ACCESS_KEY_SECRET"])


def test_container_service_gets_json(server: Loopback) -> None:
    """The SDK's own classes send forms, and fail on text that is not Latin-1."""
    body = {"name": "demo", "snat_entry": False, "tags": [{"key": "a", "value": "日本"}]}
    clients(server).cs("CreateCluster", "POST", "/clusters", body, page_size=5, nothing=None)
    (heard,) = server.heard
    assert json.loads(heard.body) == body
    assert heard.headers["content-type"].startswith("application/json")
    assert query(heard)["page_size"] == "5"
    assert "nothing" not in query(heard)


@pytest.mark.parametrize("code", ["Throttling", "ServiceUnavailable", "InternalError"])
def test_the_sdk_tries_once(server: Loopback, code: str) -> None:
    server.answer = says(503, {"Code": code, "Message": "no", "RequestId": "R"})
    with pytest.raises(Retryable):
        clients(server).ecs("DescribeZones", RegionId="ap-southeast-1")
    assert len(server.heard) == 1


def test_no_proxy_is_respected(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK sends everything to ``HTTPS_PROXY``, whatever ``NO_PROXY`` says."""
    monkeypatch.setenv("HTTPS_PROXY", server.proxy)
    made = clients(server, proxy=None)
    made.vpc("DescribeVpcs")
    assert len(server.heard) == 1
    monkeypatch.setenv("NO_PROXY", ".aliyuncs.com")
    other = clients(server, proxy=None)
    assert other._connections.client("vpc").proxy == {"http": None, "https": None}


def test_a_netrc_does_not_replace_the_signature(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = server.ca_file.parent
    (home / ".netrc").write_text("default login me password hidden\n")
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    clients(server).cs("DescribeUserQuota", "GET", "/quota")
    assert server.heard[0].headers["authorization"].startswith("acs ")


def test_threads_at_once_leave_no_connection_open(
    server: Loopback, request: pytest.FixtureRequest
) -> None:
    """One that nobody closed warns when it is collected, which fails the test."""
    usual = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(usual))
    sys.setswitchinterval(1e-6)

    def together(made: Clients, gate: threading.Barrier) -> None:
        gate.wait(10)
        made.vpc("DescribeVpcs")

    for _ in range(12):
        made, gate = clients(server), threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(together, made, gate) for _ in range(8)]:
                done.result()
        del made
        gc.collect()


def test_threads_share_one_client(server: Loopback) -> None:
    made = clients(server)
    threads = [
        threading.Thread(target=made.vpc, args=("DescribeVpcs",), kwargs={"VpcId": str(n)})
        for n in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {query(heard)["VpcId"] for heard in server.heard} == {str(n) for n in range(24)}
    assert len({query(heard)["SignatureNonce"] for heard in server.heard}) == 24


def test_pages_to_the_last(server: Loopback) -> None:
    items = [{"VpcId": str(n)} for n in range(120)]

    def answer(heard: Heard) -> tuple[int, bytes]:
        number, size = int(query(heard)["PageNumber"]), int(query(heard)["PageSize"])
        page = items[(number - 1) * size : number * size]
        return 200, json.dumps({"TotalCount": 120, "Vpcs": {"Vpc": page}}).encode()

    server.answer = answer
    made = clients(server)
    assert list(made.every("DescribeVpcs")) == items


# -- what comes back ----


def refused(server: Loopback, status: int, body: Any) -> CloudError:
    server.answer = says(status, body)
    with pytest.raises(CloudError) as caught:
        clients(server).cs("CreateCluster", "POST", "/clusters", {"name": "demo"})
    return caught.value


def test_lower_case_errors_keep_their_code_and_request_id(server: Loopback) -> None:
    """The SDK calls all of them SDK.UnknownServerError."""
    body = {
        "code": "StatusForbidden",
        "message": "STSToken policy Forbidden for action cs:CreateCluster",
        "requestId": "5F-1",
        "status": 403,
    }
    error = refused(server, 403, body)
    assert isinstance(error, Denied)
    assert (error.code, error.request_id) == ("StatusForbidden", "5F-1")
    assert "cs:CreateCluster" in str(error)


def test_every_error_of_a_list_is_told(server: Loopback) -> None:
    body = {
        "code": "BadRequest",
        "message": "check failed",
        "requestId": "5F-2",
        "data": [
            {"code": "ErrorNotEnabled", "message": "please enable cskpro"},
            {"code": "MissingPodVswitchIds", "message": "PodVswitchIds is empty"},
        ],
    }
    error = refused(server, 400, body)
    assert "please enable cskpro" in str(error)
    assert "PodVswitchIds is empty" in str(error)
    assert error.hint


def test_the_gateways_dialect_is_understood_too(server: Loopback) -> None:
    error = refused(server, 400, {"Code": "Throttling.User", "Message": "flow", "RequestId": "G"})
    assert isinstance(error, Retryable)
    assert (error.code, error.request_id, type(error)) == ("Throttling.User", "G", Throttled)


@pytest.mark.parametrize("body", [[], "text", {"Message": None}, {"code": None}])
def test_strange_bodies_are_errors_of_ours(server: Loopback, body: Any) -> None:
    assert isinstance(refused(server, 400, body), Rejected)


def test_an_answer_that_is_not_json(server: Loopback) -> None:
    server.answer = lambda heard: (200, b"<html>log in to the hotel</html>")
    with pytest.raises(Retryable, match="not the vendor's"):
        clients(server).vpc("DescribeVpcs")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "DependencyViolation.EnhancedNatgw", InUse),
        (400, "OperationUnsupported.EipInBinding", Propagating),
        (400, "IncorrectVSwitchStatus", Busy),
        (400, "InvalidIpStatus.HasBeenUsedBySnatTable", InUse),
        (404, "InvalidVpcID.NotFound", Gone),
        (404, "EntityNotExist.Role", Gone),
        (409, "EntityAlreadyExists.Role", Exists),
        (400, "QuotaExceeded.Vpc", QuotaExceeded),
        (404, "InvalidAccessKeyId.NotFound", CredentialsError),
        (400, "InvalidTimeStamp.Expired", CredentialsError),
        (403, "NoPermission", Denied),
        (400, "RISK.RISK_CONTROL_REJECTION", PaymentRequired),
        (400, "InvalidCidrBlock.Overlapped", Exists),
        (500, "Whatever", ServerError),
    ],
)
def test_codes(server: Loopback, status: int, code: str, kind: type[Exception]) -> None:
    server.answer = says(status, {"Code": code, "Message": "m", "RequestId": "R"})
    with pytest.raises(kind) as caught:
        clients(server).vpc("CreateVpc")
    assert type(caught.value) is kind


@pytest.mark.parametrize("tail", ["server string to sign is:GET&%2F&AccessKeyId", ""])
def test_a_wrong_secret_is_a_matter_of_credentials(server: Loopback, tail: str) -> None:
    """Without a colon in the message the SDK itself ends in an IndexError."""
    message = f"Specified signature is not matched with our calculation. {tail}"
    server.answer = says(400, {"Code": "SignatureDoesNotMatch", "Message": message})
    with pytest.raises(CredentialsError) as caught:
        clients(server).vpc("DescribeVpcs")
    assert "AccessKeyId" not in str(caught.value)
    assert "aliyun configure" in caught.value.hint


def test_no_signed_url_in_errors_or_logs(
    server: Loopback, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The SDK puts the whole signed URL into the error for a lost connection, and logs it."""
    monkeypatch.setenv("DEBUG", "sdk")
    environ = {**KEY, "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN}
    with caplog.at_level(logging.DEBUG):
        made = clients(server, proxy="http://127.0.0.1:9", environ=environ)
        with pytest.raises(Retryable) as caught:
            made.vpc("CreateVpc", Description="hidden-words")
        clients(server, environ=environ).vpc("DescribeVpcs", Description="hidden-words")
        server.answer = says(400, {"Code": "X", "Message": "m"})
        with pytest.raises(Rejected):
            clients(server, environ=environ).cs("X", "GET", "/x")
    out, err = capfd.readouterr()
    told = f"{caught.value} {caught.value.hint} {caught.value!r} {caplog.text} {out} {err}"
    for secret in (TOKEN, "Signature=", "LTAI5tExample", "hidden-words", *KEY.values()):
        assert secret not in told
    assert isinstance(caught.value, ServerError)
    assert caught.value.__cause__ is None


def test_registrys_refusals_come_with_status_200(server: Loopback) -> None:
    server.answer = says(200, {"IsSuccess": False, "Code": "REPO_NOT_EXIST", "RequestId": "R"})
    with pytest.raises(Gone):
        clients(server).cr("DeleteRepository", InstanceId="cri-1")


# -- whose calls they are ----


def configure(home: Path, *profiles: dict[str, Any], current: str = "default") -> None:
    folder = home / ".aliyun"
    folder.mkdir(exist_ok=True)
    text = json.dumps({"current": current, "profiles": profiles, "meta_path": ""})
    (folder / "config.json").write_text(text)


AK = {"name": "default", "mode": "AK", "access_key_id": "LTAIFile", "access_key_secret": "f"}


def test_the_aliyun_programs_profiles(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.home()
    sts = {**AK, "name": "temporary", "mode": "StsToken", "sts_token": TOKEN}
    configure(home, AK, sts)
    clients(server, environ={}).vpc("DescribeVpcs")
    clients(server, environ={}, cloud_profile="temporary").vpc("DescribeVpcs")
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "temporary")
    clients(server, environ={}).vpc("DescribeVpcs")
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    clients(server, environ={}).vpc("DescribeVpcs")
    sent = [query(heard) for heard in server.heard]
    assert [q["AccessKeyId"] for q in sent] == ["LTAIFile"] * 3 + ["LTAI5tExample"]
    assert [q.get("SecurityToken") for q in sent] == [None, TOKEN, TOKEN, None]


def test_a_role_is_assumed_once_and_again_before_its_end(server: Loopback) -> None:
    role = {**AK, "mode": "RamRoleArn", "ram_role_arn": "acs:ram::1:role/x"}
    configure(Path.home(), role)
    expires = ["2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]

    def answer(heard: Heard) -> tuple[int, bytes]:
        if query(heard).get("Action") != "AssumeRole":
            return 200, b"{}"
        made = {"AccessKeyId": "STS.1", "AccessKeySecret": "x", "SecurityToken": TOKEN}
        found = {"Credentials": {**made, "Expiration": expires.pop(0)}}
        return 200, json.dumps(found).encode()

    server.answer = answer
    made = clients(server, environ={})
    for _ in range(3):
        made.vpc("DescribeVpcs")
    sent = [(query(h)["Action"], query(h)["AccessKeyId"]) for h in server.heard]
    asked, used = ("AssumeRole", "LTAIFile"), ("DescribeVpcs", "STS.1")
    assert sent == [asked, used, asked, used, used] or sent == [asked, asked, used, used, used]


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ((), "there are no Alibaba Cloud credentials"),
        (({**AK, "name": "other"},), "there is no profile 'default'"),
        (({**AK, "access_key_secret": ""},), "is incomplete"),
        (({**AK, "mode": "StsToken"},), "is incomplete"),
        (({**AK, "mode": "RamRoleArn"},), "names no role"),
        (({**AK, "mode": "RsaKeyPair"},), "is of mode RsaKeyPair, which clusterkit cannot use"),
    ],
)
def test_credentials_that_are_not(
    server: Loopback, profiles: tuple[dict[str, Any], ...], words: str
) -> None:
    configure(Path.home(), *profiles)
    with pytest.raises(CredentialsError, match=words) as caught:
        clients(server, environ={}).vpc("DescribeVpcs")
    assert caught.value.hint


def test_a_profile_without_a_configuration_file_is_named() -> None:
    with pytest.raises(CredentialsError, match="there is no profile 'ci'") as caught:
        find("ci", {})
    assert "aliyun configure --profile ci" in caught.value.hint


def test_a_broken_file_is_not_quoted(server: Loopback) -> None:
    configure(Path.home())
    (Path.home() / ".aliyun" / "config.json").write_text('{"profiles": [{"access_key_secret": "x')
    with pytest.raises(CredentialsError, match="cannot be read") as caught:
        clients(server, environ={}).vpc("DescribeVpcs")
    assert "access_key_secret" not in str(caught.value)


def test_half_a_key_is_no_key(server: Loopback) -> None:
    environ = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI"}
    with pytest.raises(CredentialsError, match="_SECRET is not set"):
        clients(server, environ=environ).vpc("DescribeVpcs")

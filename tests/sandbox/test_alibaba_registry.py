"""Container Registry of the emulated Alibaba Cloud, enterprise and personal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusterkit_sandbox.alibaba.account import REGISTRY
from tests.sandbox.aliyun import Aliyun, account, anew, refused

HERE = {"InstanceId": REGISTRY}
SPACE = {**HERE, "NamespaceName": "demo"}
REPO = {**HERE, "RepoNamespaceName": "demo", "RepoName": "app"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def test_an_instance(cloud: Aliyun) -> None:
    listed = cloud("cr:ListInstance")
    assert (listed["TotalCount"], listed["Instances"][0]["InstanceId"]) == (1, REGISTRY)
    assert cloud("cr:GetInstance", **HERE)["InstanceStatus"] == "RUNNING"
    with refused("INSTANCE_NOT_EXIST", 404):
        cloud("cr:GetInstance", InstanceId="cri-none")
    cloud.cloud.store.conditions.registry = False
    cloud.sandbox.reset()
    assert cloud("cr:ListInstance")["TotalCount"] == 0


def test_a_password(cloud: Aliyun) -> None:
    made = cloud("cr:GetAuthorizationToken", **HERE)
    assert made["TempUsername"]
    assert 3500 < made["ExpireTime"] / 1000 - time.time() <= 3600
    longer = cloud("cr:GetAuthorizationToken", **HERE, ExpiresInHours=24)
    assert longer["ExpireTime"] > made["ExpireTime"]
    with refused("InvalidParameter"):
        cloud("cr:GetAuthorizationToken", **HERE, ExpiresInHours=25)


def test_namespaces_and_repositories(cloud: Aliyun) -> None:
    cloud("cr:CreateNamespace", **SPACE, AutoCreateRepo=True, DefaultRepoType="PRIVATE")
    with refused("InvalidParameter"):
        cloud("cr:CreateNamespace", **SPACE)
    with refused("InvalidParameter"):
        cloud("cr:CreateNamespace", **HERE, NamespaceName="Demo")
    assert cloud("cr:GetNamespace", **SPACE)["AutoCreateRepo"]
    cloud("cr:UpdateNamespace", **SPACE, AutoCreateRepo=False, DefaultRepoType="PUBLIC")
    assert cloud("cr:ListNamespace", **HERE)["Namespaces"][0]["DefaultRepoType"] == "PUBLIC"
    with refused("MissingSummary"):
        cloud("cr:CreateRepository", **REPO, RepoType="PRIVATE")
    made = cloud("cr:CreateRepository", **REPO, RepoType="PRIVATE", Summary="a")
    with refused("InvalidParameter"):
        cloud("cr:CreateRepository", **REPO, RepoType="PRIVATE", Summary="a")
    cloud("cr:UpdateRepository", **REPO, RepoType="PUBLIC", Summary="b")
    found = cloud("cr:GetRepository", **HERE, RepoId=made["RepoId"])
    assert (found["RepoType"], found["Summary"]) == ("PUBLIC", "b")
    assert len(cloud("cr:ListRepository", **HERE)["Repositories"]) == 1
    cloud("cr:DeleteRepository", **REPO)
    with refused("REPO_NOT_EXIST", 404):
        cloud("cr:GetRepository", **REPO)
    cloud("cr:DeleteNamespace", **SPACE)
    with refused("NAMESPACE_NOT_EXIST", 404):
        cloud("cr:CreateRepository", **REPO, RepoType="PRIVATE", Summary="a")


def test_namespaces_by_page(cloud: Aliyun) -> None:
    names = ["one", "two", "three"]
    for name in names:
        cloud("cr:CreateNamespace", **HERE, NamespaceName=name)
    cloud.sandbox.faults.page_size = 1
    pages = [cloud("cr:ListNamespace", **HERE, PageNo=n, PageSize=30) for n in (1, 2, 3, 4)]
    assert [n["NamespaceName"] for page in pages for n in page["Namespaces"]] == names
    assert pages[0]["TotalCount"] == "3"


def test_repositories_by_token(cloud: Aliyun) -> None:
    cloud("cr:CreateNamespace", **SPACE)
    for name in ("one", "two"):
        cloud("cr:CreateRepository", **REPO | {"RepoName": name}, RepoType="PRIVATE", Summary="a")
    first = cloud("cr:ListRepository", **HERE, MaxResults=1)
    second = cloud("cr:ListRepository", **HERE, MaxResults=1, NextToken=first["NextToken"])
    names = [r["RepoName"] for page in (first, second) for r in page["Repositories"]]
    assert (names, second["NextToken"]) == (["one", "two"], "")


def test_who_may_come_in(cloud: Aliyun) -> None:
    public = {**HERE, "EndpointType": "internet"}
    assert not cloud("cr:GetInstanceEndpoint", **public)["Enable"]
    cloud("cr:UpdateInstanceEndpointStatus", **public, Enable=True)
    with refused("InvalidParameter"):
        cloud("cr:CreateInstanceEndpointAclPolicy", **public, Entry="0.0.0.0/0")
    cloud("cr:CreateInstanceEndpointAclPolicy", **public, Entry="203.0.113.0/24")
    found = cloud("cr:GetInstanceEndpoint", **public)
    assert [entry["Entry"] for entry in found["AclEntries"]] == ["203.0.113.0/24"]
    assert cloud("cr:ListInstanceEndpoint", **HERE)["Endpoints"][0]["Enable"]
    cloud("cr:DeleteInstanceEndpointAclPolicy", **public, Entry="203.0.113.0/24")
    vpc, vswitches = cloud.network()
    link = {**HERE, "VpcId": vpc, "VswitchId": vswitches[0]}
    cloud("cr:CreateInstanceVpcEndpointLinkedVpc", **link, ModuleName="Registry")
    linked: list[Any] = cloud("cr:GetInstanceVpcEndpoint", **HERE)["LinkedVpcs"]
    assert [one["VpcId"] for one in linked] == [vpc]
    cloud("cr:DeleteInstanceVpcEndpointLinkedVpc", **link)


def test_the_personal_edition(cloud: Aliyun) -> None:
    def ask(method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        return cloud.roa(method, path, body, product="personalcr", **query)

    assert ask("GET", "/tokens")[1]["data"]["tempUserName"]
    assert ask("PUT", "/namespace", {"Namespace": {"Namespace": "mine"}})[0] == 200
    status, body = ask("PUT", "/namespace", {"Namespace": {"Namespace": "mine"}})
    assert (status, body["code"]) == (409, "InvalidParameter")
    change = {"Namespace": {"AutoCreate": False, "DefaultVisibility": "PUBLIC"}}
    assert ask("POST", "/namespace/mine", change)[0] == 200
    found = ask("GET", "/namespace/mine")[1]["data"]["namespace"]
    assert (found["autoCreate"], found["defaultVisibility"]) == (False, "PUBLIC")
    assert len(ask("GET", "/namespace")[1]["data"]["namespaces"]) == 1
    repo = {"RepoNamespace": "mine", "RepoName": "app", "RepoType": "PRIVATE", "Summary": "a"}
    assert ask("PUT", "/repos", {"Repo": repo})[0] == 200
    assert ask("GET", "/repos/mine/app")[1]["data"]["repo"]["summary"] == "a"
    assert ask("GET", "/repos/mine", PageSize="10")[1]["data"]["total"] == 1
    found = ask("GET", "/repos/mine/app")[1]["data"]["repo"]
    assert found["repoDomainList"]["public"].endswith(".personal.cr.aliyuncs.com")
    change = {"Repo": {"Summary": "b", "RepoType": "PUBLIC"}}
    assert ask("POST", "/repos/mine/app", change)[0] == 200
    (found,) = ask("GET", "/repos")[1]["data"]["repos"]
    assert (found["summary"], found["repoType"]) == ("b", "PUBLIC")
    # another region is another registry
    elsewhere = cloud.roa(
        "GET", "/namespace/mine", product="personalcr", headers={"x-acs-region-id": "eu-central-1"}
    )
    assert elsewhere[1]["code"] == "NAMESPACE_NOT_EXIST"
    for wrong in ({"RepoType": "SECRET"}, {"Summary": ""}, {"Summary": "a" * 101}):
        assert ask("POST", "/repos/mine/app", {"Repo": wrong})[0] == 400
    status, body = ask("PUT", "/repos", {"Repo": repo | {"Colour": "red"}})
    assert (status, body["code"]) == (400, "Sandbox.UnknownParameter")
    assert ask("DELETE", "/repos/mine/app")[0] == 200
    assert ask("DELETE", "/namespace/mine")[0] == 200
    status, body = ask("GET", "/namespace/mine")
    assert (status, body["code"]) == (404, "NAMESPACE_NOT_EXIST")

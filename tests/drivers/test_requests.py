"""How often the cloud is asked."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore import httpsession

from clusterkit import Cluster
from clusterkit.eks import registry
from clusterkit.eks.registry import Repository
from clusterkit.eks.tags import FEW
from clusterkit.engine.cache import Survey
from clusterkit.engine.events import StepRetried
from clusterkit.errors import CredentialsError, PreflightError
from clusterkit.naming import CLUSTER
from clusterkit_sandbox.alibaba.gateway import AlibabaCloud
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers import aks, alibaba, alibaba_cases, aws, eks_cases, gke, gke_cases
from tests.drivers.cases import FULL, MINIMAL, each
from tests.drivers.eks_cases import TRUST
from tests.drivers.world import AT_ONCE, Case, World, edited, world

MANY = FEW + 5
"""things of others, of a kind"""
LITTLE = 0.7
"""of what the first one asked; on AKS most lists are those of the cluster's resource group"""


@each((*MINIMAL, *FULL))
def test_unchanged_up_asks_each_question_once(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        there.settle(there.up())
        before = there.sandbox.requests.count()
        assert there.cluster().plan(there.profile).empty
        asked = there.sandbox.requests.entries()[before - there.sandbox.requests.count() :]
        counted = Counter(request.operation for request in asked)
        assert len(counted) >= 15
        twice = {what: times for what, times in counted.items() if times > 1}
        assert set(twice) <= set(case.apiece), twice


@each((*MINIMAL, *FULL))
def test_a_first_up_makes_nothing_that_is_there(case: Case, tmp_path: Path) -> None:
    """GKE and AKS make a cluster with its node pools, EKS with rules of its security group."""
    with world(case, tmp_path) as there:
        there.settle(there.up(observe=there.requests.append))
        retried = [event for event in there.events if isinstance(event, StepRetried)]
        assert retried == []
        assert "AuthorizeSecurityGroupIngress" not in {seen.operation for seen in there.requests}


@each(MINIMAL)
def test_another_cluster_of_the_account_asks_little_more(case: Case, tmp_path: Path) -> None:
    """A survey is shared: what is left are lists that name the cluster."""
    with world(case, tmp_path) as there:
        there.settle(there.up())
        survey, counts = Survey(), list[int]()
        for name in ("demo", "other", "third"):
            before = there.sandbox.requests.count()
            profile = there.load(edited(there.case.profile, {"name": name}))
            plan = there.cluster(name).plan(profile, survey=survey)
            assert plan.empty == (name == "demo"), plan.todo
            counts.append(there.sandbox.requests.count() - before)
        assert max(counts[1:]) <= counts[0] * LITTLE, counts


@pytest.mark.parametrize("case", [eks_cases.MINIMAL_CASE], ids=lambda case: case.id)
def test_authorities_are_read_once(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    class Context(ssl.SSLContext):
        def load_verify_locations(self, cafile: Any = None, *rest: Any) -> None:
            read.append(cafile)
            super().load_verify_locations(cafile, *rest)

    monkeypatch.setattr(httpsession, "SSLContext", Context)
    with world(case, tmp_path) as there:
        assert there.cluster().plan(there.profile).todo
        assert read == [str(there.sandbox.ca_file)]


@each(MINIMAL)
def test_what_waits_is_asked_anew(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        cluster = there.cluster()
        there.settle(cluster.apply(cluster.plan(there.profile), there.events.append))
        assert there.plan().empty


@each(MINIMAL)
def test_preflight_says_what_is_wrong_while_the_look_goes_on(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as there:
        asked = there.profile.model_copy(update={"kubernetes": "1.11"})
        with pytest.raises(PreflightError, match=r"1\.11"):
            there.cluster().plan(asked)


@each(MINIMAL)
def test_unknown_credentials_are_told_as_such_whichever_call_fails_first(
    case: Case, tmp_path: Path
) -> None:
    with world(case, tmp_path) as there:
        known = there.connection().environ
        wrong = {name: "AKIAWRONG" if name.endswith("KEY_ID") else known[name] for name in known}
        if file := known.get("GOOGLE_APPLICATION_CREDENTIALS"):
            key = json.loads(Path(file).read_text()) | {"client_email": "nobody@example.com"}
            (tmp_path / "key.json").write_text(json.dumps(key))
            wrong["GOOGLE_APPLICATION_CREDENTIALS"] = str(tmp_path / "key.json")
        if "AZURE_CLIENT_SECRET" in known:
            wrong["AZURE_CLIENT_SECRET"] = "wrong"
        cluster = Cluster(there.target(), replace(there.connection(), environ=wrong))
        with pytest.raises(CredentialsError):
            cluster.plan(there.profile)


def test_account_that_is_not_set_up_is_told_so_and_not_which_look_failed_for_it(
    tmp_path: Path,
) -> None:
    made: list[AlibabaCloud] = []

    def make(context: SandboxContext) -> AlibabaCloud:
        made.append(AlibabaCloud(context))
        return made[-1]

    with Sandbox(directory=tmp_path / "sandbox", pace=AT_ONCE, emulators=[make]) as sandbox:
        made[0].store.conditions.activated = False
        sandbox.reset()
        there = World(sandbox, alibaba_cases.MINIMAL_CASE, tmp_path)
        with pytest.raises(PreflightError, match="lacks service roles"):
            there.cluster().plan(there.profile)


def _on_eks(found: World) -> None:
    account = aws.Account(found)
    for number in range(MANY):
        name = f"other-{number}"
        account.ecr.create_repository(repositoryName=name)
        account.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        account.logs.create_log_group(logGroupName=f"/aws/eks/{name}/cluster")
        account.ec2.create_key_pair(KeyName=name)
        issuer = f"https://oidc.eks.{found.profile.region}.amazonaws.com/id/{number}"
        account.iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])
        where = {"LocationConstraint": found.profile.region}
        account.s3.create_bucket(Bucket=f"logs-{name}-12345678", CreateBucketConfiguration=where)


def _on_ack(found: World) -> None:
    account = alibaba.Account(found)
    policy = {"Service": ["ecs.aliyuncs.com"]}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": policy}]}
    document = json.dumps({"Version": "1", **trust})
    vpc = account("vpc:CreateVpc", CidrBlock="10.0.0.0/16")["VpcId"]
    for number in range(MANY):
        name = f"other-{number}"
        account("ram:CreateRole", RoleName=name, AssumeRolePolicyDocument=document)
        account("ecs:CreateSecurityGroup", VpcId=vpc, SecurityGroupName=name)
        account("slb:CreateAccessControlList", AclName=name)


def _on_gke(found: World) -> None:
    account = gke.Account(found)
    for number in range(MANY):
        name = f"other-{number}"
        gke_cases.repository(account, name)
        account("storage", "POST", "b", {"name": name, "location": "eu"}, project=account.project)
        path = f"projects/{account.project}/serviceAccounts"
        account("iam", "POST", path, {"accountId": name, "serviceAccount": {"displayName": name}})


def _on_aks(found: World) -> None:
    account = aks.Account(found)
    body = {"location": account.region}
    for number in range(MANY):
        group = f"{account.path}/resourceGroups/other-{number}"
        account("PUT", group, body)
        path = "Microsoft.ManagedIdentity/userAssignedIdentities/clusterkit-demo-kubelet"
        account("PUT", f"{group}/providers/{path}", body)
        registries = "Microsoft.ContainerRegistry/registries"
        sku = {"sku": {"name": "Basic"}}
        account("PUT", f"{group}/providers/{registries}/other{number}", {**body, **sku})


OTHERS: Mapping[str, Callable[[World], None]] = {
    "eks": _on_eks,
    "alibaba": _on_ack,
    "gke": _on_gke,
    "aks": _on_aks,
}


@each(MINIMAL, FULL)
def test_what_others_have_is_not_asked_for_one_by_one(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> Counter[str]:
        before = there.sandbox.requests.count()
        assert there.cluster().plan(there.profile).empty
        new = there.sandbox.requests.count() - before
        return Counter(each.operation for each in there.sandbox.requests.entries()[-new:])

    with world(case, tmp_path) as there:
        there.settle(there.up())
        alone = asked()
        OTHERS[case.cloud](there)
        monkeypatch.setattr(registry, "YOUNG", -registry.YOUNG)
        more = asked() - alone
        assert max(more.values(), default=0) <= 2, more  # a page more, or a call that finds by tag


def test_which_of_many_repositories_are_asked_for_their_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(eks_cases.MINIMAL_CASE, tmp_path) as there:
        ecr = aws.Account(there).ecr
        for number in range(FEW):
            ecr.create_repository(repositoryName=f"other-{number}")
        ours = [{"Key": CLUSTER, "Value": "demo"}]
        ecr.create_repository(repositoryName="app", tags=ours)

        def asked() -> set[str]:
            scope = there.scope()
            Repository.label(scope, "other-7", {"team": "ci"})  # it may not be found by tag yet
            return {have.id for have in Repository.list(scope)}

        assert len(asked()) == FEW + 1  # all are young
        monkeypatch.setattr(registry, "YOUNG", -registry.YOUNG)
        assert asked() == {"app", "other-7"}
        there.user = there.sandbox.identity(["ecr:*", "tag:GetResources"])
        assert asked() == {"app", "other-7"}
        there.user = there.sandbox.identity(["ecr:*"])
        assert len(asked()) == FEW + 1

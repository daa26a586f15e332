"""Roles without a path, the issuer of a cluster, and buckets: who they belong to, and their end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

from clusterkit.eks.irsa import OidcProvider, PodRole
from clusterkit.eks.storage import Bucket, bucket_name
from clusterkit.engine.kind import Env
from clusterkit.errors import NotOurs
from clusterkit.naming import CLUSTER
from clusterkit.profile.ready import Kaniko
from clusterkit.ready.build import Runner, Send
from clusterkit.ready.context import Context, look, pack
from clusterkit.ready.kaniko import STDIN, Build
from clusterkit.ready.registry import CONFIG_MAP
from tests.drivers.aws import Account
from tests.drivers.eks_cases import JENKINS_X_CASE, TRUST
from tests.drivers.world import World, edited, world

PROFILE = JENKINS_X_CASE.profile


def buckets(found: World) -> list[str]:
    return [each["Name"] for each in Account(found).s3.list_buckets()["Buckets"]]


def test_a_bucket_is_emptied_of_all_that_s3_keeps(tmp_path: Path) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.settle(found.up())
        s3 = Account(found).s3
        [logs] = [name for name in buckets(found) if name.startswith("logs-")]
        s3.put_bucket_versioning(Bucket=logs, VersioningConfiguration={"Status": "Enabled"})
        for text in (b"one", b"two"):
            s3.put_object(Bucket=logs, Key="a b/ü.log", Body=text)
        s3.delete_object(Bucket=logs, Key="a b/ü.log")
        s3.put_object(Bucket=logs, Key="kept.log", Body=b"x")
        s3.create_multipart_upload(Bucket=logs, Key="half")
        found.settle(found.destroy())
        assert buckets(found) == []
        assert found.destroy_plan().empty


def test_a_bucket_of_the_first_region_has_no_location(tmp_path: Path) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.profile = found.load(edited(PROFILE, {"region": "us-east-1"}))
        env: Any = Env(found.clients(), "demo", "us-east-1")
        wish = Bucket(name="logs", account="123456789012", keep=False)
        wish.create(env)
        [have] = (Bucket.read(env, each) for each in Bucket.list(env))
        assert (have.tags or {})[CLUSTER] == "demo"
        assert not [*wish.edits(env, have)]
        found.settle(found.destroy())
        assert buckets(found) == []


def test_a_name_of_another_accounts_bucket_is_told(tmp_path: Path) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        file = ConfigParser()
        file.read(found.sandbox.environment()["AWS_SHARED_CREDENTIALS_FILE"])
        keys = file["neighbour"]
        other = boto3.client(
            "s3", region_name="eu-west-1",
            aws_access_key_id=keys["aws_access_key_id"],
            aws_secret_access_key=keys["aws_secret_access_key"],
            verify=str(found.sandbox.ca_file),
            config=Config(proxies={"https": found.sandbox.proxy}),
        )  # fmt: skip
        name = bucket_name("logs", "demo", "123456789012", "eu-west-1")
        other.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        outcome = found.up()
        error = outcome.failed["bucket/logs"]
        assert isinstance(error, NotOurs)
        assert name in str(error)
        assert "another name for the cluster" in error.hint
        found.settle(found.destroy())
        other.delete_bucket(Bucket=name)


def test_a_pipeline_of_jenkins_x_pushes_a_new_application(tmp_path: Path) -> None:
    """As its charts set it up, from the ConfigMap alone: `jx/tekton-bot` gets the role that they
    name, and jx-registry makes the repository with it.
    """
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.settle(found.up())
        kube, ecr = found.clients().kube, Account(found).ecr
        told = kube.get("/api/v1/namespaces/default/configmaps/terraform-jx-requirements")
        cluster = yaml.safe_load(told["data"]["jx-requirements.yml"])["spec"]["cluster"]
        role = f"arn:aws:iam::{cluster['project']}:role/{cluster['clusterName']}-tekton-bot"
        space, meta = "/api/v1/namespaces/jx", {"namespace": "jx"}
        kube.apply(space, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jx"}})
        account: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount"}
        account["metadata"] = {**meta, "name": "tekton-bot"}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": CONFIG_MAP}}
        helpers = {"credHelpers": {cluster["registry"]: "ecr-login"}}
        kube.apply(
            f"{space}/configmaps/{CONFIG_MAP}",
            {**config, "data": {"config.json": json.dumps(helpers)}},
        )
        (tmp_path / "context").mkdir()
        (tmp_path / "context" / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        name = f"{cluster['dockerRegistryOrg']}/new"
        ecr.create_repository(repositoryName=name)
        build = Build(STDIN, (f"{cluster['registry']}/{name}:1.0.0",), cache=False)
        access = found.cloud.push_access(found.profile, found.clients(), None)
        assert access is not None
        user = Kaniko(namespace="jx", service_account="tekton-bot")
        run = Runner(
            kube, user, replace(access, repositories=None),
            tell=print, log=print, stop=threading.Event(), scale=0.0,
        )  # fmt: skip
        pack = look(tmp_path / "context", "Dockerfile")

        kube.apply(f"{space}/serviceaccounts/tekton-bot", account)
        assert run(build, pack_into(pack)).code != 0
        account["metadata"]["annotations"] = {"eks.amazonaws.com/role-arn": role}
        kube.apply(f"{space}/serviceaccounts/tekton-bot", account)
        assert run(build, pack_into(pack)).code == 0
        [image] = ecr.describe_images(repositoryName=name)["imageDetails"]
        assert image["imageTags"] == ["1.0.0"]
        ecr.delete_repository(repositoryName=name, force=True)


def pack_into(context: Context) -> Callable[[Send], None]:
    return lambda send: pack(context, send)


def test_a_role_of_the_same_cluster_in_another_region(tmp_path: Path) -> None:
    """IAM knows a role once for all regions, and the charts put no region into its name."""
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.settle(found.up())
        before = found.things()
        away = found.load(edited(PROFILE, {"region": "eu-west-2", "registry.name": "other"}))
        found.profile = away
        with pytest.raises(NotOurs, match="in eu-west-1") as caught:
            found.plan()
        assert "another name for one of the two clusters" in caught.value.hint
        assert list(PodRole.list(found.scope()))
        assert found.cluster().plan_destroy().empty
        found.profile = found.load(PROFILE)
        assert found.things() == before


def test_a_role_under_a_path_is_not_where_the_charts_look(tmp_path: Path) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        Account(found).iam.create_role(
            RoleName="demo-tekton-bot", Path="/team/", AssumeRolePolicyDocument=TRUST
        )
        with pytest.raises(NotOurs, match="under the path /team/"):
            found.plan()


def test_the_issuer_of_a_cluster_made_again_is_trusted_in_place_of_the_old(tmp_path: Path) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.settle(found.up())
        eks = Account(found).eks
        old = next(iter(OidcProvider.list(found.scope()))).id
        for group in eks.list_nodegroups(clusterName="demo")["nodegroups"]:
            eks.delete_nodegroup(clusterName="demo", nodegroupName=group)
        eks.delete_cluster(name="demo")
        found.settle(found.up())
        [new] = [each.id for each in OidcProvider.list(found.scope())]
        assert new != old
        role = Account(found).iam.get_role(RoleName="demo-tekton-bot")["Role"]
        text = json.dumps(role["AssumeRolePolicyDocument"])
        assert new in text
        assert old.partition("oidc-provider/")[2] not in text
        assert found.plan().empty


def test_a_provider_that_a_role_of_others_trusts_stays_with_the_cluster(tmp_path: Path) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.settle(found.up())
        iam = Account(found).iam
        trust = iam.get_role(RoleName="demo-tekton-bot")["Role"]["AssumeRolePolicyDocument"]
        iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=json.dumps(trust))
        without = found.load(edited(PROFILE, {"ready": {}}))
        found.settle(found.up(without))
        planned = found.plan(without)
        assert planned.empty
        [stays] = [each for each in planned.warnings if each.where == "oidc-provider/cluster"]
        assert "theirs" in stays.what
        assert list(OidcProvider.list(found.scope()))
        assert list(PodRole.list(found.scope())) == []
        found.settle(found.destroy())
        assert list(OidcProvider.list(found.scope())) == []
        assert iam.get_role(RoleName="theirs")

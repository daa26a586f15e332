"""What there is in an AWS account, asked for with boto3 alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import boto3
from botocore.loaders import create_loader
from botocore.session import get_session

from tests.drivers.world import Thing, World

LOADER = create_loader()
CLIENTS: WeakKeyDictionary[World, dict[tuple[str, str], Any]] = WeakKeyDictionary()
"""by service and region: to make one takes longer than to ask"""


class Account:
    """The account of a sandbox, without clusterkit's driver."""

    def __init__(self, world: World, region: str | None = None) -> None:
        from botocore.config import Config

        environ = world.sandbox.environment()
        self._region = region or world.profile.region
        session = get_session()
        session.register_component("data_loader", LOADER)
        self._session = boto3.Session(
            botocore_session=session,
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
            region_name=self._region,
        )
        self._verify = str(world.sandbox.ca_file)
        self._config = Config(
            proxies={"https": world.sandbox.proxy}, retries={"total_max_attempts": 1}
        )
        self._made = CLIENTS.setdefault(world, {})

    def __getattr__(self, service: str) -> Any:
        """A client: ``account.ec2``."""
        which = (service, self._region)
        if which not in self._made:
            self._made[which] = self._session.client(
                service,  # type: ignore[call-overload]
                verify=self._verify,
                config=self._config,
            )
        return self._made[which]


def inventory(world: World) -> list[Thing]:
    """Everything but what AWS itself puts into a new account."""
    account = Account(world)
    return [*_ec2(account), *_iam(account), *_eks(account), *_s3(account), *_rest(account)]


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    listed = found.get("Tags") or found.get("TagSet") or []
    return {tag["Key"]: tag["Value"] for tag in listed}


def _ec2(account: Account) -> Iterator[Thing]:
    ec2 = account.ec2
    vpcs = ec2.describe_vpcs()["Vpcs"]
    default = {vpc["VpcId"] for vpc in vpcs if vpc["IsDefault"]}
    ours = [vpc for vpc in vpcs if not vpc["IsDefault"]]
    yield from _of("vpc", ours, "VpcId")

    def elsewhere(items: Iterable[Any]) -> list[Any]:
        return [item for item in items if item.get("VpcId") not in default]

    yield from _of("subnet", elsewhere(ec2.describe_subnets()["Subnets"]), "SubnetId")
    gateways = ec2.describe_internet_gateways()["InternetGateways"]
    yield from _of("internet-gateway", gateways, "InternetGatewayId")
    yield from _of("elastic-ip", ec2.describe_addresses()["Addresses"], "AllocationId")
    nats = ec2.describe_nat_gateways()["NatGateways"]
    living = [nat for nat in nats if nat["State"] not in ("deleted", "deleting")]
    yield from _of("nat-gateway", living, "NatGatewayId")
    tables = [
        table
        for table in elsewhere(ec2.describe_route_tables()["RouteTables"])
        if not any(link.get("Main") for link in table["Associations"])
    ]
    yield from _of("route-table", tables, "RouteTableId")
    yield from _of("key-pair", ec2.describe_key_pairs()["KeyPairs"], "KeyName")
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    yield from _of("launch-template", templates, "LaunchTemplateName")
    groups = ec2.describe_security_groups()["SecurityGroups"]
    named = [group for group in elsewhere(groups) if group["GroupName"] != "default"]
    yield from _of("security-group", named, "GroupId")
    interfaces = elsewhere(ec2.describe_network_interfaces()["NetworkInterfaces"])
    yield from _of("network-interface", interfaces, "NetworkInterfaceId")
    # the disks of machines go with them
    volumes = [one for one in ec2.describe_volumes()["Volumes"] if not one["Attachments"]]
    yield from _of("volume", volumes, "VolumeId")


def _of(kind: str, found: Iterable[Any], key: str) -> Iterator[Thing]:
    for item in found:
        yield Thing(kind, item[key], _tags(item), item)


def _iam(account: Account) -> Iterator[Thing]:
    iam = account.iam
    for role in iam.list_roles()["Roles"]:
        if role["Path"].startswith("/aws-service-role/"):
            continue
        name = role["RoleName"]
        shown = {
            "role": role,
            "attached": iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
            "inline": iam.list_role_policies(RoleName=name)["PolicyNames"],
        }
        kind = "pod-role" if role["Path"] == "/" else "role"
        yield Thing(kind, name, _tags(iam.get_role(RoleName=name)["Role"]), shown)
    for each in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        shown = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=each["Arn"])
        del shown["ResponseMetadata"]
        yield Thing("oidc-provider", each["Arn"], _tags(shown), shown)


def _eks(account: Account) -> Iterator[Thing]:
    eks = account.eks
    for name in eks.list_clusters()["clusters"]:
        shown = eks.describe_cluster(name=name)["cluster"]
        yield Thing("cluster", name, shown["tags"], shown)
        for group in eks.list_nodegroups(clusterName=name)["nodegroups"]:
            found = eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"]
            yield Thing("node-group", f"{name}/{group}", found["tags"], found)
        for addon in eks.list_addons(clusterName=name)["addons"]:
            found = eks.describe_addon(clusterName=name, addonName=addon)["addon"]
            yield Thing("addon", f"{name}/{addon}", found["tags"], found)
        for principal in eks.list_access_entries(clusterName=name)["accessEntries"]:
            found = eks.describe_access_entry(clusterName=name, principalArn=principal)
            entry = found["accessEntry"]
            yield Thing("access-entry", f"{name}/{principal}", entry.get("tags") or {}, entry)
        links = eks.list_pod_identity_associations(clusterName=name)["associations"]
        for link in links:
            found = eks.describe_pod_identity_association(
                clusterName=name, associationId=link["associationId"]
            )["association"]
            if found.get("ownerArn"):
                continue  # part of an add-on
            yield Thing("pod-identity", link["associationId"], found.get("tags") or {}, found)


def _s3(account: Account) -> Iterator[Thing]:
    s3 = account.s3
    for bucket in s3.list_buckets()["Buckets"]:
        name, tags = bucket["Name"], {}
        with suppress(s3.exceptions.ClientError):  # NoSuchTagSet
            tags = _tags(s3.get_bucket_tagging(Bucket=name))
        yield Thing("bucket", name, tags, bucket)


def _rest(account: Account) -> Iterator[Thing]:
    ecr, logs = account.ecr, account.logs
    for repository in ecr.describe_repositories()["repositories"]:
        tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        marks = {tag["Key"]: tag["Value"] for tag in tags}
        yield Thing("repository", repository["repositoryName"], marks, repository)
    for group in logs.describe_log_groups()["logGroups"]:
        marks = logs.list_tags_log_group(logGroupName=group["logGroupName"])["tags"]
        yield Thing("log-group", group["logGroupName"], marks, group)
    for balancer in account.elb.describe_load_balancers()["LoadBalancerDescriptions"]:
        yield Thing("classic-load-balancer", balancer["LoadBalancerName"], {}, balancer)
    for balancer in account.elbv2.describe_load_balancers()["LoadBalancers"]:
        yield Thing("load-balancer", balancer["LoadBalancerArn"], {}, balancer)
    for group in account.elbv2.describe_target_groups()["TargetGroups"]:
        yield Thing("target-group", group["TargetGroupArn"], {}, group)

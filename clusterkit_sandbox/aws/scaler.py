"""The cluster autoscaler that runs in a pod of an EKS cluster, as AWS sees it.

It calls AWS as that pod: with the credentials of EKS Pod Identity, else of IAM roles for service
accounts, through the same door as everybody, and with the vendor's client. Which calls: kubernetes/
autoscaler, cluster-autoscaler/cloudprovider/aws (README.md "IAM Policy", auto_scaling_groups.go,
aws_manager.go; it reads labels and taints of an empty group by DescribeNodegroup). Its words when
it may not: kubernetes/autoscaler#3115 and #1218, awsdocs/amazon-eks-user-guide#104.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from clusterkit_sandbox.aws import images, instances
from clusterkit_sandbox.aws.account import Session
from clusterkit_sandbox.aws.records import ClusterRecord, Group
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.aws.sessions import AUDIENCE, PODS, of_pod, of_token
from clusterkit_sandbox.kube.interfaces import Node, NodeGroup, ScalerPod
from clusterkit_sandbox.kube.scalerflags import flags, rules

_ROLE = "eks.amazonaws.com/role-arn"
_DISCOVERY = "node-group-auto-discovery"
_TAGGED = "asg:tag="


class PodScaling:
    """Implements ``kube.interfaces.Scaling``."""

    def __init__(self, eks: Eks, record: ClusterRecord, pod: ScalerPod) -> None:
        """``RuntimeError`` if the pod gets no credentials."""
        self._eks = eks
        self._record = record
        self._flags = flags(pod.arguments)
        self.rules = rules(self._flags)
        self._region = pod.environment.get("AWS_REGION") or record.region
        try:
            with eks.account.lock:
                session = _session(eks, record, pod)
        except Refusal as refusal:
            raise RuntimeError(
                f"Failed to create AWS Manager: {refusal.code}: {refusal.message}"
            ) from None
        self._session = session

    def _client(self, service: str) -> Any:
        return _client(self._eks, self._session, service, self._region)

    def groups(self) -> Sequence[NodeGroup]:
        """The groups that the flags name, or that have the tags that they name."""
        try:
            return list(self._groups())
        except _errors() as error:
            told = f"cannot autodiscover ASGs: {_told(error)}"
            raise RuntimeError(f"Failed to create AWS Manager: {told}") from None

    def grow(self, group: str, size: int) -> None:
        """SetDesiredCapacity"""
        self._call(
            "set_desired_capacity",
            AutoScalingGroupName=group, DesiredCapacity=size, HonorCooldown=False,
        )  # fmt: skip

    def remove(self, group: str, machines: Sequence[str]) -> None:
        """TerminateInstanceInAutoScalingGroup for each."""
        for machine in machines:
            self._call(
                "terminate_instance_in_auto_scaling_group",
                InstanceId=machine.rpartition("/")[2], ShouldDecrementDesiredCapacity=True,
            )  # fmt: skip

    def _call(self, operation: str, **parameters: Any) -> None:
        try:
            getattr(self._client("autoscaling"), operation)(**parameters)
        except _errors() as error:
            raise RuntimeError(_told(error)) from None

    def _groups(self) -> Iterator[NodeGroup]:
        pages = self._client("autoscaling").get_paginator("describe_auto_scaling_groups")
        found: dict[str, tuple[dict[str, Any], int, int]] = {}
        for text in self._flags.get("nodes", ()):
            least, most, name = text.split(":", 2)
            for page in pages.paginate(AutoScalingGroupNames=[name]):
                for one in page["AutoScalingGroups"]:
                    found[name] = one, int(least), int(most)
        for text in self._flags.get(_DISCOVERY, ()):
            if not text.startswith(_TAGGED):
                raise RuntimeError(f"unsupported discoverer specified: {text}")
            tags = (tag.partition("=") for tag in text.removeprefix(_TAGGED).split(","))
            filters = [
                {"Name": f"tag:{key}", "Values": [value]}
                if given
                else {"Name": "tag-key", "Values": [key]}
                for key, given, value in tags
            ]
            for page in pages.paginate(Filters=filters):
                for one in page["AutoScalingGroups"]:
                    name = one["AutoScalingGroupName"]
                    found.setdefault(name, (one, one["MinSize"], one["MaxSize"]))
        for name, (one, low, high) in sorted(found.items()):
            yield NodeGroup(
                name,
                low,
                high,
                one["DesiredCapacity"],
                self._template(one),
                tuple(
                    f"aws:///{i['AvailabilityZone']}/{i['InstanceId']}" for i in one["Instances"]
                ),
            )

    def _template(self, group: dict[str, Any]) -> Node:
        """A node as the group's, or of the type it would take first."""
        tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
        ours = tags.get("eks:cluster-name") == self._record.id
        name = tags.get("eks:nodegroup-name", "")
        with self._eks.account.lock:
            mine = self._eks.store.get(Group, name, self._record.key) if ours else None
            nodes = [] if mine is None else instances.nodes_of(self._region, mine)
        if nodes:
            return replace(nodes[0], name=f"template-node-for-{group['AutoScalingGroupName']}")
        overrides = group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
        labels, taints = self._described(tags)
        return instances.machine(
            overrides[0]["InstanceType"],
            group["AvailabilityZones"][0],
            self._region,
            name=f"template-node-for-{group['AutoScalingGroupName']}",
            provider_id=f"aws:///{group['AvailabilityZones'][0]}/template",
            labels=labels,
            taints=taints,
        )

    def _described(self, tags: dict[str, str]) -> tuple[dict[str, str], instances.Taints]:
        """What EKS says of an empty group; nothing if the role may not ask."""
        try:
            found = self._client("eks").describe_nodegroup(
                clusterName=tags["eks:cluster-name"], nodegroupName=tags["eks:nodegroup-name"]
            )["nodegroup"]
        except (_errors(), KeyError):
            return {}, ()
        image = images.of_group(self._region, found["amiType"], found["version"])
        return instances.labels_of(found, image), instances.taints_of(found)


def _session(eks: Eks, record: ClusterRecord, pod: ScalerPod) -> Session:
    """The first of the credentials that the SDK's chain finds."""
    arn = pod.annotations.get(_ROLE)
    if arn:
        return of_token(eks, pod.token(AUDIENCE), arn, pod.name)
    found = of_pod(eks, record, pod.token(PODS))
    if found is None:
        raise Refusal("NoCredentialProviders", "no valid providers in chain. Deprecated.")
    return found[0]


def _client(eks: Eks, session: Session, service: str, region: str) -> Any:
    """The vendor's client with these credentials, at the sandbox's own door."""
    key = (session.key, service, region)
    with eks.account.lock:
        if key not in eks.clients:
            import botocore.session
            from botocore.config import Config

            made = botocore.session.get_session().create_client(
                service,
                region_name=region,
                aws_access_key_id=session.key,
                aws_secret_access_key=session.secret,
                aws_session_token=session.token,
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
            made.meta.events.register("before-send", lambda request, **_: _send(eks, request))
            eks.clients[key] = made
        return eks.clients[key]


def _send(eks: Eks, request: Any) -> Any:
    """Answer a prepared request without a network."""
    from botocore.awsrequest import AWSResponse

    url, body = urlsplit(request.url), request.body or b""
    body = body.encode() if isinstance(body, str) else body
    environ = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": url.path or "/",
        "RAW_URI": (url.path or "/") + (f"?{url.query}" if url.query else ""),
        "QUERY_STRING": url.query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "HTTP_HOST": url.netloc,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        text = value.decode() if isinstance(value, bytes) else str(value)
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    got: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[..., None]:
        got[:] = [int(status.split()[0]), dict(headers)]
        return lambda *_: None

    data = b"".join(eks.door(environ, start))
    status, headers = got
    return AWSResponse(request.url, status, headers, _Raw(data))


class _Raw:
    """A body as urllib3 gives it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: Any) -> Iterator[bytes]:
        """All of it."""
        yield self._data


def _errors() -> type[Exception]:
    from botocore.exceptions import ClientError

    found: type[Exception] = ClientError
    return found


def _told(error: Any) -> str:
    return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"

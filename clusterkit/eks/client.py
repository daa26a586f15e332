"""boto3's clients, made when first used and shared by all threads.

Retries are off: the engine owns retrying. Clients are thread-safe, sessions are not (boto3 guide,
"Multithreading"), so a lock guards their making.
"""

from __future__ import annotations

import threading
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from clusterkit import __version__
from clusterkit.eks.errors import call
from clusterkit.engine.cache import ReadCache
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube.api import Access, KubeApi

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from botocore.loaders import Loader
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_eks import EKSClient
    from mypy_boto3_elb import ElasticLoadBalancingClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sts import STSClient

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
"""seconds; the slowest call the driver makes, CreateCluster, answers within a few"""
CONNECTIONS = 16
"""as many as the engine has threads"""
READS = ("Describe", "List", "Get")
"""how the names of the operations begin that change nothing"""


@cache
def _models() -> Loader:
    """The service models, read once per process: each takes longer than most calls."""
    from botocore.loaders import create_loader

    found: Loader = create_loader()
    return found


class Clients(ReadCache):
    """One account and region; nothing is connected before the first call."""

    def __init__(
        self, target: Target, wire: CloudConnection, access: Callable[[Clients], Access]
    ) -> None:
        """``access`` says how to reach the cluster's Kubernetes API once there is one."""
        super().__init__()
        self.target = target
        self.wire = wire
        self.kube = KubeApi(partial(access, self))
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._made: dict[str, Any] = {}
        self.updates: dict[str, dict[str, str]] = {}
        """the last update begun in this process, by the resource's key"""

    @property
    def partition(self) -> str:
        """The ARN partition of the region: ``aws``, ``aws-cn``, ``aws-us-gov``."""
        region = self.target.region
        if region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if region.startswith("us-gov-") else "aws"

    def _client(self, name: str) -> Any:
        if (found := self._made.get(name)) is not None:
            return found
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def _make(self, name: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=CONNECTIONS,
            user_agent_extra=f"clusterkit/{__version__}",
            proxies={"https": self.wire.proxy} if self.wire.proxy else None,
        )
        verify = str(self.wire.ca_file) if self.wire.ca_file else None
        make: Callable[..., Any] = self._open_session().client
        made = call(make, name, config=config, verify=verify)
        made._make_api_call = partial(self._ask, name, made._make_api_call)
        return made

    def _ask(
        self, service: str, send: Callable[..., Any], operation: str, parameters: dict[str, Any]
    ) -> Any:
        """Calls that only read may share an answer (``ReadCache.share``); a change ends that.

        Methods and paginators all go through the one method of a client this stands before.
        """
        if operation.startswith(READS):
            question = f"{service} {operation} {sorted(parameters.items())}"
            return self.answer(question, partial(send, operation, parameters))
        self.unshare()
        return send(operation, parameters)

    def _open_session(self) -> boto3.Session:
        if self._session is None:
            import boto3
            from botocore.session import get_session

            environ = self.wire.environ
            session = get_session()
            session.register_component("data_loader", _models())
            self._session = call(
                boto3.Session,
                botocore_session=session,
                region_name=self.target.region,
                profile_name=self.target.cloud_profile,
                aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
                aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
                aws_session_token=environ.get("AWS_SESSION_TOKEN"),
            )
        return self._session

    @property
    def ec2(self) -> EC2Client:
        """Amazon EC2."""
        client: EC2Client = self._client("ec2")
        return client

    @property
    def eks(self) -> EKSClient:
        """Amazon EKS."""
        client: EKSClient = self._client("eks")
        return client

    @property
    def iam(self) -> IAMClient:
        """AWS IAM."""
        client: IAMClient = self._client("iam")
        return client

    @property
    def ecr(self) -> ECRClient:
        """Amazon ECR."""
        client: ECRClient = self._client("ecr")
        return client

    @property
    def elb(self) -> ElasticLoadBalancingClient:
        """Elastic Load Balancing, classic."""
        client: ElasticLoadBalancingClient = self._client("elb")
        return client

    @property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        """Elastic Load Balancing, application and network."""
        client: ElasticLoadBalancingv2Client = self._client("elbv2")
        return client

    @property
    def sts(self) -> STSClient:
        """AWS STS."""
        client: STSClient = self._client("sts")
        return client

    @property
    def logs(self) -> CloudWatchLogsClient:
        """Amazon CloudWatch Logs."""
        client: CloudWatchLogsClient = self._client("logs")
        return client

"""botocore's clients, made when first used and shared by all threads.

Retries are off: the engine owns retrying. Clients are thread-safe, sessions are not (boto3 guide,
"Multithreading"), so a lock guards their making.
"""

from __future__ import annotations

import json
import threading
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from clusterkit.eks.errors import call
from clusterkit.engine.exchange import Exchange, Observe
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.engine.workers import MOST
from clusterkit.errors import CredentialsError
from clusterkit.kube.api import Access
from clusterkit.kube.clients import CloudClients
from clusterkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.session import Session
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_eks import EKSClient
    from mypy_boto3_elb import ElasticLoadBalancingClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

    from clusterkit.eks.https import Contexts
    from clusterkit.eks.models import Models


READS = ("Describe", "List", "Get", "BatchGet", "Assume")
"""how the names of the operations begin that change nothing"""
_KEY = "clusterkit-exchange"


def report(session: Any, observe: Observe) -> None:
    """Tell ``observe`` of every call, as botocore's events show it.

    A session's handlers are those of every client made from it, also of the ones botocore makes to
    assume a role (boto3 guide, "Extensibility").
    """

    def before(model: Any, params: Any, context: Any, **_: Any) -> None:
        context[_KEY] = asked = Exchange(
            "before",
            model.service_model.service_name,
            model.name,
            mutating=not model.name.startswith(READS),
            method=params["method"],
            url=params["url"],
            sent=params.get("body") or None,
        )
        observe(asked)

    def after(http_response: Any, parsed: Any, context: Any, **_: Any) -> None:
        refused = parsed.get("Error", {})
        error = f"{refused.get('Code')}: {refused.get('Message')}" if refused else ""
        observe(context[_KEY].answered(http_response.status_code, parsed, error))

    def lost(exception: BaseException, context: Any, **_: Any) -> None:
        observe(context[_KEY].answered(None, error=exception))

    session.register("before-call", before)
    session.register("after-call", after)
    session.register("after-call-error", lost)


T = TypeVar("T")

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
"""seconds; the slowest call the driver makes, CreateCluster, answers within a few"""
CONNECTIONS = MOST
"""as many as the process has threads for calls"""


@cache
def _models() -> Models:
    """The service models, read once per process: each takes longer than most calls."""
    from clusterkit.eks.models import Models

    return Models()


class Connections:
    """botocore's session and its clients for one account and region; shared by all threads.

    botocore and not boto3, which makes the same clients and loads resources and transfers besides.
    """

    def __init__(self, target: Target, wire: CloudConnection) -> None:
        """No network."""
        self._target = target
        self._wire = wire
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._made: dict[str, Any] = {}
        self._authorities: Contexts = {}

    def client(self, name: str) -> Any:
        """The client of a service, with retries off."""
        if (found := self._made.get(name)) is not None:
            return found
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def _make(self, name: str) -> Any:
        from botocore.config import Config

        from clusterkit.eks.https import read_once

        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=CONNECTIONS,
            user_agent=f"clusterkit/{__version__} {self.session().user_agent()}",
            proxies={"https": self._wire.proxy} if self._wire.proxy else None,
        )
        verify = str(self._wire.ca_file) if self._wire.ca_file else None
        make: Callable[..., Any] = self.session().create_client
        made = call(make, name, config=config, verify=verify)
        read_once(made, self._authorities)
        return made

    def session(self) -> Session:
        """The session, with the user's credentials."""
        if self._session is None:
            from botocore.session import get_session

            environ = self._wire.environ
            session = get_session(_variables(environ) if environ else None)
            session.register_component("data_loader", _models())
            report(session, self._wire.tell)
            call(_set_up, session, self._target, environ)
            call(_remember, session, self._wire)
            self._session = session
        return self._session


def _set_up(session: Session, target: Target, environ: Mapping[str, str]) -> None:
    """The region and the credentials that are given; others are found as the AWS CLI finds them."""
    session.set_config_variable("region", target.region)
    if target.cloud_profile:
        session.set_config_variable("profile", target.cloud_profile)
    if key := environ.get("AWS_ACCESS_KEY_ID"):
        secret = environ.get("AWS_SECRET_ACCESS_KEY", "")
        session.set_credentials(key, secret, environ.get("AWS_SESSION_TOKEN"))


def _remember(session: Any, wire: CloudConnection) -> None:
    """Keep the credentials of assumed roles where the AWS CLI keeps and looks for them
    (``~/.aws/cli/cache``), so that one code of a second factor serves until they expire; ask for
    the code only where somebody can answer.
    """
    from botocore.utils import JSONFileCache

    assume = session.get_component("credential_provider").get_provider("assume-role")
    if not wire.environ:
        assume.cache = JSONFileCache(str(Path.home() / ".aws" / "cli" / "cache"))
    assume._prompter = partial(_code, wire.ask)


def _code(ask: Callable[[str], str] | None, question: str) -> str:
    """The code of a second factor; ``CredentialsError`` if nobody gives one."""
    what = f"the role needs a code: {question.rstrip(' :')}"
    if ask is None:
        raise CredentialsError(what, hint="aws sts get-caller-identity asks for it and keeps it")
    try:
        return ask(question)
    except (EOFError, OSError):
        hint = "run it in a terminal, or aws sts get-caller-identity before"
        raise CredentialsError(what, hint=hint) from None


def _variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """botocore's variables with ``environ`` in place of the process's: AWS_PROFILE, AWS_CONFIG_FILE
    and the like of the user would break a sandbox (botocore.configprovider,
    ``BOTOCORE_DEFAUT_SESSION_VARIABLES``: name in the file, names in the environment, default,
    conversion).
    """
    from botocore.session import Session

    found = {}
    for variable, (key, names, default, convert) in Session.SESSION_VARIABLES.items():
        asked = [names] if isinstance(names, str) else names or []
        value = next((environ[name] for name in asked if environ.get(name)), default)
        found[variable] = (key, None, value, convert)
    return found


def pages(client: Any, operation: str, items: str, **parameters: Any) -> Iterator[Any]:
    """The items of every page of a list operation, also of one that has no pages."""
    if client.can_paginate(operation):
        answers = call(list, client.get_paginator(operation).paginate(**parameters))
    else:
        answers = [getattr(client, operation)(**parameters)]
    for answer in answers:
        yield from answer.get(items) or ()


class Service(Generic[T]):
    """The client of one AWS service."""

    def __init__(self, name: str) -> None:
        """``name`` is boto3's."""
        self._name = name

    def __get__(self, clients: Clients, _: object) -> T:
        found: T = clients.client(self._name)
        return found


class Clients(CloudClients):
    """One account and region."""

    reads: ClassVar[tuple[str, ...]] = READS
    ec2: Service[EC2Client] = Service("ec2")
    ecr: Service[ECRClient] = Service("ecr")
    eks: Service[EKSClient] = Service("eks")
    elb: Service[ElasticLoadBalancingClient] = Service("elb")
    """classic load balancers"""
    elbv2: Service[ElasticLoadBalancingv2Client] = Service("elbv2")
    """application and network load balancers"""
    iam: Service[IAMClient] = Service("iam")
    logs: Service[CloudWatchLogsClient] = Service("logs")
    quotas: Service[Any] = Service("service-quotas")
    s3: Service[S3Client] = Service("s3")
    sts: Service[STSClient] = Service("sts")
    tagging: Service[Any] = Service("resourcegroupstaggingapi")
    """what has a tag, of nearly all services; it lags behind them"""

    def __init__(
        self, target: Target, wire: CloudConnection, access: Callable[[Clients], Access]
    ) -> None:
        super().__init__(target, wire, access)
        self._connections = wire.connections(target.place, partial(Connections, target))
        self._mine: dict[str, Any] = {}
        self.tagged: set[str] = set()
        """ARNs of what is known to carry our tags, whatever ``tagging`` says"""

    def fresh(self) -> Self:
        """The same connections and credentials, remembering nothing: for a plan or a run."""
        new = super().fresh()
        new._mine = {}
        return new

    @property
    def partition(self) -> str:
        """The ARN partition of the region: ``aws``, ``aws-cn``, ``aws-us-gov``, ``aws-iso``."""
        session = self._connections.session()
        found: str = call(session.get_partition_for_region, self.target.region)
        return found

    def client(self, name: str) -> Any:
        """A copy of the shared client whose calls go through this object's ``_ask``."""
        if (found := self._mine.get(name)) is not None:
            return found
        shared = self._connections.client(name)
        # copy.copy() asks a half-made client for attributes, which it answers without end
        made = object.__new__(type(shared))
        made.__dict__.update(shared.__dict__)
        made._make_api_call = partial(self._ask, name, shared._make_api_call)
        return self._mine.setdefault(name, made)

    def _ask(
        self, service: str, send: Callable[..., Any], operation: str, parameters: dict[str, Any]
    ) -> Any:
        """Methods and paginators all go through the one method of a client this stands before."""
        # a filter's values may be a list here and a tuple there: the request is the same
        request = json.dumps(parameters, sort_keys=True, default=str)
        return self.ask(
            f"{service}.{operation}", request, partial(call, send, operation, parameters)
        )

"""One thin client over the vendor's SDK, which cures its traps; shared by all threads.

Each rule has a test in ``tests/unit/test_alibaba_clients.py``:

- plain HTTP is the SDK's default, and HTTPS is chosen by identity: ``protocol_type.HTTPS`` itself;
- endpoints are set for each request; left to itself the SDK asks a locator for some of them;
- ``ALIYUN_ACCESS_KEY_ID`` of the environment beats explicit security tokens: a signer of our own;
- retries are off, the engine owns them; tokens for idempotency are the engine's;
- proxies are the wire's, or the environment's with ``NO_PROXY`` respected; no ``.netrc``;
- its TLS context is one of Python's oldest: a context of our own;
- since Python 3.12 its vendored urllib3 sends no server name in TLS: told that it can;
- the SDK's loggers print signed URLs and headers: silenced;
- Container Service's package ends before node pools: what it lacks is a generic ROA request.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial, partialmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import finalize

from clusterkit.alibaba.credentials import Source, keyring
from clusterkit.alibaba.errors import refusal, unreachable
from clusterkit.alibaba.key import Key
from clusterkit.alibaba.requests import adapter, close, endpoint, flat, roa, signer, silence
from clusterkit.alibaba.requests import request as make_request
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.target import CloudConnection, Target, proxy_of_environment
from clusterkit.engine.workers import MOST
from clusterkit.kube.api import Access
from clusterkit.kube.clients import CloudClients
from clusterkit.version import __version__

if TYPE_CHECKING:
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import AcsRequest


class Listing(NamedTuple):
    """One list call."""

    product: str
    items: str
    """where in an answer the items are"""
    most: int = 50
    """the most items on a page"""
    page: str = "PageNumber"
    """the parameter that says which page: a number, or with an empty ``total`` a token"""
    size: str = "PageSize"
    total: str = "TotalCount"
    """where in an answer the number of all items is"""
    path: str = ""
    """of products that speak REST"""


_TOKEN: Mapping[str, Any] = {"most": 100, "page": "NextToken", "size": "MaxResults", "total": ""}
_CR: Mapping[str, Any] = {"most": 100, "page": "PageNo"}
_CS: Mapping[str, Any] = {"most": 100, "page": "pageNumber", "size": "pageSize"}

LISTS: Mapping[str, Listing] = {
    "DescribeVpcs": Listing("vpc", "Vpcs.Vpc"),
    "DescribeVSwitches": Listing("vpc", "VSwitches.VSwitch"),
    "DescribeEipAddresses": Listing("vpc", "EipAddresses.EipAddress"),
    "DescribeNatGateways": Listing("vpc", "NatGateways.NatGateway"),
    "DescribeSnatTableEntries": Listing("vpc", "SnatTableEntries.SnatTableEntry"),
    "DescribeKeyPairs": Listing("ecs", "KeyPairs.KeyPair"),
    "DescribeInstanceTypes": Listing("ecs", "InstanceTypes.InstanceType", **_TOKEN),
    "DescribeSecurityGroups": Listing("ecs", "SecurityGroups.SecurityGroup", **_TOKEN),
    "DescribeSecurityGroupAttribute": Listing(
        "ecs", "Permissions.Permission", **{**_TOKEN, "most": 1000}
    ),
    "DescribeNetworkInterfaces": Listing(
        "ecs", "NetworkInterfaceSets.NetworkInterfaceSet", **_TOKEN
    ),
    "DescribeInstances": Listing("ecs", "Instances.Instance", **_TOKEN),
    "DescribeDisks": Listing("ecs", "Disks.Disk", **_TOKEN),
    "ListRoles": Listing("ram", "Roles.Role", most=100, page="Marker", size="MaxItems", total=""),
    "ListInstance": Listing("cr", "Instances", **_CR),
    "ListNamespace": Listing("cr", "Namespaces", **_CR),
    "ListRepository": Listing("cr", "Repositories", **_CR),
    "DescribeLoadBalancers": Listing("slb", "LoadBalancers.LoadBalancer"),
    "DescribeAccessControlLists": Listing("slb", "Acls.Acl"),
    "DescribeAccessControlListAttribute": Listing(
        "slb", "AclEntrys.AclEntry", page="Page", total="TotalAclEntry"
    ),
    "nlb:ListLoadBalancers": Listing("nlb", "LoadBalancers", **_TOKEN),
    "alb:ListLoadBalancers": Listing("alb", "LoadBalancers", **_TOKEN),
    "DescribeClustersV1": Listing(
        "cs",
        "clusters",
        page="page_number",
        size="page_size",
        total="page_info.total_count",
        path="/api/v1/clusters",
    ),
    "DescribeClusterNodes": Listing(
        "cs", "nodes", **_CS, total="page.total_count", path="/clusters/{}/nodes"
    ),
    "GetRepoList": Listing(
        "personal", "repos", most=100, page="Page", total="total", path="/repos"
    ),
}
"""how each list call is paged, from the SDK packages' request classes and, for Container Service
and the older registry interface, the vendor's API documents"""


def at_path(answer: Any, path: str) -> Any:
    """What an answer holds at ``Vpcs.Vpc``; None if it has none."""
    for step in path.split("."):
        answer = (answer or {}).get(step)
    return answer


CONNECT_TIMEOUT = 10
READ_TIMEOUT = 60
"""seconds; the SDK's own are 5 and 10, and CreateCluster takes longer"""
CONNECTIONS = MOST
"""as many as the process has threads for calls"""
Answer = dict[str, Any]


def _exchange(operation: str, host: str, request: AcsRequest) -> Exchange:
    service, _, action = operation.partition(".")
    query = request.get_query_params()
    sent = {**query, **(request.get_body_params() or {})} or None
    return Exchange(
        "before",
        service,
        action,
        mutating=not action.startswith(Clients.reads),
        method=str(request.get_method()),
        url=f"https://{host}{request.get_uri_pattern() or '/'}",
        sent=request.get_content() or sent,
    )


class Connections:
    """The SDK's clients of one account; shared by all threads."""

    def __init__(self, target: Target, wire: CloudConnection, key: Callable[[], Key]) -> None:
        """``key`` gives the key to sign with now. It must not hold this object, whose end closes
        the connections.
        """
        self._region = target.region
        self._wire = wire
        self._key = key
        self._lock = threading.RLock()
        self._made: dict[str, AcsClient] = {}
        finalize(self, close, self._made)

    def client(self, product: str) -> AcsClient:
        """The client of a product."""
        with self._lock:
            if product not in self._made:
                self._made[product] = self._make(endpoint(product, self._region))
            return self._made[product]

    def _make(self, host: str) -> AcsClient:
        from aliyunsdkcore.client import AcsClient

        silence()
        proxy = self._wire.proxy or proxy_of_environment(host)
        client = AcsClient(
            "signed by",
            "_signer",
            self._region,
            auto_retry=False,
            user_agent=f"clusterkit/{__version__}",
            port=443,
            connect_timeout=CONNECT_TIMEOUT,
            timeout=READ_TIMEOUT,
            pool_size=CONNECTIONS,
            # an empty mapping would send it to the environment's proxies, NO_PROXY or not
            proxy={"http": None, "https": proxy},
        )
        client.session.trust_env = False
        client.session.mount("https://", adapter(CONNECTIONS, self._wire.ca_file))
        client._signer = signer(self._key)
        return client


class Clients(CloudClients):
    """One account and region."""

    reads: ClassVar[tuple[str, ...]] = ("Describe", "List", "Get", "Check")

    def __init__(
        self,
        target: Target,
        wire: CloudConnection,
        access: Callable[[Clients], Access],
        key: Callable[[], Key] | None = None,
    ) -> None:
        """``key`` gives the key to sign with; left out, the user's."""
        super().__init__(target, wire, access)

        def connect(wire: CloudConnection) -> Connections:
            asked = key or keyring(target, wire, partial(_assume, target, wire, access))
            return Connections(target, wire, asked)

        self._connections = connect(wire) if key else wire.connections(target.place, connect)

    @property
    def region(self) -> str:
        """The cluster's region."""
        return self.target.region

    def rpc(self, product: str, action: str, /, **parameters: Any) -> Answer:
        """A call to one of the products that speak RPC; the SDK adds the region."""
        from aliyunsdkcore.http import protocol_type

        request = make_request(product, action)
        request.set_protocol_type(protocol_type.HTTPS)
        given = list(flat(parameters))
        for name, value in given:
            request.add_query_param(name, value)
        operation = f"{product.upper()}.{action}"
        send = partial(self._send, product, operation, request)
        found: Answer = self.ask(operation, str(sorted(given)), send) or {}
        return found

    vpc = partialmethod(rpc, "vpc")
    ecs = partialmethod(rpc, "ecs")
    ram = partialmethod(rpc, "ram")
    sts = partialmethod(rpc, "sts")
    cr = partialmethod(rpc, "cr")
    """Container Registry 2018-12-01, Enterprise Edition"""
    slb = partialmethod(rpc, "slb")
    """classic load balancers"""
    nlb = partialmethod(rpc, "nlb")
    ess = partialmethod(rpc, "ess")
    """Auto Scaling"""

    def pages(self, action: str, *where: str, **parameters: Any) -> Iterator[Answer]:
        """Every page of a list (``LISTS``); ``where`` completes its path."""
        listing = LISTS[action]
        at: Any = 1 if listing.total else None
        seen = 0
        while True:
            asked = {**parameters, listing.page: at, listing.size: listing.most}
            if listing.path:
                call = self.personal if listing.product == "personal" else self.cs
                page = call(action, "GET", listing.path.format(*where), **asked)
            else:
                page = self.rpc(listing.product, action.rpartition(":")[2], **asked)
            yield page
            items = at_path(page, listing.items) or ()
            if listing.total:
                seen += len(items)
                at = at + 1 if items and seen < int(at_path(page, listing.total) or 0) else None
            else:
                at = page.get(listing.page) or None
            if at is None:
                return

    def every(self, action: str, *where: str, **parameters: Any) -> Iterator[Any]:
        """The items of every page of a list."""
        for page in self.pages(action, *where, **parameters):
            yield from at_path(page, LISTS[action].items) or ()

    def cs(self, action: str, method: str, path: str, body: Any = None, **query: object) -> Any:
        """A call to Container Service 2015-12-15: ``cs("X", "DELETE", "/clusters/c1")``.

        Returns the answer's JSON, None if it is empty.
        """
        return self._rest("cs", action, method, path, body, query)

    def personal(
        self, action: str, method: str, path: str, body: Any = None, **query: object
    ) -> Any:
        """A call to Container Registry 2016-06-07, the interface of the Personal Edition; what its
        answer holds under ``data``.
        """
        return at_path(self._rest("cr", action, method, path, body, query), "data") or {}

    def _rest(
        self, product: str, action: str, method: str, path: str, body: Any, query: Answer
    ) -> Any:
        operation = f"{product.upper()}.{action}"
        request = roa(product, action, method, path, body, query)
        send = partial(self._send, product, operation, request)
        return self.ask(operation, f"{path} {sorted(query.items())} {body}", send)

    def _send(self, product: str, operation: str, request: AcsRequest) -> Any:
        from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException

        client = self._connections.client(product)
        host, tell = endpoint(product, self.region), self.wire.tell
        request.set_endpoint(host)
        asked = _exchange(operation, host, request)
        tell(asked)
        try:
            data = client.do_action_with_exception(request)
        except ServerException as error:
            status, code = int(error.get_http_status() or 0), str(error.get_error_code())
            words = str(error.get_error_msg())
            tell(asked.answered(status, error=f"{code}: {words}"))
            raise refusal(
                operation, status, code, words, str(error.get_request_id() or "")
            ) from None
        except ClientException as error:
            tell(asked.answered(None, error=str(error.get_error_msg())))
            raise unreachable(operation, host, str(error.get_error_msg())) from None
        except IndexError:
            # the SDK looks for the string to sign in a refusal that does not hold it
            tell(asked.answered(400, error="SignatureDoesNotMatch"))
            raise refusal(operation, 400, "SignatureDoesNotMatch", "", "") from None
        tell(asked.answered(200, data))
        try:
            found = json.loads(data) if data else None
        except ValueError:
            raise unreachable(operation, host, "an answer that is not the vendor's") from None
        if isinstance(found, dict) and found.get("IsSuccess") is False:
            # Container Registry says so with status 200
            code, words = str(found.get("Code") or ""), str(found.get("Message") or "")
            raise refusal(operation, 200, code, words or code, str(found.get("RequestId") or ""))
        return found


def _assume(
    target: Target, wire: CloudConnection, access: Callable[[Clients], Access], source: Source
) -> tuple[Key, datetime]:
    asker = Clients(target, wire, access, lambda: source.key)
    found = asker.sts(
        "AssumeRole",
        RoleArn=source.role,
        RoleSessionName=source.session,
        DurationSeconds=source.seconds,
        ExternalId=source.external or None,
    )["Credentials"]
    key = Key(found["AccessKeyId"], found["AccessKeySecret"], found["SecurityToken"])
    return key, datetime.fromisoformat(found["Expiration"])

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
from collections.abc import Callable, Iterator
from copy import copy
from datetime import datetime
from functools import partial, partialmethod
from typing import TYPE_CHECKING, Any
from weakref import finalize

from clusterkit.alibaba.credentials import Key, Keyring, Source
from clusterkit.alibaba.errors import refusal, unreachable
from clusterkit.alibaba.paging import LISTS, at_path
from clusterkit.alibaba.requests import adapter, close, endpoint, flat, roa, signer, silence, weakly
from clusterkit.alibaba.requests import request as make_request
from clusterkit.engine.cache import ReadCache
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.target import CloudConnection, Target, proxy_of_environment
from clusterkit.kube.api import Access, KubeApi
from clusterkit.version import __version__

if TYPE_CHECKING:
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import AcsRequest

CONNECT_TIMEOUT = 10
READ_TIMEOUT = 60
"""seconds; the SDK's own are 5 and 10, and CreateCluster takes longer"""
CONNECTIONS = 16
"""as many as the engine has threads"""
READS = ("Describe", "List", "Get", "Check")
"""how the names of the operations begin that change nothing"""
Answer = dict[str, Any]


def _nobody(_: Exchange) -> None:
    """No observer."""


def _exchange(operation: str, host: str, request: AcsRequest) -> Exchange:
    service, _, action = operation.partition(".")
    query = request.get_query_params()
    sent = {**query, **(request.get_body_params() or {})} or None
    return Exchange(
        "before",
        service,
        action,
        mutating=not action.startswith(READS),
        method=str(request.get_method()),
        url=f"https://{host}{request.get_uri_pattern() or '/'}",
        sent=request.get_content() or sent,
    )


class Clients(ReadCache):
    """One account and region; nothing is connected before the first call.

    Every call raises clusterkit's errors and nothing else.
    """

    def __init__(
        self, target: Target, wire: CloudConnection, access: Callable[[Clients], Access]
    ) -> None:
        """``access`` says how to reach the cluster's Kubernetes API once there is one."""
        super().__init__()
        self.target = target
        self.wire = wire
        self._reach = access
        self.kube = KubeApi(partial(access, self), observe=wire.observe)
        self._lock = threading.RLock()
        self._made: dict[str, AcsClient] = {}
        finalize(self, close, self._made)
        self._keys = Keyring(target, wire, weakly(self._assume))
        self._origin: Clients | None = None

    def fresh(self) -> Clients:
        """The same connections and credentials, remembering nothing: for a plan or a run."""
        new = copy(self)
        ReadCache.__init__(new)
        new.kube = KubeApi(partial(self._reach, new), observe=self.wire.observe)
        new._origin = self._origin or self  # which closes the connections when nobody holds it
        return new

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
        found: Answer = self._ask(product, operation, request, str(sorted(given))) or {}
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

    def pages(self, action: str, *where: str, **parameters: Any) -> Iterator[Answer]:
        """Every page of a list (``paging.py``); ``where`` completes its path."""
        listing = LISTS[action]
        at: Any = 1 if listing.total else None
        seen = 0
        while True:
            asked = {**parameters, listing.page: at, listing.size: listing.most}
            if listing.path:
                call = self.personal if listing.product == "personal" else self.cs
                page = call(action, "GET", listing.path.format(*where), **asked)
            else:
                page = self.rpc(listing.product, action, **asked)
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
        request = roa("cs", action, method, path, body, query)
        return self._ask("cs", f"CS.{action}", request, f"{path} {sorted(query.items())} {body}")

    def personal(
        self, action: str, method: str, path: str, body: Any = None, **query: object
    ) -> Any:
        """A call to Container Registry 2016-06-07, the interface of the Personal Edition; what its
        answer holds under ``data``.
        """
        request = roa("cr", action, method, path, body, query)
        given = f"{path} {sorted(query.items())} {body}"
        found: Answer = self._ask("cr", f"CR.{action}", request, given) or {}
        return found.get("data") or {}

    def _ask(self, product: str, operation: str, request: AcsRequest, given: str) -> Any:
        """What only reads may share an answer (``ReadCache.share``); what changes something ends
        that.
        """
        if operation.partition(".")[2].startswith(READS):
            send = partial(self._send, product, operation, request)
            return self.answer(f"{operation} {given}", send)
        self.unshare()
        return self._send(product, operation, request)

    def _send(self, product: str, operation: str, request: AcsRequest) -> Any:
        from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException

        client = self._client(product)
        host = endpoint(product, self.region)
        request.set_endpoint(host)
        asked = _exchange(operation, host, request)
        tell = self.wire.observe if self.wire.observe is not None else _nobody
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

    # -- the SDK's client and whose key it signs with ---------------------------------------------

    def _client(self, product: str) -> AcsClient:
        with self._lock:
            if product not in self._made:
                # the finalizer holds the SDK's clients, and they must not hold us
                key = weakly((self._origin or self).key)
                self._made[product] = self._make(endpoint(product, self.region), key)
            return self._made[product]

    def _make(self, host: str, key: Callable[[], Key]) -> AcsClient:
        from aliyunsdkcore.client import AcsClient

        silence()
        proxy = self.wire.proxy or proxy_of_environment(host)
        client = AcsClient(
            "signed by",
            "_signer",
            self.region,
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
        client.session.mount("https://", adapter(CONNECTIONS, self.wire.ca_file))
        client._signer = signer(key)
        return client

    def key(self) -> Key:
        """The key to sign with now."""
        return self._keys.key()

    def _assume(self, source: Source) -> tuple[Key, datetime]:
        asker = Clients(self.target, self.wire, self._reach)
        asker._keys.hold(source.key)
        found = asker.sts(
            "AssumeRole",
            RoleArn=source.role,
            RoleSessionName=source.session,
            DurationSeconds=source.seconds,
        )["Credentials"]
        key = Key(found["AccessKeyId"], found["AccessKeySecret"], found["SecurityToken"])
        return key, datetime.fromisoformat(found["Expiration"])

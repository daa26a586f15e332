"""The SDK's requests: their classes, their hosts, how parameters are spelled, who signs them."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from clusterkit.alibaba.key import Key
from clusterkit.engine.rest import trusting

if TYPE_CHECKING:
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import AcsRequest

VERSIONS = {
    "vpc": "2016-04-28",
    "ecs": "2014-05-26",
    "ram": "2015-05-01",
    "sts": "2015-04-01",
    "cr": "2018-12-01",
    "slb": "2014-05-15",
    "nlb": "2022-04-30",
    "alb": "2020-06-16",
    "ess": "2022-02-22",
}
REST = {"cs": "2015-12-15", "cr": "2016-06-07"}

CENTRAL: Mapping[str, tuple[str, ...]] = {
    "ess": (
        *("ap-southeast-1", "us-east-1", "us-west-1", "cn-hongkong"),
        *("cn-beijing", "cn-hangzhou", "cn-nanjing", "cn-qingdao", "cn-shanghai", "cn-shenzhen"),
        *("cn-beijing-finance-1", "cn-shanghai-finance-1", "cn-shenzhen-finance-1"),
        *("cn-hangzhou-finance", "cn-north-2-gov-1"),
    ),
    "slb": (
        *("ap-southeast-1", "us-east-1", "us-west-1", "cn-hongkong"),
        *("cn-beijing", "cn-hangzhou", "cn-qingdao", "cn-shanghai", "cn-shenzhen"),
        *("cn-shanghai-finance-1", "cn-shenzhen-finance-1"),
        *("cn-hangzhou-finance", "cn-north-2-gov-1"),
    ),
    "sts": ("ap-south-1", "ap-southeast-2"),
}
"""regions in which a product has the host without a region (``_endpoint_map`` of the packages
``alibabacloud_ess20220222``, ``alibabacloud_slb20140515`` and ``alibabacloud_sts20150401``)
"""


def endpoint(product: str, region: str) -> str:
    """The host of a product in a region: the vendor's tables first, then its pattern."""
    if product == "ram" or region in CENTRAL.get(product, ()):  # RAM has one for all regions
        return f"{product}.aliyuncs.com"
    with suppress(ModuleNotFoundError):
        data = import_module(f"aliyunsdk{product}.endpoint").endpoint_data
        if known := data.getEndpointMap().get(region):
            return str(known)
    return f"{product}.{region}.aliyuncs.com"


def _of_the_package(product: str, version: str, action: str) -> AcsRequest | None:
    """The request class that the product's package has for an operation; None if it has none."""
    name = f"{action}Request"
    module = f"aliyunsdk{product}.request.v{version.replace('-', '')}.{name}"
    try:
        made: AcsRequest = getattr(import_module(module), name)()
    except ModuleNotFoundError:
        return None
    return made


def request(product: str, action: str) -> AcsRequest:
    """The package's class for an RPC call if it has one, a generic request if not."""
    from aliyunsdkcore.request import RpcRequest

    version = VERSIONS[product]
    made = _of_the_package(product, version, action)
    made = made or RpcRequest(product.capitalize(), version, action)
    made.set_method("POST")
    return made


def roa(
    product: str, action: str, method: str, path: str, body: Any, query: Mapping[str, object]
) -> AcsRequest:
    """A request to one of the products that speak REST.

    It is the package's class if that has the same method and path, and a generic request if not:
    aliyun-python-sdk-cs ends before node pools, and a parameter ``version`` (UpgradeCluster) hides
    the API's own.
    """
    from aliyunsdkcore.http import protocol_type
    from aliyunsdkcore.request import RoaRequest

    version = REST[product]
    made = _of_the_package(product, version, action)
    fits = made is not None and (made.get_method(), made.get_version()) == (method, version)
    if made is None or not fits or not _is_of(made.get_uri_pattern(), path):
        made = RoaRequest(product, version, action, method=method)
    made.set_uri_pattern(path)
    made.set_protocol_type(protocol_type.HTTPS)
    for name, value in query.items():
        if value is not None:
            made.add_query_param(name, text(value))
    if body is not None:
        # bytes: the SDK encodes text as Latin-1
        made.set_content(json.dumps(body).encode())
        made.set_content_type("application/json")
    return made


def _is_of(pattern: str, path: str) -> bool:
    """``/clusters/c1`` is a path of ``/clusters/[ClusterId]``."""
    return re.fullmatch(re.sub(r"\[\w+\]", "[^/]+", pattern), path) is not None


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """``Tag=[{"Key": "a"}]`` as ``Tag.1.Key=a``: how RPC spells lists and structures."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value, 1):
            yield from flat(inner, f"{prefix}.{index}")
    elif value is not None:
        yield prefix, text(value)


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def silence() -> None:
    for name in ("aliyunsdkcore.client", "aliyunsdkcore.http.http_response"):
        import_module(name)
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.disabled = True


def signer(key: Callable[[], Key]) -> Any:
    from aliyunsdkcore.auth import credentials as theirs
    from aliyunsdkcore.auth.signers.access_key_signer import AccessKeySigner
    from aliyunsdkcore.auth.signers.signer import Signer
    from aliyunsdkcore.auth.signers.sts_token_signer import StsTokenSigner

    class OurSigner(Signer):  # type: ignore[misc]
        """Signs with the current access key."""

        def sign(self, region_id: str, request: AcsRequest) -> Any:
            now = key()
            made: Any = AccessKeySigner(theirs.AccessKeyCredential(now.id, now.secret))
            if now.token:
                made = StsTokenSigner(theirs.StsTokenCredential(now.id, now.secret, now.token))
            return made.sign(region_id, request)

    return OurSigner()


def close(made: Mapping[str, AcsClient]) -> None:
    """End the connections, which the SDK leaves open."""
    for client in made.values():
        client.session.close()


def adapter(connections: int, ca_file: Path | None) -> Any:
    """The SDK's connection pool, with one TLS context of today's Python: its own are deprecated,
    and created for each connection.

    It trusts ``ca_file`` alone; left out, what ``ALIBABA_CLOUD_CA_BUNDLE`` names (as the SDK does),
    or else the SDK's own bundle.
    """
    from aliyunsdkcore.vendored.requests.adapters import HTTPAdapter
    from aliyunsdkcore.vendored.requests.packages.urllib3.util import ssl_
    from aliyunsdkcore.vendored.requests.utils import DEFAULT_CA_BUNDLE_PATH

    # it imports HAS_SNI together with ssl.wrap_socket, which Python 3.12 removed, and would then
    # open connections without a server name
    ssl_.HAS_SNI = ssl.HAS_SNI
    named = os.environ.get("ALIBABA_CLOUD_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    hint = "ALIBABA_CLOUD_CA_BUNDLE has to name a PEM file; left out, the SDK's own is taken"
    context, lock = trusting(str(ca_file or named), hint), Lock()

    class Adapter(HTTPAdapter):  # type: ignore[misc]
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
            return super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            # through a proxy urllib3 leaves Nagle's algorithm on, and a body waits for the
            # acknowledgement of its headers, 40 ms late
            quick = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
            with lock:  # two threads at once would make two, and one's connections never close
                return super().proxy_manager_for(
                    proxy, ssl_context=context, socket_options=quick, **kwargs
                )

        def cert_verify(self, conn: Any, *_: Any) -> None:
            """Always; whom to trust is the context's."""
            conn.cert_reqs = "CERT_REQUIRED"

    return Adapter(connections, connections)

"""The SDK's requests: their classes, their hosts, how parameters are spelled, who signs them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from clusterkit.alibaba.credentials import Key

if TYPE_CHECKING:
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import AcsRequest

VERSIONS = {
    "vpc": "2016-04-28", "ecs": "2014-05-26", "ram": "2015-05-01", "sts": "2015-04-01",
    "cr": "2018-12-01", "slb": "2014-05-15", "nlb": "2022-04-30",
}  # fmt: skip
REST = {"cs": "2015-12-15", "cr": "2016-06-07"}
_CENTRAL = ("ram",)


def endpoint(product: str, region: str) -> str:
    """The host of a product in a region: the SDK's own table first, then the vendor's pattern."""
    try:
        data = import_module(f"aliyunsdk{product}.endpoint").endpoint_data
        if known := data.getEndpointMap().get(region):
            return str(known)
    except ModuleNotFoundError:
        pass
    if product in _CENTRAL:
        return f"{product}.aliyuncs.com"
    return f"{product}.{region}.aliyuncs.com"


def request(product: str, action: str) -> AcsRequest:
    """The vendor's own class for the call if its package has one, a generic request if not."""
    version = VERSIONS[product]
    try:
        folder = f"aliyunsdk{product}.request.v{version.replace('-', '')}"
        made: AcsRequest = getattr(import_module(f"{folder}.{action}Request"), f"{action}Request")()
    except ModuleNotFoundError:
        from aliyunsdkcore.request import RpcRequest

        made = RpcRequest(product.capitalize(), version, action)
    made.set_method("POST")
    return made


def roa(
    product: str, action: str, method: str, path: str, body: Any, query: Mapping[str, object]
) -> AcsRequest:
    """A generic request to one of the products that speak REST."""
    from aliyunsdkcore.http import protocol_type
    from aliyunsdkcore.request import RoaRequest

    made = RoaRequest(
        product, REST[product], action, method=method, uri_pattern=path,
        protocol=protocol_type.HTTPS,
    )  # fmt: skip
    for name, value in query.items():
        if value is not None:
            made.add_query_param(name, text(value))
    if body is not None:
        # bytes: the SDK encodes text as Latin-1
        made.set_content(json.dumps(body).encode())
        made.set_content_type("application/json")
    return made


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
        """Signs with the key of the moment."""

        def sign(self, region_id: str, request: AcsRequest) -> Any:
            now = key()
            if now.token:
                temporary = theirs.StsTokenCredential(now.id, now.secret, now.token)
                return StsTokenSigner(temporary).sign(region_id, request)
            return AccessKeySigner(theirs.AccessKeyCredential(now.id, now.secret)).sign(
                region_id, request
            )

    return OurSigner()


def weakly(key: Callable[[], Key]) -> Callable[[], Key]:
    """The bound method, without holding what it is bound to."""
    reference = WeakMethod(key)

    def call() -> Key:
        found = reference()
        assert found is not None  # whoever makes a call holds the clients
        return found()

    return call


def close(made: Mapping[str, AcsClient]) -> None:
    """End the connections, which the SDK leaves open."""
    for client in made.values():
        client.session.close()


def adapter(connections: int) -> Any:
    """The SDK's connection pool, with a TLS context of today's Python: its own is deprecated."""
    import ssl

    from aliyunsdkcore.vendored.requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):  # type: ignore[misc]
        """Whom it trusts is still said by the client's ``verify``."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return super().proxy_manager_for(proxy, ssl_context=context, **kwargs)

    return Adapter(connections, connections)

"""botocore's connections, which read the certificate authorities once.

botocore's own read the file for each connection (urllib3, ``ssl_wrap_socket``): with the bundle
that everybody has, each takes ten times as much processor as the request.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from botocore.httpsession import URLLib3Session, get_cert_path

Contexts = dict[str, ssl.SSLContext]
"""by the file of authorities each has read"""


class Https(URLLib3Session):
    """The connections of one client; ``known`` is for the clients of one session."""

    _verify: Any

    def __init__(self, known: Contexts, **settings: Any) -> None:
        self._known = known
        super().__init__(**settings)

    def _get_ssl_context(self) -> ssl.SSLContext:
        file = get_cert_path(self._verify) if self._verify else ""
        if file in self._known:
            return self._known[file]
        context: ssl.SSLContext = super()._get_ssl_context()  # type: ignore[misc]
        # a file that cannot be read is told of when it is read for a connection
        with suppress(OSError):
            if file:
                context.load_verify_locations(file)
                self._known[file] = context
        return context

    def _setup_ssl_cert(self, conn: Any, url: str, verify: bool | str) -> None:
        super()._setup_ssl_cert(conn, url, verify)  # type: ignore[misc]
        if conn.ca_certs in self._known:
            conn.ca_certs = None


def read_once(client: Any, known: Contexts) -> None:
    """Give a new client connections that read no file of authorities that is ``known``; a botocore
    that keeps its connections elsewhere goes on with its own.
    """
    config = client.meta.config
    with suppress(AttributeError):
        made = client._endpoint.http_session
        client._endpoint.http_session = Https(
            known,
            verify=made._verify,
            proxies=made._proxy_config._proxies,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            socket_options=made._socket_options,
        )

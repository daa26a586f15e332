"""A connection pool to one API server: whom it trusts, as whom it comes, through which proxy."""

from __future__ import annotations

import socket
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clusterkit.engine.target import proxy_of_environment
from clusterkit.errors import Busy, CloudError, Rejected

if TYPE_CHECKING:
    import urllib3

CONNECTIONS = 16
"""as many as the engine has threads"""
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 65.0
"""seconds; the API server gives up a request after 60 (kube-apiserver's ``--request-timeout``)"""


def pool(
    server: str, *, ca: str, certificate: str | None, key: str | None, proxy: str | None
) -> urllib3.PoolManager:
    """A pool for ``server`` that trusts only ``ca`` and shows a client certificate, if there is
    one (all three PEM). ``proxy`` is ``HTTPS_PROXY`` unless given. No network.
    """
    import urllib3

    settings: dict[str, Any] = {
        "maxsize": CONNECTIONS,
        "retries": False,
        "ssl_context": _context(ca, certificate, key),
        "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
        # through a proxy urllib3 leaves Nagle's algorithm on, and a body waits for the
        # acknowledgement of its headers, 40 ms late
        "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    }
    if proxy := proxy or proxy_of_environment(urlsplit(server).netloc):
        return urllib3.ProxyManager(proxy, **settings)
    return urllib3.PoolManager(**settings)


def _context(ca: str, certificate: str | None, key: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca)
    # some clouds' authorities have no key identifiers, which Python 3.13's strict mode requires
    # (https://github.com/kubernetes-client/python/issues/2394)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate and key:
        with tempfile.TemporaryDirectory(prefix="clusterkit-") as folder:  # 0700
            pair = Path(folder, "pair.pem")  # the ssl module takes files only
            pair.touch(mode=0o600)
            pair.write_text(f"{certificate}\n{key}\n")
            context.load_cert_chain(pair)
    return context


def unreachable(error: urllib3.exceptions.HTTPError, server: str, operation: str) -> CloudError:
    """The error for a request that got no answer."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Rejected(
            f"{server} shows a certificate the cluster's authority did not sign: "
            f"{reason.verify_message}",
            code="CertificateVerifyFailed",
            operation=operation,
            hint="something between here and the cluster intercepts TLS: exempt the cluster's "
            "address from it, or from the proxy with NO_PROXY",
        )
    return Busy(
        f"the Kubernetes API at {server} does not answer: {reason}",
        code=type(error).__name__,
        operation=operation,
        hint="the endpoint's allowed networks must include this machine",
    )

"""A final answer for the services of AWS that the sandbox does not have, in each one's protocol.

A refusal at CONNECT looks like a broken network to SDKs: they repeat the call for minutes. So TLS
ends here for every service's host name, and the answer is a 501, which no SDK repeats.

How each protocol's errors look: Smithy's AWS protocol tests and botocore's ``parsers.py``. The
protocol is told from the request: JSON has ``X-Amz-Target``, RPC v2 ``Smithy-Protocol``, query a
form; of REST services a few answer XML.
"""

from __future__ import annotations

import re

from clusterkit_sandbox.answer import Answer, Environ
from clusterkit_sandbox.aws import cbor, refusals

HOST = re.compile(r"(?:[a-z0-9_-]+\.)+(?:amazonaws\.com(?:\.cn)?|api\.aws)")
_THINGS = re.compile(r"[a-z0-9.-]+\.(?:eks|elb|compute|compute-1)\.amazonaws\.com(?:\.cn)?")
"""hosts of clusters, load balancers and machines, which are no services"""
_REST_XML = frozenset({"cloudfront", "route53", "s3-outposts", "s3control", "s3express"})


def is_service(host: str) -> bool:
    """Whether a host name is that of a service of AWS."""
    return HOST.fullmatch(host) is not None and _THINGS.fullmatch(host) is None


def answer(environ: Environ, service: str, what: str = "") -> Answer:
    """501, as the service would say it."""
    text = what or f"The sandbox has no service {service}."
    code, kind = "NotImplemented", str(environ.get("CONTENT_TYPE", ""))
    if cbor.spoken(environ):
        return cbor.answered(501, {"__type": code, "message": text})
    if environ.get("HTTP_X_AMZ_TARGET"):
        protocol = "json"
    elif kind.startswith("application/x-www-form-urlencoded"):
        protocol = "query"
    else:
        protocol = "rest-xml" if service in _REST_XML else "rest-json"
    return refusals.worded(protocol, code, text, 501)

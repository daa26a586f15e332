"""The issuers of clusters' tokens, ``https://oidc.eks.REGION.amazonaws.com/id/ID``, which answer
everybody (EKS User Guide, "Fetch signing keys to validate OIDC tokens").
"""

from __future__ import annotations

import json
import re

from clusterkit_sandbox.answer import Answer, Environ
from clusterkit_sandbox.aws.records import ClusterRecord
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kit.drain import Unreachable
from clusterkit_sandbox.kit.wire import target

HOST = re.compile(r"oidc\.eks\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com")
_DOCUMENT = "/.well-known/openid-configuration"
_KEYS = "/keys"
_OWN = {_DOCUMENT: _DOCUMENT, _KEYS: "/openid/v1/jwks"}
"""where the cluster itself has what its issuer publishes"""


def is_issuer(environ: Environ) -> bool:
    """Whether the host is one of the issuers'."""
    return HOST.fullmatch(str(environ.get("HTTP_HOST", "")).partition(":")[0]) is not None


def answer(eks: Eks, environ: Environ) -> Answer:
    """What a cluster's issuer says of itself. Call it with the account's lock held."""
    place = f"https://{environ['HTTP_HOST']}{target(environ)[0]}"
    for record in eks.store.all(ClusterRecord):
        issuer = record.shown["identity"]["oidc"]["issuer"]
        path = place.removeprefix(issuer)
        if path in _OWN and environ["REQUEST_METHOD"] == "GET":
            return _asked(eks, record, issuer, path)
    return Answer(404, (), b"")


def _asked(eks: Eks, record: ClusterRecord, issuer: str, path: str) -> Answer:
    client = eks.endpoints.drainer(record.key)
    if client is None:
        return Answer(404, (), b"")
    try:
        _, found = client.ask("GET", _OWN[path])
    except Unreachable:
        return Answer(404, (), b"")
    finally:
        client.close()
    if path == _DOCUMENT:
        found["jwks_uri"] = issuer + _KEYS
    return Answer(200, (("Content-Type", "application/json"),), json.dumps(found).encode())

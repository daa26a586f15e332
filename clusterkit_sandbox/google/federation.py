"""Security Token Service v1: tokens of Kubernetes for tokens of Google.

What the metadata server of a node does for a pod (vendor: "About Workload Identity Federation for
GKE"): the token of the pod's service account, made for the workload pool, is exchanged for another.
Policies name it as a ``principal://``, or as ``serviceAccount:POOL[NAMESPACE/NAME]`` (vendor:
"Authenticate to Google Cloud APIs from GKE workloads"). Errors: RFC 6749, section 5.2.
"""

from __future__ import annotations

import json
import re
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google import account
from clusterkit_sandbox.google.clusterlife import ClusterLife
from clusterkit_sandbox.google.failure import json_answer
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tokens import LIFE
from clusterkit_sandbox.google.workloads import federated
from clusterkit_sandbox.kit.wire import Request

_AUDIENCE = re.compile(
    r"identitynamespace:(?P<pool>(?P<project>[a-z0-9-]+)\.svc\.id\.goog):"
    r"https://container\.googleapis\.com/v1/projects/[^/]+/(?:locations|zones)/(?P<location>[^/]+)"
    r"/clusters/(?P<cluster>[^/]+)"
)
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS = "urn:ietf:params:oauth:token-type:access_token"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_USER = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>[^:]+)")


def exchange(store: Store, clusters: ClusterLife, request: Request) -> Answer:
    """Answer ``POST /v1/token``. Call it without the lock: it asks the cluster."""
    sent = _sent(request)
    if sent.get("grantType") != _GRANT:
        return _refused("unsupported_grant_type", f"Invalid grant type: {sent.get('grantType')}")
    if sent.get("subjectTokenType") != _JWT or sent.get("requestedTokenType") != _ACCESS:
        return _refused("invalid_request", "Invalid subject or requested token type.")
    found = _AUDIENCE.fullmatch(str(sent.get("audience")))
    if found is None or found["project"] not in account.PROJECTS:
        return _refused("invalid_target", "The target service indicated by audience is invalid.")
    scope = f"projects/{found['project']}/locations/{found['location']}"
    cluster = f"{scope}/clusters/{found['cluster']}"
    who = clusters.user_of(cluster, str(sent.get("subjectToken")), found["pool"])
    user = _USER.fullmatch(who)
    if user is None:
        return _refused("invalid_grant", "ID Token could not be verified by the cluster.")
    caller = federated(found["pool"], user["namespace"], user["name"])
    body = {
        "access_token": store.tokens.grant(caller),
        "issued_token_type": _ACCESS,
        "token_type": "Bearer",
        "expires_in": LIFE,
    }
    return json_answer(200, body)


def _sent(request: Request) -> dict[str, Any]:
    """The fields of a request, which may be a form with the names of RFC 8693."""
    if request.form:
        return {
            re.sub("_([a-z])", lambda found: found[1].upper(), key): value
            for key, value in request.form.items()
        }
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refused(error: str, description: str) -> Answer:
    return json_answer(400, {"error": error, "error_description": description})

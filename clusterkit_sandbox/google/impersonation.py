"""IAM Service Account Credentials v1: access tokens of other service accounts."""

from __future__ import annotations

import re
import time

from clusterkit_sandbox.google.failure import bad_request, rpc
from clusterkit_sandbox.google.service import Call, method, rfc3339
from clusterkit_sandbox.google.tokens import LIFE

_LIFETIME = re.compile(r"([0-9]{1,5})s")


@method("iamcredentials.projects.serviceAccounts.generateAccessToken")
def _access_token(call: Call) -> object:
    """Lifetimes: at most an hour (vendor: generateAccessToken, lifetime)."""
    email = call["name"].rpartition("/")[2]
    caller = call.caller if call.caller.email == email else call.store.principal(email)
    if caller is None:
        raise rpc("NOT_FOUND", "Not found; Gaia id not found for email " + email)
    found = _LIFETIME.fullmatch(call.body.get("lifetime", f"{LIFE}s"))
    if found is None or not 0 < int(found[1]) <= LIFE:
        text = "The lifetime must be between 1 and 3600 seconds."
        raise bad_request([("lifetime", text)])
    if not call.body.get("scope"):
        raise bad_request([("scope", "The request must have a scope.")])
    seconds = int(found[1])
    return {
        "accessToken": call.store.tokens.grant(caller, seconds),
        "expireTime": rfc3339(time.time() + seconds)[:19] + "Z",
    }

"""Google Cloud's refusals end here: codes become clusterkit's errors, each with what to do next.

An answer names its error up to three times: ``error.status``, the canonical code of google.rpc;
``error.errors[].reason``, the older APIs' word (Compute Engine gives no status); and an
``ErrorInfo`` among ``error.details``. The most particular that a row knows decides. The same words
come inside finished operations (``operations.py``), which HTTP calls a success.

Sources of the rows: https://cloud.google.com/apis/design/errors, the retries of
terraform-provider-google (``transport/error_retry_predicates.go``), Compute Engine's list of errors
and recorded traffic; ``facts/gcp.tsv`` names the source of each. HTTP's status tells little: quota
and rate are 403 as often as 429.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clusterkit import errors
from clusterkit.engine.error_table import OTHER_ZONES, ErrorTable, Row
from clusterkit.engine.rest import Answer
from clusterkit.gke.credentials import HINT, LOGIN

QUOTAS = "https://console.cloud.google.com/iam-admin/quotas"
ENABLE = (
    "the API is not enabled, or was a moment ago: clusterkit up --activate enables what is missing"
)
BILLING = "link a billing account: gcloud billing projects link PROJECT --billing-account=ACCOUNT"
ADDRESSES = "choose a larger network.pods or network.cidr, or fewer nodes"
POLICY = "an organization policy forbids it: gcloud resource-manager org-policies list"
NODES = "give the nodes' service account roles/container.defaultNodeServiceAccount"
REGION = "check the region and the project: gcloud compute regions list"
ACT_AS = "the credentials need roles/iam.serviceAccountUser on the nodes' service account"
CONSUMER = (
    "a user's requests count against a project: the credentials need "
    "roles/serviceusage.serviceUsageConsumer on it, or GOOGLE_CLOUD_QUOTA_PROJECT names another"
)
EXPIRED = f"they have expired, or this machine's clock is wrong: {LOGIN}"
AGENT = "service-PROJECT_NUMBER@container-engine-robot.iam.gserviceaccount.com"
HOST_AGENT = (
    f"give {AGENT} roles/container.hostServiceAgentUser in the host project of the Shared VPC; "
    "without a Shared VPC: gcloud services enable container.googleapis.com restores its role"
)
NETWORK_USER = (
    f"give {AGENT} and PROJECT_NUMBER@cloudservices.gserviceaccount.com roles/compute.networkUser "
    "on the subnetwork"
)
DISABLED = ("SERVICE_DISABLED", "accessNotConfigured")
LINKS = re.compile(r"\s*Enable it by visiting \S+.*", re.DOTALL)
"""the end of what is said of an API that is not enabled; our hints say it in one line"""
NEW_API = "API is not enabled|has not been used in project"
NO_ROBOT = "should enable service:.* before generating a service account"
"""GKE, of an API whose enabling has not reached it (pulumi/examples#899)"""
YOUNG_ACCOUNT = r"gaia id not found|verify if principal exists|service account \S+ does not exist"
"""GKE, of the nodes' account: ours is seconds old, and 10 to 30 seconds or more pass until all know
it (GoogleCloudPlatform/cluster-toolkit#6237; https://cloud.google.com/iam/docs/service-accounts-create)
"""
RATE = r"quota metric .* per (second|minute|100 seconds)|queries per|rate limit"
NO_ADDRESSES = r"IP_SPACE_EXHAUSTED|IP space .* exhausted|free (IP )?addresses"
NO_MACHINES = "not have enough resources|STOCKOUT|RESOURCE_POOL_EXHAUSTED|resource_availability"
NO_QUOTA = r"insufficient .*quota|quota .*exceeded|GCE_QUOTA"
NO_MONEY = "billing (account|must be|to be enabled|disabled|is disabled)|requires billing"
WAIT = (
    r"currently \w+ing|wait and try again|in progress|cannot be queued|unable to queue|is not ready"
    r"|concurrent operations quota|incompatible operation|fingerprint mismatch"
)
FORBIDDEN = "forbidden PERMISSION_DENIED"
BAD = "badRequest INVALID_ARGUMENT"
EARLY = "failedPrecondition FAILED_PRECONDITION"
RATES = "RESOURCE_EXHAUSTED rateLimitExceeded"
NONE = "notFound NOT_FOUND"
POLICIES = "*.setIamPolicy *.getIamPolicy"
BUCKETS = "storage.buckets"
HELD = "remove the bucket's retention policy and the objects' holds, then run destroy again"
ACCOUNTS = "iam.projects.serviceAccounts.*IamPolicy iam.projects.serviceAccounts.keys.*"

ERRORS = ErrorTable(
    [
        # one code means several things: the text tells, or the operation
        Row(errors.Propagating, "*", message="not fully initialized with the default service acc"),
        Row(errors.Propagating, FORBIDDEN, message=NEW_API, hint=ENABLE),
        Row(errors.Propagating, f"{EARLY} {BAD}", "container.*", NO_ROBOT, ENABLE),
        Row(errors.Throttled, "*", message=RATE),
        Row(errors.QuotaExceeded, "*", message=NO_ADDRESSES, hint=ADDRESSES),
        Row(errors.OutOfStock, "*", message=NO_MACHINES),
        Row(errors.Busy, f"{EARLY} {BAD} {RATES} aborted ABORTED invalid", message=WAIT),
        Row(errors.Busy, "*", "compute.*", message="resource '.*' is not ready"),
        Row(errors.Busy, EARLY, "container.*.delete"),
        Row(errors.Exists, "*", "compute.*.insert", message="already exists"),
        Row(errors.Exists, "conflict", f"{BUCKETS}.insert"),
        Row(errors.InUse, "conflict", f"{BUCKETS}.delete"),
        Row(errors.Protected, "retentionPolicyNotMet", "storage.objects.delete", hint=HELD),
        Row(errors.Propagating, "invalid", f"{BUCKETS}.setIamPolicy", message="not exist"),
        Row(errors.Denied, BAD, "container.*", message="access to service account", hint=ACT_AS),
        # the accounts of GKE and Compute Engine, not the caller's
        Row(errors.Denied, FORBIDDEN, "container.*", "hostServiceAgent.use", HOST_AGENT),
        Row(errors.Denied, "*", "container.*", "Required 'compute.(sub)?networks", NETWORK_USER),
        Row(errors.QuotaExceeded, f"{FORBIDDEN} RESOURCE_EXHAUSTED", message=NO_QUOTA),
        Row(errors.Denied, "*", message="constraints/", hint=POLICY),
        Row(errors.PaymentRequired, "*", message=NO_MONEY),
        Row(errors.Propagating, f"{BAD} {EARLY}", POLICIES, "not exist|IamMemberMissing|deleted"),
        Row(errors.Propagating, NONE, ACCOUNTS),
        Row(
            errors.Propagating,
            f"{FORBIDDEN} IAM_PERMISSION_DENIED",
            f"iam.projects.serviceAccounts.get {ACCOUNTS}",
            message="or it may not exist",
        ),
        Row(errors.Propagating, f"{NONE} {EARLY} {BAD}", "container.*", YOUNG_ACCOUNT),
        Row(errors.Rejected, NONE, "container.*.nodePools.create"),
        Row(errors.Rejected, NONE, "compute.*.list compute.regions.get", hint=REGION),
        Row(errors.Rejected, "invalid", "compute.*", message="unknown region", hint=REGION),
        Row(
            errors.Rejected,
            "badRequest INVALID_ARGUMENT",
            "container.*",
            message="location .* does not exist",
            hint=REGION,
        ),
        Row(errors.Gone, "invalid", "compute.*.getRule", message="does not contain a rule"),
        # one code, one class
        Row(
            errors.CredentialsError,
            "authError UNAUTHENTICATED ACCESS_TOKEN_EXPIRED ACCESS_TOKEN_TYPE_UNSUPPORTED "
            "CREDENTIALS_MISSING ACCOUNT_STATE_INVALID JWT_TOKEN_INVALID invalid_grant",
            hint=EXPIRED,
        ),
        Row(
            errors.Throttled,
            "rateLimitExceeded userRateLimitExceeded RATE_LIMIT_EXCEEDED "
            "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED",
        ),
        Row(errors.Propagating, " ".join(DISABLED), hint=ENABLE),
        Row(errors.Busy, "ABORTED aborted conditionNotMet operationInProgress resourceNotReady"),
        Row(errors.InUse, "resourceInUseByAnotherResource RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"),
        Row(errors.Exists, "alreadyExists ALREADY_EXISTS"),
        Row(errors.QuotaExceeded, "quotaExceeded *QUOTA_EXCEEDED"),
        Row(errors.OutOfStock, "ZONE_RESOURCE_POOL_EXHAUSTED* GCE_STOCKOUT", hint=OTHER_ZONES),
        Row(errors.PaymentRequired, "BILLING_DISABLED UREQ_PROJECT_BILLING_NOT_FOUND"),
        Row(errors.Denied, "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS", hint=NODES),
        Row(
            errors.Denied,
            f"{FORBIDDEN} IAM_PERMISSION_DENIED PERMISSIONS_ERROR denied insufficientPermissions "
            "GKE_SERVICE_ACCOUNT_DELETED CLOUD_KMS_KEY_ERROR "
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        ),
        Row(errors.Denied, "USER_PROJECT_DENIED", hint=CONSUMER),
        Row(errors.Denied, "LOCATION_ORG_POLICY_VIOLATED", hint=POLICY),
        Row(
            errors.ServerError,
            "INTERNAL UNAVAILABLE DEADLINE_EXCEEDED internalError backendError "
            "SERVICE_UNAVAILABLE_FOR_LOCATION",
        ),
        Row(errors.Rejected, "PROJECT_NOT_FOUND"),
        Row(errors.Gone, f"{NONE} *_NOT_FOUND"),
    ],
    hints={
        errors.CredentialsError: HINT,
        errors.Denied: "the credentials need the IAM permission for {operation}",
        errors.PaymentRequired: BILLING,
        errors.QuotaExceeded: f"ask for more at {QUOTAS}, or remove what is not in use; then run "
        "the command again",
    },
)

_CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
)
CANONICAL = _CODES.split()
"""by their numbers in google.rpc.Code, as operations give them"""


def canonical(number: object) -> str:
    """The word for a number of google.rpc.Code."""
    index = int(str(number or 2))
    return CANONICAL[index] if index < len(CANONICAL) else "UNKNOWN"


def refusal(service: str, answer: Answer) -> errors.ClusterkitError:
    """An answer that is not 2xx as clusterkit's error."""
    code, message, request_id = read(answer)
    operation = f"{service}.{answer.operation}"
    return ERRORS.classify(code, answer.status, message, operation, request_id, answer.after)


def read(answer: Answer) -> tuple[str, str, str]:
    """Code, message and request id of a refusal."""
    try:
        body = json.loads(answer.body)
        told = body["error"]
        codes = dict.fromkeys(filter(None, _codes(told)))
        message = LINKS.sub("", str(told.get("message") or "")) + _violated(told)
        request_id = next((d["requestId"] for d in told.get("details", ()) if "requestId" in d), "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {answer.status}", "an answer that is not the vendor's", ""
    known = (code for code in codes if ERRORS.knows(code))
    first = next(iter(codes), f"HTTP {answer.status}")
    return next(known, first), message, str(request_id)


def _violated(told: Mapping[str, Any]) -> str:
    """The policies of an organization that forbid it, which may be named among the details only."""
    there = (one for each in told.get("details") or () for one in each.get("violations") or ())
    names = dict.fromkeys(str(one.get("type") or "") for one in there)
    named = ", ".join(name for name in names if name not in str(told.get("message")))
    return f" ({named})" if named else ""


def _codes(told: Mapping[str, Any]) -> Iterator[str]:
    """The words for an error, the most particular first."""
    for each in told.get("details") or ():
        if str(each.get("@type", "")).endswith("ErrorInfo"):
            yield str(each.get("reason") or "")
    for each in told.get("errors") or ():
        yield str(each.get("reason") or "")
    yield str(told.get("status") or "")


def refused_token(error: Exception, user: bool) -> errors.ClusterkitError:
    """What google-auth raises when it gets no token."""
    from google.auth.exceptions import TransportError

    if isinstance(error, TransportError):
        what = f"Google's token service cannot be reached: {error.args[0] if error.args else error}"
        return errors.Unreachable(what, code="Connection", operation="token")
    words = str(error.args[0]) if error.args else str(error)  # the rest is the answer's body
    if getattr(error, "retryable", False):  # google-auth's word for 408, 429 and 5xx
        what = f"Google's token service does not answer: {words}"
        return errors.ServerError(what, code="Token", operation="token")
    cure = LOGIN if user else HINT
    return errors.CredentialsError(f"Google refuses the credentials: {words}", hint=cure)

"""Alibaba Cloud's refusals end here: codes become clusterkit's errors, each with what to do next.

Codes: the retryable and expected ones of terraform-provider-alicloud (``resource_alicloud_*.go``,
``errors.go``), the vendor's error center, and errors of real clusters in public logs. Container
Service answers in two dialects: its gateway in capitals (``Code``), its back end in lower case
(``code``), with more errors in ``data``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from clusterkit.alibaba.credentials import HINT
from clusterkit.errors import (
    Busy,
    CredentialsError,
    Denied,
    Gone,
    NotOurs,
    QuotaExceeded,
    Rejected,
    Retryable,
    ServerError,
    Throttled,
)

P = ParamSpec("P")
R = TypeVar("R")

THROTTLED = re.compile(r"^(Throttling|Rejected\.Throttling|FrequentPurchase)")
SERVER = {
    "ServiceUnavailable",
    "InternalError",
    "UnknownError",
    "ErrorQueryCluster",
}
BUSY = re.compile(
    r"^(DependencyViolation|IncorrectStatus|OperationConflict|TaskConflict|SystemBusy"
    r"|LastTokenProcessing|OperationFailed\.(DistibuteLock|IdempotentTokenProcessing)"
    r"|OperationDenied\.OtherSubnetProcessing|Incorrect(Vpc|VSwitch|RouteEntry|Eip|Instance)Status"
    r"|IncorretSnatEntryStatus|InvalidStatus\.RouteEntry|VswitchStatusError|EIP_NOT_IN_GATEWAY"
    r"|OperationUnsupported\.Eip(NatBWPCheck|InBinding|NatGWCheck)|InvalidBindingStatus"
    r"|InvalidIpStatus\.HasBeenUsedBySnatTable|DeleteConflict|SignatureNonceUsed"
    r"|IncorrectDiskStatus|InvalidOperation\.InvalidEniState|InvalidStatus\.Forbidden"
    r"|InvalidNodePoolStatus\.Forbidden)"
)
GONE = re.compile(
    r"^(InvalidVpcI[dD]\.NotFound|Forbidden\.VpcNotFound|InvalidResource\.NotFound"
    r"|InvalidV[sS]witchI[dD]\.NotFound|INSTANCE_NOT_EXISTS|InvalidNatGatewayId\.NotFound"
    r"|InvalidSnat(TableId|EntryId)\.NotFound|InvalidAllocationId\.NotFound"
    r"|EntityNotExist(\..*)?|ErrorClusterNotFound|AddonNotFound|InvalidSecurityGroupId\.NotFound"
    r"|InvalidDiskId\.NotFound|InvalidEniId\.NotFound|InvalidLoadBalancerId\.NotFound"
    r"|ResourceNotFound\.loadBalancer|AclNotExist|REPO_NOT_EXIST|NAMESPACE_NOT_EXIST|INSTANCE_NOT_EXIST)$"
)
TAKEN = {"EntityAlreadyExists.Role", "EntityAlreadyExists.Policy", "KeyPair.AlreadyExist",
         "ClusterNameAlreadyExist"}  # fmt: skip
CREDENTIALS = re.compile(
    r"^(InvalidAccessKeyId|InvalidAccessKeySecret|SignatureDoesNotMatch|IncompleteSignature"
    r"|InvalidSecurityToken|MissingSecurityToken|MissingSignature|InvalidTimeStamp"
    r"|SDK\.InvalidCredential)"
)
DENIED = re.compile(r"^(StatusForbidden|ErrorCheckAcl|NoPermission|Forbidden(\.RAM)?$)")
QUOTA = re.compile(r"^(QuotaExceed|LimitExceeded|Quota\.Exceed)")
_MONEY = (
    "the account's balance does not suffice, or it has no valid payment method: see to that in the "
    "console, then run the command again (pay-as-you-go machines have been seen to want 100 CNY)"
)
HINTS = {
    "ErrorNotEnabled": "Container Service is not activated: the same `clusterkit up` with "
    "--activate",
    "MissingAuth.AliyunOOSLifecycleHook4CSRole": "a service role is missing: the same "
    "`clusterkit up` with --activate",
    "RISK.RISK_CONTROL_REJECTION": _MONEY,
    "InvalidAccountStatus.NotEnoughBalance": _MONEY,
    "PAY.INSUFFICIENT_BALANCE": _MONEY,
    "PAY.INVALID_CREDIT_CARD": _MONEY,
    "ACCOUNT_BALANCE_EXCEEDED": _MONEY,
    "Account.Arrearage": _MONEY,
    "RealNameAuthenticationError": "verify the account's identity in the console: mainland regions "
    "want a verified person or company",
    "ZoneNotSupported": "name other zones in network.zones",
    "MissingPodVswitchIds": "plugin: terway needs VSwitches for the pods",
    "NoInstanceStock": "choose another machine or other zones",
    "OperationDenied.NoStock": "choose another machine or other zones",
}
"""what to do about a code that waiting does not cure"""
MORE = "ask for more in the Quota Center, or remove what is not in use; then try again"


def cure(text: str) -> str:
    """What to do about a failure that is only told in words, as a scaling group's are: by the code
    in them.
    """
    told = (hint for code, hint in HINTS.items() if code in text)
    return next(told, MORE if "QuotaExceed" in text else "")


def gone_is_fine(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
    """The call's answer; None if the thing is not there."""
    try:
        return function(*args, **kwargs)
    except Gone:
        return None


def refusal(operation: str, status: int, code: str, message: str, request_id: str) -> Exception:
    """The vendor's refusal as clusterkit's error.

    ``code`` and ``message`` as the SDK gives them: of what it could not read it gives the whole
    body, after ``ServerResponseBody:``.
    """
    if code == "SDK.UnknownServerError":
        code, message, request_id = _lower_case(message, status)
    details: dict[str, Any] = {"code": code, "operation": operation, "request_id": request_id}
    what = f"{operation}: {redacted(message) or code}"
    if CREDENTIALS.match(code):
        return CredentialsError(f"{operation}: {code}", hint=_credentials_hint(code))
    if THROTTLED.match(code) or status == 429:
        return Throttled(what, **details)
    if code in HINTS:
        return Rejected(what, hint=HINTS[code], **details)
    if QUOTA.match(code):
        return QuotaExceeded(what, hint=MORE, **details)
    if code in TAKEN:
        hint = "choose another name, or mark it as this cluster's with --adopt KIND/NAME=ID"
        return NotOurs(what, hint=hint)
    if GONE.match(code) or (status == 404 and operation.startswith("CS.")):
        return Gone(what, **details)
    if BUSY.match(code):
        return Busy(what, **details)
    if code in SERVER or status in (500, 502, 503, 504):
        return ServerError(what, **details)
    if DENIED.match(code) or status == 403:
        hint = f"the credentials need the RAM permission for {operation}"
        return Denied(what, hint=hint, **details)
    return Rejected(what, **details)


def unreachable(operation: str, host: str, words: str) -> Retryable:
    """No answer: the SDK's words hold the signed URL, and never leave here as they are."""
    what = f"{operation}: {host} cannot be reached: {redacted(words)}"
    return ServerError(what, code="Connection", operation=operation)


def redacted(text: str) -> str:
    """Without queries of URLs, without signatures and the strings they are made of."""
    text = re.sub(r"server string to sign is:.*", "…", text, flags=re.DOTALL)
    text = re.sub(r"(/?\?)\S*", r"\1…", text) if "Signature=" in text else text
    return re.sub(r"(AccessKeyId|Signature|SecurityToken)=[^&\s]+", r"\1=…", text)


def _lower_case(message: str, status: int) -> tuple[str, str, str]:
    """Code, message and request id of Container Service's own error body."""
    _, _, text = message.partition("ServerResponseBody: ")
    try:
        body = json.loads(text)
        code, words = str(body.get("code") or f"HTTP {status}"), str(body.get("message") or "")
        more = [item for item in body.get("data") or () if isinstance(item, dict)]
    except (ValueError, AttributeError, TypeError):
        return f"HTTP {status}", "an answer that is not the vendor's", ""
    for item in more:
        told = f"{item.get('code')}: {item.get('message')}"
        words += f"; {told}" if words else told
        if item.get("code") in HINTS:
            code = str(item["code"])
    return code, words, str(body.get("requestId") or body.get("request_id") or "")


def _credentials_hint(code: str) -> str:
    if code.startswith(("InvalidSecurityToken", "InvalidTimeStamp")):
        return "they have expired, or this machine's clock is wrong; get new ones"
    return HINT

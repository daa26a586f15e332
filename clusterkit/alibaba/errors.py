"""Alibaba Cloud's refusals end here: codes become clusterkit's errors, each with what to do next.

Sources of the rows: the retried and expected codes of terraform-provider-alicloud
(``resource_alicloud_*.go``, ``errors.go``), the error tables of the vendor's API documents, and
errors of real clusters in public logs; ``facts/alibaba.tsv`` names the source of each. HTTP's
status tells little: ECS says 403 for busy, in use, quota and money as well. Container Service
answers in two dialects: its gateway in capitals (``Code``), its back end in lower case (``code``),
with more errors in ``data``.
"""

from __future__ import annotations

import json
import re

from clusterkit import errors
from clusterkit.alibaba.credentials import HINT
from clusterkit.engine.error_table import OTHER_ZONES, ErrorTable, Row

MONEY = (
    "the account's balance does not suffice, or it has no valid payment method: see to that in the "
    "console, then run the command again (pay-as-you-go machines have been seen to want 100 CNY)"
)
VERIFY = (
    "verify the account's identity in the console: mainland regions want a verified person or "
    "company"
)
MORE = "ask for more in the Quota Center, or remove what is not in use; then try again"
ACTIVATE = "a service role is missing: clusterkit up --activate"
OTHER_CIDR = "this range is in use in the VPC already: choose another network.cidr"
UNUSUAL = "Alibaba Cloud has not opened this to the account: see the console, or ask their support"
EXPIRED = "they have expired, or this machine's clock is wrong; get new ones"
NO_ADDRESSES = "the VSwitch has no free addresses: take fewer machines, or a larger network.cidr"
MINIMUM = "lower the scaling group's minimum in Auto Scaling, then run the command again"
NOT_ACTIVE = "Container Service is not activated: clusterkit up --activate"
MANAGED = "another Alibaba Cloud product manages it, and only that product may change it"
RBAC = (
    "the RAM user or role needs rights in this cluster, from who made it: the console of Container "
    "Service, Authorizations, or aliyun cs GrantPermissions"
)
NO_GROUP = (
    "resource_group: the id of one of the account's, see aliyun resourcemanager ListResourceGroups"
)
NO_ANSWER = "Connection"
"""code of what is no refusal: the host cannot be reached, or does not exist"""
NO_POD_VSWITCHES = "plugin: terway needs VSwitches for the pods"

ERRORS = ErrorTable(
    [
        # the same code means several things: the operation tells, or the text
        Row(errors.Throttled, "*", message="QPS limit exceeded"),
        Row(errors.OutOfStock, "*", message="inventory is insufficient"),
        Row(errors.InUse, "*", "CS.*", message="instances not empty"),
        Row(
            errors.Denied,
            "EntityNotExist.Role MissingAuth.* Err*RoleNotAttach",
            "CS.*",
            hint=ACTIVATE,
        ),
        Row(errors.Busy, "InvalidDesiredSizeOrCount.NotNull", "CS.ModifyClusterNodePool"),
        # one code, one class
        Row(errors.Throttled, "Throttling* Rejected.Throttling FrequentPurchase*"),
        Row(errors.CredentialsError, "InvalidSecurityToken* InvalidTimeStamp*", hint=EXPIRED),
        Row(
            errors.CredentialsError,
            "InvalidAccessKeyId* InvalidAccessKeySecret* SignatureDoesNotMatch* "
            "IncompleteSignature* MissingSecurityToken* MissingSignature* "
            "Forbidden.AccessKeyDisabled NoEnabledAccessKey",
        ),
        Row(
            errors.PaymentRequired,
            "RISK.RISK_CONTROL_REJECTION Forbidden.RiskControl *NotEnoughBalance "
            "InsufficientBalance PAY.* ACCOUNT_BALANCE_EXCEEDED *Arrearage *ARREARAGE NOCARD "
            "InvalidPayMethod PaymentMethodNotFound SecurityRisk.3DVerification KMSIndebtOverdue "
            "ServiceIndebt",
        ),
        Row(
            errors.AlreadyDone,
            "EntityAlreadyExists.Role.Policy ORDER.OPEND InvalidAssociation.Duplicated",
        ),
        Row(
            errors.Propagating,
            "EIP_NOT_IN_GATEWAY OperationUnsupported.EipInBinding "
            "OperationUnsupported.EipNatBWPCheck OperationUnsupported.EipNatGWCheck "
            "InvalidSnatIp.NotFound",
        ),
        Row(
            errors.InUse,
            "DependencyViolation* DeleteConflict* DiskStillAttached InstanceInUse RspoolVipExist "
            "ResourceInUse.* InvalidStatus.SnatOrDnat InvalidIpStatus.HasBeenUsedBy* "
            "InvalidParameter.KeypairAlreadyAttachedInstance Forbidden.IpUsedInForwardTable",
        ),
        Row(
            errors.Busy,
            "IncorrectStatus* *.IncorrectStatus.* Incorrect*Status* IncorretSnatEntryStatus "
            "InvalidStatus.* InvalidBindingStatus InvalidVPCStatus InvalidVBRStatus "
            "VpcStatusError VswitchStatusError INSTANCE_STATUS_NOT_SUPPORT "
            "InvalidNodePoolStatus.Forbidden "
            "OperationConflict Conflict Conflict.Lock TaskConflict* VPC_TASK_CONFLICT SystemBusy "
            "OperationBusy ProcessingSameRequest *LastTokenProcessing LastOrderProcessing "
            "IdempotentProcessing IdempotenceProcessing SignatureNonceUsed "
            "ScalingActivityInProgress BackendServer.configuring ServiceIsConfiguring "
            "ServiceIsStopping VServerGroupProcessing SLB_SERVICE_ERROR "
            "OperationFailed.DistibuteLock OperationFailed.EcsMigrating "
            "OperationFailed.IdempotentTokenProcessing "
            "OperationFailed.NatGwRouteInMiddleStatus OperationFailed.NotifyCenCreate "
            "OperationFailed.QueryCenIpv6Status OperationFailed.TokenIsProcessing "
            "OperationDenied.OtherSubnet* OperationDenied.ResourceControl "
            "InvalidOperation.Conflict InvalidOperation.InvalidEcsState "
            "InvalidOperation.InvalidEniState DiskCreatingSnapshot DiskInCoolingPeriod",
        ),
        Row(
            errors.Exists,
            "InvalidCidrBlock.Overlapped InvalidCIDRBlock.Duplicate RouteConflict.AlreadyExist "
            "OperationUnsupported.CidrConflict",
            hint=OTHER_CIDR,
        ),
        Row(errors.Exists, "*AlreadyExist *AlreadyExists.* *.Duplicated Duplicated.*"),
        Row(
            errors.QuotaExceeded,
            "*.IpNotEnough *.PrivateIpAddress VSwitchAvailableIpNotExist",
            hint=NO_ADDRESSES,
        ),
        Row(
            errors.QuotaExceeded,
            "QuotaExceed* Quota.Exceed* QuotaInsufficient OverQuota LimitExceed* *LimitExceeded "
            "*LimitExceed MaxEniCountExceeded ListenerNumberOverLimit "
            "Forbidden.CheckEntryRuleQuota Forbidden.SnatEntryCountLimited",
        ),
        Row(
            errors.OutOfStock,
            "*NoStock NoInstanceStock InsufficientCapacity InvalidInstanceType.ZoneNotSupported "
            "Zone.NotOnSale CategoryNotSupported *DiskCategory.NotSupported ResourceNotAvailable* "
            "OperationDenied.ZoneIsDisabled ReserveIpFail OperationFailed.NormalInventoryNotEnough",
        ),
        Row(errors.Protected, "InvalidOperation.DeletionProtection"),
        Row(errors.Protected, "IncorrectCapacity.MinSize", hint=MINIMUM),
        Row(errors.Denied, "RealNameAuthenticationError NoNameAuthentication", hint=VERIFY),
        Row(errors.Denied, "ErrorNotEnabled", hint=NOT_ACTIVE),
        Row(
            errors.Denied,
            "InvalidOperation.ResourceManagedByCloudProduct InvalidOperation.EniServiceManaged",
            hint=MANAGED,
        ),
        Row(
            errors.Denied,
            "Forbidden.NotSupportRAM Forbidden.Unsubscribed Forbidden.UserVerification Inactive "
            "RegionUnauthorized UserNotInTheWhiteList Zone.NotOpen "
            "OperationFailed.EnhancedUserIsUnAuthorized",
            hint=UNUSUAL,
        ),
        Row(
            errors.Denied,
            "APISERVER_403 ForbiddenQueryClusterNamespace ForbiddenGrantPermissions "
            "ErrorRamPolicyConfig",
            hint=RBAC,
        ),
        Row(
            errors.Denied,
            "Forbidden Forbidden.RAM Forbidden.Unauthorized Forbbiden NoPermission* "
            "StatusForbidden ErrorCheckAcl InvalidUser.PassRoleForbidden",
        ),
        Row(errors.ServerError, "ServiceUnavailable InternalError UnknownError ErrorQueryCluster"),
        Row(
            errors.Rejected,
            "InvalidAction.NotFound InvalidRegionId.NotFound Forbidden.RegionNotFound",
        ),
        Row(errors.Rejected, "InvalidImageId.NotFound", "CS.*"),
        Row(errors.Rejected, "ZoneNotSupported", hint=OTHER_ZONES),
        Row(errors.Rejected, "MissingPodVswitchIds", hint=NO_POD_VSWITCHES),
        Row(errors.Gone, "InvalidResourceGroup.NotFound", hint=NO_GROUP),
        Row(
            errors.Gone,
            "*NotFound ResourceNotFound.* EntityNotExist EntityNotExist.* *NotExist *_NOT_EXIST "
            "*_NOT_EXISTS",
        ),
    ],
    hints={
        errors.CredentialsError: HINT,
        errors.Denied: "the credentials need the RAM permission for {operation}",
        errors.PaymentRequired: MONEY,
        errors.QuotaExceeded: MORE,
    },
)


cure = ERRORS.cure


def refusal(
    operation: str, status: int, code: str, message: str, request_id: str
) -> errors.ClusterkitError:
    """The vendor's refusal as clusterkit's error.

    ``code`` and ``message`` as the SDK gives them: of what it could not read it gives the whole
    body, after ``ServerResponseBody:``.
    """
    if code == "SDK.UnknownServerError":
        code, message, request_id = _lower_case(message, status)
    error = ERRORS.classify(code, status, redacted(message), operation, request_id)
    if isinstance(error, errors.Denied):  # most products do not name the action themselves
        product, _, action = operation.partition(".")
        error.hint = error.hint.replace(operation, f"{product.lower()}:{action}")
    return error


def unreachable(operation: str, host: str, words: str) -> errors.Retryable:
    """No answer: the SDK's words hold the signed URL, and never leave here as they are."""
    what = f"{operation}: {host} cannot be reached: {redacted(words)}"
    return errors.ServerError(what, code=NO_ANSWER, operation=operation)


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
        if not cure(code) and cure(str(item.get("code"))):
            code = str(item["code"])
    return code, words, str(body.get("requestId") or body.get("request_id") or "")

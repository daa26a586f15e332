"""AWS's exceptions end here: codes become clusterkit's errors, each with what to do next.

Codes: EC2 API Reference, "Error codes"; the ``errors`` of each operation in botocore's service
models; IAM and STS "Common errors". Matched on codes; where AWS says only in words what happened,
the words are named below with the operation they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from clusterkit.errors import (
    Busy,
    CloudError,
    CredentialsError,
    Denied,
    NotOurs,
    QuotaExceeded,
    Rejected,
    ServerError,
    Throttled,
)
from clusterkit.errors import Gone as Gone

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

P = ParamSpec("P")
R = TypeVar("R")

THROTTLED = {
    "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException",
    "TooManyRequestsException", "RequestThrottled", "RequestThrottledException", "SlowDown",
    "EC2ThrottledException", "BandwidthLimitExceeded", "LimitExceededException.Throttled",
}  # fmt: skip
SERVER = {
    "InternalError", "InternalFailure", "InternalServerError", "InternalServerException",
    "ServerException", "ServiceFailure", "ServiceUnavailable", "ServiceUnavailableException",
    "Unavailable", "RequestTimeout", "RequestTimeoutException", "ServerInternal",
}  # fmt: skip
BUSY = {
    "DependencyViolation", "ResourceInUseException", "ResourceInUse", "InvalidIPAddress.InUse",
    "VolumeInUse", "IncorrectState", "IncorrectInstanceState", "InvalidGroup.InUse",
    "InvalidNetworkInterface.InUse", "InvalidParameterValue.InUse", "DeleteConflict",
    "ConcurrentModification", "ConcurrentModificationException", "Gateway.NotAttached",
    "InvalidAttachment.NotFound", "OperationInProgress", "Resource.AlreadyAssociated",
    "RouteAlreadyExists",
}  # fmt: skip
TAKEN = {
    "EntityAlreadyExists", "EntityAlreadyExistsException", "InvalidKeyPair.Duplicate",
    "RepositoryAlreadyExistsException", "ResourceAlreadyExistsException",
    "InvalidLaunchTemplateName.AlreadyExistsException", "InvalidGroup.Duplicate",
}  # fmt: skip
DENIED = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure.Denied",
    "Client.UnauthorizedOperation", "OptInRequired",
}  # fmt: skip
CREDENTIALS = {
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId",
    "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException",
    "IncompleteSignature", "MissingAuthenticationToken", "RequestExpired", "InvalidAccessKeyId",
}  # fmt: skip
QUOTA = {
    "AddressLimitExceeded", "VpcLimitExceeded", "NatGatewayLimitExceeded",
    "InternetGatewayLimitExceeded", "SubnetLimitExceeded", "RouteTableLimitExceeded",
    "SecurityGroupLimitExceeded", "InstanceLimitExceeded", "VcpuLimitExceeded",
    "ResourceLimitExceeded", "ResourceLimitExceededException", "LimitExceeded",
    "LimitExceededException", "ServiceQuotaExceededException", "VolumeLimitExceeded",
    "MaxSpotInstanceCountExceeded",
}  # fmt: skip
GONE = re.compile(
    r"(?:\.NotFound|NotFoundException|NoSuchEntity(?:Exception)?|NotFound|\.Malformed)$"
    r"|^(?:NatGatewayNotFound|LoadBalancerNotFound|TargetGroupNotFound)$"
)
YOUNG_ROLE = re.compile(
    r"could not be assumed|cannot be assumed|is not authorized to perform: sts:AssumeRole"
    r"|does not exist|trust relationship|Invalid principal|not a valid role",
    re.IGNORECASE,
)
"""what EKS says of a role IAM has not told it about yet (CreateCluster, CreateNodegroup,
CreateAddon and CreatePodIdentityAssociation give it as InvalidParameterException or
InvalidRequestException)"""
ROLE_CODES = {"InvalidParameterException", "InvalidRequestException"}
QUOTAS = "https://console.aws.amazon.com/servicequotas"


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a boto3 client's method; every exception of the SDK becomes one of clusterkit's."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return function(*args, **kwargs)
    except ClientError as error:
        raise translate(error) from error
    except BotoCoreError as error:
        raise translate_local(error) from error


def gone_is_fine(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As ``call``; None if the thing is not there."""
    try:
        return call(function, *args, **kwargs)
    except Gone:
        return None


def pages(client: Any, operation: str, key: str, **parameters: Any) -> Iterable[Any]:
    """The items under ``key`` of every page of a list operation."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for page in client.get_paginator(operation).paginate(**parameters):
            yield from page[key]
    except ClientError as error:
        raise translate(error) from error
    except BotoCoreError as error:
        raise translate_local(error) from error


def translate(error: ClientError) -> Exception:
    """AWS's refusal as clusterkit's error."""
    told = error.response.get("Error", {})
    meta: Any = error.response.get("ResponseMetadata", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    status = int(meta.get("HTTPStatusCode", 0) or 0)
    operation = error.operation_name
    details: dict[str, Any] = {
        "code": code,
        "operation": operation,
        "request_id": str(meta.get("RequestId", "")),
    }
    what = f"{operation}: {message or code}"
    if code in CREDENTIALS:
        return CredentialsError(what, hint=_credentials_hint(code))
    if code in THROTTLED or status == 429:
        after = meta.get("HTTPHeaders", {}).get("retry-after", "")
        seconds = float(after) if after.isdigit() else None
        return Throttled(what, after=seconds, **details)
    if code in DENIED:
        hint = f"the credentials need the IAM permission for {operation}"
        return Denied(what, hint=hint, **details)
    if code in QUOTA:
        hint = f"ask for more at {QUOTAS}, or remove what is not in use; then run the command again"
        return QuotaExceeded(what, hint=hint, **details)
    if code in TAKEN:
        hint = "choose another name, or mark it as this cluster's with --adopt KIND/NAME=ID"
        return NotOurs(what, hint=hint)
    if code in ROLE_CODES and YOUNG_ROLE.search(message):
        return Busy(what, **details)
    if code in BUSY:
        return Busy(what, **details)
    if code in SERVER or status in (500, 502, 503, 504):
        return ServerError(what, **details)
    if GONE.search(code):
        return Gone(what, **details)
    return Rejected(what, hint=_hint(code), **details)


def translate_local(error: Exception) -> Exception:
    """What botocore itself raises: no credentials, no connection, parameters it refuses."""
    from botocore import exceptions as raised

    what = str(error)
    if isinstance(error, raised.NoCredentialsError | raised.PartialCredentialsError):
        return CredentialsError("there are no AWS credentials", hint=_credentials_hint(""))
    if isinstance(error, raised.ProfileNotFound):
        return CredentialsError(what, hint="aws configure list-profiles shows what there is")
    if isinstance(
        error, raised.SSOError | raised.UnauthorizedSSOTokenError | raised.TokenRetrievalError
    ):
        return CredentialsError(what, hint="aws sso login")
    if isinstance(error, raised.CredentialRetrievalError | raised.RefreshWithMFAUnsupportedError):
        return CredentialsError(what, hint=_credentials_hint(""))
    if isinstance(error, raised.ConnectionError | raised.HTTPClientError):
        return ServerError(f"AWS cannot be reached: {what}", code="Connection")
    return CloudError(what, code=type(error).__name__, hint="this looks like a bug in clusterkit")


def _credentials_hint(code: str) -> str:
    if code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return (
            "they have expired: aws sso login, or get new ones; and is this machine's clock right?"
        )
    return "aws configure, aws sso login, AWS_PROFILE or --cloud-profile NAME; then try again"


def _hint(code: str) -> str:
    match code:
        case "UnsupportedAvailabilityZoneException":
            return "name other zones in network.zones"
        case "InsufficientInstanceCapacity" | "Unsupported":
            return "choose another machine or other zones"
        case _:
            return ""

"""AWS's exceptions end here: codes become clusterkit's errors, each with what to do next.

Sources of the rows: EC2 API Reference, "Error codes"; the ``errors`` of each operation in
botocore's service models and the texts beside them; IAM and STS "Common errors"; the retries of
terraform-provider-aws and cluster-api-provider-aws. ``facts/aws.tsv`` names the source of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from clusterkit import errors
from clusterkit.engine.error_table import OTHER_MACHINE, OTHER_ZONES, ErrorTable, Row
from clusterkit.errors import CloudError, ClusterkitError, CredentialsError, Denied, ServerError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

P = ParamSpec("P")
R = TypeVar("R")

QUOTAS = "https://console.aws.amazon.com/servicequotas"
SIGN_IN = "run aws configure or aws sso login, set AWS_PROFILE, or give --cloud-profile NAME"
CLOCK = "this machine's clock is wrong: set it (timedatectl set-ntp true), then try again"
SERVICE_OWNED = "the network interface belongs to an AWS service, which removes it itself"
IMAGES = "delete the images in it, or keep the repository"
SAME_RANGE = "a subnet of this range is in the VPC already: choose another network.cidr"
SERVICE_LINKED = "this is a service-linked role, which only its AWS service may change"
LAUNCH = (
    "the credentials need the IAM permission for ec2:RunInstances, ec2:CreateTags, iam:PassRole"
)
STS_OFF = "activate AWS STS for this region in the IAM console's account settings"
MADE_SECONDS_AGO = (
    "InvalidVpcID.NotFound InvalidSubnetID.NotFound InvalidSubnet InvalidRouteTableID.NotFound "
    "InvalidInternetGatewayID.NotFound InvalidGatewayID.NotFound InvalidNatGatewayID.NotFound "
    "NatGatewayNotFound InvalidGroup.NotFound InvalidAllocationID.NotFound "
    "InvalidInstanceID.NotFound InvalidLaunchTemplateId.NotFound"
)
"""EC2's words for what this run has made and refers to; EC2 needs up to 5 minutes to know
everywhere what it made (terraform-provider-aws, ``ec2PropagationTimeout``)"""
YOUNG_ROLE = (
    r"role.*(does not exist|could not be assumed|cannot be assumed|cannot be found"
    r"|doesn't have the Amazon EKS Managed Policies)"
    r"|error in role params|role's policy must include"
    r"|not found in the trust relationships? of|misconfigured \w*role trust policy"
)
"""what EKS says of a role, its trust or its policies that IAM has not told it about yet
(terraform-provider-aws ``internal/service/eks``). Each names a role: "The subnet ID ... does not
exist" is final."""

ERRORS = ErrorTable(
    [
        # the same code means several things: the text tells
        Row(
            errors.AlreadyDone,
            "InvalidParameterException",
            "UpdateClusterConfig UpdateClusterVersion",
            message="already at the desired configuration|no changes needed",
        ),
        Row(
            errors.Propagating,
            "InvalidParameterException InvalidRequestException",
            message=YOUNG_ROLE,
        ),
        Row(
            errors.Propagating,
            "MalformedPolicyDocument",
            "CreateRole UpdateAssumeRolePolicy",
            message="invalid principal in policy",
        ),
        Row(
            errors.Denied,
            "InvalidRequestException",
            "CreateNodegroup UpdateNodegroupVersion",
            message="not authorized to launch instances",
            hint=LAUNCH,
        ),
        # a cluster without access entries has none
        Row(
            errors.Gone,
            "InvalidRequestException",
            "ListAccessEntries",
            message="authentication mode must be set",
        ),
        Row(errors.Gone, "ClientException", message="no cluster found"),
        Row(
            errors.InUse,
            "ResourceInUseException",
            "DeleteCluster",
            message="nodegroups attached|fargate profiles in",
        ),
        Row(errors.Busy, "ResourceInUseException", message="in progress|currently"),
        Row(errors.Exists, "ResourceInUseException", "Create*"),
        Row(errors.Busy, "ResourceInUseException"),
        Row(
            errors.InUse,
            "InvalidParameterValue",
            "DeleteNetworkInterface",
            message="currently in use",
        ),
        Row(errors.Busy, "InvalidParameterException", "DeleteRoute"),
        Row(
            errors.OutOfStock,
            "UnsupportedAvailabilityZoneException",
            message="sufficient capacity",
            hint=OTHER_ZONES,
        ),
        # EC2 says AuthFailure of an address that a gateway or a service still holds, too
        Row(
            errors.CredentialsError,
            "AuthFailure",
            message="validate the provided access credentials",
        ),
        Row(errors.InUse, "AuthFailure", "ReleaseAddress"),
        Row(
            errors.CredentialsError,
            "SignatureDoesNotMatch InvalidSignatureException",
            message="signature expired|signature not yet current",
            hint=CLOCK,
        ),
        # what is refused depends on the operation
        Row(
            errors.Propagating,
            MADE_SECONDS_AGO,
            "Associate* Attach* Authorize* Create* Modify* Replace*",
        ),
        Row(
            errors.Propagating,
            "ResourceNotFoundException",
            "CreateAccessEntry CreateAddon CreateNodegroup CreatePodIdentityAssociation",
        ),
        Row(
            errors.Propagating,
            "NoSuchEntity",
            "AttachRolePolicy PutRolePolicy TagRole UpdateAssumeRolePolicy",
        ),
        Row(errors.Propagating, "OpenIdIdpCommunicationError"),
        Row(errors.Propagating, "NoSuchBucket", "*BucketTagging *PublicAccessBlock"),
        Row(errors.Protected, "OperationNotPermitted", "DeleteLoadBalancer"),
        Row(errors.Denied, "OperationNotPermitted", "*NetworkInterface", hint=SERVICE_OWNED),
        Row(errors.Protected, "RepositoryNotEmptyException", hint=IMAGES),
        # one code, one class
        Row(
            errors.Throttled,
            "RequestLimitExceeded Throttling ThrottlingException ThrottledException "
            "TooManyRequestsException RequestThrottled RequestThrottledException SlowDown "
            "EC2ThrottledException BandwidthLimitExceeded PriorRequestNotComplete "
            "TransactionInProgressException DependencyThrottle",
        ),
        Row(
            errors.Busy,
            "IncorrectState IncorrectInstanceState ConcurrentModification "
            "ConcurrentMutationLimitExceeded OperationAborted OperationAbortedException",
        ),
        Row(
            errors.InUse,
            "DependencyViolation ResourceInUse VolumeInUse *.InUse DeleteConflict BucketNotEmpty",
        ),
        Row(errors.AlreadyDone, "InvalidPermission.Duplicate"),
        Row(errors.Exists, "InvalidSubnet.Conflict", hint=SAME_RANGE),
        Row(
            errors.Exists,
            "*AlreadyExists *AlreadyExistsException *.Duplicate *.AlreadyAssociated "
            "BucketAlreadyOwnedByYou",
        ),
        Row(
            errors.Denied, "AccessDenied AccessDeniedException UnauthorizedOperation AuthFailure.*"
        ),
        Row(
            errors.Denied,
            "ClientException",
            hint="the credentials may lack the IAM permission for {operation}, or an id in the "
            "request is not valid",
        ),
        Row(
            errors.Denied,
            "OptInRequired PendingVerification Blocked",
            hint="AWS has not opened this service to the account: see the console's messages or "
            "ask AWS Support, then run the command again",
        ),
        Row(errors.Denied, "UnmodifiableEntity", hint=SERVICE_LINKED),
        Row(
            errors.Denied,
            "KmsException UnableToAccessSecretException UnableToDecryptSecretValueException",
            hint="check that the key or the secret exists, is enabled, and that its policy lets "
            "these credentials use it",
        ),
        Row(errors.Denied, "RegionDisabledException", hint=STS_OFF),
        Row(
            errors.CredentialsError,
            "ExpiredToken ExpiredTokenException RequestExpired",
            hint="they have expired, or this machine's clock is wrong: aws sso login, or get new "
            "ones; then try again",
        ),
        Row(
            errors.CredentialsError,
            "AuthFailure InvalidClientTokenId UnrecognizedClientException",
            hint=f"{SIGN_IN}; if they are right, the account may have to enable this region first: "
            "aws account enable-region --region-name REGION",
        ),
        Row(errors.CredentialsError, "RequestTimeTooSkewed", hint=CLOCK),
        Row(
            errors.CredentialsError,
            "SignatureDoesNotMatch InvalidSignatureException IncompleteSignature "
            "MissingAuthenticationToken InvalidAccessKeyId InvalidToken",
        ),
        Row(
            errors.QuotaExceeded,
            "*LimitExceeded *LimitExceededException ServiceQuotaExceededException "
            "MaxSpotInstanceCountExceeded TooManyBuckets TooManyTagsException",
        ),
        Row(errors.OutOfStock, "InsufficientInstanceCapacity"),
        Row(
            errors.ServerError,
            "InternalError InternalFailure "
            "ServerException ServiceException ServiceFailure ServiceUnavailable "
            "ServiceUnavailableException "
            "Unavailable RequestTimeout RequestTimeoutException",
        ),
        Row(
            errors.Gone,
            "*NotFound *NotFoundException NoSuchEntity Gateway.NotAttached NoSuchBucket "
            "NoSuchPublicAccessBlockConfiguration NoSuchResourceException NoSuchTagSet "
            "NoSuchUpload",
        ),
        Row(errors.Rejected, "UnsupportedAvailabilityZoneException", hint=OTHER_ZONES),
        Row(errors.Rejected, "Unsupported", hint=OTHER_MACHINE),
    ],
    hints={
        errors.CredentialsError: SIGN_IN,
        errors.Denied: "the credentials need the IAM permission for {operation}",
        errors.QuotaExceeded: f"ask for more at {QUOTAS}, or remove what is not in use; then run "
        "the command again",
    },
)


_LACKING = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_DENIES = re.compile(
    r"a service control policy|a resource control policy|a permissions boundary"
    r"|a session policy|a VPC endpoint policy"
)
"""how IAM says which permission is missing, which may be another one than that of the call, and
what denies it explicitly
(https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)"""


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a boto3 client's method; every exception of the SDK becomes one of clusterkit's."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return function(*args, **kwargs)
    except ClientError as error:
        raise translate(error) from error
    except BotoCoreError as error:
        raise translate_local(error) from error


def translate(error: ClientError) -> ClusterkitError:
    """AWS's refusal as clusterkit's error."""
    told = error.response.get("Error", {})
    meta: Any = error.response.get("ResponseMetadata", {})
    after = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
    text = str(told.get("Message", ""))
    found = ERRORS.classify(
        str(told.get("Code", "")),
        int(meta.get("HTTPStatusCode", 0) or 0),
        text,
        error.operation_name,
        str(meta.get("RequestId", "")),
        float(after) if after.isdigit() else None,
    )
    if isinstance(found, Denied) and (lacking := _LACKING.search(text)):
        found.hint = f"the credentials need the IAM permission for {lacking[1]}"
        if policy := _DENIES.search(text):
            found.hint = f"{policy[0]} denies {lacking[1]}: ask who administers that policy"
    return found


def translate_local(error: Exception) -> ClusterkitError:
    """What botocore itself raises: no credentials, no connection, parameters it refuses."""
    from botocore import exceptions as raised

    what, code = str(error), type(error).__name__
    login: type[Exception] = getattr(raised, "LoginError", raised.SSOError)  # since botocore 1.41
    match error:
        case raised.NoCredentialsError():
            return CredentialsError("there are no AWS credentials", hint=SIGN_IN)
        case raised.ProfileNotFound():
            return CredentialsError(what, hint=_profiles())
        case raised.SSOError() | raised.TokenRetrievalError():
            return CredentialsError(what, hint="aws sso login, then try again")
        case login():
            return CredentialsError(what, hint="aws login, then try again")
        case raised.ConfigParseError() | raised.ConfigNotFound():
            return CredentialsError(what, hint="mend that file, or aws configure; then try again")
        case (
            raised.PartialCredentialsError()
            | raised.CredentialRetrievalError()
            | raised.RefreshWithMFAUnsupportedError()
            | raised.InvalidConfigError()
            | raised.InfiniteLoopConfigError()
            | raised.UnknownCredentialError()
            | raised.MetadataRetrievalError()
        ):
            return CredentialsError(what, hint=SIGN_IN)
        case raised.InvalidRegionError() | raised.NoRegionError() | raised.UnknownEndpointError():
            return CloudError(what, code=code, hint="correct region in the profile")
        case raised.ProxyConnectionError() | raised.InvalidProxiesConfigError():
            hint = (
                "check that HTTPS_PROXY is right and the proxy allows this host, and that region "
            )
            hint += "in the profile is right"
        case raised.ConnectionError() | raised.HTTPClientError():
            hint = "check that this machine is online and region in the profile is right"
        case _:
            return CloudError(what, code=code, hint="this looks like a bug in clusterkit")
    return ServerError(f"AWS cannot be reached: {what}", code="Connection", hint=hint)


def _profiles() -> str:
    """The cure for a profile that is not there: those that are."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import get_session

    try:
        there = sorted(get_session().full_config["profiles"])
    except BotoCoreError:
        there = []
    found = f"there are the profiles {', '.join(there)}: AWS_PROFILE or --cloud-profile NAME"
    return found if there else "there are no profiles: aws configure makes one"

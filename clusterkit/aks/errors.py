"""Azure's refusals end here: codes become clusterkit's errors, each with what to do next.

Resource Manager answers ``{"error": {"code", "message", "details": [...]}}``, AKS the same without
the envelope and with a ``subcode`` (Azure/azure-rest-api-specs#40740). A code may only say that
something failed, with the cause among its details or in the message (``SubCode:``); the most
particular that a row knows decides. The same words come inside operations that have failed.

One code means several things: ``OperationNotAllowed`` of AKS is busy, a quota, a skipped version or
the last pool, and only the text tells which.

A call's name has a blank in it, which a row writes as ``?``: ``virtualNetworks?PUT``.

Sources of the rows: Microsoft's support articles on AKS (``error-codes/``), the retries of
terraform-provider-azurerm and the issues that ``facts/azure.tsv`` names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clusterkit import errors
from clusterkit.engine.error_table import OTHER_ZONES, ErrorTable, Row
from clusterkit.engine.rest import Answer

LOGIN = "az login"
CURE = (
    f"run {LOGIN}, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET to a service "
    "principal's"
)
QUOTAS = "https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas"
REGISTER = "clusterkit up --activate registers what is missing"
ROLES = (
    "the credentials need it on the subscription or the resource group: roles that have all are "
    "Contributor and Role Based Access Control Administrator, or the custom role of "
    "docs/permissions/aks.md"
)
IN_PROGRESS = (
    r"another .*operation|in progress|is in Provisioning State\((?!Succeeded|Failed)"
    r"|overr?id+en .*by a later operation"
)
UNREGISTERED = "MissingSubscriptionRegistration"
NOT_BY_NETWORK = "SubscriptionNotRegistered"
"""Microsoft.Network's word for the same"""
CLUSTERS = "Microsoft.ContainerService/managedClusters"
ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
SUBCODE = re.compile(r"SubCode:\s*([A-Za-z_]\w+)|Code=\"(\w+)\"")
WRAPPERS = ("BadRequest", "Conflict", "DeploymentFailed", "InternalServerError", "RetryableError")
"""codes that say little: one among the details says more"""

ERRORS = ErrorTable(
    [
        # one code means several things: the text tells, or the operation
        Row(
            errors.QuotaExceeded,
            "OperationNotAllowed QuotaExceeded BadRequest",
            message=r"quota|exceeding approved",
        ),
        Row(errors.InUse, "OperationNotAllowed", message="is attached to"),
        # another pool of the same run becomes one
        Row(errors.Busy, "*", "*/agentPools?PUT", message="at least one system pool"),
        Row(errors.InUse, "*", message="PodDrainFailure|Drain did not complete"),
        Row(errors.Busy, "*", message=IN_PROGRESS),
        Row(
            errors.OutOfStock,
            "BadRequest",
            message="VM size .* not (allowed|supported|available) in your subscription",
        ),
        Row(
            errors.CredentialsError,
            "*",
            message=r"AADSTS\d+|ServicePrincipalValidationClientError|InvalidClientSecret",
        ),
        Row(errors.Exists, "*", "*/federatedIdentityCredentials?PUT", "already exists"),
        Row(errors.Exists, "ConflictError", message="already exists in deleted state"),
        Row(errors.Busy, "ContainerOperationFailure", message="is being deleted"),
        Row(errors.Propagating, "ContainerOperationFailure", message="does not exist"),
        Row(errors.Exists, "PreconditionFailed", "Microsoft.Compute/virtualMachineScaleSets?PUT"),
        Row(errors.Propagating, "LinkedAuthorizationFailed", f"{CLUSTERS}* {ASSIGNMENTS}*"),
        Row(
            errors.Propagating,
            "CustomKubeletIdentityMissingPermissionError",
            hint="Managed Identity Operator may not have taken effect yet; run the command again",
        ),
        Row(errors.Propagating, "ResourceGroupNotFound", "Microsoft.Resources/resourceGroups?GET"),
        Row(errors.Propagating, "ResourceGroupNotFound ParentResourceNotFound", "*?PUT"),
        Row(errors.Propagating, "ResourceNotFound", f"{ASSIGNMENTS}?PUT*"),
        # preflight has seen that it is registered, or in this moment is being registered
        Row(errors.Propagating, f"{UNREGISTERED} {NOT_BY_NETWORK}", "*?PUT", hint=REGISTER),
        Row(
            errors.Propagating,
            "PrincipalNotFound ServicePrincipalNotFound",
            hint="the directory may not know it yet; if it is an object id of the profile's, check "
            "it with az ad user show, group show or sp show",
        ),
        # one code, one class
        Row(
            errors.CredentialsError,
            "InvalidAuthenticationTokenTenant",
            hint="the credentials are of another directory than the subscription: "
            f"{LOGIN} --tenant TENANT, or set AZURE_TENANT_ID",
        ),
        Row(
            errors.CredentialsError,
            "AuthenticationFailed ExpiredAuthenticationToken InvalidAuthenticationToken*",
            hint=f"they have expired, or this machine's clock is wrong: {LOGIN}",
        ),
        Row(
            errors.Throttled,
            "Throttled TooManyRequestsReceived SubscriptionRequestsThrottled",
        ),
        Row(
            errors.Busy,
            "AKSOperationPreempted AnotherOperationInProgress Canceled Conflict ConflictError "
            "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity EtagMismatch "
            "PreconditionFailed ReferencedResourceNotProvisioned ResourceGroupBeingDeleted "
            "StorageAccountBeingCreated StorageAccountIsNotProvisioned "
            "StorageAccountOperationInProgress VirtualNetworkNotInSucceededState",
        ),
        Row(
            errors.InUse,
            "*CannotBeDeleted CannotDelete* *InUseBy* ResourceGroupDeletionBlocked "
            "UnsatisfiablePDB UpgradeFailed",
        ),
        Row(errors.Protected, "ScopeLocked", hint="az lock list shows the lock, az lock delete"),
        Row(
            errors.Exists,
            "AlreadyInUse RoleAssignmentExists StorageAccountAlready* "
            "StorageAccountInAnotherResourceGroup VaultAlreadyExists",
        ),
        Row(errors.Propagating, "InvalidResourceReference"),
        Row(
            errors.QuotaExceeded,
            "ErrCode_InsufficientVCPUQuota QuotaExceeded *CountLimitReached",
        ),
        Row(
            errors.QuotaExceeded,
            "SubnetIsFull",
            hint="choose a larger network.cidr, or fewer nodes",
        ),
        Row(
            errors.OutOfStock,
            "AksCapacityHeavyUsage *AllocationFailed Overconstrained* SkuNotAvailable",
            hint=OTHER_ZONES,
        ),
        Row(errors.PaymentRequired, "ReadOnlyDisabledSubscription"),
        Row(errors.Denied, f"{UNREGISTERED} {NOT_BY_NETWORK}", hint=REGISTER),
        Row(
            errors.Denied,
            "RequestDisallowedBy*",
            hint="a policy of the organisation forbids it: az policy assignment list",
        ),
        Row(
            errors.Denied,
            "SubscriptionNotFound",
            hint="az account list shows the subscriptions that the credentials reach",
        ),
        Row(
            errors.Denied,
            "*AuthorizationFailed CreateOrUpdateVirtualNetworkLinkFailed "
            "CustomPrivateDNSZoneMissingPermissionError",
        ),
        Row(errors.Gone, "*NotFound AKSOperationPreemptedByDelete"),
        Row(
            errors.Rejected,
            "InsufficientSubnetSize",
            hint="choose a larger network.cidr, or fewer nodes",
        ),
    ],
    hints={
        errors.CredentialsError: CURE,
        errors.Denied: ROLES,
        errors.PaymentRequired: "the subscription is disabled: see its billing in the portal",
        errors.QuotaExceeded: f"ask for more at {QUOTAS}, or remove what is not in use; then run "
        "the command again",
    },
)


def refusal(answer: Answer) -> errors.ClusterkitError:
    """An answer that is not 2xx as clusterkit's error."""
    code, message = read(answer)
    request_id = answer.headers.get("x-ms-request-id") or ""
    return ERRORS.classify(code, answer.status, message, answer.operation, request_id, answer.after)


def read(answer: Answer) -> tuple[str, str]:
    """Code and message of a refusal."""
    try:
        body = json.loads(answer.body) if answer.body else {}
        if answer.status == 412:  # a condition of ours did not hold, in whatever words
            return _by_status(412), told(body.get("error") or body, 412)[1]
        return told(body.get("error") or body, answer.status)
    except (ValueError, TypeError, AttributeError):
        return _by_status(answer.status), "an answer that is not the vendor's"


def told(error: Mapping[str, Any], status: int = 0) -> tuple[str, str]:
    """Code and message of an error as Azure writes one."""
    found = [*_each(error)]
    codes = [*dict.fromkeys(code for code, _ in found if code)]
    words = "; ".join(dict.fromkeys(message for _, message in found if message))
    codes += [first or second for first, second in SUBCODE.findall(words)]
    known = [code for code in codes if ERRORS.knows(code)]
    particular = [code for code in known if code not in WRAPPERS]
    code = next(iter(particular or known or codes), _by_status(status))
    return code, words or code


def _each(error: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Code and message of an error and of those inside it, the outermost first."""
    yield str(error.get("code") or ""), str(error.get("message") or "")
    if subcode := error.get("subcode"):
        yield str(subcode), ""
    details = error.get("details")
    for each in details if isinstance(details, list) else ():
        if isinstance(each, Mapping):
            yield from _each(each)


def _by_status(status: int) -> str:
    """A code for an answer that has none: ARM answers 404 to a HEAD, and 412, without a body."""
    names = {401: "AuthenticationFailed", 403: "AuthorizationFailed", 404: "NotFound"}
    names |= {409: "Conflict", 412: "PreconditionFailed"}
    return names.get(status, f"HTTP {status}")


def unanswered(status: int, words: str) -> errors.Retryable:
    """The error for a token service that is not there, or too busy."""
    kind = errors.Throttled if status == 429 else errors.ServerError
    what = f"Microsoft Entra ID answers {status} {words}"
    if not status:
        kind, what = errors.Unreachable, f"Microsoft Entra ID does not answer: {words}"
    return kind(what, code=f"HTTP {status}" if status else "Connection", operation="token")


def refused_token(error: Exception, login: bool) -> errors.ClusterkitError:
    """What azure-identity raises when it gets no token; it wraps what its transport raised."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, errors.ClusterkitError):
            return inner
        inner = inner.__cause__ or inner.__context__
    words = str(error).partition("\n")[0]
    if login:
        return errors.CredentialsError(f"az gives no token: {words}", hint=LOGIN)
    return errors.CredentialsError(
        f"Microsoft Entra ID refuses the credentials: {words}", hint=CURE
    )

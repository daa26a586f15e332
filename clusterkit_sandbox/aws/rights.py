"""Whether who makes a call may make it: what the call needs, against the policies of its key."""

from __future__ import annotations

from clusterkit_sandbox.answer import Answer, Environ
from clusterkit_sandbox.aws import (
    authorization,
    policies,
    refusals,
    s3_requests,
    s3_rights,
    sessions,
)
from clusterkit_sandbox.aws.account import Account
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.aws.signature import Scope, scope_of
from clusterkit_sandbox.kit.wire import target

_Needed = tuple[list[tuple[str, str]], policies.Context]
"""actions, each with the ARN of what it is about, and condition keys"""


def may(eks: Eks, key: str, action: str, resource: str, context: policies.Context) -> bool:
    """Whether the policies of who has this key allow it."""
    with eks.account.lock:
        return sessions.allowed(eks, key, action, resource, context)


def denied(eks: Eks, scope: Scope, environ: Environ, operation: str, body: bytes) -> Answer | None:
    """The service's refusal of a call; None if it is allowed."""
    key, account = scope.key, eks.account
    if not sessions.bound(eks, key):
        return None
    needed, context = _needed(eks, scope, environ, operation, body)
    for action, resource in needed:
        if not may(eks, key, action, resource, context):
            limited = key in account.permissions
            shown = "*" if limited and scope.service != "s3" else resource
            error = authorization.denial(scope.service, action, account.arn_of(key), shown)
            return refusals.answer(scope.service, error.code, error.message, error.status)
    return None


def lacking(
    account: Account, environ: Environ, service: str, operation: str, body: bytes
) -> Answer:
    """The refusal of a call whose caller may not make it, whoever it is."""
    scope = scope_of(environ)
    key = scope.key if scope is not None and scope.key in account.secrets else account.key
    action = next(iter(authorization.needed(operation, body)), operation)
    error = authorization.denial(service, action, account.arn_of(key))
    return refusals.answer(service, error.code, error.message, error.status)


def _needed(eks: Eks, scope: Scope, environ: Environ, operation: str, body: bytes) -> _Needed:
    """The rights that a call needs."""
    if scope.service == "s3":
        asked = s3_requests.read(environ)
        return list(s3_rights.needed(asked, body)), s3_rights.context(asked)
    with eks.account.lock:
        place = target(environ)[0]
        resource, context = authorization.resource_of(eks, scope, place, body)
    actions = authorization.needed(operation, body)
    return [(action, resource) for action in actions], context

"""Temporary credentials, and what those who have them may do.

- AssumeRole and GetSessionToken (STS API Reference), for who signs with credentials.
- For pods, EKS Pod Identity (EKS User Guide, "How EKS Pod Identity works"; EKS Auth API,
  ``AssumeRoleForPodIdentity``): the add-on ``eks-pod-identity-agent`` runs, an association names
  the role, whose trust policy lets ``pods.eks.amazonaws.com`` call ``sts:AssumeRole`` and
  ``sts:TagSession``.
- For pods, IRSA (IAM User Guide, ``AssumeRoleWithWebIdentity``): the account has the cluster's
  issuer as a provider of identities, with the token's audience, and the role's trust policy lets it
  in.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from clusterkit_sandbox.aws import policies
from clusterkit_sandbox.aws.account import ACCOUNT, Account, Session
from clusterkit_sandbox.aws.description import Description
from clusterkit_sandbox.aws.records import Addon, Association, ClusterRecord
from clusterkit_sandbox.aws.refusals import Refusal, not_found
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kit.drain import Unreachable

AGENT = "eks-pod-identity-agent"
PODS = "pods.eks.amazonaws.com"
AUDIENCE = "sts.amazonaws.com"
ASSUME, GET = "sts:AssumeRole", "sts:GetSessionToken"
_HOUR = 3600
_ACCOUNT = "system:serviceaccount:"
_WEB = "sts:AssumeRoleWithWebIdentity"


def _session(eks: Eks, role: Any, name: str) -> Session:
    return eks.account.remember(_new(role, name, _HOUR))


def _new(role: Any, name: str, seconds: int) -> Session:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.name}/{name}"
    return Session(*_credentials(), arn, role.arn, _in(seconds))


def _credentials() -> tuple[str, str, str]:
    alphabet = string.ascii_uppercase + string.digits
    key = "ASIA" + "".join(secrets.choice(alphabet) for _ in range(16))
    return key, secrets.token_urlsafe(30), secrets.token_urlsafe(64)


def _in(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def of_caller(eks: Eks, key: str, operation: str, body: bytes) -> bytes:
    """AssumeRole and GetSessionToken, as XML; ``Refusal`` of STS."""
    asked = dict(parse_qsl(body.decode(errors="replace")))
    if operation == GET:
        return _shown(operation, _of_user(eks, key, int(asked.get("DurationSeconds", 12 * _HOUR))))
    arn, session = asked["RoleArn"], eks.account.sessions.get(key)
    role, who = _role(eks, arn), eks.account.arn_of(key)
    if role is None or not _trusted(eks, role, key, asked):
        raise Refusal(
            "AccessDenied",
            f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            403,
        )
    seconds = int(asked.get("DurationSeconds", _HOUR))
    if session is not None and session.role and seconds > _HOUR:
        raise Refusal(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by"
            " role chaining",
        )
    if seconds > int(role.max_session_duration or _HOUR):
        raise Refusal(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    made = replace(
        _new(role, asked["RoleSessionName"], seconds), policies=tuple(_narrowing(eks, asked))
    )
    return _shown(operation, eks.account.admit(made))


def _narrowing(eks: Eks, asked: dict[str, str]) -> Iterator[str]:
    """The session policies of a request (IAM User Guide, "Session policies"). The service does not
    say how it refuses a policy that is not there.
    """
    if "Policy" in asked:
        try:
            policies.parsed(asked["Policy"])
        except ValueError:
            raise Refusal("MalformedPolicyDocument", "Syntax errors in policy.") from None
        yield asked["Policy"]
    for name, arn in asked.items():
        if name.startswith("PolicyArns."):
            policy = eks.account.iam().managed_policies.get(arn)
            if policy is None:
                raise Refusal("NotImplemented", f"There is no policy {arn}", 501)
            yield from (json.dumps(policies.parsed(v.document)) for v in policy.versions
                        if v.is_default)  # fmt: skip


def _of_user(eks: Eks, key: str, seconds: int) -> Session:
    if key in eks.account.sessions:
        text = "Cannot call GetSessionToken with session credentials"
        raise Refusal("AccessDenied", text, 403)
    arn = eks.account.arn_of(key)
    return eks.account.admit(Session(*_credentials(), arn, "", _in(seconds), key))


def _trusted(eks: Eks, role: Any, key: str, asked: dict[str, str]) -> bool:
    """Whether a role's trust policy lets in who has this key. The account as a whole may be named:
    then the caller's own policies decide, which has been looked at before.
    """
    account, context = (
        eks.account.account_of(key),
        {"aws:PrincipalArn": eks.account.principal_of(key)},
    )
    if "ExternalId" in asked:
        context["sts:ExternalId"] = asked["ExternalId"]
    names = [eks.account.arn_of(key), eks.account.principal_of(key)]
    names += [f"arn:aws:iam::{account}:root", account]
    says = {
        policies.decided([_trust(role)], "sts:AssumeRole", "*", context, ("AWS", name))
        for name in (*names, "*")
    }
    return "Allow" in says and "Deny" not in says


@cache
def description() -> Description:
    """The EKS Auth API."""
    return Description("eks-auth")


def of_pod(eks: Eks, record: ClusterRecord, token: str) -> tuple[Session, Association] | None:
    """What the agent gives a pod for its token; None without the agent or an association.
    ``Refusal`` of the EKS Auth API.
    """
    agent = eks.store.get(Addon, AGENT, record.key)
    if agent is None or agent.status not in ("ACTIVE", "UPDATING", "DEGRADED"):
        return None
    try:
        return associated(eks, record, token)
    except Refusal as refusal:
        if refusal.code == "ResourceNotFoundException":
            return None
        raise


def assumed(eks: Eks, region: str, asked: dict[str, Any]) -> dict[str, Any]:
    """AssumeRoleForPodIdentity"""
    record = eks.store.get(ClusterRecord, asked["clusterName"], region)
    if record is None:
        raise not_found(f"No cluster found for name: {asked['clusterName']}.")
    session, found = associated(eks, record, asked["token"])
    shown = found.shown
    return {
        "subject": {key: shown[key] for key in ("namespace", "serviceAccount")},
        "audience": PODS,
        "podIdentityAssociation": {key: shown[key] for key in ("associationArn", "associationId")},
        "assumedRoleUser": {"arn": session.arn, "assumeRoleId": session.key},
        "credentials": {
            "accessKeyId": session.key,
            "secretAccessKey": session.secret,
            "sessionToken": session.token,
            "expiration": session.ends,
        },
    }


def associated(eks: Eks, record: ClusterRecord, token: str) -> tuple[Session, Association]:
    """The session of the role that is associated with whose token it is."""
    subject = _reviewed(eks, record, token, PODS)
    if not subject.startswith(_ACCOUNT):
        raise Refusal("InvalidTokenException", "Token is not valid for this cluster")
    namespace, _, account = subject.removeprefix(_ACCOUNT).partition(":")
    found = next(
        (
            one
            for one in eks.store.all(Association, record.key)
            if (one.shown["namespace"], one.shown["serviceAccount"]) == (namespace, account)
        ),
        None,
    )
    if found is None:
        raise not_found(
            f"No associated role found for service account {account} in namespace {namespace}"
        )
    role = _role(eks, found.shown["roleArn"])
    context = {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": record.arn,
        "aws:RequestTag/eks-cluster-arn": record.arn,
        "aws:RequestTag/eks-cluster-name": record.id,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }
    principal = ("Service", PODS)
    for action in ("sts:AssumeRole", "sts:TagSession"):
        if role is None or not policies.allows([_trust(role)], action, "*", context, principal):
            raise Refusal(
                "AccessDeniedException",
                "Unauthorized Exception! EKS does not have permissions to assume the associated"
                " role.",
            )
    return _session(eks, role, f"eks-{record.id}-{account}"[:64]), found


def of_token(eks: Eks, token: str, arn: str, name: str) -> Session:
    """What STS gives for a token of a ServiceAccount; ``Refusal`` of STS."""
    claims = _claims(token)
    issuer = str(claims.get("iss", "")).removeprefix("https://")
    audiences = claims.get("aud") or []
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    known = eks.account.iam().open_id_providers.get(provider)
    if known is None:
        raise Refusal(
            "InvalidIdentityToken",
            f"No OpenIDConnect provider found in your account for https://{issuer}",
        )
    audience = next((one for one in audiences if one in known.client_id_list), "")
    if not audience:
        raise Refusal("InvalidIdentityToken", "Incorrect token audience")
    now, ends = int(datetime.now(UTC).timestamp()), claims.get("exp")
    if isinstance(ends, int) and ends <= now:
        raise Refusal(
            "ExpiredTokenException",
            f"Token expired: current date/time {now} must be before the expiration date/time{ends}",
        )
    subject = _verified(eks, issuer, token, audience)
    if not subject:
        raise Refusal("InvalidIdentityToken", "Couldn't verify the token's signature")
    context = {f"{issuer}:sub": subject, f"{issuer}:aud": audience}
    role, federated = _role(eks, arn), ("Federated", provider)
    if role is None or not policies.allows([_trust(role)], _WEB, "*", context, federated):
        raise Refusal("AccessDenied", f"Not authorized to perform {_WEB}", 403)
    return _session(eks, role, name)


def _claims(token: str) -> dict[str, Any]:
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError):
        found = None
    if not isinstance(found, dict):
        text = "The ID Token provided is not a valid JWT. (You may see this error if you sent an"
        raise Refusal("InvalidIdentityToken", f"{text} Access Token)")
    return found


def _verified(eks: Eks, issuer: str, token: str, audience: str) -> str:
    """Whose token it is, as the cluster with this issuer says."""
    for record in eks.store.all(ClusterRecord):
        if record.shown["identity"]["oidc"]["issuer"] == f"https://{issuer}":
            return _reviewed(eks, record, token, audience)
    return ""


def _reviewed(eks: Eks, record: ClusterRecord, token: str, audience: str) -> str:
    """Whose token it is, as the cluster says; empty if it is not good."""
    drainer = eks.endpoints.drainer(record.key)
    if drainer is None:
        return ""
    try:
        return drainer.reviewed(token, audience)
    except Unreachable:
        return ""
    finally:
        drainer.close()


def _role(eks: Eks, arn: str) -> Any:
    return next((one for one in eks.account.iam().roles.values() if one.arn == arn), None)


def _trust(role: Any) -> dict[str, Any]:
    return policies.parsed(role.assume_role_policy_document)


def allowed(eks: Eks, key: str, action: str, resource: str, context: policies.Context) -> bool:
    """Whether the policies of who has this key allow it. Call it with the account's lock held."""
    session = eks.account.sessions.get(key)
    if session is not None and session.user:
        key, session = session.user, None
    if session is not None:
        role = _role(eks, session.role)
        documents = [] if role is None else list(_documents(role))
        within = [policies.parsed(one) for one in session.policies]
        if within and not policies.allows(within, action, resource, context):
            return False
        return policies.allows(documents, action, resource, context)
    if key in eks.account.users:
        return policies.allows(_of_users(eks, eks.account.users[key]), action, resource, context)
    permissions = eks.account.permissions.get(key)
    return permissions is None or permissions.missing((action,)) is None


def bound(eks: Eks, key: str) -> bool:
    """Whether there is anything that this key may not do."""
    account = eks.account
    return key in account.sessions or key in account.users or key in account.permissions


def _documents(one: Any) -> Iterator[Mapping[str, Any]]:
    """The policies of a role, a user or a group."""
    for document in one.policies.values():
        yield policies.parsed(document)
    for policy in one.managed_policies.values():
        yield from (policies.parsed(v.document) for v in policy.versions if v.is_default)


def _of_users(eks: Eks, arn: str) -> Iterator[Mapping[str, Any]]:
    iam = eks.account.iam()
    for user in iam.users.values():
        if user.arn == arn:
            yield from _documents(user)
            for group in iam.groups.values():
                if user in group.users:
                    yield from _documents(group)


def identity(account: Account, key: str) -> bytes:
    """The answer of GetCallerIdentity."""
    arn = account.arn_of(key)
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{key}</UserId>"
        f"<Account>{arn.split(':')[4]}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    ).encode()


def web_identity(session: Session) -> bytes:
    """The answer of AssumeRoleWithWebIdentity."""
    return _shown("sts:AssumeRoleWithWebIdentity", session)


def _shown(operation: str, session: Session) -> bytes:
    name, who = operation.partition(":")[2], ""
    if session.role:
        who = (
            f"<AssumedRoleUser><AssumedRoleId>{session.key}:{session.arn.rpartition('/')[2]}"
            f"</AssumedRoleId><Arn>{session.arn}</Arn></AssumedRoleUser>"
        )
    return (
        f'<{name}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{name}Result>{who}'
        f"<Credentials><AccessKeyId>{session.key}</AccessKeyId>"
        f"<SecretAccessKey>{session.secret}</SecretAccessKey>"
        f"<SessionToken>{session.token}</SessionToken><Expiration>{shown(session.ends)}"
        f"</Expiration></Credentials></{name}Result><ResponseMetadata>"
        f"<RequestId>sandbox</RequestId></ResponseMetadata></{name}Response>"
    ).encode()


def of_role(eks: Eks, arn: str, name: str) -> Session | None:
    """A session of a role, as the instance metadata service has one; None if the role is gone."""
    role = _role(eks, arn)
    return None if role is None else _session(eks, role, name)


def shown(ends: datetime) -> str:
    """A time as STS writes it."""
    return ends.strftime("%Y-%m-%dT%H:%M:%SZ")

"""The AWS emulator: checks signatures, serves EKS and passes everything else to moto."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, parse_qsl

from clusterkit_sandbox.answer import Answer, Environ, StartResponse, Wsgi
from clusterkit_sandbox.aws import (
    access,
    addons,
    authorization,
    autoscaling,
    changes,
    clusters,
    fargate,
    generic,
    groups,
    identities,
    issuers,
    late,
    moto_checks,
    moto_lifecycle,
    policies,
    refusals,
    s3_requests,
    s3_rights,
    sessions,
    tokens,
)
from clusterkit_sandbox.aws.account import ACCOUNT, NEIGHBOUR, REGION, Account, write_profile
from clusterkit_sandbox.aws.description import Description
from clusterkit_sandbox.aws.late import Late
from clusterkit_sandbox.aws.moto_answers import ask_moto
from clusterkit_sandbox.aws.operations import AwsOperations, published_statuses
from clusterkit_sandbox.aws.parameters import Parameters
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.registry import TOKEN, EcrRegistry
from clusterkit_sandbox.aws.s3 import S3
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.aws.signature import Scope, Unsigned, check, scope_of
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.fault_targets import Operations
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.kit.calls import Tokens
from clusterkit_sandbox.kit.wire import respond, target
from clusterkit_sandbox.permissions import Permissions

_LOG = logging.getLogger(__name__)

SERVICES = (
    "autoscaling",
    "ec2",
    "eks",
    "eks-auth",
    "iam",
    "sts",
    "ecr",
    "api.ecr",
    "elasticloadbalancing",
    "logs",
)
_HOST = re.compile(
    rf"(?:{'|'.join(map(re.escape, SERVICES))})(?:\.[a-z]{{2}}(?:-[a-z]+)+-\d)?"
    r"\.(?:amazonaws\.com|api\.aws)"
)
_ISSUER = "oidc:Get"
_CALLER = "sts:GetCallerIdentity"
_WEB_IDENTITY = "AssumeRoleWithWebIdentity"
_V2 = "2015-12-01"
"""the API version of application and network load balancers"""

_Needed = tuple[list[tuple[str, str]], policies.Context]
"""actions, each with the ARN of what it is about, and condition keys"""

OPERATIONS = (access, addons, changes, clusters, fargate, generic, groups, identities)
"""the modules with EKS operations; each registers its own on import"""


class AwsEmulator:
    """Implements ``clusterkit_sandbox.emulator.Emulator``."""

    name = "eks"
    operations: Operations = AwsOperations()

    def __init__(self, context: SandboxContext) -> None:
        self._context = context
        self._account = Account()
        self._eks = Eks(self._account, context)
        self._parameters = Parameters()
        self._tokens = Tokens()
        self._late = Late(context.faults)
        self._s3 = S3(self._account, context.faults, self._late)
        self._moto: Wsgi | None = None
        self._environment = self._variables(self._account.key, self._account.secret)
        self._eks.door = self
        self.registry = EcrRegistry(self._eks, context.content, self._application)

    def claims(self, host: str) -> bool:
        """The endpoints of the emulated services in every region, buckets and clusters' issuers."""
        return any(one.fullmatch(host) for one in (_HOST, s3_requests.HOST, issuers.HOST))

    def certified(self, _: str) -> bool:
        """Clusters sign for themselves."""
        return False

    def barred(self, host: str) -> str:
        """Clusters check where a client comes from (``clusters.barred``)."""
        with self._account.lock:
            return clusters.barred(self._eks, host)

    def environment(self) -> Mapping[str, str]:
        """The keys of the sandbox's account, as variables and in files."""
        return self._environment

    def identity(self, permissions: Permissions) -> Mapping[str, str]:
        """The same for a new user."""
        key, secret = self._account.limited(permissions)
        return self._variables(key, secret, f"-{key}")

    def _variables(self, key: str, secret: str, suffix: str = "") -> Mapping[str, str]:
        directory = self._context.directory
        config, credentials = write_profile(directory, self._account, key, secret, suffix)
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": "",
            # the AWS CLI would look for a profile named ""; this one is in the file
            "AWS_PROFILE": "default",
            "AWS_DEFAULT_PROFILE": "default",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def warm(self) -> None:
        """Load moto's EC2 and IAM, which take a second."""
        with self._account.lock:
            self._application()
            self._account.ec2(REGION)
            self._account.iam()
            self._account.elb(REGION)
        self._parameters.warm()

    def reset(self) -> None:
        """Forget every resource."""
        self._eks.clock.clear()
        with self._account.lock:
            self._eks.reset()
            self._tokens.clear()
            self._late.forget()
            self.registry.clear()
            if self._moto is not None:
                self._account.reset()

    def _application(self) -> Wsgi:
        first = self._moto is None
        if self._moto is None:
            self._moto = self._account.load()
        moto_checks.install(self._context)  # every time: another sandbox of this process had them
        if first:
            self._account.reset()
        return self._moto

    # -- names -----------------------------------------------------------------------------------

    def operation(self, environ: Environ, body: bytes) -> str:
        """``ec2:CreateVpc``; ``?`` for unknown parts."""
        scope = scope_of(environ)
        service = scope.service if scope else "?"
        if s3_requests.is_s3(environ):
            service = "s3"
        if service in ("eks", "eks-auth"):
            description = self._description(service)
            found = description.match(environ["REQUEST_METHOD"], target(environ)[0])
            return found[0].name if found else f"{service}:?"
        if issuers.is_issuer(environ):
            return _ISSUER
        if service == "s3":
            return f"s3:{s3_requests.read(environ).operation or '?'}"
        if named := environ.get("HTTP_X_AMZ_TARGET"):
            return f"{service}:{named.rpartition('.')[2]}"
        asked = parse_qs(body.decode(errors="replace"))
        if service == "elasticloadbalancing":
            service = "elbv2" if asked.get("Version") == [_V2] else "elb"
        return f"{service}:{asked.get('Action', ['?'])[0]}"

    def _description(self, service: str) -> Description:
        return self._eks.description if service == "eks" else sessions.description()

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The service's response for an injected fault."""
        return refusals.injected(_service(environ), kind)

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        """An error of a rule of kind ``refuse``, in the service's wire format."""
        published = published_statuses(self.operation(environ, body).partition(":")[0])
        status = rule.status or published.get(rule.code, 400)
        return refusals.answer(_service(environ), rule.code, rule.text, status)

    # -- requests --------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return respond(environ, start_response, lambda body: self._answer(environ, body))

    def _answer(self, environ: Environ, body: bytes) -> Answer:
        path, query = target(environ)
        service = _service(environ)
        raw = f"{path}?{query}" if query else path
        operation = self.operation(environ, body)
        if operation == _ISSUER:
            with self._account.lock:
                return issuers.answer(self._eks, environ)
        if operation.endswith(f":{_WEB_IDENTITY}"):
            return self._web_identity(body)
        try:
            scope = check(environ, raw, body, self._account.secrets)
            self._check_session(environ, scope)
        except Unsigned as error:
            return refusals.unsigned(service, error.code, str(error))
        if not self._account.knows(scope.region):
            what = f"The sandbox has no region {scope.region}; check its name."
            return refusals.answer(service, "NotImplemented", what, 501)
        if denied := self._denied(scope, environ, body):
            return denied
        if service == "s3":
            return self._ask_s3(environ, scope, body)
        if self._account.account_of(scope.key) != ACCOUNT and operation != _CALLER:
            what = f"The sandbox has only buckets of account {NEIGHBOUR}."
            return refusals.answer(service, "NotImplemented", what, 501)
        if service in ("eks", "eks-auth"):
            return self._ask_eks(environ, scope, path, query, body)
        try:
            forced = self._context.faults.page_size
            page, inner = self._parameters.check(operation, environ, body, forced)
        except Refusal as error:
            return refusals.answer(service, error.code, error.message, error.status)
        self._eks.clock.advance()
        with self._account.lock:
            application = self._application()
            if scope.service in ("ec2", "elasticloadbalancing"):
                moto_lifecycle.settle(self._account.ec2(scope.region))
            if scope.service == "autoscaling":
                try:
                    told = autoscaling.run(self._eks, scope.region, operation, inner)
                except Refusal as error:
                    return refusals.answer(service, error.code, error.message, error.status)
                answer = Answer(200, (("Content-Type", "text/xml"),), told)
                return page.cut(answer) if page is not None else answer
            if operation == _CALLER:
                return _identity(self._account, scope)
            if operation == TOKEN:
                return self.registry.token(scope.key, scope.region, body)
            asked = late.pairs(body)

            def ask() -> Answer:
                made = ask_moto(application, environ, inner, service)
                self._late.made(operation, scope.region, asked, made)
                self.registry.follow(operation, scope.region, body, made)
                return made

            try:
                self._late.check(operation, scope.region, asked)
                answer = tokens.once(self._tokens, scope.region, operation, body, ask)
            except Refusal as error:
                return refusals.answer(service, error.code, error.message, error.status)
            answer = self._late.without(operation, scope.region, asked, answer)
        return page.cut(answer) if page is not None else answer

    def _check_session(self, environ: Environ, scope: Scope) -> None:
        """Keys of sessions need their token beside them."""
        session = self._account.sessions.get(scope.key)
        if session and environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != session.token:
            text = "The security token included in the request is invalid."
            raise Unsigned("InvalidClientTokenId", text)

    def _web_identity(self, body: bytes) -> Answer:
        """STS AssumeRoleWithWebIdentity, which nobody signs."""
        asked = dict(parse_qsl(body.decode(errors="replace")))
        try:
            self._parameters.check(f"sts:{_WEB_IDENTITY}", {}, body, None)
            self._eks.clock.advance()
            with self._account.lock:
                self._application()
                arn, name = asked["RoleArn"], asked["RoleSessionName"]
                made = sessions.of_token(self._eks, asked["WebIdentityToken"], arn, name)
        except Refusal as error:
            return refusals.answer("sts", error.code, error.message, error.status)
        return Answer(200, (("Content-Type", "text/xml"),), sessions.shown(made))

    def _needed(self, scope: Scope, environ: Environ, body: bytes) -> _Needed:
        """The rights that a call needs."""
        if scope.service == "s3":
            asked = s3_requests.read(environ)
            return list(s3_rights.needed(asked, body)), s3_rights.context(asked)
        with self._account.lock:
            place = target(environ)[0]
            resource, context = authorization.resource_of(self._eks, scope, place, body)
        actions = authorization.needed(self.operation(environ, body), body)
        return [(action, resource) for action in actions], context

    def _may(self, key: str, action: str, resource: str, context: policies.Context) -> bool:
        """Whether the policies of who has this key allow it."""
        session = self._account.sessions.get(key)
        if session is not None:
            with self._account.lock:
                documents = list(sessions.documents(self._eks, session))
            return policies.allows(documents, action, resource, context)
        permissions = self._account.permissions.get(key)
        return permissions is None or permissions.missing((action,)) is None

    def _denied(self, scope: Scope, environ: Environ, body: bytes) -> Answer | None:
        key = scope.key
        if key not in self._account.sessions and key not in self._account.permissions:
            return None
        needed, context = self._needed(scope, environ, body)
        for action, resource in needed:
            if not self._may(key, action, resource, context):
                session = key in self._account.sessions
                shown = resource if session or scope.service == "s3" else "*"
                who = self._account.arn_of(key)
                error = authorization.denial(scope.service, action, who, shown)
                return refusals.answer(scope.service, error.code, error.message, error.status)
        return None

    def _ask_s3(self, environ: Environ, scope: Scope, body: bytes) -> Answer:
        with self._account.lock:
            application = self._application()
            return self._s3.answer(
                environ,
                body,
                scope,
                application,
                lambda action, resource: self._may(scope.key, action, resource, {}),
            )

    def _ask_eks(
        self, environ: Environ, scope: Scope, path: str, query: str, body: bytes
    ) -> Answer:
        description = self._description(scope.service)
        found = description.match(environ["REQUEST_METHOD"], path)
        try:
            if found is None:
                raise Refusal("UnknownOperationException", f"no operation at {path}", 404)
            operation, uri = found
            parameters = description.parse(operation, uri, query, body)
            self._eks.clock.advance()
            with self._account.lock:
                self._application()
                caller = self._account.arn_of(scope.key)
                moto_lifecycle.settle(self._account.ec2(scope.region))
                asked = late.nested(parameters)
                self._late.check(operation.name, scope.region, asked)
                if scope.service == "eks-auth":
                    shown = sessions.assumed(self._eks, scope.region, parameters)
                else:
                    shown = self._eks.run(operation.name, parameters, scope.region, caller)
                # written with the lock held: it shows the first state, however fast the pace
                text = description.answer(operation, shown)
                answer = Answer(200, _EKS_HEADERS, text)
                self._late.made(operation.name, scope.region, asked, answer)
                answer = self._late.without(operation.name, scope.region, asked, answer)
            self._eks.clock.advance()
            return answer
        except Refusal as error:
            return refusals.answer("eks", error.code, error.message, error.status, **error.members)


_EKS_HEADERS = (("Content-Type", refusals.JSON), ("x-amzn-RequestId", "sandbox"))


def _service(environ: Environ) -> str:
    """The service of the signature, else of the host name."""
    if s3_requests.is_s3(environ):
        return "s3"
    scope = scope_of(environ)
    return scope.service if scope else str(environ.get("HTTP_HOST", "")).partition(".")[0]


def _identity(account: Account, scope: Scope) -> Answer:
    arn = account.arn_of(scope.key)
    body = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{scope.key}</UserId>"
        f"<Account>{arn.split(':')[4]}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return Answer(200, (("Content-Type", "text/xml"),), body.encode())

"""The AWS emulator: checks signatures, serves EKS and passes everything else to moto."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl

from clusterkit_sandbox.answer import Answer, Environ, StartResponse, Wsgi
from clusterkit_sandbox.aws import (
    access,
    addons,
    autoscaling,
    cbor,
    changes,
    clusters,
    fargate,
    generic,
    groups,
    identities,
    images,
    issuers,
    late,
    moto_checks,
    moto_lifecycle,
    refusals,
    rights,
    s3_requests,
    servicequotas,
    sessions,
    tagged,
    tokens,
    unserved,
)
from clusterkit_sandbox.aws.account import ACCOUNT, NEIGHBOUR, REGION, Account, write_profile
from clusterkit_sandbox.aws.description import Description
from clusterkit_sandbox.aws.late import Late
from clusterkit_sandbox.aws.moto_answers import ask_moto
from clusterkit_sandbox.aws.operations import AwsOperations, published_statuses
from clusterkit_sandbox.aws.paging import Page
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

SERVED = frozenset({
    "autoscaling", "ec2", "ecr", "eks", "eks-auth", "elasticloadbalancing", "iam", "kms", "logs",
    "s3", "servicequotas", "ssm", "sts", "tagging",
})  # fmt: skip
"""as signatures name them"""
_OWN = ("autoscaling", "servicequotas", "ssm", "tagging")
"""those that moto does not answer, besides EKS"""
_NAMES = {"servicequotas": "service-quotas", "tagging": "resourcegroupstaggingapi"}
"""botocore's, of services that signatures name otherwise"""
_ISSUER = "oidc:Get"
_KEYS = ("iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:UpdateAccessKey", "iam:UpdateUser")
_CALLER = "sts:GetCallerIdentity"
_WEB_IDENTITY = "AssumeRoleWithWebIdentity"
_V2 = "2015-12-01"
"""the API version of application and network load balancers"""

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
        """The endpoints of all services of AWS in every region, buckets and clusters' issuers."""
        return unserved.is_service(host)

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
        service = _NAMES.get(service, service)
        named = cbor.target_of(environ) if cbor.spoken(environ) else None
        if named := named or environ.get("HTTP_X_AMZ_TARGET"):
            return f"{service}:{named.rpartition('.')[2]}"
        asked = parse_qs(body.decode(errors="replace"))
        if service == "elasticloadbalancing":
            service = "elbv2" if asked.get("Version") == [_V2] else "elb"
        return f"{service}:{asked.get('Action', ['?'])[0]}"

    def _description(self, service: str) -> Description:
        return self._eks.description if service == "eks" else sessions.description()

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The service's response for an injected fault."""
        if kind == "denied":
            operation = self.operation(environ, body)
            return rights.lacking(self._account, environ, _service(environ), operation, body)
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
        if service not in SERVED:
            return unserved.answer(environ, service)
        if service == "s3" and s3_requests.HOST.fullmatch(_host(environ)) is None:
            return unserved.answer(environ, "s3control")
        if _host(environ).endswith(".cn"):
            what = "The sandbox has no region of the partition aws-cn."
            return unserved.answer(environ, service, what)
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
        if denied := rights.denied(self._eks, scope, environ, operation, body):
            return denied
        if service == "s3":
            return self._ask_s3(environ, scope, body)
        if self._account.account_of(scope.key) != ACCOUNT and operation != _CALLER:
            what = f"The sandbox has only buckets of account {NEIGHBOUR}."
            return refusals.answer(service, "NotImplemented", what, 501)
        if service in ("eks", "eks-auth"):
            return self._ask_eks(environ, scope, path, query, body)
        if cbor.spoken(environ):
            return self._ask_rpc(environ, scope, operation, body)
        return self._ask(environ, scope, service, operation, body)

    def _ask_rpc(self, environ: Environ, scope: Scope, operation: str, body: bytes) -> Answer:
        """A request in CBOR, answered as the same one in JSON."""
        try:
            inner, text = cbor.as_json(environ, body)
        except Refusal as error:
            return cbor.answered(400, {"__type": error.code, "message": error.message})
        answer = self._ask(inner, scope, scope.service, operation, text)
        return cbor.answered(answer.status, json.loads(answer.body))

    def _ask(
        self, environ: Environ, scope: Scope, service: str, operation: str, body: bytes
    ) -> Answer:
        try:
            return self._asked(environ, scope, service, operation, body)
        except Refusal as error:
            return refusals.answer(service, error.code, error.message, error.status)

    def _asked(
        self, environ: Environ, scope: Scope, service: str, operation: str, body: bytes
    ) -> Answer:
        forced = self._context.faults.page_size
        page, inner = self._parameters.check(operation, environ, body, forced)
        self._eks.clock.advance()
        with self._account.lock:
            application = self._application()
            if scope.service in ("ec2", "elasticloadbalancing"):
                moto_lifecycle.settle(self._account.ec2(scope.region))
            if operation == "ec2:DescribeImages":
                images.known(self._account.ec2(scope.region))
            if scope.service in _OWN:
                return self._own(scope.region, operation, inner, page)
            if operation == _CALLER:
                told = sessions.identity(self._account, scope.key)
                return Answer(200, (("Content-Type", "text/xml"),), told)
            if operation in (sessions.ASSUME, sessions.GET):
                told = sessions.of_caller(self._eks, scope.key, operation, inner)
                return Answer(200, (("Content-Type", "text/xml"),), told)
            if operation == TOKEN:
                return self.registry.token(scope.key, scope.region, body)
            asked = late.pairs(body)

            def ask() -> Answer:
                made = ask_moto(application, environ, inner, service)
                self._late.made(operation, scope.region, asked, made)
                self.registry.follow(operation, scope.region, body, made)
                if operation in _KEYS:
                    self._account.keys_changed()
                if operation == "ec2:TerminateInstances":
                    groups.replace_ended(self._eks, scope.region)
                return made

            self._late.check(operation, scope.region, asked)
            answer = tokens.once(self._tokens, scope.region, operation, body, ask)
            answer = self._late.without(operation, scope.region, asked, answer)
        return page.cut(answer) if page is not None else answer

    def _own(self, region: str, operation: str, body: bytes, page: Page | None) -> Answer:
        """A call of a service that is the sandbox's own; ``Refusal`` with its error."""
        if operation.startswith("autoscaling:"):
            told = autoscaling.run(self._eks, region, operation, body)
            answer = Answer(200, (("Content-Type", "text/xml"),), told)
            return page.cut(answer) if page is not None else answer
        if operation.startswith("ssm:"):
            told = images.run(region, operation, body)
        elif operation.startswith("service-quotas:"):
            told = servicequotas.run(self._eks, region, operation, body)
        else:
            told = json.dumps(tagged.run(self._eks, region, operation, body)).encode()
        return Answer(200, (("Content-Type", "application/x-amz-json-1.1"),), told)

    def _check_session(self, environ: Environ, scope: Scope) -> None:
        """Keys of sessions need their token beside them, and end."""
        session = self._account.sessions.get(scope.key)
        if session and environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != session.token:
            text = "The security token included in the request is invalid."
            raise Unsigned("InvalidClientTokenId", text)
        if session and session.ends <= datetime.now(UTC):
            text = "The security token included in the request is expired"
            raise Unsigned("ExpiredToken", text)

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
        return Answer(200, (("Content-Type", "text/xml"),), sessions.web_identity(made))

    def _ask_s3(self, environ: Environ, scope: Scope, body: bytes) -> Answer:
        with self._account.lock:
            application = self._application()
            return self._s3.answer(
                environ,
                body,
                scope,
                application,
                lambda action, resource: rights.may(self._eks, scope.key, action, resource, {}),
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
                caller = self._account.principal_of(scope.key)
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
    return scope.service if scope else _host(environ).removeprefix("api.").partition(".")[0]


def _host(environ: Environ) -> str:
    return str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()

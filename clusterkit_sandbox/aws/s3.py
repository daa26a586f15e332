"""S3: its buckets have one namespace for all accounts, and one region each.

S3 API Reference: "Error responses", "Authenticating Requests"; S3 User Guide, "Making requests".
Words of refusals: facts/aws.tsv.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clusterkit_sandbox.answer import Answer, Environ, Wsgi
from clusterkit_sandbox.aws import refusals
from clusterkit_sandbox.aws.account import Account
from clusterkit_sandbox.aws.late import Late
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.s3_calls import S3Call, Told, bucket_of
from clusterkit_sandbox.aws.s3_payload import payload
from clusterkit_sandbox.aws.s3_requests import SERVED, S3Request, content, read
from clusterkit_sandbox.aws.signature import Scope
from clusterkit_sandbox.faults import Faults


class S3:
    """Every bucket there is. Call it with the account's lock held."""

    def __init__(self, account: Account, faults: Faults, late: Late) -> None:
        self._account = account
        self._faults = faults
        self._late = late

    def answer(
        self,
        environ: Environ,
        body: bytes,
        scope: Scope,
        application: Wsgi,
        may: Callable[[str, str], bool],
    ) -> Answer:
        """``may`` says whether the caller has the right to an action on a resource."""
        asked = read(environ)
        try:
            self._placed(asked, scope)
            if not asked.operation:
                text = "The specified method is not allowed against this resource."
                raise Refusal("MethodNotAllowed", text, 405)
            if asked.operation not in SERVED:
                text = f"The sandbox does not serve {asked.operation} of S3."
                raise Refusal("NotImplemented", text, 501)
            secret = self._account.secrets[scope.key]
            environ, body = payload(environ, body, scope, secret)
            sent = content(asked.operation, body)
            name, pairs = f"s3:{asked.operation}", [("Bucket", asked.bucket)]
            self._late.check(name, "", pairs)
            owner, forced = self._account.account_of(scope.key), self._faults.page_size
            told = Told(asked, environ, body, sent, scope.region, owner, forced)
            answer = S3Call(told, application, may).answer()
            self._late.made(name, "", pairs, answer)
            answer = self._late.without(name, "", pairs, answer)
        except Refusal as refusal:
            return self.refused(asked, refusal)
        return answer

    def refused(self, asked: S3Request, refusal: Refusal) -> Answer:
        """An error, with the bucket's region, which S3 tells even to those who may do nothing."""
        answer = refusals.answer(
            "s3", refusal.code, refusal.message, refusal.status, **refusal.members
        )
        bucket = bucket_of(asked.bucket)
        if bucket is None:
            return answer
        region = ("x-amz-bucket-region", bucket.region_name)
        return replace(answer, headers=(*answer.headers, region))

    def _placed(self, asked: S3Request, scope: Scope) -> None:
        """Refuse what was sent to a wrong region, or signed for one."""
        bucket = bucket_of(asked.bucket) if asked.bucket else None
        home = bucket.region_name if bucket is not None else asked.region
        if asked.operation == "CreateBucket" and asked.regional:
            home = asked.region
        expected = asked.region if asked.regional else home
        if scope.region != expected:
            raise Refusal(
                "AuthorizationHeaderMalformed",
                f"The authorization header is malformed; the region '{scope.region}' is wrong;"
                f" expecting '{expected}'",
                Region=expected,
            )
        if asked.region != home and asked.regional:
            raise Refusal(
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified"
                " endpoint. Please send all future requests to this endpoint.",
                301,
                Endpoint=f"{asked.bucket}.s3.{home}.amazonaws.com",
                Bucket=asked.bucket,
            )

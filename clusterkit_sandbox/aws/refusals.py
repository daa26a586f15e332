"""AWS's errors, in the format of each protocol.

``rest-json`` (EKS) and ``json`` (ECR, Logs) answer JSON with the code in a header or in ``__type``;
``query`` (IAM, STS, ELB), ``ec2`` and ``rest-xml`` (S3) answer XML. Formats: botocore's
``parsers.py``, which is what reads them.
"""

from __future__ import annotations

import json
from uuid import uuid4
from xml.sax.saxutils import escape

from clusterkit_sandbox.answer import Answer

JSON = "application/json"


class Refusal(Exception):
    """An error of the EKS API or of S3: code, message, HTTP status and the members of its shape."""

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


def invalid(message: str, **members: object) -> Refusal:
    """``InvalidParameterException``."""
    return Refusal("InvalidParameterException", message, 400, **members)


def in_use(message: str, **members: object) -> Refusal:
    """``ResourceInUseException``."""
    return Refusal("ResourceInUseException", message, 409, **members)


def not_found(message: str, **members: object) -> Refusal:
    """``ResourceNotFoundException``."""
    return Refusal("ResourceNotFoundException", message, 404, **members)


PROTOCOLS = {
    "eks": "rest-json",
    "eks-auth": "rest-json",
    "ecr": "json",
    "kms": "json",
    "logs": "json",
    "servicequotas": "json",
    "ssm": "json",
    "tagging": "json",
    "ec2": "ec2",
    "s3": "rest-xml",
}
"""by the service name in the credential scope; all others are ``query``"""


def answer(service: str, code: str, message: str, status: int, **members: object) -> Answer:
    """An error in the service's format."""
    return worded(PROTOCOLS.get(service, "query"), code, message, status, **members)


def worded(protocol: str, code: str, message: str, status: int, **members: object) -> Answer:
    """An error in a protocol's format."""
    request = str(uuid4())
    headers = [("x-amzn-RequestId", request)]
    if protocol == "rest-json":
        headers += [("Content-Type", JSON), ("x-amzn-ErrorType", code)]
        body = json.dumps({"message": message, **members})
    elif protocol == "json":
        headers += [("Content-Type", "application/x-amz-json-1.1")]
        body = json.dumps({"__type": code, "message": message})
    elif protocol == "ec2":
        headers += [("Content-Type", "text/xml;charset=UTF-8")]
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error>'
            f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
            f"<RequestID>{request}</RequestID></Response>"
        )
    elif protocol == "rest-xml":
        headers = [("x-amz-request-id", request), ("Content-Type", "application/xml")]
        more = "".join(f"<{name}>{escape(str(one))}</{name}>" for name, one in members.items())
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>{more}"
            f"<RequestId>{request}</RequestId><HostId>sandbox</HostId></Error>"
        )
    else:
        headers += [("Content-Type", "text/xml")]
        body = (
            f"<ErrorResponse><Error><Type>{'Receiver' if status >= 500 else 'Sender'}</Type>"
            f"<Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
    return Answer(status, tuple(headers), body.encode())


MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key"
    " and signing method."
)
THROTTLE = {
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "eks": ("ThrottlingException", "Rate exceeded", 429),
    "ecr": ("ThrottlingException", "Rate exceeded", 400),
    "kms": ("ThrottlingException", "Rate exceeded", 400),
    "logs": ("ThrottlingException", "Rate exceeded", 400),
    "servicequotas": ("TooManyRequestsException", "Rate exceeded", 400),
    "ssm": ("ThrottlingException", "Rate exceeded", 400),
    "tagging": ("ThrottledException", "Rate exceeded", 400),
}
ERROR = {
    "s3": ("InternalError", "We encountered an internal error. Please try again.", 500),
    "ec2": ("InternalError", "An internal error has occurred", 500),
    "eks": ("ServerException", "Internal server error", 500),
    "ecr": ("ServerException", "Internal server error", 500),
    "kms": ("KMSInternalException", "Internal failure", 500),
    "logs": ("ServiceUnavailableException", "Service unavailable", 503),
    "servicequotas": ("ServiceException", "Internal failure", 500),
    "ssm": ("InternalServerError", "Internal failure", 500),
    "tagging": ("InternalServiceException", "Internal failure", 500),
}


def injected(service: str, kind: str) -> Answer:
    """The service's response for an injected fault."""
    if kind == "throttle":
        return answer(service, *THROTTLE.get(service, ("Throttling", "Rate exceeded", 400)))
    if kind == "error":
        default = ("InternalFailure", "Internal failure", 500)
        return answer(service, *ERROR.get(service, default))
    return answer(service, "NotImplemented", "This is not in the sandbox.", 501)


_JSON_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestExpired": "InvalidSignatureException",
    "ExpiredToken": "ExpiredTokenException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
}
_EC2_CODES = {
    "InvalidClientTokenId": "AuthFailure",
    "SignatureDoesNotMatch": "AuthFailure",
    "ExpiredToken": "RequestExpired",
}
_S3_UNSIGNED = {
    "InvalidClientTokenId": (
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        403,
    ),
    "IncompleteSignature": (
        "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", 403
    ),
    "ExpiredToken": ("ExpiredToken", "The provided token has expired.", 400),
    "MissingAuthenticationToken": ("AccessDenied", "Access Denied", 403),
    "RequestExpired": (
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        403,
    ),
    "SignatureDoesNotMatch": ("SignatureDoesNotMatch", MISMATCH, 403),
}  # fmt: skip
_QUERY_CODES = {"RequestExpired": "SignatureDoesNotMatch"}


def unsigned(service: str, code: str, text: str) -> Answer:
    """Refuse a request with an invalid signature, with the service's own code."""
    if service == "s3":
        return answer(service, *_S3_UNSIGNED.get(code, (code, text, 403)))
    if service == "ec2":
        # only EC2 distinguishes an expired request from a wrong signature
        status = 400 if code in ("RequestExpired", "ExpiredToken") else 401
        text = "Request has expired." if code == "RequestExpired" else text
        return answer(service, _EC2_CODES.get(code, code), text, status)
    codes = _JSON_CODES if service in PROTOCOLS else _QUERY_CODES
    return answer(service, codes.get(code, code), text, 403)

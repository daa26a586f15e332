"""Alibaba Cloud's errors.

Two formats (both seen on the wire in public logs; the old Python SDK knows only the first):

- the API gateway, and every RPC service: ``{"RequestId", "HostId", "Code", "Message",
  "Recommend"}``;
- the backend of a ROA service (Container Service): ``{"code", "message", "requestId", "status"}``,
  for which the old SDK reports ``SDK.UnknownServerError``.

A code that begins with ``Sandbox.`` is this emulator's own: the vendor is more lenient there, or
the sandbox does not emulate what was asked for. Every other stands in ``facts/alibaba.tsv``, and a
test holds them to it. Where nobody has published the code of a refusal, it gets a general one, and
the message says what is wrong.
"""

from __future__ import annotations

import json

from clusterkit_sandbox.answer import Answer

GATEWAY_CODES = (
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidAction",
    "InvalidSecurityToken",
    "InvalidSignatureMethod",
    "InvalidTimeStamp",
    "InvalidVersion",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "SignatureNonceUsed",
    "Throttling",
)
"""Prefixes of the codes that the gateway itself raises, for any service (vendor: "Common error
codes" of ECS and of Container Service)
"""


class Failure(Exception):
    """A refused request; ``gateway``: refused before it reached the service."""

    def __init__(self, status: int, code: str, message: str, *, gateway: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.gateway = gateway


def bad(code: str, message: str) -> Failure:
    """A refusal with status 400."""
    return Failure(400, code, message)


def missing(name: str) -> Failure:
    """A mandatory parameter is missing, as the gateway reports it."""
    return bad(f"Missing{name}", f"{name} is mandatory for this action.")


def not_emulated(what: str) -> Failure:
    """501 for what the vendor has and the sandbox does not."""
    return Failure(501, "Sandbox.NotImplemented", f"The sandbox does not emulate {what}.")


def unauthorised(code: str, message: str, status: int = 400) -> Failure:
    """The gateway could not authenticate the caller."""
    return Failure(status, code, message, gateway=True)


def rendered(failure: Failure, *, style: str, host: str, request_id: str) -> Answer:
    """The HTTP answer of a failure; ``style`` is that of the operation, ``RPC`` or ``ROA``."""
    body: dict[str, object]
    if style == "RPC" or failure.gateway:
        body = {
            "RequestId": request_id,
            "HostId": host,
            "Code": failure.code,
            "Message": failure.message,
            "Recommend": f"https://api.alibabacloud.com/troubleshoot?q={failure.code}",
        }
    else:
        body = {
            "code": failure.code,
            "message": failure.message,
            "requestId": request_id,
            "status": failure.status,
        }
    return json_answer(failure.status, body, request_id)


def json_answer(status: int, body: object, request_id: str) -> Answer:
    """A JSON answer with the header that carries the request id."""
    text = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    headers = (
        ("Content-Type", "application/json;charset=utf-8"),
        ("x-acs-request-id", request_id),
    )
    return Answer(status, headers, text)

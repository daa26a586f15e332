"""EC2's client tokens: a repeated request gets the same answer and has no further effect.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.kit.calls import Tokens


def once(
    tokens: Tokens, region: str, operation: str, body: bytes, make: Callable[[], Answer]
) -> Answer:
    """The earlier answer to the same token, or what ``make`` answers now; refusals are not kept."""
    sent = dict(parse_qsl(body.decode(), keep_blank_values=True))
    token = sent.get("ClientToken") if operation.startswith("ec2:") else None
    if not token:
        return make()
    mismatch = Refusal(
        "IdempotentParameterMismatch",
        "The parameters of the request differ from those the client token was used with",
    )
    return tokens.once(
        (region, operation, token), sent, make, mismatch, lambda answer: answer.status == 200
    )

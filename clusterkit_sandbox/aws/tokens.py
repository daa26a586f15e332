"""EC2's client tokens: a repeated request gets the same answer and has no further effect.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.emulator import Answer


class Tokens:
    """Answers by client token; call it with the account's lock held."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], tuple[dict[str, str], Answer]] = {}

    def known(self, region: str, operation: str, body: bytes) -> Answer | None:
        """The earlier answer, or ``Refusal`` if the token was used with another request."""
        sent, token = _sent(operation, body)
        found = self._seen.get((region, operation, token)) if token else None
        if found is None:
            return None
        if found[0] != sent:
            raise Refusal(
                "IdempotentParameterMismatch",
                "The parameters of the request differ from those the client token was used with",
            )
        return found[1]

    def keep(self, region: str, operation: str, body: bytes, answer: Answer) -> None:
        """Remember the answer to a request with a token, unless it was refused."""
        sent, token = _sent(operation, body)
        if token and answer.status == 200:
            self._seen[region, operation, token] = (sent, answer)

    def forget(self) -> None:
        """Forget every token."""
        self._seen.clear()


def _sent(operation: str, body: bytes) -> tuple[dict[str, str], str]:
    if not operation.startswith("ec2:"):
        return {}, ""
    sent = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return sent, sent.get("ClientToken", "")

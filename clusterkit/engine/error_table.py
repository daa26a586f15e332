"""What a cloud's error codes mean: one table per driver, and the one place that reads it.

A row gives codes one class of ``clusterkit.errors``; it may hold for some operations only, and,
where one code means several things, for some messages only. The first row that matches decides, so
that the special rows stand above the general ones. A code that no row knows is ``Rejected``:
waiting does not help against what nobody has described.

A status alone decides nothing: one cloud answers 403 for busy, in use, quota and money, another
answers 403 for quota and rate. Two statuses are the exception, for codes without a row, because
RFC 9110 (5xx) and RFC 6585 (429) leave no other reading: 429 is ``Throttled``, 5xx ``ServerError``.

What the vendors' codes are, with sources, is in ``facts/``; tests hold every table to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache

from clusterkit.errors import (
    CloudError,
    ClusterkitError,
    CredentialsError,
    Denied,
    OutOfStock,
    PaymentRequired,
    Protected,
    QuotaExceeded,
    Rejected,
    Retryable,
    ServerError,
    Throttled,
)

OTHER_MACHINE = "choose another machine or other zones"
OTHER_ZONES = "name other zones in network.zones"
ErrorClass = type[CloudError] | type[CredentialsError]
HOPELESS = (Denied, OutOfStock, PaymentRequired, QuotaExceeded)
HINTS: Mapping[ErrorClass, str] = {
    OutOfStock: OTHER_MACHINE,
    Protected: "switch its deletion protection off, then run the command again",
}
"""for classes whose rows have none, and for which the driver has none"""
CODE = re.compile(r"[A-Za-z][\w.]*\w")
"""what may be a code in a sentence: ``QuotaExceed.ElasticQuota``"""


@dataclass(frozen=True)
class Row:
    """Codes that mean the same.

    ``codes`` and ``operations`` are separated by blanks; ``*`` stands for any characters, and case
    counts. ``message`` is a regular expression that is searched for without regard to case.
    ``hint`` says what to do next; ``{operation}`` in it is the operation's name.
    """

    error: ErrorClass
    codes: str
    operations: str = "*"
    message: str = ""
    hint: str = ""


class ErrorTable:
    """The rows of one cloud, and the hints for classes whose rows have none."""

    def __init__(
        self, rows: Sequence[Row], hints: Mapping[ErrorClass, str], *, prefix: bool = True
    ) -> None:
        """``prefix``: messages begin with the operation, for clouds whose own do not name it."""
        self.rows = tuple(rows)
        self._hints = {**HINTS, **hints}
        self._prefix = prefix

    def knows(self, code: str) -> bool:
        """Whether a row is about this code by name."""
        words = (word for row in self.rows for word in row.codes.split() if word != "*")
        return any(_fits(word, code) for word in words)

    def failed(self, code: str, message: str, operation: str) -> CloudError:
        """The error of an operation that has failed: ``Retryable`` where the same call may
        succeed.
        """
        error = self.classify(code, 0, message, operation)
        return error if isinstance(error, Retryable) else self.final(code, message, operation)

    def classify(
        self,
        code: str,
        status: int,
        message: str,
        operation: str,
        request_id: str = "",
        after: float | None = None,
    ) -> ClusterkitError:
        """The cloud's refusal as clusterkit's error.

        ``status`` is HTTP's, 0 if there is none; ``after`` is the cloud's own Retry-After in
        seconds. ``message`` is shown to the user: secrets are taken out before.
        """
        row = self._first(code, operation, message)
        error = row.error if row else _by_status(status)
        hint = self._hint(row, error, operation)
        what = f"{operation}: {message or code}" if self._prefix else message or code
        if issubclass(error, CredentialsError):
            return error(what, hint=hint)
        if issubclass(error, Retryable):
            return error(
                what,
                hint=hint,
                code=code,
                operation=operation,
                request_id=request_id,
                after=after,
            )
        return error(what, hint=hint, code=code, operation=operation, request_id=request_id)

    def cure(self, text: str) -> str:
        """What to do about a failure that has only a message: the hint of the first code in it
        that has one, for any operation; empty if none has.
        """
        for code in CODE.findall(text):
            for row in self.rows:
                if _fits(row.codes, code) and _says(row.message, text):
                    if hint := self._hint(row, row.error, "it"):
                        return hint
                    break
        return ""

    def hopeless(self, message: str, operation: str) -> CloudError | None:
        """What a message says that waiting does not help against: stock, quota, money, permission.
        None for anything else.

        For what goes on trying by itself, as a scaling group does, and tells why it fails.
        """
        for code in CODE.findall(message):
            error = self.classify(code, 0, message, operation)
            if isinstance(error, HOPELESS):
                return error
        return None

    def final(self, code: str, message: str, operation: str) -> CloudError:
        """The error for an operation that has failed, whatever its code would mean as the answer to
        a call. The code may say only that it failed, with the cause in the message.
        """
        error = self.classify(code, 0, message, operation)
        if not isinstance(error, HOPELESS):
            error = self.hopeless(message, operation) or error
        if isinstance(error, CloudError) and not isinstance(error, Retryable):
            return error
        return Rejected(error.what, hint=error.hint, code=code, operation=operation)

    def _first(self, code: str, operation: str, message: str) -> Row | None:
        for row in self.rows:
            fits = _fits(row.codes, code) and _fits(row.operations, operation)
            if fits and _says(row.message, message):
                return row
        return None

    def _hint(self, row: Row | None, error: ErrorClass, operation: str) -> str:
        hint = row.hint if row and row.hint else self._hints.get(error, "")
        return hint.replace("{operation}", operation)


@cache
def _pattern(words: str) -> re.Pattern[str]:
    """Compiled when an error asks for it, because most runs meet few."""
    return re.compile("|".join(map(translate, words.split())))


@cache
def _words(message: str) -> re.Pattern[str]:
    return re.compile(message, re.IGNORECASE | re.DOTALL)


def _fits(words: str, text: str) -> bool:
    """Whether one of the words is the text, or a pattern of it."""
    return _pattern(words).match(text) is not None


def _says(message: str, text: str) -> bool:
    return _words(message).search(text) is not None


def _by_status(status: int) -> ErrorClass:
    if status == 429:
        return Throttled
    return ServerError if status >= 500 and status != 501 else Rejected  # 501: it never will

"""Why an executor ends."""

from __future__ import annotations


class Failure(Exception):
    """The text is what the executor writes to standard error before it exits with 1."""


class UsageFailure(Failure):
    """A failure before anything is built, which the executor shows with its usage."""

"""The rows of ``facts/*.tsv``: what the real clouds answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterkit.errors import (
    AlreadyDone,
    Busy,
    CredentialsError,
    Denied,
    Exists,
    Gone,
    InUse,
    OutOfStock,
    PaymentRequired,
    Propagating,
    Protected,
    QuotaExceeded,
    Rejected,
    ServerError,
    Throttled,
)

FOLDER = Path(__file__).parents[2] / "facts"
CLOUDS = ("alibaba", "aws", "azure", "gcp")
COLUMNS = (
    "operation",
    "code",
    "message",
    "status",
    "late",
    "class",
    "playable",
    "when",
    "source",
)
CLASSES = {
    "busy": Busy,
    "credentials": CredentialsError,
    "denied": Denied,
    "done": AlreadyDone,
    "exists": Exists,
    "gone": Gone,
    "in-use": InUse,
    "invalid": Rejected,
    "money": PaymentRequired,
    "propagating": Propagating,
    "protected": Protected,
    "quota": QuotaExceeded,
    "server": ServerError,
    "stock": OutOfStock,
    "throttled": Throttled,
}


@dataclass(frozen=True)
class Fact:
    """One row; ``where`` is its file and line."""

    where: str
    operation: str
    code: str
    message: str
    status: int | None
    late: int | None
    kind: str
    playable: str
    when: str
    source: str

    @property
    def service(self) -> str:
        """``ec2`` of ``ec2:CreateVpc``, ``compute`` of ``compute.networks.get``; ``*`` for all."""
        return self._parts[0]

    @property
    def name(self) -> str:
        """``CreateVpc`` of ``ec2:CreateVpc``, ``networks.get`` of ``compute.networks.get``; ``*``
        for all.
        """
        return self._parts[2] or "*"

    @property
    def codes(self) -> Sequence[str]:
        """The names that one answer has for the code: Google's status and reason."""
        return self.code.split("/")

    @property
    def request_ids(self) -> bool:
        """Whether every answer of this cloud has a request id; Google's need not."""
        return not self.where.startswith("gcp")

    @property
    def _parts(self) -> tuple[str, str, str]:
        return self.operation.partition(":" if ":" in self.operation else ".")


def table(name: str) -> list[tuple[str, list[str]]]:
    """The lines of a file, with where they stand; the first is the heading."""
    lines = (FOLDER / name).read_text().splitlines()
    return [(f"{name}:{number}", line.split("\t")) for number, line in enumerate(lines, 1)]


def read(cloud: str) -> list[Fact]:
    """The rows of one cloud."""
    return [
        Fact(
            where,
            operation,
            code,
            message,
            int(status) if status else None,
            int(late) if late else None,
            kind,
            playable,
            when,
            source,
        )
        for where, (operation, code, message, status, late, kind, playable, when, source) in table(
            f"{cloud}.tsv"
        )[1:]
    ]

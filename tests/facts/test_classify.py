"""Every row that can be played goes to its driver as the vendor's bytes, and ends as its class.

Exceptions stand in ``facts/mismatches.tsv``, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from clusterkit.aks.errors import ERRORS as AZURE
from clusterkit.alibaba.errors import ERRORS as ALIBABA
from clusterkit.eks.errors import ERRORS as AWS
from clusterkit.engine.error_table import ErrorTable
from clusterkit.errors import (
    CloudError,
    CredentialsError,
    Denied,
    PaymentRequired,
    QuotaExceeded,
)
from clusterkit.gke.errors import ERRORS as GCP
from tests.facts import mismatches
from tests.facts.rows import Fact, read
from tests.facts.wire import REQUEST, Driver, alibaba, aws, azure, gcp
from tests.unit.loopback import loopback

TABLES = {"alibaba": ALIBABA, "aws": AWS, "azure": AZURE, "gcp": GCP}
NEED_A_CURE = (CredentialsError, Denied, PaymentRequired, QuotaExceeded)


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Driver]]:
    folder: Path = tmp_path_factory.mktemp("facts")
    with loopback(folder, lambda heard: (500, b"{}")) as server:
        yield {"alibaba": alibaba(server), "aws": aws, "azure": azure, "gcp": gcp(server)}


@pytest.mark.parametrize("cloud", TABLES)
def test_what_the_driver_treats_otherwise_is_known_and_has_a_reason(
    drivers: dict[str, Driver], cloud: str
) -> None:
    """``python -m tests.facts.mismatches`` writes the file."""
    known = [
        line for line in mismatches.FILE.read_text().splitlines() if line[: len(cloud)] == cloud
    ]
    assert mismatches.lines(cloud, drivers[cloud]) == known
    assert [line for line in known if line.endswith(mismatches.UNKNOWN)] == []


@pytest.mark.parametrize("cloud", TABLES)
def test_errors_keep_what_support_asks_for_and_say_what_to_do(
    drivers: dict[str, Driver], cloud: str
) -> None:
    """One row of each class."""
    first: dict[str, Fact] = {}
    for fact in read(cloud):
        if fact.playable == "yes" and fact.code and "*" not in fact.name:
            first.setdefault(fact.kind, fact)
    for fact in first.values():
        for error in drivers[cloud](fact):
            assert fact.name in str(error), fact.where
            if isinstance(error, CloudError):
                assert error.code in fact.codes, fact.where
                assert error.request_id == REQUEST, fact.where
            if isinstance(error, NEED_A_CURE):
                assert error.hint, fact.where


@pytest.mark.parametrize("cloud", TABLES)
def test_no_code_in_a_driver_without_a_row(cloud: str) -> None:
    """Codes are found in the vendors' answers, not thought out."""
    table: ErrorTable = TABLES[cloud]
    known = {code for fact in read(cloud) for code in fact.codes}
    words = {word for row in table.rows for word in row.codes.split()}
    assert sorted(w for w in words if not any(fnmatchcase(code, w) for code in known)) == []
